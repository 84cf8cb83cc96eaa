/* Any bytes as a xorb, a chunk, an LZ4 frame and a footer: reading never leaves them, the verdict does not depend on how they
 * arrive, and what is accepted survives being written and read again. */
#include "schemas/error.h"
#include "store/chunker.h"
#include "store/lz4_frame.h"
#include "store/xorb.h"

#include <assert.h>
#include <stdlib.h>

enum { TABLE_CHUNKS_MAX = XORB_CHUNKS_MAX };

struct verdict {
	int err;
	struct hash hash;
	uint32_t count;
	size_t body_length;
	struct xorb_chunk *chunks;
};

static struct verdict verify(const uint8_t *data, size_t length, size_t piece)
{
	struct verdict verdict = { 0 };
	struct xorb_verifier *verifier;
	const struct xorb_chunk *chunks;
	assert(xorb_verifier_open(&verifier) == 0);
	for (size_t at = 0; at < length && !verdict.err; at += piece) {
		size_t body, take = piece < length - at ? piece : length - at;
		verdict.err = xorb_verifier_write(verifier, data + at, take, &body, NULL);
		assert(body <= take);
		verdict.body_length += body;
	}
	int err = xorb_verifier_end(verifier, NULL, &verdict.hash, &chunks, &verdict.count, NULL);
	assert(!verdict.err || err == verdict.err);
	verdict.err = err;
	if (err == 0) {
		verdict.chunks = malloc(verdict.count * sizeof(*chunks));
		memcpy(verdict.chunks, chunks, verdict.count * sizeof(*chunks));
	}
	xorb_verifier_close(verifier);
	return verdict;
}

/* An accepted xorb gets a footer that reads back and does not change the verdict. */
static void add_footer(const uint8_t *data, const struct verdict *verdict)
{
	struct buffer out;
	struct hash hash;
	struct xorb_chunk *chunks;
	uint32_t count;
	buffer_init(&out, XORB_UPLOAD_BYTES_MAX);
	buffer_append(&out, data, verdict->body_length);
	assert(xorb_footer_encode(&out, &verdict->hash, verdict->chunks, verdict->count) == 0);
	assert(xorb_footer_parse(buffer_span(&out), &hash, &chunks, &count, NULL) == 0);
	assert(hash_equal(&hash, &verdict->hash) && count == verdict->count);
	for (uint32_t i = 0; i < count; i++)
		assert(hash_equal(&chunks[i].hash, &verdict->chunks[i].hash) && chunks[i].body_end == verdict->chunks[i].body_end);
	struct verdict again = verify(out.data, out.length, out.length);
	assert(again.err == 0 && hash_equal(&again.hash, &verdict->hash) && again.body_length == verdict->body_length);
	free(again.chunks);
	free(chunks);
	buffer_fini(&out);
}

static void fuzz_xorb(const uint8_t *data, size_t length)
{
	struct verdict whole = verify(data, length, length ? length : 1);
	struct verdict parts = verify(data, length, length ? 1 + data[length - 1] % 37 : 1);
	assert(whole.err == parts.err);
	if (whole.err == 0) {
		assert(hash_equal(&whole.hash, &parts.hash) && whole.count == parts.count && whole.body_length == parts.body_length);
		assert(whole.count >= 1 && whole.count <= TABLE_CHUNKS_MAX);
		assert(whole.chunks[whole.count - 1].body_end == whole.body_length);
		add_footer(data, &whole);
	}
	free(whole.chunks);
	free(parts.chunks);
}

static void fuzz_footer(const uint8_t *data, size_t length)
{
	struct hash hash;
	struct xorb_chunk *chunks;
	uint32_t count;
	if (xorb_footer_parse(span_of(data, length), &hash, &chunks, &count, NULL) == 0) {
		assert(count >= 1 && count <= XORB_CHUNKS_MAX);
		free(chunks);
	}
}

/* The bytes as what a chunk holds: every encoding of them must decode to them. */
static void fuzz_chunk(const uint8_t *data, size_t length)
{
	if (length == 0 || length > CHUNK_BYTES_MAX)
		return;
	size_t capacity = XORB_CHUNK_HEADER_BYTES + length;
	uint8_t *chunk = malloc(capacity), *raw = malloc(length);
	for (int scheme = XORB_NONE; scheme <= XORB_BG4_LZ4; scheme++) {
		struct xorb_chunk_header header;
		size_t written = xorb_chunk_encode_as(chunk, capacity, (enum xorb_scheme)scheme, data, length);
		if (written == 0)
			continue;
		assert(xorb_chunk_header_parse(&header, chunk, NULL) == 0);
		assert(header.raw_length == length && written == XORB_CHUNK_HEADER_BYTES + header.payload_length);
		assert(xorb_chunk_decode(raw, &header, chunk + XORB_CHUNK_HEADER_BYTES, NULL) == 0);
		assert(memcmp(raw, data, length) == 0);
	}
	free(chunk);
	free(raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t out[4096];
	fuzz_xorb(data, size);
	fuzz_footer(data, size);
	fuzz_chunk(data, size);
	if (size > 1)
		(void)lz4_frame_decode(out, (size_t)data[0] * 16, data + 1, size - 1);
	return 0;
}
