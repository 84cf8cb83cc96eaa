/* Xorbs: chunks in their three encodings, whole xorbs as clients send them and as they should not, footers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "schemas/little_endian.h"
#include "store/bg4.h"
#include "store/digest.h"
#include "store/lz4_frame.h"
#include "store/xorb.h"
#include "tests/unit/vectors.h"

static json_t *vectors;

#define IN_ONE_PIECE SIZE_MAX

/* ------------------------------------------------------------------ byte grouping */

static void bytes_are_grouped_as_published(void **state)
{
	(void)state;
	size_t i;
	json_t *item;
	json_array_foreach(json_object_get(vectors, "bg4"), i, item) {
		struct bytes plain = vector_hex(item, "plain_hex"), grouped = vector_hex(item, "grouped_hex");
		struct bytes out = bytes_make(plain.length);
		bg4_group(out.data, plain.data, plain.length);
		assert_memory_equal(out.data, grouped.data, grouped.length);
		bg4_ungroup(out.data, grouped.data, grouped.length);
		assert_memory_equal(out.data, plain.data, plain.length);
		free(plain.data);
		free(grouped.data);
		free(out.data);
	}
}

static void grouping_is_undone_at_every_length(void **state)
{
	(void)state;
	for (size_t length = 0; length < 200; length++) {
		struct bytes plain = bytes_random(length, length), grouped = bytes_make(length), back = bytes_make(length);
		bg4_group(grouped.data, plain.data, length);
		bg4_ungroup(back.data, grouped.data, length);
		assert_memory_equal(back.data, plain.data, length);
		free(plain.data);
		free(grouped.data);
		free(back.data);
	}
}

/* ------------------------------------------------------------------ one chunk */

static struct bytes encode(enum xorb_scheme scheme, const struct bytes *raw)
{
	struct bytes out = bytes_make(XORB_CHUNK_HEADER_BYTES + raw->length);
	out.length = xorb_chunk_encode_as(out.data, out.length, scheme, raw->data, raw->length);
	return out;
}

static void assert_decodes(const struct bytes *chunk, const struct bytes *raw, enum xorb_scheme scheme)
{
	struct xorb_chunk_header header;
	struct bytes out = bytes_make(raw->length);
	assert_int_equal(xorb_chunk_header_parse(&header, chunk->data, NULL), 0);
	assert_int_equal(header.scheme, scheme);
	assert_int_equal(header.raw_length, raw->length);
	assert_int_equal(header.payload_length, chunk->length - XORB_CHUNK_HEADER_BYTES);
	assert_int_equal(xorb_chunk_decode(out.data, &header, chunk->data + XORB_CHUNK_HEADER_BYTES, NULL), 0);
	assert_memory_equal(out.data, raw->data, raw->length);
	free(out.data);
}

static void every_scheme_reads_back(void **state)
{
	(void)state;
	static const size_t lengths[] = { 60, 64, 4093, 65536, 131071, CHUNK_BYTES_MAX };
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct bytes raw = bytes_make(lengths[i]);
		for (size_t k = 0; k < raw.length; k++)
			raw.data[k] = (uint8_t)(k / 9);
		for (int scheme = XORB_NONE; scheme <= XORB_BG4_LZ4; scheme++) {
			struct bytes chunk = encode((enum xorb_scheme)scheme, &raw);
			if (scheme == XORB_NONE || raw.length > 1000)
				assert_true(chunk.length > 0);
			if (chunk.length)
				assert_decodes(&chunk, &raw, (enum xorb_scheme)scheme);
			free(chunk.data);
		}
		free(raw.data);
	}
}

