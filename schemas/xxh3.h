/* xxh3.h - the checksums of records and chunks: XXH3 of xxHash (https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md), with the widest vectors
 * that this CPU has. They guard against accidents of disk and memory, not against people.
 *
 * Any thread. */
#ifndef CAIRN_SCHEMAS_XXH3_H
#define CAIRN_SCHEMAS_XXH3_H

#include <stddef.h>
#include <stdint.h>

uint64_t xxh3_64(const void *data, size_t length, uint64_t seed);
/* In the canonical, big-endian form. */
void xxh3_128(uint8_t out[16], const void *data, size_t length);

#endif
