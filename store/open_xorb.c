#include "store/open_xorb.h"

#include "store/coded.h"

#include <assert.h>
#include <stdlib.h>

enum { CHUNKS_FIRST = 64 };

int open_xorb_init(struct open_xorb *xorb, struct writer *writer)
{
	*xorb = (struct open_xorb){ 0 };
	xorb_body_init(&xorb->body, writer);
	return merkle_open(&xorb->merkle);
}

void open_xorb_fini(struct open_xorb *xorb)
{
	xorb_body_fini(&xorb->body);
	merkle_close(xorb->merkle);
	free(xorb->chunks);
	free(xorb->slots);
}

static uint32_t slot_of(const struct open_xorb *xorb, const struct hash *chunk)
{
	uint32_t slots = 2 * xorb->chunks_capacity, slot = (uint32_t)hash_mod(chunk, slots);
	while (xorb->slots[slot] && !hash_equal(&xorb->chunks[xorb->slots[slot] - 1].hash, chunk))
		slot = (slot + 1) % slots;
	return slot;
}

uint32_t open_xorb_find(const struct open_xorb *xorb, const struct hash *chunk)
{
	if (xorb->chunks_count == 0)
		return UINT32_MAX;
	return (uint32_t)xorb->slots[slot_of(xorb, chunk)] - 1; /* an empty slot gives UINT32_MAX */
}

static int grow_chunks(struct open_xorb *xorb)
{
	if (xorb->chunks_count < xorb->chunks_capacity)
		return 0;
	uint32_t capacity = xorb->chunks_capacity ? 2 * xorb->chunks_capacity : CHUNKS_FIRST;
	struct xorb_chunk *chunks = realloc(xorb->chunks, capacity * sizeof(*chunks));
	if (!chunks)
		return ERR_NO_MEMORY;
	xorb->chunks = chunks;
	uint16_t *slots = calloc(2 * (size_t)capacity, sizeof(*slots));
	if (!slots)
		return ERR_NO_MEMORY;
	free(xorb->slots);
	xorb->slots = slots;
	xorb->chunks_capacity = capacity;
	for (uint32_t i = 0; i < xorb->chunks_count; i++)
		xorb->slots[slot_of(xorb, &chunks[i].hash)] = (uint16_t)(i + 1);
	return 0;
}

bool open_xorb_is_full(const struct open_xorb *xorb, size_t raw_length)
{
	return xorb->chunks_count == XORB_CHUNKS_MAX || (xorb->chunks_count > 0 && coded_is_mark(&xorb->chunks[0].hash, xorb->chunks[0].raw_end)) || xorb->raw_length + raw_length > OPEN_XORB_BYTES_MAX ||
		xorb->body_length + raw_length + XORB_CHUNK_HEADER_BYTES > OPEN_XORB_BYTES_MAX;
}

int open_xorb_add(struct open_xorb *xorb, const struct hash *hash, const uint8_t *raw, size_t length, uint64_t more, struct why *why)
{
	assert(!open_xorb_is_full(xorb, length));
	int err = grow_chunks(xorb) ? why_set(why, ERR_NO_MEMORY, "no memory for a xorb")
		: xorb_body_room(&xorb->body, XORB_CHUNK_HEADER_BYTES + length, more, why);
	if (err)
		return err;
	struct write_buffer *buffer = xorb->body.buffer;
	uint8_t *out = buffer->data + buffer->used;
	size_t stored = xorb_chunk_encode(out, raw, length);
	buffer->used += stored;
	xorb->body_length += (uint32_t)stored;
	xorb->raw_length += (uint32_t)length;
	uint32_t slot = slot_of(xorb, hash);
	xorb->chunks[xorb->chunks_count] = (struct xorb_chunk){ .hash = *hash, .body_end = xorb->body_length, .raw_end = xorb->raw_length,
		.check = xorb_chunk_check(out, out + XORB_CHUNK_HEADER_BYTES, stored - XORB_CHUNK_HEADER_BYTES) };
	xorb->slots[slot] = (uint16_t)++xorb->chunks_count;
	merkle_add(xorb->merkle, hash, length);
	return 0;
}

int open_xorb_seal(struct open_xorb *xorb, struct damaged_list *damaged, struct hash *hash, struct xorb_records *out, struct why *why)
{
	merkle_root(xorb->merkle, hash);
	int err = xorb_body_finish(&xorb->body, hash, damaged_list_has(damaged, hash), true, xorb->chunks, xorb->chunks_count, out, why);
	struct writer *writer = xorb->body.writer;
	open_xorb_fini(xorb);
	if (open_xorb_init(xorb, writer) == 0 || err)
		return err;
	xorb_records_fini(out);
	return why_set(why, ERR_NO_MEMORY, "no memory for a xorb");
}
