/* The channel between nodes: two that know each other talk, nobody else learns or changes anything. */
#include "replication/peer_channel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t cluster[PEER_CLUSTER_ID_BYTES] = "one cluster";
static const uint8_t secret[PEER_SECRET_BYTES] = "a secret of the cluster";
static struct peer_keys ann, bob;
static struct peer_channel caller, callee;
static uint8_t hello[PEER_HELLO_BYTES], welcome[PEER_WELCOME_BYTES];

static int set_up(void **state)
{
	(void)state;
	if (sodium_init() < 0)
		return -1;
	peer_keys_make(&ann);
	peer_keys_make(&bob);
	struct peer_hello out = { .purpose = PEER_MESSAGES, .feature_level = 1, .from = 11, .to = 22 };
	return peer_channel_call(&caller, cluster, &ann, bob.public_key, &out, secret, hello);
}

static void shake_hands(void)
{
	struct peer_hello in;
	uint8_t proof[32];
	enum peer_status status;
	uint64_t node_id;
	assert_int_equal(peer_channel_answer(&callee, cluster, &bob, hello, &in, proof), 0);
	assert_true(peer_channel_proven(&callee, proof, secret));
	assert_memory_equal(callee.remote_static, ann.public_key, 32);
	assert_int_equal(in.from, 11);
	assert_int_equal(in.to, 22);
	assert_int_equal(peer_channel_welcome(&callee, PEER_ACCEPTED, 22, welcome), 0);
	assert_int_equal(peer_channel_called(&caller, &ann, welcome, &status, &node_id), 0);
	assert_int_equal(status, PEER_ACCEPTED);
	assert_int_equal(node_id, 22);
}

static struct buffer wire, room, plain;

static void clear_wire(void)
{
	buffer_fini(&wire);
	buffer_fini(&room);
	buffer_fini(&plain);
	buffer_init(&wire, 1 << 20);
	buffer_init(&room, 1 << 20);
	buffer_init(&plain, 1 << 20);
}

static int tear_down(void **state)
{
	(void)state;
	peer_ciphers_without(0);
	clear_wire();
	return 0;
}

static int set_up_xchacha(void **state)
{
	peer_ciphers_without(PEER_OFFERS_AES_256_GCM);
	clear_wire();
	return set_up(state);
}

static int set_up_aes(void **state)
{
	peer_ciphers_without(0);
	clear_wire();
	return set_up(state);
}

/* A machine without the instructions has nothing to test here. */
static void shake_hands_over(enum peer_cipher cipher)
{
	if (cipher == PEER_AES_256_GCM && !peer_ciphers())
		skip();
	shake_hands();
	assert_int_equal(caller.cipher, cipher);
	assert_int_equal(callee.cipher, cipher);
}

/* Opens a copy: what opens is overwritten. */
static int open_record(struct peer_channel *channel, const uint8_t *bytes, size_t length, struct peer_frame *frame)
{
	static uint8_t copy[4096];
	size_t announced = peer_record_length(bytes);
	if (announced == 0 || announced + 4 != length)
		return ERR_CORRUPT;
	assert_true(length <= sizeof(copy));
	memcpy(copy, bytes, length);
	return peer_channel_open(channel, copy + 4, announced, &plain, frame);
}

static void pass_frames(enum peer_cipher cipher)
{
	struct peer_channel *ends[] = { &caller, &callee };
	shake_hands_over(cipher);
	for (int i = 0; i < 2; i++) {
		struct peer_frame frame;
		clear_wire();
		assert_int_equal(peer_channel_seal(ends[i], &wire, 7, 1, span_text("hello"), &room), 0);
		size_t first = wire.length;
		assert_int_equal(peer_channel_seal(ends[i], &wire, 8, 0, span_text(""), &room), 0);
		assert_int_equal(peer_channel_begin(ends[!i], wire.data), 0);
		assert_int_equal(open_record(ends[!i], wire.data + PEER_STREAM_HEADER_BYTES, first - PEER_STREAM_HEADER_BYTES, &frame), 0);
		assert_int_equal(frame.type, 7);
		assert_int_equal(frame.group, 1);
		assert_true(span_equal(frame.body, span_text("hello")));
		assert_int_equal(open_record(ends[!i], wire.data + first, wire.length - first, &frame), 0);
		assert_int_equal(frame.type, 8);
		assert_int_equal(frame.body.length, 0);
	}
}

static void frames_pass_in_both_directions(void **state)
{
	(void)state;
	pass_frames(PEER_XCHACHA20_POLY1305);
}

static void frames_pass_in_both_directions_by_aes(void **state)
{
	(void)state;
	pass_frames(PEER_AES_256_GCM);
}

