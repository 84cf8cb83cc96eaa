/* Base64 decoded over itself: what it accepts, and that it never writes outside the text. */
#include "gateway/hub/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

enum { TEXT_BYTES_MAX = 512 };

/* The bytes are on the heap, exactly as long as the text, so that a sanitizer sees every step beside them. */
static size_t decode(const char *text, char out[TEXT_BYTES_MAX])
{
	size_t length = strlen(text);
	uint8_t *bytes = malloc(length ? length : 1);
	assert_non_null(bytes);
	memcpy(bytes, text, length);
	size_t decoded = base64_decode_in_place(bytes, length);
	if (decoded != SIZE_MAX) {
		assert_true(decoded < TEXT_BYTES_MAX);
		memcpy(out, bytes, decoded);
		out[decoded] = 0;
	}
	free(bytes);
	return decoded;
}

static void published_vectors_decode(void **state)
{
	(void)state;
	static const char *const vectors[][2] = { { "", "" }, { "Zg==", "f" }, { "Zm8=", "fo" }, { "Zm9v", "foo" }, { "Zm9vYg==", "foob" },
		{ "Zm9vYmE=", "fooba" }, { "Zm9vYmFy", "foobar" } };
	char out[TEXT_BYTES_MAX];
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		assert_int_equal(decode(vectors[i][0], out), strlen(vectors[i][1]));
		assert_string_equal(out, vectors[i][1]);
	}
}

static void padding_may_be_absent_and_lines_may_end_anywhere(void **state)
{
	(void)state;
	char out[TEXT_BYTES_MAX];
	assert_int_equal(decode("Zm9vYg", out), 4);
	assert_string_equal(out, "foob");
	assert_int_equal(decode("Zm9v\r\nYm\nFy\n", out), 6);
	assert_string_equal(out, "foobar");
	assert_int_equal(decode("Zg=\n=\n", out), 1);
}

static void what_is_not_base64_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "Z", "Zm9vY", "Zm9v!", "Zm 9v", "Zg===", "Zm9v=", "Zg==Zg==", "=", "Zm-_", "Z=g=" };
	char out[TEXT_BYTES_MAX];
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(decode(bad[i], out), SIZE_MAX);
}

static void every_byte_comes_back(void **state)
{
	(void)state;
	uint8_t bytes[300];
	for (size_t length = 0; length <= sizeof(bytes); length++) {
		char text[TEXT_BYTES_MAX], out[TEXT_BYTES_MAX];
		for (size_t i = 0; i < length; i++)
			bytes[i] = (uint8_t)(i * 7 + length);
		sodium_bin2base64(text, sizeof(text), bytes, length, sodium_base64_VARIANT_ORIGINAL);
		assert_int_equal(decode(text, out), length);
		assert_memory_equal(out, bytes, length);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors_decode),
		cmocka_unit_test(padding_may_be_absent_and_lines_may_end_anywhere),
		cmocka_unit_test(what_is_not_base64_is_refused),
		cmocka_unit_test(every_byte_comes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
