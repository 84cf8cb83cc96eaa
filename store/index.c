#include "store/index.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "schemas/little_endian.h"

enum {
	CHUNK_VALUE_BYTES = HASH_BYTES + 8,
	XORB_VALUE_FIXED_BYTES = 44,
	FILE_VALUE_FIXED_BYTES = HASH_BYTES + 40,
	TOTALS_BYTES = 48,
	WRITE_BUFFER_BYTES = 8 << 20,
	BACKGROUND_JOBS = 2,
	LOOKUP_BATCH = 64,
};

struct index {
	rocksdb_t *db;
	rocksdb_column_family_handle_t *family; /* the default one: only by its handle can many keys be looked up at once */
	rocksdb_options_t *options;
	rocksdb_cache_t *cache;
	rocksdb_readoptions_t *read;
	rocksdb_writeoptions_t *write;
	struct index_totals totals;   /* changed by the one that applies */
	struct place position;
	pthread_mutex_t lock;         /* over the two above, for readers */
};

struct index_batch {
	struct index *index;
	rocksdb_writebatch_t *batch;
	struct index_totals totals;
	struct entity_id owner;       /* whose usage is pending */
	bool has_owner;
	int64_t owner_files, owner_bytes;
};

/* ------------------------------------------------------------------ keys */

struct key {
	uint8_t bytes[INDEX_KEY_BYTES_MAX];
	size_t length;
};

static struct key key_of(char letter, const void *a, size_t a_length, const void *b, size_t b_length)
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

static struct key key1(char letter, const struct hash *hash)
{
	return key_of(letter, hash->bytes, HASH_BYTES, NULL, 0);
}

/* ------------------------------------------------------------------ opening */

static rocksdb_options_t *make_options(rocksdb_cache_t *cache)
{
	rocksdb_options_t *options = rocksdb_options_create();
	rocksdb_options_set_create_if_missing(options, 1);
	rocksdb_options_set_write_buffer_size(options, WRITE_BUFFER_BYTES);
	rocksdb_options_set_max_write_buffer_number(options, 2);
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
		index->position = (struct place){ le_read_u32(value.data), le_read_u64(value.data + 4) };
	buffer_fini(&value);
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
		/* A full disk says nothing of the index: it must not be thrown away for that. */
		int err = why_set(why, strstr(error, "No space left") ? ERR_NO_SPACE : ERR_CORRUPT, "cannot open the index: %.300s", error);
		rocksdb_free(error);
		index->db = NULL;
		index_close(index);
		return err;
	}
	read_totals(index);
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
static int failed(char *error, struct why *why)
{
	int err = why_set(why, strstr(error, "No space left") ? ERR_NO_SPACE : ERR_IO, "the index failed: %.300s", error);
	rocksdb_free(error);
	return err;
}

int index_flush(struct index *index, struct why *why)
{
	char *error = NULL;
	rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
	rocksdb_flushoptions_set_wait(options, 1);
	rocksdb_flush(index->db, options, &error);
	rocksdb_flushoptions_destroy(options);
	return error ? failed(error, why) : 0;
}

int index_destroy(const char *dir, struct why *why)
{
	char *error = NULL;
	rocksdb_options_t *options = rocksdb_options_create();
	rocksdb_destroy_db(options, dir, &error);
	rocksdb_options_destroy(options);
	return error ? failed(error, why) : 0;
}

void index_totals(struct index *index, struct index_totals *out)
{
	pthread_mutex_lock(&index->lock);
	*out = index->totals;
	pthread_mutex_unlock(&index->lock);
}

void index_position(struct index *index, struct place *out)
{
	pthread_mutex_lock(&index->lock);
	*out = index->position;
	pthread_mutex_unlock(&index->lock);
}

/* ------------------------------------------------------------------ questions */

/* 1 and *value (destroy it), 0 when absent, ERR_IO. */
static int get(struct index *index, const struct key *key, rocksdb_pinnableslice_t **value)
{
	char *error = NULL;
	*value = rocksdb_get_pinned(index->db, index->read, (const char *)key->bytes, key->length, &error);
	if (error)
		return failed(error, NULL);
	return *value != NULL;
}

