/* The YAML block of a README: where it is, what its scalars mean, and that no text makes it grow. */
#include "gateway/facts/front_matter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define assert_span(span, text) assert_true(span_equal(span, span_text(text)))

/* The block as compact JSON in the order of its keys; NULL: there is none. */
static char *parsed(const char *readme)
{
	json_t *data;
	struct why why = { 0 };
	assert_int_equal(front_matter_parse(span_text(readme), &data, &why), 0);
	char *text = data ? json_dumps(data, JSON_COMPACT) : NULL;
	json_decref(data);
	return text;
}

static void assert_parsed(const char *readme, const char *json)
{
	char *text = parsed(readme);
	assert_non_null(text);
	assert_string_equal(text, json);
	free(text);
}

static int refused(const char *yaml)
{
	json_t *data;
	struct why why = { 0 };
	int err = yaml_to_json(span_text(yaml), &data, &why);
	if (err) {
		assert_null(data);
		assert_true(why.text[0] != 0);
	}
	json_decref(data);
	return err;
}

static void the_block_lies_between_two_fences(void **state)
{
	(void)state;
	assert_span(front_matter_find(span_text("---\na: 1\n---\ntext")), "a: 1\n");
	assert_span(front_matter_find(span_text("\xef\xbb\xbf---\r\na: 1\r\n---  \r\n")), "a: 1\r\n");
	assert_span(front_matter_find(span_text("---\na: 1\n---")), "a: 1\n");
	static const char *const without[] = { "", "text", "\n---\na: 1\n---\n", "---\na: 1\n", "----\na: 1\n----\n", "--- x\na: 1\n---\n", "---", "---\n---\n" };
	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
		assert_int_equal(front_matter_find(span_text(without[i])).length, 0);
		assert_null(parsed(without[i]));
	}
	assert_null(parsed("---\n# a comment\n---\n"));
}

static void scalars_follow_the_core_schema(void **state)
{
	(void)state;
	assert_parsed("---\na: no\nb: true\nc: 12\nd: -1.5\ne: ~\nf: \"12\"\ng: 1.2.3\nh: 2026-01-31\ni: 0x1f\nj:\n---\n",
		"{\"a\":\"no\",\"b\":true,\"c\":12,\"d\":-1.5,\"e\":null,\"f\":\"12\",\"g\":\"1.2.3\",\"h\":\"2026-01-31\",\"i\":\"0x1f\",\"j\":null}");
}

static void lists_and_mappings_nest(void **state)
{
	(void)state;
	assert_parsed("---\ntags: [a, b]\nindex:\n- name: x\n  results:\n  - value: 1\n---\n",
		"{\"tags\":[\"a\",\"b\"],\"index\":[{\"name\":\"x\",\"results\":[{\"value\":1}]}]}");
}

static void aliases_are_copies(void **state)
{
	(void)state;
	assert_parsed("---\na: &x [1]\nb: *x\n---\n", "{\"a\":[1],\"b\":[1]}");
}

static void what_is_no_mapping_is_refused(void **state)
{
	(void)state;
	json_t *data;
	struct why why = { 0 };
	assert_int_equal(front_matter_parse(span_text("---\n- a\n- b\n---\n"), &data, &why), ERR_INVALID);
	assert_int_equal(front_matter_parse(span_text("---\njust words\n---\n"), &data, &why), ERR_INVALID);
	assert_null(data);
}

static void bad_yaml_is_refused_with_a_sentence(void **state)
{
	(void)state;
	static const char *const bad[] = { "a: [", "a: {", "a: b: c", "\ta: 1", "a: *unknown", "a: 1\na: 2", "? [a]\n: b", "a: \"", "%BAD", "a: &x *x" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (refused(bad[i]) != ERR_INVALID)
			fail_msg("\"%s\" is accepted", bad[i]);
}

static void an_alias_costs_what_it_expands_to(void **state)
{
	(void)state;
	char text[2048] = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n";
	for (int i = 1; i < 12; i++) {
		char line[128];
		snprintf(line, sizeof(line), "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
		strcat(text, line);
	}
	assert_int_equal(refused(text), ERR_TOO_BIG);
}

static void depth_and_size_are_bounded(void **state)
{
	(void)state;
	char deep[64];
	memset(deep, '[', 40);
	deep[40] = 0;
	assert_int_equal(refused(deep), ERR_TOO_BIG);
	size_t length = FRONT_MATTER_BYTES_MAX + 1;
	char *large = malloc(length + 1);
	memset(large, '#', length);
	large[length] = 0;
	assert_int_equal(refused(large), ERR_TOO_BIG);
	free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_block_lies_between_two_fences),
		cmocka_unit_test(scalars_follow_the_core_schema),
		cmocka_unit_test(lists_and_mappings_nest),
		cmocka_unit_test(aliases_are_copies),
		cmocka_unit_test(what_is_no_mapping_is_refused),
		cmocka_unit_test(bad_yaml_is_refused_with_a_sentence),
		cmocka_unit_test(an_alias_costs_what_it_expands_to),
		cmocka_unit_test(depth_and_size_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
