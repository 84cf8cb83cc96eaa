/* branch_guard.h - may this actor do that to a branch? The question that every way in asks before it moves one: pushes, commits and branch calls of the API.
 *
 * The rules are in the state machine (replication/branch_rule.h), which decides once more when the ref moves; asking first gives an early answer with the
 * sentence that a person needs, and tells whether it is worth finding out if a change only adds to a branch. Without rules it costs one look-up. */
#ifndef CAIRN_GATEWAY_REPO_BRANCH_GUARD_H
#define CAIRN_GATEWAY_REPO_BRANCH_GUARD_H

#include "gateway/auth/auth.h"

enum branch_change {
	BRANCH_CREATE,
	BRANCH_ADVANCE, /* the new head descends from the old one */
	BRANCH_REWRITE,
	BRANCH_DELETE,
};

/* True when some rule covers the ref. */
bool branch_guard_any(struct gateway *gateway, const struct repo *repo, const char *ref);
/* 0, or ERR_DENIED with a sentence: what is protected, and from what. ERR_IO. */
int branch_guard_check(struct gateway *gateway, const struct repo *repo, const struct actor *actor, const char *ref, enum branch_change change,
	struct why *why);

/* Does a commit descend from (or equal) another one? `read` gives a commit's payload, valid until its next call. Visits every commit that is younger in
 * the worst case. Bounded: ERR_TOO_BIG. */
int branch_descends(int (*read)(void *context, const struct oid *oid, struct span *payload), void *context, const struct oid *commit,
	const struct oid *ancestor, bool *out);

#endif
