/* cache.h - bare repositories on this gateway's disk, made from packs and refs, thrown away at will.
 *
 * DESIGN. Stock git reads repositories from a directory. The truth is elsewhere (packs in the store, refs and the list of packs in the state machine), so
 * what is in DIR/git/<repository id>.git is a view: it can be deleted at any moment, costs a rebuild, and nothing but that. A lease brings the view of
 * one repository up to what its names say and keeps it from being evicted until it is given back. A repository that has not changed costs
 * a look at a table and a few stat calls.
 *
 *   config, HEAD, packed-refs   written by rename; there are no loose refs
 *   objects/pack/               packs as pushes brought them, and local packs: commits made by the Hub API are one store file each, without the bytes of regular
 *                               files; many of them become one local pack that has those bytes too (local_pack.h)
 *                               beside them, when there are many objects, bitmaps of what commits reach (cache_bitmap.h)
 *   cairn-state                 written last, by rename: which packs of the names are in, which files that made, and the version of the refs
 *
 * Packs that were merged into another one stay until they are half of what is there: the new one holds the same objects, so only it is brought.
 *
 * What does not fit together (a state that is torn or of another boot of this machine, a file with another size or time than the state says, an error of git
 * that names the repository's files) has the directory removed and built anew. Sizes of all directories together are bounded; the longest unused goes
 * first. On a disk that is nearly full nothing is built: what is free belongs to the store.
 *
 * Threads: any. One lease at a time builds a repository; others wait for it, for a bounded time. */
#ifndef CAIRN_GATEWAY_GIT_CACHE_H
#define CAIRN_GATEWAY_GIT_CACHE_H

#include <limits.h>

#include "gateway/gateway.h"

enum {
	GIT_CACHE_WAIT_MS = 120000,       /* for another lease that builds the same repository */
	GIT_CACHE_PACKS_MAX = 40,         /* pack files of one repository before they are combined */
};

struct git_cache; /* struct gateway has it */

struct git_cache_config {
	const char *data_dir;    /* the cache is DIR/git */
	uint64_t bytes_max;      /* 0: a tenth of the file system, at most 20 GiB */
	uint64_t reserve_bytes;  /* what uploads leave free on the disk; the cache leaves twice that; 0: 256 MiB */
};

/* [blocks] Removes what a crash left behind; keeps the repositories. */
int git_cache_open(struct git_cache **out, struct gateway *gateway, const struct git_cache_config *config, struct why *why);
/* All leases must be back. */
void git_cache_close(struct git_cache *cache);

struct git_cache_repo; /* one repository's directory; private */

struct git_lease {
	struct git_cache_repo *repo; /* NULL: none */
	uint64_t version;            /* of the refs that it has: at least what was asked for */
	uint64_t bytes;              /* of its files: about what a clone of all of it sends */
	char dir[PATH_MAX];          /* of the bare repository, absolute; its objects are in "objects" */
};

/* [blocks] Brings the repository to at least repo->version, as the caller just read it. 0, ERR_NOT_FOUND (deleted meanwhile), ERR_BUSY (another lease is building it
 * and takes long), ERR_NO_SPACE, ERR_CORRUPT (a pack of the repository is damaged in the store), ERR_IO, ERR_UNSUPPORTED (no git here). */
int git_cache_lease(struct gateway *gateway, const struct repo *repo, struct git_lease *out, struct why *why);
/* The same if that needs neither building nor waiting; else ERR_AGAIN. */
int git_cache_lease_now(struct gateway *gateway, const struct repo *repo, struct git_lease *out);
void git_cache_release(struct gateway *gateway, struct git_lease *lease);
/* git failed on it: it is removed, and built anew by the next lease. The lease must still be released. */
void git_cache_distrust(struct gateway *gateway, const struct git_lease *lease);
/* The same, if what git said on standard error blames the files of the repository and not its caller; at most once a minute for one
 * repository, since a client has a part in those words. True if so. */
bool git_cache_blame(struct gateway *gateway, const struct git_lease *lease, const char *said);

/* Another holder of bytes on the same disk under the same bound: stored answers. `bytes` may be negative. */
void git_cache_account(struct git_cache *cache, int64_t bytes);
/* True when `bytes` more may be written without touching what the store needs. */
bool git_cache_has_room(struct git_cache *cache, uint64_t bytes);

struct git_cache_stats {
	uint64_t repositories, bytes, bytes_max;
	uint64_t leases, builds, rebuilds, evictions, bitmaps, bitmaps_failed; /* since start */
};
void git_cache_stats(struct git_cache *cache, struct git_cache_stats *out);

#endif
