/* Which paths a .gitignore ignores. */
#include "gateway/hub/ignore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static bool ignored(const char *rules, const char *path)
{
	return ignore_matches(span_text(rules), span_text(path));
}

static void patterns_match_as_git_matches_them(void **state)
{
	(void)state;
	static const struct {
		const char *rules, *path;
		bool ignored;
	} cases[] = {
		{ "*.log", "a.log", true }, { "*.log", "deep/a.log", true }, { "*.log", "a.log.txt", false }, { "", "a", false },
		{ "/a.log", "a.log", true }, { "/a.log", "deep/a.log", false }, { "dir/a", "dir/a", true }, { "dir/a", "x/dir/a", false },
		{ "cache/", "cache/x", true }, { "cache/", "deep/cache/x/y", true }, { "cache/", "cache", false }, { "cache", "cache/x", true },
		{ "**/a", "x/y/a", true }, { "**/a", "a", true }, { "a/**/b", "a/b", true }, { "a/**/b", "a/x/y/b", true }, { "a/**", "a/x/y", true },
		{ "a?c", "abc", true }, { "a?c", "a/c", false }, { "a*c", "a/c", false }, { "[a-c]x", "bx", true }, { "[!a-c]x", "bx", false },
		{ "[!a-c]x", "dx", true }, { "[", "[", true }, { "\\#x", "#x", true }, { "#x", "#x", false }, { "\\!x", "!x", true },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (ignored(cases[i].rules, cases[i].path) != cases[i].ignored)
			fail_msg("\"%s\" on \"%s\"", cases[i].rules, cases[i].path);
}

static void the_last_rule_decides(void **state)
{
	(void)state;
	assert_false(ignored("*.log\n!keep.log\n", "keep.log"));
	assert_true(ignored("!keep.log\n*.log\n", "keep.log"));
	assert_true(ignored("*.log\n!keep.log\n", "other.log"));
}

static void a_file_below_an_ignored_folder_stays_ignored(void **state)
{
	(void)state;
	assert_true(ignored("cache/\n!cache/keep\n", "cache/keep"));
	assert_false(ignored("cache/*\n!cache/keep\n", "cache/keep"));
}

static void line_ends_blanks_and_comments_are_passed_over(void **state)
{
	(void)state;
	assert_true(ignored("# a comment\r\n\r\n*.log  \r\n", "a.log"));
	assert_false(ignored("\n\n/\n!\n", "a.log"));
}

static void a_hostile_pattern_ends(void **state)
{
	(void)state;
	char path[256];
	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	assert_false(ignored("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b\n", path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_match_as_git_matches_them),
		cmocka_unit_test(the_last_rule_decides),
		cmocka_unit_test(a_file_below_an_ignored_folder_stays_ignored),
		cmocka_unit_test(line_ends_blanks_and_comments_are_passed_over),
		cmocka_unit_test(a_hostile_pattern_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