static struct span bytes_of(const rocksdb_pinnableslice_t *slice)
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
			err = failed(errors[i], why);
		if (values[i]) {
			chunk_decode(&out[i], bytes_of(values[i]));
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

static int xorb_value_decode(struct index_xorb *out, struct span value)
{
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
	int found = get(index, &key, &value);
	if (found != 1)
		return found < 0 ? found : ERR_NOT_FOUND;
	int err = xorb_value_decode(out, bytes_of(value));
	rocksdb_pinnableslice_destroy(value);
	return err;
}

static int file_value_decode(struct index_file *out, const struct hash *file, struct span value)
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
	int found = get(index, &key, &value);
	if (found != 1)
		return found < 0 ? found : ERR_NOT_FOUND;
	int err = file_value_decode(out, file, bytes_of(value));
	rocksdb_pinnableslice_destroy(value);
	return err;
}

int index_claim(struct index *index, const struct hash *file, const struct entity_id *owner, int64_t *claimed_ms)
{
	struct key key = key_of('o', file->bytes, HASH_BYTES, owner->bytes, ENTITY_ID_BYTES);
	rocksdb_pinnableslice_t *value;
	int found = get(index, &key, &value);
	if (found != 1)
		return found < 0 ? found : ERR_NOT_FOUND;
	struct span bytes = bytes_of(value);
	*claimed_ms = bytes.length == 8 ? (int64_t)le_read_u64(bytes.data) : 0;
	rocksdb_pinnableslice_destroy(value);
	return 0;
}

int index_usage(struct index *index, const struct entity_id *owner, uint64_t *files, uint64_t *bytes)
{
	struct key key = key_of('u', owner->bytes, ENTITY_ID_BYTES, NULL, 0);
	rocksdb_pinnableslice_t *value;
	*files = *bytes = 0;
	int found = get(index, &key, &value);
	if (found != 1)
		return found < 0 ? found : 0;
	struct span span = bytes_of(value);
	if (span.length == 16) {
		*files = le_read_u64(span.data);
		*bytes = le_read_u64(span.data + 8);
	}
	rocksdb_pinnableslice_destroy(value);
	return 0;
}

/* ------------------------------------------------------------------ scans */

void index_scan_open(struct index_scan *scan, struct index *index, char letter, struct span rest, struct span from)
{
	*scan = (struct index_scan){ .options = rocksdb_readoptions_create() };
	struct key prefix = key_of(letter, rest.data, rest.length, NULL, 0);
	memcpy(scan->prefix, prefix.bytes, prefix.length);
	scan->prefix_length = prefix.length;
	scan->iterator = rocksdb_create_iterator(index->db, scan->options);
	struct key start = key_of(letter, rest.data, rest.length, from.data, from.length);
	rocksdb_iter_seek(scan->iterator, (const char *)start.bytes, start.length);
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
	return error ? failed(error, NULL) : 0;
}

/* ------------------------------------------------------------------ raw entries */

static int write_batch(struct index *index, rocksdb_writebatch_t *batch, struct why *why)
{
	char *error = NULL;
	rocksdb_write(index->db, index->write, batch, &error);
	return error ? failed(error, why) : 0;
}

static void put(rocksdb_writebatch_t *batch, const struct key *key, const void *value, size_t length)
{
	rocksdb_writebatch_put(batch, (const char *)key->bytes, key->length, value, length);
}

static void forget(rocksdb_writebatch_t *batch, const struct key *key)
{
	rocksdb_writebatch_delete(batch, (const char *)key->bytes, key->length);
}

int index_put_raw(struct index *index, const struct index_raw *entries, size_t count)
{
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	for (size_t i = 0; i < count; i++) {
		struct key key = key_of(entries[i].letter, entries[i].key.data, entries[i].key.length, NULL, 0);
		put(batch, &key, entries[i].value.data, entries[i].value.length);
	}
	int err = write_batch(index, batch, NULL);
	rocksdb_writebatch_destroy(batch);
	return err;
}

int index_get_raw(struct index *index, char letter, struct span key_rest, struct buffer *out)
{
	struct key key = key_of(letter, key_rest.data, key_rest.length, NULL, 0);
	rocksdb_pinnableslice_t *value;
	int found = get(index, &key, &value);
	if (found != 1)
		return found < 0 ? found : ERR_NOT_FOUND;
	struct span bytes = bytes_of(value);
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
	int err = write_batch(index, batch, NULL);
	rocksdb_writebatch_destroy(batch);
	return err;
}

