#include "gateway/hub/base64.h"

enum { BAD = 0x80 };

static uint8_t value_of(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint8_t)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (uint8_t)(c - 'a' + 26);
	if (c >= '0' && c <= '9')
		return (uint8_t)(c - '0' + 52);
	return c == '+' ? 62 : c == '/' ? 63 : BAD;
}

/* The slow way, from `at`: line ends and padding. */
static size_t decode_tail(const uint8_t *text, size_t length, size_t at, uint8_t *out)
{
	uint8_t *start = out;
	uint32_t bits = 0;
	int count = 0;
	for (; at < length && text[at] != '='; at++) {
		if (text[at] == '\n' || text[at] == '\r')
			continue;
		uint8_t value = value_of(text[at]);
		if (value == BAD)
			return SIZE_MAX;
		bits = bits << 6 | value;
		if (++count == 4) {
			*out++ = (uint8_t)(bits >> 16);
			*out++ = (uint8_t)(bits >> 8);
			*out++ = (uint8_t)bits;
			bits = 0;
			count = 0;
		}
	}
	size_t padding = 0;
	for (; at < length; at++) {
		if (text[at] == '=')
			padding++;
		else if (text[at] != '\n' && text[at] != '\r')
			return SIZE_MAX;
	}
	if (count == 1 || padding > 2 || (padding && count + (int)padding != 4))
		return SIZE_MAX;
	if (count >= 2)
		*out++ = (uint8_t)(count == 2 ? bits >> 4 : bits >> 10);
	if (count == 3)
		*out++ = (uint8_t)(bits >> 2);
	return (size_t)(out - start);
}

size_t base64_decode_in_place(uint8_t *text, size_t length)
{
	uint8_t table[256];
	for (int i = 0; i < 256; i++)
		table[i] = value_of((uint8_t)i);
	size_t at = 0;
	uint8_t *out = text;
	while (length - at >= 4) {
		uint8_t a = table[text[at]], b = table[text[at + 1]], c = table[text[at + 2]], d = table[text[at + 3]];
		if ((a | b | c | d) & BAD)
			break;
		out[0] = (uint8_t)(a << 2 | b >> 4);
		out[1] = (uint8_t)(b << 4 | c >> 2);
		out[2] = (uint8_t)(c << 6 | d);
		out += 3;
		at += 4;
	}
	size_t tail = decode_tail(text, length, at, out);
	return tail == SIZE_MAX ? tail : (size_t)(out - text) + tail;
}
