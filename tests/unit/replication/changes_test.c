/* The stream of changes: what is in it, in which order, and where a follower goes on. */
#include "replication/changes.h"
#include "replication/namespace.h"

#include <pthread.h>

#include "fixture.h"

static char *dir;
static struct namespace *ns;

static int set_up(void **state)
{
	(void)state;
	dir = directory_make();
	return namespace_open(&ns, dir, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	namespace_close(ns);
	directory_remove(dir);
	free(dir);
	return 0;
}

struct seen {
	struct change changes[16];
	size_t count, stop_at;
};

static int see(void *context, const struct change *change)
{
	struct seen *seen = context;
	seen->changes[seen->count++] = *change;
	return seen->count == seen->stop_at ? 1 : 0;
}

static struct entity_id make_repo(const char *name)
{
	struct repo repo = { .type = REPO_DATASET, .owner = "ada" };
	struct entity_id id;
	strcpy(repo.name, name);
	assert_int_equal(repo_create(ns, "ada", &repo, &id, NULL), 0);
	return id;
}

static void names_and_refs_leave_changes_in_order(void **state)
{
	(void)state;
	struct entity_id id = make_repo("stones");
	struct ref_update updates[] = { { .name = "refs/heads/main" }, { .name = "refs/tags/one" } };
	updates[0].new_oid.bytes[0] = updates[1].new_oid.bytes[0] = 7;
	assert_int_equal(refs_update(ns, "ada", &id, updates, 2, NULL, NULL, NULL), 0);
	assert_int_equal(repo_delete(ns, "ada", &id, NULL), 0);
	struct seen seen = { 0 };
	assert_int_equal(changes_read(ns, GROUP_CLUSTER, 0, see, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.changes[0].type, COMMAND_REPO_CREATE);
	assert_int_equal(seen.changes[0].repo_type, REPO_DATASET);
	assert_string_equal(seen.changes[0].owner, "ada");
	assert_string_equal(seen.changes[0].name, "stones");
	assert_string_equal(seen.changes[0].actor, "ada");
	assert_true(seen.changes[0].when_ms > 0);
	assert_int_equal(seen.changes[1].type, COMMAND_REPO_DELETE);
	assert_string_equal(seen.changes[1].name, "stones");
	seen = (struct seen){ 0 };
	assert_int_equal(changes_read(ns, GROUP_REPOS, 0, see, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.changes[0].ref, "refs/heads/main");
	assert_string_equal(seen.changes[1].ref, "refs/tags/one");
	assert_int_equal(seen.changes[1].new_oid.bytes[0], 7);
	assert_memory_equal(seen.changes[1].repo.bytes, id.bytes, ENTITY_ID_BYTES);
}

static void a_refused_command_leaves_no_change(void **state)
{
	(void)state;
	make_repo("stones");
	struct repo again = { .type = REPO_DATASET, .owner = "ada", .name = "stones" };
	assert_int_equal(repo_create(ns, "ada", &again, NULL, NULL), ERR_EXISTS);
	uint64_t last;
	assert_int_equal(changes_last(ns, GROUP_CLUSTER, &last), 0);
	assert_int_equal(last, 1);
}

static void a_follower_goes_on_where_it_was_after_a_restart(void **state)
{
	(void)state;
	make_repo("one");
	make_repo("two");
	struct seen seen = { .stop_at = 1 };
	assert_int_equal(changes_read(ns, GROUP_CLUSTER, 0, see, &seen), 1);
	struct changes_position position = { .cluster = seen.changes[0].number };
	assert_int_equal(changes_position_put(ns, "test", &position, NULL), 0);
	namespace_close(ns);
	assert_int_equal(namespace_open(&ns, dir, NULL), 0);
	make_repo("three");
	struct changes_position found;
	assert_int_equal(changes_position_get(ns, "test", &found), 0);
	seen = (struct seen){ 0 };
	assert_int_equal(changes_read(ns, GROUP_CLUSTER, found.cluster, see, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.changes[0].name, "two");
	assert_string_equal(seen.changes[1].name, "three");
	assert_int_equal(changes_position_get(ns, "another", &found), 0);
	assert_int_equal(found.cluster, 0);
}

static void a_position_that_never_was_is_out_of_range(void **state)
{
	(void)state;
	make_repo("one");
	struct seen seen = { 0 };
	assert_int_equal(changes_read(ns, GROUP_CLUSTER, 1, see, &seen), 0);
	assert_int_equal(changes_read(ns, GROUP_CLUSTER, 5, see, &seen), ERR_RANGE);
	assert_int_equal(seen.count, 0);
}

static void *wait_for_a_change(void *context)
{
	changes_wait(ns, *(uint64_t *)context, 30 * 1000);
	return NULL;
}

static void a_change_wakes_who_waits(void **state)
{
	(void)state;
	uint64_t version = namespace_version(ns);
	pthread_t thread;
	pthread_create(&thread, NULL, wait_for_a_change, &version);
	make_repo("one");
	pthread_join(thread, NULL);
	assert_true(namespace_version(ns) != version);
	changes_wait(ns, version, 30 * 1000); /* returns at once: it is past */
	changes_wait(ns, namespace_version(ns), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names_and_refs_leave_changes_in_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_refused_command_leaves_no_change, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_follower_goes_on_where_it_was_after_a_restart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_position_that_never_was_is_out_of_range, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_change_wakes_who_waits, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("changes", tests, NULL, NULL);
}
