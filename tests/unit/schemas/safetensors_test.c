/* Headers of safetensors files: counted when sound, refused with a sentence when not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "schemas/safetensors.h"

static int summarize(struct safetensors_summary *out, const char *header, uint64_t data_length)
{
	struct why why = { 0 };
	int err = safetensors_summarize(out, span_text(header), data_length, &why);
	assert_int_equal(err != 0, why.text[0] != 0);
	return err;
}

static void parameters_are_counted_by_dtype(void **state)
{
	(void)state;
	struct safetensors_summary summary;
	assert_int_equal(0, summarize(&summary, "{\"__metadata__\":{\"format\":\"pt\"},"
		"\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
		"\"b\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[24,32]},"
		"\"c\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[32,36]}}", 36));
	assert_int_equal(3, summary.tensors);
	assert_int_equal(11, summary.parameters);
	assert_int_equal(2, summary.dtypes_count);
	for (size_t i = 0; i < 2; i++) {
		bool is_f32 = strcmp(summary.dtypes[i].name, "F32") == 0;
		assert_string_equal(is_f32 ? "F32" : "BF16", summary.dtypes[i].name);
		assert_int_equal(is_f32 ? 7 : 4, summary.dtypes[i].parameters);
	}
}

static void a_file_without_tensors_counts_none(void **state)
{
	(void)state;
	struct safetensors_summary summary;
	assert_int_equal(0, summarize(&summary, "{}", 0));
	assert_int_equal(0, summary.tensors);
	assert_int_equal(0, summary.dtypes_count);
}

static void blanks_after_the_object_are_padding(void **state)
{
	(void)state;
	struct safetensors_summary summary;
	assert_int_equal(0, summarize(&summary, "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}      ", 1));
	assert_int_equal(1, summary.parameters);
}

static void four_bit_types_fill_half_bytes(void **state)
{
	(void)state;
	struct safetensors_summary summary;
	assert_int_equal(0, summarize(&summary, "{\"a\":{\"dtype\":\"F4\",\"shape\":[6],\"data_offsets\":[0,3]}}", 3));
	assert_int_equal(ERR_INVALID, summarize(&summary, "{\"a\":{\"dtype\":\"F4\",\"shape\":[5],\"data_offsets\":[0,3]}}", 3));
}

static void a_dtype_of_the_future_is_counted_without_its_size(void **state)
{
	(void)state;
	struct safetensors_summary summary;
	assert_int_equal(0, summarize(&summary, "{\"a\":{\"dtype\":\"F3_NEW\",\"shape\":[8],\"data_offsets\":[0,3]}}", 3));
	assert_int_equal(8, summary.parameters);
	assert_string_equal("F3_NEW", summary.dtypes[0].name);
}

static void bad_headers_are_refused(void **state)
{
	(void)state;
	static const char *const headers[] = {
		"", " {}", "[]", "{", "{}x", "null", "{\"a\":1}", "{\"a\":[]}",
		"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
		"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}",
		"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", "{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}",
		"{\"a\":{\"dtype\":\"F\\\"2\",\"shape\":[1],\"data_offsets\":[0,4]}}", "{\"a\":{\"dtype\":\"\",\"shape\":[1],\"data_offsets\":[0,4]}}",
		"{\"a\":{\"dtype\":\"AAAAAAAAAAAAAAAAA\",\"shape\":[1],\"data_offsets\":[0,4]}}",
		"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}",
		"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}",
		"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}",
		"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[6,10]}}",
		"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]}}",
		"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}",
	};
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		struct safetensors_summary summary;
		if (summarize(&summary, headers[i], 8) != ERR_INVALID)
			fail_msg("accepted: %s", headers[i]);
	}
}

static void uncountable_shapes_are_refused(void **state)
{
	(void)state;
	char header[2048], shape[1024] = "1";
	struct safetensors_summary summary;
	for (int i = 0; i < SAFETENSORS_DIMENSIONS_MAX; i++)
		strcat(shape, ",1");
	snprintf(header, sizeof(header), "{\"a\":{\"dtype\":\"U8\",\"shape\":[%s],\"data_offsets\":[0,1]}}", shape);
	assert_int_equal(ERR_INVALID, summarize(&summary, header, 1));
	/* Two tensors of a dtype without a known size, whose counts add up beyond 64 bits. */
	assert_int_equal(ERR_INVALID, summarize(&summary, "{\"a\":{\"dtype\":\"X\",\"shape\":[9223372036854775807,2],\"data_offsets\":[0,0]},"
		"\"b\":{\"dtype\":\"X\",\"shape\":[2],\"data_offsets\":[0,0]}}", 0));
}

static void nesting_is_bounded(void **state)
{
	(void)state;
	enum { DEPTH = 10000 };
	char *header = malloc(2 * DEPTH + 16);
	struct safetensors_summary summary;
	size_t at = (size_t)sprintf(header, "{\"a\":");
	memset(header + at, '[', DEPTH);
	memset(header + at + DEPTH, ']', DEPTH);
	strcpy(header + at + 2 * DEPTH, "}");
	assert_int_equal(ERR_INVALID, summarize(&summary, header, 0));
	free(header);
}

static void the_prefix_is_checked_against_the_file(void **state)
{
	(void)state;
	struct why why;
	uint64_t length = 0;
	static const uint8_t five[8] = { 5 }, large[8] = { 0, 0, 0, 2 }, huge[8] = { 255, 255, 255, 255, 255, 255, 255, 255 };
	assert_int_equal(0, safetensors_header_length(&length, span_of(five, 8), 13, &why));
	assert_int_equal(5, length);
	assert_int_equal(ERR_INVALID, safetensors_header_length(&length, span_of(five, 8), 12, &why));
	assert_int_equal(ERR_INVALID, safetensors_header_length(&length, span_of(five, 7), 13, &why));
	assert_int_equal(ERR_INVALID, safetensors_header_length(&length, span_of(huge, 8), UINT64_MAX, &why));
	assert_int_equal(ERR_TOO_BIG, safetensors_header_length(&length, span_of(large, 8), UINT64_C(1) << 40, &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parameters_are_counted_by_dtype),
		cmocka_unit_test(a_file_without_tensors_counts_none),
		cmocka_unit_test(blanks_after_the_object_are_padding),
		cmocka_unit_test(four_bit_types_fill_half_bytes),
		cmocka_unit_test(a_dtype_of_the_future_is_counted_without_its_size),
		cmocka_unit_test(bad_headers_are_refused),
		cmocka_unit_test(uncountable_shapes_are_refused),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(the_prefix_is_checked_against_the_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
