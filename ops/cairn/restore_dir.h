/* restore_dir.h - the data directory that a restore fills.
 *
 * DIR/lock is held meanwhile, as by a server. DIR/restoring says of which backup it is; it is made before anything else and goes when all is there, so that
 * no server takes a half for a hub (ops/cairnd/data_dir.h), and a restore that was cut short is known as such by the next. */
#ifndef CAIRN_OPS_CAIRN_RESTORE_DIR_H
#define CAIRN_OPS_CAIRN_RESTORE_DIR_H

#include <stdbool.h>

struct restore_dir {
	const char *path;
	int lock_fd;
	bool goes_on;  /* what an earlier restore of the same backup left is here: files that have their names are whole */
	bool is_whole; /* and all of them are here: only the end is missing */
};

/* Takes a directory that is absent, or holds nothing but what a restore left; of another backup, that is removed. `backup` is a line that no other backup has.
 * 0, or 1: told. */
int restore_dir_open(struct restore_dir *out, const char *path, const char *backup);
/* All is here, and durable. 0, or 1: told. */
int restore_dir_finish(struct restore_dir *dir);
/* The lock goes, whether it was finished or not. */
void restore_dir_close(struct restore_dir *dir);

#endif
