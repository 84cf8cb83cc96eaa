#include "replication/log_store.h"

#include "replication/keys.h"
#include "replication/node.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	MEMTABLE_BYTES = 64 << 20, /* flushing the log's memtable is wasted work: most entries are compacted away first */
	ENTRY_FORMAT = 1,
	ENTRY_HEADER_BYTES = 10,
	ENTRY_KEY_BYTES = 13,
	RECORD_KEY_BYTES = 5,
	SNAPSHOT_HEADER_BYTES = 24,
	LOG_FILES_RECYCLED = 4,
};

struct log_store {
	char *dir;
	rocksdb_t *db;
	rocksdb_options_t *options;
	rocksdb_writeoptions_t *write_options;
	pthread_mutex_t lock; /* one write at a time */
	atomic_uint_fast64_t syncs;
};

static void record_key(uint8_t key[RECORD_KEY_BYTES], uint32_t group, char kind)
{
	put_big_endian(key, group, 4);
	key[4] = (uint8_t)kind;
}

static void entry_key(uint8_t key[ENTRY_KEY_BYTES], uint32_t group, uint64_t index)
{
	record_key(key, group, 'e');
	put_big_endian(key + RECORD_KEY_BYTES, index, 8);
}

void log_job_free(struct log_job *job)
{
	for (size_t i = 0; i < job->entries_count; i++)
		log_entry_release(job->entries[i]);
	free(job->entries);
	buffer_fini(&job->snapshot.configuration);
	free(job);
}

static int open_db(struct log_store *store, struct why *why)
{
	char *error = NULL;
	store->db = rocksdb_open(store->options, store->dir, &error);
	if (store->db)
		return 0;
	int err = why_set(why, ERR_IO, "cannot open the log in %s: %s", store->dir, error);
	rocksdb_free(error);
	return err;
}

int log_store_open(struct log_store **out, const char *dir, struct why *why)
{
	struct log_store *store = must_alloc(sizeof(*store));
	*out = NULL;
	store->dir = strdup(dir);
	store->options = rocksdb_options_create();
	rocksdb_options_set_create_if_missing(store->options, 1);
	rocksdb_options_set_write_buffer_size(store->options, MEMTABLE_BYTES);
	rocksdb_options_set_recycle_log_file_num(store->options, LOG_FILES_RECYCLED);
	rocksdb_options_set_keep_log_file_num(store->options, 2);
	rocksdb_options_set_info_log_level(store->options, 2); /* warnings */
	rocksdb_options_set_max_open_files(store->options, 64);
	store->write_options = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(store->write_options, 1);
	pthread_mutex_init(&store->lock, NULL);
	atomic_init(&store->syncs, 0);
	int err = open_db(store, why);
	if (err) {
		log_store_close(store);
		return err;
	}
	*out = store;
	return 0;
}

void log_store_close(struct log_store *store)
{
	if (!store)
		return;
	if (store->db)
		rocksdb_close(store->db);
	rocksdb_options_destroy(store->options);
	rocksdb_writeoptions_destroy(store->write_options);
	pthread_mutex_destroy(&store->lock);
	free(store->dir);
	free(store);
}

rocksdb_t *log_store_db(struct log_store *store)
{
	return store->db;
}

uint64_t log_store_first(struct log_store *store, uint32_t group)
{
	uint8_t key[ENTRY_KEY_BYTES];
	uint64_t first = UINT64_MAX;
	entry_key(key, group, 0);
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	rocksdb_iterator_t *iterator = rocksdb_create_iterator(store->db, options);
	rocksdb_iter_seek(iterator, (const char *)key, sizeof(key));
	size_t length = 0;
	const char *found = rocksdb_iter_valid(iterator) ? rocksdb_iter_key(iterator, &length) : NULL;
	if (length == ENTRY_KEY_BYTES && memcmp(found, key, RECORD_KEY_BYTES) == 0) {
		first = 0;
		for (size_t i = RECORD_KEY_BYTES; i < ENTRY_KEY_BYTES; i++)
			first = first << 8 | (uint8_t)found[i];
	}
	rocksdb_iter_destroy(iterator);
	rocksdb_readoptions_destroy(options);
	return first;
}

uint64_t log_store_syncs(const struct log_store *store)
{
	return atomic_load(&store->syncs);
}

static int commit(struct log_store *store, rocksdb_writebatch_t *batch, struct why *why)
{
	char *error = NULL;
	pthread_mutex_lock(&store->lock);
	rocksdb_write(store->db, store->write_options, batch, &error);
	pthread_mutex_unlock(&store->lock);
	atomic_fetch_add(&store->syncs, 1);
	if (!error)
		return 0;
	int err = strstr(error, "No space") ? ERR_NO_SPACE : ERR_IO;
	why_set(why, err, "cannot write the log: %s", error);
	rocksdb_free(error);
	return err;
}

