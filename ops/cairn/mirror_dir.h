/* mirror_dir.h - the bare repository that an import or mirror keeps between runs, so that the next one goes on where the last one ended.
 *
 *   DIR/              a bare git repository: branches and tags as they were fetched last; objects are never thrown away
 *   DIR/cairn-mirror  what it is a mirror of: one line; a folder is never used for something else
 *   DIR/cairn.lock    locked while a run uses it */
#ifndef CAIRN_OPS_CAIRN_MIRROR_DIR_H
#define CAIRN_OPS_CAIRN_MIRROR_DIR_H

#include <limits.h>

#include "ops/cairn/git_run.h"

struct mirror_dir {
	char path[PATH_MAX];
	int lock_fd;
};

/* Makes or opens the folder: `given`, or one below the operator's cache that is named after `what` ("import dataset ada/numbers from https://..."). Removes what a
 * killed git left in the way. 0 or EXIT_FAILED: told. */
int mirror_dir_open(struct mirror_dir *out, const char *given, const char *name, const char *what);
void mirror_dir_close(struct mirror_dir *dir);

/* Settings that every git on it gets. */
void mirror_dir_settings(struct git_settings *out);
/* False: there is no git-lfs; told. */
bool mirror_dir_has_lfs(const struct git_settings *settings);
/* Brings branches and tags of a remote, and drops those that are gone there. 0 or EXIT_FAILED: told. */
int mirror_dir_fetch(const struct mirror_dir *dir, const struct git_settings *settings, const char *remote);

#endif