int index_drop_raw(struct index *index, char letter, struct span rest)
{
	struct key key = key_of(letter, rest.data, rest.length, NULL, 0);
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	forget(batch, &key);
	int err = write_batch(index, batch, NULL);
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
				forget(batch, &key);
		}
	}
	if (err == 0)
		err = write_batch(index, batch, NULL);
	rocksdb_writebatch_destroy(batch);
	return err;
}

/* ------------------------------------------------------------------ batches */

int index_batch_open(struct index_batch **out, struct index *index)
{
	struct index_batch *batch = calloc(1, sizeof(*batch));
	if (!batch)
		return ERR_NO_MEMORY;
	batch->index = index;
	batch->batch = rocksdb_writebatch_create();
	index_totals(index, &batch->totals);
	*out = batch;
	return 0;
}

void index_batch_close(struct index_batch *batch)
{
	if (!batch)
		return;
	rocksdb_writebatch_destroy(batch->batch);
	free(batch);
}

static int flush_owner(struct index_batch *batch)
{
	if (!batch->has_owner)
		return 0;
	uint64_t files, bytes;
	uint8_t value[16];
	int err = index_usage(batch->index, &batch->owner, &files, &bytes);
	le_write_u64(value, files + (uint64_t)batch->owner_files);
	le_write_u64(value + 8, bytes + (uint64_t)batch->owner_bytes);
	struct key key = key_of('u', batch->owner.bytes, ENTITY_ID_BYTES, NULL, 0);
	put(batch->batch, &key, value, sizeof(value));
	batch->has_owner = false;
	batch->owner_files = batch->owner_bytes = 0;
	return err;
}

int index_batch_write(struct index_batch *batch, const struct place *position, struct why *why)
{
	struct index *index = batch->index;
	uint8_t totals[TOTALS_BYTES], log[12];
	int err = flush_owner(batch);
	const uint64_t values[] = { batch->totals.chunks, batch->totals.xorbs, batch->totals.files, batch->totals.stored_bytes,
		batch->totals.raw_bytes, batch->totals.logical_bytes };
	for (size_t i = 0; i < 6; i++)
		le_write_u64(totals + 8 * i, values[i]);
	struct key key = key_of('t', NULL, 0, NULL, 0);
	put(batch->batch, &key, totals, sizeof(totals));
	if (position) {
		le_write_u32(log, position->volume);
		le_write_u64(log + 4, position->offset);
		key = key_of('l', NULL, 0, NULL, 0);
		put(batch->batch, &key, log, sizeof(log));
	}
	if (err == 0)
		err = write_batch(index, batch->batch, why);
	rocksdb_writebatch_clear(batch->batch);
	if (err)
		return err;
	pthread_mutex_lock(&index->lock);
	index->totals = batch->totals;
	if (position)
		index->position = *position;
	pthread_mutex_unlock(&index->lock);
	return 0;
}

/* Usage is kept for one owner at a time: what is pending of another one is written first. */
static int account(struct index_batch *batch, const struct entity_id *owner, int64_t files, int64_t bytes)
{
	if (batch->has_owner && memcmp(&batch->owner, owner, sizeof(*owner)) != 0) {
		int err = index_batch_write(batch, NULL, NULL);
		if (err)
			return err;
	}
	batch->owner = *owner;
	batch->has_owner = true;
	batch->owner_files += files;
	batch->owner_bytes += bytes;
	batch->totals.logical_bytes += (uint64_t)bytes;
	return 0;
}

void xorb_fragments_resolve(struct xorb_fragment *out, const struct xorb_record *record, const struct place *place)
{
	for (uint32_t i = 0; i < record->fragments_count; i++) {
		xorb_fragment_at(&out[i], record->fragments, i);
		if (out[i].volume)
			continue;
		out[i].volume = place->volume;
		out[i].offset = place->offset - volume_record_bytes(out[i].length) + VOLUME_RECORD_HEADER_BYTES;
	}
}

