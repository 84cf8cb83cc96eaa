/* Rules for branches: what patterns cover, and what the state machine refuses because of them. */
#include "replication/branch_rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <ftw.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/cairn-rule-XXXXXX";
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

static bool covers(const char *pattern, const char *branch)
{
	return branch_pattern_matches(span_text(pattern), span_text(branch));
}

static void patterns_cover_what_they_say(void **state)
{
	(void)state;
	assert_true(covers("main", "main"));
	assert_false(covers("main", "main2"));
	assert_false(covers("main", "mai"));
	assert_true(covers("*", "main"));
	assert_false(covers("*", "a/b"));
	assert_true(covers("**", "a/b/c"));
	assert_true(covers("release/*", "release/1"));
	assert_false(covers("release/*", "release/1/2"));
	assert_true(covers("release/**", "release/1/2"));
	assert_true(covers("v*.*-x", "v1.2.3-x"));
	assert_true(covers("**/fix-*", "a/b/fix-1"));
	assert_false(covers("**/fix-*", "a/b/fix-1/c"));
	assert_true(covers("a*b**c", "axxb/y/c"));
	assert_false(covers("a*b**c", "a/b/y/c"));
	assert_true(covers("a**", "a"));
}

static void a_pattern_with_many_stars_ends(void **state)
{
	(void)state;
	char pattern[201], branch[201];
	memset(pattern, 'a', 200);
	for (int i = 1; i < 200; i += 2)
		pattern[i] = '*';
	memset(branch, 'a', 200);
	pattern[200] = 0;
	branch[199] = 'b';
	branch[200] = 0;
	assert_true(covers(pattern, branch)); /* ends in a star */
	pattern[199] = 'c';
	assert_false(covers(pattern, branch));
}

static void patterns_are_branch_names_with_stars(void **state)
{
	(void)state;
	assert_true(branch_pattern_valid(span_text("release/*")));
	assert_true(branch_pattern_valid(span_text("**")));
	const char *const bad[] = { "", "a..b", "a b", "/x", "x/", "a\nb", "a~1", "x.lock" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(branch_pattern_valid(span_text(bad[i])));
	char longest[REF_BYTES_MAX + 2];
	memset(longest, 'x', sizeof(longest));
	assert_true(branch_pattern_valid(span_of(longest, REF_BYTES_MAX - 11)));
	assert_false(branch_pattern_valid(span_of(longest, REF_BYTES_MAX - 10)));
}

/* ------------------------------------------------------------------ what they do */

static int set(const char *pattern, bool allow_force, bool allow_delete, bool admins_only)
{
	struct branch_rule rule = { .allow_force = allow_force, .allow_delete = allow_delete, .admins_only = admins_only };
	snprintf(rule.pattern, sizeof(rule.pattern), "%s", pattern);
	return branch_rule_set(ns, "ada", &repo, &rule, NULL);
}

/* Moves a ref without a condition to a commit of one repeated byte; 0 deletes. */
static int move(const char *name, uint8_t byte, bool fast_forward, bool privileged)
{
	struct ref_update update = { .any_old = true, .fast_forward = fast_forward, .privileged = privileged };
	snprintf(update.name, sizeof(update.name), "%s", name);
	memset(update.new_oid.bytes, byte, OID_BYTES);
	return refs_update(ns, "ada", &repo, &update, 1, NULL, NULL, NULL);
}

static int count_one(void *context, const struct branch_rule *rule)
{
	(void)rule;
	++*(int *)context;
	return 0;
}

static void a_protected_branch_only_grows(void **state)
{
	(void)state;
	assert_int_equal(set("main", false, false, false), 0);
	assert_int_equal(move("refs/heads/main", 1, false, false), 0); /* it is not there yet */
	assert_int_equal(move("refs/heads/main", 2, false, true), ERR_DENIED);
	assert_int_equal(move("refs/heads/main", 2, true, false), 0);
	assert_int_equal(move("refs/heads/main", 0, true, true), ERR_DENIED);
	assert_int_equal(move("refs/heads/other", 1, false, false), 0);
	assert_int_equal(move("refs/heads/other", 2, false, false), 0);
	assert_int_equal(move("refs/tags/main", 1, false, false), 0);
	assert_int_equal(move("refs/tags/main", 0, false, false), 0);
}

static void rules_add_up_and_go_one_by_one(void **state)
{
	(void)state;
	assert_int_equal(move("refs/heads/release/1", 1, false, false), 0);
	assert_int_equal(set("release/*", true, false, false), 0);
	assert_int_equal(set("**", false, true, false), 0);
	assert_int_equal(move("refs/heads/release/1", 2, false, false), ERR_DENIED);
	assert_int_equal(move("refs/heads/release/1", 0, false, false), ERR_DENIED);
	assert_int_equal(set("**", true, true, false), 0); /* in place of the older one */
	int count = 0;
	assert_int_equal(branch_rule_list(ns, &repo, count_one, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(move("refs/heads/release/1", 2, false, false), 0);
	assert_int_equal(branch_rule_delete(ns, "ada", &repo, "release/*", NULL), 0);
	assert_int_equal(branch_rule_delete(ns, "ada", &repo, "release/*", NULL), ERR_NOT_FOUND);
	assert_int_equal(move("refs/heads/release/1", 0, false, false), 0);
}

static void only_administrators_pass_where_a_rule_says_so(void **state)
{
	(void)state;
	assert_int_equal(set("main", true, true, true), 0);
	assert_int_equal(move("refs/heads/main", 1, false, false), ERR_DENIED);
	assert_int_equal(move("refs/heads/main", 1, false, true), 0);
	assert_int_equal(move("refs/heads/main", 2, true, false), ERR_DENIED);
	assert_int_equal(move("refs/heads/main", 0, false, true), 0);
}

static void rules_are_bounded_and_go_with_their_repository(void **state)
{
	(void)state;
	char pattern[32];
	for (int i = 0; i < BRANCH_RULES_MAX; i++) {
		snprintf(pattern, sizeof(pattern), "b%d", i);
		assert_int_equal(set(pattern, false, false, false), 0);
	}
	assert_int_equal(set("more", false, false, false), ERR_TOO_BIG);
	assert_int_equal(set("b1", true, false, false), 0);
	assert_int_equal(set("a..b", true, false, false), ERR_INVALID);
	assert_int_equal(repo_delete(ns, "ada", &repo, NULL), 0);
	int count = 0;
	assert_int_equal(branch_rule_list(ns, &repo, count_one, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(set("main", false, false, false), ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_cover_what_they_say),
		cmocka_unit_test(a_pattern_with_many_stars_ends),
		cmocka_unit_test(patterns_are_branch_names_with_stars),
		cmocka_unit_test_setup_teardown(a_protected_branch_only_grows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rules_add_up_and_go_one_by_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(only_administrators_pass_where_a_rule_says_so, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rules_are_bounded_and_go_with_their_repository, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
