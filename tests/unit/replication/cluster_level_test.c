/* Which feature level a cluster may be raised to, and what raising it does to a node. This program is as if of level 2: CMakeLists.txt. */
#include "replication/applier.h"
#include "replication/changes.h"
#include "replication/cluster_level.h"
#include "replication/namespace_state.h"
#include "tests/unit/replication/fixture.h"

/* ------------------------------------------------------------------ which one */

enum { FIRST = 0, GONE = 1, SECOND = 2, THIRD = 3 };
static struct cluster_status status;

/* Three members and a node that was removed. */
static int three_members_at_level_1(void **state)
{
	(void)state;
	status = (struct cluster_status){ .count = 4, .groups = { { .feature_level = 1 }, { .feature_level = 1 } }, .nodes = {
		[FIRST] = { .node = { .node_id = 1, .name = "node1", .role = NODE_VOTER }, .self = true, .connected = true },
		[GONE] = { .node = { .node_id = 2, .name = "gone", .role = NODE_REMOVED } },
		[SECOND] = { .node = { .node_id = 3, .role = NODE_LEARNER }, .connected = true },
		[THIRD] = { .node = { .node_id = 4, .name = "node4", .role = NODE_VOTER }, .connected = true } } };
	return 0;
}

static void they_know(uint32_t first, uint32_t second, uint32_t third)
{
	status.nodes[FIRST].feature_level = first;
	status.nodes[SECOND].feature_level = second;
	status.nodes[THIRD].feature_level = third;
}

static void node4_is_away(void)
{
	status.nodes[THIRD].connected = false;
	status.nodes[THIRD].feature_level = 0;
}

static void assert_next(uint32_t expected)
{
	struct why why = { 0 };
	uint32_t level = 0;
	if (cluster_level_next(&status, &level, &why) != 0)
		fail_msg("%s", why.text);
	assert_int_equal(level, expected);
}

static void assert_refused(const char *sentence)
{
	struct why why = { 0 };
	uint32_t level = 0;
	assert_int_equal(cluster_level_next(&status, &level, &why), ERR_CONFLICT);
	assert_string_equal(why.text, sentence);
}

static void the_next_level_is_the_highest_that_every_member_knows(void **state)
{
	(void)state;
	they_know(2, 2, 2);
	assert_next(2);
	they_know(4, 3, 5);
	assert_next(3);
}

static void there_is_none_while_nobody_knows_a_higher_one(void **state)
{
	(void)state;
	they_know(1, 1, 1);
	assert_next(1);
	node4_is_away();
	assert_next(1);
}

static void members_that_know_too_little_are_named(void **state)
{
	(void)state;
	they_know(2, 2, 1);
	assert_refused("node4 knows level 1 only: install a newer program there first");
	they_know(1, 1, 2);
	assert_refused("node1 knows level 1 only: install a newer program there first; 0000000000000003 knows level 1 only: install a newer program there first");
}

static void members_of_whom_nothing_is_known_are_named(void **state)
{
	(void)state;
	they_know(2, 1, 2);
	node4_is_away();
	assert_refused("0000000000000003 knows level 1 only: install a newer program there first; node4 is away: nobody knows which level it knows");
	they_know(2, 2, 0);
	status.nodes[THIRD].connected = true;
	assert_refused("node4 has not told yet which level it knows: try again");
}

static void more_members_in_the_way_than_a_sentence_holds_are_cut_off(void **state)
{
	(void)state;
	they_know(2, 1, 1);
	for (status.count = 4; status.count < CLUSTER_NODES_MAX; status.count++)
		status.nodes[status.count] = status.nodes[THIRD];
	struct why why = { 0 };
	uint32_t level = 0;
	assert_int_equal(cluster_level_next(&status, &level, &why), ERR_CONFLICT);
	assert_int_equal(strlen(why.text), WHY_BYTES_MAX - 1);
}

