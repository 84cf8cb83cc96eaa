/* lock.h - file locks of Git LFS: at most one per path of a repository, whoever asks first.
 *
 * A lock is a record of the state machine whose creation has the condition "nobody holds this path", evaluated when the command is applied:
 * of two that race, one is told ERR_EXISTS and who won. Its id begins with the time of locking, inverted, so that ids in ascending order are locks from
 * the newest to the oldest, and a listing can go on behind any id, also one whose lock is gone by then.
 *
 * Whether locks of a repository count at all is its setting `lfs_locks`; the edge asks for it, records stay when it is switched off. */
#ifndef CAIRN_REPLICATION_LOCK_H
#define CAIRN_REPLICATION_LOCK_H

#include "replication/namespace.h"

enum {
	LOCK_PATH_BYTES_MAX = 4096,
	LOCK_ID_BYTES = 8 + ENTITY_ID_BYTES,
	LOCK_ID_TEXT_BYTES = 2 * LOCK_ID_BYTES + 1,
	LOCKS_MAX = 100000, /* of one repository */
};

struct lock_id {
	uint8_t bytes[LOCK_ID_BYTES];
};

struct lock {
	struct lock_id id;
	char path[LOCK_PATH_BYTES_MAX + 1];
	char owner[NAME_BYTES_MAX + 1]; /* the user who locked it */
	char ref[REF_BYTES_MAX + 1];    /* as the client named it; "" for none */
	int64_t locked_ms;
};

/* [blocks] Locks `path` for `owner`. ERR_EXISTS: it is locked (by anyone, `owner` included) and *out is that lock. ERR_NOT_FOUND: no such repository.
 * ERR_TOO_BIG: LOCKS_MAX. */
int lock_create(struct namespace *ns, const char *owner, const struct entity_id *repo, struct span path, const char *ref, struct lock *out,
	struct why *why);
/* [blocks] ERR_NOT_FOUND; ERR_DENIED: it is somebody else's than `actor`'s, and `force` is not set. */
int lock_delete(struct namespace *ns, const char *actor, const struct entity_id *repo, const struct lock_id *id, bool force, struct why *why);

int lock_get(struct namespace *ns, const struct entity_id *repo, const struct lock_id *id, struct lock *out);        /* 0, ERR_NOT_FOUND, ERR_IO */
int lock_of_path(struct namespace *ns, const struct entity_id *repo, struct span path, struct lock *out); /* the same */
/* One look-up. */
int lock_count(struct namespace *ns, const struct entity_id *repo, uint64_t *count);
/* Newest first, from `from` on (itself included; NULL: the newest). Non-zero from `each` stops and is returned. */
int lock_list(struct namespace *ns, const struct entity_id *repo, const struct lock_id *from, int (*each)(void *context, const struct lock *lock),
	void *context);

#endif
