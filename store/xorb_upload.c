/* xorb_upload.c - one xorb as a client sends it: verified while it arrives, written through to a volume. */
#include <assert.h>
#include <stdlib.h>

#include "store/core.h"
#include "store/open_xorb.h"

enum { TOUCH_AFTER_MS = 60 * 60 * 1000 };

struct xorb_upload {
	struct store *store;
	struct upload_entry entry;
	struct hash xorb;
	bool known;              /* it is there already: only verify */
	struct xorb_verifier *verifier;
	struct write_group writes;
	struct write_buffer *buffer;
	struct xorb_fragment *fragments;
	uint32_t fragments_count, fragments_capacity;
	uint64_t length, received, body_length;
};

int xorb_upload_open(struct xorb_upload **out, struct store *store, const struct hash *xorb, uint64_t length, struct why *why)
{
	if (length > XORB_UPLOAD_BYTES_MAX)
		return why_set(why, ERR_TOO_BIG, "a xorb has at most %d bytes", XORB_UPLOAD_BYTES_MAX);
	struct xorb_upload *upload = calloc(1, sizeof(*upload));
	if (!upload || xorb_verifier_open(&upload->verifier) != 0) {
		free(upload);
		return why_set(why, ERR_NO_MEMORY, "no memory for a xorb");
	}
	struct index_xorb known;
	upload->store = store;
	upload->xorb = *xorb;
	upload->length = length;
	upload->known = index_xorb(store->index, xorb, &known) == 0;
	index_xorb_fini(&known);
	write_group_init(&upload->writes);
	upload_list_add(&store->uploads, &upload->entry);
	*out = upload;
	return 0;
}

void xorb_upload_close(struct xorb_upload *upload)
{
	if (!upload)
		return;
	write_group_wait(&upload->writes, NULL);
	write_group_fini(&upload->writes);
	writer_give(upload->store->writer, upload->buffer);
	upload_list_remove(&upload->store->uploads, &upload->entry);
	xorb_verifier_close(upload->verifier);
	free(upload->fragments);
	free(upload);
}

static struct xorb_fragment *next_fragment(struct xorb_upload *upload)
{
	if (upload->fragments_count == upload->fragments_capacity) {
		uint32_t capacity = upload->fragments_capacity ? 2 * upload->fragments_capacity : 8;
		struct xorb_fragment *fragments = realloc(upload->fragments, capacity * sizeof(*fragments));
		if (!fragments)
			return NULL;
		upload->fragments = fragments;
		upload->fragments_capacity = capacity;
	}
	return &upload->fragments[upload->fragments_count];
}

static int submit(struct xorb_upload *upload, struct why *why)
{
	struct xorb_fragment *fragment = next_fragment(upload);
	if (!fragment)
		return why_set(why, ERR_NO_MEMORY, "no memory for a xorb");
	struct write_buffer *buffer = upload->buffer;
	upload->buffer = NULL;
	int err = writer_submit(upload->store->writer, buffer, &upload->writes, fragment, why);
	if (err == 0)
		upload->fragments_count++;
	return err;
}

static int store_body(struct xorb_upload *upload, const uint8_t *data, size_t length, struct why *why)
{
	while (length > 0) {
		if (!upload->buffer) {
			uint64_t left = upload->length - upload->received + length;
			int err = writer_take(upload->store->writer, left < WRITE_BUFFER_BYTES_MAX ? (size_t)left : WRITE_BUFFER_BYTES_MAX, &upload->buffer, why);
			if (err)
				return err;
		}
		size_t room = upload->buffer->capacity - upload->buffer->used, some = room < length ? room : length;
		memcpy(upload->buffer->data + upload->buffer->used, data, some);
		upload->buffer->used += some;
		data += some;
		length -= some;
		if (some == room) {
			int err = submit(upload, why);
			if (err)
				return err;
		}
	}
	return 0;
}

