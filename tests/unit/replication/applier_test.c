/* The thread that applies: what waits for it for long is written in parts, each of whole entries. */
#include "replication/applier.h"
#include "replication/node.h"
#include "tests/unit/replication/fixture.h"

#include <pthread.h>

enum { ENTRIES = 40, COMMANDS = 500, COUNTERS = 30 };

static atomic_bool go;
static unsigned writes;
static uint64_t seen[ENTRIES];

/* Holds the thread until everything is queued. */
static int wait_and_count(void *context, const struct apply_context *apply, struct span bytes, struct buffer *result, struct why *why)
{
	while (!atomic_load(&go))
		usleep(1000);
	return counter_apply(context, apply, bytes, result, why);
}

static void see_applied(void *context, uint64_t applied)
{
	(void)context;
	if (writes < ENTRIES)
		seen[writes++] = applied;
}

static void nothing(void *context)
{
	(void)context;
}

static bool room(void *context)
{
	(void)context;
	return true;
}

static const struct state_machine machine = { .apply = wait_and_count, .applied = see_applied };
static const struct applier_calls calls = { .advanced = nothing, .has_room = room };

/* An entry of commands that each count one of the counters. */
static struct log_entry *make_entry(uint64_t index)
{
	struct buffer payload, body;
	struct command_id now;
	buffer_init(&payload, SIZE_MAX);
	command_id_make(&now);
	command_entry_begin(&payload, command_id_ms(&now), COMMANDS);
	for (unsigned i = 0; i < COMMANDS; i++) {
		struct command command = { .type = COUNT, .version = 1 };
		buffer_init(&body, 64);
		pack_u64(&body, i % COUNTERS);
		command.body = buffer_span(&body);
		command_id_make(&command.id);
		assert_int_equal(command_encode(&payload, &command), 0);
		buffer_fini(&body);
	}
	struct log_entry *entry = log_entry_make(ENTRY_COMMANDS, index, 1, buffer_span(&payload));
	buffer_fini(&payload);
	return entry;
}

static void what_waits_for_long_is_written_in_parts_of_whole_entries(void **state)
{
	(void)state;
	struct applier *applier;
	struct why why = { 0 };
	char *dir = directory_make();
	if (applier_open(&applier, dir, 0, &machine, &calls, &why) != 0 || applier_start(applier, &why) != 0)
		fail_msg("%s", why.text);
	struct log_entry **entries = must_alloc(ENTRIES * sizeof(struct log_entry *));
	for (uint64_t i = 0; i < ENTRIES; i++)
		entries[i] = make_entry(i + 1);
	size_t bytes = 0;
	for (size_t i = 0; i < ENTRIES; i++)
		bytes += log_entry_bytes(entries[i]);
	applier_put(applier, GROUP_REPOS, entries, ENTRIES, ENTRIES);
	assert_int_equal(applier_waiting(applier, GROUP_REPOS), bytes);
	assert_int_equal(applier_waiting(applier, GROUP_CLUSTER), 0);
	atomic_store(&go, true);
	while (applier_applied(applier, GROUP_REPOS) < ENTRIES)
		usleep(1000);
	assert_int_equal(applier_waiting(applier, GROUP_REPOS), 0);
	assert_int_equal(applier_commands(applier), ENTRIES * COMMANDS);
	applier_close(applier);
	assert_true(writes > 1 && writes < ENTRIES); /* several, of several entries each */
	for (unsigned i = 1; i < writes; i++)
		assert_true(seen[i] > seen[i - 1]);
	assert_int_equal(seen[writes - 1], ENTRIES);

	assert_int_equal(applier_open(&applier, dir, 0, &machine, &calls, &why), 0);
	assert_int_equal(applier_record(applier, GROUP_REPOS)->index, ENTRIES);
	assert_int_equal(applier_record(applier, GROUP_REPOS)->durable_mark, ENTRIES);
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	for (uint64_t number = 0; number < COUNTERS; number++) {
		struct key key;
		size_t length;
		char *error = NULL;
		counter_key(&key, number);
		char *value = rocksdb_get(applier_db(applier), options, (const char *)key.bytes, key.length, &length, &error);
		assert_non_null(value);
		assert_int_equal(get_big_endian((uint8_t *)value, 8), ENTRIES * (COMMANDS / COUNTERS + (number < COMMANDS % COUNTERS)));
		rocksdb_free(value);
	}
	rocksdb_readoptions_destroy(options);
	applier_close(applier);
	directory_remove(dir);
	free(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_waits_for_long_is_written_in_parts_of_whole_entries),
	};
	return cmocka_run_group_tests_name("applier", tests, NULL, NULL);
}
