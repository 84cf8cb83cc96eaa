/* likes.h - who likes which repository, since when, and how many do.
 *
 * DESIGN. Group 0. A like is two keys, one under the repository and one under the user, and a number beside it, all changed by one command; liking
 * twice changes nothing. A deleted repository's likes are taken away in steps, since there may be a million of them; until then those under
 * the users name a repository that is not there. */
#ifndef CAIRN_REPLICATION_LIKES_H
#define CAIRN_REPLICATION_LIKES_H

#include "replication/day_counts.h"
#include "replication/namespace.h"

enum { LIKES_DROPPED_AT_ONCE = 4096 };

struct like {
	struct entity_id repo;
	char user[NAME_BYTES_MAX + 1];
	int64_t created_ms;
};

/* [blocks] Both: 0 also when it is so already; ERR_NOT_FOUND: no such repository. */
int repo_like(struct namespace *ns, const char *user, const struct entity_id *repo, struct why *why);
int repo_unlike(struct namespace *ns, const char *user, const struct entity_id *repo, struct why *why);

/* Zeros when nobody ever did. */
int likes_of_repo(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct entity_id *repo, struct day_counts *out);
bool repo_liked_by(struct namespace *ns, const struct entity_id *repo, const char *user);
/* In the order of user names, from `after` (exclusive, NULL: start). */
int likers_list(struct namespace *ns, const struct entity_id *repo, const char *after, int (*each)(void *context, const struct like *like), void *context);
/* Newest first, from `after` (exclusive, NULL: start). The repository of a like may be gone. */
int liked_list(struct namespace *ns, const char *user, const struct like *after, int (*each)(void *context, const struct like *like), void *context);

/* [blocks] Of a repository that is being deleted. */
int likes_drop(struct namespace *ns, const struct entity_id *repo, struct why *why);

#endif
