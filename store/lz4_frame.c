/* lz4_frame.c - the frame around LZ4 blocks.
 *
 * Layout: u32 magic, FLG, BD, [u64 content length], [u32 dictionary id], HC; then blocks, each u32 length (top bit:
 * stored as is), bytes, [u32 checksum]; then u32 0; then [u32 content checksum]. Checksums are XXH32 with seed 0,
 * HC is the second byte of the one over FLG..dictionary id.
 *
 * A dictionary id is refused although the block could be decodable without: other readers of the same bytes refuse
 * it, and a chunk that only we can read must not become the stored copy. */
#include "store/lz4_frame.h"

#include <lz4.h>
#include <stdbool.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "schemas/error.h"
#include "schemas/little_endian.h"

enum {
	FLG_VERSION_MASK = 0xc0,
	FLG_VERSION = 0x40,
	FLG_INDEPENDENT = 0x20,
	FLG_BLOCK_CHECKSUM = 0x10,
	FLG_CONTENT_LENGTH = 0x08,
	FLG_CONTENT_CHECKSUM = 0x04,
	FLG_RESERVED = 0x02,
	FLG_DICTIONARY = 0x01,
	BD_RESERVED = 0x8f,
	BD_BLOCK_ID_MIN = 4, /* 64 KiB; each step is four times more, up to 7: 4 MiB */
	BLOCK_ID_ENCODED = 5, /* 256 KiB: one block for any chunk */
	WINDOW_BYTES = 65536,
};
static const uint32_t frame_magic = 0x184d2204;
static const uint32_t block_stored = 0x80000000;

size_t lz4_frame_encode(uint8_t *out, size_t capacity, const uint8_t *in, size_t length)
{
	if (length == 0 || length > LZ4_FRAME_INPUT_BYTES_MAX || capacity <= LZ4_FRAME_BYTES_MIN)
		return 0;
	size_t room = capacity - LZ4_FRAME_BYTES_MIN;
	if (room > (size_t)LZ4_COMPRESSBOUND(LZ4_FRAME_INPUT_BYTES_MAX))
		room = (size_t)LZ4_COMPRESSBOUND(LZ4_FRAME_INPUT_BYTES_MAX);
	int block = LZ4_compress_default((const char *)in, (char *)out + 11, (int)length, (int)room);
	if (block <= 0)
		return 0;
	le_write_u32(out, frame_magic);
	out[4] = FLG_VERSION | FLG_INDEPENDENT;
	out[5] = BLOCK_ID_ENCODED << 4;
	out[6] = (uint8_t)(XXH32(out + 4, 2, 0) >> 8);
	le_write_u32(out + 7, (uint32_t)block);
	le_write_u32(out + 11 + block, 0);
	return LZ4_FRAME_BYTES_MIN + (size_t)block;
}

/* What is left of the frame. */
struct input {
	const uint8_t *at;
	size_t left;
};

/* The next `length` bytes, or NULL when there are fewer. */
static const uint8_t *take(struct input *in, size_t length)
{
	if (in->left < length)
		return NULL;
	const uint8_t *at = in->at;
	in->at += length;
	in->left -= length;
	return at;
}

static bool checksum_matches(struct input *in, const uint8_t *data, size_t length)
{
	const uint8_t *stored = take(in, 4);
	return stored && le_read_u32(stored) == XXH32(data, length, 0);
}

struct descriptor {
	uint8_t flags;
	size_t block_bytes_max;
};

static int descriptor_read(struct descriptor *out, struct input *in, size_t length)
{
	const uint8_t *magic = take(in, 4);
	const uint8_t *start = in->at;
	const uint8_t *fixed = take(in, 2);
	if (!magic || le_read_u32(magic) != frame_magic || !fixed)
		return ERR_CORRUPT;
	uint8_t flags = fixed[0], id = fixed[1] >> 4 & 7;
	if ((flags & FLG_VERSION_MASK) != FLG_VERSION || flags & (FLG_RESERVED | FLG_DICTIONARY))
		return ERR_CORRUPT;
	if (fixed[1] & BD_RESERVED || id < BD_BLOCK_ID_MIN)
		return ERR_CORRUPT;
	if (flags & FLG_CONTENT_LENGTH) {
		const uint8_t *content = take(in, 8);
		if (!content || le_read_u32(content) != length || le_read_u32(content + 4) != 0)
			return ERR_CORRUPT;
	}
	size_t described = (size_t)(in->at - start);
	const uint8_t *check = take(in, 1);
	if (!check || *check != (uint8_t)(XXH32(start, described, 0) >> 8))
		return ERR_CORRUPT;
	*out = (struct descriptor){ .flags = flags, .block_bytes_max = (size_t)1 << (8 + 2 * id) };
	return 0;
}

/* One block's bytes into out + *done, which may grow to `length`. */
static int block_decode(const struct descriptor *frame, uint8_t *out, size_t *done, size_t length, const uint8_t *block,
	size_t block_length, bool stored)
{
	size_t room = length - *done;
	if (room > frame->block_bytes_max)
		room = frame->block_bytes_max;
	if (stored) {
		if (block_length > room)
			return ERR_CORRUPT;
		memcpy(out + *done, block, block_length);
		*done += block_length;
		return 0;
	}
	const char *in = (const char *)block;
	char *to = (char *)out + *done;
	int got;
	if (frame->flags & FLG_INDEPENDENT) {
		got = LZ4_decompress_safe(in, to, (int)block_length, (int)room);
	} else {
		size_t window = *done < WINDOW_BYTES ? *done : WINDOW_BYTES;
		got = LZ4_decompress_safe_usingDict(in, to, (int)block_length, (int)room, to - window, (int)window);
	}
	if (got < 0)
		return ERR_CORRUPT;
	*done += (size_t)got;
	return 0;
}

int lz4_frame_decode(uint8_t *out, size_t length, const uint8_t *in, size_t in_length)
{
	struct input rest = { in, in_length };
	struct descriptor frame;
	if (length > INT32_MAX || descriptor_read(&frame, &rest, length))
		return ERR_CORRUPT;
	size_t done = 0;
	for (;;) {
		const uint8_t *prefix = take(&rest, 4);
		if (!prefix)
			return ERR_CORRUPT;
		uint32_t word = le_read_u32(prefix);
		if (word == 0)
			break;
		size_t block_length = word & ~block_stored;
		const uint8_t *block = block_length <= frame.block_bytes_max ? take(&rest, block_length) : NULL;
		if (!block)
			return ERR_CORRUPT;
		if (frame.flags & FLG_BLOCK_CHECKSUM && !checksum_matches(&rest, block, block_length))
			return ERR_CORRUPT;
		if (block_decode(&frame, out, &done, length, block, block_length, word & block_stored))
			return ERR_CORRUPT;
	}
	if (frame.flags & FLG_CONTENT_CHECKSUM && !checksum_matches(&rest, out, length))
		return ERR_CORRUPT;
	return done == length && rest.left == 0 ? 0 : ERR_CORRUPT;
}
