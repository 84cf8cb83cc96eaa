/* Where files are cut: published cuts, independence of how bytes arrive, and the fused loop against the plain one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <openssl/sha.h>

#include "store/chunker.h"
#include "store/digest.h"
#include "store/gear.h"
#include "store/sha256.h"
#include "tests/unit/vectors.h"

static json_t *vectors;

/* Ends of the chunks of one file. */
struct ends {
	size_t count;
	uint32_t at[4096];
};

static void ends_add(struct ends *ends, size_t end)
{
	assert_true(ends->count < 4096);
	ends->at[ends->count++] = (uint32_t)end;
}

/* Cuts a whole file, fed in pieces of at most `piece` bytes, or of random lengths up to that when `seed` is not NULL. */
static void cut_file(struct ends *ends, const uint8_t *data, size_t length, size_t piece, uint64_t *seed)
{
	struct chunker chunker;
	chunker_init(&chunker);
	ends->count = 0;
	for (size_t at = 0; at < length;) {
		size_t take = seed ? 1 + random_next(seed) % piece : piece;
		take = take < length - at ? take : length - at;
		for (size_t end = at + take; at < end;) {
			bool cut;
			at += chunker_next(&chunker, data + at, end - at, &cut);
			if (cut)
				ends_add(ends, at);
		}
	}
	if (chunker.size)
		ends_add(ends, length);
}

/* The rule as it is written down: every byte hashed, nothing skipped. */
static void cut_by_definition(struct ends *ends, const uint8_t *data, size_t length)
{
	uint64_t h = 0;
	size_t size = 0;
	ends->count = 0;
	for (size_t i = 0; i < length; i++) {
		h = (h << 1) + gear_table[data[i]];
		size++;
		if (size < CHUNK_BYTES_MIN || (size < CHUNK_BYTES_MAX && (h & UINT64_C(0xFFFF000000000000)) != 0))
			continue;
		ends_add(ends, i + 1);
		h = 0;
		size = 0;
	}
	if (size)
		ends_add(ends, length);
}

static void assert_ends(const struct ends *actual, const struct ends *expected)
{
	assert_int_equal(actual->count, expected->count);
	assert_memory_equal(actual->at, expected->at, expected->count * sizeof(expected->at[0]));
}

static void ends_from_json(struct ends *ends, const json_t *list)
{
	size_t i;
	json_t *end;
	ends->count = 0;
	json_array_foreach(list, i, end)
		ends_add(ends, (size_t)json_integer_value(end));
}

static void the_gear_table_is_the_published_one(void **state)
{
	(void)state;
	json_t *table = json_object_get(vectors, "gear_table");
	assert_int_equal(json_array_size(table), 256);
	for (size_t i = 0; i < 256; i++)
		assert_int_equal(gear_table[i], strtoull(json_string_value(json_array_get(table, i)), NULL, 16));
}

/* Hashes of a file's chunks, and of the whole. */
static void check_hashes(const struct bytes *input, const struct ends *ends, const json_t *expected)
{
	struct hash *chunks = calloc(ends->count + 1, sizeof(*chunks)), root, file;
	struct merkle *merkle;
	assert_int_equal(merkle_open(&merkle), 0);
	for (size_t i = 0, start = 0; i < ends->count; start = ends->at[i++]) {
		digest_chunk(&chunks[i], input->data + start, ends->at[i] - start);
		merkle_add(merkle, &chunks[i], ends->at[i] - start);
		json_t *listed = json_array_get(json_object_get(expected, "hashes"), i);
		struct hash wanted = listed ? vector_hash_value(listed) : chunks[i];
		assert_true(hash_equal(&chunks[i], &wanted));
	}
	merkle_root(merkle, &root);
	merkle_close(merkle);
	digest_file(&file, &root);
	struct hash wanted = vector_hash(expected, "file_hash"), verification;
	assert_true(hash_equal(&file, &wanted));
	if (ends->count) {
		wanted = vector_hash(expected, "merkle_root");
		assert_true(hash_equal(&root, &wanted));
		digest_verification(&verification, chunks, ends->count);
		wanted = vector_hash(expected, "verification_hash_all");
		assert_true(hash_equal(&verification, &wanted));
	}
	if (json_object_get(expected, "hashes_digest")) {
		struct sha256 digest;
		char text[HASH_TEXT_BYTES];
		sha256_of(&digest, chunks, ends->count * sizeof(*chunks));
		hex_encode(text, digest.bytes, HASH_BYTES);
		assert_string_equal(text, vector_text(expected, "hashes_digest"));
	}
	free(chunks);
}

