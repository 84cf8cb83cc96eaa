/* What nodes of different versions tell each other of what they hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "replication/replica_wire.h"
#include "schemas/record.h"

static struct replica_care some_care(void)
{
	return (struct replica_care){ .epoch = 7, .held_bytes = 1000, .surplus_bytes = 200, .missing_xorbs = 3, .lost_xorbs = 4, .complete = true, .bytes_per_s = 55,
		.walking = true, .held_xorbs = 12, .part_bytes = 90, .counted_ms = 1234, .repair = 5, .pass = PASS_FETCH, .pass_permille = 421,
		.catching_up = { 10, 20, 30 }, .fetching = { 40, 50, 60 }, .giving_up = { 70, 200, 80 } };
}

static unsigned version_of(struct buffer *call)
{
	return care_call_decode(buffer_span(call));
}

static void told(struct replica_care *out, unsigned version)
{
	struct replica_care care = some_care();
	struct buffer answer;
	buffer_init(&answer, 1 << 10);
	care_encode(&answer, version, &care);
	assert_int_equal(care_decode(out, buffer_span(&answer)), 0);
	buffer_fini(&answer);
}

static void a_node_of_this_version_is_told_of_the_progress(void **state)
{
	(void)state;
	struct replica_care care;
	struct buffer call;
	buffer_init(&call, 64);
	care_call_encode(&call);
	assert_int_equal(version_of(&call), CARE_VERSION);
	buffer_fini(&call);
	told(&care, CARE_VERSION);
	assert_true(care.tells_progress && care.walking && care.complete);
	assert_int_equal(care.held_bytes, 1000);
	assert_int_equal(care.lost_xorbs, 4);
	assert_int_equal(care.held_xorbs, 12);
	assert_int_equal(care.part_bytes, 90);
	assert_int_equal(care.counted_ms, 1234);
	assert_int_equal(care.repair, 5);
	assert_int_equal(care.pass, PASS_FETCH);
	assert_int_equal(care.pass_permille, 421);
	assert_int_equal(care.catching_up.done_bytes, 10);
	assert_int_equal(care.fetching.left_bytes, 50);
	assert_int_equal(care.giving_up.bytes_per_s, 80);
}

static void older_nodes_are_answered_as_they_ask(void **state)
{
	(void)state;
	static const struct { unsigned asks, version; uint32_t values; } nodes[] = { { 0, 1, 6 }, { 2, 2, 8 }, { 1, 2, 8 }, { 9, CARE_VERSION, 23 } };
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		struct replica_care care = some_care();
		struct buffer call, answer;
		buffer_init(&call, 64);
		buffer_init(&answer, 1 << 10);
		pack_array(&call, nodes[i].asks ? 1 : 0);
		if (nodes[i].asks)
			pack_u64(&call, nodes[i].asks);
		assert_int_equal(version_of(&call), nodes[i].version);
		care_encode(&answer, version_of(&call), &care);
		struct cursor cursor = cursor_of(buffer_span(&answer));
		assert_int_equal(cursor_array(&cursor, 64), nodes[i].values);
		buffer_fini(&call);
		buffer_fini(&answer);
	}
}

static void what_older_nodes_answer_is_understood(void **state)
{
	(void)state;
	struct replica_care care;
	told(&care, 2);
	assert_true(care.complete && !care.tells_progress);
	assert_int_equal(care.lost_xorbs, 4);
	assert_int_equal(care.held_bytes, 1000);
	assert_int_equal(care.fetching.left_bytes, 0);
	assert_true(care.counted_ms == UINT64_MAX);
	told(&care, 1);
	assert_true(!care.complete && !care.tells_progress); /* something is missing */
	assert_int_equal(care.surplus_bytes, 200);
}

static void a_question_about_xorbs_tells_their_ages_or_is_as_older_nodes_know_it(void **state)
{
	(void)state;
	static struct keep_call call = { .fetch = true, .aged = true, .count = 2, .ages_ms = { 1234, KEEP_ANY_AGE_MS } }, again;
	call.xorbs[1].bytes[0] = 7;
	for (int with_ages = 0; with_ages < 2; with_ages++) {
		struct buffer body;
		buffer_init(&body, 1 << 10);
		keep_call_encode(&body, &call, with_ages);
		struct cursor cursor = cursor_of(buffer_span(&body));
		assert_int_equal(cursor_array(&cursor, 64), with_ages ? 3 : 2);
		assert_int_equal(keep_call_decode(&again, buffer_span(&body)), 0);
		assert_true(again.fetch && again.aged == with_ages && again.count == 2 && hash_equal(&again.xorbs[1], &call.xorbs[1]));
		if (with_ages)
			assert_true(again.ages_ms[0] == 1234 && again.ages_ms[1] == KEEP_ANY_AGE_MS);
		assert_int_equal(keep_call_decode(&again, span_of(body.data, body.length - 1)), ERR_CORRUPT);
		buffer_fini(&body);
	}
	struct buffer fewer; /* ages than xorbs */
	buffer_init(&fewer, 1 << 10);
	pack_array(&fewer, 3);
	pack_bool(&fewer, true);
	pack_array(&fewer, 1);
	pack_bytes(&fewer, span_of(call.xorbs[0].bytes, HASH_BYTES));
	pack_array(&fewer, 0);
	assert_int_equal(keep_call_decode(&again, buffer_span(&fewer)), ERR_CORRUPT);
	buffer_fini(&fewer);
}

/* Byte by byte: [true, [a hash]]. */
static void a_question_without_ages_is_that_of_older_nodes(void **state)
{
	(void)state;
	static struct keep_call call = { .fetch = true, .aged = true, .count = 1 }, again;
	static const uint8_t head[] = { 0x92, 0xc3, 0x91, 0xc4, HASH_BYTES };
	uint8_t theirs[sizeof(head) + HASH_BYTES];
	struct buffer body;
	call.xorbs[0].bytes[3] = 9;
	memcpy(theirs, head, sizeof(head));
	memcpy(theirs + sizeof(head), call.xorbs[0].bytes, HASH_BYTES);
	buffer_init(&body, 1 << 10);
	keep_call_encode(&body, &call, false);
	assert_int_equal(body.length, sizeof(theirs));
	assert_memory_equal(body.data, theirs, sizeof(theirs));
	buffer_fini(&body);
	assert_int_equal(keep_call_decode(&again, span_of(theirs, sizeof(theirs))), 0);
	assert_true(again.fetch && !again.aged && again.count == 1 && hash_equal(&again.xorbs[0], &call.xorbs[0]));
}

static void an_answer_that_is_cut_or_too_long_is_refused(void **state)
{
	(void)state;
	struct replica_care care = some_care(), out;
	struct buffer answer;
	buffer_init(&answer, 1 << 10);
	care_encode(&answer, CARE_VERSION, &care);
	for (size_t length = 0; length < answer.length; length++)
		assert_int_not_equal(care_decode(&out, span_of(answer.data, length)), 0);
	pack_u64(&answer, 1);
	assert_int_not_equal(care_decode(&out, buffer_span(&answer)), 0);
	buffer_fini(&answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_of_this_version_is_told_of_the_progress),
		cmocka_unit_test(older_nodes_are_answered_as_they_ask),
		cmocka_unit_test(what_older_nodes_answer_is_understood),
		cmocka_unit_test(a_question_about_xorbs_tells_their_ages_or_is_as_older_nodes_know_it),
		cmocka_unit_test(a_question_without_ages_is_that_of_older_nodes),
		cmocka_unit_test(an_answer_that_is_cut_or_too_long_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
