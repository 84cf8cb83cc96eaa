/* data_dir.h - the directory that holds everything, owned by one process at a time.
 *
 * DIR/lock is held as long as the process lives; DIR/meta names, DIR/store bytes, DIR/tmp unnamed files, DIR/admin-token the first
 * token. All of it is readable by the daemon's user only. */
#ifndef CAIRN_OPS_CAIRND_DATA_DIR_H
#define CAIRN_OPS_CAIRND_DATA_DIR_H

#include <limits.h>
#include <stdbool.h>

#include "schemas/error.h"

struct data_dir {
	char path[PATH_MAX];  /* absolute */
	char meta[PATH_MAX + 16], store[PATH_MAX + 16], tmp[PATH_MAX + 16], admin_token[PATH_MAX + 16];
	int lock_fd;
};

/* Makes what is absent, but for DIR/meta, and takes the lock. ERR_BUSY: another process has it; ERR_CONFLICT: a restore did not end. */
int data_dir_open(struct data_dir *out, const char *path, struct why *why);
/* A hub's bytes are in DIR/store, or some of them: its names were founded before them. */
bool data_dir_has_bytes(const struct data_dir *dir);
void data_dir_close(struct data_dir *dir);

#endif
