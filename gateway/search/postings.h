/* postings.h - which documents have a term: a set of numbers, kept in blocks.
 *
 * DESIGN. Documents are numbered from 0. A block covers BLOCK_DOCS of them and is, in memory, a bitmap, so that any combination of terms is a loop over words;
 * stored, it is the list of its numbers while there are few, else the bitmap. A term is stored block by block, each under a key of its own, so that adding
 * a document to a term that half the hub has writes half a kilobyte, and a set takes no memory where it is empty. Pure. */
#ifndef CAIRN_GATEWAY_SEARCH_POSTINGS_H
#define CAIRN_GATEWAY_SEARCH_POSTINGS_H

#include "schemas/buffer.h"

enum {
	BLOCK_DOCS = 4096,
	BLOCK_WORDS = BLOCK_DOCS / 64,
	BLOCK_BYTES = BLOCK_DOCS / 8,
	BLOCK_LIST_MAX = BLOCK_BYTES / 2 - 1, /* numbers of two bytes: always shorter than the bitmap */
};

struct block {
	uint64_t words[BLOCK_WORDS];
};

static inline bool block_has(const struct block *block, uint32_t doc)
{
	return block->words[doc % BLOCK_DOCS / 64] >> (doc % 64) & 1;
}

static inline void block_set(struct block *block, uint32_t doc, bool member)
{
	uint64_t bit = UINT64_C(1) << (doc % 64);
	if (member)
		block->words[doc % BLOCK_DOCS / 64] |= bit;
	else
		block->words[doc % BLOCK_DOCS / 64] &= ~bit;
}

uint32_t block_count(const struct block *block);
/* Bytes written to `out`: 0 for an empty block, which is not stored at all. */
size_t block_encode(const struct block *block, uint8_t out[BLOCK_BYTES]);
/* Adds what was encoded to `block`. False: malformed. */
bool block_decode(struct block *block, struct span bytes);

/* A set over documents 0 .. docs-1, all of it in memory. */
struct doc_set {
	uint32_t docs;
	size_t blocks_count;
	struct block *blocks; /* owned */
};
/* Empty. 0 or ERR_NO_MEMORY. */
int doc_set_init(struct doc_set *set, uint32_t docs);
void doc_set_fini(struct doc_set *set);
static inline bool doc_set_has(const struct doc_set *set, uint32_t doc)
{
	return doc < set->docs && block_has(&set->blocks[doc / BLOCK_DOCS], doc);
}
/* All three: sets over the same number of documents; the first one is changed. */
void doc_set_and(struct doc_set *set, const struct doc_set *other);
void doc_set_or(struct doc_set *set, const struct doc_set *other);
void doc_set_and_not(struct doc_set *set, const struct doc_set *other);
uint64_t doc_set_count(const struct doc_set *set);
/* The first member at or behind `doc`, or UINT32_MAX. */
uint32_t doc_set_next(const struct doc_set *set, uint32_t doc);

#endif