static int put_xorb(struct index_batch *batch, const struct hash *xorb, const struct index_xorb *value)
{
	struct buffer out;
	buffer_init(&out, XORB_VALUE_FIXED_BYTES + XORB_FRAGMENTS_MAX * XORB_RECORD_FRAGMENT_BYTES);
	uint8_t fixed[XORB_VALUE_FIXED_BYTES] = { 0 };
	le_write_u32(fixed, value->body_length);
	le_write_u32(fixed + 4, value->raw_length);
	le_write_u32(fixed + 8, value->chunks_count);
	le_write_u64(fixed + 12, (uint64_t)value->stored_ms);
	le_write_u32(fixed + 20, value->place.volume);
	le_write_u64(fixed + 24, value->place.offset);
	le_write_u32(fixed + 32, value->payload_length);
	le_write_u32(fixed + 36, value->fragments_count);
	buffer_append(&out, fixed, sizeof(fixed));
	for (uint32_t i = 0; i < value->fragments_count; i++)
		xorb_record_add_fragment(&out, &value->fragments[i]);
	struct key key = key1('x', xorb);
	if (!out.failed)
		put(batch->batch, &key, out.data, out.length);
	int err = out.failed ? ERR_NO_MEMORY : 0;
	buffer_fini(&out);
	return err;
}

static int apply_xorb(struct index_batch *batch, struct span payload, const struct place *place)
{
	struct xorb_record record;
	struct index_xorb old;
	if (xorb_record_decode(&record, payload) != 0)
		return ERR_CORRUPT;
	int known = index_xorb(batch->index, &record.xorb, &old);
	if (known == 0 && !record.moved) {
		/* The first copy stays: offsets that were handed out are its. But it is young again: somebody is about to name it. */
		int err = 0;
		if (record.stored_ms > old.stored_ms) {
			old.stored_ms = record.stored_ms;
			err = put_xorb(batch, &record.xorb, &old);
		}
		index_xorb_fini(&old);
		return err;
	}
	index_xorb_fini(&old);
	if (known != 0 && known != ERR_NOT_FOUND)
		return known;
	struct index_xorb value = { .body_length = record.body_length, .raw_length = record.raw_length, .chunks_count = record.chunks_count,
		.stored_ms = record.stored_ms, .place = *place, .payload_length = (uint32_t)payload.length,
		.fragments_count = record.fragments_count };
	value.fragments = malloc(record.fragments_count * sizeof(*value.fragments));
	if (!value.fragments)
		return ERR_NO_MEMORY;
	xorb_fragments_resolve(value.fragments, &record, place);
	int err = put_xorb(batch, &record.xorb, &value);
	index_xorb_fini(&value);
	if (known == 0) /* a copy that replaces a damaged one may be compressed differently */
		batch->totals.stored_bytes += record.body_length - (uint64_t)old.body_length;
	if (err || known == 0)
		return err;
	uint32_t raw_start = 0;
	for (uint32_t i = 0; i < record.chunks_count; i++) {
		struct xorb_record_chunk chunk;
		uint8_t entry[CHUNK_VALUE_BYTES];
		xorb_record_chunk_at(&chunk, record.chunks, i);
		memcpy(entry, record.xorb.bytes, HASH_BYTES);
		le_write_u32(entry + HASH_BYTES, i);
		le_write_u32(entry + HASH_BYTES + 4, chunk.raw_end - raw_start);
		raw_start = chunk.raw_end;
		struct key key = key1('c', &chunk.hash);
		put(batch->batch, &key, entry, sizeof(entry));
	}
	batch->totals.xorbs++;
	batch->totals.chunks += record.chunks_count;
	batch->totals.stored_bytes += record.body_length;
	batch->totals.raw_bytes += record.raw_length;
	return 0;
}

static void put_sha256(struct index_batch *batch, const struct file_record *record)
{
	if (!record->has_sha256)
		return;
	struct key key = key_of('s', record->sha256.bytes, HASH_BYTES, record->file.bytes, HASH_BYTES);
	uint8_t verified = record->sha256_verified;
	put(batch->batch, &key, &verified, 1);
}

