#include "store/open_xorb.h"

#include <assert.h>
#include <stdlib.h>

#include "store/core.h"

enum { CHUNKS_FIRST = 64 };

int open_xorb_init(struct open_xorb *xorb, struct writer *writer)
{
	*xorb = (struct open_xorb){ .writer = writer };
	write_group_init(&xorb->writes);
	return merkle_open(&xorb->merkle);
}

void open_xorb_fini(struct open_xorb *xorb)
{
	write_group_wait(&xorb->writes, NULL);
	write_group_fini(&xorb->writes);
	writer_give(xorb->writer, xorb->buffer);
	merkle_close(xorb->merkle);
	free(xorb->fragments);
	free(xorb->chunks);
	free(xorb->slots);
}

/* ------------------------------------------------------------------ the chunks in it */

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
	return xorb->chunks_count == XORB_CHUNKS_MAX || xorb->raw_length + raw_length > OPEN_XORB_BYTES_MAX ||
		xorb->body_length + raw_length + XORB_CHUNK_HEADER_BYTES > OPEN_XORB_BYTES_MAX;
}

/* ------------------------------------------------------------------ buffers */

static struct xorb_fragment *next_fragment(struct open_xorb *xorb)
{
	if (xorb->fragments_count == xorb->fragments_capacity) {
		uint32_t capacity = xorb->fragments_capacity ? 2 * xorb->fragments_capacity : 8;
		struct xorb_fragment *fragments = realloc(xorb->fragments, capacity * sizeof(*fragments));
		if (!fragments)
			return NULL;
		xorb->fragments = fragments;
		xorb->fragments_capacity = capacity;
	}
	return &xorb->fragments[xorb->fragments_count];
}

static int submit(struct open_xorb *xorb, struct why *why)
{
	struct xorb_fragment *fragment = next_fragment(xorb);
	if (!fragment)
		return why_set(why, ERR_NO_MEMORY, "no memory for a xorb");
	struct write_buffer *buffer = xorb->buffer;
	xorb->buffer = NULL;
	int err = writer_submit(xorb->writer, buffer, &xorb->writes, fragment, why);
	if (err == 0)
		xorb->fragments_count++;
	return err;
}

/* A buffer with room for `room` bytes. A small one that is full is replaced by a larger one rather than written. */
static int have_room(struct open_xorb *xorb, size_t room, uint64_t more, struct why *why)
{
	struct write_buffer *old = xorb->buffer, *buffer;
	if (old && old->capacity - old->used >= room)
		return 0;
	bool replace = old && old->capacity < WRITE_BUFFER_BYTES_SCARCE && old->used + room <= WRITE_BUFFER_BYTES_SCARCE; /* all that is sure to be got */
	if (old && !replace) {
		int err = submit(xorb, why);
		if (err)
			return err;
		old = NULL;
	}
	uint64_t wanted = room + more;
	if (replace)
		wanted += 4 * old->used; /* many small files: grow fast */
	int err = writer_take(xorb->writer, wanted < WRITE_BUFFER_BYTES_MAX ? (size_t)wanted : WRITE_BUFFER_BYTES_MAX, &buffer, why);
	if (err)
		return err;
	if (replace) {
		assert(buffer->capacity >= old->used + room);
		memcpy(buffer->data + buffer->used, old->data + VOLUME_RECORD_HEADER_BYTES, old->used - VOLUME_RECORD_HEADER_BYTES);
		buffer->used = old->used;
		writer_give(xorb->writer, old);
	}
	xorb->buffer = buffer;
	return 0;
}

