#include "replication/state_batch.h"

#include "replication/node.h"
#include "schemas/xxh3.h"

#include <stdlib.h>

enum {
	SLOTS_MIN = 1024,         /* a power of two */
	KEYS_LARGE = 8192,        /* a batch of more keys or bytes is written soon, and its memory given back */
	BYTES_LARGE = 8 << 20,
	READ_BYTES_MAX = 4 << 10, /* a larger value is not kept when it was only read */
};

enum state { ABSENT, PRESENT, DELETED, PUT }; /* the first two were only read */

struct entry {
	uint64_t hash;
	size_t key, key_length, value, value_length; /* in `bytes` */
	enum state state;
};

struct state_batch {
	rocksdb_t *db;
	rocksdb_readoptions_t *read_options;
	rocksdb_pinnableslice_t *pinned; /* the value read last, when it is not kept */
	struct buffer bytes;
	struct entry *entries;
	size_t count, capacity;
	uint32_t *slots; /* of entries, plus one; open addressing */
	size_t slots_count;
};

/* A key that is to be written, or met on the way through a range. */
struct change {
	struct span key;
	const struct entry *entry;
};

struct state_batch *state_batch_open(rocksdb_t *db)
{
	struct state_batch *batch = must_alloc(sizeof(*batch));
	*batch = (struct state_batch){ .db = db, .read_options = rocksdb_readoptions_create(), .slots_count = SLOTS_MIN };
	batch->slots = must_alloc(batch->slots_count * sizeof(*batch->slots));
	buffer_init(&batch->bytes, SIZE_MAX);
	return batch;
}

static void drop_pinned(struct state_batch *batch)
{
	if (batch->pinned)
		rocksdb_pinnableslice_destroy(batch->pinned);
	batch->pinned = NULL;
}

void state_batch_close(struct state_batch *batch)
{
	if (!batch)
		return;
	drop_pinned(batch);
	rocksdb_readoptions_destroy(batch->read_options);
	buffer_fini(&batch->bytes);
	free(batch->entries);
	free(batch->slots);
	free(batch);
}

bool state_batch_is_large(const struct state_batch *batch)
{
	return batch->count >= KEYS_LARGE || batch->bytes.length > BYTES_LARGE;
}

static void clear(struct state_batch *batch)
{
	if (state_batch_is_large(batch)) {
		buffer_fini(&batch->bytes);
		buffer_init(&batch->bytes, SIZE_MAX);
		free(batch->entries);
		free(batch->slots);
		batch->entries = NULL;
		batch->capacity = 0;
		batch->slots_count = SLOTS_MIN;
		batch->slots = must_alloc(SLOTS_MIN * sizeof(*batch->slots));
	} else {
		buffer_clear(&batch->bytes);
		memset(batch->slots, 0, batch->slots_count * sizeof(*batch->slots));
	}
	batch->count = 0;
}

/* ---- keys by hash ---- */

static struct span key_of(const struct state_batch *batch, const struct entry *entry)
{
	return span_of(batch->bytes.data + entry->key, entry->key_length);
}

static size_t slot_of(const struct state_batch *batch, uint64_t hash)
{
	return (size_t)hash & (batch->slots_count - 1);
}

static void grow(struct state_batch *batch)
{
	if (batch->count == batch->capacity) {
		batch->capacity = batch->capacity ? batch->capacity * 2 : SLOTS_MIN / 2;
		batch->entries = must_realloc(batch->entries, batch->capacity * sizeof(*batch->entries));
	}
	if (batch->count < batch->slots_count / 2)
		return;
	free(batch->slots);
	batch->slots_count *= 2;
	batch->slots = must_alloc(batch->slots_count * sizeof(*batch->slots));
	for (size_t i = 0; i < batch->count; i++) {
		size_t slot = slot_of(batch, batch->entries[i].hash);
		while (batch->slots[slot])
			slot = (slot + 1) & (batch->slots_count - 1);
		batch->slots[slot] = (uint32_t)i + 1;
	}
}

static size_t keep(struct state_batch *batch, struct span bytes)
{
	size_t at = batch->bytes.length;
	if (buffer_append(&batch->bytes, bytes.data, bytes.length) != 0)
		node_stop("no memory for a batch of changes");
	return at;
}

/* NULL: not in the batch. */
static struct entry *find(const struct state_batch *batch, struct span key, uint64_t hash)
{
	for (size_t slot = slot_of(batch, hash); batch->slots[slot]; slot = (slot + 1) & (batch->slots_count - 1)) {
		struct entry *entry = &batch->entries[batch->slots[slot] - 1];
		if (entry->hash == hash && span_equal(key_of(batch, entry), key))
			return entry;
	}
	return NULL;
}

static struct entry *add(struct state_batch *batch, struct span key, uint64_t hash)
{
	grow(batch);
	size_t slot = slot_of(batch, hash);
	while (batch->slots[slot])
		slot = (slot + 1) & (batch->slots_count - 1);
	struct entry *entry = &batch->entries[batch->count++];
	*entry = (struct entry){ .hash = hash, .key = keep(batch, key), .key_length = key.length };
	batch->slots[slot] = (uint32_t)batch->count;
	return entry;
}

static void set(struct state_batch *batch, struct entry *entry, enum state state, struct span value)
{
	entry->state = state;
	entry->value = keep(batch, value);
	entry->value_length = value.length;
}

static void note(struct state_batch *batch, struct span key, enum state state, struct span value)
{
	uint64_t hash = xxh3_64(key.data, key.length, 0);
	struct entry *entry = find(batch, key, hash);
	set(batch, entry ? entry : add(batch, key, hash), state, value);
}