static void what_does_not_shrink_is_stored_as_it_is(void **state)
{
	(void)state;
	for (size_t length = 1; length <= CHUNK_BYTES_MAX; length = length * 2 + 1) {
		struct bytes raw = bytes_random(length, length), chunk = bytes_make(XORB_CHUNK_HEADER_BYTES + length);
		assert_int_equal(xorb_chunk_encode(chunk.data, raw.data, length), chunk.length);
		assert_decodes(&chunk, &raw, XORB_NONE);
		assert_int_equal(xorb_chunk_encode_as(chunk.data, chunk.length, XORB_LZ4, raw.data, length), 0);
		assert_int_equal(xorb_chunk_encode_as(chunk.data, chunk.length, XORB_BG4_LZ4, raw.data, length), 0);
		assert_int_equal(xorb_chunk_encode_as(chunk.data, length + 7, XORB_NONE, raw.data, length), 0);
		free(raw.data);
		free(chunk.data);
	}
}

static void text_is_compressed(void **state)
{
	(void)state;
	struct bytes raw = bytes_make(50000), chunk = bytes_make(XORB_CHUNK_HEADER_BYTES + raw.length);
	memset(raw.data, 'a', raw.length);
	chunk.length = xorb_chunk_encode(chunk.data, raw.data, raw.length);
	assert_true(chunk.length < 1000);
	assert_decodes(&chunk, &raw, XORB_LZ4);
	free(raw.data);
	free(chunk.data);
}

static void header_make(uint8_t out[XORB_CHUNK_HEADER_BYTES], uint8_t version, uint32_t payload, uint8_t scheme, uint32_t raw)
{
	out[0] = version;
	le_write_u24(out + 1, payload);
	out[4] = scheme;
	le_write_u24(out + 5, raw);
}

static void headers_outside_the_bounds_are_refused(void **state)
{
	(void)state;
	static const struct {
		uint8_t version, scheme;
		uint32_t payload, raw;
		int err;
	} cases[] = {
		{ 0, 0, 1, 1, 0 },
		{ 0, 0, CHUNK_BYTES_MAX, CHUNK_BYTES_MAX, 0 },
		{ 0, 1, XORB_PAYLOAD_BYTES_MAX, CHUNK_BYTES_MAX, 0 },
		{ 0, 2, 1, 1, 0 },
		{ 1, 0, 1, 1, ERR_CORRUPT },                           /* version */
		{ 0, 3, 1, 1, ERR_CORRUPT },                           /* scheme */
		{ 0, 99, 1, 1, ERR_CORRUPT },                          /* a client's "choose for me" */
		{ 0, 0, 0, 0, ERR_CORRUPT },                           /* empty chunk */
		{ 0, 1, 20, 0, ERR_CORRUPT },                          /* empty chunk, compressed */
		{ 0, 1, 0, 20, ERR_CORRUPT },                          /* no payload */
		{ 0, 0, 10, 11, ERR_CORRUPT },                         /* stored, lengths differ */
		{ 0, 0, CHUNK_BYTES_MAX + 1, CHUNK_BYTES_MAX + 1, ERR_CORRUPT },
		{ 0, 1, 100, CHUNK_BYTES_MAX + 1, ERR_CORRUPT },
		{ 0, 1, XORB_PAYLOAD_BYTES_MAX + 1, 100, ERR_CORRUPT },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t bytes[XORB_CHUNK_HEADER_BYTES];
		struct xorb_chunk_header header;
		struct why why = { "" };
		header_make(bytes, cases[i].version, cases[i].payload, cases[i].scheme, cases[i].raw);
		assert_int_equal(xorb_chunk_header_parse(&header, bytes, &why), cases[i].err);
		assert_int_equal(why.text[0] != '\0', cases[i].err != 0);
	}
}