static void add_snapshot(rocksdb_writebatch_t *batch, uint32_t group, const struct snapshot_record *snapshot)
{
	uint8_t key[RECORD_KEY_BYTES];
	record_key(key, group, 's');
	size_t length = SNAPSHOT_HEADER_BYTES + snapshot->configuration.length;
	uint8_t *value = must_alloc(length);
	put_big_endian(value, snapshot->index, 8);
	put_big_endian(value + 8, snapshot->term, 8);
	put_big_endian(value + 16, snapshot->configuration_index, 8);
	memcpy(value + SNAPSHOT_HEADER_BYTES, snapshot->configuration.data, snapshot->configuration.length);
	rocksdb_writebatch_put(batch, (const char *)key, sizeof(key), (const char *)value, length);
	free(value);
}

static void add_intent(rocksdb_writebatch_t *batch, uint32_t group, uint64_t index)
{
	uint8_t key[RECORD_KEY_BYTES], value[8];
	record_key(key, group, 'i');
	put_big_endian(value, index, 8);
	rocksdb_writebatch_put(batch, (const char *)key, sizeof(key), (const char *)value, sizeof(value));
}

static void add_range_deletion(rocksdb_writebatch_t *batch, uint32_t group, uint64_t first, uint64_t end)
{
	uint8_t from[ENTRY_KEY_BYTES], to[ENTRY_KEY_BYTES];
	entry_key(from, group, first);
	entry_key(to, group, end);
	rocksdb_writebatch_delete_range(batch, (const char *)from, sizeof(from), (const char *)to, sizeof(to));
}

static void add_entry(rocksdb_writebatch_t *batch, uint32_t group, const struct log_entry *entry)
{
	uint8_t key[ENTRY_KEY_BYTES], header[ENTRY_HEADER_BYTES] = { ENTRY_FORMAT, entry->type };
	entry_key(key, group, entry->index);
	put_big_endian(header + 2, entry->term, 8);
	const char *keys[] = { (const char *)key };
	const size_t key_lengths[] = { sizeof(key) };
	const char *values[] = { (const char *)header, (const char *)entry->payload };
	const size_t value_lengths[] = { sizeof(header), entry->length };
	rocksdb_writebatch_putv(batch, 1, keys, key_lengths, 2, values, value_lengths);
}

int log_store_write(struct log_store *store, const struct log_job *jobs, struct why *why)
{
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	for (const struct log_job *job = jobs; job; job = job->next) {
		if (job->install) {
			add_range_deletion(batch, job->group, 0, UINT64_MAX);
			add_intent(batch, job->group, job->snapshot.index);
		}
		if (job->truncate)
			add_range_deletion(batch, job->group, job->first_index, UINT64_MAX);
		for (size_t i = 0; i < job->entries_count; i++)
			add_entry(batch, job->group, job->entries[i]);
		if (job->has_snapshot)
			add_snapshot(batch, job->group, &job->snapshot);
		if (job->compact_through)
			add_range_deletion(batch, job->group, 0, job->compact_through + 1);
	}
	int err = commit(store, batch, why);
	rocksdb_writebatch_destroy(batch);
	return err;
}

int log_store_put_hard_state(struct log_store *store, uint32_t group, uint64_t term, uint64_t voted_for, struct why *why)
{
	uint8_t key[RECORD_KEY_BYTES], value[16];
	record_key(key, group, 'h');
	put_big_endian(value, term, 8);
	put_big_endian(value + 8, voted_for, 8);
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	rocksdb_writebatch_put(batch, (const char *)key, sizeof(key), (const char *)value, sizeof(value));
	int err = commit(store, batch, why);
	rocksdb_writebatch_destroy(batch);
	return err;
}

static int get_record(struct log_store *store, uint32_t group, char kind, uint8_t **value, size_t *length, struct why *why)
{
	uint8_t key[RECORD_KEY_BYTES];
	record_key(key, group, kind);
	char *error = NULL;
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	*value = (uint8_t *)rocksdb_get(store->db, options, (const char *)key, sizeof(key), length, &error);
	rocksdb_readoptions_destroy(options);
	if (!error)
		return *value ? 0 : ERR_NOT_FOUND;
	int err = why_set(why, ERR_IO, "cannot read the log: %s", error);
	rocksdb_free(error);
	return err;
}

