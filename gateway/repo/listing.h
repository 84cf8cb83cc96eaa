/* listing.h - packs on their way into the list of a repository. Private to the gateway.
 *
 * DESIGN. Whatever the object table knows as a commit or a tag, a ref may be made to lead to. So commits and tags enter it only when the command that lists
 * their pack was applied: of a push that is refused, or loses a race, nothing can be named, here as on all other nodes. Folders and files go in before, since
 * nothing leads to them yet. For the moment between the command and the table, the *listing* (a turn that excludes nobody) says that something is to come: who
 * misses a commit waits for it before the table is taken for damaged (object.c). If the table cannot be written, or takes too long, that costs a repair
 * (rebuild.h) and no more.
 *
 * Any thread. A listing lives on the stack of whoever proposes the command: begun before it, ended when the table has what it listed. No errors. */
#ifndef CAIRN_GATEWAY_REPO_LISTING_H
#define CAIRN_GATEWAY_REPO_LISTING_H

#include "gateway/repo/cache.h"
#include "gateway/repo/turn.h"

static inline void listing_begin(struct repo_cache *cache, struct turn *listing, const struct entity_id *repo)
{
	turn_join(repo_cache_turns(cache), listing, repo, TURN_LISTING);
}

static inline void listing_end(struct repo_cache *cache, struct turn *listing)
{
	turn_end(repo_cache_turns(cache), listing);
}

/* [blocks] Until those of the repository that are under way now have ended, or `wait_ms` have passed. */
static inline void listings_wait(struct repo_cache *cache, const struct entity_id *repo, int64_t wait_ms)
{
	turns_wait(repo_cache_turns(cache), repo, TURN_LISTING, wait_ms);
}

#endif