static void a_payload_that_unpacks_to_more_or_less_is_refused(void **state)
{
	(void)state;
	struct bytes raw = bytes_make(CHUNK_BYTES_MAX), out = bytes_make(CHUNK_BYTES_MAX);
	for (int scheme = XORB_LZ4; scheme <= XORB_BG4_LZ4; scheme++) {
		struct bytes chunk = encode((enum xorb_scheme)scheme, &raw);
		struct xorb_chunk_header header;
		assert_int_equal(xorb_chunk_header_parse(&header, chunk.data, NULL), 0);
		static const uint32_t wrong[] = { 1, 17, 1000, 65536, CHUNK_BYTES_MAX - 1 };
		for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
			header.raw_length = wrong[i];
			out.data[wrong[i]] = 0xee; /* must not be touched */
			assert_int_equal(xorb_chunk_decode(out.data, &header, chunk.data + 8, NULL), ERR_CORRUPT);
			assert_int_equal(out.data[wrong[i]], 0xee);
		}
		free(chunk.data);
		struct bytes half = { raw.data, raw.length / 2 };
		chunk = encode((enum xorb_scheme)scheme, &half);
		assert_int_equal(xorb_chunk_header_parse(&header, chunk.data, NULL), 0);
		header.raw_length = CHUNK_BYTES_MAX;
		assert_int_equal(xorb_chunk_decode(out.data, &header, chunk.data + 8, NULL), ERR_CORRUPT);
		free(chunk.data);
	}
	free(raw.data);
	free(out.data);
}

/* ------------------------------------------------------------------ whole xorbs */

/* What the verifier says of `bytes` in pieces of `piece`, or of random lengths below it when `seed` is set. */
struct verdict {
	int err;
	struct hash hash;
	size_t body_length;
	uint32_t count;
	struct xorb_chunk chunks[16];
	struct why why;
};

static void verify(struct verdict *out, const struct bytes *bytes, const struct hash *expected, size_t piece, uint64_t *seed)
{
	struct xorb_verifier *verifier;
	memset(out, 0, sizeof(*out));
	assert_int_equal(xorb_verifier_open(&verifier), 0);
	for (size_t at = 0; at < bytes->length && out->err == 0;) {
		size_t take = seed ? 1 + random_next(seed) % piece : piece, body = 0;
		take = take < bytes->length - at ? take : bytes->length - at;
		out->err = xorb_verifier_write(verifier, bytes->data + at, take, &body, &out->why);
		assert_true(body <= take);
		assert_true(body == 0 || out->body_length == at); /* the body has no gaps */
		out->body_length += body;
		at += take;
	}
	const struct xorb_chunk *chunks;
	int err = xorb_verifier_end(verifier, expected, &out->hash, &chunks, &out->count, &out->why);
	if (out->err)
		assert_int_equal(err, out->err); /* an error is final */
	out->err = err;
	for (uint32_t i = 0; err == 0 && i < out->count && i < 16; i++)
		out->chunks[i] = chunks[i];
	xorb_verifier_close(verifier);
}

static struct hash root_of(const struct xorb_chunk *chunks, uint32_t count)
{
	struct merkle_node nodes[XORB_CHUNKS_MAX];
	struct hash root;
	for (uint32_t i = 0; i < count; i++)
		nodes[i] = (struct merkle_node){ chunks[i].hash, chunks[i].raw_end - (i ? chunks[i - 1].raw_end : 0) };
	digest_root(&root, nodes, count);
	return root;
}

static void assert_is_vector(const struct verdict *verdict, const json_t *item)
{
	size_t i, raw_end = 0;
	json_t *chunk;
	struct hash expected = vector_hash(item, "hash");
	assert_int_equal(verdict->err, 0);
	assert_true(hash_equal(&verdict->hash, &expected));
	assert_int_equal(verdict->count, json_array_size(json_object_get(item, "chunks")));
	json_array_foreach(json_object_get(item, "chunks"), i, chunk) {
		struct hash hash = vector_hash(chunk, "hash");
		raw_end += vector_size(chunk, "raw");
		assert_true(hash_equal(&verdict->chunks[i].hash, &hash));
		assert_int_equal(verdict->chunks[i].body_end, vector_size(chunk, "end"));
		assert_int_equal(verdict->chunks[i].raw_end, raw_end);
	}
}

