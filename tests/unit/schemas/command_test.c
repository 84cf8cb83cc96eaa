/* Commands and records: what is written is read, what is bent is refused. */
#include "schemas/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct thing {
	char name[8];
	uint8_t digest[4];
	uint64_t big;
	int64_t when_ms;
	bool flag;
	uint32_t kind;
};
static const struct field thing_fields[] = {
	FIELD(struct thing, name, FIELD_TEXT, true),
	FIELD(struct thing, digest, FIELD_BYTES, true),
	FIELD(struct thing, big, FIELD_U64, false),
	FIELD(struct thing, when_ms, FIELD_I64, false),
	FIELD(struct thing, flag, FIELD_BOOL, false),
	FIELD(struct thing, kind, FIELD_ENUM, false),
};
static const struct schema thing_schema = SCHEMA(3, thing_fields);
static const struct thing sample = { "seven77", { 1, 2, 3, 4 }, UINT64_MAX, INT64_MIN, true, 70000 };

static struct buffer out;

static int set_up(void **state)
{
	(void)state;
	buffer_init(&out, 2 << 20);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	buffer_fini(&out);
	return 0;
}

static void a_record_reads_back_as_written(void **state)
{
	(void)state;
	struct thing read;
	record_encode(&out, &thing_schema, &sample);
	assert_int_equal(record_decode(&read, sizeof(read), &thing_schema, buffer_span(&out)), 0);
	assert_string_equal(read.name, sample.name);
	assert_memory_equal(read.digest, sample.digest, 4);
	assert_true(read.big == sample.big && read.when_ms == sample.when_ms && read.flag && read.kind == 70000);
}

static void a_cut_or_lengthened_record_is_refused(void **state)
{
	(void)state;
	struct thing read;
	record_encode(&out, &thing_schema, &sample);
	for (size_t length = 0; length < out.length; length++)
		assert_int_not_equal(record_decode(&read, sizeof(read), &thing_schema, span_of(out.data, length)), 0);
	buffer_append_byte(&out, 0xc0);
	assert_int_equal(record_decode(&read, sizeof(read), &thing_schema, buffer_span(&out)), ERR_CORRUPT);
}

static void a_record_of_another_version_is_not_guessed_at(void **state)
{
	(void)state;
	struct thing read;
	struct schema tomorrow = thing_schema;
	tomorrow.version = 4;
	record_encode(&out, &tomorrow, &sample);
	assert_int_equal(record_decode(&read, sizeof(read), &thing_schema, buffer_span(&out)), ERR_UNSUPPORTED);
}

static void unknown_keys_are_skipped_and_missing_ones_matter_if_required(void **state)
{
	(void)state;
	struct thing read;
	pack_array(&out, 2);
	pack_u64(&out, 3);
	pack_map(&out, 3);
	pack_text(&out, span_text("future"));
	pack_array(&out, 2);
	pack_map(&out, 1);
	pack_u64(&out, 1);
	pack_i64(&out, -1);
	pack_bool(&out, false);
	pack_text(&out, span_text("digest"));
	pack_bytes(&out, span_of("abcd", 4));
	size_t before_name = out.length;
	pack_text(&out, span_text("name"));
	pack_text(&out, span_text("x"));
	assert_int_equal(record_decode(&read, sizeof(read), &thing_schema, buffer_span(&out)), 0);
	assert_string_equal(read.name, "x");
	assert_int_equal(read.big, 0);
	out.length = before_name;
	pack_text(&out, span_text("nome"));
	pack_text(&out, span_text("x"));
	assert_int_equal(record_decode(&read, sizeof(read), &thing_schema, buffer_span(&out)), ERR_CORRUPT);
}

static int decode_name(const char *name, size_t length)
{
	struct thing read;
	buffer_clear(&out);
	pack_array(&out, 2);
	pack_u64(&out, 3);
	pack_map(&out, 2);
	pack_text(&out, span_text("digest"));
	pack_bytes(&out, span_of("abcd", 4));
	pack_text(&out, span_text("name"));
	pack_text(&out, span_of(name, length));
	return record_decode(&read, sizeof(read), &thing_schema, buffer_span(&out));
}

