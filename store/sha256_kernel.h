/* sha256_kernel.h - SHA-256 over whole blocks with the x86 SHA extensions: one stream, two, or one with the gear hash.
 *
 * One stream leaves the machine half idle: each pair of rounds waits four cycles for the one before. Two streams, or
 * one stream and the gear hash, fill the gaps and cost little more than one stream alone. Call only when
 * sha256_kernel_usable(). `words` is the state in FIPS 180-4 order. */
#ifndef CAIRN_STORE_SHA256_KERNEL_H
#define CAIRN_STORE_SHA256_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The CPU has what the kernels need, and sha256_force_portable is not in effect. */
bool sha256_kernel_usable(void);

void sha256_kernel_blocks(uint32_t words[8], const uint8_t *data, size_t blocks);
void sha256_kernel_blocks2(uint32_t words_a[8], const uint8_t *data_a, uint32_t words_b[8], const uint8_t *data_b,
	size_t blocks);
/* Also rolls the gear hash over the bytes: bit i of masks[b] is set when byte i of block b ends a candidate. */
void sha256_kernel_blocks_gear(uint32_t words[8], const uint8_t *data, size_t blocks, uint64_t *rolling,
	uint64_t *masks);

#endif
