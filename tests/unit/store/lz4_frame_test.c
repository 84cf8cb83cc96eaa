/* LZ4 frames of every kind the library can write, damaged ones, and ours read by the library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <lz4frame.h>

#include "schemas/error.h"
#include "store/lz4_frame.h"
#include "tests/unit/vectors.h"

/* Half repeats, half noise, so that blocks of both kinds appear. */
static struct bytes mixed_input(size_t length, uint64_t seed)
{
	struct bytes bytes = bytes_random(length, seed);
	for (size_t at = 0; at + 3000 < length; at += 6000)
		memcpy(bytes.data + at, "the same sentence again and again ", 34), memset(bytes.data + at + 34, 'x', 2966);
	return bytes;
}

static struct bytes library_frame(const struct bytes *input, const LZ4F_preferences_t *preferences)
{
	struct bytes frame = bytes_make(LZ4F_compressFrameBound(input->length, preferences));
	frame.length = LZ4F_compressFrame(frame.data, frame.length, input->data, input->length, preferences);
	assert_false(LZ4F_isError(frame.length));
	return frame;
}

static void every_kind_of_frame_is_read(void **state)
{
	(void)state;
	static const LZ4F_blockSizeID_t sizes[] = { LZ4F_max64KB, LZ4F_max256KB, LZ4F_max1MB, LZ4F_max4MB };
	struct bytes input = mixed_input(131072, 1);
	for (unsigned kind = 0; kind < 64; kind++) {
		LZ4F_preferences_t preferences = { .compressionLevel = kind & 32 ? 9 : 0 };
		preferences.frameInfo.blockSizeID = sizes[kind & 3];
		preferences.frameInfo.blockMode = kind & 4 ? LZ4F_blockLinked : LZ4F_blockIndependent;
		preferences.frameInfo.blockChecksumFlag = kind & 8 ? LZ4F_blockChecksumEnabled : LZ4F_noBlockChecksum;
		preferences.frameInfo.contentChecksumFlag = kind & 8 ? LZ4F_contentChecksumEnabled : LZ4F_noContentChecksum;
		preferences.frameInfo.contentSize = kind & 16 ? input.length : 0;
		struct bytes frame = library_frame(&input, &preferences), output = bytes_make(input.length);
		assert_int_equal(lz4_frame_decode(output.data, output.length, frame.data, frame.length), 0);
		assert_memory_equal(output.data, input.data, input.length);
		assert_int_equal(lz4_frame_decode(output.data, output.length - 1, frame.data, frame.length), ERR_CORRUPT);
		free(output.data);
		output = bytes_make(input.length + 1);
		assert_int_equal(lz4_frame_decode(output.data, output.length, frame.data, frame.length), ERR_CORRUPT);
		free(output.data);
		free(frame.data);
	}
	free(input.data);
}

static void a_frame_of_ours_is_read_by_the_library(void **state)
{
	(void)state;
	for (size_t length = 1; length <= LZ4_FRAME_INPUT_BYTES_MAX; length = length * 3 + 7) {
		struct bytes input = bytes_make(length), frame = bytes_make(length + 64), output = bytes_make(length);
		frame.length = lz4_frame_encode(frame.data, frame.length, input.data, input.length);
		assert_true(frame.length > 0);
		LZ4F_dctx *context;
		assert_false(LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)));
		size_t written = output.length, used = frame.length;
		assert_int_equal(LZ4F_decompress(context, output.data, &written, frame.data, &used, NULL), 0);
		assert_int_equal(written, length);
		assert_int_equal(used, frame.length);
		assert_memory_equal(output.data, input.data, length);
		LZ4F_freeDecompressionContext(context);
		free(input.data);
		free(frame.data);
		free(output.data);
	}
}

static void an_attempt_stays_within_its_capacity(void **state)
{
	(void)state;
	struct bytes input = mixed_input(20000, 2), frame = bytes_make(30000);
	size_t whole = lz4_frame_encode(frame.data, frame.length, input.data, input.length);
	assert_true(whole > 0);
	for (size_t capacity = 0; capacity < whole; capacity += 97) {
		memset(frame.data + capacity, 0xee, 64);
		assert_int_equal(lz4_frame_encode(frame.data, capacity, input.data, input.length), 0);
		for (size_t i = 0; i < 64; i++)
			assert_int_equal(frame.data[capacity + i], 0xee);
	}
	assert_int_equal(lz4_frame_encode(frame.data, whole, input.data, input.length), whole);
	free(input.data);
	free(frame.data);
}

