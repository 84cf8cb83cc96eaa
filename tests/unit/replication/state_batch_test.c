/* The batch of changes of the state: against RocksDB's own indexed batch, with random keys, over many batches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "replication/state_batch.h"

enum { KEYS = 300, BATCHES = 60, STEPS = 400, VALUE_BYTES_MAX = 10000 };

struct two {
	rocksdb_env_t *memory;
	rocksdb_options_t *options;
	rocksdb_t *mine, *peers;
	rocksdb_writeoptions_t *write;
	rocksdb_readoptions_t *read;
	struct state_batch *batch;
	rocksdb_writebatch_wi_t *indexed;
	uint64_t random;
};

static rocksdb_t *open_in_memory(rocksdb_options_t *options, const char *path)
{
	char *error = NULL;
	rocksdb_t *db = rocksdb_open(options, path, &error);
	assert_null(error);
	return db;
}

static int open_two(void **state)
{
	static struct two two;
	two = (struct two){ .memory = rocksdb_create_mem_env(), .options = rocksdb_options_create(), .write = rocksdb_writeoptions_create(), .read = rocksdb_readoptions_create(),
		.indexed = rocksdb_writebatch_wi_create(0, 1), .random = 1 };
	rocksdb_options_set_create_if_missing(two.options, 1);
	rocksdb_options_set_env(two.options, two.memory);
	two.mine = open_in_memory(two.options, "/mine");
	two.peers = open_in_memory(two.options, "/peers");
	two.batch = state_batch_open(two.mine);
	*state = &two;
	return 0;
}

static int close_two(void **state)
{
	struct two *two = *state;
	state_batch_close(two->batch);
	rocksdb_writebatch_wi_destroy(two->indexed);
	rocksdb_close(two->mine);
	rocksdb_close(two->peers);
	rocksdb_options_destroy(two->options);
	rocksdb_writeoptions_destroy(two->write);
	rocksdb_readoptions_destroy(two->read);
	rocksdb_env_destroy(two->memory);
	return 0;
}

static uint64_t next_random(struct two *two, uint64_t below)
{
	two->random = two->random * 6364136223846793005 + 1442695040888963407;
	return (two->random >> 33) % below;
}

/* Keys of which some are prefixes of others. */
static struct span random_key(struct two *two, char *out)
{
	uint64_t number = next_random(two, KEYS);
	return span_of(out, (size_t)sprintf(out, number % 3 ? "%c/%llu" : "%c/%llu/deep", (int)('a' + number % 5), (unsigned long long)number));
}

static void put(struct two *two, struct span key)
{
	static uint8_t value[VALUE_BYTES_MAX];
	size_t length = next_random(two, next_random(two, 10) ? 50 : VALUE_BYTES_MAX);
	for (size_t i = 0; i < length; i++)
		value[i] = (uint8_t)next_random(two, 256);
	state_batch_put(two->batch, key, span_of(value, length));
	rocksdb_writebatch_wi_put(two->indexed, (const char *)key.data, key.length, (const char *)value, length);
}

static void delete(struct two *two, struct span key)
{
	state_batch_delete(two->batch, key);
	rocksdb_writebatch_wi_delete(two->indexed, (const char *)key.data, key.length);
}

static void check_get(struct two *two, struct span key)
{
	struct span value;
	struct why why = { 0 };
	char *error = NULL;
	size_t length;
	char *wanted = rocksdb_writebatch_wi_get_from_batch_and_db(two->indexed, two->peers, two->read, (const char *)key.data, key.length, &length, &error);
	int err = state_batch_get(two->batch, key, &value, &why);
	assert_int_equal(err, wanted ? 0 : ERR_NOT_FOUND);
	if (wanted)
		assert_true(span_equal(value, span_of(wanted, length)));
	rocksdb_free(wanted);
}

struct listing {
	struct buffer keys;
	size_t left;
};

static bool list_key(void *context, struct span key)
{
	struct listing *listing = context;
	buffer_append(&listing->keys, key.data, key.length);
	buffer_append_byte(&listing->keys, '\n');
	return --listing->left > 0;
}

static void check_each(struct two *two, struct span prefix)
{
	size_t limit = next_random(two, 3) ? SIZE_MAX : 1 + next_random(two, 20);
	struct listing mine = { .left = limit }, peers = { .left = limit };
	struct why why = { 0 };
	buffer_init(&mine.keys, SIZE_MAX);
	buffer_init(&peers.keys, SIZE_MAX);
	assert_int_equal(state_batch_each(two->batch, prefix, list_key, &mine, &why), 0);
	rocksdb_iterator_t *base = rocksdb_create_iterator(two->peers, two->read);
	rocksdb_iterator_t *iterator = rocksdb_writebatch_wi_create_iterator_with_base(two->indexed, base);
	for (rocksdb_iter_seek(iterator, (const char *)prefix.data, prefix.length); rocksdb_iter_valid(iterator); rocksdb_iter_next(iterator)) {
		size_t length;
		const char *key = rocksdb_iter_key(iterator, &length);
		if (length < prefix.length || memcmp(key, prefix.data, prefix.length) != 0 || !list_key(&peers, span_of(key, length)))
			break;
	}
	rocksdb_iter_destroy(iterator);
	assert_true(span_equal(buffer_span(&mine.keys), buffer_span(&peers.keys)));
	buffer_fini(&mine.keys);
	buffer_fini(&peers.keys);
}

static void write_both(struct two *two)
{
	struct why why = { 0 };
	char *error = NULL;
	assert_int_equal(state_batch_write(two->batch, two->write, &why), 0);
	rocksdb_write_writebatch_wi(two->peers, two->write, two->indexed, &error);
	assert_null(error);
	rocksdb_writebatch_wi_clear(two->indexed);
}

static void it_says_what_an_indexed_batch_says(void **state)
{
	struct two *two = *state;
	char text[64];
	for (int batch = 0; batch < BATCHES; batch++) {
		for (int step = 0; step < STEPS; step++) {
			struct span key = random_key(two, text);
			switch (next_random(two, 8)) {
			case 0:
			case 1:
				put(two, key);
				break;
			case 2:
				delete(two, key);
				break;
			case 3:
				check_each(two, span_of(key.data, 1 + next_random(two, key.length)));
				break;
			default:
				check_get(two, key);
			}
		}
		check_each(two, span_of("", 0));
		write_both(two);
		check_each(two, span_of("", 0));
	}
}

static void a_batch_may_be_large_and_is_small_again(void **state)
{
	struct two *two = *state;
	static uint8_t value[VALUE_BYTES_MAX];
	char text[64];
	for (unsigned i = 0; i < 3000; i++)
		state_batch_put(two->batch, span_of(text, (size_t)sprintf(text, "large/%u", i)), span_of(value, sizeof(value)));
	struct why why = { 0 };
	assert_int_equal(state_batch_write(two->batch, two->write, &why), 0);
	struct span found;
	for (unsigned i = 0; i < 3000; i++) {
		assert_int_equal(state_batch_get(two->batch, span_of(text, (size_t)sprintf(text, "large/%u", i)), &found, &why), 0);
		assert_int_equal(found.length, sizeof(value));
	}
	assert_int_equal(state_batch_get(two->batch, span_text("large/3000"), &found, &why), ERR_NOT_FOUND);
	assert_int_equal(state_batch_write(two->batch, two->write, &why), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_says_what_an_indexed_batch_says, open_two, close_two),
		cmocka_unit_test_setup_teardown(a_batch_may_be_large_and_is_small_again, open_two, close_two),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
