/* xorb_chunk.c - one chunk of a xorb: its header, its three encodings and their limits. */
#include "store/xorb.h"

#include <assert.h>

#include "schemas/little_endian.h"
#include "schemas/xxh3.h"
#include "store/bg4.h"
#include "store/lz4_frame.h"

enum { CHUNK_VERSION = 0 };

uint64_t xorb_chunk_check(const uint8_t header[XORB_CHUNK_HEADER_BYTES], const uint8_t *payload, size_t payload_length)
{
	return xxh3_64(payload, payload_length, le_read_u64(header));
}

static void header_write(uint8_t *out, const struct xorb_chunk_header *header)
{
	out[0] = CHUNK_VERSION;
	le_write_u24(out + 1, header->payload_length);
	out[4] = (uint8_t)header->scheme;
	le_write_u24(out + 5, header->raw_length);
}

/* Payload bytes, or 0 when `scheme` does not fit the capacity. */
static size_t payload_encode(uint8_t *out, size_t capacity, enum xorb_scheme scheme, const uint8_t *raw, size_t length)
{
	uint8_t grouped[CHUNK_BYTES_MAX];
	switch (scheme) {
	case XORB_NONE:
		if (capacity < length)
			return 0;
		memcpy(out, raw, length);
		return length;
	case XORB_LZ4:
		return lz4_frame_encode(out, capacity, raw, length);
	case XORB_BG4_LZ4:
		bg4_group(grouped, raw, length);
		return lz4_frame_encode(out, capacity, grouped, length);
	}
	return 0;
}

size_t xorb_chunk_encode_as(uint8_t *out, size_t capacity, enum xorb_scheme scheme, const uint8_t *raw, size_t length)
{
	assert(length >= 1 && length <= CHUNK_BYTES_MAX);
	if (capacity < XORB_CHUNK_HEADER_BYTES)
		return 0;
	size_t room = capacity - XORB_CHUNK_HEADER_BYTES;
	/* Compression that saves nothing only costs the reader: the cap also ends the attempt early. */
	if (scheme != XORB_NONE && room > length - 1)
		room = length - 1;
	size_t payload = payload_encode(out + XORB_CHUNK_HEADER_BYTES, room, scheme, raw, length);
	if (payload == 0)
		return 0;
	struct xorb_chunk_header header = { (uint32_t)payload, (uint32_t)length, scheme };
	header_write(out, &header);
	return XORB_CHUNK_HEADER_BYTES + payload;
}

size_t xorb_chunk_encode(uint8_t *out, const uint8_t *raw, size_t length)
{
	size_t capacity = XORB_CHUNK_HEADER_BYTES + length;
	size_t written = xorb_chunk_encode_as(out, capacity, XORB_LZ4, raw, length);
	return written ? written : xorb_chunk_encode_as(out, capacity, XORB_NONE, raw, length);
}

int xorb_chunk_header_parse(struct xorb_chunk_header *out, const uint8_t bytes[XORB_CHUNK_HEADER_BYTES], struct why *why)
{
	uint32_t payload = le_read_u24(bytes + 1), raw = le_read_u24(bytes + 5);
	if (bytes[0] != CHUNK_VERSION)
		return why_set(why, ERR_CORRUPT, "chunk header version %u is not known", bytes[0]);
	if (bytes[4] > XORB_BG4_LZ4)
		return why_set(why, ERR_CORRUPT, "compression scheme %u is not known", bytes[4]);
	if (raw == 0 || raw > CHUNK_BYTES_MAX)
		return why_set(why, ERR_CORRUPT, "a chunk of %u bytes is outside 1..%d", raw, CHUNK_BYTES_MAX);
	if (payload == 0 || payload > XORB_PAYLOAD_BYTES_MAX)
		return why_set(why, ERR_CORRUPT, "a payload of %u bytes is outside 1..%d", payload, XORB_PAYLOAD_BYTES_MAX);
	if (bytes[4] == XORB_NONE && payload != raw)
		return why_set(why, ERR_CORRUPT, "a stored chunk of %u bytes has a payload of %u", raw, payload);
	*out = (struct xorb_chunk_header){ payload, raw, (enum xorb_scheme)bytes[4] };
	return 0;
}

int xorb_chunk_decode(uint8_t *raw, const struct xorb_chunk_header *header, const uint8_t *payload, struct why *why)
{
	uint8_t grouped[CHUNK_BYTES_MAX];
	int err = ERR_CORRUPT;
	assert(header->raw_length <= CHUNK_BYTES_MAX);
	switch (header->scheme) {
	case XORB_NONE:
		memcpy(raw, payload, header->raw_length);
		return 0;
	case XORB_LZ4:
		err = lz4_frame_decode(raw, header->raw_length, payload, header->payload_length);
		break;
	case XORB_BG4_LZ4:
		err = lz4_frame_decode(grouped, header->raw_length, payload, header->payload_length);
		if (err == 0)
			bg4_ungroup(raw, grouped, header->raw_length);
		break;
	}
	if (err)
		return why_set(why, err, "the payload is not one LZ4 frame of %u bytes", header->raw_length);
	return 0;
}