static void a_frame_cut_anywhere_or_followed_by_anything_is_refused(void **state)
{
	(void)state;
	LZ4F_preferences_t preferences = { .frameInfo = { .contentChecksumFlag = LZ4F_contentChecksumEnabled } };
	struct bytes input = mixed_input(9000, 3), output = bytes_make(input.length);
	struct bytes frame = library_frame(&input, &preferences);
	for (size_t length = 0; length < frame.length; length++)
		assert_int_equal(lz4_frame_decode(output.data, output.length, frame.data, length), ERR_CORRUPT);
	struct bytes longer = bytes_make(frame.length + 1);
	memcpy(longer.data, frame.data, frame.length);
	assert_int_equal(lz4_frame_decode(output.data, output.length, longer.data, longer.length), ERR_CORRUPT);
	free(longer.data);
	free(frame.data);
	free(input.data);
	free(output.data);
}

static void a_frame_with_any_bit_flipped_is_refused_when_it_has_checksums(void **state)
{
	(void)state;
	LZ4F_preferences_t preferences = {
		.frameInfo = { .contentChecksumFlag = LZ4F_contentChecksumEnabled, .blockChecksumFlag = LZ4F_blockChecksumEnabled },
	};
	struct bytes input = bytes_make(3000), output = bytes_make(input.length);
	memset(input.data + 1000, 'a', 1000);
	struct bytes frame = library_frame(&input, &preferences);
	for (size_t bit = 0; bit < 8 * frame.length; bit++) {
		frame.data[bit / 8] = (uint8_t)(frame.data[bit / 8] ^ 1 << bit % 8);
		assert_int_equal(lz4_frame_decode(output.data, output.length, frame.data, frame.length), ERR_CORRUPT);
		frame.data[bit / 8] = (uint8_t)(frame.data[bit / 8] ^ 1 << bit % 8);
	}
	assert_int_equal(lz4_frame_decode(output.data, output.length, frame.data, frame.length), 0);
	free(frame.data);
	free(input.data);
	free(output.data);
}

static void frames_with_dictionaries_and_skippable_frames_are_refused(void **state)
{
	(void)state;
	struct bytes input = bytes_make(1000), output = bytes_make(input.length);
	LZ4F_preferences_t preferences = { .frameInfo = { .dictID = 7 } };
	struct bytes frame = library_frame(&input, &preferences);
	assert_int_equal(lz4_frame_decode(output.data, output.length, frame.data, frame.length), ERR_CORRUPT);
	static const uint8_t skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4 };
	assert_int_equal(lz4_frame_decode(output.data, 4, skippable, sizeof(skippable)), ERR_CORRUPT);
	free(frame.data);
	free(input.data);
	free(output.data);
}

static void damage_is_judged_as_the_library_judges_it(void **state)
{
	(void)state;
	uint64_t seed = 4;
	LZ4F_dctx *context;
	assert_false(LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)));
	struct bytes input = mixed_input(70000, 5), ours = bytes_make(input.length), theirs = bytes_make(input.length + 1);
	for (unsigned round = 0; round < 3000; round++) {
		LZ4F_preferences_t preferences = { .frameInfo = { .blockSizeID = LZ4F_max64KB } };
		preferences.frameInfo.blockMode = round & 1 ? LZ4F_blockLinked : LZ4F_blockIndependent;
		size_t length = 1 + random_next(&seed) % input.length;
		struct bytes part = { input.data, length }, frame = library_frame(&part, &preferences);
		for (unsigned i = 0; i < 1 + round % 3; i++)
			frame.data[random_next(&seed) % (round % 7 ? frame.length : 20)] ^= (uint8_t)random_next(&seed);
		LZ4F_resetDecompressionContext(context);
		size_t written = length + 1, used = frame.length;
		size_t left = LZ4F_decompress(context, theirs.data, &written, frame.data, &used, NULL);
		bool good = left == 0 && written == length && used == frame.length;
		int err = lz4_frame_decode(ours.data, length, frame.data, frame.length);
		/* We may refuse more than the library (dictionary ids), never less, and read the same. */
		if (err == 0) {
			assert_true(good);
			assert_memory_equal(ours.data, theirs.data, length);
		} else {
			assert_true(!good || frame.data[4] & 1);
		}
		free(frame.data);
	}
	LZ4F_freeDecompressionContext(context);
	free(input.data);
	free(ours.data);
	free(theirs.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_frame_is_read),
		cmocka_unit_test(a_frame_of_ours_is_read_by_the_library),
		cmocka_unit_test(an_attempt_stays_within_its_capacity),
		cmocka_unit_test(a_frame_cut_anywhere_or_followed_by_anything_is_refused),
		cmocka_unit_test(a_frame_with_any_bit_flipped_is_refused_when_it_has_checksums),
		cmocka_unit_test(frames_with_dictionaries_and_skippable_frames_are_refused),
		cmocka_unit_test(damage_is_judged_as_the_library_judges_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
