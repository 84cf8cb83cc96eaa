/* xorb_verifier.c - checks a xorb while it streams past.
 *
 * DESIGN. A chunk can be judged only when all of its payload is there. A payload that lies wholly inside one write is
 * decoded (or, stored as is, hashed) where it lies; one that a write splits is gathered in a buffer first. Memory is
 * that buffer, one decoded chunk and the table: about 400 KiB plus 40 bytes a chunk, whatever the xorb's size.
 *
 * Where a chunk header would start, the letter X begins a footer instead (a header begins with version 0). All from
 * there on is footer: bounded, not read, not counted as body, since everything it says has just been computed.
 *
 * An error is final: later calls repeat it. */
#include "store/xorb.h"

#include <assert.h>
#include <stdlib.h>

#include "store/digest.h"

enum {
	FOOTER_IDENT_BYTES = 7,
	FOOTER_BYTES_MAX = XORB_FOOTER_FIXED_BYTES + 40 * XORB_CHUNKS_MAX + 4,
	TABLE_CHUNKS_FIRST = 64,
};
static const char footer_ident[] = "XETBLOB";

enum place { IN_HEADER, IN_PAYLOAD, IN_FOOTER };

struct xorb_verifier {
	enum place place;
	uint8_t header_bytes[XORB_CHUNK_HEADER_BYTES];
	struct xorb_chunk_header header; /* of the chunk whose payload is being read */
	size_t have;                     /* bytes of the current header, payload or footer seen so far */
	uint64_t body_length;
	uint64_t raw_length;
	struct xorb_chunk *chunks; /* owned */
	uint32_t count, capacity;
	struct merkle *merkle; /* owned */
	bool ended;
	int err;
	struct why why; /* of `err` */
	uint8_t payload[XORB_PAYLOAD_BYTES_MAX];
	uint8_t raw[CHUNK_BYTES_MAX];
};

int xorb_verifier_open(struct xorb_verifier **out)
{
	struct xorb_verifier *verifier = malloc(sizeof(*verifier));
	if (!verifier)
		return ERR_NO_MEMORY;
	memset(verifier, 0, offsetof(struct xorb_verifier, payload)); /* the buffers stay untouched until needed */
	if (merkle_open(&verifier->merkle)) {
		free(verifier);
		return ERR_NO_MEMORY;
	}
	*out = verifier;
	return 0;
}

void xorb_verifier_close(struct xorb_verifier *verifier)
{
	if (!verifier)
		return;
	merkle_close(verifier->merkle);
	free(verifier->chunks);
	free(verifier);
}

static int table_grow(struct xorb_verifier *verifier)
{
	if (verifier->count < verifier->capacity)
		return 0;
	uint32_t capacity = verifier->capacity ? 2 * verifier->capacity : TABLE_CHUNKS_FIRST;
	struct xorb_chunk *chunks = realloc(verifier->chunks, capacity * sizeof(*chunks));
	if (!chunks)
		return why_set(&verifier->why, ERR_NO_MEMORY, "no memory for the chunk table");
	verifier->chunks = chunks;
	verifier->capacity = capacity;
	return 0;
}

/* The current chunk is complete: decode, hash, add to the table and the root. */
static int chunk_done(struct xorb_verifier *verifier, const uint8_t *payload)
{
	const struct xorb_chunk_header *header = &verifier->header;
	const uint8_t *raw = payload;
	if (header->scheme != XORB_NONE) {
		struct why why;
		int err = xorb_chunk_decode(verifier->raw, header, payload, &why);
		if (err)
			return why_set(&verifier->why, err, "chunk %u: %.200s", verifier->count, why.text);
		raw = verifier->raw;
	}
	int err = table_grow(verifier);
	if (err)
		return err;
	struct xorb_chunk *chunk = &verifier->chunks[verifier->count++];
	digest_chunk(&chunk->hash, raw, header->raw_length);
	verifier->raw_length += header->raw_length;
	verifier->body_length += XORB_CHUNK_HEADER_BYTES + header->payload_length;
	chunk->body_end = (uint32_t)verifier->body_length;
	chunk->raw_end = (uint32_t)verifier->raw_length;
	chunk->check = xorb_chunk_check(verifier->header_bytes, payload, header->payload_length);
	merkle_add(verifier->merkle, &chunk->hash, header->raw_length);
	return 0;
}

