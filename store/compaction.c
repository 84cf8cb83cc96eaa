/* compaction.c - empties a volume: what is alive in it is written again elsewhere, then the file goes.
 *
 * Xorbs move whole, and their offsets do not change: the body is copied byte for byte into new fragments, each chunk checked on the way. The
 * rest is read from the volume and written again as the index has it now. */
#include <stdio.h>
#include <stdlib.h>

#include "store/coded.h"
#include "store/core.h"
#include "store/file_terms.h"
#include "store/other_terms.h"
#include "store/xorb_body.h"

/* ------------------------------------------------------------------ xorbs */

static bool lies_in(const struct index_xorb *entry, uint32_t volume)
{
	bool inside = entry->place.volume == volume;
	for (uint32_t i = 0; i < entry->fragments_count && !inside; i++)
		inside = entry->fragments[i].volume == volume;
	return inside;
}

static bool describes(const struct index_xorb *entry, const struct xorb_table *table)
{
	const struct xorb_chunk *last = &table->chunks[table->count - 1];
	return entry->chunks_count == table->count && entry->body_length == last->body_end && entry->raw_length == last->raw_end;
}

static int copy_body(struct store *store, struct stored_xorb *xorb, struct write_group *writes, struct xorb_fragment *fragments, uint32_t *count,
	struct why *why)
{
	uint32_t length = xorb->table.chunks[xorb->table.count - 1].body_end;
	int err = 0;
	*count = 0;
	for (uint32_t at = 0; at < length && err == 0;) {
		struct write_buffer *buffer;
		size_t left = length - at;
		if (*count == XORB_FRAGMENTS_MAX)
			return why_set(why, ERR_TOO_BIG, "a xorb would fall into too many pieces");
		err = writer_take(store->writer, left < WRITE_BUFFER_BYTES_MAX ? left : WRITE_BUFFER_BYTES_MAX, &buffer, why);
		if (err)
			return err;
		size_t some = buffer->capacity - buffer->used < left ? buffer->capacity - buffer->used : left;
		err = stored_xorb_read(xorb, at, some, buffer->data + buffer->used, true, why);
		if (err) {
			writer_give(store->writer, buffer);
			return err;
		}
		buffer->used += some;
		at += (uint32_t)some;
		err = writer_submit(store->writer, buffer, writes, &fragments[*count], why);
		*count += err == 0;
	}
	return err;
}

/* ERR_AGAIN: another copy of it has taken its place meanwhile. */
static int move_xorb(struct store *store, const struct hash *hash, struct why *why)
{
	struct stored_xorb *xorb;
	struct write_group writes;
	struct index_xorb entry;
	struct buffer payload;
	uint32_t count = 0;
	int err = stored_xorb_open(&xorb, store->xorbs, hash, true, why);
	if (err)
		return err;
	struct xorb_fragment *fragments = malloc(XORB_FRAGMENTS_MAX * sizeof(*fragments));
	buffer_init(&payload, VOLUME_PAYLOAD_BYTES_MAX);
	write_group_init(&writes, VOLUME_FREES);
	err = fragments ? stored_xorb_verify(xorb, false, why) : why_set(why, ERR_NO_MEMORY, "no memory to move a xorb");
	if (err == 0)
		err = copy_body(store, xorb, &writes, fragments, &count, why);
	int written = write_group_wait(&writes, err ? NULL : why);
	err = err ? err : written;
	pthread_rwlock_wrlock(&store->registration); /* the time of the last sending must not change in between */
	if (err == 0 && (err = index_xorb(store->index, hash, &entry)) == 0) {
		struct xorb_record record = { .xorb = *hash, .stored_ms = entry.stored_ms, .body_length = entry.body_length,
			.raw_length = entry.raw_length, .fragments_count = count, .chunks_count = xorb->table.count, .moved = true };
		err = describes(&entry, &xorb->table) ? 0 : ERR_AGAIN;
		index_xorb_fini(&entry);
		if (err == 0)
			err = xorb_record_encode(&payload, &record, fragments, xorb->table.chunks);
		struct journal_record journal = { .kind = VOLUME_XORB, .payload = buffer_span(&payload) };
		if (err == 0)
			err = journal_commit_freeing(store->journal, &journal, 1, why);
	}
	pthread_rwlock_unlock(&store->registration);
	xorb_cache_drop(store->xorbs, hash);
	write_group_fini(&writes);
	buffer_fini(&payload);
	free(fragments);
	stored_xorb_release(xorb);
	return err;
}