void state_batch_put(struct state_batch *batch, struct span key, struct span value)
{
	note(batch, key, PUT, value);
}

void state_batch_delete(struct state_batch *batch, struct span key)
{
	note(batch, key, DELETED, (struct span){ 0 });
}

/* ---- reading ---- */

static int fail(struct why *why, const char *doing, char *error)
{
	int err = why_set(why, ERR_IO, "cannot %s the state: %s", doing, error);
	rocksdb_free(error);
	return err;
}

static int read_below(struct state_batch *batch, struct span key, uint64_t hash, struct span *value, struct why *why)
{
	char *error = NULL;
	batch->pinned = rocksdb_get_pinned(batch->db, batch->read_options, (const char *)key.data, key.length, &error);
	if (error)
		return fail(why, "read", error);
	if (!batch->pinned) {
		add(batch, key, hash)->state = ABSENT;
		return ERR_NOT_FOUND;
	}
	size_t length;
	const char *data = rocksdb_pinnableslice_value(batch->pinned, &length);
	*value = span_of(data, length);
	if (length <= READ_BYTES_MAX)
		set(batch, add(batch, key, hash), PRESENT, *value);
	return 0;
}

int state_batch_get(struct state_batch *batch, struct span key, struct span *value, struct why *why)
{
	uint64_t hash = xxh3_64(key.data, key.length, 0);
	const struct entry *entry = find(batch, key, hash);
	drop_pinned(batch);
	if (!entry)
		return read_below(batch, key, hash, value, why);
	if (entry->state == ABSENT || entry->state == DELETED)
		return ERR_NOT_FOUND;
	*value = span_of(batch->bytes.data + entry->value, entry->value_length);
	return 0;
}

static int compare_spans(struct span a, struct span b)
{
	size_t shorter = a.length < b.length ? a.length : b.length;
	int order = shorter ? memcmp(a.data, b.data, shorter) : 0;
	return order ? order : (a.length > b.length) - (a.length < b.length);
}

static int compare_changes(const void *a, const void *b)
{
	return compare_spans(((const struct change *)a)->key, ((const struct change *)b)->key);
}

static bool starts_with(struct span key, struct span prefix)
{
	return prefix.length == 0 || (key.length >= prefix.length && memcmp(key.data, prefix.data, prefix.length) == 0);
}

/* The changes of keys with the prefix, in their order. Owned by the caller. */
static struct change *changes_sorted(const struct state_batch *batch, struct span prefix, size_t *count)
{
	struct change *changes = NULL;
	size_t capacity = 0;
	*count = 0;
	for (size_t i = 0; i < batch->count; i++) {
		const struct entry *entry = &batch->entries[i];
		if (entry->state < DELETED || !starts_with(key_of(batch, entry), prefix))
			continue;
		if (*count == capacity) {
			capacity = capacity ? capacity * 2 : prefix.length ? 16 : batch->count;
			changes = must_realloc(changes, capacity * sizeof(*changes));
		}
		changes[(*count)++] = (struct change){ key_of(batch, entry), entry };
	}
	if (*count)
		qsort(changes, *count, sizeof(*changes), compare_changes);
	return changes;
}

/* The key at which the iterator stands; false: there is none with the prefix. */
static bool key_below(const rocksdb_iterator_t *iterator, struct span prefix, struct span *key)
{
	if (!rocksdb_iter_valid(iterator))
		return false;
	size_t length;
	const char *data = rocksdb_iter_key(iterator, &length);
	*key = span_of(data, length);
	return starts_with(*key, prefix);
}

int state_batch_each(struct state_batch *batch, struct span prefix, bool (*take)(void *context, struct span key), void *context, struct why *why)
{
	size_t count, next = 0;
	struct change *changes = changes_sorted(batch, prefix, &count);
	rocksdb_iterator_t *iterator = rocksdb_create_iterator(batch->db, batch->read_options);
	rocksdb_iter_seek(iterator, (const char *)prefix.data, prefix.length);
	for (bool more = true; more;) {
		struct span below;
		bool is_below = key_below(iterator, prefix, &below);
		if (!is_below && next == count)
			break;
		int order = !is_below ? 1 : next == count ? -1 : compare_spans(below, changes[next].key);
		if (order < 0) {
			more = take(context, below);
		} else {
			const struct change *change = &changes[next++];
			more = change->entry->state == DELETED || take(context, change->key);
		}
		if (order <= 0)
			rocksdb_iter_next(iterator);
	}
	char *error = NULL;
	rocksdb_iter_get_error(iterator, &error);
	rocksdb_iter_destroy(iterator);
	free(changes);
	return error ? fail(why, "read", error) : 0;
}

/* ---- writing ---- */

int state_batch_write(struct state_batch *batch, const rocksdb_writeoptions_t *options, struct why *why)
{
	size_t count;
	struct change *changes = changes_sorted(batch, (struct span){ 0 }, &count);
	rocksdb_writebatch_t *out = rocksdb_writebatch_create();
	for (size_t i = 0; i < count; i++) {
		const char *key = (const char *)changes[i].key.data;
		const struct entry *entry = changes[i].entry;
		if (entry->state == DELETED)
			rocksdb_writebatch_delete(out, key, entry->key_length);
		else
			rocksdb_writebatch_put(out, key, entry->key_length, (const char *)batch->bytes.data + entry->value, entry->value_length);
	}
	char *error = NULL;
	rocksdb_write(batch->db, (rocksdb_writeoptions_t *)(uintptr_t)options, out, &error); /* it is only read */
	rocksdb_writebatch_destroy(out);
	free(changes);
	clear(batch);
	return error ? fail(why, "write", error) : 0;
}
