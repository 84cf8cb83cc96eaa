/* Tests of gateway/rate_limit: windows, quotas, and what a flood of callers can make it forget. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>

#include "gateway/rate_limit.h"

static struct rate_limit *limit;

static int open_limit(void **state)
{
	(void)state;
	struct rate_config config = { .quota = { [RATE_API] = 10, [RATE_RESOLVE] = 100 } };
	return sodium_init() < 0 || rate_limit_open(&limit, &config) != 0;
}

static int close_limit(void **state)
{
	(void)state;
	rate_limit_close(limit);
	return 0;
}

static struct rate_verdict count(enum rate_class class, bool known, const char *key, int64_t now_s)
{
	return rate_limit_count(limit, class, known, span_text(key), now_s);
}

static void a_quota_is_used_up_and_comes_back(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		struct rate_verdict verdict = count(RATE_API, true, "t", 600 + i);
		assert_true(verdict.admitted);
		assert_int_equal(verdict.left, 9 - i);
		assert_int_equal(verdict.reset_s, 300 - i);
	}
	assert_false(count(RATE_API, true, "t", 700).admitted);
	assert_int_equal(count(RATE_API, true, "t", 700).left, 0);
	assert_true(count(RATE_API, true, "u", 700).admitted);       /* another caller */
	assert_true(count(RATE_RESOLVE, true, "t", 700).admitted);   /* another class */
	assert_true(count(RATE_API, true, "t", 900).admitted);       /* the next window */
}

static void who_is_not_known_has_half(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		assert_true(count(RATE_API, false, "1.2.3.4", 0).admitted);
	struct rate_verdict verdict = count(RATE_API, false, "1.2.3.4", 0);
	assert_false(verdict.admitted);
	assert_int_equal(verdict.quota, 5);
	assert_true(count(RATE_API, true, "1.2.3.4", 0).admitted); /* a token spelled like an address is another caller */
}

static void a_flood_of_callers_does_not_free_who_is_at_the_limit(void **state)
{
	(void)state;
	char key[32];
	while (count(RATE_API, true, "greedy", 10).admitted)
		;
	for (int i = 0; i < 500000; i++) {
		snprintf(key, sizeof(key), "flood-%d", i);
		count(RATE_API, false, key, 10);
	}
	assert_false(count(RATE_API, true, "greedy", 10).admitted);
}

static void routes_have_their_class(void **state)
{
	(void)state;
	static const struct { const char *route; enum rate_class class; } rows[] = {
		{ "hub-resolve", RATE_RESOLVE }, { "hub-resolve-cache", RATE_RESOLVE }, { "hub-raw", RATE_RESOLVE }, { "hub-info", RATE_API },
		{ "hub-whoami", RATE_FREE }, { "hub-telemetry", RATE_FREE }, { "hub-agent-harnesses", RATE_FREE }, { "hub-validate-yaml", RATE_FREE },
		{ "web-page", RATE_PAGES }, { "web-login", RATE_PAGES }, { "web-healthz", RATE_FREE }, { "web-metrics", RATE_FREE },
		{ "lfs-batch", RATE_API }, { "lfs-upload", RATE_FREE }, { "xet-reconstruction", RATE_FREE }, { "admin-status", RATE_FREE },
		{ "oauth-token", RATE_API }, { "none", RATE_API }, { "unbuilt", RATE_API },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(rate_class_of(rows[i].route), rows[i].class);
}

static void off_is_nothing_at_all(void **state)
{
	(void)state;
	struct rate_limit *none;
	assert_int_equal(rate_limit_open(&none, &(struct rate_config){ .off = true }), 0);
	assert_null(none);
	rate_limit_close(none);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_limit, close_limit)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_quota_is_used_up_and_comes_back), TEST(who_is_not_known_has_half), TEST(a_flood_of_callers_does_not_free_who_is_at_the_limit),
		TEST(routes_have_their_class), TEST(off_is_nothing_at_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
