/* shard.h - the shard ("MDB") format: file blocks (terms) and xorb blocks (chunk lists) in 48-byte records.
 *
 * 48-byte header, file section, bookend, xorb section, bookend, optionally lookup tables and a 200-byte footer.
 * The parser walks front to back by the bookends and never trusts footer offsets. Layout source: the public Xet protocol;
 * byte tables in docs/formats.md. Pure, no I/O. */
#ifndef CAIRN_SCHEMAS_SHARD_H
#define CAIRN_SCHEMAS_SHARD_H

#include "schemas/buffer.h"
#include "schemas/error.h"
#include "schemas/hash.h"

enum {
	SHARD_RECORD_BYTES = 48,
	SHARD_FOOTER_BYTES = 200,
	SHARD_BYTES_MAX = 72 << 20, /* clients target 64 MiB, JS a little above */
};

struct shard_term {
	struct hash xorb;
	uint32_t raw_length;  /* unpacked bytes of the term */
	uint32_t chunk_start; /* [start, end) */
	uint32_t chunk_end;
};

struct shard_chunk {
	struct hash hash;
	uint32_t raw_offset; /* in the xorb's raw concatenation */
	uint32_t raw_length;
	uint32_t flags;      /* bit 31: candidate for global dedup */
};

/* Walks a shard that is wholly in memory. Fields are decoded on demand: no allocation. */
struct shard_reader {
	struct span bytes;
	size_t offset;
	int section; /* 0 files, 1 xorbs, 2 done */
};

struct shard_file {
	struct hash hash;
	uint32_t terms_count;
	bool has_verification;
	bool has_sha256;
	struct sha256 sha256;       /* plain digest order; swapped order on the wire */
	const uint8_t *terms;       /* terms_count records */
	const uint8_t *verification;/* terms_count records, or NULL */
};

struct shard_xorb {
	struct hash hash;
	uint32_t chunks_count;
	uint32_t raw_length;
	const uint8_t *chunks;      /* chunks_count records */
};

/* Checks tag, version, footer size, that both sections end in bookends and every count fits the bytes.
 * `bytes` is borrowed. 0, ERR_CORRUPT or ERR_TOO_BIG. */
int shard_open(struct shard_reader *reader, struct span bytes, struct why *why);
/* Next file block: 1 and *out, 0 at the end of the section, ERR_CORRUPT. All files come before all xorbs; asking for
 * a xorb passes the files that are left. */
int shard_next_file(struct shard_reader *reader, struct shard_file *out, struct why *why);
int shard_next_xorb(struct shard_reader *reader, struct shard_xorb *out, struct why *why);
void shard_term_at(struct shard_term *out, const struct shard_file *file, uint32_t index);
void shard_verification_at(struct hash *out, const struct shard_file *file, uint32_t index);
void shard_chunk_at(struct shard_chunk *out, const struct shard_xorb *xorb, uint32_t index);

/* Writers append records; order: header, files, bookend, xorbs, bookend, footer. All return 0 or a buffer error.
 * A file carries verification hashes or a SHA-256 when the pointer is not NULL, also when it has no terms. */
int shard_write_header(struct buffer *out, bool with_footer);
int shard_write_file(struct buffer *out, const struct hash *file, const struct shard_term *terms,
	const struct hash *verification, uint32_t count, const struct sha256 *sha256);
int shard_write_xorb(struct buffer *out, const struct hash *xorb, const struct shard_chunk *chunks, uint32_t count,
	uint32_t raw_length, uint32_t serialised_length);
int shard_write_bookend(struct buffer *out);

struct shard_footer {
	uint64_t file_offset, xorb_offset, lookup_offset, footer_offset; /* bytes from the start of the shard */
	uint8_t key[HASH_BYTES];  /* zero: chunk hashes are in clear */
	uint64_t created_s, expires_s;
};
/* The footer of a dedup answer: lookup offsets equal the footer offset, entry counts 0. */
int shard_write_footer(struct buffer *out, const struct shard_footer *footer);

#endif
