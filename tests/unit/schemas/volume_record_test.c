/* What volumes hold: every record reads back as it was written, and nothing that was cut, bent or moved is taken for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "schemas/volume_record.h"
#include "tests/unit/vectors.h"

static struct hash hash_of(uint64_t seed)
{
	struct hash hash;
	for (size_t i = 0; i < HASH_BYTES; i += 8) {
		uint64_t word = random_next(&seed);
		memcpy(hash.bytes + i, &word, 8);
	}
	return hash;
}

static struct sha256 sha256_of(uint64_t seed)
{
	struct sha256 out;
	struct hash hash = hash_of(seed);
	memcpy(out.bytes, hash.bytes, HASH_BYTES);
	return out;
}

static struct entity_id owner_of(uint64_t seed)
{
	struct entity_id out;
	struct hash hash = hash_of(seed);
	memcpy(out.bytes, hash.bytes, ENTITY_ID_BYTES);
	return out;
}

/* ------------------------------------------------------------------ the first block */

static const struct volume_head head = { .id = 0x12345678, .salt = UINT64_C(0xfedcba9876543210), .created_ms = INT64_C(1700000000123) };

static void a_head_reads_back(void **state)
{
	(void)state;
	uint8_t block[VOLUME_BLOCK_BYTES];
	struct volume_head out;
	volume_head_encode(block, &head);
	assert_int_equal(volume_head_decode(&out, block), 0);
	assert_int_equal(out.id, head.id);
	assert_true(out.salt == head.salt);
	assert_true(out.created_ms == head.created_ms);
}

