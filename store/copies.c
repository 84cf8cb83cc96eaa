/* copies.c - what a node tells the other nodes of its records, and takes from theirs. The wire is somebody else's (replication). */
#include <stdlib.h>
#include <time.h>

#include "store/core.h"
#include "store/file_terms.h"

enum { TAKE_MAX = 4096 };

void store_set_copies(struct store *store, const struct store_copies *copies)
{
	store->copies = *copies;
}

int store_await_copies(struct store *store, struct why *why)
{
	struct record_place end;
	if (!store->copies.await)
		return 0;
	index_position(store->index, &end);
	return store->copies.await(store->copies.context, &end, why);
}

int store_fetch_file(struct store *store, const struct hash *file, struct why *why)
{
	return store->copies.fetch_file ? store->copies.fetch_file(store->copies.context, file, why) : ERR_NOT_FOUND;
}

int store_fetch_xorb(struct store *store, const struct hash *xorb, struct why *why)
{
	return store->copies.fetch_xorb ? store->copies.fetch_xorb(store->copies.context, xorb, why) : ERR_NOT_FOUND;
}

int store_open_xorb(struct store *store, const struct hash *hash, bool may_block, struct stored_xorb **out, struct why *why)
{
	int err = stored_xorb_open(out, store->xorbs, hash, may_block, why);
	if (err == ERR_CORRUPT)
		damaged_list_add(&store->damaged, hash);
	if ((err != ERR_NOT_FOUND && err != ERR_CORRUPT) || !store->copies.fetch_xorb)
		return err;
	if (!may_block)
		return ERR_AGAIN;
	return store_fetch_xorb(store, hash, NULL) == 0 ? stored_xorb_open(out, store->xorbs, hash, true, why) : err;
}

bool store_has_xorb(struct store *store, const struct hash *xorb)
{
	struct index_xorb entry;
	int err = index_xorb(store->index, xorb, &entry);
	index_xorb_fini(&entry);
	return err == 0 && !damaged_list_has(&store->damaged, xorb);
}

/* ------------------------------------------------------------------ telling */

void store_position(struct store *store, struct record_place *out)
{
	index_position(store->index, out);
}

void store_await_position(struct store *store, const struct record_place *known, int64_t timeout_ms)
{
	journal_await(store->journal, known, timeout_ms);
}

struct telling {
	store_each_record each;
	void *context;
	size_t records, records_max;
	uint64_t bytes, bytes_max;
	struct record_place *from;
	bool full;
};

enum { STOP_FULL = 1 };

static int tell(void *context, struct volume *volume, const struct volume_record *record, struct span payload)
{
	struct telling *telling = context;
	/* Of a drop nobody is told: every node collects for itself, by the names that all have and the claims that it has. */
	bool told = record->kind != VOLUME_FRAGMENT && record->kind != VOLUME_DROP;
	int err = told ? telling->each(telling->context, record->kind, payload) : 0;
	if (err)
		return err;
	*telling->from = (struct record_place){ volume->id, record->offset + volume_record_bytes(record->payload_length) };
	telling->records += told;
	telling->bytes += payload.length;
	telling->full = telling->records >= telling->records_max || telling->bytes >= telling->bytes_max;
	return telling->full ? STOP_FULL : 0;
}

int store_read_records(struct store *store, struct record_place *from, size_t records_max, uint64_t bytes_max, store_each_record each, void *context, bool *at_end,
	struct why *why)
{
	struct telling telling = { .each = each, .context = context, .records_max = records_max, .bytes_max = bytes_max, .from = from };
	/* A damaged place is passed over: what stood there is no record of this node any more. */
	struct volume_visit visit = { .record = tell, .context = &telling, .pass_unreadable = true };
	struct record_place published;
	index_position(store->index, &published);
	size_t max = volumes_list(store->volumes, NULL, 0);
	uint32_t *ids = malloc((max ? max : 1) * sizeof(*ids));
	if (!ids)
		return why_set(why, ERR_NO_MEMORY, "no memory to read records");
	size_t count = volumes_list(store->volumes, ids, max);
	int err = 0;
	for (size_t i = 0; i < count && i < max && err == 0; i++) {
		struct volume *volume = ids[i] >= from->volume && ids[i] <= published.volume ? volumes_get(store->volumes, ids[i]) : NULL;
		if (!volume)
			continue;
		uint64_t start = ids[i] == from->volume && from->offset > VOLUME_BLOCK_BYTES ? from->offset : VOLUME_BLOCK_BYTES;
		uint64_t end = ids[i] == published.volume ? published.offset : volumes_end(store->volumes, volume);
		err = start < end ? volume_walk(volume, start, end, &visit, NULL, why) : 0;
		volume_release(volume);
	}
	free(ids);
	*at_end = err == 0;
	if (err == 0)
		*from = published;
	return err == STOP_FULL ? 0 : err;
}

