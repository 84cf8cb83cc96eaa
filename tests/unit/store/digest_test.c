/* The hashes of the Xet format: published values, and the incremental Merkle root against its definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include <blake3.h>

#include "store/digest.h"
#include "tests/unit/vectors.h"

static json_t *vectors;

static void assert_hash(const struct hash *actual, const struct hash *expected)
{
	char actual_text[HASH_TEXT_BYTES], expected_text[HASH_TEXT_BYTES];
	hash_to_text(actual_text, actual);
	hash_to_text(expected_text, expected);
	assert_string_equal(actual_text, expected_text);
}

static struct hash hash_of_number(uint64_t number)
{
	uint8_t bytes[8];
	struct hash hash;
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(number >> 8 * i);
	digest_chunk(&hash, bytes, sizeof(bytes));
	return hash;
}

static void the_text_form_reads_four_little_endian_numbers(void **state)
{
	(void)state;
	size_t i;
	json_t *item;
	json_array_foreach(json_object_get(vectors, "hash_text"), i, item) {
		struct bytes raw = vector_hex(item, "raw_hex");
		struct hash hash = vector_hash(item, "text");
		assert_memory_equal(hash.bytes, raw.data, HASH_BYTES);
		free(raw.data);
	}
}

static void a_chunk_hash_is_keyed_with_the_data_key(void **state)
{
	(void)state;
	size_t i;
	json_t *item;
	json_array_foreach(json_object_get(json_object_get(vectors, "dedup_eligible"), "items"), i, item) {
		struct hash hash = hash_of_number(vector_size(item, "le64")), expected = vector_hash(item, "chunk_hash");
		assert_hash(&hash, &expected);
		assert_int_equal(hash_mod(&hash, 1024), 0);
	}
}

static void a_node_covers_the_text_of_its_children(void **state)
{
	(void)state;
	json_t *item = json_object_get(vectors, "internal_node");
	struct merkle_node nodes[2] = { { .length = 100 }, { .length = 200 } };
	const char *text = vector_text(item, "text"), *second = strchr(text, '\n') + 1;
	assert_int_equal(hash_from_text(&nodes[0].hash, text, 64), 0);
	assert_int_equal(hash_from_text(&nodes[1].hash, second, 64), 0);
	struct hash root, expected = vector_hash(item, "hash");
	digest_root(&root, nodes, 2);
	assert_hash(&root, &expected);
}

/* Leaves of the named synthetic list: chunk hashes of counting numbers, all, or only those that end a group, or none of these. */
static struct merkle_node *synthetic_leaves(const char *name, size_t count)
{
	struct merkle_node *nodes = calloc(count + 1, sizeof(*nodes));
	size_t have = 0;
	for (uint64_t i = 0; have < count; i++) {
		struct hash hash = hash_of_number(i);
		bool cut = hash_mod(&hash, 4) == 0;
		if ((strncmp(name, "nocut", 5) == 0 && cut) || (strncmp(name, "allcut", 6) == 0 && !cut))
			continue;
		nodes[have++] = (struct merkle_node){ hash, 1000 + i };
	}
	return nodes;
}

static struct hash root_incrementally(const struct merkle_node *nodes, size_t count)
{
	struct merkle *merkle;
	struct hash root;
	assert_int_equal(merkle_open(&merkle), 0);
	for (size_t i = 0; i < count; i++)
		merkle_add(merkle, &nodes[i].hash, nodes[i].length);
	merkle_root(merkle, &root);
	merkle_close(merkle);
	return root;
}

static void check_list(const struct merkle_node *nodes, size_t count, const json_t *item)
{
	struct hash expected = vector_hash(item, "merkle_root"), expected_file = vector_hash(item, "file_hash"), file;
	struct hash root = root_incrementally(nodes, count);
	assert_hash(&root, &expected);
	digest_root(&root, nodes, count);
	assert_hash(&root, &expected);
	/* A zero root of a list that is not empty would need a chunk whose hash is zero: digest_file takes it for no list. */
	if (hash_is_zero(&root) && count)
		return;
	digest_file(&file, &root);
	assert_hash(&file, &expected_file);
}

static void synthetic_lists_have_their_published_roots(void **state)
{
	(void)state;
	size_t i;
	json_t *item;
	json_array_foreach(json_object_get(json_object_get(vectors, "merkle"), "items"), i, item) {
		size_t count = vector_size(item, "n");
		struct merkle_node *nodes = synthetic_leaves(vector_text(item, "name"), count);
		check_list(nodes, count, item);
		free(nodes);
	}
}

static void lists_of_other_implementations_have_their_roots(void **state)
{
	(void)state;
	size_t i, k;
	json_t *item, *leaf;
	json_array_foreach(json_object_get(vectors, "merkle_upstream"), i, item) {
		json_t *leaves = json_object_get(item, "leaves");
		struct merkle_node nodes[64];
		assert_true(json_array_size(leaves) <= 64);
		json_array_foreach(leaves, k, leaf) {
			nodes[k].hash = vector_hash_value(json_array_get(leaf, 0));
			nodes[k].length = (uint64_t)json_integer_value(json_array_get(leaf, 1));
		}
		check_list(nodes, json_array_size(leaves), item);
	}
}

