/* xorb.h - a xorb is an ordered run of 1..8192 compressed chunks, stored and shipped as one object.
 *
 * Body: per chunk an 8-byte header {u8 version=0, u24 payload length, u8 scheme, u24 raw length} and the payload.
 * Schemes: none, LZ4 frame, byte-grouped (BG4) LZ4 frame. An optional V1 footer (`XETBLOB`) lists hashes and ends.
 * Offsets of chunks count headers and payloads. Nothing here does I/O or allocates per xorb size, except
 * the tables (at most 40 bytes a chunk). Coding a chunk uses 128 KiB of stack. One object, one thread. */
#ifndef CAIRN_STORE_XORB_H
#define CAIRN_STORE_XORB_H

#include "schemas/buffer.h"
#include "schemas/error.h"
#include "schemas/hash.h"
#include "store/chunker.h"

enum {
	XORB_CHUNKS_MAX = 8192,
	XORB_CHUNK_HEADER_BYTES = 8,
	XORB_PAYLOAD_BYTES_MAX = 262144,
	XORB_BODY_BYTES_MAX = (64 << 20) + XORB_CHUNKS_MAX * XORB_CHUNK_HEADER_BYTES,
	XORB_UPLOAD_BYTES_MAX = 68 << 20, /* body and a footer */
	XORB_FOOTER_FIXED_BYTES = 92,     /* plus 40 a chunk, plus the final u32 */
};

enum xorb_scheme { XORB_NONE = 0, XORB_LZ4 = 1, XORB_BG4_LZ4 = 2 };

/* One chunk of a xorb: its hash and where it ends. `body_end` counts headers and payloads, `raw_end` raw bytes. */
struct xorb_chunk {
	struct hash hash;
	uint32_t body_end;
	uint32_t raw_end;
	uint64_t check; /* XXH3-64 of the payload, seeded with the 8 header bytes: what a stored chunk is checked against; 0 from a footer */
};

/* The check of one stored chunk. */
uint64_t xorb_chunk_check(const uint8_t header[XORB_CHUNK_HEADER_BYTES], const uint8_t *payload, size_t payload_length);

/* ---- one chunk ---- */

/* Compresses `raw` into out (header + payload): LZ4 attempted, stored as is when that does not shrink it.
 * out needs XORB_CHUNK_HEADER_BYTES + length bytes. Returns bytes written. */
size_t xorb_chunk_encode(uint8_t *out, const uint8_t *raw, size_t length);
/* As above with the scheme named (tests, benchmarks, background recompression); 0 when it would not shrink. */
size_t xorb_chunk_encode_as(uint8_t *out, size_t capacity, enum xorb_scheme scheme, const uint8_t *raw, size_t length);

struct xorb_chunk_header {
	uint32_t payload_length;
	uint32_t raw_length;
	enum xorb_scheme scheme;
};

/* Checks every bound of the format. 0 or ERR_CORRUPT. */
int xorb_chunk_header_parse(struct xorb_chunk_header *out, const uint8_t bytes[XORB_CHUNK_HEADER_BYTES], struct why *why);

/* Decodes one payload into raw[header->raw_length]. Output is capped at that length (bomb guard). 0 or ERR_CORRUPT. */
int xorb_chunk_decode(uint8_t *raw, const struct xorb_chunk_header *header, const uint8_t *payload, struct why *why);

/* ---- a whole xorb as it arrives ---- */

/* Verifies an uploaded xorb while it streams past: decodes and hashes every chunk, checks the root at the end. */
struct xorb_verifier;
int xorb_verifier_open(struct xorb_verifier **out);
void xorb_verifier_close(struct xorb_verifier *verifier);
/* Any split; an error is final. *body_length is how many of these bytes belong to the body (the rest is a footer, ignored).
 * 0, ERR_CORRUPT or ERR_TOO_BIG (too many chunks, too many bytes). */
int xorb_verifier_write(struct xorb_verifier *verifier, const uint8_t *data, size_t length, size_t *body_length,
	struct why *why);
/* At the end of the bytes: 0 if they are exactly one xorb whose hash is `expected` (NULL: any; the hash goes to *actual).
 * chunks/count stay valid until close. */
int xorb_verifier_end(struct xorb_verifier *verifier, const struct hash *expected, struct hash *actual,
	const struct xorb_chunk **chunks, uint32_t *count, struct why *why);

/* ---- footer ---- */

/* Appends the V1 footer including its final u32 length. */
int xorb_footer_encode(struct buffer *out, const struct hash *xorb, const struct xorb_chunk *chunks, uint32_t count);
/* Parses a V1 footer that ends at the end of `bytes`. *chunks is malloc'ed, the caller frees it. 0 or ERR_CORRUPT. */
int xorb_footer_parse(struct span bytes, struct hash *xorb, struct xorb_chunk **chunks, uint32_t *count, struct why *why);

#endif
