/* local_pack.h - packs on disk as git wants them, from packs in the store. Private to gateway/git.
 *
 * DESIGN. A commit made by the Hub API is a store file of its own: a few objects, and a map that says where the bytes of regular files are. A directory of
 * thousands of such packs would be slow, and they lack the blobs. So all that are missing become one pack: the objects as they are, each once, and behind them
 * the blobs, streamed from the store. A new pack begins when one is large. Packs that git made, by a push or by compaction, are copied as they are: they hold
 * everything, and their index with them.
 *
 * Files are made in DIR/tmp and moved to DIR/objects/pack: .pack, .rev, then .idx, which is the one that git looks for. */
#ifndef CAIRN_GATEWAY_GIT_LOCAL_PACK_H
#define CAIRN_GATEWAY_GIT_LOCAL_PACK_H

#include "gateway/git/cache.h"

enum {
	LOCAL_PACK_OBJECTS_MAX = 2 << 20,
	ROOM_STEP_BYTES = 64 << 20, /* written between two looks at the free space */
};

#define LOCAL_PACK_BYTES_MAX ((uint64_t)2 << 30)

/* [blocks] Makes packs of the commits in `packs` (all PACK_INSERT, oldest first) in the repository `dir`. */
int local_pack_combine(struct gateway *gateway, const char *dir, const struct pack *packs, size_t count, struct why *why);
/* [blocks] Brings one pack that git made. */
int local_pack_copy(struct gateway *gateway, const char *dir, const struct pack *pack, struct why *why);

#endif