static int put_file(struct index_batch *batch, const struct index_file *file)
{
	uint8_t value[FILE_VALUE_FIXED_BYTES + INDEX_TERMS_INLINE_MAX * FILE_RECORD_TERM_BYTES] = { 0 };
	const struct file_record *record = &file->record;
	size_t length = FILE_VALUE_FIXED_BYTES;
	memcpy(value, record->sha256.bytes, HASH_BYTES);
	uint8_t *at = value + HASH_BYTES;
	at[0] = (uint8_t)((record->has_sha256 ? 1 : 0) | (record->sha256_verified ? 2 : 0));
	le_write_u64(at + 4, record->length);
	le_write_u64(at + 12, (uint64_t)record->registered_ms);
	le_write_u32(at + 20, record->terms_count);
	le_write_u32(at + 24, file->place.volume);
	le_write_u64(at + 28, file->place.offset);
	if (file->terms_inline) {
		for (uint32_t i = 0; i < record->terms_count; i++, length += FILE_RECORD_TERM_BYTES)
			file_term_encode(value + length, &file->terms[i]);
	}
	struct key key = key1('f', &record->file);
	put(batch->batch, &key, value, length);
	return 0;
}

/* What an earlier registration said of the SHA-256 stays when it was verified; a verified one replaces what was only said. */
static void keep_sha256(struct file_record *record, const struct file_record *old)
{
	if (old->sha256_verified || !record->has_sha256) {
		record->sha256 = old->sha256;
		record->has_sha256 = old->has_sha256;
		record->sha256_verified = old->sha256_verified;
	}
}

static int apply_file(struct index_batch *batch, struct span payload, const struct place *place)
{
	struct index_file file = { .place = *place }, old;
	if (file_record_decode(&file.record, payload) != 0)
		return ERR_CORRUPT;
	put_sha256(batch, &file.record);
	file.terms_inline = file.record.terms_count <= INDEX_TERMS_INLINE_MAX;
	int known = index_file(batch->index, &file.record.file, &old);
	if (known == 0)
		keep_sha256(&file.record, &old.record);
	else if (known != ERR_NOT_FOUND)
		return known;
	struct hash last = { 0 };
	for (uint32_t k = 0; k < file_blocks_count(file.record.terms_count); k++) {
		struct file_block block;
		size_t offset = file_block_offset(k), length = file_block_length(file.record.terms_count, k);
		if (file_block_decode(&block, span_of(payload.data + offset, length)) != 0)
			return ERR_CORRUPT;
		for (uint32_t i = 0; i < block.count; i++) {
			struct file_term term;
			file_term_decode(&term, block.terms + (size_t)i * FILE_RECORD_TERM_BYTES);
			if (file.terms_inline)
				file.terms[k * FILE_BLOCK_TERMS + i] = term;
			if (hash_equal(&term.xorb, &last))
				continue;
			last = term.xorb;
			struct key key = key_of('r', term.xorb.bytes, HASH_BYTES, file.record.file.bytes, HASH_BYTES);
			put(batch->batch, &key, NULL, 0);
		}
	}
	if (known == ERR_NOT_FOUND)
		batch->totals.files++;
	return put_file(batch, &file);
}

static int apply_claim(struct index_batch *batch, struct span payload)
{
	struct claim_record record;
	int64_t before;
	uint8_t value[8];
	if (claim_record_decode(&record, payload) != 0)
		return ERR_CORRUPT;
	int known = index_claim(batch->index, &record.file, &record.owner, &before);
	if (known != 0 && known != ERR_NOT_FOUND)
		return known;
	if (known == ERR_NOT_FOUND) {
		int err = account(batch, &record.owner, 1, (int64_t)record.length);
		if (err)
			return err;
		struct key key = key_of('w', record.owner.bytes, ENTITY_ID_BYTES, record.file.bytes, HASH_BYTES);
		le_write_u64(value, record.length);
		put(batch->batch, &key, value, sizeof(value));
	} else if (before > record.claimed_ms) {
		return 0;
	}
	struct key key = key_of('o', record.file.bytes, HASH_BYTES, record.owner.bytes, ENTITY_ID_BYTES);
	le_write_u64(value, (uint64_t)record.claimed_ms);
	put(batch->batch, &key, value, sizeof(value));
	return 0;
}

static int apply_verified(struct index_batch *batch, struct span payload)
{
	struct verified_record record;
	struct index_file file;
	if (verified_record_decode(&record, payload) != 0)
		return ERR_CORRUPT;
	int known = index_file(batch->index, &record.file, &file);
	if (known)
		return known == ERR_NOT_FOUND ? 0 : known;
	file.record.sha256 = record.sha256;
	file.record.has_sha256 = file.record.sha256_verified = true;
	put_sha256(batch, &file.record);
	return put_file(batch, &file);
}

