#include "store/other_terms.h"

#include <stdlib.h>

#include "schemas/little_endian.h"
#include "store/journal.h"

enum { PLACES_MAX = 8, AVOIDING_MAX = 16 };

/* What cannot be read counts as needed, as in a garbage collection. */
static bool is_needed(struct store *store, const struct hash *xorb, const struct hash *file)
{
	uint8_t key[2 * HASH_BYTES];
	struct buffer none;
	memcpy(key, xorb->bytes, HASH_BYTES);
	memcpy(key + HASH_BYTES, file->bytes, HASH_BYTES);
	buffer_init(&none, 16);
	bool needed = index_get_raw(store->index, 'r', span_of(key, sizeof(key)), &none) != ERR_NOT_FOUND;
	buffer_fini(&none);
	return needed;
}

/* Calls `each` for the xorbs of a record's terms, each once where it is named many times in a row, until it says true. */
static bool any_xorb(struct span payload, bool (*each)(void *context, uint32_t index, const struct hash *xorb), void *context)
{
	struct file_record record;
	struct hash last = { 0 };
	if (file_record_decode(&record, payload) != 0)
		return false;
	for (uint32_t k = 0; k < file_blocks_count(record.terms_count); k++) {
		struct file_block block;
		if (file_block_decode(&block, span_of(payload.data + file_block_offset(k), file_block_length(record.terms_count, k))) != 0)
			return false;
		for (uint32_t i = 0; i < block.count; i++) {
			struct file_term term;
			file_term_decode(&term, block.terms + (size_t)i * FILE_RECORD_TERM_BYTES);
			if (!hash_equal(&term.xorb, &last) && each(context, k * FILE_BLOCK_TERMS + i, &term.xorb))
				return true;
			last = term.xorb;
		}
	}
	return false;
}

struct comparison {
	struct store *store;
	const struct index_file *known;
};

static bool is_own_term(const struct index_file *known, uint32_t index, const struct hash *xorb)
{
	return known->terms_inline && index < known->record.terms_count && hash_equal(&known->terms[index].xorb, xorb);
}

static bool is_more(void *context, uint32_t index, const struct hash *xorb)
{
	struct comparison *comparison = context;
	return !is_own_term(comparison->known, index, xorb) && !is_needed(comparison->store, xorb, &comparison->known->record.file);
}

bool other_terms_name_more(struct store *store, const struct index_file *known, struct span payload)
{
	return any_xorb(payload, is_more, &(struct comparison){ store, known });
}

static bool is_damaged(void *context, uint32_t index, const struct hash *xorb)
{
	(void)index;
	struct store *store = context;
	return damaged_list_has(&store->damaged, xorb);
}

bool other_terms_are_better(struct store *store, const struct hash *file, struct span payload)
{
	return damaged_list_has(&store->damaged_files, file) || (store_file_is_damaged(store, file) && !any_xorb(payload, is_damaged, store));
}

uint8_t *other_terms_copy(struct span payload, bool other)
{
	uint8_t *copy = malloc(payload.length);
	if (!copy)
		return NULL;
	memcpy(copy, payload.data, payload.length);
	file_record_set_other_terms(copy, other);
	return copy;
}

/* ---- reading by others ---- */

struct choice {
	struct store *store;
	const struct hash *without;
};

static bool cannot_be_had(void *context, uint32_t index, const struct hash *xorb)
{
	const struct choice *choice = context;
	struct stored_xorb *opened = NULL;
	(void)index;
	if (hash_equal(xorb, choice->without) || store_open_xorb(choice->store, xorb, true, &opened, NULL) != 0)
		return true;
	stored_xorb_release(opened);
	return false;
}

static size_t places_of(struct store *store, const struct hash *file, struct record_place places[PLACES_MAX])
{
	struct index_scan scan;
	size_t count = 0;
	index_scan_open(&scan, store->index, INDEX_OTHER_TERMS, span_of(file->bytes, HASH_BYTES), span_of(NULL, 0));
	while (count < PLACES_MAX && index_scan_next(&scan))
		if (scan.key.length == INDEX_PLACE_BYTES)
			places[count++] = (struct record_place){ le_read_u32(scan.key.data), le_read_u64(scan.key.data + 4) };
	index_scan_close(&scan);
	return count;
}

static void forget_place(struct store *store, const struct hash *file, const struct record_place *place)
{
	uint8_t key[HASH_BYTES + INDEX_PLACE_BYTES];
	memcpy(key, file->bytes, HASH_BYTES);
	le_write_u32(key + HASH_BYTES, place->volume);
	le_write_u64(key + HASH_BYTES + 4, place->offset);
	index_drop_raw(store->index, INDEX_OTHER_TERMS, span_of(key, sizeof(key)));
}

