/* Which paths a .gitattributes sends through LFS, and which paths a repository accepts. */
#include "gateway/repo/attributes.h"
#include "gateway/repo/wildmatch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define LFS " filter=lfs diff=lfs merge=lfs -text\n"

/* Both ways of asking, which must agree. */
static bool is_lfs(const char *text, const char *path)
{
	bool lfs = attributes_lfs(span_text(text), span_text(path));
	struct attributes *attributes = attributes_open(span_text(text));
	assert_non_null(attributes);
	assert_true(attributes_match(attributes, span_text(path)) == lfs);
	attributes_close(attributes);
	return lfs;
}

static void patterns_match_as_git_matches_them(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *path;
		bool matches;
	} cases[] = {
		{ "*.bin", "a.bin", true }, { "*.bin", "deep/down/a.bin", true }, { "*.bin", "a.bin.txt", false }, { "*.bin", ".bin", true },
		{ "*.lfs.*", "x.lfs.tar", true }, { "*.lfs.*", "x.lfs", false }, { "*tfevents*", "logs/events.out.tfevents.1", true },
		{ "a?c", "abc", true }, { "a?c", "ac", false }, { "a?c", "x/abc", true }, { "a[0-9]c", "a5c", true }, { "a[!0-9]c", "a5c", false },
		{ "a[^0-9]c", "axc", true }, { "a[]]c", "a]c", true }, { "a[[:digit:]x]c", "a7c", true }, { "a[[:digit:]x]c", "axc", true },
		{ "a[[:space:]]b", "a b", true }, { "a[bc", "a[bc", false }, { "a\\*c", "a*c", true }, { "a\\*c", "abc", false },
		{ "/root.bin", "root.bin", true }, { "/root.bin", "sub/root.bin", false }, { "root.bin", "sub/root.bin", true },
		{ "dir/*.bin", "dir/a.bin", true }, { "dir/*.bin", "dir/sub/a.bin", false }, { "dir/*.bin", "x/dir/a.bin", false },
		{ "/dir/a", "dir/a", true }, { "dir/**", "dir/a/b", true }, { "dir/**", "dir", false }, { "**/a.bin", "a.bin", true },
		{ "**/a.bin", "x/y/a.bin", true }, { "x/**/y", "x/y", true }, { "x/**/y", "x/1/2/y", true }, { "x/**/y", "x/1/2/z", false },
		{ "saved_model/**/*", "saved_model/a", true }, { "saved_model/**/*", "saved_model/a/b", true }, { "saved_model/**/*", "other/a", false },
		{ "**", "a/b", true }, { "a**b", "axxb", true }, { "dir/", "dir", false }, { "!*.bin", "a.bin", false }, { "*", "x/y", true },
		{ "a/b", "a/b/c", false }, { "a/*/c", "a/b/c", true }, { "a/*/c", "a/b/d/c", false }, { "**/x/**/y", "1/x/2/3/y", true },
		{ "\"a b.bin\"", "a b.bin", true }, { "\"a\\tb\"", "a\tb", true }, { "\"a\\303\\244\"", "a\xc3\xa4", true },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char line[128];
		snprintf(line, sizeof(line), "%s" LFS, cases[i].pattern);
		if (is_lfs(line, cases[i].path) != cases[i].matches)
			fail_msg("pattern %s, path %s", cases[i].pattern, cases[i].path);
	}
}

static void the_last_rule_about_the_filter_wins(void **state)
{
	(void)state;
	assert_true(is_lfs("*.bin" LFS, "a.bin"));
	assert_false(is_lfs("*.bin" LFS "small.bin -filter\n", "small.bin"));
	assert_false(is_lfs("*.bin" LFS "small.bin !filter\n", "small.bin"));
	assert_false(is_lfs("*.bin" LFS "small.bin filter=other\n", "small.bin"));
	assert_true(is_lfs("*.bin" LFS "small.bin text\n", "small.bin"));
	assert_true(is_lfs("*.bin -filter\n*.bin" LFS, "a.bin"));
	assert_true(is_lfs("*.bin filter=lfs", "a.bin"));
	assert_true(is_lfs("\t *.bin\tfilter=lfs\r\n", "a.bin"));
}