static void text_must_fit_and_hold_no_nul(void **state)
{
	(void)state;
	assert_int_equal(decode_name("", 0), 0);
	assert_int_equal(decode_name("1234567", 7), 0);
	assert_int_equal(decode_name("12345678", 8), ERR_CORRUPT);
	assert_int_equal(decode_name("a\0b", 3), ERR_CORRUPT);
}

static void integers_are_read_in_every_encoding_and_checked_for_range(void **state)
{
	(void)state;
	static const struct {
		uint8_t bytes[9];
		size_t length;
		bool is_u64;
		int64_t value;
	} cases[] = {
		{ { 0x7f }, 1, true, 127 },
		{ { 0xcc, 200 }, 2, true, 200 },
		{ { 0xcd, 1, 0 }, 3, true, 256 },
		{ { 0xd1, 1, 0 }, 3, true, 256 },
		{ { 0xff }, 1, false, -1 },
		{ { 0xd0, 0x80 }, 2, false, -128 },
		{ { 0xd2, 0xff, 0xff, 0xff, 0xfe }, 5, false, -2 },
		{ { 0xd3, 0x80 }, 9, false, INT64_MIN },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cursor cursor = cursor_of(span_of(cases[i].bytes, cases[i].length));
		uint64_t u64 = cursor_u64(&cursor);
		assert_int_equal(!cursor.failed, cases[i].is_u64);
		if (cases[i].is_u64)
			assert_int_equal(u64, cases[i].value);
		cursor = cursor_of(span_of(cases[i].bytes, cases[i].length));
		assert_true(cursor_i64(&cursor) == cases[i].value);
		assert_true(cursor_done(&cursor));
		cursor = cursor_of(span_of(cases[i].bytes, cases[i].length));
		assert_int_equal(cursor_value(&cursor).length, cases[i].length);
	}
	uint8_t too_big[] = { 0xcf, 0xff, 0, 0, 0, 0, 0, 0, 0 };
	struct cursor cursor = cursor_of(span_of(too_big, sizeof(too_big)));
	assert_int_equal(cursor_i64(&cursor), 0);
	assert_true(cursor.failed);
}

static void a_count_beyond_the_bytes_is_refused_at_once(void **state)
{
	(void)state;
	static const uint8_t bombs[][5] = { { 0xdd, 0xff, 0xff, 0xff, 0xff }, { 0xdf, 0xff, 0xff, 0xff, 0xff }, { 0xc6, 0xff, 0xff, 0xff, 0xff },
		{ 0xdb, 0xff, 0xff, 0xff, 0xff } };
	for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
		struct cursor cursor = cursor_of(span_of(bombs[i], 5));
		assert_int_equal(cursor_value(&cursor).length, 0);
		assert_true(cursor.failed);
	}
}

static void nesting_is_limited(void **state)
{
	(void)state;
	for (int i = 0; i < RECORD_DEPTH_MAX; i++)
		pack_array(&out, 1);
	pack_u64(&out, 1);
	struct cursor cursor = cursor_of(buffer_span(&out));
	assert_int_equal(cursor_value(&cursor).length, out.length);
	buffer_clear(&out);
	for (int i = 0; i < 10000; i++)
		pack_array(&out, 1);
	pack_u64(&out, 1);
	cursor = cursor_of(buffer_span(&out));
	cursor_value(&cursor);
	assert_true(cursor.failed);
}

static struct command make(struct buffer *body)
{
	buffer_init(body, 64);
	pack_u64(body, 5);
	return (struct command){ .type = 513, .version = 7, .id = { { 1, 2, 3 } }, .actor = span_text("ada"), .body = buffer_span(body) };
}

static void a_command_reads_back_as_written(void **state)
{
	(void)state;
	struct buffer body;
	struct command command = make(&body), read;
	assert_int_equal(command_encode(&out, &command), 0);
	assert_int_equal(command_decode(&read, buffer_span(&out)), 0);
	assert_int_equal(read.type, 513);
	assert_int_equal(read.version, 7);
	assert_memory_equal(read.id.bytes, command.id.bytes, COMMAND_ID_BYTES);
	assert_true(span_equal(read.actor, command.actor) && span_equal(read.body, command.body));
	for (size_t length = 0; length < out.length; length++)
		assert_int_equal(command_decode(&read, span_of(out.data, length)), ERR_CORRUPT);
	buffer_fini(&body);
}

