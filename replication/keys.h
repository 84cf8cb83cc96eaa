/* keys.h - how every key of the state machine's store begins: u32 group, u16 slot, u8 kind, all big-endian.
 *
 * The group is the Raft group that owns the key. The slot is the shard slot of the repository it belongs to (xxh3(id) mod 1024), 0 for what
 * belongs to no repository, SLOT_CHANGES for the group's stream of changes, SLOT_CONSENSUS for what consensus itself keeps. Moving a slot to another group is a range copy. */
#ifndef CAIRN_REPLICATION_KEYS_H
#define CAIRN_REPLICATION_KEYS_H

#include "schemas/buffer.h"

enum {
	KEY_PREFIX_BYTES = 7,
	KEY_BYTES_MAX = 1152, /* a path in a bucket */
	SLOTS = 1024,
	SLOT_CHANGES = 0xfffe,
	SLOT_CONSENSUS = 0xffff,
};

struct key {
	size_t length;
	uint8_t bytes[KEY_BYTES_MAX];
};

static inline void put_big_endian(uint8_t *out, uint64_t value, unsigned length)
{
	for (unsigned i = 0; i < length; i++)
		out[i] = (uint8_t)(value >> (8 * (length - 1 - i)));
}

static inline uint64_t get_big_endian(const uint8_t *in, unsigned length)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < length; i++)
		value = value << 8 | in[i];
	return value;
}

static inline void key_begin(struct key *key, uint32_t group, uint16_t slot, char kind)
{
	put_big_endian(key->bytes, group, 4);
	put_big_endian(key->bytes + 4, slot, 2);
	key->bytes[6] = (uint8_t)kind;
	key->length = KEY_PREFIX_BYTES;
}

static inline void key_add(struct key *key, const void *data, size_t length)
{
	if (length > KEY_BYTES_MAX - key->length) /* callers bound names; never write past the end all the same */
		length = KEY_BYTES_MAX - key->length;
	if (length == 0)
		return;
	memcpy(key->bytes + key->length, data, length);
	key->length += length;
}

static inline struct span key_span(const struct key *key)
{
	return span_of(key->bytes, key->length);
}

static inline void key_add_number(struct key *key, uint64_t value, unsigned length)
{
	uint8_t bytes[8];
	put_big_endian(bytes, value, length);
	key_add(key, bytes, length);
}

/* The first key behind every key that starts with this one. */
static inline void key_after_prefix(struct key *key)
{
	while (key->length > 0 && ++key->bytes[key->length - 1] == 0)
		key->length--;
}

#endif