static void comments_macros_and_junk_say_nothing(void **state)
{
	(void)state;
	assert_false(is_lfs("", "a.bin"));
	assert_false(is_lfs("\n\n", "a.bin"));
	assert_false(is_lfs("# *.bin filter=lfs\n", "a.bin"));
	assert_false(is_lfs("[attr]lfs filter=lfs\n", "a.bin"));
	assert_false(is_lfs("\"*.bin filter=lfs\n", "a.bin"));
	assert_false(is_lfs("\"\\9\" filter=lfs\n", "a.bin"));
	assert_false(is_lfs("*.bin\n", "a.bin"));
	char *line = malloc(5000);
	memset(line, '*', 4999);
	strcpy(line + 4000, " filter=lfs\n");
	assert_false(is_lfs(line, "a.bin"));
	free(line);
}

static void the_default_lists_are_as_clients_expect(void **state)
{
	(void)state;
	static const char *const lfs[] = { "x.lfs.txt", "pytorch_model.bin", "a.pkl", "data/train.parquet", "a.arrow", "model.safetensors", "a.onnx", "w.h5", "a.npy",
		"a.npz", "runs/events.out.tfevents.123", "saved_model/variables/x", "a.tar.gz", "a.tar", "a.gguf", "a.ckpt", "a.zip" };
	static const char *const regular[] = { "README.md", "config.json", "a.txt", ".gitattributes", "train.csv", "model.py", "saved_model" };
	for (enum repo_type type = REPO_MODEL; type <= REPO_KERNEL; type++) {
		struct span text = attributes_default(type);
		for (size_t i = 0; i < sizeof(lfs) / sizeof(lfs[0]); i++)
			assert_true(attributes_lfs(text, span_text(lfs[i])));
		for (size_t i = 0; i < sizeof(regular) / sizeof(regular[0]); i++)
			assert_false(attributes_lfs(text, span_text(regular[i])));
		bool is_dataset = type == REPO_DATASET;
		assert_true(attributes_lfs(text, span_text("img/a.png")) == is_dataset);
		assert_true(attributes_lfs(text, span_text("a.mp4")) == is_dataset);
		assert_true(attributes_lfs(text, span_text("a.wav")) == is_dataset);
	}
}

static void a_written_rule_covers_its_path(void **state)
{
	(void)state;
	static const char *const paths[] = { "a.xyz", "dir/a.xyz", "a b.xyz", "a*b?.xyz", "[x]/y", "!not", "#hash", "\"quoted\"", "back\\slash", "back\\ slash*",
		"\xc3\xa4/\xe2\x82\xac" };
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct buffer out;
		buffer_init(&out, 4096);
		assert_int_equal(attributes_add_lfs(&out, span_text(paths[i])), 0);
		if (!attributes_lfs(buffer_span(&out), span_text(paths[i])))
			fail_msg("%s: %.*s", paths[i], (int)out.length, (const char *)out.data);
		assert_false(attributes_lfs(buffer_span(&out), span_text("something/else")));
		buffer_fini(&out);
	}
}

static void a_hostile_pattern_costs_no_more_than_its_length(void **state)
{
	(void)state;
	char pattern[1024] = "", path[2048] = "";
	for (int i = 0; i < 200; i++)
		strcat(pattern, "a*");
	strcat(pattern, "b");
	memset(path, 'a', 2000);
	struct timespec start, end;
	clock_gettime(CLOCK_MONOTONIC, &start);
	assert_false(wildmatch_name(span_text(pattern), span_text(path)));
	pattern[0] = 0;
	for (int i = 0; i < 100; i++)
		strcat(pattern, "**/a/");
	strcat(pattern, "b");
	for (int i = 1; i < 2000; i += 2)
		path[i] = '/';
	assert_false(wildmatch_path(span_text(pattern), span_text(path)));
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_true(end.tv_sec - start.tv_sec < 2);
}

/* ------------------------------------------------------------------ paths */

