/* Locks of LFS files, and quotas: conditions, order, what survives. */
#include "replication/lock.h"
#include "replication/quota.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/cairn-lock-XXXXXX";
static struct namespace *ns;
static struct entity_id repo, other;

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
	(void)info, (void)kind, (void)ftw;
	return remove(path);
}

static void make_repo(const char *name, struct entity_id *id)
{
	struct repo made = { .type = REPO_MODEL, .owner = "ada" };
	strcpy(made.name, name);
	assert_int_equal(repo_create(ns, "ada", &made, id, NULL), 0);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	struct why why = { 0 };
	if (!mkdtemp(dir) || namespace_open(&ns, dir, &why) != 0)
		return 1;
	make_repo("one", &repo);
	make_repo("two", &other);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	namespace_close(ns);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static int lock(const char *owner, const struct entity_id *id, const char *path, struct lock *out)
{
	return lock_create(ns, owner, id, span_text(path), "refs/heads/main", out, NULL);
}

static uint64_t count(const struct entity_id *id)
{
	uint64_t locks;
	assert_int_equal(lock_count(ns, id, &locks), 0);
	return locks;
}

static void a_path_is_locked_once_and_per_repository(void **state)
{
	(void)state;
	struct lock first, found;
	assert_int_equal(lock("ada", &repo, "a/b.bin", &first), 0);
	assert_string_equal(first.path, "a/b.bin");
	assert_string_equal(first.owner, "ada");
	assert_string_equal(first.ref, "refs/heads/main");
	assert_true(first.locked_ms > 0);
	/* The holder too is told that it is locked. */
	assert_int_equal(lock("ada", &repo, "a/b.bin", &found), ERR_EXISTS);
	assert_int_equal(lock("bob", &repo, "a/b.bin", &found), ERR_EXISTS);
	assert_memory_equal(&found, &first, sizeof(first));
	assert_int_equal(lock("bob", &other, "a/b.bin", &found), 0);
	assert_int_equal(lock("bob", &repo, "a/b", &found), 0);
	assert_int_equal(count(&repo), 2);
	assert_int_equal(count(&other), 1);
	assert_int_equal(lock_of_path(ns, &repo, span_text("a/b.bin"), &found), 0);
	assert_memory_equal(&found.id, &first.id, sizeof(first.id));
	assert_int_equal(lock_get(ns, &other, &first.id, &found), ERR_NOT_FOUND);
}

static void a_path_may_be_long_but_not_endless_or_empty(void **state)
{
	(void)state;
	static char path[LOCK_PATH_BYTES_MAX + 2];
	struct lock made;
	memset(path, 'p', LOCK_PATH_BYTES_MAX);
	assert_int_equal(lock("ada", &repo, path, &made), 0);
	assert_string_equal(made.path, path);
	path[LOCK_PATH_BYTES_MAX] = 'p';
	assert_int_equal(lock("ada", &repo, path, &made), ERR_INVALID);
	assert_int_equal(lock("ada", &repo, "", &made), ERR_INVALID);
	assert_int_equal(lock_create(ns, "ada", &repo, span_of("a\0b", 3), "", &made, NULL), ERR_INVALID);
}

static void only_the_holder_unlocks_unless_by_force(void **state)
{
	(void)state;
	struct lock made, found;
	assert_int_equal(lock("ada", &repo, "a", &made), 0);
	assert_int_equal(lock_delete(ns, "bob", &repo, &made.id, false, NULL), ERR_DENIED);
	assert_int_equal(lock_delete(ns, "bob", &other, &made.id, true, NULL), ERR_NOT_FOUND);
	assert_int_equal(lock_get(ns, &repo, &made.id, &found), 0);
	assert_int_equal(lock_delete(ns, "ada", &repo, &made.id, false, NULL), 0);
	assert_int_equal(lock_delete(ns, "ada", &repo, &made.id, false, NULL), ERR_NOT_FOUND);
	assert_int_equal(lock("bob", &repo, "a", &made), 0);
	assert_int_equal(lock_delete(ns, "ada", &repo, &made.id, true, NULL), 0);
	assert_int_equal(count(&repo), 0);
	assert_int_equal(lock_of_path(ns, &repo, span_text("a"), &found), ERR_NOT_FOUND);
}

struct listed {
	char names[64];
	struct lock_id last;
	int left;
};

static int list(void *context, const struct lock *each)
{
	struct listed *listed = context;
	strcat(listed->names, each->path);
	listed->last = each->id;
	return --listed->left == 0 ? 1 : 0;
}

static void locks_are_listed_newest_first_from_any_of_them(void **state)
{
	(void)state;
	struct lock made;
	static const char *const names[] = { "a", "b", "c", "d" };
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(lock("ada", &repo, names[i], &made), 0);
		usleep(2000); /* within a millisecond the order is by chance */
	}
	struct listed all = { .left = 100 }, page = { .left = 2 }, rest = { .left = 100 };
	assert_int_equal(lock_list(ns, &repo, NULL, list, &all), 0);
	assert_string_equal(all.names, "dcba");
	assert_int_equal(lock_list(ns, &repo, NULL, list, &page), 1);
	assert_string_equal(page.names, "dc");
	/* A cursor stays good when its own lock goes and when new ones come. */
	assert_int_equal(lock_delete(ns, "ada", &repo, &page.last, false, NULL), 0);
	assert_int_equal(lock("ada", &repo, "e", &made), 0);
	assert_int_equal(lock_list(ns, &repo, &page.last, list, &rest), 0);
	assert_string_equal(rest.names, "ba");
}

