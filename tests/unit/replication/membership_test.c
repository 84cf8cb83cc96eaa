/* Which voters may leave: one at a time, and only while a majority of those that stay is connected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "replication/membership.h"

enum { GROUPS = 2 };

static struct cluster_status status;

/* A letter for each node, ids from 1 on: V a voter, v one that is not connected, W one that is to be a voter and has not caught up, L a learner, R a voter that was removed
 * and is in the configuration still, D one that was demoted, x one that is gone. */
static void nodes_are(const char *letters)
{
	status = (struct cluster_status){ 0 };
	for (const char *letter = letters; *letter; letter++) {
		struct node_status *node = &status.nodes[status.count++];
		node->node.node_id = status.count;
		node->self = status.count == 1;
		node->connected = !node->self && *letter != 'v' && *letter != 'R' && *letter != 'x';
		node->node.role = *letter == 'L' || *letter == 'D' ? NODE_LEARNER : *letter == 'R' || *letter == 'x' ? NODE_REMOVED : NODE_VOTER;
		for (int group = 0; group < GROUPS; group++)
			node->roles[group] = *letter == 'x' ? 0 : *letter == 'L' || *letter == 'W' ? NODE_LEARNER : NODE_VOTER;
	}
}

static bool may_leave(uint64_t id)
{
	struct why why = { 0 };
	int err = membership_may_leave(&status, &id, 1, &why);
	assert_true(err == 0 || (err == ERR_CONFLICT && why.text[0]));
	return err == 0;
}

static void any_of_three_may_leave(void **state)
{
	(void)state;
	nodes_are("VVV");
	assert_true(may_leave(1) && may_leave(2) && may_leave(3));
	nodes_are("VV");
	assert_true(may_leave(1) && may_leave(2));
}

static void two_at_once_may_not(void **state)
{
	(void)state;
	struct why why = { 0 };
	const uint64_t two[] = { 2, 3 }, with_learner[] = { 2, 6 };
	nodes_are("VVVVVL");
	assert_int_equal(membership_may_leave(&status, two, 2, &why), ERR_CONFLICT);
	assert_int_equal(membership_may_leave(&status, with_learner, 2, &why), 0);
	nodes_are("VRV");
	assert_false(may_leave(3));
	assert_true(may_leave(2)); /* asked again */
	nodes_are("VDV");
	assert_false(may_leave(3));
	nodes_are("VxV");
	assert_true(may_leave(3));
}

static void one_that_is_needed_for_a_majority_may_not(void **state)
{
	(void)state;
	nodes_are("VVv");
	assert_false(may_leave(1) || may_leave(2));
	assert_true(may_leave(3));
	nodes_are("VVVvv");
	assert_false(may_leave(2));
	assert_true(may_leave(4) && may_leave(5));
	nodes_are("VVVVv");
	assert_true(may_leave(2));
}

static void the_last_voter_may_not(void **state)
{
	(void)state;
	nodes_are("VL");
	assert_false(may_leave(1));
	assert_true(may_leave(2));
	nodes_are("VW"); /* it is none yet */
	assert_false(may_leave(1));
	assert_true(may_leave(2));
}

static void both_groups_count(void **state)
{
	(void)state;
	nodes_are("VVV");
	status.nodes[2].roles[1] = NODE_LEARNER; /* not a voter of the second yet */
	status.nodes[1].connected = false;
	assert_true(may_leave(2));
	assert_false(may_leave(1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_of_three_may_leave),
		cmocka_unit_test(two_at_once_may_not),
		cmocka_unit_test(one_that_is_needed_for_a_majority_may_not),
		cmocka_unit_test(the_last_voter_may_not),
		cmocka_unit_test(both_groups_count),
	};
	return cmocka_run_group_tests_name("membership", tests, NULL, NULL);
}
