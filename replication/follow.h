/* follow.h - who follows whom: users follow users and organisations. Group 0, in both directions, with a count each. */
#ifndef CAIRN_REPLICATION_FOLLOW_H
#define CAIRN_REPLICATION_FOLLOW_H

#include "replication/namespace.h"

enum { FOLLOWING_MAX = 10000 }; /* of one user */

/* [blocks] Idempotent. ERR_INVALID: oneself; ERR_NOT_FOUND: no such user or organisation; ERR_TOO_BIG. */
int follow_set(struct namespace *ns, const char *follower, const char *followed, bool follows, struct why *why);

bool follow_is(struct namespace *ns, const char *follower, const char *followed);
struct follow_counts {
	uint64_t followers, following;
};
int follow_count(struct namespace *ns, const char *name, struct follow_counts *out);
/* Names in lower case, in order, behind `after` (NULL: the first): of those who follow `name`, or whom `name` follows. Non-zero stops and is returned. */
int follower_list(struct namespace *ns, const char *name, const char *after, int (*each)(void *context, const char *follower), void *context);
int following_list(struct namespace *ns, const char *name, const char *after, int (*each)(void *context, const char *followed), void *context);

#endif