static void published_xorbs_are_accepted_split_at_any_byte(void **state)
{
	(void)state;
	size_t i;
	json_t *item;
	static const char *const forms[] = { "body_b64", "with_footer_b64" };
	json_array_foreach(json_object_get(vectors, "xorbs"), i, item) {
		struct hash hash = vector_hash(item, "hash");
		for (int form = 0; form < 2; form++) {
			if (!json_object_get(item, forms[form]))
				continue;
			struct bytes body = vector_base64(item, "body_b64"), bytes = vector_base64(item, forms[form]);
			static struct verdict verdict;
			uint64_t seed = i;
			verify(&verdict, &bytes, &hash, IN_ONE_PIECE, NULL);
			assert_is_vector(&verdict, item);
			assert_int_equal(verdict.body_length, body.length);
			for (size_t piece = 1; piece < 20; piece++) {
				verify(&verdict, &bytes, NULL, piece, NULL);
				assert_is_vector(&verdict, item);
				assert_int_equal(verdict.body_length, body.length);
			}
			for (size_t split = 1; split < bytes.length; split += bytes.length > 2000 ? 7 : 1) {
				verify(&verdict, &bytes, &hash, split, split % 2 ? &seed : NULL);
				assert_is_vector(&verdict, item);
			}
			free(body.data);
			free(bytes.data);
		}
	}
}

/* A xorb of `count` chunks with all schemes among them. */
static struct bytes xorb_make(uint32_t count, uint64_t seed)
{
	struct buffer out;
	buffer_init(&out, XORB_UPLOAD_BYTES_MAX);
	for (uint32_t i = 0; i < count; i++) {
		struct bytes raw = bytes_random(60 + random_next(&seed) % 3000, seed);
		if (i % 3)
			memset(raw.data + 10, (int)i, raw.length - 10);
		uint8_t *at = buffer_reserve(&out, XORB_CHUNK_HEADER_BYTES + raw.length);
		size_t written = xorb_chunk_encode_as(at, XORB_CHUNK_HEADER_BYTES + raw.length, (enum xorb_scheme)(i % 3), raw.data, raw.length);
		out.length += written ? written : xorb_chunk_encode(at, raw.data, raw.length);
		free(raw.data);
	}
	return (struct bytes){ out.data, out.length };
}

static void a_xorb_cut_anywhere_is_refused(void **state)
{
	(void)state;
	struct bytes whole = xorb_make(7, 1);
	static struct verdict verdict;
	verify(&verdict, &whole, NULL, IN_ONE_PIECE, NULL);
	assert_int_equal(verdict.err, 0);
	struct hash hash = verdict.hash;
	struct hash root = root_of(verdict.chunks, verdict.count);
	assert_true(hash_equal(&hash, &root));
	for (size_t length = 0; length < whole.length; length++) {
		struct bytes cut = { whole.data, length };
		verify(&verdict, &cut, &hash, IN_ONE_PIECE, NULL);
		assert_int_equal(verdict.err, ERR_CORRUPT);
		assert_true(verdict.why.text[0] != '\0');
	}
	free(whole.data);
}

static void a_xorb_with_any_byte_changed_is_refused(void **state)
{
	(void)state;
	struct bytes whole = xorb_make(4, 2);
	static struct verdict verdict;
	verify(&verdict, &whole, NULL, IN_ONE_PIECE, NULL);
	struct hash hash = verdict.hash;
	for (size_t i = 0; i < whole.length; i++) {
		whole.data[i] ^= 0x41;
		verify(&verdict, &whole, &hash, 1000, NULL);
		assert_true(verdict.err == ERR_CORRUPT || verdict.err == ERR_TOO_BIG);
		whole.data[i] ^= 0x41;
	}
	free(whole.data);
}

static void a_name_of_other_content_is_refused(void **state)
{
	(void)state;
	struct bytes whole = xorb_make(3, 3);
	static struct verdict verdict;
	struct hash other = { { 1 } };
	verify(&verdict, &whole, &other, IN_ONE_PIECE, NULL);
	assert_int_equal(verdict.err, ERR_CORRUPT);
	free(whole.data);
}