int xorb_upload_write(struct xorb_upload *upload, const void *data, size_t length, struct why *why)
{
	size_t body;
	if (length > upload->length - upload->received)
		return why_set(why, ERR_TOO_BIG, "more bytes than were announced");
	int err = xorb_verifier_write(upload->verifier, data, length, &body, why);
	if (err)
		return err;
	upload->received += length;
	upload->body_length += body;
	return upload->known ? 0 : store_body(upload, data, body, why);
}

/* It was sent before: it counts as young again, so that a registration that follows finds it. */
static int touch(struct store *store, const struct hash *xorb, struct why *why)
{
	struct index_xorb entry;
	uint8_t payload[TOUCH_RECORD_BYTES];
	int64_t now = store_now_ms();
	pthread_rwlock_rdlock(&store->registration);
	int err = index_xorb(store->index, xorb, &entry);
	index_xorb_fini(&entry);
	if (err) {
		err = why_set(why, err == ERR_NOT_FOUND ? ERR_BUSY : err, "the xorb was removed while it was sent again; send it once more");
	} else if (now - entry.stored_ms > TOUCH_AFTER_MS) {
		touch_record_encode(payload, &(struct touch_record){ *xorb, now });
		struct journal_record record = { .kind = VOLUME_TOUCH, .payload = span_of(payload, sizeof(payload)) };
		err = journal_commit(store->journal, &record, 1, why);
	}
	pthread_rwlock_unlock(&store->registration);
	return err;
}

static int publish(struct xorb_upload *upload, const struct xorb_chunk *chunks, uint32_t count, struct why *why)
{
	struct journal_record records[2];
	size_t records_count = 0;
	struct buffer payload;
	if (upload->buffer && upload->buffer->used - VOLUME_RECORD_HEADER_BYTES > OPEN_XORB_TAIL_BYTES_MAX) {
		int err = submit(upload, why);
		if (err)
			return err;
	}
	if (upload->buffer && upload->buffer->used > VOLUME_RECORD_HEADER_BYTES) {
		struct xorb_fragment *tail = next_fragment(upload);
		if (!tail)
			return why_set(why, ERR_NO_MEMORY, "no memory for a xorb");
		size_t length = upload->buffer->used - VOLUME_RECORD_HEADER_BYTES;
		*tail = (struct xorb_fragment){ .volume = 0, .length = (uint32_t)length };
		upload->fragments_count++;
		records[records_count++] = (struct journal_record){ .kind = VOLUME_FRAGMENT,
			.payload = span_of(upload->buffer->data + VOLUME_RECORD_HEADER_BYTES, length) };
	}
	struct xorb_record record = { .xorb = upload->xorb, .stored_ms = store_now_ms(), .body_length = chunks[count - 1].body_end,
		.raw_length = chunks[count - 1].raw_end, .fragments_count = upload->fragments_count, .chunks_count = count };
	buffer_init(&payload, VOLUME_PAYLOAD_BYTES_MAX);
	int err = xorb_record_encode(&payload, &record, upload->fragments, chunks) ? why_set(why, ERR_NO_MEMORY, "no memory for a xorb's record")
		: write_group_wait(&upload->writes, why);
	records[records_count++] = (struct journal_record){ .kind = VOLUME_XORB, .payload = buffer_span(&payload) };
	pthread_rwlock_rdlock(&upload->store->registration); /* or a garbage collection that found an older equal one unused could drop this */
	if (err == 0)
		err = journal_commit(upload->store->journal, records, records_count, why);
	pthread_rwlock_unlock(&upload->store->registration);
	buffer_fini(&payload);
	return err;
}

int xorb_upload_commit(struct xorb_upload *upload, bool *inserted, struct why *why)
{
	const struct xorb_chunk *chunks;
	uint32_t count;
	if (upload->received != upload->length)
		return why_set(why, ERR_INVALID, "the body ended after %llu of %llu bytes", (unsigned long long)upload->received,
			(unsigned long long)upload->length);
	int err = xorb_verifier_end(upload->verifier, &upload->xorb, NULL, &chunks, &count, why);
	if (err)
		return err;
	assert(chunks[count - 1].body_end == upload->body_length);
	*inserted = !upload->known;
	return upload->known ? touch(upload->store, &upload->xorb, why) : publish(upload, chunks, count, why);
}
