/* url.c - percent-escapes, queries and forms. */
#include "gateway/http/request.h"

#include <strings.h>

static int hex_digit(uint8_t byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	uint8_t lower = byte | 0x20;
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Decoded length, or -1; `out` has room for raw.length bytes. */
static int64_t decode(uint8_t *out, struct span raw, bool form)
{
	size_t length = 0;
	for (size_t i = 0; i < raw.length; i++) {
		uint8_t byte = raw.data[i];
		if (byte == '+' && form) {
			byte = ' ';
		} else if (byte == '%') {
			int high = i + 2 < raw.length ? hex_digit(raw.data[i + 1]) : -1;
			int low = i + 2 < raw.length ? hex_digit(raw.data[i + 2]) : -1;
			if (high < 0 || low < 0)
				return -1;
			byte = (uint8_t)(high << 4 | low);
			i += 2;
		}
		if (byte == 0)
			return -1;
		out[length++] = byte;
	}
	return (int64_t)length;
}

char *http_decode(struct http_request *request, struct span raw, bool form)
{
	char *out = request_memory(request, raw.length + 1);
	int64_t length = decode((uint8_t *)out, raw, form);
	if (length < 0)
		return NULL;
	out[length] = 0;
	return out;
}

char *http_encode(struct http_request *request, struct span raw)
{
	static const char digits[] = "0123456789ABCDEF";
	char *out = request_memory(request, raw.length * 3 + 1), *p = out;
	for (size_t i = 0; i < raw.length; i++) {
		uint8_t c = raw.data[i];
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c))) {
			*p++ = (char)c;
		} else {
			*p++ = '%';
			*p++ = digits[c >> 4];
			*p++ = digits[c & 15];
		}
	}
	*p = 0;
	return out;
}

/* Keys are short and rarely escaped: compared decoded, byte by byte, without memory. */
static bool key_matches(struct span raw, const char *key)
{
	size_t i = 0;
	for (; *key && i < raw.length; key++) {
		uint8_t byte = raw.data[i++];
		if (byte == '%' && i + 1 < raw.length && hex_digit(raw.data[i]) >= 0 && hex_digit(raw.data[i + 1]) >= 0) {
			byte = (uint8_t)(hex_digit(raw.data[i]) << 4 | hex_digit(raw.data[i + 1]));
			i += 2;
		}
		if (byte != (uint8_t)*key)
			return false;
	}
	struct span rest = span_of(raw.data + i, raw.length - i);
	bool brackets = span_equal(rest, span_text("[]")) ||
		(rest.length == 6 && strncasecmp((const char *)rest.data, "%5b%5d", 6) == 0);
	return *key == 0 && (rest.length == 0 || brackets);
}

/* The k-th raw value of `key`; data NULL when there is none. */
static struct span find_value(struct span pairs, const char *key, int k)
{
	while (pairs.length > 0) {
		const uint8_t *end = memchr(pairs.data, '&', pairs.length);
		size_t length = end ? (size_t)(end - pairs.data) : pairs.length;
		const uint8_t *equals = memchr(pairs.data, '=', length);
		size_t key_length = equals ? (size_t)(equals - pairs.data) : length;
		if (key_matches(span_of(pairs.data, key_length), key) && k-- == 0)
			return equals ? span_of(equals + 1, length - key_length - 1) : span_of(pairs.data + length, 0);
		size_t taken = end ? length + 1 : length;
		pairs = span_of(pairs.data + taken, pairs.length - taken);
	}
	return span_of(NULL, 0);
}

char *http_form_value(struct http_request *request, struct span form, const char *key, int k)
{
	struct span raw = find_value(form, key, k);
	return raw.data ? http_decode(request, raw, true) : NULL;
}

char *http_query_value(struct http_request *request, const char *key, int k)
{
	return http_form_value(request, request->head.query, key, k);
}

bool http_query_bool(struct http_request *request, const char *key, bool fallback)
{
	struct span raw = find_value(request->head.query, key, 0);
	if (span_equal(raw, span_text("1")) || span_equal(raw, span_text("true")) || span_equal(raw, span_text("True")))
		return true;
	if (span_equal(raw, span_text("0")) || span_equal(raw, span_text("false")) || span_equal(raw, span_text("False")))
		return false;
	return fallback;
}
