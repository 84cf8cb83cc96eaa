/* chunked.c - the chunked decoder of parser.h: a byte machine for the framing, memmove for the data. */
#include "gateway/http/parser.h"

enum chunk_state {
	CHUNK_SIZE,
	CHUNK_EXTENSION,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_TRAILER_START,
	CHUNK_TRAILER_NAME,
	CHUNK_TRAILER_VALUE,
	CHUNK_TRAILER_LF,
	CHUNK_END_LF,
};

static int digit_of(uint8_t byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	uint8_t lower = byte | 0x20;
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static int step_size(struct chunk_decoder *decoder, uint8_t byte)
{
	int digit = digit_of(byte);
	if (digit >= 0) {
		if (decoder->count++ == CHUNK_SIZE_DIGITS_MAX)
			return 400;
		decoder->remaining = decoder->remaining << 4 | (uint64_t)digit;
		return decoder->remaining > INT64_MAX ? 400 : 0;
	}
	if (decoder->count == 0 || (byte != ';' && byte != '\r'))
		return 400;
	decoder->state = byte == ';' ? CHUNK_EXTENSION : CHUNK_SIZE_LF;
	decoder->count = 0;
	return 0;
}

static int step_extension(struct chunk_decoder *decoder, uint8_t byte)
{
	if (byte == '\r') {
		decoder->state = CHUNK_SIZE_LF;
		decoder->count = 0;
		return 0;
	}
	if ((byte < 0x20 && byte != '\t') || byte == 0x7f || decoder->count++ == CHUNK_EXTENSION_BYTES_MAX)
		return 400;
	return 0;
}

static int step_trailer_start(struct chunk_decoder *decoder, uint8_t byte)
{
	if (byte == '\r') {
		decoder->state = CHUNK_END_LF;
		return 0;
	}
	decoder->state = CHUNK_TRAILER_NAME;
	decoder->name = 1;
	return is_token_byte(byte) ? 0 : 400;
}

static int step_trailer_name(struct chunk_decoder *decoder, uint8_t byte)
{
	if (byte == ':') {
		decoder->state = CHUNK_TRAILER_VALUE;
		return 0;
	}
	if (!is_token_byte(byte))
		return 400;
	return ++decoder->name > HEAD_NAME_BYTES_MAX ? 431 : 0;
}

static int step_trailer_value(struct chunk_decoder *decoder, uint8_t byte)
{
	if (byte == '\r')
		decoder->state = CHUNK_TRAILER_LF;
	else if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
		return 400;
	return 0;
}

/* One byte of trailer section; counts it against the limit. */
static int step_trailer(struct chunk_decoder *decoder, uint8_t byte)
{
	if (++decoder->trailers > CHUNK_TRAILERS_BYTES_MAX)
		return 431;
	switch (decoder->state) {
	case CHUNK_TRAILER_START:
		return step_trailer_start(decoder, byte);
	case CHUNK_TRAILER_NAME:
		return step_trailer_name(decoder, byte);
	case CHUNK_TRAILER_VALUE:
		return step_trailer_value(decoder, byte);
	case CHUNK_TRAILER_LF:
		decoder->state = CHUNK_TRAILER_START;
		return byte == '\n' ? 0 : 400;
	default:
		decoder->done = true;
		return byte == '\n' ? 0 : 400;
	}
}

/* One byte of framing. */
static int step(struct chunk_decoder *decoder, uint8_t byte)
{
	switch (decoder->state) {
	case CHUNK_SIZE:
		return step_size(decoder, byte);
	case CHUNK_EXTENSION:
		return step_extension(decoder, byte);
	case CHUNK_SIZE_LF:
		decoder->state = decoder->remaining ? CHUNK_DATA : CHUNK_TRAILER_START;
		return byte == '\n' ? 0 : 400;
	case CHUNK_DATA_CR:
		decoder->state = CHUNK_DATA_LF;
		return byte == '\r' ? 0 : 400;
	case CHUNK_DATA_LF:
		decoder->state = CHUNK_SIZE;
		return byte == '\n' ? 0 : 400;
	default:
		return step_trailer(decoder, byte);
	}
}

int chunk_decode(struct chunk_decoder *decoder, uint8_t *data, size_t length, size_t *consumed, size_t *produced)
{
	size_t in = 0, out = 0;
	int status = 0;
	while (in < length && !decoder->done && !status) {
		if (decoder->state != CHUNK_DATA) {
			status = step(decoder, data[in++]);
			continue;
		}
		size_t take = length - in < decoder->remaining ? length - in : (size_t)decoder->remaining;
		if (in != out)
			memmove(data + out, data + in, take);
		in += take;
		out += take;
		decoder->remaining -= take;
		if (decoder->remaining == 0)
			decoder->state = CHUNK_DATA_CR;
	}
	*consumed = in;
	*produced = out;
	return status;
}