static void a_xorb_of_nothing_is_refused(void **state)
{
	(void)state;
	static struct verdict verdict;
	struct bytes nothing = { NULL, 0 }, footer = bytes_make(100);
	memcpy(footer.data, "XETBLOB", 7);
	verify(&verdict, &nothing, NULL, IN_ONE_PIECE, NULL);
	assert_int_equal(verdict.err, ERR_CORRUPT);
	verify(&verdict, &footer, NULL, IN_ONE_PIECE, NULL);
	assert_int_equal(verdict.err, ERR_CORRUPT);
	free(footer.data);
}

/* `count` stored chunks of one byte. */
static struct bytes tiny_chunks(uint32_t count)
{
	struct bytes bytes = bytes_make((size_t)count * 9);
	for (uint32_t i = 0; i < count; i++) {
		header_make(bytes.data + (size_t)i * 9, 0, 1, XORB_NONE, 1);
		bytes.data[(size_t)i * 9 + 8] = (uint8_t)i;
	}
	return bytes;
}

static void one_chunk_too_many_is_refused(void **state)
{
	(void)state;
	static struct verdict verdict;
	struct bytes most = tiny_chunks(XORB_CHUNKS_MAX), more = tiny_chunks(XORB_CHUNKS_MAX + 1);
	verify(&verdict, &most, NULL, 4096, NULL);
	assert_int_equal(verdict.err, 0);
	assert_int_equal(verdict.count, XORB_CHUNKS_MAX);
	verify(&verdict, &more, NULL, 4096, NULL);
	assert_int_equal(verdict.err, ERR_TOO_BIG);
	free(most.data);
	free(more.data);
}

static void a_zero_length_chunk_is_refused(void **state)
{
	(void)state;
	static struct verdict verdict;
	struct bytes bytes = tiny_chunks(3);
	header_make(bytes.data + 18, 0, 0, XORB_NONE, 0);
	bytes.length = 26;
	verify(&verdict, &bytes, NULL, IN_ONE_PIECE, NULL);
	assert_int_equal(verdict.err, ERR_CORRUPT);
	free(bytes.data);
}

static void a_bomb_is_refused(void **state)
{
	(void)state;
	static struct verdict verdict;
	/* given a frame of 256 KiB of zeros that claims to be one chunk of 1 KiB, and one of 128 KiB */
	struct bytes zeros = bytes_make(256 << 10), bytes = bytes_make(4096);
	size_t payload = lz4_frame_encode(bytes.data + 8, bytes.length - 8, zeros.data, zeros.length);
	assert_true(payload > 0);
	bytes.length = 8 + payload;
	static const uint32_t claims[] = { 1024, CHUNK_BYTES_MAX };
	for (size_t i = 0; i < 2; i++) {
		header_make(bytes.data, 0, (uint32_t)payload, XORB_LZ4, claims[i]);
		verify(&verdict, &bytes, NULL, IN_ONE_PIECE, NULL);
		assert_int_equal(verdict.err, ERR_CORRUPT);
	}
	free(zeros.data);
	free(bytes.data);
}

static void the_largest_body_is_accepted_and_a_larger_refused(void **state)
{
	(void)state;
	struct xorb_verifier *verifier;
	struct bytes chunk = bytes_make(8 + CHUNK_BYTES_MAX);
	header_make(chunk.data, 0, CHUNK_BYTES_MAX, XORB_NONE, CHUNK_BYTES_MAX);
	assert_int_equal(xorb_verifier_open(&verifier), 0);
	size_t total = 0, body;
	int err;
	while ((err = xorb_verifier_write(verifier, chunk.data, chunk.length, &body, NULL)) == 0)
		total += body;
	assert_int_equal(err, ERR_TOO_BIG);
	assert_true(total >= 64 << 20 && total <= XORB_BODY_BYTES_MAX);
	assert_true(total + chunk.length > XORB_BODY_BYTES_MAX);
	assert_int_equal(xorb_verifier_write(verifier, chunk.data, 1, &body, NULL), ERR_TOO_BIG);
	xorb_verifier_close(verifier);
	free(chunk.data);
}