/* `others` become the file's own terms, and those become other ones. */
static int take_over(struct store *store, const struct hash *file, struct span others)
{
	struct buffer own;
	struct index_file known;
	struct journal_record records[2];
	size_t count = 0;
	buffer_init(&own, VOLUME_PAYLOAD_BYTES_MAX);
	bool is_known = store_file_record(store, file, &own, NULL) == 0 && !any_xorb(buffer_span(&own), is_damaged, store);
	uint8_t *better = other_terms_copy(others, false), *worse = is_known ? other_terms_copy(buffer_span(&own), true) : NULL;
	int err = better && (worse || !is_known) ? 0 : ERR_NO_MEMORY;
	if (err == 0)
		records[count++] = (struct journal_record){ .kind = VOLUME_FILE, .payload = span_of(better, others.length) };
	if (err == 0 && worse)
		records[count++] = (struct journal_record){ .kind = VOLUME_FILE, .payload = span_of(worse, own.length) };
	pthread_rwlock_rdlock(&store->registration);
	if (err == 0)
		err = index_file(store->index, file, &known); /* or it was collected meanwhile */
	if (err == 0)
		err = journal_commit(store->journal, records, count, NULL);
	pthread_rwlock_unlock(&store->registration);
	free(better);
	free(worse);
	buffer_fini(&own);
	return err;
}

int other_terms_switch(struct store *store, const struct hash *file, const struct hash *without)
{
	struct choice choice = { store, without };
	struct record_place places[PLACES_MAX];
	struct buffer payload;
	size_t count = store->journal ? places_of(store, file, places) : 0;
	int err = ERR_NOT_FOUND;
	buffer_init(&payload, VOLUME_PAYLOAD_BYTES_MAX);
	for (size_t i = 0; i < count && err; i++) {
		buffer_clear(&payload);
		if (store_file_record_at(store, file, &places[i], &payload) != 0)
			forget_place(store, file, &places[i]); /* moved, or collected */
		else if (!any_xorb(buffer_span(&payload), cannot_be_had, &choice))
			err = take_over(store, file, buffer_span(&payload));
	}
	buffer_fini(&payload);
	return err;
}

static int same_xorb(void *context, const struct hash *xorb)
{
	return hash_equal(context, xorb) ? 1 : 0;
}

/* What cannot be read counts as read by it. */
static bool is_read_by(struct store *store, const struct hash *file, struct hash *xorb)
{
	struct index_file known;
	int err = index_file(store->index, file, &known);
	return err == ERR_NOT_FOUND ? false : err || store_xorbs_of_file(store, file, same_xorb, xorb, NULL) != 0;
}

size_t store_avoid_xorb(struct store *store, const struct hash *xorb)
{
	struct hash files[AVOIDING_MAX], sought = *xorb;
	struct index_scan scan;
	size_t count = 0, switched = 0;
	index_scan_open(&scan, store->index, 'r', span_of(xorb->bytes, HASH_BYTES), span_of(NULL, 0));
	while (count < AVOIDING_MAX && index_scan_next(&scan))
		if (scan.key.length == HASH_BYTES)
			memcpy(files[count++].bytes, scan.key.data, HASH_BYTES);
	index_scan_close(&scan);
	for (size_t i = 0; i < count; i++)
		if (is_read_by(store, &files[i], &sought))
			switched += other_terms_switch(store, &files[i], xorb) == 0;
	return switched;
}

/* ---- what no node has ---- */

size_t store_note_lost(struct store *store, const struct hash *xorb, struct hash *files, size_t max)
{
	struct index_scan scan;
	struct hash lost = *xorb;
	size_t count = 0;
	pthread_rwlock_wrlock(&store->registration);
	index_scan_open(&scan, store->index, 'r', span_of(xorb->bytes, HASH_BYTES), span_of(NULL, 0));
	while (count < max && index_scan_next(&scan)) {
		uint8_t key[2 * HASH_BYTES];
		if (scan.key.length != HASH_BYTES)
			continue;
		memcpy(files[count].bytes, scan.key.data, HASH_BYTES);
		if (is_read_by(store, &files[count], &lost)) {
			count++;
			continue;
		}
		memcpy(key, xorb->bytes, HASH_BYTES);
		memcpy(key + HASH_BYTES, scan.key.data, HASH_BYTES);
		index_drop_raw(store->index, 'r', span_of(key, sizeof(key)));
	}
	index_scan_close(&scan);
	pthread_rwlock_unlock(&store->registration);
	if (count && !store_has_xorb(store, xorb))
		damaged_list_add(&store->damaged, xorb);
	return count;
}