static void a_head_with_one_bit_flipped_is_refused(void **state)
{
	(void)state;
	uint8_t block[VOLUME_BLOCK_BYTES];
	struct volume_head out;
	for (size_t bit = 0; bit < 40 * 8; bit++) {
		volume_head_encode(block, &head);
		block[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(volume_head_decode(&out, block), ERR_CORRUPT);
	}
}

static void an_empty_block_is_no_head(void **state)
{
	(void)state;
	static const uint8_t block[VOLUME_BLOCK_BYTES];
	struct volume_head out;
	assert_int_equal(volume_head_decode(&out, block), ERR_CORRUPT);
}

/* ------------------------------------------------------------------ record headers */

enum { SALT = 77, VOLUME = 3, OFFSET = 8192 };

static void make_header(uint8_t out[VOLUME_RECORD_HEADER_BYTES])
{
	struct volume_record record = { .kind = VOLUME_CLAIM, .payload_length = 64, .volume = VOLUME, .offset = OFFSET };
	volume_record_check(record.check, "a payload", 9);
	volume_record_encode(out, &record, SALT);
}

static void a_header_reads_back_for_every_kind(void **state)
{
	(void)state;
	for (uint8_t kind = VOLUME_FRAGMENT; kind <= VOLUME_CODED; kind++) {
		uint8_t bytes[VOLUME_RECORD_HEADER_BYTES];
		struct volume_record out, record = { .kind = kind, .payload_length = 1000u * kind, .volume = 7, .offset = UINT64_C(1) << 40 };
		volume_record_check(record.check, &kind, 1);
		volume_record_encode(bytes, &record, 99);
		assert_int_equal(volume_record_decode(&out, bytes, 7, UINT64_C(1) << 40, 99), 0);
		assert_int_equal(out.kind, kind);
		assert_int_equal(out.payload_length, 1000 * kind);
		assert_memory_equal(out.check, record.check, sizeof(out.check));
	}
}

static void a_header_with_one_bit_flipped_is_refused(void **state)
{
	(void)state;
	uint8_t bytes[VOLUME_RECORD_HEADER_BYTES];
	struct volume_record out;
	for (size_t bit = 0; bit < VOLUME_RECORD_HEADER_BYTES * 8; bit++) {
		make_header(bytes);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(volume_record_decode(&out, bytes, VOLUME, OFFSET, SALT), ERR_CORRUPT);
	}
}

static void a_header_counts_only_in_its_place(void **state)
{
	(void)state;
	uint8_t bytes[VOLUME_RECORD_HEADER_BYTES];
	struct volume_record out;
	make_header(bytes);
	assert_int_equal(volume_record_decode(&out, bytes, VOLUME, OFFSET, SALT), 0);
	assert_int_equal(volume_record_decode(&out, bytes, VOLUME, OFFSET, SALT + 1), ERR_CORRUPT);
	assert_int_equal(volume_record_decode(&out, bytes, VOLUME, OFFSET + 64, SALT), ERR_CORRUPT);
	assert_int_equal(volume_record_decode(&out, bytes, VOLUME + 1, OFFSET, SALT), ERR_CORRUPT);
}

static void a_header_that_announces_too_much_is_refused(void **state)
{
	(void)state;
	uint8_t bytes[VOLUME_RECORD_HEADER_BYTES];
	struct volume_record out, record = { .kind = VOLUME_FILE, .payload_length = VOLUME_PAYLOAD_BYTES_MAX, .volume = 1, .offset = 4096 };
	volume_record_encode(bytes, &record, SALT);
	assert_int_equal(volume_record_decode(&out, bytes, 1, 4096, SALT), 0);
	record.payload_length++;
	volume_record_encode(bytes, &record, SALT);
	assert_int_equal(volume_record_decode(&out, bytes, 1, 4096, SALT), ERR_CORRUPT);
}

static void the_check_of_a_payload_sees_every_bit(void **state)
{
	(void)state;
	struct bytes payload = bytes_random(200, 1);
	uint8_t before[16], after[16];
	volume_record_check(before, payload.data, payload.length);
	for (size_t bit = 0; bit < payload.length * 8; bit++) {
		payload.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		volume_record_check(after, payload.data, payload.length);
		assert_memory_not_equal(before, after, sizeof(before));
		payload.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	volume_record_check(after, payload.data, payload.length - 1);
	assert_memory_not_equal(before, after, sizeof(before));
	free(payload.data);
}

static void a_record_takes_whole_units(void **state)
{
	(void)state;
	assert_int_equal(volume_record_bytes(0), 64);
	assert_int_equal(volume_record_bytes(1), 128);
	assert_int_equal(volume_record_bytes(64), 128);
	assert_int_equal(volume_record_bytes(65), 192);
	assert_true(volume_record_bytes(UINT32_MAX) > UINT32_MAX);
}

/* ------------------------------------------------------------------ xorbs */

enum { CHUNKS = 5, FRAGMENTS = 3 };

static struct xorb_record_chunk chunk_of(uint32_t index)
{
	return (struct xorb_record_chunk){ hash_of(100 + index), (index + 1) * 1008, (index + 1) * 2000, UINT64_C(0x123456789) * (index + 1) };
}

static struct buffer make_xorb(void)
{
	struct buffer out;
	struct xorb_record record = { .xorb = hash_of(1), .stored_ms = 1234567890123, .body_length = CHUNKS * 1008, .raw_length = CHUNKS * 2000,
		.fragments_count = FRAGMENTS, .chunks_count = CHUNKS, .moved = true };
	buffer_init(&out, 1 << 20);
	assert_int_equal(xorb_record_begin(&out, &record), 0);
	for (uint32_t i = 0; i < FRAGMENTS; i++)
		assert_int_equal(xorb_record_add_fragment(&out, &(struct xorb_fragment){ i, 1680, UINT64_C(5000000000) + i }), 0);
	for (uint32_t i = 0; i < CHUNKS; i++) {
		struct xorb_record_chunk chunk = chunk_of(i);
		assert_int_equal(xorb_record_add_chunk(&out, &chunk), 0);
	}
	return out;
}

static void a_xorb_record_reads_back(void **state)
{
	(void)state;
	struct buffer bytes = make_xorb();
	struct xorb_record out;
	struct hash expected = hash_of(1);
	assert_int_equal(xorb_record_decode(&out, buffer_span(&bytes)), 0);
	assert_true(hash_equal(&out.xorb, &expected));
	assert_true(out.stored_ms == 1234567890123);
	assert_int_equal(out.body_length, CHUNKS * 1008);
	assert_int_equal(out.raw_length, CHUNKS * 2000);
	assert_int_equal(out.fragments_count, FRAGMENTS);
	assert_int_equal(out.chunks_count, CHUNKS);
	assert_true(out.moved);
	for (uint32_t i = 0; i < FRAGMENTS; i++) {
		struct xorb_fragment fragment;
		xorb_fragment_at(&fragment, out.fragments, i);
		assert_int_equal(fragment.volume, i);
		assert_int_equal(fragment.length, 1680);
		assert_true(fragment.offset == UINT64_C(5000000000) + i);
	}
	for (uint32_t i = 0; i < CHUNKS; i++) {
		struct xorb_record_chunk chunk, wanted = chunk_of(i);
		xorb_record_chunk_at(&chunk, out.chunks, i);
		assert_true(hash_equal(&chunk.hash, &wanted.hash));
		assert_int_equal(chunk.body_end, wanted.body_end);
		assert_int_equal(chunk.raw_end, wanted.raw_end);
		assert_true(chunk.check == wanted.check);
	}
	buffer_fini(&bytes);
}

/* In memory of exactly that size, so that a read behind it is noticed. */
static int decode_xorb_of_length(const struct buffer *bytes, size_t length)
{
	struct xorb_record out;
	uint8_t *copy = malloc(length ? length : 1);
	assert_non_null(copy);
	memcpy(copy, bytes->data, length < bytes->length ? length : bytes->length);
	int err = xorb_record_decode(&out, span_of(copy, length));
	free(copy);
	return err;
}

/* Programs from before it was told who sent a xorb wrote zero there, and do not look. */
static void a_xorb_record_tells_whether_a_client_sent_it_in_one_byte_that_was_zero(void **state)
{
	(void)state;
	static const uint8_t copied[8] = { 1 }, sent[8] = { 1, 1 };
	struct buffer bytes = make_xorb();
	struct xorb_record out;
	assert_memory_equal(bytes.data + 56, copied, 8);
	assert_int_equal(xorb_record_decode(&out, buffer_span(&bytes)), 0);
	assert_true(out.moved && !out.sent);
	buffer_fini(&bytes);

	struct xorb_record record = { .moved = true, .sent = true };
	buffer_init(&bytes, 1 << 10);
	assert_int_equal(xorb_record_begin(&bytes, &record), 0);
	assert_memory_equal(bytes.data + 56, sent, 8);
	buffer_fini(&bytes);

	bytes = make_xorb();
	bytes.data[57] = 1;
	assert_int_equal(xorb_record_decode(&out, buffer_span(&bytes)), 0);
	assert_true(out.moved && out.sent && out.chunks_count == CHUNKS);
	buffer_fini(&bytes);
}

static void a_xorb_record_of_any_other_length_is_refused(void **state)
{
	(void)state;
	struct buffer bytes = make_xorb();
	for (size_t length = 0; length < bytes.length; length++)
		assert_int_equal(decode_xorb_of_length(&bytes, length), ERR_CORRUPT);
	assert_int_equal(decode_xorb_of_length(&bytes, bytes.length + 1), ERR_CORRUPT);
	buffer_fini(&bytes);
}

static void a_xorb_record_whose_counts_or_lengths_are_bent_is_refused(void **state)
{
	(void)state;
	struct buffer bytes = make_xorb();
	for (size_t bit = 40 * 8; bit < 56 * 8; bit++) { /* body, raw, fragments, chunks */
		bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(decode_xorb_of_length(&bytes, bytes.length), ERR_CORRUPT);
		bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(decode_xorb_of_length(&bytes, bytes.length), 0);
	buffer_fini(&bytes);
}

static void a_xorb_record_without_chunks_or_fragments_is_refused(void **state)
{
	(void)state;
	struct buffer bytes;
	struct xorb_record out, record = { .xorb = hash_of(1), .fragments_count = 1 };
	buffer_init(&bytes, 1 << 10);
	xorb_record_begin(&bytes, &record);
	xorb_record_add_fragment(&bytes, &(struct xorb_fragment){ 0, 10, 0 });
	assert_int_equal(xorb_record_decode(&out, buffer_span(&bytes)), ERR_CORRUPT);
	buffer_clear(&bytes);
	record = (struct xorb_record){ .xorb = hash_of(1), .chunks_count = 1, .body_length = 1008, .raw_length = 2000 };
	struct xorb_record_chunk chunk = chunk_of(0);
	xorb_record_begin(&bytes, &record);
	xorb_record_add_chunk(&bytes, &chunk);
	assert_int_equal(xorb_record_decode(&out, buffer_span(&bytes)), ERR_CORRUPT);
	buffer_fini(&bytes);
}

/* ------------------------------------------------------------------ files */

static struct file_term term_of(uint32_t index)
{
	return (struct file_term){ hash_of(index / 3), 1000 + index, index % 7, index % 7 + 1 + index % 3 };
}

static struct buffer make_file(uint32_t terms_count, struct file_record *record)
{
	struct buffer out;
	struct file_term *terms = malloc((terms_count + 1) * sizeof(*terms));
	*record = (struct file_record){ .file = hash_of(5), .sha256 = sha256_of(6), .has_sha256 = true, .sha256_verified = terms_count % 2 == 1,
		.registered_ms = 987654321, .terms_count = terms_count };
	for (uint32_t i = 0; i < terms_count; i++) {
		terms[i] = term_of(i);
		record->length += terms[i].raw_length;
	}
	buffer_init(&out, 16 << 20);
	assert_int_equal(file_record_encode(&out, record, terms), 0);
	free(terms);
	return out;
}

static void check_block(const struct buffer *bytes, uint32_t terms_count, uint32_t k, uint64_t *raw_start)
{
	struct file_block block;
	size_t offset = file_block_offset(k), length = file_block_length(terms_count, k);
	assert_true(offset + length <= bytes->length);
	assert_int_equal(file_block_decode(&block, span_of(bytes->data + offset, length)), 0);
	assert_true(block.raw_start == *raw_start);
	for (uint32_t i = 0; i < block.count; i++) {
		struct file_term term, wanted = term_of(k * FILE_BLOCK_TERMS + i);
		file_term_decode(&term, block.terms + (size_t)i * FILE_RECORD_TERM_BYTES);
		assert_true(hash_equal(&term.xorb, &wanted.xorb));
		assert_int_equal(term.raw_length, wanted.raw_length);
		assert_int_equal(term.chunk_start, wanted.chunk_start);
		assert_int_equal(term.chunk_end, wanted.chunk_end);
		*raw_start += term.raw_length;
	}
}

static const uint32_t terms_counts[] = { 0, 1, 2, FILE_BLOCK_TERMS - 1, FILE_BLOCK_TERMS, FILE_BLOCK_TERMS + 1, 3 * FILE_BLOCK_TERMS,
	3 * FILE_BLOCK_TERMS + 17 };

static void a_file_record_reads_back_whatever_blocks_its_terms_fill(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(terms_counts) / sizeof(terms_counts[0]); i++) {
		struct file_record record, out;
		struct buffer bytes = make_file(terms_counts[i], &record);
		assert_int_equal(file_record_decode(&out, buffer_span(&bytes)), 0);
		assert_true(hash_equal(&out.file, &record.file));
		assert_memory_equal(&out.sha256, &record.sha256, HASH_BYTES);
		assert_true(out.has_sha256 && out.sha256_verified == record.sha256_verified);
		assert_true(out.length == record.length && out.registered_ms == record.registered_ms);
		assert_int_equal(out.terms_count, terms_counts[i]);
		uint64_t raw_start = 0;
		for (uint32_t k = 0; k < file_blocks_count(out.terms_count); k++)
			check_block(&bytes, out.terms_count, k, &raw_start);
		assert_true(raw_start == record.length);
		buffer_fini(&bytes);
	}
}

static void a_file_record_of_any_other_length_is_refused(void **state)
{
	(void)state;
	struct file_record record, out;
	struct buffer bytes = make_file(FILE_BLOCK_TERMS + 2, &record);
	for (size_t length = 0; length < bytes.length; length += length < 300 ? 1 : 97)
		assert_int_equal(file_record_decode(&out, span_of(bytes.data, length)), ERR_CORRUPT);
	assert_int_equal(file_record_decode(&out, span_of(bytes.data, bytes.length - 1)), ERR_CORRUPT);
	bytes.data[88]++; /* one term more than there are */
	assert_int_equal(file_record_decode(&out, buffer_span(&bytes)), ERR_CORRUPT);
	memset(bytes.data + 88, 0xff, 4);
	assert_int_equal(file_record_decode(&out, buffer_span(&bytes)), ERR_CORRUPT);
	buffer_fini(&bytes);
}

static void a_block_with_one_bit_flipped_is_refused(void **state)
{
	(void)state;
	struct file_record record;
	struct buffer bytes = make_file(FILE_BLOCK_TERMS + 3, &record);
	size_t offset = file_block_offset(1), length = file_block_length(FILE_BLOCK_TERMS + 3, 1);
	struct file_block block;
	for (size_t bit = 0; bit < length * 8; bit++) {
		bytes.data[offset + bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(file_block_decode(&block, span_of(bytes.data + offset, length)), ERR_CORRUPT);
		bytes.data[offset + bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t some = 0; some < length; some++)
		assert_int_equal(file_block_decode(&block, span_of(bytes.data + offset, some)), ERR_CORRUPT);
	assert_int_equal(file_block_decode(&block, span_of(bytes.data + offset, length)), 0);
	buffer_fini(&bytes);
}

/* ------------------------------------------------------------------ small records */

static void a_claim_reads_back_at_its_length_alone(void **state)
{
	(void)state;
	uint8_t bytes[CLAIM_RECORD_BYTES + 1] = { 0 };
	struct claim_record out, record = { hash_of(1), owner_of(2), -5, UINT64_C(1) << 45 };
	claim_record_encode(bytes, &record);
	assert_int_equal(claim_record_decode(&out, span_of(bytes, CLAIM_RECORD_BYTES)), 0);
	assert_true(hash_equal(&out.file, &record.file) && out.claimed_ms == -5 && out.length == record.length);
	assert_memory_equal(&out.owner, &record.owner, sizeof(record.owner));
	for (size_t length = 0; length <= sizeof(bytes); length++)
		if (length != CLAIM_RECORD_BYTES)
			assert_int_equal(claim_record_decode(&out, span_of(bytes, length)), ERR_CORRUPT);
}

static void a_verified_digest_reads_back_at_its_length_alone(void **state)
{
	(void)state;
	uint8_t bytes[VERIFIED_RECORD_BYTES + 1] = { 0 };
	struct verified_record out, record = { hash_of(3), sha256_of(4) };
	verified_record_encode(bytes, &record);
	assert_int_equal(verified_record_decode(&out, span_of(bytes, VERIFIED_RECORD_BYTES)), 0);
	assert_memory_equal(&out, &record, sizeof(record));
	for (size_t length = 0; length <= sizeof(bytes); length++)
		if (length != VERIFIED_RECORD_BYTES)
			assert_int_equal(verified_record_decode(&out, span_of(bytes, length)), ERR_CORRUPT);
}

static void only_xorbs_files_claims_and_codings_can_be_dropped(void **state)
{
	(void)state;
	for (int kind = 0; kind < 256; kind++) {
		uint8_t bytes[DROP_RECORD_BYTES];
		struct drop_record out, record = { (uint8_t)kind, hash_of(8), owner_of(9) };
		drop_record_encode(bytes, &record);
		bool may = kind == VOLUME_XORB || kind == VOLUME_FILE || kind == VOLUME_CLAIM || kind == VOLUME_CODED;
		assert_int_equal(drop_record_decode(&out, span_of(bytes, sizeof(bytes))), may ? 0 : ERR_CORRUPT);
		if (!may)
			continue;
		assert_int_equal(out.kind, kind);
		assert_true(hash_equal(&out.hash, &record.hash));
		assert_memory_equal(&out.owner, &record.owner, sizeof(out.owner));
		for (size_t length = 0; length < sizeof(bytes); length++)
			assert_int_equal(drop_record_decode(&out, span_of(bytes, length)), ERR_CORRUPT);
	}
}

static void a_touch_reads_back_at_its_length_alone(void **state)
{
	(void)state;
	uint8_t bytes[TOUCH_RECORD_BYTES + 1] = { 0 };
	struct touch_record out, record = { hash_of(10), INT64_MAX };
	touch_record_encode(bytes, &record);
	assert_int_equal(touch_record_decode(&out, span_of(bytes, TOUCH_RECORD_BYTES)), 0);
	assert_true(hash_equal(&out.xorb, &record.xorb) && out.touched_ms == INT64_MAX);
	for (size_t length = 0; length <= sizeof(bytes); length++)
		if (length != TOUCH_RECORD_BYTES)
			assert_int_equal(touch_record_decode(&out, span_of(bytes, length)), ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_head_reads_back),
		cmocka_unit_test(a_head_with_one_bit_flipped_is_refused),
		cmocka_unit_test(an_empty_block_is_no_head),
		cmocka_unit_test(a_header_reads_back_for_every_kind),
		cmocka_unit_test(a_header_with_one_bit_flipped_is_refused),
		cmocka_unit_test(a_header_counts_only_in_its_place),
		cmocka_unit_test(a_header_that_announces_too_much_is_refused),
		cmocka_unit_test(the_check_of_a_payload_sees_every_bit),
		cmocka_unit_test(a_record_takes_whole_units),
		cmocka_unit_test(a_xorb_record_reads_back),
		cmocka_unit_test(a_xorb_record_tells_whether_a_client_sent_it_in_one_byte_that_was_zero),
		cmocka_unit_test(a_xorb_record_of_any_other_length_is_refused),
		cmocka_unit_test(a_xorb_record_whose_counts_or_lengths_are_bent_is_refused),
		cmocka_unit_test(a_xorb_record_without_chunks_or_fragments_is_refused),
		cmocka_unit_test(a_file_record_reads_back_whatever_blocks_its_terms_fill),
		cmocka_unit_test(a_file_record_of_any_other_length_is_refused),
		cmocka_unit_test(a_block_with_one_bit_flipped_is_refused),
		cmocka_unit_test(a_claim_reads_back_at_its_length_alone),
		cmocka_unit_test(a_verified_digest_reads_back_at_its_length_alone),
		cmocka_unit_test(only_xorbs_files_claims_and_codings_can_be_dropped),
		cmocka_unit_test(a_touch_reads_back_at_its_length_alone),
	};
	return cmocka_run_group_tests_name("volume_record", tests, NULL, NULL);
}