static int move_out_of(struct store *store, uint32_t volume, const struct hash *xorb, struct why *why)
{
	int err;
	do {
		struct index_xorb entry;
		err = index_xorb(store->index, xorb, &entry);
		bool inside = err == 0 && lies_in(&entry, volume);
		index_xorb_fini(&entry);
		if (err)
			return err == ERR_NOT_FOUND ? 0 : why_set(why, err, "the index entry of a xorb cannot be read");
		if (inside)
			err = move_xorb(store, xorb, why);
	} while (err == ERR_AGAIN);
	return err;
}

static int move_xorbs(struct store *store, uint32_t volume, struct why *why)
{
	struct index_scan scan;
	int err = 0;
	index_scan_open(&scan, store->index, 'x', span_of(NULL, 0), span_of(NULL, 0));
	while (err == 0 && index_scan_next(&scan)) {
		struct hash xorb;
		if (scan.key.length != HASH_BYTES)
			continue;
		memcpy(xorb.bytes, scan.key.data, HASH_BYTES);
		err = move_out_of(store, volume, &xorb, why);
	}
	int scan_err = index_scan_close(&scan);
	return err ? err : scan_err;
}

/* ------------------------------------------------------------------ small records */

enum { PENDING_MAX = 1024, PENDING_BYTES_MAX = 1 << 20 };

/* A record of the old volume that waits for its turn. */
struct pending {
	uint8_t kind;
	struct record_place place;
	size_t offset, length; /* in `read` */
};

/* Records are looked at and written again many at a time, with one sync for all: under the registration lock, so that what the index says of
 * them stays true until the new ones are visible. */
struct mover {
	struct store *store;
	struct pending pending[PENDING_MAX];
	size_t pending_count;
	struct buffer read;                        /* payloads of what is pending */
	struct journal_record records[PENDING_MAX]; /* payload.data: an offset into `written` until it goes to the journal */
	size_t records_count;
	struct buffer written;
	bool has_older; /* volumes in which what a drop record speaks of may still stand */
	bool damaged;   /* something in it could not be read, and may be somebody's */
	struct why *why;
};

static int write_out(struct mover *mover)
{
	for (size_t i = 0; i < mover->records_count; i++)
		mover->records[i].payload.data = mover->written.data + (uintptr_t)mover->records[i].payload.data;
	int err = mover->records_count ? journal_commit_freeing(mover->store->journal, mover->records, mover->records_count, mover->why) : 0;
	mover->records_count = 0;
	buffer_clear(&mover->written);
	return err;
}

static int write_again(struct mover *mover, uint8_t kind, const void *payload, size_t length)
{
	size_t offset = mover->written.length;
	int err = buffer_append(&mover->written, payload, length);
	if (err)
		return why_set(mover->why, err, "no memory to move records");
	mover->records[mover->records_count++] = (struct journal_record){ .kind = kind, .payload = { (const uint8_t *)(uintptr_t)offset, length } };
	return mover->written.length >= PENDING_BYTES_MAX ? write_out(mover) : 0;
}

static int read_terms(struct store *store, const struct hash *file, struct index_file *entry, struct file_term **out, struct why *why)
{
	struct file_terms terms;
	int err = file_terms_open(&terms, store, file, why);
	if (err)
		return err;
	*entry = terms.file;
	*out = malloc((entry->record.terms_count ? entry->record.terms_count : 1) * sizeof(**out));
	if (!*out)
		err = why_set(why, ERR_NO_MEMORY, "no memory to move a file's record");
	if (err == 0 && entry->record.terms_count > 0) {
		err = file_terms_seek(&terms, 0, true, why);
		for (int more = err == 0; more == 1; more = file_terms_next(&terms, true, why))
			(*out)[terms.index] = terms.term;
		if (err == 0 && terms.index + 1 != entry->record.terms_count)
			err = why_set(why, ERR_CORRUPT, "a file's terms cannot be read");
	}
	file_terms_close(&terms);
	return err;
}

/* Not those of a file that was dropped since, and came back. */
static int move_other_terms(struct mover *mover, const struct file_record *record, const struct index_file *known, struct span payload)
{
	bool lives = record->other_terms && !other_terms_name_more(mover->store, known, payload);
	return lives ? write_again(mover, VOLUME_FILE, payload.data, payload.length) : 0;
}

