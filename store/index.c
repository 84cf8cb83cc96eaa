#include "store/index_entries.h"

#include <stdlib.h>

#include "schemas/little_endian.h"

enum {
	WRITE_BUFFER_BYTES = 8 << 20,
	BACKGROUND_JOBS = 2,
	LOOKUP_BATCH = 64,
};

static const double MEMTABLE_FILTER_RATIO = 0.02; /* of the memtable's bytes */

/* ------------------------------------------------------------------ keys */

struct key key_of(char letter, const void *a, size_t a_length, const void *b, size_t b_length)
{
	struct key key = { .length = 2 + a_length + b_length };
	key.bytes[0] = INDEX_DOMAIN;
	key.bytes[1] = (uint8_t)letter;
	if (a_length)
		memcpy(key.bytes + 2, a, a_length);
	if (b_length)
		memcpy(key.bytes + 2 + a_length, b, b_length);
	return key;
}

/* ------------------------------------------------------------------ opening */

static rocksdb_options_t *make_options(rocksdb_cache_t *cache)
{
	rocksdb_options_t *options = rocksdb_options_create();
	rocksdb_options_set_create_if_missing(options, 1);
	rocksdb_options_set_write_buffer_size(options, WRITE_BUFFER_BYTES);
	rocksdb_options_set_max_write_buffer_number(options, 2);
	rocksdb_options_set_memtable_prefix_bloom_size_ratio(options, MEMTABLE_FILTER_RATIO); /* most keys that are asked for are new */
	rocksdb_options_set_memtable_whole_key_filtering(options, 1);
	rocksdb_options_set_max_background_jobs(options, BACKGROUND_JOBS);
	rocksdb_options_set_max_open_files(options, 256);
	rocksdb_options_set_keep_log_file_num(options, 2);
	rocksdb_options_set_max_log_file_size(options, 4 << 20);
	rocksdb_options_set_compression(options, rocksdb_no_compression); /* hashes do not compress */
	rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1);
	rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
	rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(10));
	rocksdb_block_based_options_set_block_cache(table, cache);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
	/* In pieces of a few KiB: the filter of a whole table is larger than a small cache, and would be read again for every look-up. */
	rocksdb_block_based_options_set_index_type(table, rocksdb_block_based_table_index_type_two_level_index_search);
	rocksdb_block_based_options_set_partition_filters(table, 1);
	rocksdb_block_based_options_set_pin_top_level_index_and_filter(table, 1);
	rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1);
	rocksdb_options_set_block_based_table_factory(options, table);
	rocksdb_block_based_options_destroy(table);
	return options;
}

static void read_totals(struct index *index)
{
	struct buffer value;
	buffer_init(&value, 256);
	if (index_get_raw(index, 't', span_of(NULL, 0), &value) == 0 && value.length == TOTALS_BYTES) {
		const uint8_t *at = value.data;
		index->totals = (struct index_totals){ le_read_u64(at), le_read_u64(at + 8), le_read_u64(at + 16), le_read_u64(at + 24),
			le_read_u64(at + 32), le_read_u64(at + 40) };
	}
	buffer_clear(&value);
	if (index_get_raw(index, 'l', span_of(NULL, 0), &value) == 0 && value.length == 12)
		index->position = (struct record_place){ le_read_u32(value.data), le_read_u64(value.data + 4) };
	buffer_fini(&value);
}

/* An index that is not new says which format it has. */
static int check_format(struct index *index, struct why *why)
{
	struct buffer value;
	uint8_t format[4];
	le_write_u32(format, INDEX_FORMAT);
	buffer_init(&value, 256);
	int err = index_get_raw(index, 'v', span_of(NULL, 0), &value);
	bool is_same = err == 0 && span_equal(buffer_span(&value), span_of(format, sizeof(format)));
	buffer_clear(&value);
	if (err == ERR_NOT_FOUND && index_get_raw(index, 't', span_of(NULL, 0), &value) == ERR_NOT_FOUND)
		err = index_put_raw(index, &(struct index_raw){ 'v', span_of(NULL, 0), span_of(format, sizeof(format)) }, 1);
	else if (err == ERR_NOT_FOUND || (err == 0 && !is_same))
		err = why_set(why, ERR_CORRUPT, "the index was made by another version");
	buffer_fini(&value);
	return err;
}