static void what_looks_like_a_footer_must_be_one_and_bounded(void **state)
{
	(void)state;
	static struct verdict verdict;
	struct bytes body = xorb_make(2, 9), bytes = bytes_make(body.length + (1 << 20));
	memcpy(bytes.data, body.data, body.length);
	memcpy(bytes.data + body.length, "XETBLOC", 7);
	for (size_t piece = 1; piece < 9; piece++) {
		verify(&verdict, &bytes, NULL, piece, NULL);
		assert_int_equal(verdict.err, ERR_CORRUPT);
		assert_int_equal(verdict.body_length, body.length);
	}
	for (size_t have = 1; have < 7; have++) {
		struct bytes cut = { bytes.data, body.length + have };
		verify(&verdict, &cut, NULL, IN_ONE_PIECE, NULL);
		assert_int_equal(verdict.err, ERR_CORRUPT);
	}
	memcpy(bytes.data + body.length, "XETBLOB", 7);
	verify(&verdict, &bytes, NULL, 5000, NULL);
	assert_int_equal(verdict.err, ERR_TOO_BIG);
	free(body.data);
	free(bytes.data);
}

/* ------------------------------------------------------------------ footers */

static void a_footer_is_written_and_read_as_published(void **state)
{
	(void)state;
	json_t *item = json_array_get(json_object_get(vectors, "xorbs"), 0);
	struct bytes body = vector_base64(item, "body_b64"), whole = vector_base64(item, "with_footer_b64");
	struct xorb_chunk *chunks;
	struct hash hash, expected = vector_hash(item, "hash");
	uint32_t count;
	/* read */
	assert_int_equal(xorb_footer_parse(span_of(whole.data, whole.length), &hash, &chunks, &count, NULL), 0);
	assert_true(hash_equal(&hash, &expected));
	static struct verdict verdict;
	verify(&verdict, &body, &hash, IN_ONE_PIECE, NULL);
	assert_int_equal(count, verdict.count);
	for (uint32_t i = 0; i < count; i++) {
		assert_true(hash_equal(&chunks[i].hash, &verdict.chunks[i].hash));
		assert_int_equal(chunks[i].body_end, verdict.chunks[i].body_end);
		assert_int_equal(chunks[i].raw_end, verdict.chunks[i].raw_end);
		assert_int_equal(chunks[i].check, 0);
	}
	/* written again */
	struct buffer out;
	buffer_init(&out, 1 << 20);
	assert_int_equal(xorb_footer_encode(&out, &hash, chunks, count), 0);
	assert_int_equal(out.length, whole.length - body.length);
	assert_memory_equal(out.data, whole.data + body.length, out.length);
	assert_int_equal(out.length, vector_size(item, "info_length") + 4);
	buffer_fini(&out);
	free(chunks);
	free(body.data);
	free(whole.data);
}

static struct buffer footer_make(uint32_t count)
{
	struct xorb_chunk *chunks = calloc(count, sizeof(*chunks));
	struct hash hash = { { 5 } };
	struct buffer out;
	buffer_init(&out, 1 << 20);
	for (uint32_t i = 0; i < count; i++)
		chunks[i] = (struct xorb_chunk){ { { (uint8_t)i } }, 108 * (i + 1), 131072 * (i + 1) };
	assert_int_equal(xorb_footer_encode(&out, &hash, chunks, count), 0);
	free(chunks);
	return out;
}

static int parse(const uint8_t *data, size_t length)
{
	struct hash hash;
	struct xorb_chunk *chunks;
	uint32_t count;
	int err = xorb_footer_parse(span_of(data, length), &hash, &chunks, &count, NULL);
	if (err == 0)
		free(chunks);
	return err;
}

