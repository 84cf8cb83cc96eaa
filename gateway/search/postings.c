#include "gateway/search/postings.h"

#include <stdlib.h>

#include "schemas/error.h"
#include "schemas/little_endian.h"

uint32_t block_count(const struct block *block)
{
	uint32_t count = 0;
	for (size_t i = 0; i < BLOCK_WORDS; i++)
		count += (uint32_t)__builtin_popcountll(block->words[i]);
	return count;
}

size_t block_encode(const struct block *block, uint8_t out[BLOCK_BYTES])
{
	uint32_t count = block_count(block);
	size_t length = 0;
	if (count > BLOCK_LIST_MAX) {
		for (size_t i = 0; i < BLOCK_WORDS; i++)
			for (unsigned k = 0; k < 8; k++)
				out[length++] = (uint8_t)(block->words[i] >> (8 * k));
		return length;
	}
	for (size_t i = 0; i < BLOCK_WORDS; i++) {
		for (uint64_t word = block->words[i]; word; word &= word - 1) {
			size_t doc = i * 64 + (size_t)__builtin_ctzll(word);
			out[length++] = (uint8_t)(doc >> 8);
			out[length++] = (uint8_t)doc;
		}
	}
	return length;
}

bool block_decode(struct block *block, struct span bytes)
{
	if (bytes.length == BLOCK_BYTES) {
		for (size_t i = 0; i < BLOCK_WORDS; i++)
			block->words[i] |= le_read_u64(bytes.data + 8 * i);
		return true;
	}
	if (bytes.length > BLOCK_BYTES || bytes.length % 2 != 0)
		return false;
	for (size_t i = 0; i < bytes.length; i += 2) {
		uint32_t doc = (uint32_t)bytes.data[i] << 8 | bytes.data[i + 1];
		if (doc >= BLOCK_DOCS)
			return false;
		block_set(block, doc, true);
	}
	return true;
}

int doc_set_init(struct doc_set *set, uint32_t docs)
{
	set->docs = docs;
	set->blocks_count = (docs + BLOCK_DOCS - 1) / BLOCK_DOCS;
	set->blocks = calloc(set->blocks_count + 1, sizeof(*set->blocks));
	return set->blocks ? 0 : ERR_NO_MEMORY;
}

void doc_set_fini(struct doc_set *set)
{
	free(set->blocks);
	*set = (struct doc_set){ 0 };
}

void doc_set_and(struct doc_set *set, const struct doc_set *other)
{
	for (size_t b = 0; b < set->blocks_count; b++)
		for (size_t i = 0; i < BLOCK_WORDS; i++)
			set->blocks[b].words[i] &= other->blocks[b].words[i];
}

void doc_set_or(struct doc_set *set, const struct doc_set *other)
{
	for (size_t b = 0; b < set->blocks_count; b++)
		for (size_t i = 0; i < BLOCK_WORDS; i++)
			set->blocks[b].words[i] |= other->blocks[b].words[i];
}

void doc_set_and_not(struct doc_set *set, const struct doc_set *other)
{
	for (size_t b = 0; b < set->blocks_count; b++)
		for (size_t i = 0; i < BLOCK_WORDS; i++)
			set->blocks[b].words[i] &= ~other->blocks[b].words[i];
}

uint64_t doc_set_count(const struct doc_set *set)
{
	uint64_t count = 0;
	for (size_t b = 0; b < set->blocks_count; b++)
		count += block_count(&set->blocks[b]);
	return count;
}

uint32_t doc_set_next(const struct doc_set *set, uint32_t doc)
{
	for (size_t word = doc / 64, end = set->blocks_count * BLOCK_WORDS; word < end; word++) {
		uint64_t bits = set->blocks[word / BLOCK_WORDS].words[word % BLOCK_WORDS];
		if (word == doc / 64)
			bits &= ~UINT64_C(0) << (doc % 64);
		if (bits)
			return (uint32_t)(word * 64) + (uint32_t)__builtin_ctzll(bits);
	}
	return UINT32_MAX;
}