int index_open(struct index **out, const char *dir, uint64_t cache_bytes, struct why *why)
{
	struct index *index = calloc(1, sizeof(*index));
	if (!index)
		return why_set(why, ERR_NO_MEMORY, "no memory for the index");
	pthread_mutex_init(&index->lock, NULL);
	index->cache = rocksdb_cache_create_lru(cache_bytes);
	index->read = rocksdb_readoptions_create();
	index->write = rocksdb_writeoptions_create();
	rocksdb_writeoptions_disable_WAL(index->write, 1);
	index->options = make_options(index->cache);
	char *error = NULL;
	index->db = rocksdb_open_column_families(index->options, dir, 1, &(const char *){ "default" },
		(const rocksdb_options_t *const *)&index->options, &index->family, &error);
	if (error) {
		/* Only what says that the index itself is bad: a full disk, a right or a limit that is missing must not cost the index. */
		bool is_bad = strstr(error, "Corruption") || strstr(error, "No such file");
		int err = why_set(why, strstr(error, "No space left") ? ERR_NO_SPACE : is_bad ? ERR_CORRUPT : ERR_IO, "cannot open the index: %.300s", error);
		rocksdb_free(error);
		index->db = NULL;
		index_close(index);
		return err;
	}
	int err = check_format(index, why);
	if (err) {
		index_close(index);
		return err;
	}
	read_totals(index);
	struct index_scan scan;
	index_scan_open(&scan, index, 'e', span_of(NULL, 0), span_of(NULL, 0));
	atomic_store(&index->has_coded, index_scan_next(&scan));
	index_scan_close(&scan);
	*out = index;
	return 0;
}

void index_close(struct index *index)
{
	if (!index)
		return;
	if (index->db) {
		index_flush(index, NULL);
		rocksdb_column_family_handle_destroy(index->family);
		rocksdb_close(index->db);
	}
	rocksdb_options_destroy(index->options);
	rocksdb_readoptions_destroy(index->read);
	rocksdb_writeoptions_destroy(index->write);
	rocksdb_cache_destroy(index->cache);
	pthread_mutex_destroy(&index->lock);
	free(index);
}

/* What RocksDB says into `why`; frees it. */
static int failed(struct index *index, char *error, struct why *why)
{
	bool is_bad = strstr(error, "Corruption") != NULL;
	if (is_bad && index && index->on_damage)
		index->on_damage(index->context, error);
	int err = why_set(why, is_bad ? ERR_CORRUPT : strstr(error, "No space left") ? ERR_NO_SPACE : ERR_IO, "the index failed: %.300s", error);
	rocksdb_free(error);
	return err;
}

void index_when_damaged(struct index *index, void (*on_damage)(void *context, const char *what), void *context)
{
	index->context = context;
	index->on_damage = on_damage;
}

int index_flush(struct index *index, struct why *why)
{
	char *error = NULL;
	rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
	rocksdb_flushoptions_set_wait(options, 1);
	rocksdb_flush(index->db, options, &error);
	rocksdb_flushoptions_destroy(options);
	return error ? failed(index, error, why) : 0;
}

int index_destroy(const char *dir, struct why *why)
{
	char *error = NULL;
	rocksdb_options_t *options = rocksdb_options_create();
	rocksdb_destroy_db(options, dir, &error);
	rocksdb_options_destroy(options);
	return error ? failed(NULL, error, why) : 0;
}

void index_totals(struct index *index, struct index_totals *out)
{
	pthread_mutex_lock(&index->lock);
	*out = index->totals;
	pthread_mutex_unlock(&index->lock);
}

