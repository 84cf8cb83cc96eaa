/* chunk_run.h - a stretch of stored chunks in memory, read in one go: what both readers look through. One owner, one thread. */
#ifndef CAIRN_STORE_CHUNK_RUN_H
#define CAIRN_STORE_CHUNK_RUN_H

#include "store/stored_xorb.h"
#include "store/volume.h"

enum { CHUNK_RUN_BYTES = CHUNK_STORED_BYTES_MAX > 256 << 10 ? CHUNK_STORED_BYTES_MAX : 256 << 10 };

struct chunk_run {
	struct stored_xorb *xorb; /* borrowed; NULL: nothing is loaded */
	uint32_t first, end;      /* chunks */
	uint8_t *room;            /* VOLUME_DIRECT_ROOM(CHUNK_RUN_BYTES), allocated at the first load */
	const uint8_t *bytes;     /* in it: where the first chunk begins */
	bool once;                /* nobody here reads the same soon: past the page cache, where that can be */
	bool has_checked;
	uint32_t checked;         /* the chunk that was checked last, */
	struct xorb_chunk_header header; /* and its header */
	uint32_t ahead_bytes;     /* of a remote xorb: remote_xorb_bring */
};

/* Stored bytes of a chunk and its header, checked; loads it and as many of those up to `end` behind it as fit. ERR_AGAIN, ERR_CORRUPT, ERR_IO, ... */
int chunk_run_read(struct chunk_run *run, struct stored_xorb *xorb, uint32_t chunk, uint32_t end, bool may_block, const uint8_t **bytes,
	struct xorb_chunk_header *header, struct why *why);
void chunk_run_fini(struct chunk_run *run);

/* True when a byte of a volume is in the page cache. */
bool volume_is_cached(const struct volume *volume, uint64_t offset);

#endif
