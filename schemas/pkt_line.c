#include "schemas/pkt_line.h"

#include <stdarg.h>
#include <stdio.h>

#include "schemas/error.h"

enum { FORMATTED_BYTES_MAX = 2048 };

static int digit_of(uint8_t byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	if (byte >= 'a' && byte <= 'f')
		return byte - 'a' + 10;
	return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

int pkt_next(struct span *rest, struct pkt *out)
{
	size_t length = 0;
	for (size_t i = 0; i < PKT_HEADER_BYTES; i++) {
		if (i == rest->length)
			return 0;
		int digit = digit_of(rest->data[i]);
		if (digit < 0)
			return ERR_CORRUPT;
		length = length * 16 + (size_t)digit;
	}
	if (length == 3 || length > PKT_BYTES_MAX)
		return ERR_CORRUPT;
	if (length < PKT_HEADER_BYTES) {
		static const enum pkt_kind kinds[] = { PKT_FLUSH, PKT_DELIMITER, PKT_END };
		*out = (struct pkt){ .kind = kinds[length] };
		length = PKT_HEADER_BYTES;
	} else {
		if (rest->length < length)
			return 0;
		*out = (struct pkt){ .kind = PKT_LINE, .payload = span_of(rest->data + PKT_HEADER_BYTES, length - PKT_HEADER_BYTES) };
	}
	*rest = span_of(rest->data + length, rest->length - length);
	return 1;
}

struct span pkt_text(const struct pkt *pkt)
{
	struct span text = pkt->payload;
	if (text.length && text.data[text.length - 1] == '\n')
		text.length--;
	return text;
}

static void append_header(struct buffer *out, size_t payload_length)
{
	buffer_printf(out, "%04zx", payload_length + PKT_HEADER_BYTES);
}

int pkt_append(struct buffer *out, struct span payload)
{
	if (payload.length > PKT_PAYLOAD_BYTES_MAX) {
		out->failed = true;
		return ERR_TOO_BIG;
	}
	append_header(out, payload.length);
	return buffer_append(out, payload.data, payload.length);
}

int pkt_printf(struct buffer *out, const char *format, ...)
{
	char text[FORMATTED_BYTES_MAX];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (length < 0 || length >= FORMATTED_BYTES_MAX) {
		out->failed = true;
		return ERR_TOO_BIG;
	}
	return pkt_append(out, span_of(text, (size_t)length));
}

int pkt_append_flush(struct buffer *out)
{
	return buffer_append(out, "0000", PKT_HEADER_BYTES);
}

int pkt_append_band(struct buffer *out, enum side_band band, struct span data)
{
	do {
		size_t length = data.length < PKT_PAYLOAD_BYTES_MAX - 1 ? data.length : PKT_PAYLOAD_BYTES_MAX - 1;
		append_header(out, length + 1);
		buffer_append_byte(out, (uint8_t)band);
		if (length)
			buffer_append(out, data.data, length);
		data = span_of(data.data + length, data.length - length);
	} while (data.length);
	return out->failed ? ERR_TOO_BIG : 0;
}
