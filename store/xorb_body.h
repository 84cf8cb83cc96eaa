/* xorb_body.h - the body of one xorb on its way to disk: gathered in write buffers, written as fragments.
 *
 * The last, short stretch is not written by itself: it travels with the xorb's record through the journal, so that a small xorb costs one
 * write. One owner, one thread. */
#ifndef CAIRN_STORE_XORB_BODY_H
#define CAIRN_STORE_XORB_BODY_H

#include "store/journal.h"
#include "store/writer.h"
#include "store/xorb.h"

enum { XORB_TAIL_BYTES_MAX = 256 << 10 };

struct xorb_body {
	struct writer *writer;
	struct write_group writes;
	struct write_buffer *buffer; /* being filled; NULL when there is none */
	struct xorb_fragment *fragments;
	uint32_t fragments_count, fragments_capacity;
};

void xorb_body_init(struct xorb_body *body, struct writer *writer);
/* [blocks] Waits for writes under way; the buffer goes back. */
void xorb_body_fini(struct xorb_body *body);
/* [blocks when write buffers are used up] Room for `room` bytes in one piece, at most one chunk's: fill it, then add to body->buffer->used.
 * `more`: bytes that are expected to follow. ERR_BUSY, ERR_NO_SPACE, ... */
int xorb_body_room(struct xorb_body *body, size_t room, uint64_t more, struct why *why);
/* The same, then copies, unless `data` lies in that room already. Any length. */
int xorb_body_append(struct xorb_body *body, const uint8_t *data, size_t length, uint64_t more, struct why *why);

/* What the journal has to write for a xorb. Its tail is a buffer of the body: valid until xorb_records_fini. */
struct xorb_records {
	struct journal_record records[2];
	size_t count;
	struct buffer payload;
	struct write_buffer *tail;
	struct writer *writer;
};
/* [blocks] Waits until all fragments are written and makes the records. `replaces`: this copy takes the place of a damaged one; `sent`: it
 * is a client's. The body is spent: xorb_body_fini comes next. On error nothing is kept. */
int xorb_body_finish(struct xorb_body *body, const struct hash *xorb, bool replaces, bool sent, const struct xorb_chunk *chunks, uint32_t count,
	struct xorb_records *out, struct why *why);
void xorb_records_fini(struct xorb_records *records);

/* The payload of a xorb's record. */
int xorb_record_encode(struct buffer *out, const struct xorb_record *record, const struct xorb_fragment *fragments,
	const struct xorb_chunk *chunks);

#endif
