/* checkpoint.c - a copy of state and log, as after a crash at this moment. */
#include "replication/meta_loop.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int checkpoint_db(rocksdb_t *db, const char *dir, struct why *why)
{
	char *error = NULL;
	rocksdb_checkpoint_t *checkpoint = rocksdb_checkpoint_object_create(db, &error);
	if (!error)
		rocksdb_checkpoint_create(checkpoint, dir, 0, &error);
	if (checkpoint)
		rocksdb_checkpoint_object_destroy(checkpoint);
	if (!error)
		return 0;
	int err = why_set(why, strstr(error, "No space left") ? ERR_NO_SPACE : ERR_IO, "cannot write a copy of the names to %s: %.200s", dir, error);
	rocksdb_free(error);
	return err;
}

int consensus_checkpoint(struct consensus *c, const char *dir, struct why *why)
{
	char path[4096];
	uint64_t applied[GROUPS_MAX];
	if (mkdir(dir, 0700) != 0)
		return why_set(why, errno == ENOSPC ? ERR_NO_SPACE : ERR_IO, "cannot make %s: %s", dir, strerror(errno));
	for (uint32_t group = 0; group < GROUPS_MAX; group++)
		applied[group] = applier_applied(c->applier, group);
	/* The state first: the log may then go further, but never less far. */
	snprintf(path, sizeof(path), "%s/meta", dir);
	int err = checkpoint_db(applier_db(c->applier), path, why);
	snprintf(path, sizeof(path), "%s/raftlog", dir);
	if (err == 0)
		err = checkpoint_db(log_store_db(c->store), path, why);
	for (uint32_t group = 0; group < GROUPS_MAX && err == 0; group++) {
		uint64_t first = log_store_first(c->store, group);
		if (first != UINT64_MAX && first > applied[group] + 1)
			err = why_set(why, ERR_BUSY, "the log was cut while it was copied, try again");
	}
	return err;
}
