/* Tests of gateway/route_index: which route a path finds, and what it captures. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "gateway/hub_unbuilt.h"
#include "gateway/route_index.h"

static void handler(struct http_request *request, const struct route_match *match)
{
	(void)request, (void)match;
}

static const struct route first_table[] = {
	{ HTTP_GET, "/", handler, "root" },
	{ HTTP_POST, "/v1/shards", handler, "shards" },
	{ HTTP_HEAD, "/{xorbs|xorb}/{default|other}/{}", handler, "xorb" },
	{ 0, NULL, NULL, NULL },
};
static const struct route second_table[] = {
	{ HTTP_GET, "/api/{models|datasets}/{}/{}", handler, "info" },
	{ HTTP_GET, "/api/models/{}/{}/tree/{}/**", handler, "tree" },
	{ HTTP_GET | HTTP_HEAD, "/{datasets|spaces}/{}/{}/resolve/{}/**", handler, "resolve-typed" },
	{ HTTP_GET | HTTP_HEAD, "/{}/{}/resolve/{}/**", handler, "resolve" },
	{ HTTP_GET, "/api/models", handler, "list" },
	{ 0, NULL, NULL, NULL },
};

static struct route_index *index_of_tests;

static int make(void **state)
{
	(void)state;
	static const struct route *const tables[] = { first_table, second_table };
	index_of_tests = route_index_make(tables, 2);
	return index_of_tests ? 0 : -1;
}

static int drop(void **state)
{
	(void)state;
	route_index_free(index_of_tests);
	return 0;
}

static struct route_match match;

static const char *found(enum http_method method, const char *path)
{
	const struct route *route = route_find(index_of_tests, method, span_text(path), &match);
	return route ? route->name : "nothing";
}

#define assert_capture(k, text) assert_true(span_equal(match.captures[k], span_text(text)))
#define assert_rest(text) assert_true(span_equal(match.rest, span_text(text)))

static void exact_paths_are_found(void **state)
{
	(void)state;
	assert_string_equal(found(HTTP_GET, "/"), "root");
	assert_string_equal(found(HTTP_POST, "/v1/shards"), "shards");
	assert_string_equal(found(HTTP_GET, "/api/models"), "list");
}

static void another_method_or_path_finds_nothing(void **state)
{
	(void)state;
	assert_string_equal(found(HTTP_GET, "/v1/shards"), "nothing");
	assert_string_equal(found(HTTP_POST, "/v1/shards/"), "nothing");
	assert_string_equal(found(HTTP_POST, "/v1"), "nothing");
	assert_string_equal(found(HTTP_GET, ""), "nothing");
	assert_string_equal(found(HTTP_GET, "//"), "nothing");
	assert_string_equal(found(HTTP_GET, "v1"), "nothing");
	assert_string_equal(found(HTTP_GET, "/api/models/a/"), "nothing");
	assert_string_equal(found(HTTP_GET, "/api/models//b"), "nothing");
}

static void captures_keep_their_escapes(void **state)
{
	(void)state;
	assert_string_equal(found(HTTP_GET, "/api/models/a/b/tree/refs%2Fpr%2F1/dir/x%20y"), "tree");
	assert_int_equal(match.count, 3);
	assert_capture(0, "a");
	assert_capture(1, "b");
	assert_capture(2, "refs%2Fpr%2F1");
	assert_rest("dir/x%20y");
}

static void the_rest_may_be_empty(void **state)
{
	(void)state;
	assert_string_equal(found(HTTP_GET, "/api/models/a/b/tree/main"), "tree");
	assert_rest("");
	assert_string_equal(found(HTTP_GET, "/api/models/a/b/tree/main/"), "tree");
	assert_rest("");
}

static void alternatives_are_captured(void **state)
{
	(void)state;
	assert_string_equal(found(HTTP_GET, "/api/datasets/a/b"), "info");
	assert_int_equal(match.count, 3);
	assert_capture(0, "datasets");
	assert_string_equal(found(HTTP_HEAD, "/xorb/default/00"), "xorb");
	assert_string_equal(found(HTTP_HEAD, "/xorbs/other/00"), "xorb");
	assert_string_equal(found(HTTP_HEAD, "/xorbs/third/00"), "nothing");
}

static void a_word_wins_over_a_capture(void **state)
{
	(void)state;
	assert_string_equal(found(HTTP_HEAD, "/datasets/a/b/resolve/main/x/y"), "resolve-typed");
	assert_string_equal(found(HTTP_HEAD, "/a/b/resolve/main/x/y"), "resolve");
	assert_capture(0, "a");
	assert_rest("x/y");
	/* Too short for the typed route, but a repository of a user called "datasets" would be this. */
	assert_string_equal(found(HTTP_HEAD, "/datasets/b/resolve/main/x"), "resolve");
}

static void very_deep_paths_are_only_ever_a_rest(void **state)
{
	(void)state;
	char path[4096] = "/a/b/resolve/main";
	for (int i = 0; i < 500; i++)
		strcat(path, "/d");
	assert_string_equal(found(HTTP_GET, path), "resolve");
	assert_int_equal(match.rest.length, 999);
	memset(path, '/', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	assert_string_equal(found(HTTP_GET, path), "nothing");
}

static void unbuilt_calls_are_known(void **state)
{
	(void)state;
	const struct route *const tables[] = { hub_unbuilt_routes };
	struct route_index *unbuilt = route_index_make(tables, 1);
	const struct route *route = route_find(unbuilt, HTTP_POST, span_text("/v1/chat/completions"), &match);
	assert_non_null(route);
	assert_null(route->handler);
	assert_non_null(route_find(unbuilt, HTTP_GET, span_text("/api/jobs/me"), &match));
	assert_null(route_find(unbuilt, HTTP_GET, span_text("/v2/shards"), &match));
	route_index_free(unbuilt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_paths_are_found), cmocka_unit_test(another_method_or_path_finds_nothing),
		cmocka_unit_test(captures_keep_their_escapes), cmocka_unit_test(the_rest_may_be_empty),
		cmocka_unit_test(alternatives_are_captured), cmocka_unit_test(a_word_wins_over_a_capture),
		cmocka_unit_test(very_deep_paths_are_only_ever_a_rest), cmocka_unit_test(unbuilt_calls_are_known),
	};
	return cmocka_run_group_tests(tests, make, drop);
}
