/* Shards: as clients send them, as we write them, and as they should not be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "schemas/little_endian.h"
#include "schemas/shard.h"
#include "tests/unit/vectors.h"

static json_t *vectors;

static void assert_hash_is(const struct hash *actual, const json_t *text)
{
	struct hash expected = vector_hash_value(text);
	assert_true(hash_equal(actual, &expected));
}

/* ------------------------------------------------------------------ published shards */

static void check_file(const struct shard_file *file, const json_t *expected)
{
	size_t i;
	json_t *item;
	char text[HASH_TEXT_BYTES];
	assert_hash_is(&file->hash, json_object_get(expected, "file_hash"));
	assert_int_equal(file->terms_count, json_array_size(json_object_get(expected, "terms")));
	assert_true(file->has_sha256);
	hex_encode(text, file->sha256.bytes, HASH_BYTES);
	assert_string_equal(text, vector_text(expected, "sha256")); /* plain digest order */
	json_array_foreach(json_object_get(expected, "terms"), i, item) {
		struct shard_term term;
		shard_term_at(&term, file, (uint32_t)i);
		assert_hash_is(&term.xorb, json_object_get(item, "xorb"));
		assert_int_equal(term.raw_length, vector_size(item, "unpacked"));
		assert_int_equal(term.chunk_start, vector_size(item, "start"));
		assert_int_equal(term.chunk_end, vector_size(item, "end"));
	}
	json_array_foreach(json_object_get(expected, "verification"), i, item) {
		struct hash hash;
		assert_true(file->has_verification);
		shard_verification_at(&hash, file, (uint32_t)i);
		assert_hash_is(&hash, item);
	}
}

static void check_xorb(const struct shard_xorb *xorb, const json_t *expected)
{
	size_t i;
	json_t *item;
	assert_hash_is(&xorb->hash, json_object_get(expected, "hash"));
	assert_int_equal(xorb->raw_length, vector_size(expected, "num_bytes_in_xorb"));
	assert_int_equal(xorb->chunks_count, vector_size(expected, "num_entries"));
	json_array_foreach(json_object_get(expected, "chunks"), i, item) {
		struct shard_chunk chunk;
		shard_chunk_at(&chunk, xorb, (uint32_t)i);
		assert_hash_is(&chunk.hash, json_object_get(item, "hash"));
		assert_int_equal(chunk.raw_offset, vector_size(item, "byte_start"));
		assert_int_equal(chunk.raw_length, vector_size(item, "unpacked"));
		assert_int_equal(chunk.flags, vector_size(item, "flags"));
	}
}

static void published_shards_are_read(void **state)
{
	(void)state;
	size_t i, k;
	json_t *item, *block;
	json_array_foreach(json_object_get(vectors, "shards"), i, item) {
		struct bytes bytes = vector_base64(item, "shard_b64");
		json_t *parsed = json_object_get(item, "parsed");
		struct shard_reader reader;
		struct shard_file file;
		struct shard_xorb xorb;
		assert_int_equal(shard_open(&reader, span_of(bytes.data, bytes.length), NULL), 0);
		json_array_foreach(json_object_get(parsed, "files"), k, block) {
			assert_int_equal(shard_next_file(&reader, &file, NULL), 1);
			check_file(&file, block);
		}
		assert_int_equal(shard_next_file(&reader, &file, NULL), 0);
		assert_int_equal(shard_next_file(&reader, &file, NULL), 0);
		json_array_foreach(json_object_get(parsed, "xorbs"), k, block) {
			assert_int_equal(shard_next_xorb(&reader, &xorb, NULL), 1);
			check_xorb(&xorb, block);
		}
		assert_int_equal(shard_next_xorb(&reader, &xorb, NULL), 0);
		assert_int_equal(shard_next_xorb(&reader, &xorb, NULL), 0);
		free(bytes.data);
	}
}

static void write_file_again(struct buffer *out, const struct shard_file *file)
{
	struct shard_term terms[16];
	struct hash verification[16];
	assert_true(file->terms_count <= 16);
	for (uint32_t i = 0; i < file->terms_count; i++) {
		shard_term_at(&terms[i], file, i);
		if (file->has_verification)
			shard_verification_at(&verification[i], file, i);
	}
	assert_int_equal(shard_write_file(out, &file->hash, terms, file->has_verification ? verification : NULL, file->terms_count,
		file->has_sha256 ? &file->sha256 : NULL), 0);
}

static void write_xorb_again(struct buffer *out, const struct shard_xorb *xorb, uint32_t serialised_length)
{
	struct shard_chunk chunks[16];
	assert_true(xorb->chunks_count <= 16);
	for (uint32_t i = 0; i < xorb->chunks_count; i++)
		shard_chunk_at(&chunks[i], xorb, i);
	assert_int_equal(shard_write_xorb(out, &xorb->hash, chunks, xorb->chunks_count, xorb->raw_length, serialised_length), 0);
}

/* Where a published shard's sections are, as its footer has to say. */
struct offsets {
	uint64_t xorbs, footer;
};

