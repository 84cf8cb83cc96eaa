/* operation.h - starts work in the hub and watches it to its end. */
#ifndef CAIRN_OPS_CAIRN_OPERATION_H
#define CAIRN_OPS_CAIRN_OPERATION_H

#include <jansson.h>

#include "ops/cairn/settings.h"

/* POSTs `body` (stolen) to `path`, shows how far "`what`" is, and prints: the whole operation as JSON, or by `finish`, which gets the result (NULL when JSON
 * is wanted) and gives the exit status. Ctrl-C asks the hub to stop. */
int operation_run(const struct settings *settings, const char *path, json_t *body, const char *what, int (*finish)(const json_t *result));

#endif
