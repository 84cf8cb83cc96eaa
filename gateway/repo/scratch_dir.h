/* scratch_dir.h - a directory of one's own below DIR/tmp, for tools that want files with names.
 *
 * Whoever makes one removes it. What a crash left behind goes at the next start. Shallow: files and directories, three deep. */
#ifndef CAIRN_GATEWAY_REPO_SCRATCH_DIR_H
#define CAIRN_GATEWAY_REPO_SCRATCH_DIR_H

#include <limits.h>

#include "schemas/error.h"

struct scratch_dir {
	char path[PATH_MAX]; /* "" : none */
};

/* [blocks] `what` becomes the beginning of its name. ERR_NO_SPACE, ERR_IO. */
int scratch_dir_make(struct scratch_dir *out, const char *data_dir, const char *what, struct why *why);
/* [blocks] With everything in it. Harmless on a zeroed one. */
void scratch_dir_remove(struct scratch_dir *dir);
/* [blocks] Removes what an earlier process left. Before the first one is made. */
void scratch_dir_sweep(const char *data_dir);

/* "path/name"; ERR_TOO_BIG. */
int scratch_dir_file(const struct scratch_dir *dir, const char *name, char out[PATH_MAX], struct why *why);

#endif
