/* open_xorb.h - a xorb that the server is making of chunks, one at a time, written to disk as it grows.
 *
 * Chunks are encoded straight into write buffers; full ones go to disk as fragments. The last, short one travels with the xorb's record
 * through the journal, so that a small upload costs one write. One owner, one thread. */
#ifndef CAIRN_STORE_OPEN_XORB_H
#define CAIRN_STORE_OPEN_XORB_H

#include "store/digest.h"
#include "store/journal.h"
#include "store/writer.h"
#include "store/xorb.h"

enum {
	OPEN_XORB_BYTES_MAX = 64 << 20, /* body, and raw bytes */
	OPEN_XORB_TAIL_BYTES_MAX = 256 << 10,
};

struct open_xorb {
	struct writer *writer;
	struct write_group writes;
	struct write_buffer *buffer; /* being filled; NULL when empty */
	struct xorb_fragment *fragments;
	uint32_t fragments_count, fragments_capacity;
	struct xorb_chunk *chunks;
	uint32_t chunks_count, chunks_capacity;
	uint16_t *slots;             /* chunk index + 1 by hash; 2 * chunks_capacity of them */
	struct merkle *merkle;
	uint32_t body_length, raw_length;
};

int open_xorb_init(struct open_xorb *xorb, struct writer *writer);
/* [blocks] Waits for writes under way and forgets everything. */
void open_xorb_fini(struct open_xorb *xorb);
/* Index of a chunk that is in it, or UINT32_MAX. */
uint32_t open_xorb_find(const struct open_xorb *xorb, const struct hash *chunk);
bool open_xorb_is_full(const struct open_xorb *xorb, size_t raw_length);
/* [blocks when write buffers are used up] Appends a chunk. `more`: bytes that are expected to follow. ERR_BUSY, ERR_NO_SPACE, ... */
int open_xorb_add(struct open_xorb *xorb, const struct hash *hash, const uint8_t *raw, size_t length, uint64_t more, struct why *why);

/* [blocks] Closes the xorb: what the journal has to write for it. `out` takes over the tail buffer; give it back with sealed_xorb_fini after
 * the records are done. The open xorb is as after open_xorb_init then. */
struct sealed_xorb {
	struct hash xorb;
	struct journal_record records[2];
	size_t records_count;
	struct buffer payload;
	struct write_buffer *tail;
	struct writer *writer;
};
int open_xorb_seal(struct open_xorb *xorb, struct sealed_xorb *out, struct why *why);
void sealed_xorb_fini(struct sealed_xorb *sealed);

/* The record of a xorb whose chunks and fragments are known. */
int xorb_record_encode(struct buffer *out, const struct xorb_record *record, const struct xorb_fragment *fragments,
	const struct xorb_chunk *chunks);

#endif