static void locks_survive_a_restart_and_go_with_their_repository(void **state)
{
	(void)state;
	struct lock made, found;
	struct why why;
	assert_int_equal(lock("ada", &repo, "a", &made), 0);
	assert_int_equal(lock("ada", &other, "a", &found), 0);
	namespace_close(ns);
	assert_int_equal(namespace_open(&ns, dir, &why), 0);
	assert_int_equal(lock_get(ns, &repo, &made.id, &found), 0);
	assert_memory_equal(&found, &made, sizeof(made));
	assert_int_equal(repo_delete(ns, "ada", &repo, NULL), 0);
	assert_int_equal(lock_get(ns, &repo, &made.id, &found), ERR_NOT_FOUND);
	assert_int_equal(lock_of_path(ns, &repo, span_text("a"), &found), ERR_NOT_FOUND);
	assert_int_equal(count(&repo), 0);
	assert_int_equal(count(&other), 1);
	assert_int_equal(lock("ada", &repo, "a", &made), ERR_NOT_FOUND);
}

static void locks_are_switched_per_repository(void **state)
{
	(void)state;
	struct repo found;
	struct repo_settings on = { .set_lfs_locks = true, .lfs_locks = true }, hide = { .set_private = true, .private = true };
	assert_int_equal(repo_get(ns, NULL, &repo, &found), 0);
	assert_false(found.lfs_locks);
	assert_int_equal(repo_update(ns, "ada", &repo, &on, NULL), 0);
	assert_int_equal(repo_update(ns, "ada", &repo, &hide, NULL), 0);
	assert_int_equal(repo_get(ns, NULL, &repo, &found), 0);
	assert_true(found.lfs_locks && found.private);
}

static void a_quota_is_set_changed_and_taken_away(void **state)
{
	(void)state;
	uint64_t bytes;
	assert_int_equal(quota_get(ns, "ada", &bytes), 0);
	assert_true(bytes == QUOTA_NONE);
	assert_int_equal(quota_set(ns, "admin", "Ada", 1000, NULL), 0);
	assert_int_equal(quota_get(ns, "ADA", &bytes), 0);
	assert_int_equal(bytes, 1000);
	assert_int_equal(quota_set(ns, "admin", "ada", 0, NULL), 0);
	assert_int_equal(quota_get(ns, "ada", &bytes), 0);
	assert_int_equal(bytes, 0);
	assert_int_equal(quota_set(ns, "admin", "ada", QUOTA_NONE, NULL), 0);
	assert_int_equal(quota_get(ns, "ada", &bytes), 0);
	assert_true(bytes == QUOTA_NONE);
	assert_int_equal(quota_set(ns, "admin", "not a name", 1, NULL), ERR_INVALID);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_path_is_locked_once_and_per_repository),
		TEST(a_path_may_be_long_but_not_endless_or_empty),
		TEST(only_the_holder_unlocks_unless_by_force),
		TEST(locks_are_listed_newest_first_from_any_of_them),
		TEST(locks_survive_a_restart_and_go_with_their_repository),
		TEST(locks_are_switched_per_repository),
		TEST(a_quota_is_set_changed_and_taken_away),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