int open_xorb_add(struct open_xorb *xorb, const struct hash *hash, const uint8_t *raw, size_t length, uint64_t more, struct why *why)
{
	assert(!open_xorb_is_full(xorb, length));
	int err = grow_chunks(xorb) ? why_set(why, ERR_NO_MEMORY, "no memory for a xorb") : have_room(xorb, XORB_CHUNK_HEADER_BYTES + length, more, why);
	if (err)
		return err;
	uint8_t *out = xorb->buffer->data + xorb->buffer->used;
	size_t stored = xorb_chunk_encode(out, raw, length);
	xorb->buffer->used += stored;
	xorb->body_length += (uint32_t)stored;
	xorb->raw_length += (uint32_t)length;
	uint32_t slot = slot_of(xorb, hash);
	xorb->chunks[xorb->chunks_count] = (struct xorb_chunk){ .hash = *hash, .body_end = xorb->body_length, .raw_end = xorb->raw_length,
		.check = xorb_chunk_check(out, out + XORB_CHUNK_HEADER_BYTES, stored - XORB_CHUNK_HEADER_BYTES) };
	xorb->slots[slot] = (uint16_t)++xorb->chunks_count;
	merkle_add(xorb->merkle, hash, length);
	return 0;
}

/* ------------------------------------------------------------------ sealing */

int xorb_record_encode(struct buffer *out, const struct xorb_record *record, const struct xorb_fragment *fragments,
	const struct xorb_chunk *chunks)
{
	xorb_record_begin(out, record);
	for (uint32_t i = 0; i < record->fragments_count; i++)
		xorb_record_add_fragment(out, &fragments[i]);
	for (uint32_t i = 0; i < record->chunks_count; i++)
		xorb_record_add_chunk(out, &(struct xorb_record_chunk){ chunks[i].hash, chunks[i].body_end, chunks[i].raw_end, chunks[i].check });
	return out->failed ? ERR_NO_MEMORY : 0;
}

static int seal(struct open_xorb *xorb, struct sealed_xorb *out, struct why *why)
{
	if (xorb->buffer && xorb->buffer->used - VOLUME_RECORD_HEADER_BYTES > OPEN_XORB_TAIL_BYTES_MAX) {
		int err = submit(xorb, why);
		if (err)
			return err;
	}
	if (xorb->buffer) {
		struct xorb_fragment *tail = next_fragment(xorb);
		if (!tail)
			return why_set(why, ERR_NO_MEMORY, "no memory for a xorb");
		size_t length = xorb->buffer->used - VOLUME_RECORD_HEADER_BYTES;
		*tail = (struct xorb_fragment){ .volume = 0, .length = (uint32_t)length };
		xorb->fragments_count++;
		out->tail = xorb->buffer;
		xorb->buffer = NULL;
		out->records[out->records_count++] =
			(struct journal_record){ .kind = VOLUME_FRAGMENT, .payload = span_of(out->tail->data + VOLUME_RECORD_HEADER_BYTES, length) };
	}
	merkle_root(xorb->merkle, &out->xorb);
	struct xorb_record record = { .xorb = out->xorb, .stored_ms = store_now_ms(), .body_length = xorb->body_length,
		.raw_length = xorb->raw_length, .fragments_count = xorb->fragments_count, .chunks_count = xorb->chunks_count };
	if (xorb_record_encode(&out->payload, &record, xorb->fragments, xorb->chunks) != 0)
		return why_set(why, ERR_NO_MEMORY, "no memory for a xorb's record");
	out->records[out->records_count++] = (struct journal_record){ .kind = VOLUME_XORB, .payload = buffer_span(&out->payload) };
	return write_group_wait(&xorb->writes, why);
}

int open_xorb_seal(struct open_xorb *xorb, struct sealed_xorb *out, struct why *why)
{
	assert(xorb->chunks_count > 0);
	*out = (struct sealed_xorb){ .writer = xorb->writer };
	buffer_init(&out->payload, VOLUME_PAYLOAD_BYTES_MAX);
	int err = seal(xorb, out, why);
	if (err)
		sealed_xorb_fini(out);
	struct writer *writer = xorb->writer;
	open_xorb_fini(xorb);
	int again = open_xorb_init(xorb, writer);
	return err ? err : again ? why_set(why, again, "no memory for a xorb") : 0;
}

void sealed_xorb_fini(struct sealed_xorb *sealed)
{
	buffer_fini(&sealed->payload);
	writer_give(sealed->writer, sealed->tail);
	sealed->tail = NULL;
}
