/* When an entry of the log waits for more proposals: never for a lone caller, never for long, and until most of a crowd are back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schemas/gather.h"

static void a_lone_caller_never_waits(void **state)
{
	(void)state;
	struct gather gather = { 0 };
	for (int i = 0; i < 1000; i++) {
		assert_true(gather_enough(&gather, 1));
		gather_note(&gather, 1);
	}
}

static void a_crowd_is_waited_for_until_most_are_back(void **state)
{
	(void)state;
	struct gather gather = { 0 };
	gather_note(&gather, 16);
	assert_false(gather_enough(&gather, 1));
	assert_false(gather_enough(&gather, 13));
	assert_true(gather_enough(&gather, 14));
	/* Late ones make it no smaller at once. */
	gather_note(&gather, 10);
	assert_false(gather_enough(&gather, 12));
}

static void waiting_ends_when_nobody_comes(void **state)
{
	(void)state;
	struct gather gather = { 0 };
	gather_note(&gather, 16);
	uint64_t now_ms = 1000, more_ms = gather_begin(&gather, 9, now_ms);
	assert_in_range(more_ms, 1, 4);
	now_ms += more_ms;
	assert_int_equal(gather_look(&gather, 9, false, now_ms), 0);
	/* Those in an entry that is under way come. */
	gather_begin(&gather, 9, now_ms);
	assert_int_not_equal(gather_look(&gather, 9, true, now_ms + 2), 0);
}

static void waiting_ends_though_more_keep_coming(void **state)
{
	(void)state;
	struct gather gather = { 0 };
	gather_note(&gather, 1000);
	uint64_t now_ms = 0, more_ms = gather_begin(&gather, 1, now_ms);
	for (size_t waiting = 2; more_ms > 0; waiting++) {
		now_ms += more_ms;
		more_ms = gather_look(&gather, waiting, true, now_ms);
		assert_in_range(now_ms, 1, 16);
	}
	assert_in_range(now_ms, 10, 16);
}

static void it_looks_for_more_callers_than_it_knows(void **state)
{
	(void)state;
	struct gather gather = { 0 };
	int entries = 0;
	for (gather_note(&gather, 8); gather_enough(&gather, 8); gather_note(&gather, 8))
		assert_in_range(++entries, 1, 200);
	gather_note(&gather, 20);
	assert_false(gather_enough(&gather, 8));
	assert_true(gather_enough(&gather, 20));
}

static void a_crowd_that_went_is_forgotten(void **state)
{
	(void)state;
	struct gather gather = { 0 };
	int entries = 0;
	for (gather_note(&gather, 256); !gather_enough(&gather, 1); gather_note(&gather, 1))
		assert_in_range(++entries, 1, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lone_caller_never_waits),
		cmocka_unit_test(a_crowd_is_waited_for_until_most_are_back),
		cmocka_unit_test(waiting_ends_when_nobody_comes),
		cmocka_unit_test(waiting_ends_though_more_keep_coming),
		cmocka_unit_test(it_looks_for_more_callers_than_it_knows),
		cmocka_unit_test(a_crowd_that_went_is_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
