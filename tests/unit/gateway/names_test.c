/* How paths and bodies spell repository types, ids and revisions. */
#include "gateway/hub/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define assert_span(span, text) assert_true(span_equal(span, span_text(text)))

static void every_type_has_three_spellings(void **state)
{
	(void)state;
	static const enum repo_type types[] = { REPO_MODEL, REPO_DATASET, REPO_SPACE, REPO_KERNEL };
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		enum repo_type type;
		assert_int_equal(type_from_plural(span_text(type_plural(types[i])), &type), 0);
		assert_int_equal(type, types[i]);
		assert_int_equal(type_from_singular(type_singular(types[i]), &type), 0);
		assert_int_equal(type, types[i]);
	}
	assert_string_equal(type_prefix(REPO_MODEL), "");
	assert_string_equal(type_prefix(REPO_DATASET), "datasets/");
}

static void no_type_is_a_model_and_an_unknown_one_is_refused(void **state)
{
	(void)state;
	enum repo_type type = REPO_SPACE;
	assert_int_equal(type_from_singular(NULL, &type), 0);
	assert_int_equal(type, REPO_MODEL);
	assert_int_equal(type_from_singular("", &type), 0);
	assert_int_equal(type_from_singular("models", &type), ERR_INVALID);
	assert_int_equal(type_from_plural(span_text("model"), &type), ERR_NOT_FOUND);
}

static void ids_are_read_with_and_without_a_type(void **state)
{
	(void)state;
	struct route_match match = { .count = 4, .captures = { span_text("datasets"), span_text("ann"), span_text("set.git"), span_text("main") } };
	struct repo_name name;
	assert_int_equal(repo_name_from(&match, 1, &name), 0);
	assert_int_equal(name.type, REPO_DATASET);
	assert_span(name.owner, "ann");
	assert_span(name.name, "set");
	assert_int_equal(name.next, 3);
	struct route_match page = { .count = 2, .captures = { span_text("ann"), span_text(".git") } };
	assert_int_equal(repo_name_from(&page, 0, &name), 0);
	assert_int_equal(name.type, REPO_MODEL);
	assert_span(name.name, ".git");
}

static void bodies_may_leave_the_owner_out(void **state)
{
	(void)state;
	char owner[NAME_BYTES_MAX + 1], name[NAME_BYTES_MAX + 1];
	assert_int_equal(repo_name_split("ann/model", "bob", owner, name), 0);
	assert_string_equal(owner, "ann");
	assert_string_equal(name, "model");
	assert_int_equal(repo_name_split("model", "bob", owner, name), 0);
	assert_string_equal(owner, "bob");
}

static void names_that_clients_refuse_are_refused(void **state)
{
	(void)state;
	char owner[NAME_BYTES_MAX + 1], name[NAME_BYTES_MAX + 1], longest[NAME_BYTES_MAX + 2];
	static const char *const bad[] = { "", "a/", "/a", "a/b/c", "a--b", "a..b", "-a", "a-", ".a", "a.", "a.git", "a b", "a%2Fb", "../a", "a\\b" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (repo_name_split(bad[i], "bob", owner, name) != ERR_INVALID)
			fail_msg("\"%s\" is accepted", bad[i]);
	memset(longest, 'a', sizeof(longest));
	longest[NAME_BYTES_MAX + 1] = 0;
	assert_int_equal(repo_name_split(longest, "bob", owner, name), ERR_INVALID);
	longest[NAME_BYTES_MAX] = 0;
	assert_int_equal(repo_name_split(longest, "bob", owner, name), 0);
}

static void a_revision_may_reach_into_the_rest(void **state)
{
	(void)state;
	struct span head, tail, rest = span_text("pr/1/dir/file");
	assert_true(names_longer_revision(rest, 2, &head, &tail));
	assert_span(head, "pr/1");
	assert_span(tail, "dir/file");
	assert_true(names_longer_revision(rest, 4, &head, &tail));
	assert_span(head, "pr/1/dir/file");
	assert_int_equal(tail.length, 0);
	assert_false(names_longer_revision(rest, 5, &head, &tail));
	assert_false(names_longer_revision(rest, 0, &head, &tail));
	assert_false(names_longer_revision(span_text(""), 1, &head, &tail));
	assert_false(names_longer_revision(span_text("1/2/3/4/5/6/7/8/9/10"), REVISION_SEGMENTS_MAX, &head, &tail));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_has_three_spellings),
		cmocka_unit_test(no_type_is_a_model_and_an_unknown_one_is_refused),
		cmocka_unit_test(ids_are_read_with_and_without_a_type),
		cmocka_unit_test(bodies_may_leave_the_owner_out),
		cmocka_unit_test(names_that_clients_refuse_are_refused),
		cmocka_unit_test(a_revision_may_reach_into_the_rest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