static void ordinary_paths_are_accepted(void **state)
{
	(void)state;
	static const char *const good[] = { "a", "a/b/c.txt", ".gitattributes", ".gitignore", ".github/x", "a b", "\xc3\xa4/\xe2\x82\xac/\xf0\x9f\x98\x80", "...", "..a", "a..",
		"git", "x.git", ".gitx", "~", "a\\b", "a\\..\\b", "a/..\\..\\b", "a/..\\", "-x", "#", "git~2", "CON" };
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct why why = { 0 };
		if (path_check(span_text(good[i]), &why) != 0)
			fail_msg("%s: %s", good[i], why.text);
	}
}

static void paths_that_break_clients_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "/a", "a/", "a//b", ".", "..", "..\\a", "..\\..\\a/b", "a/../b", "a/.", "./a", ".git", "a/.git/b", ".GIT", ".Git/config", "git~1", "GIT~1/x",
		".git.", ".git ", ".git...", ".git::$INDEX_ALLOCATION", "x/.git ", "a\\.git", ".g\xe2\x80\x8cit", "\xef\xbb\xbf.git", "a\x01", "a\tb", "a\nb", "a\x7f",
		"\xc2\x80", "\xff", "a\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe0\x80\xaf" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct why why = { 0 };
		if (path_check(span_text(bad[i]), &why) != ERR_INVALID || !why.text[0])
			fail_msg("\"%s\" was accepted", bad[i]);
	}
	assert_int_equal(path_check(span_of("a\0b", 3), NULL), ERR_INVALID);
}

static void paths_have_limits(void **state)
{
	(void)state;
	char path[PATH_BYTES_MAX + 2];
	memset(path, 'a', sizeof(path));
	assert_int_equal(path_check(span_of(path, PATH_NAME_BYTES_MAX), NULL), 0);
	assert_int_equal(path_check(span_of(path, PATH_NAME_BYTES_MAX + 1), NULL), ERR_INVALID);
	for (size_t i = 128; i < sizeof(path); i += 128)
		path[i] = '/';
	path[PATH_BYTES_MAX] = 'a';
	assert_int_equal(path_check(span_of(path, PATH_BYTES_MAX), NULL), 0);
	assert_int_equal(path_check(span_of(path, PATH_BYTES_MAX + 1), NULL), ERR_INVALID);
	for (size_t i = 1; i < sizeof(path); i += 2)
		path[i] = '/';
	assert_int_equal(path_check(span_of(path, 2 * PATH_DEPTH_MAX - 1), NULL), 0);
	assert_int_equal(path_check(span_of(path, 2 * PATH_DEPTH_MAX + 1), NULL), ERR_INVALID);
}

static void many_rules_and_paths_take_no_time(void **state)
{
	(void)state;
	struct buffer text;
	buffer_init(&text, ATTRIBUTES_GROWN_BYTES_MAX);
	char path[64];
	int rules = 0;
	for (; !text.failed; rules++) {
		snprintf(path, sizeof(path), "data/part-%d.weird", rules);
		attributes_add_lfs(&text, span_text(path));
	}
	struct attributes *attributes = attributes_open(buffer_span(&text));
	struct timespec start, end;
	clock_gettime(CLOCK_MONOTONIC, &start);
	int covered = 0;
	for (int i = 0; i < 2 * rules; i++) {
		snprintf(path, sizeof(path), "data/part-%d.weird", i);
		covered += attributes_match(attributes, span_text(path));
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_int_equal(covered, rules - 1); /* the last one did not fit */
	print_message("%d paths against %d rules: %ld ms\n", 2 * rules, rules,
		(long)((end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000));
	attributes_close(attributes);
	buffer_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_match_as_git_matches_them),
		cmocka_unit_test(the_last_rule_about_the_filter_wins),
		cmocka_unit_test(comments_macros_and_junk_say_nothing),
		cmocka_unit_test(the_default_lists_are_as_clients_expect),
		cmocka_unit_test(a_written_rule_covers_its_path),
		cmocka_unit_test(a_hostile_pattern_costs_no_more_than_its_length),
		cmocka_unit_test(many_rules_and_paths_take_no_time),
		cmocka_unit_test(ordinary_paths_are_accepted),
		cmocka_unit_test(paths_that_break_clients_are_refused),
		cmocka_unit_test(paths_have_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
