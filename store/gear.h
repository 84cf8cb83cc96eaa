/* gear.h - the gear rolling hash: h = (h << 1) + gear_table[byte], 64-bit wrapping.
 *
 * A byte leaves the hash after 64 steps, so the value depends on the last 64 bytes alone. The table is part of the
 * Xet format. */
#ifndef CAIRN_STORE_GEAR_H
#define CAIRN_STORE_GEAR_H

#include <stdint.h>

enum { GEAR_WINDOW_BYTES = 64 };

/* A place is a candidate for a cut when the 16 top bits of the hash are zero, that is when it is below this. */
#define GEAR_CUT_BELOW (UINT64_C(1) << 48)

extern const uint64_t gear_table[256];

#endif
