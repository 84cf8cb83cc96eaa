/* volume_record.h - what a volume holds: a header block, then checksummed records.
 *
 * Record: 64-byte header, payload, zeros up to the next multiple of 64. Records that are written together form a group; a group begins at a
 * multiple of VOLUME_BLOCK_BYTES, so that a block that was synced once is never written again. The checksum of a header is seeded with the
 * volume's random salt: bytes of a client that look like a header are none. Byte tables: docs/formats.md. Pure, no I/O.
 *
 * A fragment's payload has no checksum of its own: the xorb record that names the fragment holds one for each chunk. */
#ifndef CAIRN_SCHEMAS_VOLUME_RECORD_H
#define CAIRN_SCHEMAS_VOLUME_RECORD_H

#include "schemas/buffer.h"
#include "schemas/error.h"
#include "schemas/hash.h"

enum {
	VOLUME_BLOCK_BYTES = 4096,
	VOLUME_ALIGN_BYTES = 64,
	VOLUME_RECORD_HEADER_BYTES = 64,
	VOLUME_PAYLOAD_BYTES_MAX = 96 << 20,
	VOLUME_FORMAT = 1,

	XORB_RECORD_FIXED_BYTES = 64,
	XORB_RECORD_FRAGMENT_BYTES = 16,
	XORB_RECORD_CHUNK_BYTES = 48,
	XORB_FRAGMENTS_MAX = 8192,

	FILE_RECORD_FIXED_BYTES = 96,
	FILE_RECORD_TERM_BYTES = 44,
	FILE_BLOCK_TERMS = 1024, /* terms under one checksum */
	FILE_BLOCK_HEAD_BYTES = 16,
	FILE_BLOCK_BYTES = FILE_BLOCK_HEAD_BYTES + FILE_BLOCK_TERMS * FILE_RECORD_TERM_BYTES,

	CLAIM_RECORD_BYTES = 64,
	VERIFIED_RECORD_BYTES = 64,
	DROP_RECORD_BYTES = 56,
	TOUCH_RECORD_BYTES = 40,

	CODED_DATA_MIN = 2,
	CODED_DATA_MAX = 10,
	CODED_PARITY_MAX = 4,
	CODED_PARTS_MAX = CODED_DATA_MAX + CODED_PARITY_MAX,
	CODED_RECORD_FIXED_BYTES = 40,
	CODED_RECORD_BYTES_MAX = CODED_RECORD_FIXED_BYTES + CODED_PARTS_MAX * HASH_BYTES,
};

enum volume_record_kind {
	VOLUME_FRAGMENT = 1, /* a run of a xorb's body */
	VOLUME_XORB = 2,     /* makes fragments a xorb */
	VOLUME_FILE = 3,
	VOLUME_CLAIM = 4,
	VOLUME_VERIFIED = 5, /* the server computed a file's SHA-256 */
	VOLUME_DROP = 6,     /* a xorb, file, claim or coding is gone */
	VOLUME_TOUCH = 7,    /* a xorb was sent again */
	VOLUME_CODED = 8,    /* a xorb was cut into parts, any k of which bring it back */
};

static inline uint64_t volume_align(uint64_t bytes, uint64_t to)
{
	return (bytes + to - 1) & ~(to - 1);
}
/* Bytes that a record takes, padding included. */
static inline uint64_t volume_record_bytes(uint64_t payload_length)
{
	return volume_align(VOLUME_RECORD_HEADER_BYTES + payload_length, VOLUME_ALIGN_BYTES);
}

/* ---- the first block of a volume ---- */
struct volume_head {
	uint32_t id;
	uint64_t salt;
	int64_t created_ms;
};
void volume_head_encode(uint8_t out[VOLUME_BLOCK_BYTES], const struct volume_head *head);
int volume_head_decode(struct volume_head *out, const uint8_t block[VOLUME_BLOCK_BYTES]); /* 0, ERR_CORRUPT, ERR_UNSUPPORTED */

/* ---- records ---- */
struct volume_record {
	uint8_t kind;
	uint32_t payload_length;
	uint32_t volume;
	uint64_t offset;   /* of the header in the volume */
	uint8_t check[16]; /* XXH3-128 of the payload; zero for fragments */
};
void volume_record_check(uint8_t out[16], const void *payload, size_t length);
void volume_record_encode(uint8_t out[VOLUME_RECORD_HEADER_BYTES], const struct volume_record *record, uint64_t salt);
/* 0, or ERR_CORRUPT: no record of this volume begins at `offset`. */
int volume_record_decode(struct volume_record *out, const uint8_t bytes[VOLUME_RECORD_HEADER_BYTES], uint32_t volume, uint64_t offset,
	uint64_t salt);