static void files_have_their_published_cuts_and_hashes(void **state)
{
	(void)state;
	size_t i;
	json_t *item;
	static struct ends actual, expected;
	json_array_foreach(json_object_get(vectors, "files"), i, item) {
		json_t *modern = json_object_get(item, "modern");
		struct bytes input = vector_input(vectors, json_object_get(item, "gen"));
		struct sha256 digest;
		char text[HASH_TEXT_BYTES];
		assert_int_equal(input.length, vector_size(item, "size"));
		cut_file(&actual, input.data, input.length, 1 << 20, NULL);
		ends_from_json(&expected, json_object_get(modern, "ends"));
		assert_ends(&actual, &expected);
		check_hashes(&input, &actual, modern);
		sha256_of(&digest, input.data, input.length);
		hex_encode(text, digest.bytes, HASH_BYTES);
		assert_string_equal(text, vector_text(item, "sha256"));
		free(input.data);
	}
}

static void boundary_stress_inputs_have_their_published_cuts(void **state)
{
	(void)state;
	size_t pad;
	json_t *list;
	static struct ends actual, expected;
	json_array_foreach(json_object_get(json_object_get(vectors, "trigger_65536_all_pads"), "modern_ends"), pad, list) {
		struct bytes input = trigger_input(vectors, pad, 65536);
		cut_file(&actual, input.data, input.length, input.length, NULL);
		ends_from_json(&expected, list);
		assert_ends(&actual, &expected);
		free(input.data);
	}
}

/* Bytes with many candidates: the pattern of the stress inputs strewn over random bytes, short runs of repeats. */
static struct bytes rough_input(size_t length, uint64_t seed)
{
	struct bytes pattern = trigger_input(vectors, 0, 128), bytes = bytes_random(length, seed);
	for (size_t at = 0; at + pattern.length < length;) {
		if (random_next(&seed) % 4)
			memcpy(bytes.data + at, pattern.data, pattern.length);
		at += 1 + random_next(&seed) % (random_next(&seed) % 8 ? 300 : 60000);
	}
	free(pattern.data);
	return bytes;
}

static void skipping_finds_the_cuts_of_the_written_rule(void **state)
{
	(void)state;
	static struct ends actual, expected;
	for (uint64_t seed = 0; seed < 24; seed++) {
		struct bytes input = seed % 2 ? rough_input(700000, seed) : bytes_random(700000, seed);
		cut_by_definition(&expected, input.data, input.length);
		cut_file(&actual, input.data, input.length, input.length, NULL);
		assert_ends(&actual, &expected);
		free(input.data);
	}
}

static void cuts_do_not_depend_on_how_bytes_arrive(void **state)
{
	(void)state;
	static struct ends actual, expected;
	static const size_t pieces[] = { 1, 2, 63, 64, 65, 1000, 8127, 8128, 8191, 8192, 100000 };
	struct bytes input = rough_input(400000, 99);
	uint64_t seed = 5;
	cut_by_definition(&expected, input.data, input.length);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		cut_file(&actual, input.data, input.length, pieces[i], NULL);
		assert_ends(&actual, &expected);
		cut_file(&actual, input.data, input.length, pieces[i], &seed);
		assert_ends(&actual, &expected);
	}
	free(input.data);
}