/* Copies a shard through our reader and our writer, up to where a footer would begin. */
static struct offsets copy_shard(struct buffer *out, struct span bytes, const json_t *parsed)
{
	struct shard_reader reader;
	struct shard_file file;
	struct shard_xorb xorb;
	struct offsets offsets;
	size_t k = 0;
	assert_int_equal(shard_open(&reader, bytes, NULL), 0);
	shard_write_header(out, vector_size(parsed, "footer_size") != 0);
	while (shard_next_file(&reader, &file, NULL) == 1)
		write_file_again(out, &file);
	shard_write_bookend(out);
	offsets.xorbs = out->length;
	while (shard_next_xorb(&reader, &xorb, NULL) == 1)
		write_xorb_again(out, &xorb, (uint32_t)vector_size(json_array_get(json_object_get(parsed, "xorbs"), k++), "num_bytes_on_disk"));
	shard_write_bookend(out);
	offsets.footer = out->length;
	assert_false(out->failed);
	return offsets;
}

static void written_shards_equal_the_published_bytes(void **state)
{
	(void)state;
	size_t i;
	json_t *item;
	json_array_foreach(json_object_get(vectors, "shards"), i, item) {
		struct bytes bytes = vector_base64(item, "shard_b64");
		struct buffer out;
		buffer_init(&out, 1 << 20);
		struct offsets offsets = copy_shard(&out, span_of(bytes.data, bytes.length), json_object_get(item, "parsed"));
		assert_memory_equal(out.data, bytes.data, out.length);
		if (json_object_get(item, "key_raw_hex")) { /* a dedup answer: its footer is ours to write */
			struct bytes key = vector_hex(item, "key_raw_hex");
			const uint8_t *published = bytes.data + bytes.length - SHARD_FOOTER_BYTES;
			struct shard_footer footer = {
				.file_offset = SHARD_RECORD_BYTES, .xorb_offset = offsets.xorbs, .lookup_offset = offsets.footer,
				.footer_offset = offsets.footer, .created_s = le_read_u64(published + 104), .expires_s = le_read_u64(published + 112),
			};
			memcpy(footer.key, key.data, HASH_BYTES);
			assert_int_equal(shard_write_footer(&out, &footer), 0);
			assert_int_equal(out.length, bytes.length);
			/* Byte totals for information (168..191) are left zero. */
			assert_memory_equal(out.data + offsets.footer, published, 168);
			assert_memory_equal(out.data + offsets.footer + 192, published + 192, 8);
			free(key.data);
		}
		buffer_fini(&out);
		free(bytes.data);
	}
}

/* ------------------------------------------------------------------ bad shards */

/* Two files (three terms, none), one xorb of two chunks, no footer. */
static struct buffer sample(bool verified_first, bool verified_second, bool with_footer)
{
	struct buffer out;
	struct hash file = { { 1 } }, empty = { { 0 } }, xorb = { { 2 } };
	struct hash verification[3] = { { { 3 } }, { { 4 } }, { { 5 } } };
	struct sha256 sha256 = { { 6 } };
	struct shard_term terms[3] = { { xorb, 10, 0, 1 }, { xorb, 20, 1, 2 }, { xorb, 30, 0, 2 } };
	struct shard_chunk chunks[2] = { { { { 7 } }, 0, 10, 0 }, { { { 8 } }, 10, 20, 0 } };
	buffer_init(&out, 1 << 20);
	shard_write_header(&out, with_footer);
	shard_write_file(&out, &file, terms, verified_first ? verification : NULL, 3, &sha256);
	shard_write_file(&out, &empty, NULL, verified_second ? verification : NULL, 0, &sha256);
	shard_write_bookend(&out);
	shard_write_xorb(&out, &xorb, chunks, 2, 30, 0);
	shard_write_bookend(&out);
	assert_false(out.failed);
	return out;
}

static int open_bytes(const void *data, size_t length)
{
	struct shard_reader reader;
	struct why why = { "" };
	int err = shard_open(&reader, span_of(data, length), &why);
	assert_int_equal(why.text[0] != '\0', err != 0);
	return err;
}

static void a_shard_cut_anywhere_is_refused(void **state)
{
	(void)state;
	struct buffer shard = sample(true, true, false);
	assert_int_equal(open_bytes(shard.data, shard.length), 0);
	for (size_t length = 0; length < shard.length; length++) {
		uint8_t *exact = malloc(length + 1); /* so that a sanitizer sees any byte read behind */
		memcpy(exact, shard.data, length);
		assert_int_equal(open_bytes(exact, length), ERR_CORRUPT);
		free(exact);
	}
	buffer_fini(&shard);
}

