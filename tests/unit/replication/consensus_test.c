/* What callers of consensus rely on, one voter. */
#include "tests/unit/replication/fixture.h"

#include "replication/log_entry.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

enum { THREADS = 32, PER_THREAD = 50 };

static char *dir;
static struct consensus *consensus;

static int set_up(void **state)
{
	(void)state;
	dir = directory_make();
	consensus = open_counter(dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	consensus_close(consensus);
	directory_remove(dir);
	free(dir);
	return 0;
}

static void a_proposal_is_applied_when_it_returns(void **state)
{
	(void)state;
	struct proposal_result result;
	assert_int_equal(propose(consensus, COUNT, 1, NULL, 7, &result, NULL), 0);
	assert_int_equal(counter_get(consensus, 7), 1);
	assert_true(result.index > 1);
	assert_int_equal(result.result.length, 1);
	assert_int_equal(result.result.data[0], 1);
	buffer_fini(&result.result);
}

static void a_rejected_precondition_reaches_the_caller_with_its_sentence(void **state)
{
	(void)state;
	struct why why = { 0 };
	assert_int_equal(propose(consensus, REJECT, 1, NULL, 7, NULL, &why), ERR_CONFLICT);
	assert_string_equal(why.text, "the precondition does not hold");
}

static void a_retry_with_the_same_id_is_applied_once_and_gets_the_first_answer(void **state)
{
	(void)state;
	struct command_id id;
	struct proposal_result first, second;
	struct why why = { 0 };
	command_id_make(&id);
	assert_int_equal(propose(consensus, COUNT, 1, &id, 9, &first, NULL), 0);
	assert_int_equal(propose(consensus, COUNT, 1, &id, 9, &second, NULL), 0);
	assert_int_equal(counter_get(consensus, 9), 1);
	assert_int_equal(first.index, second.index);
	assert_int_equal(second.result.data[0], first.result.data[0]);
	buffer_fini(&first.result);
	buffer_fini(&second.result);

	command_id_make(&id);
	assert_int_equal(propose(consensus, REJECT, 1, &id, 9, NULL, NULL), ERR_CONFLICT);
	assert_int_equal(propose(consensus, REJECT, 1, &id, 9, NULL, &why), ERR_CONFLICT);
	assert_string_equal(why.text, "the precondition does not hold");
}

static void an_id_from_outside_the_window_is_refused(void **state)
{
	(void)state;
	struct command_id id;
	command_id_make(&id);
	int64_t now_ms = command_id_ms(&id);
	put_big_endian(id.bytes, (uint64_t)(now_ms - 25 * 3600 * 1000), 6);
	assert_int_equal(propose(consensus, COUNT, 1, &id, 3, NULL, NULL), ERR_INVALID);
	put_big_endian(id.bytes, (uint64_t)(now_ms + 2 * 3600 * 1000), 6);
	assert_int_equal(propose(consensus, COUNT, 1, &id, 3, NULL, NULL), ERR_INVALID);
	put_big_endian(id.bytes, (uint64_t)(now_ms - 23 * 3600 * 1000), 6);
	assert_int_equal(propose(consensus, COUNT, 1, &id, 3, NULL, NULL), 0);
	assert_int_equal(counter_get(consensus, 3), 1);
}

static void what_is_not_a_command_is_refused(void **state)
{
	(void)state;
	struct command_id id;
	command_id_make(&id);
	struct proposal_result result;
	struct why why;
	static uint8_t big[COMMAND_BYTES_MAX + 1];
	assert_int_equal(consensus_propose(consensus, 0, &id, span_text("nonsense"), 1000, &result, &why), ERR_INVALID);
	assert_int_equal(consensus_propose(consensus, 9, &id, span_text("nonsense"), 1000, &result, &why), ERR_INVALID);
	assert_int_equal(consensus_propose(consensus, 0, &id, span_of(big, sizeof(big)), 1000, &result, &why), ERR_TOO_BIG);
}

static void *propose_many(void *context)
{
	uint64_t base = (uint64_t)(uintptr_t)context * PER_THREAD;
	for (uint64_t i = 0; i < PER_THREAD; i++)
		if (propose(consensus, COUNT, 1, NULL, 1000 + base + i, NULL, NULL) != 0)
			return "failed";
	return NULL;
}

static void concurrent_proposals_share_syncs(void **state)
{
	(void)state;
	pthread_t threads[THREADS];
	struct consensus_status before, after;
	consensus_status(consensus, &before);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, propose_many, (void *)i);
	for (size_t i = 0; i < THREADS; i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	consensus_status(consensus, &after);
	uint64_t commands = after.commands - before.commands, syncs = after.log_syncs - before.log_syncs;
	print_message("%llu commands in %llu syncs: %.1f each\n", (unsigned long long)commands, (unsigned long long)syncs,
		(double)commands / (double)syncs);
	assert_in_range(commands, THREADS * PER_THREAD, THREADS * PER_THREAD + 1); /* the node may have one of its own to make */
	assert_true(syncs < commands);
	for (uint64_t i = 0; i < THREADS * PER_THREAD; i++)
		assert_int_equal(counter_get(consensus, 1000 + i), 1);
}

static void a_read_barrier_returns_once_everything_acknowledged_is_here(void **state)
{
	(void)state;
	struct why why;
	assert_int_equal(propose(consensus, COUNT, 1, NULL, 5, NULL, NULL), 0);
	assert_int_equal(consensus_read_barrier(consensus, GROUP_REPOS, 5000, &why), 0);
	assert_int_equal(counter_get(consensus, 5), 1);
	assert_int_equal(consensus_read_barrier(consensus, 77, 5000, &why), ERR_INVALID);
}

static void status_tells_that_this_node_leads(void **state)
{
	(void)state;
	struct consensus_status status;
	assert_int_equal(propose(consensus, COUNT, 1, NULL, 5, NULL, NULL), 0);
	consensus_read_barrier(consensus, GROUP_REPOS, 5000, NULL);
	consensus_status(consensus, &status);
	assert_true(status.leader);
	assert_int_equal(status.voters, 1);
	assert_true(status.node_id != 0);
	assert_true(status.term >= 2);
	assert_true(status.applied >= 5);
}

/* ---- disk space ---- */

static atomic_uint_fast64_t fake_free_bytes;

static uint64_t fake_free(void *context, const char *path)
{
	(void)context;
	(void)path;
	return atomic_load(&fake_free_bytes);
}

static void a_short_disk_refuses_changes_and_recovers(void **state)
{
	(void)state;
	char *other = directory_make();
	struct consensus *small = NULL;
	struct consensus_config config = { .dir = other, .machine = &counter_machine, .free_bytes = fake_free };
	struct why why = { 0 };
	atomic_store(&fake_free_bytes, UINT64_C(10) << 30);
	assert_int_equal(consensus_open(&small, &config, &why), 0);
	assert_int_equal(propose(small, COUNT, 1, NULL, 1, NULL, NULL), 0);

	atomic_store(&fake_free_bytes, 200 << 20); /* below the reserve of 256 MiB */
	usleep(250000);
	assert_int_equal(propose(small, COUNT, 1, NULL, 2, NULL, &why), ERR_NO_SPACE);
	assert_non_null(strstr(why.text, "disk"));
	assert_int_equal(counter_get(small, 2), 0);
	assert_int_equal(consensus_read_barrier(small, GROUP_REPOS, 5000, &why), 0); /* reads go on */

	atomic_store(&fake_free_bytes, UINT64_C(10) << 30);
	usleep(250000);
	assert_int_equal(propose(small, COUNT, 1, NULL, 2, NULL, NULL), 0);
	assert_int_equal(counter_get(small, 2), 1);

	/* A node may also start with a short disk: it must be able to delete. With a full one it says so. */
	consensus_close(small);
	atomic_store(&fake_free_bytes, 200 << 20);
	assert_int_equal(consensus_open(&small, &config, &why), 0);
	assert_int_equal(counter_get(small, 2), 1);
	assert_int_equal(propose(small, COUNT, 1, NULL, 2, NULL, NULL), ERR_NO_SPACE);
	consensus_close(small);
	atomic_store(&fake_free_bytes, 100 << 20);
	assert_int_equal(consensus_open(&small, &config, &why), ERR_NO_SPACE);
	directory_remove(other);
	free(other);
}

static void *free_the_disk(void *context)
{
	(void)context;
	usleep(1500000);
	atomic_store(&fake_free_bytes, UINT64_C(10) << 30);
	return NULL;
}

static void a_disk_that_fills_up_under_a_change_holds_it_until_there_is_room(void **state)
{
	(void)state;
	char *other = directory_make();
	struct consensus *small = NULL;
	struct consensus_config config = { .dir = other, .machine = &counter_machine, .free_bytes = fake_free };
	struct why why = { 0 };
	pthread_t thread;
	atomic_store(&fake_free_bytes, UINT64_C(10) << 30);
	assert_int_equal(consensus_open(&small, &config, &why), 0);
	assert_int_equal(propose(small, COUNT, 1, NULL, 1, NULL, NULL), 0);
	atomic_store(&fake_free_bytes, 0); /* the meta loop looks every 100 ms, the writer always */
	pthread_create(&thread, NULL, free_the_disk, NULL);
	int err = propose(small, COUNT, 1, NULL, 2, NULL, NULL);
	assert_true(err == 0 || err == ERR_NO_SPACE);
	assert_int_equal(counter_get(small, 2), err == 0 ? 1 : 0);
	pthread_join(thread, NULL);
	usleep(250000);
	assert_int_equal(propose(small, COUNT, 1, NULL, 3, NULL, NULL), 0);

	/* Closing does not wait for room for ever. */
	atomic_store(&fake_free_bytes, 0);
	consensus_close(small);
	directory_remove(other);
	free(other);
}

static void what_was_acknowledged_is_there_after_a_clean_restart(void **state)
{
	(void)state;
	assert_int_equal(propose(consensus, COUNT, 1, NULL, 11, NULL, NULL), 0);
	consensus_close(consensus);
	consensus = open_counter(dir);
	assert_int_equal(counter_get(consensus, 11), 1);
}

/* ---- an applier that stands still ---- */

enum { LARGE_COMMANDS = 40, LARGE_BYTES = 1000 * 1000 };
static_assert(LARGE_COMMANDS * LARGE_BYTES > 2 * LOG_HELD_BYTES_MAX, "more than is held in memory");
static atomic_bool goes;
static atomic_uint failed_count;
static unsigned applied_count[LARGE_COMMANDS];

/* A command's body is [number, padding]. */
static int wait_and_count(void *context, const struct apply_context *apply, struct span bytes, struct buffer *result, struct why *why)
{
	(void)context, (void)apply, (void)result, (void)why;
	struct command command;
	while (!atomic_load(&goes))
		usleep(1000);
	if (command_decode(&command, bytes) != 0)
		return ERR_CORRUPT;
	struct cursor body = cursor_of(command.body);
	cursor_array(&body, 2);
	applied_count[cursor_u64(&body) % LARGE_COMMANDS]++;
	return 0;
}

static const struct state_machine slow_machine = { .apply = wait_and_count };

static void *propose_large(void *context)
{
	struct buffer body, bytes;
	struct proposal_result result = { 0 };
	uint8_t *padding = calloc(1, LARGE_BYTES);
	struct command command = { .type = COUNT, .version = 1 };
	buffer_init(&body, COMMAND_BYTES_MAX);
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	pack_array(&body, 2);
	pack_u64(&body, (uint64_t)(uintptr_t)context);
	pack_bytes(&body, span_of(padding, LARGE_BYTES));
	command.body = buffer_span(&body);
	command_id_make(&command.id);
	command_encode(&bytes, &command);
	int err;
	do /* the bounds of what is under way refuse some at first */
		err = consensus_propose(consensus, GROUP_REPOS, &command.id, buffer_span(&bytes), 60000, &result, NULL);
	while (err == ERR_BUSY && usleep(1000) == 0);
	buffer_fini(&result.result);
	buffer_fini(&body);
	buffer_fini(&bytes);
	free(padding);
	atomic_fetch_add(&failed_count, err != 0);
	return NULL;
}

static void what_was_committed_while_the_applier_stood_still_is_applied_when_it_goes_on(void **state)
{
	(void)state;
	pthread_t threads[LARGE_COMMANDS];
	struct consensus_config config = { .dir = dir, .machine = &slow_machine, .reserve_bytes = 1 };
	struct consensus_status before, now;
	struct why why = { 0 };
	consensus_close(consensus);
	if (consensus_open(&consensus, &config, &why) != 0)
		fail_msg("%s", why.text);
	consensus_status(consensus, &before);
	for (uintptr_t i = 0; i < LARGE_COMMANDS; i++)
		pthread_create(&threads[i], NULL, propose_large, (void *)i);
	do {
		usleep(1000);
		consensus_status(consensus, &now);
	} while (now.committed < before.committed + LARGE_COMMANDS && atomic_load(&failed_count) == 0);
	atomic_store(&goes, true);
	for (size_t i = 0; i < LARGE_COMMANDS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&failed_count), 0);
	for (size_t i = 0; i < LARGE_COMMANDS; i++)
		assert_int_equal(applied_count[i], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_proposal_is_applied_when_it_returns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_rejected_precondition_reaches_the_caller_with_its_sentence, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_retry_with_the_same_id_is_applied_once_and_gets_the_first_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_id_from_outside_the_window_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_a_command_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(concurrent_proposals_share_syncs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_read_barrier_returns_once_everything_acknowledged_is_here, set_up, tear_down),
		cmocka_unit_test_setup_teardown(status_tells_that_this_node_leads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_short_disk_refuses_changes_and_recovers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_disk_that_fills_up_under_a_change_holds_it_until_there_is_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_acknowledged_is_there_after_a_clean_restart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_committed_while_the_applier_stood_still_is_applied_when_it_goes_on, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
