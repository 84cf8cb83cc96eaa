/* Tests of what the xet view decides without a server: ranges, runs of chunks, data URLs, the spool. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/process.h"
#include "gateway/xet/batch_body.h"
#include "gateway/xet/byte_ranges.h"
#include "gateway/xet/data_url.h"
#include "gateway/xet/fetch_list.h"
#include "gateway/xet/shard_spool.h"

static struct byte_range ranges[4];
static size_t count;

static int header(const char *text, uint64_t length)
{
	return byte_ranges_of_header(span_text(text), length, ranges, 4, &count);
}

static void assert_range(size_t k, uint64_t start, uint64_t end)
{
	assert_true(ranges[k].start == start && ranges[k].end == end);
}

static void one_range_is_clipped_to_the_object(void **state)
{
	(void)state;
	assert_int_equal(header("bytes=0-9", 100), 0);
	assert_range(0, 0, 10);
	assert_int_equal(header("bytes=90-18446744073709551614", 100), 0);
	assert_range(0, 90, 100);
	assert_int_equal(header("bytes=90-18446744073709551615", 100), 0);
	assert_range(0, 90, 100);
	assert_int_equal(header("bytes=5-", 100), 0);
	assert_range(0, 5, 100);
	assert_int_equal(header("Bytes=-7", 100), 0);
	assert_range(0, 93, 100);
	assert_int_equal(header("bytes=-700", 100), 0);
	assert_range(0, 0, 100);
}

static void a_range_behind_the_end_is_told_apart_from_nonsense(void **state)
{
	(void)state;
	assert_int_equal(header("bytes=100-", 100), ERR_RANGE);
	assert_int_equal(header("bytes=-0", 100), ERR_RANGE);
	assert_int_equal(header("bytes=0-0", 0), ERR_RANGE);
	const char *const nonsense[] = { "", "bytes", "bytes=", "bytes=-", "bytes=9-8", "bytes=a-b", "items=0-1", "bytes=0-1,", "bytes=0-1;2-3",
		"bytes=18446744073709551616-", "bytes=0-1x", "bytes=+1-2" };
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++)
		assert_int_equal(header(nonsense[i], 100), ERR_INVALID);
}

static void several_ranges_keep_their_order_up_to_a_limit(void **state)
{
	(void)state;
	assert_int_equal(header("bytes=50-59, 0-9,95-200", 100), 0);
	assert_int_equal(count, 3);
	assert_range(0, 50, 60);
	assert_range(1, 0, 10);
	assert_range(2, 95, 100);
	assert_int_equal(header("bytes=0-1,2-3,4-5,6-7,8-9", 100), ERR_INVALID);
}

static struct plan_term term(uint8_t xorb, uint32_t start, uint32_t end)
{
	struct plan_term out = { .chunk_start = start, .chunk_end = end, .body_start = start * 100u, .body_end = end * 100u };
	out.xorb.bytes[0] = xorb;
	return out;
}

static void touching_runs_of_a_xorb_are_merged(void **state)
{
	(void)state;
	struct plan_term terms[] = { term(2, 4, 6), term(1, 0, 2), term(2, 6, 8), term(2, 9, 10), term(2, 0, 5), term(1, 0, 2), term(2, 1, 2) };
	struct plan plan = { .terms_count = 7, .terms = terms };
	struct fetch_list list = { 0 };
	assert_int_equal(fetch_list_add(&list, &plan), 0);
	fetch_list_merge(&list);
	assert_int_equal(list.count, 3);
	assert_int_equal(list.items[0].xorb.bytes[0], 1);
	assert_int_equal(fetch_list_xorb_end(&list, 0), 1);
	assert_int_equal(list.items[1].chunk_start, 0);
	assert_int_equal(list.items[1].chunk_end, 8);
	assert_int_equal(list.items[1].body_end, 800);
	assert_int_equal(list.items[2].chunk_start, 9);
	assert_int_equal(fetch_list_xorb_end(&list, 1), 3);
	fetch_list_fini(&list);
}

static void no_terms_need_nothing(void **state)
{
	(void)state;
	struct plan plan = { 0 };
	struct fetch_list list = { 0 };
	assert_int_equal(fetch_list_add(&list, &plan), 0);
	fetch_list_merge(&list);
	assert_int_equal(list.count, 0);
	fetch_list_fini(&list);
}

static void the_longest_data_url_stays_below_8_kib(void **state)
{
	(void)state;
	struct gateway gateway = { 0 };
	crypto_sign_keypair(gateway.grant_public_key, gateway.grant_secret_key);
	struct xet_caller caller = { .gateway = &gateway };
	memset(caller.actor.name, 'n', NAME_BYTES_MAX);
	struct byte_range many[DATA_URL_RANGES_MAX];
	for (size_t i = 0; i < DATA_URL_RANGES_MAX; i++)
		many[i] = (struct byte_range){ XORB_BODY_BYTES_MAX - 10, XORB_BODY_BYTES_MAX };
	struct hash xorb = { { 1 } };
	struct buffer url;
	buffer_init(&url, 16384);
	data_url_append(&url, "https://hub.example.org", &caller, unix_ms(), &xorb, many, DATA_URL_RANGES_MAX);
	assert_false(url.failed);
	assert_true(url.length < HTTP_TARGET_BYTES_MAX);
	buffer_fini(&url);
}

static void ranges_of_a_url_read_back(void **state)
{
	(void)state;
	assert_int_equal(byte_ranges_of_text(span_text("0-9,100-199"), ranges, 4, &count), 0);
	assert_int_equal(count, 2);
	assert_range(1, 100, 200);
	assert_true(byte_range_within((struct byte_range){ 120, 130 }, ranges, 2));
	assert_false(byte_range_within((struct byte_range){ 5, 120 }, ranges, 2));
	const char *const nonsense[] = { "", "1", "1-", "-1", "2-1", "0-1,", "0-18446744073709551615" };
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++)
		assert_int_equal(byte_ranges_of_text(span_text(nonsense[i]), ranges, 4, &count), ERR_INVALID);
}

static void a_batch_body_names_each_file_once(void **state)
{
	(void)state;
	struct hash files[2];
	count = 0;
	const char *good = "[{\"prefix\":\"default\",\"hash\":\"0000000000000000000000000000000000000000000000000000000000000001\"},"
		"{\"hash\":\"0000000000000000000000000000000000000000000000000000000000000001\"}]";
	assert_int_equal(batch_body_parse(span_text(good), 2, files, &count), 0);
	assert_int_equal(count, 1);
	const char *const bad[] = { "", "[]", "{}", "[1]", "[{\"hash\":5}]", "[{\"hash\":\"00\"}]", "[" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(batch_body_parse(span_text(bad[i]), 2, files, &count), ERR_INVALID);
}

static void spooled_bytes_come_back(void **state)
{
	(void)state;
	char dir[] = "/tmp/cairn-spool-XXXXXX", tmp[64];
	assert_non_null(mkdtemp(dir));
	snprintf(tmp, sizeof(tmp), "%s/tmp", dir);
	const uint64_t sizes[] = { 10, SPOOL_MEMORY_BYTES_MAX, SPOOL_MEMORY_BYTES_MAX + 1, 3 << 20 };
	for (size_t i = 0; i < 4; i++) {
		struct shard_spool *spool;
		struct why why = { 0 };
		struct span bytes;
		assert_int_equal(shard_spool_open(&spool, dir, sizes[i], &why), 0);
		for (uint64_t at = 0; at < sizes[i]; at++)
			if (at % 4096 == 0) {
				uint8_t block[4096];
				memset(block, (int)(at / 4096 % 251), sizeof(block));
				uint64_t left = sizes[i] - at;
				assert_int_equal(shard_spool_write(spool, block, left < 4096 ? left : 4096, &why), 0);
			}
		assert_int_equal(shard_spool_write(spool, "x", 1, &why), ERR_TOO_BIG);
		assert_int_equal(shard_spool_bytes(spool, &bytes, &why), 0);
		assert_true(bytes.length == sizes[i]);
		for (uint64_t at = 0; at < sizes[i]; at += 997)
			assert_int_equal(bytes.data[at], at / 4096 % 251);
		shard_spool_close(spool);
	}
	assert_int_equal(rmdir(tmp), 0); /* nothing is left behind */
	assert_int_equal(rmdir(dir), 0);
}

