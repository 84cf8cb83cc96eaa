/* hash.h - the 32-byte hash that addresses chunks, xorbs and files, its text form, and hex.
 *
 * The text form reads the bytes as four little-endian u64 and prints each as 16 lower-case hex digits
 * (Xet protocol). SHA-256 digests use plain hex. All functions are pure and thread-safe. */
#ifndef CAIRN_SCHEMAS_HASH_H
#define CAIRN_SCHEMAS_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	HASH_BYTES = 32,
	HASH_TEXT_BYTES = 65, /* 64 digits and NUL */
	OID_BYTES = 20,       /* git SHA-1 object id */
	OID_TEXT_BYTES = 41,
	ENTITY_ID_BYTES = 12, /* `_id` of the Hub API: 24 hex digits */
	ENTITY_ID_TEXT_BYTES = 25,
};

struct hash {
	uint8_t bytes[HASH_BYTES];
};

struct sha256 {
	uint8_t bytes[HASH_BYTES];
};

struct oid {
	uint8_t bytes[OID_BYTES];
};

/* Names a repository, user or token for ever; random, made by the proposer of the command that creates it. */
struct entity_id {
	uint8_t bytes[ENTITY_ID_BYTES];
};

static inline bool hash_equal(const struct hash *a, const struct hash *b)
{
	return memcmp(a->bytes, b->bytes, HASH_BYTES) == 0;
}

static inline bool hash_is_zero(const struct hash *hash)
{
	static const struct hash zero;
	return hash_equal(hash, &zero);
}

/* hash mod m: the last u64, little-endian, mod m. */
uint64_t hash_mod(const struct hash *hash, uint64_t m);

/* Text form of a hash, NUL-terminated. */
void hash_to_text(char out[HASH_TEXT_BYTES], const struct hash *hash);
/* 0 or ERR_INVALID; exactly 64 hex digits, either case. */
int hash_from_text(struct hash *out, const char *text, size_t length);

/* Plain lower-case hex of `length` bytes into out[2*length+1]. */
void hex_encode(char *out, const uint8_t *bytes, size_t length);
/* Exactly 2*length digits, either case; 0 or ERR_INVALID. */
int hex_decode(uint8_t *out, size_t length, const char *text, size_t text_length);

#endif