static void an_actor_has_a_limit(void **state)
{
	(void)state;
	struct buffer body;
	char actor[COMMAND_ACTOR_BYTES_MAX + 1];
	memset(actor, 'a', sizeof(actor));
	struct command command = make(&body);
	command.actor = span_of(actor, sizeof(actor));
	assert_int_equal(command_encode(&out, &command), ERR_INVALID);
	buffer_fini(&body);
}

static void an_entry_holds_commands_in_order(void **state)
{
	(void)state;
	struct buffer body;
	struct command command = make(&body), read;
	struct command_entry entry;
	struct span bytes;
	command_entry_begin(&out, 1234567890123, 3);
	for (uint16_t i = 0; i < 3; i++) {
		command.type = (uint16_t)(100 + i);
		command_encode(&out, &command);
	}
	assert_int_equal(command_entry_open(&entry, buffer_span(&out)), 0);
	assert_true(entry.leader_ms == 1234567890123);
	for (uint16_t i = 0; i < 3; i++) {
		assert_int_equal(command_entry_next(&entry, &bytes), 1);
		assert_int_equal(command_decode(&read, bytes), 0);
		assert_int_equal(read.type, 100 + i);
	}
	assert_int_equal(command_entry_next(&entry, &bytes), 0);

	buffer_append_byte(&out, 1);
	assert_int_equal(command_entry_open(&entry, buffer_span(&out)), 0);
	for (int i = 0; i < 3; i++)
		command_entry_next(&entry, &bytes);
	assert_int_equal(command_entry_next(&entry, &bytes), ERR_CORRUPT);
	out.data[1] = 2;
	assert_int_equal(command_entry_open(&entry, buffer_span(&out)), ERR_UNSUPPORTED);
	buffer_fini(&body);
}

static void the_deepest_command_that_decodes_also_decodes_in_an_entry(void **state)
{
	(void)state;
	struct buffer body, entry_bytes;
	struct command command = make(&body), read;
	struct command_entry entry;
	struct span bytes;
	buffer_clear(&body);
	for (int i = 0; i < RECORD_DEPTH_MAX; i++)
		pack_array(&body, 1);
	pack_u64(&body, 1);
	command.body = buffer_span(&body);
	command_encode(&out, &command);
	assert_int_equal(command_decode(&read, buffer_span(&out)), 0);
	buffer_init(&entry_bytes, 4096);
	command_entry_begin(&entry_bytes, 1, 1);
	buffer_append(&entry_bytes, out.data, out.length);
	assert_int_equal(command_entry_open(&entry, buffer_span(&entry_bytes)), 0);
	assert_int_equal(command_entry_next(&entry, &bytes), 1);
	assert_int_equal(command_entry_next(&entry, &bytes), 0);
	buffer_fini(&entry_bytes);
	buffer_fini(&body);
}

static void an_id_tells_when_it_was_made(void **state)
{
	(void)state;
	struct command_id id = { { 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00, 0x70 } };
	assert_true(command_id_ms(&id) == 0x018bcfe56800);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_record_reads_back_as_written),
		TEST(a_cut_or_lengthened_record_is_refused),
		TEST(a_record_of_another_version_is_not_guessed_at),
		TEST(unknown_keys_are_skipped_and_missing_ones_matter_if_required),
		TEST(text_must_fit_and_hold_no_nul),
		TEST(integers_are_read_in_every_encoding_and_checked_for_range),
		TEST(a_count_beyond_the_bytes_is_refused_at_once),
		TEST(nesting_is_limited),
		TEST(a_command_reads_back_as_written),
		TEST(an_actor_has_a_limit),
		TEST(an_entry_holds_commands_in_order),
		TEST(the_deepest_command_that_decodes_also_decodes_in_an_entry),
		TEST(an_id_tells_when_it_was_made),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
