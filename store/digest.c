/* digest.c - keyed BLAKE3 and the Merkle aggregation.
 *
 * DESIGN. A level of the aggregation is cut into groups from left to right: the first node at position 2 or later
 * whose hash is a multiple of 4 ends its group, and so does the ninth node. Neither test looks at what follows, so
 * a group can be closed the moment its last node arrives; only the leftover at the end of a level (1..8 nodes) waits
 * for the end of the list, where it forms one group of its own. One open group per level is therefore all the state
 * there is.
 *
 * Invariants: a level's open group never holds a complete group; a level has seen a node only if every level below
 * has closed a group; closed groups have 3..9 nodes, so LEVELS_MAX levels hold 3^32 leaves, far beyond any file.
 *
 * BLAKE3 states are initialised from the key each time on purpose: that writes 100 bytes, while copying a prepared
 * state would move 1.9 KiB. */
#include "store/digest.h"

#include <assert.h>
#include <blake3.h>
#include <stdlib.h>

#include "schemas/error.h"

enum {
	GROUP_NODES_MIN = 3,
	GROUP_NODES_MAX = 9,
	CUT_MODULUS = 4, /* a hash that is 0 mod this ends a group */
	LEVELS_MAX = 32,
	LENGTH_DIGITS_MAX = 20,                       /* of a decimal u64 */
	CHILD_TEXT_BYTES_MAX = 64 + 3 + LENGTH_DIGITS_MAX + 1, /* "hash : length\n" */
};

static const uint8_t data_key[BLAKE3_KEY_LEN] = {
	0x66, 0x97, 0xf5, 0x77, 0x5b, 0x95, 0x50, 0xde, 0x31, 0x35, 0xcb, 0xac, 0xa5, 0x97, 0x18, 0x1c,
	0x9d, 0xe4, 0x21, 0x10, 0x9b, 0xeb, 0x2b, 0x58, 0xb4, 0xd0, 0xb0, 0x4b, 0x93, 0xad, 0xf2, 0x29,
};
static const uint8_t node_key[BLAKE3_KEY_LEN] = {
	0x01, 0x7e, 0xc5, 0xc7, 0xa5, 0x47, 0x29, 0x96, 0xfd, 0x94, 0x66, 0x66, 0xb4, 0x8a, 0x02, 0xe6,
	0x5d, 0xdd, 0x53, 0x6f, 0x37, 0xc7, 0x6d, 0xd2, 0xf8, 0x63, 0x52, 0xe6, 0x4a, 0x53, 0x71, 0x3f,
};
static const uint8_t verification_key[BLAKE3_KEY_LEN] = {
	0x7f, 0x18, 0x57, 0xd6, 0xce, 0x56, 0xed, 0x66, 0x12, 0x7f, 0xf9, 0x13, 0xe7, 0xa5, 0xc3, 0xf3,
	0xa4, 0xcd, 0x26, 0xd5, 0xb5, 0xdb, 0x49, 0xe6, 0x41, 0x24, 0x98, 0x7f, 0x28, 0xfb, 0x94, 0xc3,
};
static const uint8_t file_key[BLAKE3_KEY_LEN];

struct group {
	struct merkle_node nodes[GROUP_NODES_MAX];
	uint32_t count;
};

struct merkle {
	struct group levels[LEVELS_MAX]; /* the open group of each level */
	uint32_t levels_count;           /* levels that have seen a node */
};

static void hash_keyed(struct hash *out, const uint8_t key[BLAKE3_KEY_LEN], const void *data, size_t length)
{
	blake3_hasher hasher;
	blake3_hasher_init_keyed(&hasher, key);
	blake3_hasher_update(&hasher, data, length);
	blake3_hasher_finalize(&hasher, out->bytes, HASH_BYTES);
}

void digest_chunk(struct hash *out, const void *data, size_t length)
{
	hash_keyed(out, data_key, data, length);
}

void digest_file(struct hash *out, const struct hash *root)
{
	if (hash_is_zero(root)) {
		*out = *root;
		return;
	}
	hash_keyed(out, file_key, root->bytes, HASH_BYTES);
}