void index_position(struct index *index, struct record_place *out)
{
	pthread_mutex_lock(&index->lock);
	*out = index->position;
	pthread_mutex_unlock(&index->lock);
}

/* ------------------------------------------------------------------ questions */

int entry_get(struct index *index, const struct key *key, rocksdb_pinnableslice_t **value)
{
	char *error = NULL;
	*value = rocksdb_get_pinned(index->db, index->read, (const char *)key->bytes, key->length, &error);
	if (error)
		return failed(index, error, NULL);
	return *value != NULL;
}

struct span entry_bytes(const rocksdb_pinnableslice_t *slice)
{
	size_t length;
	const char *data = rocksdb_pinnableslice_value(slice, &length);
	return span_of(data, length);
}

static void chunk_decode(struct index_chunk *out, struct span value)
{
	out->found = value.length == CHUNK_VALUE_BYTES;
	if (!out->found)
		return;
	memcpy(out->xorb.bytes, value.data, HASH_BYTES);
	out->chunk_index = le_read_u32(value.data + HASH_BYTES);
	out->raw_length = le_read_u32(value.data + HASH_BYTES + 4);
}

static int find_some(struct index *index, const struct hash *chunks, size_t count, struct index_chunk *out, struct why *why)
{
	struct key keys[LOOKUP_BATCH];
	const char *pointers[LOOKUP_BATCH];
	size_t lengths[LOOKUP_BATCH];
	rocksdb_pinnableslice_t *values[LOOKUP_BATCH];
	char *errors[LOOKUP_BATCH] = { NULL };
	for (size_t i = 0; i < count; i++) {
		keys[i] = key1('c', &chunks[i]);
		pointers[i] = (const char *)keys[i].bytes;
		lengths[i] = keys[i].length;
	}
	rocksdb_batched_multi_get_cf(index->db, index->read, index->family, count, pointers, lengths, values, errors, false);
	int err = 0;
	for (size_t i = 0; i < count; i++) {
		out[i].found = false;
		if (errors[i])
			err = failed(index, errors[i], why);
		if (values[i]) {
			chunk_decode(&out[i], entry_bytes(values[i]));
			rocksdb_pinnableslice_destroy(values[i]);
		}
	}
	return err;
}

int index_find_chunks(struct index *index, const struct hash *chunks, size_t count, struct index_chunk *out, struct why *why)
{
	int err = 0;
	for (size_t first = 0; first < count && err == 0; first += LOOKUP_BATCH)
		err = find_some(index, chunks + first, count - first < LOOKUP_BATCH ? count - first : LOOKUP_BATCH, out + first, why);
	return err;
}

void index_xorb_fini(struct index_xorb *xorb)
{
	free(xorb->fragments);
	xorb->fragments = NULL;
}

int index_xorb_decode(struct index_xorb *out, struct span value)
{
	*out = (struct index_xorb){ 0 };
	if (value.length < XORB_VALUE_FIXED_BYTES)
		return ERR_CORRUPT;
	const uint8_t *at = value.data;
	out->body_length = le_read_u32(at);
	out->raw_length = le_read_u32(at + 4);
	out->chunks_count = le_read_u32(at + 8);
	out->stored_ms = (int64_t)le_read_u64(at + 12);
	out->place.volume = le_read_u32(at + 20);
	out->place.offset = le_read_u64(at + 24);
	out->payload_length = le_read_u32(at + 32);
	out->fragments_count = le_read_u32(at + 36);
	out->is_part = at[40] != 0;
	if (value.length != XORB_VALUE_FIXED_BYTES + (uint64_t)out->fragments_count * XORB_RECORD_FRAGMENT_BYTES || out->fragments_count == 0)
		return ERR_CORRUPT;
	out->fragments = malloc(out->fragments_count * sizeof(*out->fragments));
	if (!out->fragments)
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < out->fragments_count; i++)
		xorb_fragment_at(&out->fragments[i], at + XORB_VALUE_FIXED_BYTES, i);
	return 0;
}

