/* path_lock.h - is a path that somebody wants to change locked by somebody else?
 *
 * Every way in that changes files of a branch asks: commits of the API (draft_finish.c) and pushes. It costs nothing for a repository whose
 * locks are off, one look-up for one that has none, and one look-up per path otherwise. A lock that is taken between the question and the move of the
 * ref does not stop that change: whoever locks a file looks at its newest version afterwards. */
#ifndef CAIRN_GATEWAY_REPO_PATH_LOCK_H
#define CAIRN_GATEWAY_REPO_PATH_LOCK_H

#include "gateway/repo/repo.h"

struct path_locks {
	struct namespace *ns;
	struct entity_id repo;
	char actor[NAME_BYTES_MAX + 1]; /* whose own locks do not count */
	bool any;                       /* false: every path is free */
};

/* 0 or ERR_IO. Nothing to close. */
int path_locks_open(struct path_locks *out, struct gateway *gateway, const struct repo *repo, const char *actor);
/* 0: free, or locked by the actor. ERR_DENIED: `owner` (may be NULL) has locked it, and `why` is a sentence that names path, owner and remedy. ERR_IO. */
int path_locks_check(const struct path_locks *locks, struct span path, char owner[NAME_BYTES_MAX + 1], struct why *why);

/* The same the other way round, for changes that are cheaper to ask about a path than to list: the first lock of somebody else whose path `touches` takes. */
int path_locks_find(const struct path_locks *locks, bool (*touches)(void *context, struct span path), void *context, struct why *why);

/* [blocks] For a branch that moves from one commit to another, both of them stored: is anything different between them that somebody else has locked? */
int path_locks_between(struct gateway *gateway, const struct repo *repo, const char *actor, const struct oid *before, const struct oid *after, struct why *why);

#endif
