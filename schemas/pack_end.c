#include "schemas/pack_end.h"

#include <stdlib.h>
#include <zlib.h>

enum {
	HEADER_BYTES = 12, /* "PACK", u32 version, u32 objects */
	TRAILER_BYTES = 20,
	OID_BYTES_IN_PACK = 20,
	VARINT_BYTES_MAX = 10,
	SCRATCH_BYTES = 32 << 10,
	TYPE_OFS_DELTA = 6,
	TYPE_REF_DELTA = 7,
};

enum state { STATE_HEADER, STATE_TYPE, STATE_OFFSET, STATE_BASE, STATE_DATA, STATE_TRAILER, STATE_WHOLE, STATE_BROKEN };

struct pack_end {
	enum state state;
	uint8_t header[HEADER_BYTES];
	size_t gathered;    /* bytes of the header, a varint, a base or the trailer that are behind us */
	uint64_t objects;   /* still to come, this one included */
	unsigned type;
	uint64_t size;      /* that the object says it has */
	z_stream zlib;
	uint8_t scratch[SCRATCH_BYTES];
};

struct pack_end *pack_end_open(void)
{
	struct pack_end *end = calloc(1, sizeof(*end));
	if (end && inflateInit(&end->zlib) != Z_OK) {
		free(end);
		return NULL;
	}
	return end;
}

void pack_end_close(struct pack_end *end)
{
	if (!end)
		return;
	inflateEnd(&end->zlib);
	free(end);
}

static void enter(struct pack_end *end, enum state state)
{
	end->state = state;
	end->gathered = 0;
	if (state == STATE_DATA)
		inflateReset(&end->zlib);
}

static uint32_t u32_at(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void next_object(struct pack_end *end)
{
	enter(end, end->objects ? STATE_TYPE : STATE_TRAILER);
}

static void take_header(struct pack_end *end, uint8_t byte)
{
	end->header[end->gathered++] = byte;
	if (end->gathered < HEADER_BYTES)
		return;
	uint32_t version = u32_at(end->header + 4);
	end->objects = u32_at(end->header + 8);
	if (memcmp(end->header, "PACK", 4) != 0 || (version != 2 && version != 3))
		end->state = STATE_BROKEN;
	else
		next_object(end);
}

/* Type in bits 4 to 6 of the first byte, size in the rest, lowest bits first; the top bit says that more follows. */
static void take_type(struct pack_end *end, uint8_t byte)
{
	if (end->gathered >= VARINT_BYTES_MAX) {
		end->state = STATE_BROKEN;
		return;
	}
	if (end->gathered == 0) {
		end->type = byte >> 4 & 7;
		end->size = byte & 15;
	} else {
		end->size |= (uint64_t)(byte & 127) << (4 + 7 * (end->gathered - 1));
	}
	end->gathered++;
	if (end->type == 0 || end->type == 5)
		end->state = STATE_BROKEN;
	else if (!(byte & 128))
		enter(end, end->type == TYPE_OFS_DELTA ? STATE_OFFSET : end->type == TYPE_REF_DELTA ? STATE_BASE : STATE_DATA);
}

static void take_offset(struct pack_end *end, uint8_t byte)
{
	if (++end->gathered > VARINT_BYTES_MAX)
		end->state = STATE_BROKEN;
	else if (!(byte & 128))
		enter(end, STATE_DATA);
}

static void take_counted(struct pack_end *end, size_t count, enum state next)
{
	if (++end->gathered == count)
		enter(end, next);
}

/* How many bytes of the front zlib took. */
static size_t take_data(struct pack_end *end, struct span bytes)
{
	z_stream *zlib = &end->zlib;
	zlib->next_in = (Bytef *)(uintptr_t)bytes.data; /* zlib does not write to it */
	zlib->avail_in = bytes.length > UINT32_MAX ? UINT32_MAX : (uInt)bytes.length;
	uInt given = zlib->avail_in;
	int result = Z_OK;
	while (result == Z_OK && (zlib->avail_in || zlib->avail_out == 0)) {
		zlib->next_out = end->scratch;
		zlib->avail_out = SCRATCH_BYTES;
		result = inflate(zlib, Z_NO_FLUSH);
		if (zlib->total_out > end->size)
			result = Z_DATA_ERROR;
	}
	zlib->avail_out = 1; /* the next call begins with an empty scratch */
	if (result == Z_STREAM_END && zlib->total_out == end->size) {
		end->objects--;
		next_object(end);
	} else if (result != Z_OK && result != Z_BUF_ERROR) {
		end->state = STATE_BROKEN;
	}
	return given - zlib->avail_in;
}

int pack_end_take(struct pack_end *end, struct span bytes, size_t *used)
{
	size_t at = 0;
	while (at < bytes.length && end->state < STATE_WHOLE) {
		if (end->state == STATE_DATA) {
			at += take_data(end, span_of(bytes.data + at, bytes.length - at));
			continue;
		}
		uint8_t byte = bytes.data[at++];
		switch (end->state) {
		case STATE_HEADER: take_header(end, byte); break;
		case STATE_TYPE: take_type(end, byte); break;
		case STATE_OFFSET: take_offset(end, byte); break;
		case STATE_BASE: take_counted(end, OID_BYTES_IN_PACK, STATE_DATA); break;
		default: take_counted(end, TRAILER_BYTES, STATE_WHOLE); break;
		}
	}
	*used = at;
	if (end->state == STATE_BROKEN)
		return ERR_CORRUPT;
	return end->state == STATE_WHOLE;
}