void digest_verification(struct hash *out, const struct hash *chunks, size_t count)
{
	static_assert(sizeof(*chunks) == HASH_BYTES, "an array of hashes is their concatenation");
	hash_keyed(out, verification_key, chunks, count * HASH_BYTES);
}

void digest_keyed(struct hash *out, const uint8_t key[HASH_BYTES], const struct hash *chunk)
{
	static_assert(HASH_BYTES == BLAKE3_KEY_LEN, "hashes and keys have one length");
	hash_keyed(out, key, chunk->bytes, HASH_BYTES);
}

/* ------------------------------------------------------------------ aggregation */

static size_t decimal(char *out, uint64_t value)
{
	char digits[LENGTH_DIGITS_MAX];
	size_t count = 0;
	do {
		digits[count++] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	for (size_t i = 0; i < count; i++)
		out[i] = digits[count - 1 - i];
	return count;
}

/* The node above a group: it covers the children's text, one line each. */
static void parent_of(struct merkle_node *out, const struct group *group)
{
	char text[GROUP_NODES_MAX * CHILD_TEXT_BYTES_MAX + 1]; /* and the NUL that hash_to_text writes */
	size_t length = 0;
	uint64_t total = 0;
	for (uint32_t i = 0; i < group->count; i++) {
		hash_to_text(text + length, &group->nodes[i].hash);
		length += HASH_TEXT_BYTES - 1;
		memcpy(text + length, " : ", 3);
		length += 3;
		length += decimal(text + length, group->nodes[i].length);
		text[length++] = '\n';
		total += group->nodes[i].length;
	}
	assert(length < sizeof(text));
	hash_keyed(&out->hash, node_key, text, length);
	out->length = total;
}

static bool group_is_complete(const struct group *group)
{
	if (group->count < GROUP_NODES_MIN)
		return false;
	return group->count == GROUP_NODES_MAX || hash_mod(&group->nodes[group->count - 1].hash, CUT_MODULUS) == 0;
}

/* Adds a node at `level`, closing groups upwards as they fill. */
static void add_at(struct merkle *merkle, uint32_t level, const struct merkle_node *node)
{
	struct merkle_node rising = *node;
	for (;; level++) {
		assert(level < LEVELS_MAX);
		struct group *group = &merkle->levels[level];
		if (level == merkle->levels_count) {
			group->count = 0;
			merkle->levels_count++;
		}
		group->nodes[group->count++] = rising;
		if (!group_is_complete(group))
			return;
		parent_of(&rising, group);
		group->count = 0;
	}
}

static void merkle_init(struct merkle *merkle)
{
	merkle->levels_count = 0; /* levels are initialised when their first node comes */
}

int merkle_open(struct merkle **out)
{
	struct merkle *merkle = malloc(sizeof(*merkle));
	if (!merkle)
		return ERR_NO_MEMORY;
	merkle_init(merkle);
	*out = merkle;
	return 0;
}

void merkle_close(struct merkle *merkle)
{
	free(merkle);
}

void merkle_add(struct merkle *merkle, const struct hash *leaf, uint64_t length)
{
	struct merkle_node node = { .hash = *leaf, .length = length };
	add_at(merkle, 0, &node);
}

void merkle_root(struct merkle *merkle, struct hash *out)
{
	if (merkle->levels_count == 0) {
		memset(out, 0, sizeof(*out));
		return;
	}
	/* Leftovers become groups from the bottom up. The top level that holds a single node and is the last level
	 * that has ever seen one is the root; any other leftover, even a single node, is hashed once more. */
	for (uint32_t level = 0;; level++) {
		struct group *group = &merkle->levels[level];
		bool is_top = level + 1 == merkle->levels_count;
		if (is_top && group->count == 1) {
			*out = group->nodes[0].hash;
			return;
		}
		if (group->count == 0)
			continue;
		struct merkle_node parent;
		parent_of(&parent, group);
		group->count = 0;
		add_at(merkle, level + 1, &parent);
	}
}

void digest_root(struct hash *out, const struct merkle_node *nodes, size_t count)
{
	struct merkle merkle;
	merkle_init(&merkle);
	for (size_t i = 0; i < count; i++)
		add_at(&merkle, 0, &nodes[i]);
	merkle_root(&merkle, out);
}
