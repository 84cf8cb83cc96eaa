/* Numbers under which a node asks the leader: no answer to an earlier start of it settles what a later one has asked. */
#include "replication/forward.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>

#include <cmocka.h>

static void no_two_starts_of_a_node_use_the_same_numbers(void **state)
{
	(void)state;
	struct forward one, two;
	forward_init(&one);
	forward_init(&two);
	assert_true(one.numbers != two.numbers && one.read.round != two.read.round);
	for (int i = 0; i < 1000; i++) { /* room to count on */
		forward_init(&one);
		assert_true(one.numbers <= INT64_MAX && one.read.round <= INT64_MAX && one.read.done == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_two_starts_of_a_node_use_the_same_numbers),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
