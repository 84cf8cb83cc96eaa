/* chunker.h - content-defined chunking: where a file is cut.
 *
 * Gear rolling hash, target 64 KiB, 8 KiB..128 KiB (Xet protocol, the modern rule: a cut needs size >= MIN).
 * Cutting depends on the bytes alone, never on how they were fed in. */
#ifndef CAIRN_STORE_CHUNKER_H
#define CAIRN_STORE_CHUNKER_H

#include "schemas/buffer.h"

enum {
	CHUNK_BYTES_MIN = 8192,
	CHUNK_BYTES_TARGET = 65536,
	CHUNK_BYTES_MAX = 131072,
};

struct chunker {
	uint64_t rolling; /* gear state over the last 64 bytes */
	size_t size;      /* bytes of the open chunk seen so far */
};

void chunker_init(struct chunker *chunker);

/* Scans `data`. Returns how many bytes of it belong to the open chunk up to and including a cut, and sets
 * *cut; without a cut the whole length is consumed. Call again with the rest. At end of file the caller closes
 * the last chunk itself (chunker->size bytes, if not 0) and calls chunker_init. */
size_t chunker_next(struct chunker *chunker, const uint8_t *data, size_t length, bool *cut);

/* SHA-256 and gear scan of the same bytes in one loop (x86-64 with SHA extensions; elsewhere one after the other).
 * `sha` absorbs all of `data`; the cuts that chunker_next would have found are appended to cuts[] as end offsets
 * in `data`. Returns the number of cuts; cuts_max must be at least length / CHUNK_BYTES_MIN + 2. */
struct sha256_state;
size_t chunker_scan_sha256(struct chunker *chunker, struct sha256_state *sha, const uint8_t *data, size_t length,
	uint32_t *cuts, size_t cuts_max);

#endif