static void change_records(enum peer_cipher cipher)
{
	struct peer_frame frame;
	shake_hands_over(cipher);
	peer_channel_seal(&caller, &wire, 7, 1, span_text("hello"), &room);
	assert_int_equal(peer_channel_begin(&callee, wire.data), 0);
	uint8_t *record = wire.data + PEER_STREAM_HEADER_BYTES;
	size_t length = wire.length - PEER_STREAM_HEADER_BYTES;
	for (size_t i = 0; i < length; i++) {
		struct peer_channel copy = callee;
		record[i] ^= 1;
		assert_int_equal(open_record(&copy, record, length, &frame), ERR_CORRUPT);
		record[i] ^= 1;
	}
	for (size_t i = 0; i < PEER_NONCE_BYTES; i++) {
		struct peer_channel copy = callee;
		wire.data[i] ^= 1;
		assert_int_equal(peer_channel_begin(&copy, wire.data), 0);
		assert_int_equal(open_record(&copy, record, length, &frame), ERR_CORRUPT);
		wire.data[i] ^= 1;
	}
	assert_int_equal(open_record(&callee, record, length, &frame), 0);
	assert_int_equal(open_record(&callee, record, length, &frame), ERR_CORRUPT);
}

static void a_changed_or_repeated_record_is_refused(void **state)
{
	(void)state;
	change_records(PEER_XCHACHA20_POLY1305);
}

static void a_changed_or_repeated_record_is_refused_by_aes(void **state)
{
	(void)state;
	change_records(PEER_AES_256_GCM);
}

static void a_dropped_record_ends_the_channel(void **state)
{
	(void)state;
	struct peer_frame frame;
	shake_hands_over(PEER_AES_256_GCM);
	peer_channel_seal(&caller, &wire, 7, 1, span_text("hello"), &room);
	size_t first = wire.length;
	peer_channel_seal(&caller, &wire, 7, 1, span_text("hello"), &room);
	assert_int_equal(peer_channel_begin(&callee, wire.data), 0);
	assert_int_equal(open_record(&callee, wire.data + first, wire.length - first, &frame), ERR_CORRUPT);
}

static void equal_frames_make_records_that_differ(void **state)
{
	(void)state;
	shake_hands_over(PEER_AES_256_GCM);
	assert_memory_not_equal(caller.send_key, caller.receive_key, 32); /* nor does a nonce of one direction meet a key of the other */
	peer_channel_seal(&caller, &wire, 7, 1, span_text("hello"), &room);
	size_t first = wire.length, length = first - PEER_STREAM_HEADER_BYTES;
	peer_channel_seal(&caller, &wire, 7, 1, span_text("hello"), &room);
	assert_memory_not_equal(wire.data + PEER_STREAM_HEADER_BYTES + 4, wire.data + first + 4, length - 4);
}

static void what_is_used_long_gets_another_key(void **state)
{
	(void)state;
	struct peer_frame frame;
	uint8_t before[32];
	shake_hands_over(PEER_AES_256_GCM);
	for (int i = 0; i < 3; i++) {
		size_t start = wire.length;
		peer_channel_seal(&caller, &wire, 7, 1, span_text("hello"), &room);
		if (start == 0)
			assert_int_equal(peer_channel_begin(&callee, wire.data), 0);
		start += start ? 0 : PEER_STREAM_HEADER_BYTES;
		assert_int_equal(open_record(&callee, wire.data + start, wire.length - start, &frame), 0);
		assert_true(i == 0 || memcmp(before, caller.out.key, 32) != 0);
		assert_memory_equal(caller.out.key, callee.in.key, 32);
		memcpy(before, caller.out.key, 32);
		caller.out.bytes = callee.in.bytes = PEER_REKEY_BYTES;
	}
	callee.in.bytes = 0; /* one that does not go over understands nothing more */
	size_t start = wire.length;
	peer_channel_seal(&caller, &wire, 7, 1, span_text("hello"), &room);
	assert_int_equal(open_record(&callee, wire.data + start, wire.length - start, &frame), ERR_CORRUPT);
}

/* As with a machine that lacks the instructions, or a program of before. */
static void aes_is_used_when_both_have_it_only(void **state)
{
	(void)state;
	static const uint8_t lacks[][2] = { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } };
	if (!peer_ciphers())
		skip();
	for (size_t i = 0; i < 4; i++) {
		peer_ciphers_without(lacks[i][0]);
		assert_int_equal(set_up(state), 0);
		peer_ciphers_without(lacks[i][1]);
		shake_hands();
		assert_int_equal(caller.cipher, i == 0 ? PEER_AES_256_GCM : PEER_XCHACHA20_POLY1305);
		assert_int_equal(callee.cipher, caller.cipher);
		assert_memory_equal(caller.send_key, callee.receive_key, 32);
		assert_memory_equal(callee.send_key, caller.receive_key, 32);
	}
}

static void a_cipher_that_was_not_offered_is_refused(void **state)
{
	(void)state;
	struct peer_hello in;
	uint8_t proof[32];
	enum peer_status status;
	uint64_t node_id;
	if (!peer_ciphers())
		skip();
	peer_ciphers_without(PEER_OFFERS_AES_256_GCM);
	assert_int_equal(set_up(state), 0);
	peer_ciphers_without(0);
	assert_int_equal(peer_channel_answer(&callee, cluster, &bob, hello, &in, proof), 0);
	callee.offered = PEER_OFFERS_AES_256_GCM; /* it was not */
	assert_int_equal(peer_channel_welcome(&callee, PEER_ACCEPTED, 22, welcome), 0);
	assert_int_equal(peer_channel_called(&caller, &ann, welcome, &status, &node_id), ERR_UNSUPPORTED);
}

