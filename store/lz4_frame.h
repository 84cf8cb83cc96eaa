/* lz4_frame.h - one LZ4 frame from and to memory, within hard limits.
 *
 * The library's frame API keeps a context of up to 8 MiB for frames that announce large blocks and passes every
 * byte through it. Chunks are small and whole in memory, so here blocks are coded straight between the caller's
 * buffers. No allocation, no state, any thread. */
#ifndef CAIRN_STORE_LZ4_FRAME_H
#define CAIRN_STORE_LZ4_FRAME_H

#include <stddef.h>
#include <stdint.h>

enum {
	LZ4_FRAME_BYTES_MIN = 7 + 4 + 4, /* descriptor, one block's length, end mark */
	LZ4_FRAME_INPUT_BYTES_MAX = 256 << 10, /* of what lz4_frame_encode takes: one block */
};

/* Writes `in` as one frame of at most `capacity` bytes; 0 when it does not fit. Gives up early on bytes that do not
 * compress, so a capacity just below `length` makes an attempt cheap. */
size_t lz4_frame_encode(uint8_t *out, size_t capacity, const uint8_t *in, size_t length);

/* Decodes exactly one frame that fills `in` to exactly out[length]. Any block size, linked or independent blocks, any
 * checksums (which are then checked). No dictionaries, no skippable frames. 0 or ERR_CORRUPT. */
int lz4_frame_decode(uint8_t *out, size_t length, const uint8_t *in, size_t in_length);

#endif