static void a_file_split_at_every_byte_is_cut_the_same(void **state)
{
	(void)state;
	struct bytes input = trigger_input(vectors, 53, 20000); /* its first cut falls just above the minimum */
	static struct ends expected;
	cut_by_definition(&expected, input.data, input.length);
	for (size_t split = 0; split <= input.length; split++) {
		struct chunker chunker;
		struct ends *actual = calloc(1, sizeof(*actual));
		size_t at = 0;
		chunker_init(&chunker);
		while (at < input.length) {
			bool cut;
			at += chunker_next(&chunker, input.data + at, (at < split ? split : input.length) - at, &cut);
			if (cut)
				ends_add(actual, at);
		}
		if (chunker.size)
			ends_add(actual, at);
		assert_ends(actual, &expected);
		free(actual);
	}
	free(input.data);
}

static void chunks_stay_within_their_bounds(void **state)
{
	(void)state;
	static struct ends ends;
	struct bytes input = rough_input(2000000, 3);
	cut_file(&ends, input.data, input.length, 70000, NULL);
	for (size_t i = 0, start = 0; i < ends.count; start = ends.at[i++]) {
		size_t size = ends.at[i] - start;
		assert_in_range(size, i + 1 < ends.count ? CHUNK_BYTES_MIN : 1, CHUNK_BYTES_MAX);
	}
	free(input.data);
}

/* ------------------------------------------------------------------ fused with SHA-256 */

/* The same pieces to the plain and to the fused scan: same cuts, same state after each piece, same digest. */
static void check_fused(const struct bytes *input, size_t piece, uint64_t *seed)
{
	struct chunker plain, fused;
	struct sha256_state sha;
	chunker_init(&plain);
	chunker_init(&fused);
	sha256_init(&sha);
	for (size_t start = 0; start < input->length;) {
		size_t take = 1 + random_next(seed) % piece;
		take = take < input->length - start ? take : input->length - start;
		uint32_t cuts[1024];
		size_t max = take / CHUNK_BYTES_MIN + 2, next = 0;
		assert_true(max <= 1024);
		size_t count = chunker_scan_sha256(&fused, &sha, input->data + start, take, cuts, max);
		for (size_t at = 0; at < take;) {
			bool cut;
			at += chunker_next(&plain, input->data + start + at, take - at, &cut);
			if (cut) {
				assert_true(next < count);
				assert_int_equal(cuts[next++], at);
			}
		}
		assert_int_equal(next, count);
		assert_int_equal(fused.size, plain.size);
		assert_int_equal(fused.rolling, plain.rolling);
		start += take;
	}
	struct sha256 digest;
	uint8_t expected[HASH_BYTES];
	sha256_final(&sha, &digest);
	SHA256(input->data, input->length, expected);
	assert_memory_equal(digest.bytes, expected, HASH_BYTES);
}

static void the_fused_loop_finds_the_same_cuts(void **state)
{
	(void)state;
	static const size_t pieces[] = { 50, 130, 5000, 40000, 300000, 1 << 20 };
	uint64_t seed = 11;
	for (size_t i = 0; i < 3 * sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct bytes input = i % 3 == 0 ? bytes_random(1500000, i) : rough_input(1500000, i);
		if (i % 3 == 2)
			memset(input.data + 200000, 0, 600000); /* no candidates: cut by the maximum */
		sha256_force_portable(false);
		check_fused(&input, pieces[i / 3], &seed);
		sha256_force_portable(true);
		check_fused(&input, pieces[i / 3], &seed);
		sha256_force_portable(false);
		free(input.data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_gear_table_is_the_published_one),
		cmocka_unit_test(files_have_their_published_cuts_and_hashes),
		cmocka_unit_test(boundary_stress_inputs_have_their_published_cuts),
		cmocka_unit_test(skipping_finds_the_cuts_of_the_written_rule),
		cmocka_unit_test(cuts_do_not_depend_on_how_bytes_arrive),
		cmocka_unit_test(a_file_split_at_every_byte_is_cut_the_same),
		cmocka_unit_test(chunks_stay_within_their_bounds),
		cmocka_unit_test(the_fused_loop_finds_the_same_cuts),
	};
	vectors = vectors_load();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	json_decref(vectors);
	return failed;
}