static void a_changed_hello_or_welcome_is_refused(void **state)
{
	(void)state;
	struct peer_hello in;
	uint8_t proof[32];
	for (size_t i = 0; i < sizeof(hello); i++) {
		hello[i] ^= 0x40;
		assert_int_equal(peer_channel_answer(&callee, cluster, &bob, hello, &in, proof), ERR_CORRUPT);
		hello[i] ^= 0x40;
	}
	assert_int_equal(peer_channel_answer(&callee, cluster, &bob, hello, &in, proof), 0);
	assert_int_equal(peer_channel_welcome(&callee, PEER_ACCEPTED, 22, welcome), 0);
	for (size_t i = 0; i < sizeof(welcome); i++) {
		struct peer_channel copy = caller;
		enum peer_status status;
		uint64_t node_id;
		welcome[i] ^= 0x40;
		assert_int_equal(peer_channel_called(&copy, &ann, welcome, &status, &node_id), ERR_CORRUPT);
		welcome[i] ^= 0x40;
	}
}

static void another_cluster_and_another_key_are_not_understood(void **state)
{
	(void)state;
	struct peer_hello in;
	uint8_t proof[32];
	assert_int_equal(peer_channel_answer(&callee, (const uint8_t *)"another cluster", &bob, hello, &in, proof), ERR_CORRUPT);
	assert_int_equal(peer_channel_answer(&callee, cluster, &ann, hello, &in, proof), ERR_CORRUPT);
}

static void who_does_not_know_the_secret_proves_nothing(void **state)
{
	(void)state;
	struct peer_hello in, out = { .purpose = PEER_MESSAGES, .from = 11 };
	uint8_t proof[32];
	static const uint8_t guess[PEER_SECRET_BYTES] = "a guess";
	assert_int_equal(peer_channel_call(&caller, cluster, &ann, bob.public_key, &out, guess, hello), 0);
	assert_int_equal(peer_channel_answer(&callee, cluster, &bob, hello, &in, proof), 0);
	assert_false(peer_channel_proven(&callee, proof, secret));
	assert_true(peer_channel_proven(&callee, proof, guess));
}

static void a_key_of_small_order_is_refused(void **state)
{
	(void)state;
	static const uint8_t zero[PEER_KEY_BYTES];
	struct peer_hello out = { .purpose = PEER_MESSAGES }, in;
	uint8_t proof[32];
	assert_int_equal(peer_channel_call(&caller, cluster, &ann, zero, &out, secret, hello), ERR_INVALID);
	memset(hello + 1, 0, 32);
	assert_int_equal(peer_channel_answer(&callee, cluster, &bob, hello, &in, proof), ERR_CORRUPT);
}

static void lengths_outside_the_limits_are_refused(void **state)
{
	(void)state;
	assert_int_equal(peer_record_length((const uint8_t[]){ 0, 0, 0, 0 }), 0);
	assert_int_equal(peer_record_length((const uint8_t[]){ 23, 0, 0, 0 }), 0);
	assert_int_equal(peer_record_length((const uint8_t[]){ 24, 0, 0, 0 }), 24);
	assert_int_equal(peer_record_length((const uint8_t[]){ 0xff, 0xff, 0xff, 0xff }), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(frames_pass_in_both_directions, set_up_xchacha, tear_down),
		cmocka_unit_test_setup_teardown(frames_pass_in_both_directions_by_aes, set_up_aes, tear_down),
		cmocka_unit_test_setup_teardown(a_changed_or_repeated_record_is_refused, set_up_xchacha, tear_down),
		cmocka_unit_test_setup_teardown(a_changed_or_repeated_record_is_refused_by_aes, set_up_aes, tear_down),
		cmocka_unit_test_setup_teardown(a_dropped_record_ends_the_channel, set_up_aes, tear_down),
		cmocka_unit_test_setup_teardown(equal_frames_make_records_that_differ, set_up_aes, tear_down),
		cmocka_unit_test_setup_teardown(what_is_used_long_gets_another_key, set_up_aes, tear_down),
		cmocka_unit_test_setup_teardown(aes_is_used_when_both_have_it_only, set_up_aes, tear_down),
		cmocka_unit_test_setup_teardown(a_cipher_that_was_not_offered_is_refused, set_up_aes, tear_down),
		cmocka_unit_test_setup(a_changed_hello_or_welcome_is_refused, set_up),
		cmocka_unit_test_setup(another_cluster_and_another_key_are_not_understood, set_up),
		cmocka_unit_test_setup(who_does_not_know_the_secret_proves_nothing, set_up),
		cmocka_unit_test_setup(a_key_of_small_order_is_refused, set_up),
		cmocka_unit_test_setup(lengths_outside_the_limits_are_refused, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