static int load_records(struct log_store *store, uint32_t group, struct log_loaded *out, struct why *why)
{
	uint8_t *value;
	size_t length;
	int err = get_record(store, group, 'h', &value, &length, why);
	if (err)
		return err == ERR_NOT_FOUND ? 0 : err;
	bool whole = length == 16;
	if (whole) {
		out->found = true;
		out->term = get_big_endian(value, 8);
		out->voted_for = get_big_endian(value + 8, 8);
	}
	rocksdb_free(value);
	if (!whole)
		return why_set(why, ERR_CORRUPT, "the hard state of group %u is %zu bytes long, not 16", group, length);

	err = get_record(store, group, 's', &value, &length, why);
	if (err)
		return err == ERR_NOT_FOUND ? 0 : err;
	if (length > SNAPSHOT_HEADER_BYTES) {
		out->snapshot.index = get_big_endian(value, 8);
		out->snapshot.term = get_big_endian(value + 8, 8);
		out->snapshot.configuration_index = get_big_endian(value + 16, 8);
		buffer_append(&out->snapshot.configuration, value + SNAPSHOT_HEADER_BYTES, length - SNAPSHOT_HEADER_BYTES);
	} else {
		err = ERR_CORRUPT;
	}
	rocksdb_free(value);
	return err == ERR_CORRUPT ? why_set(why, ERR_CORRUPT, "the snapshot record of group %u is cut short", group) : 0;
}

/* Growing arrays double; only called with count at a power of two or zero. */
static void *grow(void *array, size_t count, size_t each)
{
	if (count & (count - 1))
		return array;
	return must_realloc(array, (count ? count * 2 : 1) * each);
}

/* The first ones go, so that about half of what may be held is left. */
static void drop_first_pending(struct log_loaded *out)
{
	size_t dropped = 0;
	for (; dropped + 1 < out->pending_count && out->pending_bytes > LOG_HELD_BYTES_MAX / 2; dropped++) {
		out->pending_bytes -= log_entry_bytes(out->pending[dropped]);
		log_entry_release(out->pending[dropped]);
	}
	out->pending_count -= dropped;
	memmove(out->pending, out->pending + dropped, out->pending_count * sizeof(*out->pending));
}

static int load_entry(struct log_loaded *out, uint64_t index, uint64_t applied, const uint8_t *value, size_t length)
{
	if (length < ENTRY_HEADER_BYTES || value[0] != ENTRY_FORMAT || value[1] < ENTRY_COMMANDS || value[1] > ENTRY_CONFIGURATION)
		return ERR_CORRUPT;
	size_t count = (size_t)(index - out->first_index);
	struct span payload = span_of(value + ENTRY_HEADER_BYTES, length - ENTRY_HEADER_BYTES);
	uint64_t term = get_big_endian(value + 2, 8);
	out->terms = grow(out->terms, count, sizeof(*out->terms));
	out->lengths = grow(out->lengths, count, sizeof(*out->lengths));
	out->terms[count] = term;
	out->lengths[count] = (uint32_t)payload.length;
	out->last_index = index;
	if (value[1] == ENTRY_CONFIGURATION) {
		out->configurations = grow(out->configurations, out->configurations_count, sizeof(*out->configurations));
		out->configurations[out->configurations_count++] = log_entry_make(value[1], index, term, payload);
	}
	if (index > applied) {
		out->pending = grow(out->pending, out->pending_count, sizeof(*out->pending));
		struct log_entry *entry = out->pending[out->pending_count++] = log_entry_make(value[1], index, term, payload);
		out->pending_bytes += log_entry_bytes(entry);
		if (out->pending_bytes > LOG_HELD_BYTES_MAX)
			drop_first_pending(out);
	}
	return 0;
}

static int load_entries(struct log_store *store, uint32_t group, uint64_t applied, struct log_loaded *out, struct why *why)
{
	uint8_t from[ENTRY_KEY_BYTES], to[ENTRY_KEY_BYTES];
	entry_key(from, group, 0);
	entry_key(to, group, UINT64_MAX);
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	rocksdb_readoptions_set_iterate_upper_bound(options, (const char *)to, sizeof(to));
	rocksdb_iterator_t *iterator = rocksdb_create_iterator(store->db, options);
	int err = 0;
	uint64_t expected = 0;
	for (rocksdb_iter_seek(iterator, (const char *)from, sizeof(from)); rocksdb_iter_valid(iterator) && !err; rocksdb_iter_next(iterator)) {
		size_t key_length, length;
		const uint8_t *key = (const uint8_t *)rocksdb_iter_key(iterator, &key_length);
		const uint8_t *value = (const uint8_t *)rocksdb_iter_value(iterator, &length);
		uint64_t index = key_length == ENTRY_KEY_BYTES ? get_big_endian(key + RECORD_KEY_BYTES, 8) : 0;
		if (expected == 0)
			out->first_index = index;
		if (index == 0 || (expected && index != expected))
			err = why_set(why, ERR_CORRUPT, "the log of group %u has a hole before index %llu", group, (unsigned long long)index);
		else if (load_entry(out, index, applied, value, length) != 0)
			err = why_set(why, ERR_CORRUPT, "entry %llu of group %u does not parse", (unsigned long long)index, group);
		expected = index + 1;
	}
	char *error = NULL;
	rocksdb_iter_get_error(iterator, &error);
	if (error) {
		err = why_set(why, ERR_IO, "cannot read the log: %s", error);
		rocksdb_free(error);
	}
	rocksdb_iter_destroy(iterator);
	rocksdb_readoptions_destroy(options);
	return err;
}