/* The header is complete: check it, and that the xorb stays within its limits. */
static int header_done(struct xorb_verifier *verifier)
{
	struct why why;
	int err = xorb_chunk_header_parse(&verifier->header, verifier->header_bytes, &why);
	if (err)
		return why_set(&verifier->why, err, "chunk %u at byte %llu: %.200s", verifier->count,
			(unsigned long long)verifier->body_length, why.text);
	if (verifier->count == XORB_CHUNKS_MAX)
		return why_set(&verifier->why, ERR_TOO_BIG, "more than %d chunks", XORB_CHUNKS_MAX);
	uint64_t end = verifier->body_length + XORB_CHUNK_HEADER_BYTES + verifier->header.payload_length;
	if (end > XORB_BODY_BYTES_MAX)
		return why_set(&verifier->why, ERR_TOO_BIG, "more than %d bytes of chunks", XORB_BODY_BYTES_MAX);
	return 0;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The three states. Each takes what belongs to it from data[0..length), length > 0, and says in *used how much. */

static int footer_step(struct xorb_verifier *verifier, const uint8_t *data, size_t length, size_t *used)
{
	for (size_t i = 0; i < length && verifier->have + i < FOOTER_IDENT_BYTES; i++) {
		if (data[i] != (uint8_t)footer_ident[verifier->have + i])
			return why_set(&verifier->why, ERR_CORRUPT, "neither a chunk nor a footer after chunk %u", verifier->count);
	}
	if (length > FOOTER_BYTES_MAX - verifier->have)
		return why_set(&verifier->why, ERR_TOO_BIG, "more than %d bytes of footer", FOOTER_BYTES_MAX);
	verifier->have += length;
	*used = length;
	return 0;
}

static int header_step(struct xorb_verifier *verifier, const uint8_t *data, size_t length, size_t *used)
{
	*used = 0;
	if (verifier->have == 0 && data[0] == (uint8_t)footer_ident[0]) {
		verifier->place = IN_FOOTER;
		return 0;
	}
	*used = smaller(length, XORB_CHUNK_HEADER_BYTES - verifier->have);
	memcpy(verifier->header_bytes + verifier->have, data, *used);
	verifier->have += *used;
	if (verifier->have < XORB_CHUNK_HEADER_BYTES)
		return 0;
	verifier->have = 0;
	verifier->place = IN_PAYLOAD;
	return header_done(verifier);
}

static int payload_step(struct xorb_verifier *verifier, const uint8_t *data, size_t length, size_t *used)
{
	size_t want = verifier->header.payload_length;
	const uint8_t *payload = data;
	*used = smaller(length, want - verifier->have);
	if (*used < want) {
		memcpy(verifier->payload + verifier->have, data, *used);
		verifier->have += *used;
		if (verifier->have < want)
			return 0;
		payload = verifier->payload;
	}
	verifier->have = 0;
	verifier->place = IN_HEADER;
	return chunk_done(verifier, payload);
}

int xorb_verifier_write(struct xorb_verifier *verifier, const uint8_t *data, size_t length, size_t *body_length,
	struct why *why)
{
	static int (*const steps[])(struct xorb_verifier *, const uint8_t *, size_t, size_t *) = {
		[IN_HEADER] = header_step, [IN_PAYLOAD] = payload_step, [IN_FOOTER] = footer_step,
	};
	assert(!verifier->ended);
	*body_length = 0;
	for (size_t at = 0; at < length && !verifier->err;) {
		size_t used = 0;
		verifier->err = steps[verifier->place](verifier, data + at, length - at, &used);
		at += used;
		if (verifier->place != IN_FOOTER)
			*body_length = at;
	}
	return verifier->err ? why_set(why, verifier->err, "%s", verifier->why.text) : 0;
}

int xorb_verifier_end(struct xorb_verifier *verifier, const struct hash *expected, struct hash *actual,
	const struct xorb_chunk **chunks, uint32_t *count, struct why *why)
{
	assert(!verifier->ended);
	verifier->ended = true;
	if (verifier->err)
		return why_set(why, verifier->err, "%s", verifier->why.text);
	bool whole_footer = verifier->place == IN_FOOTER && verifier->have >= FOOTER_IDENT_BYTES;
	if (!whole_footer && (verifier->place != IN_HEADER || verifier->have != 0))
		return why_set(why, ERR_CORRUPT, "the xorb ends inside chunk %u", verifier->count);
	if (verifier->count == 0)
		return why_set(why, ERR_CORRUPT, "a xorb without chunks");
	struct hash root;
	merkle_root(verifier->merkle, &root);
	if (actual)
		*actual = root;
	if (expected && !hash_equal(expected, &root)) {
		char text[HASH_TEXT_BYTES];
		hash_to_text(text, &root);
		return why_set(why, ERR_CORRUPT, "the chunks make xorb %s, not the one named", text);
	}
	*chunks = verifier->chunks;
	*count = verifier->count;
	return 0;
}