static int move_file(struct mover *mover, const struct record_place *place, struct span payload)
{
	struct file_record record;
	struct index_file entry;
	struct file_term *terms = NULL;
	struct buffer out;
	if (file_record_decode(&record, payload) != 0)
		return 0;
	int err = index_file(mover->store->index, &record.file, &entry);
	if (err == 0 && (entry.place.volume != place->volume || entry.place.offset != place->offset))
		return move_other_terms(mover, &record, &entry, payload);
	if (err == ERR_NOT_FOUND)
		return 0;
	if (err == 0)
		err = read_terms(mover->store, &record.file, &entry, &terms, mover->why);
	buffer_init(&out, VOLUME_PAYLOAD_BYTES_MAX);
	if (err == 0)
		err = file_record_encode(&out, &entry.record, terms);
	if (err == 0)
		err = write_again(mover, VOLUME_FILE, out.data, out.length);
	buffer_fini(&out);
	free(terms);
	return err;
}

static int move_claim(struct mover *mover, struct span payload)
{
	struct claim_record record;
	uint8_t out[CLAIM_RECORD_BYTES];
	if (claim_record_decode(&record, payload) != 0)
		return 0;
	int err = index_claim(mover->store->index, &record.file, &record.owner, &record.claimed_ms);
	if (err)
		return err == ERR_NOT_FOUND ? 0 : err;
	claim_record_encode(out, &record);
	return write_again(mover, VOLUME_CLAIM, out, sizeof(out));
}

static int move_verified(struct mover *mover, struct span payload)
{
	struct verified_record record;
	struct index_file entry;
	if (verified_record_decode(&record, payload) != 0)
		return 0;
	int err = index_file(mover->store->index, &record.file, &entry);
	if (err || !entry.record.sha256_verified)
		return err == ERR_NOT_FOUND ? 0 : err;
	return write_again(mover, VOLUME_VERIFIED, payload.data, payload.length);
}

/* What it says is gone may stand in an older volume; if it has come back since, nothing is to be said. Nor is it of a xorb: one could come back
 * between the look and the word, and an old one that a rebuilt index knows again goes with the next collection. */
static int move_drop(struct mover *mover, struct span payload)
{
	struct drop_record record;
	struct index_file file;
	int64_t claimed_ms;
	if (!mover->has_older || drop_record_decode(&record, payload) != 0 || record.kind == VOLUME_XORB)
		return 0;
	struct coded_record coded;
	int alive = record.kind == VOLUME_FILE ? index_file(mover->store->index, &record.hash, &file)
		: record.kind == VOLUME_CODED ? (index_codings(mover->store->index, &record.hash, &coded, 1) ? 0 : ERR_NOT_FOUND)
		: index_claim(mover->store->index, &record.hash, &record.owner, &claimed_ms);
	return alive == ERR_NOT_FOUND ? write_again(mover, VOLUME_DROP, payload.data, payload.length) : alive;
}

static int move_touch(struct mover *mover, struct span payload)
{
	struct touch_record record;
	struct index_xorb xorb;
	if (touch_record_decode(&record, payload) != 0)
		return 0;
	int known = index_xorb(mover->store->index, &record.xorb, &xorb);
	index_xorb_fini(&xorb);
	return known == 0 ? write_again(mover, VOLUME_TOUCH, payload.data, payload.length) : known == ERR_NOT_FOUND ? 0 : known;
}

static int move_coded(struct mover *mover, struct span payload)
{
	struct coded_record record, known[CODINGS_MAX];
	if (coded_record_decode(&record, payload) != 0)
		return 0;
	size_t count = index_codings(mover->store->index, &record.xorb, known, CODINGS_MAX);
	for (size_t i = 0; i < count; i++)
		if (memcmp(&known[i], &record, sizeof(record)) == 0)
			return write_again(mover, VOLUME_CODED, payload.data, payload.length);
	return 0;
}

static void on_damage(void *context, struct volume *volume, uint64_t offset, uint64_t length, const char *what)
{
	struct mover *mover = context;
	mover->damaged = true;
	char text[VOLUME_DAMAGE_TEXT_BYTES];
	volume_damage_text(text, volume, offset, length, what);
	why_set(mover->why, ERR_CORRUPT, "%s", text);
}

