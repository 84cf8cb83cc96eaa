/* xorb_footer.c - the V1 footer: every hash and end of a xorb, found by one read from its tail.
 *
 * Three sections, a directory and a length; byte table in docs/formats.md. Its size follows from the number of
 * chunks, so the parser computes where everything must be and checks that it is, instead of following offsets. */
#include "store/xorb.h"

#include <stdlib.h>

#include "schemas/little_endian.h"

enum {
	IDENT_BYTES = 7,
	XORB_SECTION_BYTES = IDENT_BYTES + 1 + HASH_BYTES,
	SECTION_HEAD_BYTES = IDENT_BYTES + 1 + 4, /* ident, version, number of chunks */
	DIRECTORY_BYTES = 12,
	RESERVED_BYTES = 16,
	LENGTH_BYTES = 4,
	BYTES_PER_CHUNK = HASH_BYTES + 8,
	XORB_SECTION_VERSION = 1,
	HASHES_SECTION_VERSION = 0,
	BOUNDS_SECTION_VERSION = 1,
};
static const char xorb_ident[] = "XETBLOB";
static const char hashes_ident[] = "XBLBHSH";
static const char bounds_ident[] = "XBLBBND";

/* Where the parts of a footer with `count` chunks lie, from the footer's start. */
struct layout {
	size_t hashes, bounds, directory, end; /* `end`: of what the final length counts */
};

static struct layout layout_of(size_t count)
{
	struct layout layout = { .hashes = XORB_SECTION_BYTES };
	layout.bounds = layout.hashes + SECTION_HEAD_BYTES + HASH_BYTES * count;
	layout.directory = layout.bounds + SECTION_HEAD_BYTES + 8 * count;
	layout.end = layout.directory + DIRECTORY_BYTES + RESERVED_BYTES;
	return layout;
}

static void head_write(uint8_t *at, const char *ident, uint8_t version)
{
	memcpy(at, ident, IDENT_BYTES);
	at[IDENT_BYTES] = version;
}

static bool head_is(const uint8_t *at, const char *ident, uint8_t version)
{
	return memcmp(at, ident, IDENT_BYTES) == 0 && at[IDENT_BYTES] == version;
}

int xorb_footer_encode(struct buffer *out, const struct hash *xorb, const struct xorb_chunk *chunks, uint32_t count)
{
	if (count == 0 || count > XORB_CHUNKS_MAX)
		return ERR_INVALID;
	struct layout layout = layout_of(count);
	uint8_t *at = buffer_reserve(out, layout.end + LENGTH_BYTES);
	if (!at)
		return out->limit - out->length < layout.end + LENGTH_BYTES ? ERR_TOO_BIG : ERR_NO_MEMORY;
	memset(at, 0, layout.end + LENGTH_BYTES);
	head_write(at, xorb_ident, XORB_SECTION_VERSION);
	memcpy(at + IDENT_BYTES + 1, xorb->bytes, HASH_BYTES);
	head_write(at + layout.hashes, hashes_ident, HASHES_SECTION_VERSION);
	le_write_u32(at + layout.hashes + IDENT_BYTES + 1, count);
	head_write(at + layout.bounds, bounds_ident, BOUNDS_SECTION_VERSION);
	le_write_u32(at + layout.bounds + IDENT_BYTES + 1, count);
	uint8_t *hashes = at + layout.hashes + SECTION_HEAD_BYTES;
	uint8_t *body_ends = at + layout.bounds + SECTION_HEAD_BYTES;
	uint8_t *raw_ends = body_ends + 4 * (size_t)count;
	for (uint32_t i = 0; i < count; i++) {
		memcpy(hashes + (size_t)i * HASH_BYTES, chunks[i].hash.bytes, HASH_BYTES);
		le_write_u32(body_ends + 4 * (size_t)i, chunks[i].body_end);
		le_write_u32(raw_ends + 4 * (size_t)i, chunks[i].raw_end);
	}
	le_write_u32(at + layout.directory, count);
	le_write_u32(at + layout.directory + 4, (uint32_t)(layout.end - layout.hashes));
	le_write_u32(at + layout.directory + 8, (uint32_t)(layout.end - layout.bounds));
	le_write_u32(at + layout.end, (uint32_t)layout.end);
	out->length += layout.end + LENGTH_BYTES;
	return 0;
}

