/* digest.h - the hashes of the Xet format: chunk, Merkle node, xorb, file, verification and keyed hashes.
 *
 * Keyed BLAKE3 everywhere (keys and rules: docs/formats.md, from the public Xet protocol). Pure functions,
 * callable from any thread. */
#ifndef CAIRN_STORE_DIGEST_H
#define CAIRN_STORE_DIGEST_H

#include "schemas/buffer.h"
#include "schemas/hash.h"

/* Hash of one chunk's raw bytes. One BLAKE3 update per call: give whole chunks. */
void digest_chunk(struct hash *out, const void *data, size_t length);

/* One node of the Merkle aggregation: a hash and the raw bytes below it. */
struct merkle_node {
	struct hash hash;
	uint64_t length;
};

/* Incremental Merkle aggregation: feed leaves in order, read the root at the end. Memory grows with the logarithm
 * of the number of leaves, not with the number. Same root as the whole-list definition. */
struct merkle;
/* 0 or ERR_NO_MEMORY. */
int merkle_open(struct merkle **out);
void merkle_close(struct merkle *merkle);
void merkle_add(struct merkle *merkle, const struct hash *leaf, uint64_t length);
/* Root over all leaves so far: all-zero for none, the leaf itself for one. May be called once, at the end. */
void merkle_root(struct merkle *merkle, struct hash *out);

/* Root over a whole list (xorb hash when the nodes are a xorb's chunks). */
void digest_root(struct hash *out, const struct merkle_node *nodes, size_t count);

/* File hash from a Merkle root: keyed with 32 zero bytes; the zero root (empty file) stays zero. */
void digest_file(struct hash *out, const struct hash *root);

/* Verification hash of a term: over the concatenated raw hashes of its chunks. */
void digest_verification(struct hash *out, const struct hash *chunks, size_t count);

/* Keyed chunk hash, as dedup answers carry it. */
void digest_keyed(struct hash *out, const uint8_t key[HASH_BYTES], const struct hash *chunk);

#endif