int store_file_record(struct store *store, const struct hash *file, struct buffer *out, struct why *why)
{
	struct file_terms terms;
	int err = file_terms_open(&terms, store, file, why);
	if (err)
		return err;
	uint32_t count = terms.file.record.terms_count;
	struct file_term *all = malloc((count ? count : 1) * sizeof(*all));
	err = all ? 0 : why_set(why, ERR_NO_MEMORY, "no memory for the terms of a file");
	if (err == 0 && count > 0) {
		err = file_terms_seek(&terms, 0, true, why);
		for (int more = err == 0; more == 1; more = file_terms_next(&terms, true, why))
			all[terms.index] = terms.term;
		if (err == 0 && terms.index + 1 != count)
			err = why_set(why, ERR_CORRUPT, "a file's terms cannot be read");
	}
	if (err == 0)
		err = file_record_encode(out, &terms.file.record, all);
	free(all);
	file_terms_close(&terms);
	return err;
}

/* ------------------------------------------------------------------ taking */

/* True when the record would say something new. */
static bool is_news(struct store *store, uint8_t kind, struct span payload)
{
	union {
		struct file_record file;
		struct claim_record claim;
		struct verified_record verified;
		struct touch_record touch;
	} record;
	struct index_file known;
	struct index_xorb xorb = { 0 };
	int64_t claimed_ms;
	bool news;
	switch (kind) {
	case VOLUME_FILE:
		return file_record_decode(&record.file, payload) == 0 && (index_file(store->index, &record.file.file, &known) != 0 ||
			(record.file.sha256_verified && !known.record.sha256_verified) || store_file_is_damaged(store, &record.file.file));
	case VOLUME_CLAIM:
		return claim_record_decode(&record.claim, payload) == 0 &&
			(index_claim(store->index, &record.claim.file, &record.claim.owner, &claimed_ms) != 0 || claimed_ms < record.claim.claimed_ms);
	case VOLUME_VERIFIED:
		return verified_record_decode(&record.verified, payload) == 0 && index_file(store->index, &record.verified.file, &known) == 0 &&
			!known.record.sha256_verified;
	case VOLUME_TOUCH:
		news = touch_record_decode(&record.touch, payload) == 0 && index_xorb(store->index, &record.touch.xorb, &xorb) == 0 &&
			xorb.stored_ms < record.touch.touched_ms;
		index_xorb_fini(&xorb);
		return news;
	default:
		return false;
	}
}

int store_take_records(struct store *store, const struct store_record *records, size_t count, struct why *why)
{
	struct journal_record *news = malloc((count < TAKE_MAX ? count + 1 : TAKE_MAX) * sizeof(*news));
	int err = news ? 0 : why_set(why, ERR_NO_MEMORY, "no memory for records of another node");
	for (size_t at = 0; at < count && err == 0;) {
		size_t used = 0;
		uint64_t bytes = 0;
		pthread_rwlock_rdlock(&store->registration);
		for (; at < count && used < TAKE_MAX && bytes < VOLUME_PAYLOAD_BYTES_MAX; at++) {
			if (!is_news(store, records[at].kind, records[at].payload))
				continue;
			bytes += records[at].payload.length;
			news[used++] = (struct journal_record){ .kind = records[at].kind, .payload = records[at].payload };
		}
		if (used)
			err = journal_commit(store->journal, news, used, why);
		pthread_rwlock_unlock(&store->registration);
	}
	free(news);
	return err;
}

/* ------------------------------------------------------------------ how far */

static struct span mark_key(uint64_t peer, uint8_t out[8])
{
	for (unsigned i = 0; i < 8; i++)
		out[i] = (uint8_t)(peer >> 8 * i);
	return span_of(out, 8);
}

int store_mark_put(struct store *store, uint64_t peer, const struct record_place *place)
{
	uint8_t key[8], value[12];
	for (unsigned i = 0; i < 4; i++)
		value[i] = (uint8_t)(place->volume >> 8 * i);
	mark_key(place->offset, value + 4);
	return index_put_raw(store->index, &(struct index_raw){ INDEX_MARK, mark_key(peer, key), span_of(value, sizeof(value)) }, 1);
}

int store_mark_get(struct store *store, uint64_t peer, struct record_place *out)
{
	uint8_t key[8];
	struct buffer value;
	*out = (struct record_place){ 0 };
	buffer_init(&value, 64);
	int err = index_get_raw(store->index, INDEX_MARK, mark_key(peer, key), &value);
	if (err == 0 && value.length == 12) {
		for (unsigned i = 0; i < 4; i++)
			out->volume |= (uint32_t)value.data[i] << 8 * i;
		for (unsigned i = 0; i < 8; i++)
			out->offset |= (uint64_t)value.data[4 + i] << 8 * i;
	}
	buffer_fini(&value);
	return err == ERR_NOT_FOUND ? 0 : err;
}
