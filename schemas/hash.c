#include "schemas/hash.h"

#include "schemas/error.h"

static const char digits[] = "0123456789abcdef";

uint64_t hash_mod(const struct hash *hash, uint64_t m)
{
	uint64_t last = 0;
	for (int i = 7; i >= 0; i--)
		last = last << 8 | hash->bytes[24 + i];
	return last % m;
}

void hash_to_text(char out[HASH_TEXT_BYTES], const struct hash *hash)
{
	for (size_t i = 0; i < HASH_BYTES; i++) {
		uint8_t byte = hash->bytes[(i & ~(size_t)7) | (7 - (i & 7))];
		out[2 * i] = digits[byte >> 4];
		out[2 * i + 1] = digits[byte & 15];
	}
	out[2 * HASH_BYTES] = '\0';
}

int hash_from_text(struct hash *out, const char *text, size_t length)
{
	struct hash swapped;
	if (hex_decode(swapped.bytes, HASH_BYTES, text, length))
		return ERR_INVALID;
	for (size_t i = 0; i < HASH_BYTES; i++)
		out->bytes[(i & ~(size_t)7) | (7 - (i & 7))] = swapped.bytes[i];
	return 0;
}

void hex_encode(char *out, const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * length] = '\0';
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hex_decode(uint8_t *out, size_t length, const char *text, size_t text_length)
{
	if (text_length != 2 * length)
		return ERR_INVALID;
	for (size_t i = 0; i < length; i++) {
		int high = digit_value(text[2 * i]);
		int low = digit_value(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return ERR_INVALID;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}