static void a_level_that_one_group_lacks_is_completed_whoever_is_away(void **state)
{
	(void)state;
	status.groups[0].feature_level = 2;
	they_know(2, 2, 2);
	assert_int_equal(cluster_level(&status), 2);
	assert_next(2);
	node4_is_away();
	assert_next(2);
	assert_false(cluster_level_everywhere(&status, 2));
	they_know(3, 3, 3);
	status.nodes[THIRD].connected = true;
	assert_next(3); /* at once */
}

/* ------------------------------------------------------------------ raising it */

static char *dir;
static struct namespace *ns;

static void open_node(void)
{
	struct why why = { 0 };
	if (namespace_open(&ns, dir, &why) != 0)
		fail_msg("%s", why.text);
}

static int set_up(void **state)
{
	(void)state;
	dir = directory_make();
	open_node();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	namespace_close(ns);
	directory_remove(dir);
	free(dir);
	return 0;
}

static void assert_levels(uint32_t cluster, uint32_t repos)
{
	assert_int_equal(consensus_cluster_status(namespace_consensus(ns), &status, NULL), 0);
	assert_int_equal(status.groups[GROUP_CLUSTER].feature_level, cluster);
	assert_int_equal(status.groups[GROUP_REPOS].feature_level, repos);
}

static void raise_it(bool is_to_do)
{
	struct why why = { 0 };
	uint32_t level = 0;
	bool raised = false;
	if (cluster_level_raise(ns, "ada", &level, &raised, &why) != 0)
		fail_msg("%s", why.text);
	assert_int_equal(level, FEATURE_LEVEL_KNOWN);
	assert_int_equal(raised, is_to_do);
}

static int count_raises(void *context, const struct change *change)
{
	if (change->type == COMMAND_FEATURE_LEVEL) {
		assert_string_equal(change->actor, "ada");
		assert_int_equal(change->action, FEATURE_LEVEL_KNOWN);
		++*(unsigned *)context;
	}
	return 0;
}

static void assert_told_once(void)
{
	unsigned raises = 0;
	assert_int_equal(changes_read(ns, GROUP_CLUSTER, 0, count_raises, &raises), 0);
	assert_int_equal(changes_read(ns, GROUP_REPOS, 0, count_raises, &raises), 0);
	assert_int_equal(raises, 1);
}

static void every_group_is_raised_for_good_and_it_is_told_who_did_it(void **state)
{
	(void)state;
	assert_levels(1, 1);
	raise_it(true);
	assert_levels(2, 2);
	raise_it(false);
	namespace_close(ns);
	open_node();
	assert_levels(2, 2);
	raise_it(false);
	assert_told_once();
}

static void asking_again_raises_the_group_that_a_crash_left_out(void **state)
{
	(void)state;
	struct buffer body;
	buffer_init(&body, 16);
	pack_u64(&body, FEATURE_LEVEL_KNOWN);
	assert_int_equal(namespace_propose(ns, GROUP_CLUSTER, COMMAND_FEATURE_LEVEL, "ada", &body, NULL, NULL), 0);
	assert_levels(2, 1);
	raise_it(true);
	assert_levels(2, 2);
	assert_told_once();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_next_level_is_the_highest_that_every_member_knows, three_members_at_level_1),
		cmocka_unit_test_setup(there_is_none_while_nobody_knows_a_higher_one, three_members_at_level_1),
		cmocka_unit_test_setup(members_that_know_too_little_are_named, three_members_at_level_1),
		cmocka_unit_test_setup(members_of_whom_nothing_is_known_are_named, three_members_at_level_1),
		cmocka_unit_test_setup(more_members_in_the_way_than_a_sentence_holds_are_cut_off, three_members_at_level_1),
		cmocka_unit_test_setup(a_level_that_one_group_lacks_is_completed_whoever_is_away, three_members_at_level_1),
		cmocka_unit_test_setup_teardown(every_group_is_raised_for_good_and_it_is_told_who_did_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(asking_again_raises_the_group_that_a_crash_left_out, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("cluster level", tests, NULL, NULL);
}
