/* Headers of GGUF files: what is wanted is found among what is not, and nonsense is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "schemas/gguf.h"

static struct buffer file;

static int set_up(void **state)
{
	(void)state;
	buffer_init(&file, 8 << 20);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	buffer_fini(&file);
	return 0;
}

static void number(uint64_t value, unsigned length)
{
	for (unsigned i = 0; i < length; i++)
		buffer_append_byte(&file, (uint8_t)(value >> (8 * i)));
}

static void text(const char *value)
{
	number(strlen(value), 8);
	buffer_append_text(&file, value);
}

static void begin(uint64_t tensors, uint64_t pairs)
{
	buffer_append_text(&file, "GGUF");
	number(3, 4);
	number(tensors, 8);
	number(pairs, 8);
}

static void text_pair(const char *key, const char *value)
{
	text(key);
	number(8, 4);
	text(value);
}

static void number_pair(const char *key, uint32_t value)
{
	text(key);
	number(4, 4);
	number(value, 4);
}

static void tensor(const char *name, uint64_t rows, uint64_t columns)
{
	text(name);
	number(2, 4);
	number(rows, 8);
	number(columns, 8);
	number(0, 4);
	number(0, 8);
}

static int read_at(void *context, uint64_t offset, void *out, size_t length)
{
	(void)context;
	assert_true(offset + length <= file.length);
	memcpy(out, file.data + offset, length);
	return 0;
}

static int summarize(struct gguf_summary *out)
{
	struct gguf_source source = { .read = read_at, .length = file.length };
	struct why why = { 0 };
	int err = gguf_summarize(out, &source, &why);
	assert_int_equal(err != 0, why.text[0] != 0);
	return err;
}

static void model(void)
{
	begin(2, 7);
	text_pair("general.architecture", "llama");
	text_pair("general.description", "of no interest");
	number_pair("llama.context_length", 8192);
	number_pair("tokenizer.ggml.bos_token_id", 1);
	text("tokenizer.ggml.tokens");
	number(9, 4);
	number(8, 4);
	number(20000, 8);
	for (int i = 0; i < 20000; i++) {
		char token[16];
		snprintf(token, sizeof(token), "<%d>", i);
		text(token);
	}
	number_pair("tokenizer.ggml.eos_token_id", 19999);
	text_pair("tokenizer.chat_template", "{{ messages }}");
	tensor("a", 100, 20);
	tensor("b", 3, 1);
}

static void a_model_is_summarized_across_windows(void **state)
{
	(void)state;
	struct gguf_summary summary;
	model();
	assert_true(file.length > 2 * GGUF_WINDOW_BYTES);
	assert_int_equal(summarize(&summary), 0);
	assert_int_equal(summary.tensors, 2);
	assert_int_equal(summary.parameters, 2003);
	assert_string_equal(summary.architecture, "llama");
	assert_int_equal(summary.context_length, 8192);
	assert_string_equal(summary.bos_token, "<1>");
	assert_string_equal(summary.eos_token, "<19999>");
	assert_string_equal(summary.chat_template, "{{ messages }}");
	gguf_summary_fini(&summary);
}

static void a_header_that_is_cut_anywhere_is_refused(void **state)
{
	(void)state;
	struct gguf_summary summary;
	model();
	for (size_t whole = file.length, cut = 0; cut < whole; cut += cut < 300 || cut > whole - 200 ? 1 : 997) {
		file.length = cut;
		assert_int_equal(summarize(&summary), ERR_INVALID);
		file.length = whole;
	}
}

static void claims_beyond_the_limits_are_refused(void **state)
{
	(void)state;
	struct gguf_summary summary;
	begin(UINT64_MAX, 0);
	assert_int_equal(summarize(&summary), ERR_TOO_BIG);
	buffer_clear(&file);
	begin(0, 1);
	number(UINT64_MAX, 8); /* a key that long */
	assert_int_equal(summarize(&summary), ERR_INVALID);
	buffer_clear(&file);
	begin(2, 0);
	tensor("a", UINT64_MAX, 1);
	tensor("b", 2, 1);
	assert_int_equal(summarize(&summary), ERR_INVALID);
	buffer_clear(&file);
	begin(0, 1);
	text("x");
	number(9, 4);
	number(9, 4); /* an array of arrays */
	number(1, 8);
	number(0, 8);
	assert_int_equal(summarize(&summary), ERR_INVALID);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_model_is_summarized_across_windows),
		TEST(a_header_that_is_cut_anywhere_is_refused),
		TEST(claims_beyond_the_limits_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
