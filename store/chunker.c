/* chunker.c - where a file is cut, and the same found inside the SHA-256 loop.
 *
 * DESIGN. A cut is allowed from size MIN on and the hash forgets a byte after 64 steps, so the first MIN - 64 - 1
 * bytes of a chunk need not be hashed at all: at size MIN the hash has then seen 65 bytes, as many as matter and one
 * more. Tests below MIN are not made, which is the whole difference to the protocol's older rule.
 *
 * The scan is unrolled by eight with one never-taken exit per byte, and goes through two stretches at once. A plain loop's
 * speed swings by a factor of two with where the linker puts it.
 *
 * With SHA-256 wanted too, the kernel marks every candidate of a run of 64-byte blocks in one bit mask a block: which
 * of them are cuts is decided afterwards, front to back, by the MIN and MAX rules. That is the same answer because a
 * candidate depends on the 64 bytes before it and not on where its chunk began. */
#include "store/chunker.h"

#include <assert.h>

#include "store/gear.h"
#include "store/sha256.h"
#include "store/sha256_kernel.h"

enum {
	SKIP_BYTES = CHUNK_BYTES_MIN - GEAR_WINDOW_BYTES - 1,
	LANE_BYTES = 2 << 10,
	BATCH_BLOCKS = 512, /* 32 KiB a batch: masks and data stay in the first-level cache */
};

void chunker_init(struct chunker *chunker)
{
	*chunker = (struct chunker){ 0 };
}

/* Rolls the hash over data[0..length) without looking for cuts. */
static uint64_t roll(uint64_t rolling, const uint8_t *data, size_t length)
{
	for (size_t i = 0; i < length; i++)
		rolling = (rolling << 1) + gear_table[data[i]];
	return rolling;
}

/* Rolls until a candidate; returns the bytes consumed, which is `length` with *found false when there is none. */
static size_t scan_one(uint64_t *rolling, const uint8_t *data, size_t length, bool *found)
{
	uint64_t h = *rolling;
	size_t i = 0;
	*found = true;
#define STEP(k)                                      \
	h = (h << 1) + gear_table[data[i + (k)]];    \
	if (__builtin_expect(h < GEAR_CUT_BELOW, 0)) \
		return i + (k) + 1;
	for (; i + 8 <= length; i += 8) {
		STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) STEP(6) STEP(7)
	}
	for (; i < length; i++) {
		STEP(0)
	}
#undef STEP
	*rolling = h;
	*found = false;
	return length;
}

/* The same over data[0..2 * LANE_BYTES), both halves in step: a step waits for the one before it, so one lane leaves the processor idle. The hash
 * at the second half's start is that of the 64 bytes before it. */
static size_t scan_two(uint64_t *rolling, const uint8_t *data, bool *found)
{
	const uint8_t *second = data + LANE_BYTES;
	uint64_t h = *rolling, g = roll(0, second - GEAR_WINDOW_BYTES, GEAR_WINDOW_BYTES), h_before, g_before;
	size_t i = 0, end;
#define STEP(k)                                                       \
	h = (h << 1) + gear_table[data[i + (k)]];                     \
	if (__builtin_expect(h < GEAR_CUT_BELOW, 0))                  \
		goto candidate;                                       \
	g = (g << 1) + gear_table[second[i + (k)]];                   \
	if (__builtin_expect(g < GEAR_CUT_BELOW, 0))                  \
		goto candidate;
	for (; i < LANE_BYTES; i += 8) {
		h_before = h;
		g_before = g;
		STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) STEP(6) STEP(7)
	}
#undef STEP
	*rolling = g;
	*found = false;
	return 2 * LANE_BYTES;

candidate: /* one of these eight pairs; where, is cheaper to find once than to keep track of. The first half's comes first. */
	end = i + scan_one(&h_before, data + i, LANE_BYTES - i, found);
	return *found ? end : LANE_BYTES + i + scan_one(&g_before, second + i, 8, found);
}

