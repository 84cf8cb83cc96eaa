/* byte_ranges.h - lists of byte ranges: of a Range header, and of what a data URL grants. Pure. */
#ifndef CAIRN_GATEWAY_XET_BYTE_RANGES_H
#define CAIRN_GATEWAY_XET_BYTE_RANGES_H

#include "schemas/buffer.h"
#include "schemas/error.h"

struct byte_range {
	uint64_t start, end; /* end exclusive */
};

/* "bytes=a-b,c-,-n" against an object of `length` bytes; ends are clipped, order is kept. Numbers up to 2^64-1. 0; ERR_INVALID: not understood, or
 * more than `count_max` ranges; ERR_RANGE: one of them begins at or behind the end. */
int byte_ranges_of_header(struct span header, uint64_t length, struct byte_range *out, size_t count_max, size_t *count);

/* "a-b,c-d", inclusive decimal numbers. 0 or ERR_INVALID. */
int byte_ranges_of_text(struct span text, struct byte_range *out, size_t count_max, size_t *count);

/* True if `inner` lies within one of `outer`. */
bool byte_range_within(struct byte_range inner, const struct byte_range *outer, size_t count);

#endif
