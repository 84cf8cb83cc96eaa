/* SHA-256 against OpenSSL's, on both paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <openssl/sha.h>

#include "store/sha256.h"
#include "tests/unit/vectors.h"

/* Runs a test with the kernel, then without. */
static int with_kernel(void **state)
{
	(void)state;
	sha256_force_portable(false);
	return 0;
}

static int without_kernel(void **state)
{
	(void)state;
	sha256_force_portable(true);
	return 0;
}

static void assert_digest(const struct sha256 *actual, const void *data, size_t length)
{
	uint8_t expected[HASH_BYTES];
	SHA256(data, length, expected);
	assert_memory_equal(actual->bytes, expected, HASH_BYTES);
}

static void published_digests_come_out(void **state)
{
	(void)state;
	static const struct {
		const char *message, *digest;
	} cases[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
			"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sha256 digest;
		char text[HASH_TEXT_BYTES];
		sha256_of(&digest, cases[i].message, strlen(cases[i].message));
		hex_encode(text, digest.bytes, HASH_BYTES);
		assert_string_equal(text, cases[i].digest);
	}
}

static void every_length_around_the_blocks_is_right(void **state)
{
	(void)state;
	struct bytes data = bytes_random(700, 1);
	for (size_t length = 0; length <= data.length; length++) {
		struct sha256 digest;
		sha256_of(&digest, data.data, length);
		assert_digest(&digest, data.data, length);
	}
	free(data.data);
}

static void a_message_may_come_in_any_two_pieces(void **state)
{
	(void)state;
	struct bytes data = bytes_random(300, 2);
	for (size_t split = 0; split <= data.length; split++) {
		struct sha256_state hash;
		struct sha256 digest;
		sha256_init(&hash);
		sha256_update(&hash, data.data, split);
		sha256_update(&hash, data.data + split, data.length - split);
		assert_int_equal(hash.length, data.length);
		sha256_final(&hash, &digest);
		assert_digest(&digest, data.data, data.length);
	}
	free(data.data);
}

static void two_messages_at_once_do_not_mix(void **state)
{
	(void)state;
	struct bytes a = bytes_random(2000, 3), b = bytes_random(2000, 4);
	for (size_t lead = 0; lead < 130; lead++) {
		/* given two messages at different places in their blocks */
		struct sha256_state hash_a, hash_b;
		struct sha256 digest;
		sha256_init(&hash_a);
		sha256_init(&hash_b);
		sha256_update(&hash_a, a.data, lead);
		sha256_update(&hash_b, b.data, lead / 3);
		/* when they advance together */
		size_t length = 1000 + lead * 5;
		sha256_update2(&hash_a, a.data + lead, &hash_b, b.data + lead / 3, length);
		/* then each is what it would be alone */
		sha256_final(&hash_a, &digest);
		assert_digest(&digest, a.data, lead + length);
		sha256_final(&hash_b, &digest);
		assert_digest(&digest, b.data, lead / 3 + length);
	}
	free(a.data);
	free(b.data);
}

static void a_state_may_change_paths_between_updates(void **state)
{
	(void)state;
	struct bytes data = bytes_random(100000, 5);
	struct sha256_state hash;
	struct sha256 digest;
	uint64_t seed = 6;
	sha256_init(&hash);
	for (size_t at = 0; at < data.length;) {
		size_t take = random_next(&seed) % 777;
		if (take > data.length - at)
			take = data.length - at;
		sha256_force_portable(random_next(&seed) % 2);
		sha256_update(&hash, data.data + at, take);
		at += take;
	}
	sha256_final(&hash, &digest);
	assert_digest(&digest, data.data, data.length);
	free(data.data);
}

#define ON_BOTH_PATHS(test)                                                \
	{ #test " (kernel)", test, with_kernel, NULL, NULL },              \
	{ #test " (portable)", test, without_kernel, NULL, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(published_digests_come_out),
		ON_BOTH_PATHS(every_length_around_the_blocks_is_right),
		ON_BOTH_PATHS(a_message_may_come_in_any_two_pieces),
		ON_BOTH_PATHS(two_messages_at_once_do_not_mix),
		cmocka_unit_test(a_state_may_change_paths_between_updates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
