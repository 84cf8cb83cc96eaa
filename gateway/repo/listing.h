/* listing.h - packs on their way into the list of a repository. Private to the gateway.
 *
 * DESIGN. Whatever the object table knows as a commit or a tag, a ref may be made to lead to. So commits and tags enter it only when the command that lists
 * their pack was applied: of a push that is refused, or loses a race, nothing can be named, here as on all other nodes. Folders and files go in before, since
 * nothing leads to them yet. For the moment between the command and the table, the *listing* says that something is to come: who misses a commit waits for it
 * before the table is taken for damaged (object.c). If the table cannot be written, or takes too long, that costs a repair (rebuild.h) and no more. */
#ifndef CAIRN_GATEWAY_REPO_LISTING_H
#define CAIRN_GATEWAY_REPO_LISTING_H

#include <stdint.h>

#include "schemas/hash.h"

struct listings;
int listings_open(struct listings **out);
void listings_close(struct listings *listings);

/* Lives on the stack of whoever proposes the command: begun before it, ended when the table has what it listed. */
struct listing {
	struct entity_id repo;
	uint64_t number;
	struct listing *next;
};
void listing_begin(struct listings *listings, struct listing *listing, const struct entity_id *repo);
void listing_end(struct listings *listings, struct listing *listing);
/* [blocks] Until those of the repository that are under way now have ended, or `wait_ms` have passed. */
void listings_wait(struct listings *listings, const struct entity_id *repo, int64_t wait_ms);

#endif