size_t log_store_read(struct log_store *store, uint32_t group, uint64_t first, size_t count, size_t bytes_max, struct log_entry **out)
{
	uint8_t from[ENTRY_KEY_BYTES], to[ENTRY_KEY_BYTES];
	entry_key(from, group, first);
	entry_key(to, group, first + count);
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	rocksdb_readoptions_set_iterate_upper_bound(options, (const char *)to, sizeof(to));
	rocksdb_iterator_t *iterator = rocksdb_create_iterator(store->db, options);
	size_t found = 0, bytes = 0;
	for (rocksdb_iter_seek(iterator, (const char *)from, sizeof(from)); rocksdb_iter_valid(iterator) && found < count; rocksdb_iter_next(iterator)) {
		size_t key_length, length;
		const uint8_t *key = (const uint8_t *)rocksdb_iter_key(iterator, &key_length);
		const uint8_t *value = (const uint8_t *)rocksdb_iter_value(iterator, &length);
		if (key_length != ENTRY_KEY_BYTES || get_big_endian(key + RECORD_KEY_BYTES, 8) != first + found || length < ENTRY_HEADER_BYTES ||
			value[0] != ENTRY_FORMAT || (found > 0 && bytes + length > bytes_max))
			break;
		bytes += length;
		out[found] = log_entry_make(value[1], first + found, get_big_endian(value + 2, 8), span_of(value + ENTRY_HEADER_BYTES, length - ENTRY_HEADER_BYTES));
		found++;
	}
	rocksdb_iter_destroy(iterator);
	rocksdb_readoptions_destroy(options);
	return found;
}

int log_store_installing(struct log_store *store, uint32_t group, struct why *why)
{
	uint8_t *value;
	size_t length;
	int err = get_record(store, group, 'i', &value, &length, why);
	rocksdb_free(err ? NULL : value);
	return err == ERR_NOT_FOUND ? 0 : err ? err : 1;
}

int log_store_installed(struct log_store *store, uint32_t group, struct why *why)
{
	uint8_t key[RECORD_KEY_BYTES];
	record_key(key, group, 'i');
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	rocksdb_writebatch_delete(batch, (const char *)key, sizeof(key));
	int err = commit(store, batch, why);
	rocksdb_writebatch_destroy(batch);
	return err;
}

int log_store_load(struct log_store *store, uint32_t group, uint64_t applied, struct log_loaded *out, struct why *why)
{
	*out = (struct log_loaded){ 0 };
	buffer_init(&out->snapshot.configuration, 1 << 20);
	int err = load_records(store, group, out, why);
	if (err == 0)
		err = load_entries(store, group, applied, out, why);
	if (err == 0 && out->first_index == 0) {
		out->first_index = out->snapshot.index + 1;
		out->last_index = out->snapshot.index;
	}
	if (err == 0 && (out->first_index > out->snapshot.index + 1 || out->last_index < out->snapshot.index))
		err = why_set(why, ERR_CORRUPT, "the log of group %u holds %llu..%llu and does not meet its snapshot at %llu", group,
			(unsigned long long)out->first_index, (unsigned long long)out->last_index, (unsigned long long)out->snapshot.index);
	if (err == 0 && !out->found && out->last_index > 0)
		err = why_set(why, ERR_CORRUPT, "the log of group %u has entries but no term", group);
	if (err)
		log_loaded_fini(out);
	return err;
}

void log_loaded_fini(struct log_loaded *loaded)
{
	for (size_t i = 0; i < loaded->configurations_count; i++)
		log_entry_release(loaded->configurations[i]);
	for (size_t i = 0; i < loaded->pending_count; i++)
		if (loaded->pending[i])
			log_entry_release(loaded->pending[i]);
	free(loaded->configurations);
	free(loaded->pending);
	free(loaded->terms);
	free(loaded->lengths);
	buffer_fini(&loaded->snapshot.configuration);
	*loaded = (struct log_loaded){ 0 };
}