int index_xorb(struct index *index, const struct hash *xorb, struct index_xorb *out)
{
	struct key key = key1('x', xorb);
	rocksdb_pinnableslice_t *value;
	*out = (struct index_xorb){ 0 };
	int found = entry_get(index, &key, &value);
	if (found != 1)
		return found < 0 ? found : ERR_NOT_FOUND;
	int err = index_xorb_decode(out, entry_bytes(value));
	rocksdb_pinnableslice_destroy(value);
	return err;
}

bool index_has_coded(struct index *index)
{
	return atomic_load_explicit(&index->has_coded, memory_order_relaxed);
}

bool entry_coding(struct span *rest, struct coded_record *out)
{
	if (rest->length < CODED_RECORD_FIXED_BYTES)
		return false;
	size_t length = CODED_RECORD_FIXED_BYTES + (size_t)(rest->data[36] + rest->data[37]) * HASH_BYTES;
	if (length > rest->length || coded_record_decode(out, span_of(rest->data, length)) != 0)
		return false;
	*rest = span_of(rest->data + length, rest->length - length);
	return true;
}

size_t index_codings(struct index *index, const struct hash *xorb, struct coded_record *out, size_t max)
{
	struct key key = key1('e', xorb);
	rocksdb_pinnableslice_t *value;
	size_t count = 0;
	if (entry_get(index, &key, &value) != 1)
		return 0;
	for (struct span rest = entry_bytes(value); count < max && entry_coding(&rest, &out[count]);)
		count++;
	rocksdb_pinnableslice_destroy(value);
	return count;
}

int index_xorb_of_part(struct index *index, const struct hash *part, struct hash *out)
{
	struct key key = key1('p', part);
	rocksdb_pinnableslice_t *value;
	int found = entry_get(index, &key, &value);
	if (found != 1)
		return found < 0 ? found : ERR_NOT_FOUND;
	struct span bytes = entry_bytes(value);
	if (bytes.length == HASH_BYTES)
		memcpy(out->bytes, bytes.data, HASH_BYTES);
	int err = bytes.length == HASH_BYTES ? 0 : ERR_CORRUPT;
	rocksdb_pinnableslice_destroy(value);
	return err;
}

int index_file_decode(struct index_file *out, const struct hash *file, struct span value)
{
	const uint8_t *at = value.data;
	if (value.length < FILE_VALUE_FIXED_BYTES)
		return ERR_CORRUPT;
	struct file_record *record = &out->record;
	record->file = *file;
	memcpy(record->sha256.bytes, at, HASH_BYTES);
	at += HASH_BYTES;
	record->has_sha256 = at[0] & 1;
	record->sha256_verified = (at[0] & 2) != 0;
	record->other_terms = false; /* whatever its record says: now they are its own */
	record->length = le_read_u64(at + 4);
	record->registered_ms = (int64_t)le_read_u64(at + 12);
	record->terms_count = le_read_u32(at + 20);
	out->place.volume = le_read_u32(at + 24);
	out->place.offset = le_read_u64(at + 28);
	at += FILE_VALUE_FIXED_BYTES - HASH_BYTES;
	out->terms_inline = record->terms_count <= INDEX_TERMS_INLINE_MAX;
	if (!out->terms_inline)
		return 0;
	if (value.length != FILE_VALUE_FIXED_BYTES + (size_t)record->terms_count * FILE_RECORD_TERM_BYTES)
		return ERR_CORRUPT;
	for (uint32_t i = 0; i < record->terms_count; i++)
		file_term_decode(&out->terms[i], at + (size_t)i * FILE_RECORD_TERM_BYTES);
	return 0;
}

int index_file(struct index *index, const struct hash *file, struct index_file *out)
{
	struct key key = key1('f', file);
	rocksdb_pinnableslice_t *value;
	int found = entry_get(index, &key, &value);
	if (found != 1)
		return found < 0 ? found : ERR_NOT_FOUND;
	int err = index_file_decode(out, file, entry_bytes(value));
	rocksdb_pinnableslice_destroy(value);
	return err;
}