static void bytes_after_the_end_are_refused_without_a_footer_and_ignored_with_one(void **state)
{
	(void)state;
	static const uint8_t tail[3 * SHARD_FOOTER_BYTES];
	struct buffer shard = sample(true, true, false);
	buffer_append(&shard, tail, 1);
	assert_int_equal(open_bytes(shard.data, shard.length), ERR_CORRUPT);
	buffer_append(&shard, tail, SHARD_FOOTER_BYTES - 1);
	assert_int_equal(open_bytes(shard.data, shard.length), ERR_CORRUPT);
	buffer_fini(&shard);
	shard = sample(true, true, true);
	assert_int_equal(open_bytes(shard.data, shard.length), 0); /* announced and left off, as hf_xet 1.1.x does */
	buffer_append(&shard, tail, SHARD_FOOTER_BYTES - 1);
	assert_int_equal(open_bytes(shard.data, shard.length), ERR_CORRUPT);
	buffer_append(&shard, tail, 1);
	assert_int_equal(open_bytes(shard.data, shard.length), 0);
	buffer_append(&shard, tail, 333); /* lookup tables before the footer */
	assert_int_equal(open_bytes(shard.data, shard.length), 0);
	buffer_fini(&shard);
}

static void files_with_and_without_verification_do_not_mix(void **state)
{
	(void)state;
	for (int mix = 0; mix < 4; mix++) {
		bool first = mix & 1, second = mix & 2;
		struct buffer shard = sample(first, second, false);
		assert_int_equal(open_bytes(shard.data, shard.length), first == second ? 0 : ERR_CORRUPT);
		buffer_fini(&shard);
	}
}

static void an_unknown_tag_version_or_footer_is_refused(void **state)
{
	(void)state;
	struct buffer shard = sample(true, true, false);
	for (size_t i = 0; i < SHARD_RECORD_BYTES; i++) {
		shard.data[i] ^= 0x11;
		assert_int_equal(open_bytes(shard.data, shard.length), ERR_CORRUPT);
		shard.data[i] ^= 0x11;
	}
	buffer_fini(&shard);
}

static void counts_beyond_the_bytes_are_refused(void **state)
{
	(void)state;
	struct buffer shard = sample(true, true, false);
	static const uint32_t counts[] = { 8, 12, 1000, 0x7fffffff, 0x80000000, 0xffffffff };
	size_t file_count = SHARD_RECORD_BYTES + 36, xorb_count = shard.length - 4 * SHARD_RECORD_BYTES + 36;
	assert_int_equal(le_read_u32(shard.data + file_count), 3);
	assert_int_equal(le_read_u32(shard.data + xorb_count), 2);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		le_write_u32(shard.data + file_count, counts[i]);
		assert_int_equal(open_bytes(shard.data, shard.length), ERR_CORRUPT);
		le_write_u32(shard.data + file_count, 3);
		le_write_u32(shard.data + xorb_count, counts[i]);
		assert_int_equal(open_bytes(shard.data, shard.length), ERR_CORRUPT);
		le_write_u32(shard.data + xorb_count, 2);
	}
	buffer_fini(&shard);
}

static void an_empty_file_keeps_its_flags(void **state)
{
	(void)state;
	struct buffer shard = sample(true, true, false);
	struct shard_reader reader;
	struct shard_file file;
	assert_int_equal(shard_open(&reader, buffer_span(&shard), NULL), 0);
	assert_int_equal(shard_next_file(&reader, &file, NULL), 1);
	assert_int_equal(shard_next_file(&reader, &file, NULL), 1);
	assert_int_equal(file.terms_count, 0);
	assert_true(file.has_verification && file.has_sha256);
	assert_int_equal(file.sha256.bytes[0], 6);
	buffer_fini(&shard);
}

static void asking_for_xorbs_passes_the_files(void **state)
{
	(void)state;
	struct buffer shard = sample(true, true, false);
	struct shard_reader reader;
	struct shard_xorb xorb;
	struct shard_file file;
	assert_int_equal(shard_open(&reader, buffer_span(&shard), NULL), 0);
	assert_int_equal(shard_next_xorb(&reader, &xorb, NULL), 1);
	assert_int_equal(xorb.chunks_count, 2);
	assert_int_equal(shard_next_file(&reader, &file, NULL), 0);
	assert_int_equal(shard_next_xorb(&reader, &xorb, NULL), 0);
	buffer_fini(&shard);
}

static void a_shard_above_the_limit_is_refused(void **state)
{
	(void)state;
	struct bytes bytes = bytes_make((size_t)SHARD_BYTES_MAX + 1);
	assert_int_equal(open_bytes(bytes.data, bytes.length), ERR_TOO_BIG);
	free(bytes.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_shards_are_read),
		cmocka_unit_test(written_shards_equal_the_published_bytes),
		cmocka_unit_test(a_shard_cut_anywhere_is_refused),
		cmocka_unit_test(bytes_after_the_end_are_refused_without_a_footer_and_ignored_with_one),
		cmocka_unit_test(files_with_and_without_verification_do_not_mix),
		cmocka_unit_test(an_unknown_tag_version_or_footer_is_refused),
		cmocka_unit_test(counts_beyond_the_bytes_are_refused),
		cmocka_unit_test(an_empty_file_keeps_its_flags),
		cmocka_unit_test(asking_for_xorbs_passes_the_files),
		cmocka_unit_test(a_shard_above_the_limit_is_refused),
	};
	vectors = vectors_load();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	json_decref(vectors);
	return failed;
}