static void footers_of_every_size_read_back(void **state)
{
	(void)state;
	static const uint32_t counts[] = { 1, 2, 3, 1000, XORB_CHUNKS_MAX };
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct buffer footer = footer_make(counts[i]);
		assert_int_equal(footer.length, XORB_FOOTER_FIXED_BYTES + 40 * (size_t)counts[i] + 4);
		assert_int_equal(parse(footer.data, footer.length), 0);
		buffer_fini(&footer);
	}
	struct buffer out;
	struct hash hash = { { 5 } };
	struct xorb_chunk chunk = { .body_end = 9, .raw_end = 1 };
	buffer_init(&out, 50);
	assert_int_equal(xorb_footer_encode(&out, &hash, &chunk, 1), ERR_TOO_BIG);
	assert_int_equal(xorb_footer_encode(&out, &hash, &chunk, 0), ERR_INVALID);
	assert_int_equal(xorb_footer_encode(&out, &hash, &chunk, XORB_CHUNKS_MAX + 1), ERR_INVALID);
	buffer_fini(&out);
}

static void a_damaged_footer_is_refused(void **state)
{
	(void)state;
	struct buffer footer = footer_make(3);
	for (size_t length = 0; length < footer.length; length++) {
		assert_int_equal(parse(footer.data, length), ERR_CORRUPT);                             /* its end cut off */
		assert_int_equal(parse(footer.data + footer.length - length, length), ERR_CORRUPT);    /* its start missing */
	}
	/* Every byte matters except hashes, the reserved ones and the low bits of ends. */
	size_t hashes_end = 40 + 12 + 96, ends_end = hashes_end + 12 + 24, reserved = ends_end + 12;
	for (size_t i = 0; i < footer.length; i++) {
		bool free_bytes = (i >= 8 && i < 40) || (i >= 52 && i < hashes_end) || (i >= hashes_end + 12 && i < ends_end) ||
			(i >= reserved && i < reserved + 16);
		footer.data[i] ^= 0x80;
		if (!free_bytes)
			assert_int_equal(parse(footer.data, footer.length), ERR_CORRUPT);
		footer.data[i] ^= 0x80;
	}
	/* Ends that fall, stand still or leap. */
	uint8_t *body_ends = footer.data + hashes_end + 12, *raw_ends = body_ends + 12;
	static const uint32_t body[] = { 108, 107, 116, 0, 1 << 20 }, raw[] = { 131072, 131071, 262145, 0, 1 << 20 };
	for (size_t i = 0; i < 5; i++) {
		le_write_u32(body_ends + 4, body[i]);
		assert_int_equal(parse(footer.data, footer.length), ERR_CORRUPT);
		le_write_u32(body_ends + 4, 216);
		le_write_u32(raw_ends + 4, raw[i]);
		assert_int_equal(parse(footer.data, footer.length), ERR_CORRUPT);
		le_write_u32(raw_ends + 4, 262144);
	}
	assert_int_equal(parse(footer.data, footer.length), 0);
	buffer_fini(&footer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_grouped_as_published),
		cmocka_unit_test(grouping_is_undone_at_every_length),
		cmocka_unit_test(every_scheme_reads_back),
		cmocka_unit_test(what_does_not_shrink_is_stored_as_it_is),
		cmocka_unit_test(text_is_compressed),
		cmocka_unit_test(headers_outside_the_bounds_are_refused),
		cmocka_unit_test(a_payload_that_unpacks_to_more_or_less_is_refused),
		cmocka_unit_test(published_xorbs_are_accepted_split_at_any_byte),
		cmocka_unit_test(a_xorb_cut_anywhere_is_refused),
		cmocka_unit_test(a_xorb_with_any_byte_changed_is_refused),
		cmocka_unit_test(a_name_of_other_content_is_refused),
		cmocka_unit_test(a_xorb_of_nothing_is_refused),
		cmocka_unit_test(one_chunk_too_many_is_refused),
		cmocka_unit_test(a_zero_length_chunk_is_refused),
		cmocka_unit_test(a_bomb_is_refused),
		cmocka_unit_test(the_largest_body_is_accepted_and_a_larger_refused),
		cmocka_unit_test(what_looks_like_a_footer_must_be_one_and_bounded),
		cmocka_unit_test(a_footer_is_written_and_read_as_published),
		cmocka_unit_test(footers_of_every_size_read_back),
		cmocka_unit_test(a_damaged_footer_is_refused),
	};
	vectors = vectors_load();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	json_decref(vectors);
	return failed;
}
