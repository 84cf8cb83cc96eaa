/* cache_bitmap.h - reachability bitmaps of a cached repository. Private to gateway/git.
 *
 * DESIGN. What a clone has to send is everything that some commits reach: without help git opens every commit and tree to find out, which is most of what a
 * clone costs. A bitmap index says it for some hundred commits in a bit per object, and git walks only from there on. It is made by stock `git multi-pack-index
 * write --bitmap` over all packs of the repository, so that nothing has to be packed anew, and stays right when packs come later: what it does not cover is walked.
 *
 * It takes seconds, so it is made in the background (cache_bitmapper.c) in a directory of its own, in which the packs are hard links, and moved to its place when
 * it is done, by whoever builds the repository at that moment and if all packs that it covers are still there. From then on its files are like all others that the
 * state of the repository lists: when one is not what it was, the repository is built anew. git drops the index with packs that it combines. */
#ifndef CAIRN_GATEWAY_GIT_CACHE_BITMAP_H
#define CAIRN_GATEWAY_GIT_CACHE_BITMAP_H

#include "gateway/git/cache_state.h"

enum {
	BITMAP_INDEXES_BYTES_MIN = 64 << 10, /* of pack indexes, about 28 an object: smaller repositories are walked as fast */
	BITMAP_SHARE = 4,                    /* made anew when what it does not cover is more than this part of what it does */
	BITMAP_WALL_MS = 1800 * 1000,
};

/* True when it is worth making. `tried_bytes`: of pack indexes, when it was tried last and failed; 0: never. */
bool cache_bitmap_wanted(const struct cache_state *state, uint64_t tried_bytes);
/* [blocks] Makes it of the repository in `dir` as `state` lists it, in `scratch`, a path of no file on the same file system; the caller removes that. Nothing in `dir` changes.
 * ERR_CLOSED: *stopping; ERR_CONFLICT: the packs have changed meanwhile. */
int cache_bitmap_make(const char *dir, const struct cache_state *state, const char *scratch, const _Atomic bool *stopping, struct why *why);
/* [blocks] Puts what was made of `covered` beside the packs that are there `now`, and writes the state *out. By whoever builds the repository. ERR_CONFLICT: packs that it
 * covers are gone, nothing has changed. After any other error the repository is not to be trusted. */
int cache_bitmap_take(const char *dir, const struct cache_state *covered, const struct cache_state *now, const char *scratch, struct cache_state **out, struct why *why);

#endif