/* ---- payloads ---- */
struct xorb_fragment {
	uint32_t volume; /* 0: the record right before the xorb record, in the same group */
	uint32_t length;
	uint64_t offset; /* of the first body byte in the volume */
};
struct xorb_record {
	struct hash xorb;
	int64_t stored_ms;
	uint32_t body_length, raw_length;
	uint32_t fragments_count, chunks_count;
	bool moved;               /* replaces an earlier record of the same xorb */
	bool sent;                /* by a client, then; else it was copied or moved, or an older version wrote this */
	const uint8_t *fragments; /* borrowed, encoded */
	const uint8_t *chunks;
};
struct xorb_record_chunk {
	struct hash hash;
	uint32_t body_end, raw_end;
	uint64_t check; /* XXH3-64 of the chunk's payload, seeded with its 8 header bytes */
};
int xorb_record_begin(struct buffer *out, const struct xorb_record *record); /* then fragments, then chunks */
int xorb_record_add_fragment(struct buffer *out, const struct xorb_fragment *fragment);
int xorb_record_add_chunk(struct buffer *out, const struct xorb_record_chunk *chunk);
int xorb_record_decode(struct xorb_record *out, struct span payload);
void xorb_fragment_at(struct xorb_fragment *out, const uint8_t *fragments, uint32_t index);
void xorb_record_chunk_at(struct xorb_record_chunk *out, const uint8_t *chunks, uint32_t index);

struct file_term {
	struct hash xorb;
	uint32_t raw_length;
	uint32_t chunk_start, chunk_end; /* [start, end) */
};
struct file_record {
	struct hash file;
	struct sha256 sha256;
	bool has_sha256, sha256_verified;
	bool other_terms; /* the file was known already: its terms stay what they are, and what these name is needed too */
	uint64_t length;
	int64_t registered_ms;
	uint32_t terms_count;
};
int file_record_encode(struct buffer *out, const struct file_record *record, const struct file_term *terms);
/* Checks the fixed part and that the payload has the size its terms need. */
int file_record_decode(struct file_record *out, struct span payload);
void file_record_set_other_terms(uint8_t *payload, bool other);
/* The terms of block k: its head and checksum are checked. `bytes` is the block (the last one is shorter). */
struct file_block {
	uint64_t raw_start; /* where in the file its first term begins */
	uint32_t count;
	const uint8_t *terms;
};
uint32_t file_blocks_count(uint32_t terms_count);
/* Place of block k in the payload. */
size_t file_block_offset(uint32_t block);
size_t file_block_length(uint32_t terms_count, uint32_t block);
int file_block_decode(struct file_block *out, struct span bytes);
void file_term_encode(uint8_t out[FILE_RECORD_TERM_BYTES], const struct file_term *term);
void file_term_decode(struct file_term *out, const uint8_t *bytes);

struct claim_record {
	struct hash file;
	struct entity_id owner;
	int64_t claimed_ms;
	uint64_t length; /* of the file */
};
void claim_record_encode(uint8_t out[CLAIM_RECORD_BYTES], const struct claim_record *record);
int claim_record_decode(struct claim_record *out, struct span payload);

struct verified_record {
	struct hash file;
	struct sha256 sha256;
};
void verified_record_encode(uint8_t out[VERIFIED_RECORD_BYTES], const struct verified_record *record);
int verified_record_decode(struct verified_record *out, struct span payload);

struct drop_record {
	uint8_t kind; /* VOLUME_XORB, VOLUME_FILE, VOLUME_CLAIM or VOLUME_CODED: all codings of a xorb */
	struct hash hash;
	struct entity_id owner; /* of a claim */
};
void drop_record_encode(uint8_t out[DROP_RECORD_BYTES], const struct drop_record *record);
int drop_record_decode(struct drop_record *out, struct span payload);

struct touch_record {
	struct hash xorb;
	int64_t touched_ms;
};
void touch_record_encode(uint8_t out[TOUCH_RECORD_BYTES], const struct touch_record *record);
int touch_record_decode(struct touch_record *out, struct span payload);

/* The parts are xorbs themselves, k of data and m of parity (store/coded.h). */
struct coded_record {
	struct hash xorb;
	uint32_t body_length; /* that the parts make: equal xorbs may be compressed differently */
	uint8_t k, m;
	struct hash parts[CODED_PARTS_MAX];
};
size_t coded_record_encode(uint8_t out[CODED_RECORD_BYTES_MAX], const struct coded_record *record);
/* 0 or ERR_CORRUPT. What is accepted is what encoding it again gives. */
int coded_record_decode(struct coded_record *out, struct span payload);
static inline size_t coded_record_bytes(const struct coded_record *record)
{
	return CODED_RECORD_FIXED_BYTES + (size_t)(record->k + record->m) * HASH_BYTES;
}

#endif