static int move_one(struct mover *mover, const struct pending *pending)
{
	struct span payload = span_of(mover->read.data + pending->offset, pending->length);
	switch (pending->kind) {
	case VOLUME_FILE: return move_file(mover, &pending->place, payload);
	case VOLUME_CLAIM: return move_claim(mover, payload);
	case VOLUME_VERIFIED: return move_verified(mover, payload);
	case VOLUME_DROP: return move_drop(mover, payload);
	case VOLUME_TOUCH: return move_touch(mover, payload);
	case VOLUME_CODED: return move_coded(mover, payload);
	default: return why_set(mover->why, ERR_UNSUPPORTED, "volume %08x holds a record of a kind that this version does not know", pending->place.volume);
	}
}

static int move_pending(struct mover *mover)
{
	int err = 0;
	pthread_rwlock_wrlock(&mover->store->registration);
	for (size_t i = 0; i < mover->pending_count && err == 0; i++)
		err = move_one(mover, &mover->pending[i]);
	if (err == 0)
		err = write_out(mover);
	pthread_rwlock_unlock(&mover->store->registration);
	mover->pending_count = 0;
	buffer_clear(&mover->read);
	return err;
}

static int take_record(void *context, struct volume *volume, const struct volume_record *record, struct span payload)
{
	struct mover *mover = context;
	if (record->kind == VOLUME_FRAGMENT || record->kind == VOLUME_XORB)
		return 0;
	mover->pending[mover->pending_count++] = (struct pending){ .kind = record->kind, .place = { volume->id, record->offset },
		.offset = mover->read.length, .length = payload.length };
	if (buffer_append(&mover->read, payload.data, payload.length) != 0)
		return why_set(mover->why, ERR_NO_MEMORY, "no memory to move records");
	return mover->pending_count == PENDING_MAX || mover->read.length >= PENDING_BYTES_MAX ? move_pending(mover) : 0;
}

static int move_records(struct mover *mover, struct volume *volume, uint64_t end)
{
	struct volume_visit visit = { .record = take_record, .context = mover };
	buffer_init(&mover->read, PENDING_BYTES_MAX + (size_t)VOLUME_PAYLOAD_BYTES_MAX);
	buffer_init(&mover->written, PENDING_BYTES_MAX + (size_t)VOLUME_PAYLOAD_BYTES_MAX);
	int err = volume_walk(volume, VOLUME_BLOCK_BYTES, end, &visit, NULL, mover->why);
	if (err == 0)
		err = move_pending(mover);
	buffer_fini(&mover->read);
	buffer_fini(&mover->written);
	return err;
}

static int pass(void *context, struct volume *volume, const struct volume_record *record, struct span payload)
{
	(void)context, (void)volume, (void)record, (void)payload;
	return 0;
}

static int compact(struct mover *mover, struct volume *volume)
{
	struct volume_visit look = { .record = pass, .damage = on_damage, .context = mover };
	uint64_t end = volumes_end(mover->store->volumes, volume);
	/* What registrations have written to it already is in the index behind this: the walk does not miss them. */
	pthread_rwlock_wrlock(&mover->store->registration);
	pthread_rwlock_unlock(&mover->store->registration);
	/* A volume with damage stays as it is: what cannot be read may be somebody's, and may still be repaired. */
	int err = volume_walk(volume, VOLUME_BLOCK_BYTES, end, &look, NULL, mover->why);
	if (err == 0 && mover->damaged)
		err = ERR_CORRUPT;
	if (err == 0)
		err = move_xorbs(mover->store, volume->id, mover->why);
	return err ? err : move_records(mover, volume, end);
}

int store_compact_volume(struct store *store, uint32_t id, struct why *why)
{
	uint32_t first = 0;
	struct volume *volume = volumes_get(store->volumes, id);
	if (!volume)
		return why_set(why, ERR_NOT_FOUND, "there is no volume %08x", id);
	struct mover *mover = calloc(1, sizeof(*mover));
	if (!mover) {
		volume_release(volume);
		return why_set(why, ERR_NO_MEMORY, "no memory to empty a volume");
	}
	mover->store = store;
	mover->why = why;
	volumes_list(store->volumes, &first, 1);
	mover->has_older = first < id;
	int err = compact(mover, volume);
	free(mover);
	volume_release(volume);
	/* A crash must not bring back an index older than the removal: what it knows of this volume, and what was dropped in it, would be wrong. */
	if (err == 0)
		err = store_note_gap(store, id);
	if (err == 0)
		err = index_flush(store->index, why);
	return err ? err : volumes_remove(store->volumes, id, why);
}
