/* cache_build.h - brings the directory of one cached repository up to what its names say. Private to gateway/git.
 *
 * One caller at a time per repository (cache.c sees to it). git processes may be reading the directory meanwhile: packs appear before the refs that need
 * them, and go away only when nobody else holds a lease. */
#ifndef CAIRN_GATEWAY_GIT_CACHE_BUILD_H
#define CAIRN_GATEWAY_GIT_CACHE_BUILD_H

#include "gateway/git/cache.h"
#include "gateway/git/cache_state.h"

struct cache_build {
	struct gateway *gateway;
	struct entity_id repo;
	const char *dir;                /* of the repository */
	const char *trash;              /* a path of no file beside it, for what is thrown away */
	struct cache_state *old;        /* what is there; NULL: not known, look; borrowed */
	bool distrusted;                /* throw away what is there */
	bool alone;                     /* nobody else has a lease: packs may go */
	bool was_rebuilt;               /* out: from nothing, though there was something */
};

/* [blocks] *out: what is there now, one reference. ERR_NOT_FOUND: the repository was deleted. Others as git_cache_lease. */
int cache_build(struct cache_build *build, struct cache_state **out, struct why *why);
/* [blocks] Replaces what the directory says of itself. By whoever builds it. */
int cache_write_state(const char *dir, const struct cache_state *state, struct why *why);
/* [blocks] An empty repository in a directory that does not exist. */
int cache_make_empty(const char *dir, struct why *why);
/* [blocks] Moves it out of the way, then removes it. */
int cache_throw_away(const char *dir, const char *trash);

#endif