/* Ends must rise by what a chunk can be. */
static bool chunks_are_ordered(const struct xorb_chunk *chunks, uint32_t count)
{
	uint32_t body = 0, raw = 0;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t body_length = chunks[i].body_end - body, raw_length = chunks[i].raw_end - raw;
		if (chunks[i].body_end <= body || chunks[i].raw_end <= raw)
			return false;
		if (body_length <= XORB_CHUNK_HEADER_BYTES || body_length > XORB_CHUNK_HEADER_BYTES + XORB_PAYLOAD_BYTES_MAX)
			return false;
		if (raw_length > CHUNK_BYTES_MAX)
			return false;
		body = chunks[i].body_end;
		raw = chunks[i].raw_end;
	}
	return true;
}

/* Finds the footer at the end of `bytes` and checks all of it except the tables. */
static int footer_locate(struct span bytes, const uint8_t **footer, uint32_t *count, struct why *why)
{
	if (bytes.length < XORB_FOOTER_FIXED_BYTES + LENGTH_BYTES)
		return why_set(why, ERR_CORRUPT, "%zu bytes are too few for a xorb footer", bytes.length);
	uint32_t length = le_read_u32(bytes.data + bytes.length - LENGTH_BYTES);
	if (length < XORB_FOOTER_FIXED_BYTES || length > bytes.length - LENGTH_BYTES)
		return why_set(why, ERR_CORRUPT, "a xorb footer of %u bytes does not fit", length);
	uint32_t n = (length - XORB_FOOTER_FIXED_BYTES) / BYTES_PER_CHUNK;
	if (n == 0 || n > XORB_CHUNKS_MAX || (length - XORB_FOOTER_FIXED_BYTES) % BYTES_PER_CHUNK != 0)
		return why_set(why, ERR_CORRUPT, "no number of chunks makes a xorb footer of %u bytes", length);
	struct layout layout = layout_of(n);
	const uint8_t *at = bytes.data + bytes.length - LENGTH_BYTES - length;
	bool heads = head_is(at, xorb_ident, XORB_SECTION_VERSION) &&
		head_is(at + layout.hashes, hashes_ident, HASHES_SECTION_VERSION) &&
		head_is(at + layout.bounds, bounds_ident, BOUNDS_SECTION_VERSION);
	if (!heads)
		return why_set(why, ERR_CORRUPT, "not a version 1 xorb footer");
	bool counts = le_read_u32(at + layout.hashes + IDENT_BYTES + 1) == n &&
		le_read_u32(at + layout.bounds + IDENT_BYTES + 1) == n && le_read_u32(at + layout.directory) == n;
	bool directory = le_read_u32(at + layout.directory + 4) == layout.end - layout.hashes &&
		le_read_u32(at + layout.directory + 8) == layout.end - layout.bounds;
	if (!counts || !directory)
		return why_set(why, ERR_CORRUPT, "the xorb footer contradicts itself");
	*footer = at;
	*count = n;
	return 0;
}

int xorb_footer_parse(struct span bytes, struct hash *xorb, struct xorb_chunk **chunks, uint32_t *count, struct why *why)
{
	const uint8_t *at = NULL;
	uint32_t n = 0;
	int err = footer_locate(bytes, &at, &n, why);
	if (err)
		return err;
	struct layout layout = layout_of(n);
	const uint8_t *hashes = at + layout.hashes + SECTION_HEAD_BYTES;
	const uint8_t *body_ends = at + layout.bounds + SECTION_HEAD_BYTES;
	const uint8_t *raw_ends = body_ends + 4 * (size_t)n;
	struct xorb_chunk *table = calloc(n, sizeof(*table));
	if (!table)
		return why_set(why, ERR_NO_MEMORY, "no memory for the chunk table");
	for (uint32_t i = 0; i < n; i++) {
		memcpy(table[i].hash.bytes, hashes + (size_t)i * HASH_BYTES, HASH_BYTES);
		table[i].body_end = le_read_u32(body_ends + 4 * (size_t)i);
		table[i].raw_end = le_read_u32(raw_ends + 4 * (size_t)i);
	}
	if (!chunks_are_ordered(table, n)) {
		free(table);
		return why_set(why, ERR_CORRUPT, "the ends in the xorb footer do not rise as chunks can");
	}
	memcpy(xorb->bytes, at + IDENT_BYTES + 1, HASH_BYTES);
	*chunks = table;
	*count = n;
	return 0;
}