static size_t scan(uint64_t *rolling, const uint8_t *data, size_t length, bool *found)
{
	size_t at = 0;
	while (length - at >= 2 * LANE_BYTES) {
		at += scan_two(rolling, data + at, found);
		if (*found)
			return at;
	}
	return at + scan_one(rolling, data + at, length - at, found);
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t chunker_next(struct chunker *chunker, const uint8_t *data, size_t length, bool *cut)
{
	size_t used = 0;
	*cut = false;
	if (chunker->size < SKIP_BYTES) {
		used = smaller(length, SKIP_BYTES - chunker->size);
		chunker->size += used;
	}
	/* The byte that makes the size MIN is the first that may cut. */
	if (chunker->size < CHUNK_BYTES_MIN - 1) {
		size_t warm = smaller(length - used, CHUNK_BYTES_MIN - 1 - chunker->size);
		chunker->rolling = roll(chunker->rolling, data + used, warm);
		chunker->size += warm;
		used += warm;
	}
	size_t open = smaller(length - used, CHUNK_BYTES_MAX - chunker->size);
	bool found;
	size_t scanned = scan(&chunker->rolling, data + used, open, &found);
	chunker->size += scanned;
	used += scanned;
	if (found || chunker->size == CHUNK_BYTES_MAX) {
		*cut = true;
		chunker_init(chunker);
	}
	return used;
}

/* ------------------------------------------------------------------ fused with SHA-256 */

/* The cuts of one call, and where in its data the chunker stands. */
struct cut_list {
	uint32_t *ends;
	size_t count, max;
};

static void cut_at(struct cut_list *cuts, size_t end)
{
	assert(cuts->count < cuts->max);
	cuts->ends[cuts->count++] = (uint32_t)end;
}

/* The chunker alone over data[start..end). */
static void cut_alone(struct chunker *chunker, const uint8_t *data, size_t start, size_t end, struct cut_list *cuts)
{
	while (start < end) {
		bool cut;
		start += chunker_next(chunker, data + start, end - start, &cut);
		if (cut)
			cut_at(cuts, start);
	}
}

/* First candidate at or after bit `from` of the masks, as a bit number; `bits` if there is none. */
static size_t next_candidate(const uint64_t *masks, size_t from, size_t bits)
{
	if (from >= bits)
		return bits;
	size_t word = from / 64;
	uint64_t mask = masks[word] & ~UINT64_C(0) << from % 64;
	while (mask == 0) {
		if (++word == bits / 64)
			return bits;
		mask = masks[word];
	}
	return word * 64 + (size_t)__builtin_ctzll(mask);
}

/* Chooses the cuts among the candidates of data[start .. start + 64 * blocks). Keeps chunker->size; the kernel
 * keeps the rolling hash. */
static void select_cuts(struct chunker *chunker, const uint64_t *masks, size_t start, size_t blocks, struct cut_list *cuts)
{
	size_t bits = blocks * 64, at = 0; /* `at`: bytes of the batch already assigned to chunks */
	for (;;) {
		size_t first = chunker->size < CHUNK_BYTES_MIN - 1 ? CHUNK_BYTES_MIN - 1 - chunker->size : 0;
		size_t last = CHUNK_BYTES_MAX - 1 - chunker->size; /* the byte that must cut */
		size_t end = next_candidate(masks, at + first, bits);
		if (end > at + last)
			end = at + last;
		if (end >= bits)
			break;
		at = end + 1;
		cut_at(cuts, start + at);
		chunker->size = 0;
	}
	chunker->size += bits - at;
}

/* The kernel hashes through cuts, chunker_next starts each chunk from zero and skips: brings the former's hash to
 * what the latter would have. */
static void settle_rolling(struct chunker *chunker, uint64_t rolling, const uint8_t *end)
{
	chunker->rolling = rolling;
	if (chunker->size < CHUNK_BYTES_MIN) {
		size_t warm = chunker->size > SKIP_BYTES ? chunker->size - SKIP_BYTES : 0;
		chunker->rolling = roll(0, end - warm, warm);
	}
}

size_t chunker_scan_sha256(struct chunker *chunker, struct sha256_state *sha, const uint8_t *data, size_t length,
	uint32_t *cuts, size_t cuts_max)
{
	assert(length <= UINT32_MAX && cuts_max >= length / CHUNK_BYTES_MIN + 2);
	struct cut_list list = { .ends = cuts, .max = cuts_max };
	if (!sha256_kernel_usable()) {
		sha256_update(sha, data, length);
		cut_alone(chunker, data, 0, length, &list);
		return list.count;
	}
	/* Blocks of the message are 64 bytes from its start, wherever the calls split it. */
	size_t at = smaller((64 - sha->length % 64) % 64, length);
	sha256_update(sha, data, at);
	cut_alone(chunker, data, 0, at, &list);
	uint64_t masks[BATCH_BLOCKS];
	while (length - at >= 64) {
		size_t blocks = smaller((length - at) / 64, BATCH_BLOCKS);
		uint64_t rolling = chunker->rolling;
		sha256_kernel_blocks_gear(sha->words, data + at, blocks, &rolling, masks);
		sha->length += blocks * 64;
		select_cuts(chunker, masks, at, blocks, &list);
		at += blocks * 64;
		settle_rolling(chunker, rolling, data + at);
	}
	sha256_update(sha, data + at, length - at);
	cut_alone(chunker, data, at, length, &list);
	return list.count;
}
