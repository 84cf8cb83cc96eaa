/* sha256.h - SHA-256 with a state that can be advanced by the fused kernel.
 *
 * On x86-64 with SHA extensions: own kernel (one or two streams); elsewhere OpenSSL's. One object, one thread. */
#ifndef CAIRN_STORE_SHA256_H
#define CAIRN_STORE_SHA256_H

#include "schemas/hash.h"

struct sha256_state {
	uint32_t words[8];
	uint64_t length;       /* bytes absorbed */
	uint8_t block[64];     /* the open block */
};

void sha256_init(struct sha256_state *state);
void sha256_update(struct sha256_state *state, const void *data, size_t length);
void sha256_final(struct sha256_state *state, struct sha256 *out);
/* Two independent messages at once: `length` bytes each, interleaved for the CPU's sake. */
void sha256_update2(struct sha256_state *a, const void *data_a, struct sha256_state *b, const void *data_b,
	size_t length);
/* Forces the portable path (tests). */
void sha256_force_portable(bool portable);
void sha256_of(struct sha256 *out, const void *data, size_t length);

#endif
