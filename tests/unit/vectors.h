/* vectors.h - the format vectors of tests/data/xet_vectors.json, and deterministic bytes, for unit tests.
 *
 * Any failure in here is a broken vector file: it asserts. */
#ifndef CAIRN_TESTS_VECTORS_H
#define CAIRN_TESTS_VECTORS_H

#include <assert.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/buffer.h"
#include "schemas/hash.h"

/* Bytes that a test owns; free data. */
struct bytes {
	uint8_t *data;
	size_t length;
};

static inline struct bytes bytes_make(size_t length)
{
	struct bytes bytes = { calloc(1, length + 1), length };
	assert(bytes.data);
	return bytes;
}

/* The next number of the splitmix64 sequence. */
static inline uint64_t random_next(uint64_t *state)
{
	*state += UINT64_C(0x9E3779B97F4A7C15);
	uint64_t z = *state;
	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

static inline struct bytes bytes_random(size_t length, uint64_t seed)
{
	struct bytes bytes = bytes_make(length);
	for (size_t i = 0; i < length; i += 8) {
		uint64_t word = random_next(&seed);
		memcpy(bytes.data + i, &word, length - i < 8 ? length - i : 8);
	}
	return bytes;
}

/* ------------------------------------------------------------------ the vector file */

static inline json_t *vectors_load(void)
{
	json_error_t error;
	json_t *root = json_load_file(TEST_DATA "/xet_vectors.json", 0, &error);
	assert(root);
	return root;
}

static inline const char *vector_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	assert(text);
	return text;
}

static inline size_t vector_size(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);
	assert(json_is_integer(value));
	return (size_t)json_integer_value(value);
}

static inline struct hash vector_hash_value(const json_t *text)
{
	struct hash hash;
	assert(json_is_string(text));
	int err = hash_from_text(&hash, json_string_value(text), json_string_length(text));
	assert(err == 0);
	return hash;
}

static inline struct hash vector_hash(const json_t *object, const char *key)
{
	return vector_hash_value(json_object_get(object, key));
}

static inline struct bytes vector_hex(const json_t *object, const char *key)
{
	const char *text = vector_text(object, key);
	struct bytes bytes = bytes_make(strlen(text) / 2);
	int err = hex_decode(bytes.data, bytes.length, text, strlen(text));
	assert(err == 0);
	return bytes;
}

static inline struct bytes vector_base64(const json_t *object, const char *key)
{
	const char *text = vector_text(object, key);
	struct bytes bytes = bytes_make(strlen(text));
	int err = sodium_base642bin(bytes.data, bytes.length, text, strlen(text), NULL, &bytes.length, NULL,
		sodium_base64_VARIANT_ORIGINAL);
	assert(err == 0);
	return bytes;
}

/* ------------------------------------------------------------------ inputs by generator */

static inline struct bytes trigger_input(const json_t *root, size_t pad, size_t length)
{
	struct bytes pattern = vector_hex(root, "trigger_pattern_hex");
	struct bytes bytes = bytes_make(length);
	size_t have = pattern.length + pad;
	assert(have <= length);
	memcpy(bytes.data, pattern.data, pattern.length);
	while (have < length) {
		size_t more = have < length - have ? have : length - have;
		memcpy(bytes.data + have, bytes.data, more);
		have += more;
	}
	free(pattern.data);
	return bytes;
}

static inline struct bytes ramp_input(const json_t *generator)
{
	struct bytes tail = vector_hex(generator, "tail_hex");
	size_t count = vector_size(generator, "count");
	struct bytes bytes = bytes_make(4 * count + tail.length);
	for (size_t i = 0; i < count; i++) {
		float value = (float)i / 1024.0f;
		memcpy(bytes.data + 4 * i, &value, 4);
	}
	memcpy(bytes.data + 4 * count, tail.data, tail.length);
	free(tail.data);
	return bytes;
}

static inline struct bytes vector_input(const json_t *root, const json_t *generator);

static inline struct bytes splice_input(const json_t *root, const json_t *generator)
{
	struct bytes base = { 0 }, insert = vector_hex(generator, "insert_hex");
	size_t i, at = vector_size(generator, "at");
	json_t *file;
	json_array_foreach(json_object_get(root, "files"), i, file) {
		if (strcmp(vector_text(file, "name"), vector_text(generator, "base")) == 0)
			base = vector_input(root, json_object_get(file, "gen"));
	}
	assert(base.data && at <= base.length);
	struct bytes bytes = bytes_make(base.length + insert.length);
	memcpy(bytes.data, base.data, at);
	memcpy(bytes.data + at, insert.data, insert.length);
	memcpy(bytes.data + at + insert.length, base.data + at, base.length - at);
	free(base.data);
	free(insert.data);
	return bytes;
}

static inline struct bytes vector_input(const json_t *root, const json_t *generator)
{
	const char *kind = vector_text(generator, "kind");
	if (strcmp(kind, "literal") == 0)
		return vector_hex(generator, "hex");
	if (strcmp(kind, "f32ramp") == 0)
		return ramp_input(generator);
	if (strcmp(kind, "splice") == 0)
		return splice_input(root, generator);
	size_t length = vector_size(generator, "size");
	if (strcmp(kind, "splitmix64") == 0)
		return bytes_random(length, vector_size(generator, "seed"));
	if (strcmp(kind, "trigger") == 0)
		return trigger_input(root, vector_size(generator, "pad"), length);
	struct bytes bytes = bytes_make(length);
	if (strcmp(kind, "const") == 0) {
		memset(bytes.data, (int)vector_size(generator, "byte"), length);
		return bytes;
	}
	assert(strcmp(kind, "affine") == 0);
	for (size_t i = 0; i < length; i++)
		bytes.data[i] = (uint8_t)(i * vector_size(generator, "a") + vector_size(generator, "b"));
	return bytes;
}

#endif
