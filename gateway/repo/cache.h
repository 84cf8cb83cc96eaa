/* cache.h - what repositories keep in memory: directories, commits and resolved revisions. Private to gateway/repo.
 *
 * DESIGN. One least-recently-used cache with one budget of bytes for all repositories. Items are immutable, reference-counted and found by a
 * fixed key; a look-up takes one of CACHE_SHARDS mutexes for the length of a hash chain, so loops do not meet. Immutable objects never go stale;
 * what can (a revision, a directory with files that are not there yet) carries what it takes to notice.
 *
 * The cache also keeps the turns of writers: see turn.h. */
#ifndef CAIRN_GATEWAY_REPO_CACHE_H
#define CAIRN_GATEWAY_REPO_CACHE_H

#include <stdatomic.h>

#include "gateway/repo/repo.h"

enum { CACHE_SHARDS = 32 };

enum cached_kind { CACHED_DIRECTORY = 1, CACHED_COMMIT, CACHED_REVISION, CACHED_REPAIR };

struct cache_key {
	uint8_t bytes[1 + ENTITY_ID_BYTES + OID_BYTES]; /* kind, repository, object */
};

/* The head of every item; the item is one allocation that begins with it. */
struct cached {
	struct cached *chain;         /* same bucket */
	struct cached *newer, *older; /* the shard's list by use */
	uint64_t hash;
	size_t bytes;
	atomic_uint references;
	struct cache_key key;
};

struct cache_key cache_key_make(enum cached_kind kind, const struct entity_id *repo, const struct oid *oid);
/* Zeroed, one reference, owned by the caller. NULL: no memory. */
void *cached_alloc(size_t bytes);
void cached_release(struct cached *item); /* may be NULL */

/* A reference to the item with this key, or NULL. */
struct cached *repo_cache_get(struct repo_cache *cache, const struct cache_key *key);
/* Remembers an item in place of an older one with its key; the caller keeps its reference. Items too big for the budget are let go. */
void repo_cache_put(struct repo_cache *cache, const struct cache_key *key, struct cached *item);

struct turns *repo_cache_turns(struct repo_cache *cache);
/* Keyed with a secret of this process: outsiders cannot aim at one bucket. */
struct oid repo_cache_digest(const struct repo_cache *cache, struct span text);

int64_t cache_clock_ms(void); /* coarse: a few nanoseconds, a few milliseconds */

#endif
