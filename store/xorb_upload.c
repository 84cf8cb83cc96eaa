/* xorb_upload.c - one xorb as a client sends it: verified while it arrives, written through to a volume. */
#include <assert.h>
#include <stdlib.h>

#include "store/coded.h"
#include "store/core.h"
#include "store/xorb_body.h"

enum { TOUCH_AFTER_MS = 60 * 60 * 1000 };

struct xorb_upload {
	struct store *store;
	struct upload_entry entry;
	struct hash xorb;
	bool known;              /* it is there already, and whole: only verify */
	bool replaces;           /* a damaged one */
	bool is_copy;            /* from another node, or made here: nobody waits for further copies */
	bool is_made;            /* here: its hash is known at the end */
	struct xorb_verifier *verifier;
	struct xorb_body body;
	bool length_known;
	uint64_t length, received, body_length; /* length: at most, when it is not known */
};

static void look_up(struct xorb_upload *upload)
{
	struct index_xorb known;
	upload->replaces = damaged_list_has(&upload->store->damaged, &upload->xorb);
	upload->known = index_xorb(upload->store->index, &upload->xorb, &known) == 0 && !upload->replaces;
	index_xorb_fini(&known);
}

int xorb_upload_open(struct xorb_upload **out, struct store *store, const struct hash *xorb, uint64_t length, struct why *why)
{
	if (length != UINT64_MAX && length > XORB_UPLOAD_BYTES_MAX)
		return why_set(why, ERR_TOO_BIG, "a xorb has at most %d bytes", XORB_UPLOAD_BYTES_MAX);
	struct xorb_upload *upload = calloc(1, sizeof(*upload));
	if (!upload || xorb_verifier_open(&upload->verifier) != 0) {
		free(upload);
		return why_set(why, ERR_NO_MEMORY, "no memory for a xorb");
	}
	upload->store = store;
	upload->is_made = !xorb;
	upload->is_copy = !xorb;
	if (xorb)
		upload->xorb = *xorb;
	upload->length_known = length != UINT64_MAX;
	upload->length = upload->length_known ? length : XORB_UPLOAD_BYTES_MAX;
	xorb_body_init(&upload->body, store->writer);
	if (xorb)
		look_up(upload);
	upload->entry.first_volume = volumes_active(store->volumes);
	upload_list_add(&store->uploads, &upload->entry);
	*out = upload;
	return 0;
}

int xorb_copy_open(struct xorb_upload **out, struct store *store, const struct hash *xorb, uint64_t length, struct why *why)
{
	int err = xorb_upload_open(out, store, xorb, length, why);
	if (err == 0)
		(*out)->is_copy = true;
	return err;
}

int xorb_made_open(struct xorb_upload **out, struct store *store, uint64_t length, struct why *why)
{
	return xorb_upload_open(out, store, NULL, length, why);
}

const struct hash *xorb_upload_hash(const struct xorb_upload *upload)
{
	return &upload->xorb;
}

void xorb_upload_close(struct xorb_upload *upload)
{
	if (!upload)
		return;
	xorb_body_fini(&upload->body);
	upload_list_remove(&upload->store->uploads, &upload->entry);
	xorb_verifier_close(upload->verifier);
	free(upload);
}

uint8_t *xorb_upload_room(struct xorb_upload *upload, size_t *length)
{
	struct xorb_body *body = &upload->body;
	if (upload->known || xorb_body_room(body, 1, upload->length - upload->received, NULL) != 0)
		return NULL;
	size_t room = body->buffer->capacity - body->buffer->used;
	*length = *length < room ? *length : room;
	return body->buffer->data + body->buffer->used;
}

int xorb_upload_write(struct xorb_upload *upload, const void *data, size_t length, struct why *why)
{
	size_t body;
	if (length > upload->length - upload->received)
		return why_set(why, ERR_TOO_BIG, upload->length_known ? "more bytes than were announced" : "more bytes than a xorb has");
	int err = xorb_verifier_write(upload->verifier, data, length, &body, why);
	if (err)
		return err;
	upload->received += length;
	upload->body_length += body;
	return upload->known ? 0 : xorb_body_append(&upload->body, data, body, upload->length - upload->received, why);
}

/* It was sent before: it counts as young again, so that a registration that follows finds it. A young copy here says nothing of those on other nodes: they
 * are told. */
static int touch(struct xorb_upload *upload, struct why *why)
{
	int64_t after_ms = store_has_others(upload->store) && !upload->is_copy ? 0 : TOUCH_AFTER_MS;
	int err = store_touch_xorbs(upload->store, &upload->xorb, 1, after_ms, why);
	return err == ERR_NOT_FOUND ? why_set(why, ERR_BUSY, "the xorb was removed while it was sent again; send it once more") : err;
}

static int publish(struct xorb_upload *upload, const struct xorb_chunk *chunks, uint32_t count, struct why *why)
{
	struct xorb_records records;
	int err = xorb_body_finish(&upload->body, &upload->xorb, upload->replaces, !upload->is_copy, chunks, count, &records, why);
	if (err)
		return err;
	pthread_rwlock_rdlock(&upload->store->registration); /* or a garbage collection that found an older equal one unused could drop this */
	err = journal_commit(upload->store->journal, records.records, records.count, why);
	pthread_rwlock_unlock(&upload->store->registration);
	xorb_records_fini(&records);
	return err;
}

int xorb_upload_commit(struct xorb_upload *upload, bool *inserted, struct why *why)
{
	const struct xorb_chunk *chunks;
	uint32_t count;
	if (upload->length_known && upload->received != upload->length)
		return why_set(why, ERR_INVALID, "the body ended after %llu of %llu bytes", (unsigned long long)upload->received,
			(unsigned long long)upload->length);
	struct hash actual;
	int err = xorb_verifier_end(upload->verifier, upload->is_made ? NULL : &upload->xorb, &actual, &chunks, &count, why);
	if (err)
		return err;
	if (!upload->is_copy && coded_begins_part(chunks, count))
		return why_set(why, ERR_INVALID, "the xorb looks like a part of a coded one, which only the hub makes");
	if (upload->is_made) {
		upload->xorb = actual;
		look_up(upload);
	}
	assert(chunks[count - 1].body_end == upload->body_length);
	*inserted = !upload->known;
	err = upload->known ? touch(upload, why) : publish(upload, chunks, count, why);
	return err || upload->is_copy ? err : store_await_copies(upload->store, why);
}
