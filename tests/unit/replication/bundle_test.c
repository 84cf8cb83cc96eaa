/* Lists of bundles: who may replace which, and what makes them void. */
#include "replication/bundle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <ftw.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/cairn-bundle-XXXXXX";
static struct namespace *ns;
static struct entity_id repo;

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
	(void)info, (void)kind, (void)ftw;
	return remove(path);
}

static int set_up(void **state)
{
	(void)state;
	struct repo made = { .type = REPO_MODEL, .owner = "ada", .name = "one" };
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	return !mkdtemp(dir) || namespace_open(&ns, dir, NULL) != 0 || repo_create(ns, "ada", &made, &repo, NULL) != 0;
}

static int tear_down(void **state)
{
	(void)state;
	namespace_close(ns);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static struct oid oid(uint8_t number)
{
	struct oid out = { { 0 } };
	out.bytes[0] = number;
	return out;
}

/* `to` 0: deletes. */
static void move_ref(const char *name, uint8_t to, bool fast_forward)
{
	struct ref_update update = { .any_old = true, .new_oid = oid(to), .fast_forward = fast_forward };
	strcpy(update.name, name);
	assert_int_equal(refs_update(ns, "ada", &repo, &update, 1, NULL, NULL, NULL), 0);
}

static uint64_t version(void)
{
	struct repo found;
	assert_int_equal(repo_get(ns, NULL, &repo, &found), 0);
	return found.version;
}

static struct bundles get(void)
{
	struct bundles out;
	assert_int_equal(bundles_get(ns, NULL, &repo, &out), 0);
	return out;
}

static int add(struct bundles *bundles, uint8_t file)
{
	bundles->items[bundles->count++] = (struct bundle){ .file.bytes[3] = file, .length = 100, .token = bundles->count, .version = version(), .created_ms = 5 };
	return bundles_set(ns, &repo, bundles, NULL);
}

static void a_list_comes_back_as_it_was_set(void **state)
{
	(void)state;
	struct bundles none = get();
	assert_int_equal(none.count, 0);
	move_ref("refs/heads/main", 1, true);
	for (size_t i = 1; i <= BUNDLES_MAX; i++) {
		struct bundles bundles = get();
		assert_int_equal(add(&bundles, (uint8_t)i), 0);
	}
	struct bundles found = get();
	assert_int_equal(found.count, BUNDLES_MAX);
	for (size_t i = 0; i < found.count; i++) {
		assert_int_equal(found.items[i].file.bytes[3], i + 1);
		assert_int_equal(found.items[i].token, i + 1);
		assert_int_equal(found.items[i].length, 100);
	}
	assert_int_equal(found.last.bytes[3], BUNDLES_MAX);
}

static void of_two_that_start_from_one_list_one_wins(void **state)
{
	(void)state;
	move_ref("refs/heads/main", 1, true);
	struct bundles first = get(), second = get();
	assert_int_equal(add(&first, 1), 0);
	assert_int_equal(add(&second, 2), ERR_CONFLICT);
	assert_int_equal(get().items[0].file.bytes[3], 1);
}

static void commits_that_follow_leave_a_list_alone(void **state)
{
	(void)state;
	move_ref("refs/heads/main", 1, true);
	struct bundles bundles = get();
	assert_int_equal(add(&bundles, 1), 0);
	move_ref("refs/heads/main", 2, true);
	move_ref("refs/heads/new", 3, false); /* was not there: nothing is lost */
	move_ref("refs/pr/1", 3, false);
	move_ref("refs/pr/1", 4, false);      /* no bundle has pull requests */
	move_ref("refs/heads/main", 2, false); /* where it is */
	assert_int_equal(get().count, 1);
}

static void what_is_rewritten_or_deleted_makes_a_list_void(void **state)
{
	(void)state;
	static const struct { const char *name; uint8_t to; } changes[] = { { "refs/heads/main", 2 }, { "refs/tags/v1", 0 }, { "refs/heads/main", 0 } };
	for (size_t i = 0; i < 3; i++) {
		move_ref("refs/heads/main", 1, true);
		move_ref("refs/tags/v1", 1, true);
		struct bundles bundles = get();
		assert_int_equal(add(&bundles, (uint8_t)(10 + i)), 0);
		assert_int_equal(get().count, 1);
		move_ref(changes[i].name, changes[i].to, false);
		assert_int_equal(get().count, 0);
		assert_int_equal(get().last.bytes[3], 10 + i); /* still what the next one replaces */
	}
}

static void a_bundle_from_before_a_rewrite_is_not_taken(void **state)
{
	(void)state;
	move_ref("refs/heads/main", 1, true);
	struct bundles bundles = get();
	bundles.items[bundles.count++] = (struct bundle){ .file.bytes[3] = 1, .version = version() };
	move_ref("refs/heads/main", 2, false);
	assert_int_equal(bundles_set(ns, &repo, &bundles, NULL), ERR_CONFLICT);
	bundles.items[0].version = version();
	assert_int_equal(bundles_set(ns, &repo, &bundles, NULL), 0);
}

static void a_deleted_repository_has_none(void **state)
{
	(void)state;
	move_ref("refs/heads/main", 1, true);
	struct bundles bundles = get();
	assert_int_equal(add(&bundles, 1), 0);
	assert_int_equal(repo_delete(ns, "ada", &repo, NULL), 0);
	assert_int_equal(get().count, 0);
	bundles.last = bundles.items[0].file;
	assert_int_equal(bundles_set(ns, &repo, &bundles, NULL), ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_list_comes_back_as_it_was_set, set_up, tear_down),
		cmocka_unit_test_setup_teardown(of_two_that_start_from_one_list_one_wins, set_up, tear_down),
		cmocka_unit_test_setup_teardown(commits_that_follow_leave_a_list_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_rewritten_or_deleted_makes_a_list_void, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_bundle_from_before_a_rewrite_is_not_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_deleted_repository_has_none, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
