/* content.h - bytes to measure with, made from a seed: the same seed gives the same bytes in every program.
 *
 * Weights are float32 of a trained layer's spread: LZ4 gains nothing on them. Text is phrases and
 * words: it compresses to about a third. Content is made in blocks, so that any part of a large file can be made without the rest. */
#ifndef CAIRN_TESTS_BENCH_CONTENT_H
#define CAIRN_TESTS_BENCH_CONTENT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { CONTENT_BLOCK_BYTES = 1 << 20 };

enum content_kind { CONTENT_WEIGHTS, CONTENT_TEXT };

static inline uint64_t content_random(uint64_t *state)
{
	*state += UINT64_C(0x9E3779B97F4A7C15);
	uint64_t z = *state;
	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

/* Gaussian by the sum of four, scaled like a layer's weights; a fraction fills the mantissa, or LZ4 would find values again. */
static inline void content_weights(uint8_t *out, size_t length, uint64_t seed)
{
	for (size_t i = 0; i + 4 <= length; i += 4) {
		uint64_t word = content_random(&seed);
		int32_t sum = (int16_t)word + (int16_t)(word >> 16) + (int16_t)(word >> 32) + (int16_t)(word >> 48);
		float fraction = (float)(word * UINT64_C(0xD6E8FEB86659FD93) >> 40) * (1.0f / (1 << 24));
		float value = ((float)sum + fraction) * (0.02f / 32768.0f);
		memcpy(out + i, &value, 4);
	}
}

/* Known phrases with free words between them, as logs, JSON and prose have. */
static inline void content_text(uint8_t *out, size_t length, uint64_t seed)
{
	uint64_t phrase = 0;
	for (size_t at = 0, word = 0; at < length; word++) {
		if (word % 8 == 0)
			phrase = content_random(&seed) % 128;
		uint64_t word_seed = word % 8 < 6 ? phrase * 8 + word % 8 : content_random(&seed) % 65536;
		size_t letters = 2 + word_seed % 9;
		for (size_t i = 0; i < letters && at < length; i++)
			out[at++] = (uint8_t)('a' + content_random(&word_seed) % 26);
		if (at < length)
			out[at++] = ' ';
	}
}

/* Block `index` of the file that `seed` names. `length` is CONTENT_BLOCK_BYTES but for the last block; a multiple of 4. */
static inline void content_block(uint8_t *out, size_t length, enum content_kind kind, uint64_t seed, uint64_t index)
{
	uint64_t state = seed * UINT64_C(0xD1B54A32D192ED03) + index;
	uint64_t block_seed = content_random(&state);
	if (kind == CONTENT_TEXT)
		content_text(out, length, block_seed);
	else
		content_weights(out, length, block_seed);
}

/* 0 or -1. */
static inline int content_kind_parse(const char *name, enum content_kind *out)
{
	*out = strcmp(name, "text") == 0 ? CONTENT_TEXT : CONTENT_WEIGHTS;
	return *out == CONTENT_TEXT || strcmp(name, "weights") == 0 ? 0 : -1;
}

#endif
