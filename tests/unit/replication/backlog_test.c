/* How far work is, in bytes and in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "replication/backlog.h"

enum { MIB = 1 << 20 };

static struct backlog_status status_of(const struct backlog *backlog, uint64_t now_ms)
{
	struct backlog_status status;
	backlog_status(backlog, now_ms, &status);
	return status;
}

static void what_was_never_begun_has_nothing_left(void **state)
{
	(void)state;
	struct backlog backlog = { 0 };
	struct backlog_status status = status_of(&backlog, 5000);
	assert_int_equal(status.done_bytes, 0);
	assert_int_equal(status.left_bytes, 0);
	assert_int_equal(status.bytes_per_s, 0);
	assert_int_equal(backlog_left_ms(&status), 0);
}

static void what_is_done_moves_from_left_to_done(void **state)
{
	(void)state;
	struct backlog backlog = { 0 };
	backlog_note(&backlog, 0, 100 * MIB, 1000);
	for (uint64_t second = 1; second <= 4; second++)
		backlog_done(&backlog, 10 * MIB, 1000 + second * 1000);
	struct backlog_status status = status_of(&backlog, 5000);
	assert_int_equal(status.done_bytes, 40 * MIB);
	assert_int_equal(status.left_bytes, 60 * MIB);
	assert_int_equal(status.bytes_per_s, 10 * MIB);
	assert_int_equal(backlog_left_ms(&status), 6000);
}

static void more_work_adds_to_what_is_left_and_keeps_what_is_done(void **state)
{
	(void)state;
	struct backlog backlog = { 0 };
	backlog_note(&backlog, 0, 10 * MIB, 0);
	backlog_done(&backlog, 4 * MIB, 100);
	backlog_note(&backlog, 0, 20 * MIB, 200);
	struct backlog_status status = status_of(&backlog, 200);
	assert_int_equal(status.done_bytes, 4 * MIB);
	assert_int_equal(status.left_bytes, 20 * MIB);
}

static void finished_work_stays_to_be_seen_until_there_is_more(void **state)
{
	(void)state;
	struct backlog backlog = { 0 };
	backlog_note(&backlog, 0, 10 * MIB, 0);
	backlog_done(&backlog, 10 * MIB, 1000);
	struct backlog_status status = status_of(&backlog, 90 * 1000);
	assert_int_equal(status.done_bytes, 10 * MIB);
	assert_int_equal(status.left_bytes, 0);
	assert_int_equal(status.bytes_per_s, 0);
	assert_int_equal(backlog_left_ms(&status), 0);
	backlog_note(&backlog, 0, 0, 91 * 1000);
	assert_int_equal(status_of(&backlog, 91 * 1000).done_bytes, 10 * MIB);
	backlog_note(&backlog, 0, 2 * MIB, 92 * 1000);
	status = status_of(&backlog, 92 * 1000);
	assert_int_equal(status.done_bytes, 0);
	assert_int_equal(status.left_bytes, 2 * MIB);
}

static void more_than_was_left_leaves_nothing(void **state)
{
	(void)state;
	struct backlog backlog = { 0 };
	backlog_note(&backlog, 0, MIB, 0);
	backlog_done(&backlog, 3 * MIB, 10);
	struct backlog_status status = status_of(&backlog, 10);
	assert_int_equal(status.done_bytes, 3 * MIB);
	assert_int_equal(status.left_bytes, 0);
}

static void the_speed_is_that_of_the_last_seconds(void **state)
{
	(void)state;
	struct backlog backlog = { 0 };
	uint64_t now_ms = 0;
	backlog_note(&backlog, 0, UINT64_C(1) << 40, now_ms);
	for (; now_ms < 60 * 1000; now_ms += 1000)
		backlog_done(&backlog, 100 * MIB, now_ms + 1000);
	for (; now_ms < 120 * 1000; now_ms += 1000)
		backlog_done(&backlog, MIB, now_ms + 1000);
	assert_int_equal(status_of(&backlog, now_ms).bytes_per_s, MIB);
}

static void what_stands_still_has_no_time_left_to_tell(void **state)
{
	(void)state;
	struct backlog backlog = { 0 };
	backlog_note(&backlog, 0, 10 * MIB, 0);
	struct backlog_status status = status_of(&backlog, 0);
	assert_true(backlog_left_ms(&status) == BACKLOG_LEFT_UNKNOWN);
	backlog_done(&backlog, MIB, 1000);
	for (uint64_t now_ms = 2000; now_ms <= 40 * 1000; now_ms += 1000)
		backlog_note(&backlog, 0, 9 * MIB, now_ms);
	status = status_of(&backlog, 40 * 1000);
	assert_int_equal(status.bytes_per_s, 0);
	assert_true(backlog_left_ms(&status) == BACKLOG_LEFT_UNKNOWN);
}

static void large_numbers_do_not_run_over(void **state)
{
	(void)state;
	struct backlog backlog = { 0 };
	uint64_t petabytes = UINT64_C(1) << 60;
	backlog_note(&backlog, 0, petabytes, 0);
	backlog_done(&backlog, petabytes / 2, 1000);
	struct backlog_status status = status_of(&backlog, 1000);
	assert_true(status.bytes_per_s == petabytes / 2);
	assert_int_equal(backlog_left_ms(&status), 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_never_begun_has_nothing_left),
		cmocka_unit_test(what_is_done_moves_from_left_to_done),
		cmocka_unit_test(more_work_adds_to_what_is_left_and_keeps_what_is_done),
		cmocka_unit_test(finished_work_stays_to_be_seen_until_there_is_more),
		cmocka_unit_test(more_than_was_left_leaves_nothing),
		cmocka_unit_test(the_speed_is_that_of_the_last_seconds),
		cmocka_unit_test(what_stands_still_has_no_time_left_to_tell),
		cmocka_unit_test(large_numbers_do_not_run_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
