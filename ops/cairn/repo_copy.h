/* repo_copy.h - `cairn repo import` and `cairn repo mirror`: whole repositories between the hub and other git servers. Both get argv[0] = the verb. */
#ifndef CAIRN_OPS_CAIRN_REPO_COPY_H
#define CAIRN_OPS_CAIRN_REPO_COPY_H

#include "ops/cairn/settings.h"

int repo_import_main(const struct settings *settings, int argc, char **argv);
int repo_mirror_main(const struct settings *settings, int argc, char **argv);

/* "datasets" of "dataset" or "datasets", "models" of NULL. NULL: no such type. */
const char *repo_type_plural(const char *type);

#endif
