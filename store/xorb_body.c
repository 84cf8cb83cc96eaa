#include "store/xorb_body.h"

#include <assert.h>
#include <stdlib.h>

#include "store/core.h"

void xorb_body_init(struct xorb_body *body, struct writer *writer)
{
	*body = (struct xorb_body){ .writer = writer };
	write_group_init(&body->writes, VOLUME_STORES);
}

void xorb_body_fini(struct xorb_body *body)
{
	write_group_wait(&body->writes, NULL);
	write_group_fini(&body->writes);
	writer_give(body->writer, body->buffer);
	free(body->fragments);
}

static struct xorb_fragment *next_fragment(struct xorb_body *body)
{
	if (body->fragments_count == body->fragments_capacity) {
		uint32_t capacity = body->fragments_capacity ? 2 * body->fragments_capacity : 8;
		struct xorb_fragment *fragments = realloc(body->fragments, capacity * sizeof(*fragments));
		if (!fragments)
			return NULL;
		body->fragments = fragments;
		body->fragments_capacity = capacity;
	}
	return &body->fragments[body->fragments_count];
}

static int submit(struct xorb_body *body, struct why *why)
{
	struct xorb_fragment *fragment = next_fragment(body);
	if (!fragment)
		return why_set(why, ERR_NO_MEMORY, "no memory for a xorb");
	struct write_buffer *buffer = body->buffer;
	body->buffer = NULL;
	int err = writer_submit(body->writer, buffer, &body->writes, fragment, why);
	if (err == 0)
		body->fragments_count++;
	return err;
}

/* Takes over what is in a small buffer that is full, rather than writing it; false when it does not fit with `room` bytes behind it. */
static bool absorb(struct xorb_body *body, struct write_buffer *buffer, size_t room)
{
	struct write_buffer *old = body->buffer;
	if (!old || old->capacity >= WRITE_BUFFER_BYTES_SCARCE || buffer->capacity < old->used + room)
		return false;
	memcpy(buffer->data + buffer->used, old->data + VOLUME_RECORD_HEADER_BYTES, old->used - VOLUME_RECORD_HEADER_BYTES);
	buffer->used = old->used;
	writer_give(body->writer, old);
	body->buffer = NULL;
	return true;
}

int xorb_body_room(struct xorb_body *body, size_t room, uint64_t more, struct why *why)
{
	struct write_buffer *old = body->buffer, *buffer;
	if (old && old->capacity - old->used >= room)
		return 0;
	uint64_t wanted = room + more;
	int err = 0;
	if (old && old->capacity < WRITE_BUFFER_BYTES_SCARCE)
		wanted += 4 * old->used; /* many small files: grow fast */
	else if (old)
		err = submit(body, why); /* first: it may be the one that comes back */
	if (err == 0)
		err = writer_take(body->writer, wanted < WRITE_BUFFER_BYTES_MAX ? (size_t)wanted : WRITE_BUFFER_BYTES_MAX, &buffer, why);
	if (err)
		return err;
	if (body->buffer && !absorb(body, buffer, room))
		err = submit(body, why);
	if (err)
		writer_give(body->writer, buffer);
	else
		body->buffer = buffer;
	return err;
}

int xorb_body_append(struct xorb_body *body, const uint8_t *data, size_t length, uint64_t more, struct why *why)
{
	while (length > 0) {
		int err = xorb_body_room(body, 1, length - 1 + more, why);
		if (err)
			return err;
		size_t room = body->buffer->capacity - body->buffer->used, some = room < length ? room : length;
		uint8_t *place = body->buffer->data + body->buffer->used;
		if (data != place)
			memcpy(place, data, some);
		body->buffer->used += some;
		data += some;
		length -= some;
	}
	return 0;
}

/* ------------------------------------------------------------------ the end */

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

/* The buffer that is open becomes the tail, or a last fragment when it is long. */
static int take_tail(struct xorb_body *body, struct xorb_records *out, struct why *why)
{
	if (!body->buffer)
		return 0;
	size_t length = body->buffer->used - VOLUME_RECORD_HEADER_BYTES;
	if (length > XORB_TAIL_BYTES_MAX)
		return submit(body, why);
	struct xorb_fragment *tail = length ? next_fragment(body) : NULL;
	if (!tail)
		return length ? why_set(why, ERR_NO_MEMORY, "no memory for a xorb") : 0;
	*tail = (struct xorb_fragment){ .volume = 0, .length = (uint32_t)length };
	body->fragments_count++;
	out->tail = body->buffer;
	body->buffer = NULL;
	writer_lend(body->writer);
	out->records[out->count++] =
		(struct journal_record){ .kind = VOLUME_FRAGMENT, .payload = span_of(out->tail->data + VOLUME_RECORD_HEADER_BYTES, length) };
	return 0;
}

int xorb_body_finish(struct xorb_body *body, const struct hash *xorb, bool replaces, bool sent, const struct xorb_chunk *chunks, uint32_t count,
	struct xorb_records *out, struct why *why)
{
	assert(count > 0);
	*out = (struct xorb_records){ .writer = body->writer };
	buffer_init(&out->payload, VOLUME_PAYLOAD_BYTES_MAX);
	int err = take_tail(body, out, why);
	struct xorb_record record = { .xorb = *xorb, .stored_ms = store_now_ms(), .body_length = chunks[count - 1].body_end,
		.raw_length = chunks[count - 1].raw_end, .fragments_count = body->fragments_count, .chunks_count = count, .moved = replaces,
		.sent = sent };
	if (err == 0 && xorb_record_encode(&out->payload, &record, body->fragments, chunks) != 0)
		err = why_set(why, ERR_NO_MEMORY, "no memory for a xorb's record");
	out->records[out->count++] = (struct journal_record){ .kind = VOLUME_XORB, .payload = buffer_span(&out->payload) };
	if (err == 0)
		err = write_group_wait(&body->writes, why);
	if (err)
		xorb_records_fini(out);
	return err;
}

void xorb_records_fini(struct xorb_records *records)
{
	buffer_fini(&records->payload);
	if (records->tail)
		writer_give_lent(records->writer, records->tail);
	records->tail = NULL;
}
