/* stored_xorb.h - a xorb on disk: its chunk table in memory, its bytes read back and checked.
 *
 * DESIGN. Tables are read from the xorb's record in a volume and kept in a cache bounded in bytes, shared by reference count. A stored xorb
 * holds the volumes in which its fragments lie, so that they stay readable while somebody reads.
 *
 * What was checked recently is remembered for each chunk, so that bytes which are in the page cache need not be checked for every reader: for
 * XORB_SEEN_MS a chunk that was checked counts as good.
 *
 * Any thread. */
#ifndef CAIRN_STORE_STORED_XORB_H
#define CAIRN_STORE_STORED_XORB_H

#include "store/index.h"
#include "store/volume.h"

enum {
	XORB_CACHE_BYTES_MAX = 12 << 20,
	XORB_SEEN_MS = 10 * 60 * 1000,
	CHUNK_STORED_BYTES_MAX = XORB_CHUNK_HEADER_BYTES + XORB_PAYLOAD_BYTES_MAX,
};

enum xorb_chunk_seen { CHUNK_UNSEEN = 0, CHUNK_PLAIN = 1, CHUNK_COMPRESSED = 2 };

struct stored_fragment {
	struct volume *volume; /* held */
	uint64_t offset;       /* of its first body byte in the volume */
	uint32_t start, end;   /* body bytes */
};

struct remote_part;

struct stored_xorb {
	_Atomic int references;
	struct xorb_cache *cache;
	struct stored_xorb *chain, *newer, *older;
	size_t bytes;
	_Atomic int64_t seen_since_ms;
	_Atomic uint8_t *seen; /* enum xorb_chunk_seen, a chunk */
	uint32_t fragments_count;
	struct stored_fragment *fragments;
	struct remote_part *remote; /* NULL: all of its bytes are this node's (remote_xorb.h) */
	void (*free_remote)(struct stored_xorb *xorb);
	struct xorb_table table; /* last: ends in the chunks */
};

struct xorb_cache;
int xorb_cache_open(struct xorb_cache **out, struct volumes *volumes, struct index *index);
void xorb_cache_close(struct xorb_cache *cache);
/* Forgets one: its places have changed, or it is gone. */
void xorb_cache_drop(struct xorb_cache *cache, const struct hash *xorb);

/* [blocks unless may_block is false: then ERR_AGAIN when it is not in the cache] 0, ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO. */
int stored_xorb_open(struct stored_xorb **out, struct xorb_cache *cache, const struct hash *xorb, bool may_block, struct why *why);
/* [blocks] The same for what will not be asked for again soon: the cache keeps what it has. */
int stored_xorb_open_once(struct stored_xorb **out, struct xorb_cache *cache, const struct hash *xorb, struct why *why);
/* [blocks] Whether its record can be read from the disk; its bytes are not. The same errors. */
int stored_xorb_check(struct xorb_cache *cache, const struct hash *xorb, struct why *why);
/* From its record, outside the cache (recovery, scrub, fsck). Fragments must be resolved. */
int stored_xorb_make(struct stored_xorb **out, struct volumes *volumes, const struct xorb_record *record, const struct xorb_fragment *fragments,
	struct why *why);
/* Of a file that begins with its body, which is held from here on; chunks as stored_chunks_check finds them good. */
int stored_xorb_make_whole(struct stored_xorb **out, const struct hash *hash, const struct xorb_chunk *chunks, uint32_t count, struct volume *volume,
	struct why *why);
/* 0, or ERR_CORRUPT: no xorb has such a table. */
int stored_chunks_check(const struct xorb_chunk *chunks, uint32_t count, struct why *why);
void stored_xorb_release(struct stored_xorb *xorb);

static inline uint32_t stored_chunk_start(const struct stored_xorb *xorb, uint32_t chunk)
{
	return chunk ? xorb->table.chunks[chunk - 1].body_end : 0;
}
static inline uint32_t stored_chunk_raw_start(const struct stored_xorb *xorb, uint32_t chunk)
{
	return chunk ? xorb->table.chunks[chunk - 1].raw_end : 0;
}

/* Reads body bytes [start, start + length). 0, ERR_AGAIN (may_block false and not in the page cache), ERR_IO. */
int stored_xorb_read(struct stored_xorb *xorb, uint32_t start, size_t length, void *out, bool may_block, struct why *why);
/* Checks the stored bytes of one chunk against the table; remembers it. 0 and its header, or ERR_CORRUPT naming volume and offset. */
int stored_chunk_check(struct stored_xorb *xorb, uint32_t chunk, const uint8_t *bytes, struct xorb_chunk_header *header, struct why *why);
/* What is known of a chunk that was checked recently. */
enum xorb_chunk_seen stored_chunk_seen(struct stored_xorb *xorb, uint32_t chunk);
/* Where body byte `at` lies, and how many follow it in the same place. */
const struct stored_fragment *stored_xorb_locate(const struct stored_xorb *xorb, uint32_t at);
/* [blocks] Reads and checks every chunk. `hashes`: also decodes them and compares their hashes. */
int stored_xorb_verify(struct stored_xorb *xorb, bool hashes, struct why *why);

#endif