static int drop_claim(struct index_batch *batch, const struct drop_record *record)
{
	struct key length_key = key_of('w', record->owner.bytes, ENTITY_ID_BYTES, record->hash.bytes, HASH_BYTES);
	rocksdb_pinnableslice_t *value;
	int found = get(batch->index, &length_key, &value);
	if (found != 1)
		return found;
	struct span bytes = bytes_of(value);
	int64_t length = bytes.length == 8 ? (int64_t)le_read_u64(bytes.data) : 0;
	rocksdb_pinnableslice_destroy(value);
	int err = account(batch, &record->owner, -1, -length);
	struct key key = key_of('o', record->hash.bytes, HASH_BYTES, record->owner.bytes, ENTITY_ID_BYTES);
	forget(batch->batch, &key);
	forget(batch->batch, &length_key);
	return err;
}

/* Entries that lead from xorbs to the file go with the xorbs' own (gc.c asks whether the file exists). */
static int drop_file(struct index_batch *batch, const struct hash *hash)
{
	struct index_file file;
	int known = index_file(batch->index, hash, &file);
	if (known)
		return known == ERR_NOT_FOUND ? 0 : known;
	struct key key = key1('f', hash);
	forget(batch->batch, &key);
	if (file.record.has_sha256) {
		key = key_of('s', file.record.sha256.bytes, HASH_BYTES, hash->bytes, HASH_BYTES);
		forget(batch->batch, &key);
	}
	for (uint32_t i = 0; file.terms_inline && i < file.record.terms_count; i++) {
		key = key_of('r', file.terms[i].xorb.bytes, HASH_BYTES, hash->bytes, HASH_BYTES);
		forget(batch->batch, &key);
	}
	batch->totals.files--;
	return 0;
}

static int drop_xorb(struct index_batch *batch, const struct hash *hash)
{
	struct index_xorb xorb;
	int known = index_xorb(batch->index, hash, &xorb);
	index_xorb_fini(&xorb);
	if (known)
		return known == ERR_NOT_FOUND ? 0 : known;
	struct key key = key1('x', hash);
	forget(batch->batch, &key);
	batch->totals.xorbs--;
	batch->totals.chunks -= xorb.chunks_count;
	batch->totals.stored_bytes -= xorb.body_length;
	batch->totals.raw_bytes -= xorb.raw_length;
	return 0;
}

static int apply_drop(struct index_batch *batch, struct span payload)
{
	struct drop_record record;
	if (drop_record_decode(&record, payload) != 0)
		return ERR_CORRUPT;
	switch (record.kind) {
	case VOLUME_CLAIM: return drop_claim(batch, &record);
	case VOLUME_FILE: return drop_file(batch, &record.hash);
	default: return drop_xorb(batch, &record.hash);
	}
}

static int apply_touch(struct index_batch *batch, struct span payload)
{
	struct touch_record record;
	struct index_xorb xorb;
	if (touch_record_decode(&record, payload) != 0)
		return ERR_CORRUPT;
	int known = index_xorb(batch->index, &record.xorb, &xorb);
	if (known == 0 && record.touched_ms > xorb.stored_ms) {
		xorb.stored_ms = record.touched_ms;
		known = put_xorb(batch, &record.xorb, &xorb);
	}
	index_xorb_fini(&xorb);
	return known == ERR_NOT_FOUND ? 0 : known;
}

int index_batch_apply(struct index_batch *batch, uint8_t kind, struct span payload, const struct place *place)
{
	switch (kind) {
	case VOLUME_FRAGMENT: return 0;
	case VOLUME_XORB: return apply_xorb(batch, payload, place);
	case VOLUME_FILE: return apply_file(batch, payload, place);
	case VOLUME_CLAIM: return apply_claim(batch, payload);
	case VOLUME_VERIFIED: return apply_verified(batch, payload);
	case VOLUME_DROP: return apply_drop(batch, payload);
	case VOLUME_TOUCH: return apply_touch(batch, payload);
	default: return ERR_UNSUPPORTED; /* written by a newer version */
	}
}
