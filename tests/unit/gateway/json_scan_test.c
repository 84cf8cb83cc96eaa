/* JSON read in place: members in order, strings unescaped where they lie, bad text refused whatever is asked of it. */
#include "gateway/hub/json_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static uint8_t *text_bytes;

/* A copy of exactly its length, on the heap: for the sanitizers. */
static struct json_scan scan_of(const char *text)
{
	size_t length = strlen(text);
	free(text_bytes);
	text_bytes = malloc(length ? length : 1);
	assert_non_null(text_bytes);
	memcpy(text_bytes, text, length);
	struct json_scan scan;
	json_scan_init(&scan, text_bytes, length);
	return scan;
}

static int forget(void **state)
{
	(void)state;
	free(text_bytes);
	text_bytes = NULL;
	return 0;
}

#define assert_span(span, text) assert_true(span_equal(span, span_text(text)))

static bool skips(const char *text)
{
	struct json_scan scan = scan_of(text);
	json_scan_skip(&scan);
	return json_scan_done(&scan);
}

static void members_come_in_order(void **state)
{
	(void)state;
	struct json_scan scan = scan_of(" { \"a\" : \"x\" , \"b\":12,\"c\":null , \"d\":[true,{}] }\n");
	struct span key;
	bool first = true;
	assert_true(json_scan_object(&scan));
	assert_true(json_scan_key(&scan, &first, &key));
	assert_span(key, "a");
	assert_span(json_scan_string(&scan), "x");
	assert_true(json_scan_key(&scan, &first, &key));
	assert_int_equal(json_scan_u64(&scan, 7), 12);
	assert_true(json_scan_key(&scan, &first, &key));
	assert_int_equal(json_scan_u64(&scan, 7), 7);
	assert_true(json_scan_key(&scan, &first, &key));
	assert_span(key, "d");
	json_scan_skip(&scan);
	assert_false(json_scan_key(&scan, &first, &key));
	assert_true(json_scan_done(&scan));
}

static void elements_come_in_order(void **state)
{
	(void)state;
	struct json_scan scan = scan_of("[\"a\", null,\"c\"]");
	bool first = true;
	assert_true(json_scan_array(&scan));
	assert_true(json_scan_element(&scan, &first));
	assert_span(json_scan_string(&scan), "a");
	assert_true(json_scan_element(&scan, &first));
	assert_null(json_scan_string(&scan).data);
	assert_true(json_scan_element(&scan, &first));
	assert_span(json_scan_string(&scan), "c");
	assert_false(json_scan_element(&scan, &first));
	assert_true(json_scan_done(&scan));
}

static void escapes_become_what_they_stand_for(void **state)
{
	(void)state;
	struct json_scan scan = scan_of("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\ud83d\\ude00 plain text that is longer than a word\"");
	assert_span(json_scan_string(&scan), "\"\\/\b\f\n\r\tA\u00e9\u20ac\U0001f600 plain text that is longer than a word");
	assert_true(json_scan_done(&scan));
}

static void bad_strings_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "\"", "\"abc", "\"a\nb\"", "\"\\x\"", "\"\\\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\udc00\"",
		"\"\\ud800\\u0041\"", "\"\\ud800\\n12345\"", "abc", "12" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct json_scan scan = scan_of(bad[i]);
		json_scan_string(&scan);
		assert_true(scan.failed);
	}
}

static void bad_numbers_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "-1", "1.5", "1e3", "\"1\"", "99999999999999999999", "x", "" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct json_scan scan = scan_of(bad[i]);
		json_scan_u64(&scan, 0);
		assert_true(scan.failed);
	}
}

static void bad_structure_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "{", "[", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{1:2}", "[1,]", "[1 2]", "{\"a\":1 \"b\":2}", "{} {}",
		"nul", "tru", "]" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(skips(bad[i]));
	static const char *const good[] = { "{}", "[]", " [ { } , [ ] ] ", "-1.5e+3", "true", "false", "null", "\"x\"", "{\"a\":{\"b\":[1,2,\"}\"]}}" };
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(skips(good[i]));
}

static void depth_is_bounded(void **state)
{
	(void)state;
	char text[2 * 100 + 1];
	memset(text, '[', 100);
	memset(text + 100, ']', 100);
	text[200] = 0;
	assert_false(skips(text));
	assert_true(skips(text + 100 - 20) == false); /* more ends than beginnings */
	text[100 + 20] = 0;
	assert_true(skips(text + 100 - 20));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_come_in_order),
		cmocka_unit_test(elements_come_in_order),
		cmocka_unit_test(escapes_become_what_they_stand_for),
		cmocka_unit_test(bad_strings_are_refused),
		cmocka_unit_test(bad_numbers_are_refused),
		cmocka_unit_test(bad_structure_is_refused),
		cmocka_unit_test(depth_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, forget);
}
