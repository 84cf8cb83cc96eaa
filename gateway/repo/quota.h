/* quota.h - may an owner's repositories grow by this much? Asked before bytes flow, by every way in.
 *
 * DESIGN. What counts is logical bytes: what each repository of the owner has claims on, whatever dedup makes of it on disk. For an owner without a
 * quota the question is one look-up. With one, the sum over the owner's repositories is taken at most once per QUOTA_STALE_MS and remembered; what was
 * admitted since and what is under way (reservations) is added. So many uploads at once cannot pass together what none of them could alone, and an
 * owner can exceed the limit only by what arrived in ways that reserve nothing within that time.
 *
 * Who asks decides how far: the last tenth of a quota is kept for those who may write to the repository. Whoever may only propose uploads for pull requests
 * that nobody has asked for, and must not fill what the owner works in.
 *
 * Threads: any. The sum reads the index (about ten microseconds per repository). */
#ifndef CAIRN_GATEWAY_REPO_QUOTA_H
#define CAIRN_GATEWAY_REPO_QUOTA_H

#include "gateway/auth/auth.h"

enum { QUOTA_STALE_MS = 3000, QUOTA_KEPT_PART = 10 /* one in so many bytes, and one at least */ };

/* One look-up: does the owner have a quota? For callers to whom knowing how much more it will be is work. */
bool quota_applies(struct gateway *gateway, const struct repo *repo);

/* May `actor` add this much to `repo`, whose owner pays? 0, or ERR_NO_SPACE with a sentence: owner, limit, what is used, what was asked for. ERR_IO. */
int quota_check(struct gateway *gateway, const struct repo *repo, const struct actor *actor, uint64_t more_bytes, struct why *why);
/* Is `actor` one of those from whom a part is kept? They are also asked for what an owner is never refused, since it makes room: commits that delete. */
bool quota_is_proposal(struct gateway *gateway, const struct repo *repo, const struct actor *actor);

/* Bytes under way. The caller owns the memory, zeroed, until it is released; it must not move. */
struct quota_reservation {
	struct quota_reservation *previous, *next;
	struct gateway *gateway;
	char owner[NAME_BYTES_MAX + 1];
	uint64_t bytes;
	bool held;
};
/* As quota_check; on 0 the bytes count for everybody who asks until quota_release. Holds nothing for an owner without a quota. */
int quota_reserve(struct gateway *gateway, const struct repo *repo, const struct actor *actor, uint64_t bytes, struct quota_reservation *out, struct why *why);
/* `stored`: they have become part of what the owner has. Harmless on one that is not held. */
void quota_release(struct quota_reservation *reservation, bool stored);

/* What the owner's repositories hold, counted now. */
int quota_used(struct gateway *gateway, const char *owner, uint64_t *bytes);

#endif
