/* turn.h - one at a time per name: commits onto one branch, repairs of one repository. Private to gateway/repo.
 *
 * DESIGN. Commits onto one branch are serial by nature: the second needs the first one's commit as its parent. Whoever waits for its turn builds on the
 * result of the one before, instead of building on an old head, syncing, and losing the race. Turns are a courtesy between the threads of
 * one node: what keeps branches right is the condition of the command that moves them. So a turn that does not come in time is
 * no error for correctness, and the wait is bounded. */
#ifndef CAIRN_GATEWAY_REPO_TURN_H
#define CAIRN_GATEWAY_REPO_TURN_H

#include "schemas/hash.h"

#define TURN_LISTING "listing" /* of packs: listing.h. Names of refs begin otherwise */

struct turns;
int turns_open(struct turns **out);
void turns_close(struct turns *turns);

/* Lives on the stack of whoever has the turn. */
struct turn {
	struct entity_id repo;
	const char *name; /* of a ref; "" for a repair; TURN_LISTING */
	uint64_t number;  /* in the order in which they began */
	struct turn *next;
};
/* [blocks] 0 or ERR_BUSY (not within `wait_ms`). `name` must stay until turn_end. */
int turn_begin(struct turns *turns, struct turn *turn, const struct entity_id *repo, const char *name, int64_t wait_ms);
/* The same beside others of that name, without waiting. */
void turn_join(struct turns *turns, struct turn *turn, const struct entity_id *repo, const char *name);
void turn_end(struct turns *turns, struct turn *turn);
/* [blocks] Until those of that name that are under way now have ended, or `wait_ms` have passed. */
void turns_wait(struct turns *turns, const struct entity_id *repo, const char *name, int64_t wait_ms);

#endif
