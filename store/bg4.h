/* bg4.h - byte grouping in fours: all bytes at index 0 mod 4, then 1, 2 and 3 mod 4.
 *
 * Numbers of 4 bytes compress better this way, since their high bytes resemble each other. The groups of n bytes
 * have ceil((n - k) / 4) bytes for k = 0..3. Pure functions; `in` and `out` do not overlap. */
#ifndef CAIRN_STORE_BG4_H
#define CAIRN_STORE_BG4_H

#include <stddef.h>
#include <stdint.h>

void bg4_group(uint8_t *out, const uint8_t *in, size_t length);
void bg4_ungroup(uint8_t *out, const uint8_t *in, size_t length);

#endif