static int claim_time(struct index *index, char letter, const struct hash *file, const struct entity_id *owner, int64_t *claimed_ms)
{
	struct key key = key_of(letter, file->bytes, HASH_BYTES, owner->bytes, ENTITY_ID_BYTES);
	rocksdb_pinnableslice_t *value;
	int found = entry_get(index, &key, &value);
	if (found != 1)
		return found < 0 ? found : ERR_NOT_FOUND;
	struct span bytes = entry_bytes(value);
	*claimed_ms = bytes.length == 8 ? (int64_t)le_read_u64(bytes.data) : 0;
	rocksdb_pinnableslice_destroy(value);
	return 0;
}

int index_claim(struct index *index, const struct hash *file, const struct entity_id *owner, int64_t *claimed_ms)
{
	return claim_time(index, 'o', file, owner, claimed_ms);
}

int index_dropped_claim(struct index *index, const struct hash *file, const struct entity_id *owner, int64_t *claimed_ms)
{
	return claim_time(index, INDEX_DROPPED, file, owner, claimed_ms);
}

int index_usage(struct index *index, const struct entity_id *owner, uint64_t *files, uint64_t *bytes)
{
	struct key key = key_of('u', owner->bytes, ENTITY_ID_BYTES, NULL, 0);
	rocksdb_pinnableslice_t *value;
	*files = *bytes = 0;
	int found = entry_get(index, &key, &value);
	if (found != 1)
		return found < 0 ? found : 0;
	struct span span = entry_bytes(value);
	if (span.length == 16) {
		*files = le_read_u64(span.data);
		*bytes = le_read_u64(span.data + 8);
	}
	rocksdb_pinnableslice_destroy(value);
	return 0;
}

/* ------------------------------------------------------------------ scans */

static void open_scan(struct index_scan *scan, struct index *index, char letter, struct span rest, struct span from, bool keep)
{
	*scan = (struct index_scan){ .index = index, .options = rocksdb_readoptions_create() };
	rocksdb_readoptions_set_fill_cache(scan->options, keep);
	struct key prefix = key_of(letter, rest.data, rest.length, NULL, 0);
	memcpy(scan->prefix, prefix.bytes, prefix.length);
	scan->prefix_length = prefix.length;
	scan->iterator = rocksdb_create_iterator(index->db, scan->options);
	struct key start = key_of(letter, rest.data, rest.length, from.data, from.length);
	rocksdb_iter_seek(scan->iterator, (const char *)start.bytes, start.length);
}

void index_scan_open(struct index_scan *scan, struct index *index, char letter, struct span rest, struct span from)
{
	open_scan(scan, index, letter, rest, from, true);
}

void index_scan_open_once(struct index_scan *scan, struct index *index, char letter, struct span rest)
{
	open_scan(scan, index, letter, rest, span_of(NULL, 0), false);
}

void index_scan_open_sha256(struct index_scan *scan, struct index *index, const struct sha256 *sha256, bool verified)
{
	uint8_t prefix[SHA256_PREFIX_BYTES];
	sha256_prefix(prefix, sha256, verified);
	index_scan_open(scan, index, 's', span_of(prefix, sizeof(prefix)), span_of(NULL, 0));
}

void index_scan_rewind(struct index_scan *scan)
{
	rocksdb_iter_seek(scan->iterator, (const char *)scan->prefix, scan->prefix_length);
	scan->started = false;
}

bool index_scan_next(struct index_scan *scan)
{
	if (scan->started && rocksdb_iter_valid(scan->iterator))
		rocksdb_iter_next(scan->iterator);
	scan->started = true;
	scan->key = scan->value = span_of(NULL, 0);
	if (!rocksdb_iter_valid(scan->iterator))
		return false;
	size_t length;
	const char *key = rocksdb_iter_key(scan->iterator, &length);
	if (length < scan->prefix_length || memcmp(key, scan->prefix, scan->prefix_length) != 0)
		return false;
	scan->key = span_of(key + scan->prefix_length, length - scan->prefix_length);
	const char *value = rocksdb_iter_value(scan->iterator, &length);
	scan->value = span_of(value, length);
	return true;
}

