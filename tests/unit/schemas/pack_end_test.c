/* The end of a git pack in a stream: found to the byte, however the stream is cut, and not looked for in what is no pack. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zlib.h>

#include "schemas/pack_end.h"

static struct buffer pack;

static void begin(uint32_t objects)
{
	buffer_clear(&pack);
	buffer_append(&pack, "PACK\0\0\0\2", 8);
	for (int shift = 24; shift >= 0; shift -= 8)
		buffer_append_byte(&pack, (uint8_t)(objects >> shift));
}

/* `claimed`: the size that the header says; `prefix`: what stands before the data of a delta. */
static void add_object(unsigned type, size_t size, size_t claimed, struct span prefix)
{
	uint8_t byte = (uint8_t)(type << 4 | (claimed & 15));
	for (claimed >>= 4; claimed; claimed >>= 7) {
		buffer_append_byte(&pack, byte | 128);
		byte = claimed & 127;
	}
	buffer_append_byte(&pack, byte);
	buffer_append(&pack, prefix.data, prefix.length);
	uint8_t *data = malloc(size + 1), *out = malloc(compressBound(size));
	uint32_t random = 1;
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)((random = random * 1664525 + 1013904223) >> 28);
	uLongf length = compressBound(size);
	assert_int_equal(compress(out, &length, data, size), Z_OK);
	buffer_append(&pack, out, length);
	free(data);
	free(out);
}

static void add_trailer(void)
{
	for (int i = 0; i < 20; i++)
		buffer_append_byte(&pack, 0xab);
}

static void make_sample(void)
{
	static const uint8_t base[20] = { 1, 2, 3 }, offset[] = { 0x81, 0x80, 0x05 };
	begin(7);
	add_object(1, 200, 200, span_of(NULL, 0));
	add_object(2, 0, 0, span_of(NULL, 0));
	add_object(3, 300000, 300000, span_of(NULL, 0));
	add_object(4, 15, 15, span_of(NULL, 0));
	add_object(6, 40, 40, span_of(offset, sizeof(offset)));
	add_object(7, 5000, 5000, span_of(base, sizeof(base)));
	add_object(3, 32768, 32768, span_of(NULL, 0)); /* as much as one step inflates */
	add_trailer();
}

/* Feeds all bytes in pieces of `step`; the result and how many were taken. */
static int feed(struct span bytes, size_t step, size_t *taken)
{
	struct pack_end *end = pack_end_open();
	assert_non_null(end);
	int more = 0;
	*taken = 0;
	while (more == 0 && *taken < bytes.length) {
		size_t used = 0, length = bytes.length - *taken < step ? bytes.length - *taken : step;
		more = pack_end_take(end, span_of(bytes.data + *taken, length), &used);
		assert_true(used <= length && (more != 0 || used == length));
		*taken += used;
	}
	pack_end_close(end);
	return more;
}

static void the_end_is_found_however_the_stream_is_cut(void **state)
{
	(void)state;
	static const size_t steps[] = { 1, 2, 7, 20, 1000, 65536, SIZE_MAX };
	make_sample();
	size_t length = pack.length, taken;
	buffer_append_text(&pack, "what follows is not of the pack");
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		assert_int_equal(feed(buffer_span(&pack), steps[i], &taken), 1);
		assert_int_equal(taken, length);
	}
}

static void an_empty_pack_is_a_header_and_a_trailer(void **state)
{
	(void)state;
	size_t taken;
	begin(0);
	add_trailer();
	assert_int_equal(feed(buffer_span(&pack), 5, &taken), 1);
	assert_int_equal(taken, 32);
}

static void a_cut_pack_wants_more(void **state)
{
	(void)state;
	size_t taken;
	make_sample();
	for (size_t length = 0; length < pack.length; length += 1 + length / 50) {
		assert_int_equal(feed(span_of(pack.data, length), 4096, &taken), 0);
		assert_int_equal(taken, length);
	}
}

static void refused(void)
{
	size_t taken;
	assert_int_equal(feed(buffer_span(&pack), SIZE_MAX, &taken), ERR_CORRUPT);
	assert_int_equal(feed(buffer_span(&pack), 3, &taken), ERR_CORRUPT);
}

static void what_is_no_pack_is_refused(void **state)
{
	(void)state;
	begin(1);
	pack.data[0] = 'p';
	refused();
	begin(1);
	pack.data[7] = 9;
	refused();
	begin(1); /* a type that does not exist */
	add_object(5, 10, 10, span_of(NULL, 0));
	refused();
	begin(1); /* a size without end */
	for (int i = 0; i < 20; i++)
		buffer_append_byte(&pack, 0xff);
	refused();
	begin(1); /* more and less than it says */
	add_object(3, 100, 99, span_of(NULL, 0));
	add_trailer();
	refused();
	begin(1);
	add_object(3, 100, 101, span_of(NULL, 0));
	add_trailer();
	refused();
	begin(1); /* not zlib's */
	buffer_append(&pack, "\x31hello, this is not compressed", 30);
	refused();
}

static void a_bomb_is_stopped_at_the_size_it_claims(void **state)
{
	(void)state;
	uint8_t *zeros = calloc(1, 32 << 20), *out = malloc(compressBound(32 << 20));
	uLongf length = compressBound(32 << 20);
	assert_int_equal(compress(out, &length, zeros, 32 << 20), Z_OK);
	begin(1);
	buffer_append_byte(&pack, 0x35);
	buffer_append(&pack, out, length);
	free(zeros);
	free(out);
	refused();
}

static int set_up(void **state)
{
	(void)state;
	buffer_init(&pack, 16 << 20);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	buffer_fini(&pack);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_end_is_found_however_the_stream_is_cut),
		cmocka_unit_test(an_empty_pack_is_a_header_and_a_trailer),
		cmocka_unit_test(a_cut_pack_wants_more),
		cmocka_unit_test(what_is_no_pack_is_refused),
		cmocka_unit_test(a_bomb_is_stopped_at_the_size_it_claims),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
