/* sha256.c - SHA-256 whose state is plain words.
 *
 * Whole blocks go to the own kernel when the CPU has SHA extensions, else to OpenSSL's block function, which picks the
 * best code for the CPU by itself. OpenSSL's low-level context is used as a carrier only: the words are copied in,
 * whole blocks pass, and the words are copied out, so nothing of it outlives a call. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "store/sha256.h"

#include <assert.h>
#include <openssl/sha.h>

#include "store/sha256_kernel.h"

enum { BLOCK_BYTES = 64, LENGTH_FIELD_OFFSET = 56 };

static void blocks_by_openssl(uint32_t words[8], const uint8_t *data, size_t blocks)
{
	SHA256_CTX context = { .md_len = SHA256_DIGEST_LENGTH };
	static_assert(sizeof(context.h) == 8 * sizeof(words[0]), "the same eight words");
	memcpy(context.h, words, sizeof(context.h));
	SHA256_Update(&context, data, blocks * BLOCK_BYTES);
	memcpy(words, context.h, sizeof(context.h));
}

static void absorb_blocks(uint32_t words[8], const uint8_t *data, size_t blocks)
{
	if (sha256_kernel_usable())
		sha256_kernel_blocks(words, data, blocks);
	else
		blocks_by_openssl(words, data, blocks);
}

void sha256_init(struct sha256_state *state)
{
	*state = (struct sha256_state){
		.words = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 },
	};
}

/* Fills the open block from data; returns the bytes taken. Afterwards the state is at a block's start or data is used up. */
static size_t fill_open_block(struct sha256_state *state, const uint8_t *data, size_t length)
{
	size_t open = state->length % BLOCK_BYTES;
	if (open == 0 || length == 0)
		return 0;
	size_t take = BLOCK_BYTES - open < length ? BLOCK_BYTES - open : length;
	memcpy(state->block + open, data, take);
	state->length += take;
	if (open + take == BLOCK_BYTES)
		absorb_blocks(state->words, state->block, 1);
	return take;
}

void sha256_update(struct sha256_state *state, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	size_t used = fill_open_block(state, bytes, length);
	size_t blocks = (length - used) / BLOCK_BYTES;
	if (blocks) {
		absorb_blocks(state->words, bytes + used, blocks);
		state->length += blocks * BLOCK_BYTES;
		used += blocks * BLOCK_BYTES;
	}
	if (used < length) {
		memcpy(state->block, bytes + used, length - used);
		state->length += length - used;
	}
}

void sha256_update2(struct sha256_state *a, const void *data_a, struct sha256_state *b, const void *data_b,
	size_t length)
{
	assert(a != b);
	const uint8_t *bytes_a = data_a, *bytes_b = data_b;
	size_t used_a = fill_open_block(a, bytes_a, length);
	size_t used_b = fill_open_block(b, bytes_b, length);
	size_t blocks_a = (length - used_a) / BLOCK_BYTES, blocks_b = (length - used_b) / BLOCK_BYTES;
	size_t blocks = blocks_a < blocks_b ? blocks_a : blocks_b;
	if (blocks && sha256_kernel_usable()) {
		sha256_kernel_blocks2(a->words, bytes_a + used_a, b->words, bytes_b + used_b, blocks);
		a->length += blocks * BLOCK_BYTES;
		b->length += blocks * BLOCK_BYTES;
		used_a += blocks * BLOCK_BYTES;
		used_b += blocks * BLOCK_BYTES;
	}
	sha256_update(a, bytes_a + used_a, length - used_a);
	sha256_update(b, bytes_b + used_b, length - used_b);
}

void sha256_final(struct sha256_state *state, struct sha256 *out)
{
	size_t open = state->length % BLOCK_BYTES;
	state->block[open++] = 0x80;
	if (open > LENGTH_FIELD_OFFSET) {
		memset(state->block + open, 0, BLOCK_BYTES - open);
		absorb_blocks(state->words, state->block, 1);
		open = 0;
	}
	memset(state->block + open, 0, LENGTH_FIELD_OFFSET - open);
	uint64_t bits = state->length * 8;
	for (size_t i = 0; i < 8; i++)
		state->block[LENGTH_FIELD_OFFSET + i] = (uint8_t)(bits >> (56 - 8 * i));
	absorb_blocks(state->words, state->block, 1);
	for (size_t i = 0; i < HASH_BYTES; i++)
		out->bytes[i] = (uint8_t)(state->words[i / 4] >> (24 - 8 * (i % 4)));
}

void sha256_of(struct sha256 *out, const void *data, size_t length)
{
	struct sha256_state state;
	sha256_init(&state);
	sha256_update(&state, data, length);
	sha256_final(&state, out);
}
