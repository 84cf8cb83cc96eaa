/* open_xorb.h - a xorb that the server is making of chunks, one at a time, written to disk as it grows.
 *
 * Chunks are encoded straight into write buffers (xorb_body.h). One owner, one thread. */
#ifndef CAIRN_STORE_OPEN_XORB_H
#define CAIRN_STORE_OPEN_XORB_H

#include "store/damaged.h"
#include "store/digest.h"
#include "store/xorb_body.h"

enum { OPEN_XORB_BYTES_MAX = 64 << 20 /* body, and raw bytes */ };

struct open_xorb {
	struct xorb_body body;
	struct xorb_chunk *chunks;
	uint32_t chunks_count, chunks_capacity;
	uint16_t *slots; /* chunk index + 1 by hash; 2 * chunks_capacity of them */
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
/* [blocks] Closes the xorb: its hash, and what the journal has to write. If an equal one is damaged, this one takes its place. The open xorb is as after open_xorb_init then. */
int open_xorb_seal(struct open_xorb *xorb, struct damaged_list *damaged, struct hash *hash, struct xorb_records *out, struct why *why);

#endif