/* ---- the definition, word for word: whole levels, looking ahead ---- */

static size_t group_length(const struct merkle_node *nodes, size_t ahead)
{
	if (ahead <= 2)
		return ahead;
	size_t most = ahead < 9 ? ahead : 9;
	for (size_t i = 2; i < most; i++) {
		if (hash_mod(&nodes[i].hash, 4) == 0)
			return i + 1;
	}
	return most;
}

static struct merkle_node parent_by_definition(const struct merkle_node *nodes, size_t count)
{
	struct bytes key = vector_hex(json_object_get(vectors, "constants"), "internal_node_key_hex");
	struct merkle_node parent = { .length = 0 };
	blake3_hasher hasher;
	blake3_hasher_init_keyed(&hasher, key.data);
	for (size_t i = 0; i < count; i++) {
		char hash_text[HASH_TEXT_BYTES], line[128];
		hash_to_text(hash_text, &nodes[i].hash);
		int length = snprintf(line, sizeof(line), "%s : %llu\n", hash_text, (unsigned long long)nodes[i].length);
		blake3_hasher_update(&hasher, line, (size_t)length);
		parent.length += nodes[i].length;
	}
	blake3_hasher_finalize(&hasher, parent.hash.bytes, HASH_BYTES);
	free(key.data);
	return parent;
}

static struct hash root_by_definition(struct merkle_node *nodes, size_t count)
{
	if (count == 0)
		return (struct hash){ { 0 } };
	while (count > 1) {
		size_t made = 0;
		for (size_t at = 0; at < count;) {
			size_t length = group_length(nodes + at, count - at);
			nodes[made++] = parent_by_definition(nodes + at, length);
			at += length;
		}
		count = made;
	}
	return nodes[0].hash;
}

static void an_incremental_root_is_the_root_by_definition(void **state)
{
	(void)state;
	uint64_t seed = 7;
	for (size_t count = 0; count < 260; count++) {
		struct merkle_node nodes[260];
		unsigned cut_in = 1 + (unsigned)(random_next(&seed) % 12); /* about one leaf in so many ends a group */
		for (size_t i = 0; i < count; i++) {
			nodes[i].hash = hash_of_number(random_next(&seed));
			nodes[i].length = random_next(&seed) >> (random_next(&seed) % 64) >> 9;
			nodes[i].hash.bytes[24] = (uint8_t)(nodes[i].hash.bytes[24] | 1);
			if (random_next(&seed) % cut_in == 0)
				nodes[i].hash.bytes[24] = 0;
		}
		struct hash incremental = root_incrementally(nodes, count), whole;
		digest_root(&whole, nodes, count);
		struct hash expected = root_by_definition(nodes, count);
		assert_hash(&incremental, &expected);
		assert_hash(&whole, &expected);
	}
}

static void the_empty_list_is_zero_and_stays_zero_as_a_file(void **state)
{
	(void)state;
	struct hash root = root_incrementally(NULL, 0), file;
	assert_true(hash_is_zero(&root));
	digest_file(&file, &root);
	assert_true(hash_is_zero(&file));
}

static void verification_covers_the_raw_hashes_in_order(void **state)
{
	(void)state;
	size_t i, k;
	json_t *item, *chunk;
	json_array_foreach(json_object_get(vectors, "verification_hash"), i, item) {
		json_t *list = json_object_get(item, "chunks");
		struct hash chunks[16], actual, expected = vector_hash(item, "hash");
		assert_true(json_array_size(list) <= 16);
		json_array_foreach(list, k, chunk)
			chunks[k] = vector_hash_value(chunk);
		digest_verification(&actual, chunks, json_array_size(list));
		assert_hash(&actual, &expected);
	}
}

static void a_keyed_hash_hides_the_chunk_hash(void **state)
{
	(void)state;
	size_t i;
	json_t *item;
	json_array_foreach(json_object_get(vectors, "keyed_chunk_hash"), i, item) {
		struct hash chunk = vector_hash(item, "chunk"), key = vector_hash(item, "key_text"), actual;
		struct hash expected = vector_hash(item, "result");
		digest_keyed(&actual, key.bytes, &chunk);
		assert_hash(&actual, &expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_text_form_reads_four_little_endian_numbers),
		cmocka_unit_test(a_chunk_hash_is_keyed_with_the_data_key),
		cmocka_unit_test(a_node_covers_the_text_of_its_children),
		cmocka_unit_test(synthetic_lists_have_their_published_roots),
		cmocka_unit_test(lists_of_other_implementations_have_their_roots),
		cmocka_unit_test(an_incremental_root_is_the_root_by_definition),
		cmocka_unit_test(the_empty_list_is_zero_and_stays_zero_as_a_file),
		cmocka_unit_test(verification_covers_the_raw_hashes_in_order),
		cmocka_unit_test(a_keyed_hash_hides_the_chunk_hash),
	};
	vectors = vectors_load();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	json_decref(vectors);
	return failed;
}