static void spools_have_one_budget(void **state)
{
	(void)state;
	char dir[] = "/tmp/cairn-spool-XXXXXX", tmp[64];
	assert_non_null(mkdtemp(dir));
	snprintf(tmp, sizeof(tmp), "%s/tmp", dir);
	enum { SPOOLS = SPOOL_FILE_BUDGET_BYTES / (4 << 20) }; /* room is taken in steps */
	struct shard_spool *spools[SPOOLS + 1];
	struct why why = { 0 };
	for (size_t i = 0; i <= SPOOLS; i++) /* what is only announced takes none */
		assert_int_equal(shard_spool_open(&spools[i], dir, 64 << 20, &why), 0);
	for (size_t i = 0; i < SPOOLS; i++)
		assert_int_equal(shard_spool_write(spools[i], "x", 1, &why), 0);
	assert_int_equal(shard_spool_write(spools[SPOOLS], "x", 1, &why), ERR_BUSY);
	shard_spool_close(spools[0]);
	assert_int_equal(shard_spool_write(spools[SPOOLS], "x", 1, &why), 0);
	for (size_t i = 1; i <= SPOOLS; i++)
		shard_spool_close(spools[i]);
	rmdir(tmp);
	rmdir(dir);
}

int main(void)
{
	if (sodium_init() < 0)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_range_is_clipped_to_the_object), cmocka_unit_test(a_range_behind_the_end_is_told_apart_from_nonsense),
		cmocka_unit_test(several_ranges_keep_their_order_up_to_a_limit), cmocka_unit_test(touching_runs_of_a_xorb_are_merged),
		cmocka_unit_test(no_terms_need_nothing), cmocka_unit_test(the_longest_data_url_stays_below_8_kib),
		cmocka_unit_test(ranges_of_a_url_read_back), cmocka_unit_test(a_batch_body_names_each_file_once),
		cmocka_unit_test(spooled_bytes_come_back), cmocka_unit_test(spools_have_one_budget),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