int index_scan_close(struct index_scan *scan)
{
	char *error = NULL;
	rocksdb_iter_get_error(scan->iterator, &error);
	rocksdb_iter_destroy(scan->iterator);
	rocksdb_readoptions_destroy(scan->options);
	return error ? failed(scan->index, error, NULL) : 0;
}

/* ------------------------------------------------------------------ raw entries */

int entries_write(struct index *index, rocksdb_writebatch_t *batch, struct why *why)
{
	char *error = NULL;
	rocksdb_write(index->db, index->write, batch, &error);
	return error ? failed(index, error, why) : 0;
}

void entry_put(rocksdb_writebatch_t *batch, const struct key *key, const void *value, size_t length)
{
	rocksdb_writebatch_put(batch, (const char *)key->bytes, key->length, value, length);
}

void entry_forget(rocksdb_writebatch_t *batch, const struct key *key)
{
	rocksdb_writebatch_delete(batch, (const char *)key->bytes, key->length);
}

int index_put_raw(struct index *index, const struct index_raw *entries, size_t count)
{
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	for (size_t i = 0; i < count; i++) {
		struct key key = key_of(entries[i].letter, entries[i].key.data, entries[i].key.length, NULL, 0);
		entry_put(batch, &key, entries[i].value.data, entries[i].value.length);
	}
	int err = entries_write(index, batch, NULL);
	rocksdb_writebatch_destroy(batch);
	return err;
}

int index_get_raw(struct index *index, char letter, struct span key_rest, struct buffer *out)
{
	struct key key = key_of(letter, key_rest.data, key_rest.length, NULL, 0);
	rocksdb_pinnableslice_t *value;
	int found = entry_get(index, &key, &value);
	if (found != 1)
		return found < 0 ? found : ERR_NOT_FOUND;
	struct span bytes = entry_bytes(value);
	int err = buffer_append(out, bytes.data, bytes.length);
	rocksdb_pinnableslice_destroy(value);
	return err;
}

int index_drop_prefix(struct index *index, char letter, struct span prefix)
{
	struct key from = key_of(letter, prefix.data, prefix.length, NULL, 0), to = from;
	/* The first key behind all that begin with the prefix; the letter is never 0xff. */
	while (to.bytes[to.length - 1] == 0xff)
		to.length--;
	to.bytes[to.length - 1]++;
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	rocksdb_writebatch_delete_range(batch, (const char *)from.bytes, from.length, (const char *)to.bytes, to.length);
	int err = entries_write(index, batch, NULL);
	rocksdb_writebatch_destroy(batch);
	return err;
}

int index_drop_raw(struct index *index, char letter, struct span rest)
{
	struct key key = key_of(letter, rest.data, rest.length, NULL, 0);
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	entry_forget(batch, &key);
	int err = entries_write(index, batch, NULL);
	rocksdb_writebatch_destroy(batch);
	return err;
}

int index_forget_chunks(struct index *index, const struct hash *xorb, const struct hash *chunks, size_t count)
{
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	int err = 0;
	for (size_t first = 0; first < count && err == 0; first += LOOKUP_BATCH) {
		struct index_chunk found[LOOKUP_BATCH];
		size_t some = count - first < LOOKUP_BATCH ? count - first : LOOKUP_BATCH;
		err = find_some(index, chunks + first, some, found, NULL);
		for (size_t i = 0; i < some && err == 0; i++) {
			struct key key = key1('c', &chunks[first + i]);
			if (found[i].found && hash_equal(&found[i].xorb, xorb))
				entry_forget(batch, &key);
		}
	}
	if (err == 0)
		err = entries_write(index, batch, NULL);
	rocksdb_writebatch_destroy(batch);
	return err;
}
