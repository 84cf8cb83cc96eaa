#include "store/other_terms.h"

#include <stdlib.h>

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

/* ---- what no node has ---- */

static int same_xorb(void *context, const struct hash *xorb)
{
	return hash_equal(context, xorb) ? 1 : 0;
}

/* What cannot be read counts as read by it. With registrations held off. */
static bool is_read_by(struct store *store, const struct hash *file, struct hash *xorb)
{
	struct index_file known;
	int err = index_file(store->index, file, &known);
	return err == ERR_NOT_FOUND ? false : err || store_xorbs_of_file(store, file, same_xorb, xorb, NULL) != 0;
}

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
