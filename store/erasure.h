/* erasure.h - Reed-Solomon: m units of parity for k units of data, any k of all of which bring back the rest.
 *
 * The code is systematic (the first k units are the data) over GF(2^8) with the polynomial 0x11d. Unit i >= k is the sum over j < k of unit j divided by (i xor j):
 * a Cauchy matrix, every square part of which can be inverted. This defines what is stored, whatever library computes it (ISA-L).
 *
 * Pure; any thread. */
#ifndef CAIRN_STORE_ERASURE_H
#define CAIRN_STORE_ERASURE_H

#include <stddef.h>
#include <stdint.h>

#include "schemas/error.h"
#include "schemas/volume_record.h"

/* How units are made of k others. */
struct erasure_map {
	unsigned k, rows;
	uint8_t tables[32 * CODED_DATA_MAX * CODED_PARTS_MAX];
};
/* `from`: numbers of k different units; `wanted`: of `rows` units. ERR_INVALID: not those of a code of k + m. */
int erasure_map_init(struct erasure_map *out, unsigned k, unsigned m, const uint8_t *from, const uint8_t *wanted, unsigned rows);
/* `sources` in the order of `from`, `out` in that of `wanted`, `length` bytes each. */
void erasure_map_apply(const struct erasure_map *map, size_t length, uint8_t *const *sources, uint8_t *const *out);

#endif
