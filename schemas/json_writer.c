#include "schemas/json_writer.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

void json_writer_init(struct json_writer *writer, struct buffer *out)
{
	*writer = (struct json_writer){ .out = out };
}

/* Length of the valid UTF-8 sequence at `p` (at most `n` bytes), or 0. RFC 3629. */
static size_t utf8_sequence(const uint8_t *p, size_t n)
{
	uint8_t c = p[0];
	if (c < 0x80)
		return 1;
	size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
	if (c < 0xc2 || c > 0xf4 || n < length)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) || (c == 0xf0 && p[1] < 0x90) ||
	    (c == 0xf4 && p[1] > 0x8f))
		return 0;
	return length;
}

static void write_string(struct buffer *out, struct span text)
{
	buffer_append_byte(out, '"');
	size_t start = 0;
	for (size_t i = 0; i < text.length;) {
		uint8_t c = text.data[i];
		if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
			i++;
			continue;
		}
		size_t sequence = c < 0x80 ? 1 : utf8_sequence(text.data + i, text.length - i);
		if (c >= 0x80 && sequence) {
			i += sequence;
			continue;
		}
		buffer_append(out, text.data + start, i - start);
		if (c == '"' || c == '\\') {
			uint8_t escaped[2] = { '\\', c };
			buffer_append(out, escaped, 2);
		} else if (c == '\n') {
			buffer_append(out, "\\n", 2);
		} else if (c >= 0x80) {
			buffer_append(out, "\xef\xbf\xbd", 3);
		} else {
			buffer_printf(out, "\\u%04x", c);
		}
		start = ++i;
	}
	buffer_append(out, text.data + start, text.length - start);
	buffer_append_byte(out, '"');
}

static void begin_value(struct json_writer *writer, const char *key)
{
	if (writer->depth == 0) {
		assert(!key);
		return;
	}
	int top = writer->depth - 1;
	assert(writer->is_object[top] == (key != NULL));
	if (writer->has_items[top])
		buffer_append_byte(writer->out, ',');
	writer->has_items[top] = true;
	if (key) {
		write_string(writer->out, span_text(key));
		buffer_append_byte(writer->out, ':');
	}
}

static void begin_container(struct json_writer *writer, const char *key, bool is_object)
{
	begin_value(writer, key);
	assert(writer->depth < JSON_DEPTH_MAX);
	writer->is_object[writer->depth] = is_object;
	writer->has_items[writer->depth++] = false;
	buffer_append_byte(writer->out, is_object ? '{' : '[');
}

static void end_container(struct json_writer *writer, bool is_object)
{
	assert(writer->depth > 0 && writer->is_object[writer->depth - 1] == is_object);
	writer->depth--;
	buffer_append_byte(writer->out, is_object ? '}' : ']');
}

void json_object_begin(struct json_writer *writer, const char *key)
{
	begin_container(writer, key, true);
}

void json_object_end(struct json_writer *writer)
{
	end_container(writer, true);
}

void json_array_begin(struct json_writer *writer, const char *key)
{
	begin_container(writer, key, false);
}

void json_array_end(struct json_writer *writer)
{
	end_container(writer, false);
}

void json_text(struct json_writer *writer, const char *key, const char *value)
{
	if (value)
		json_span(writer, key, span_text(value));
	else
		json_null(writer, key);
}

void json_span(struct json_writer *writer, const char *key, struct span value)
{
	begin_value(writer, key);
	write_string(writer->out, value);
}

static void append_decimal(struct buffer *out, uint64_t value, bool negative)
{
	char digits[24];
	size_t at = sizeof(digits);
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	if (negative)
		digits[--at] = '-';
	buffer_append(out, digits + at, sizeof(digits) - at);
}

void json_u64(struct json_writer *writer, const char *key, uint64_t value)
{
	begin_value(writer, key);
	append_decimal(writer->out, value, false);
}

void json_i64(struct json_writer *writer, const char *key, int64_t value)
{
	begin_value(writer, key);
	append_decimal(writer->out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

void json_double(struct json_writer *writer, const char *key, double value)
{
	begin_value(writer, key);
	if (isfinite(value))
		buffer_printf(writer->out, "%.17g", value);
	else
		buffer_append_text(writer->out, "null");
}

void json_bool(struct json_writer *writer, const char *key, bool value)
{
	begin_value(writer, key);
	buffer_append_text(writer->out, value ? "true" : "false");
}

void json_null_value(struct json_writer *writer, const char *key)
{
	begin_value(writer, key);
	buffer_append_text(writer->out, "null");
}

void json_raw(struct json_writer *writer, const char *key, struct span raw)
{
	begin_value(writer, key);
	buffer_append(writer->out, raw.data, raw.length);
}

/* `value` as `count` decimal digits. */
static void put_digits(char *out, unsigned value, unsigned count)
{
	for (unsigned i = count; i-- > 0; value /= 10)
		out[i] = (char)('0' + value % 10);
}

/* Lists hold a thousand of these: no formatting by the library. */
void json_date(struct json_writer *writer, const char *key, int64_t unix_ms)
{
	/* Commits made elsewhere may say any time: what four digits of a year cannot hold becomes the nearest that they can. */
	const int64_t first_ms = INT64_C(-62167219200000), last_ms = INT64_C(253402300799999);
	unix_ms = unix_ms < first_ms ? first_ms : unix_ms > last_ms ? last_ms : unix_ms;
	int64_t ms = (unix_ms % 1000 + 1000) % 1000;
	time_t seconds = (time_t)((unix_ms - ms) / 1000);
	struct tm parts;
	gmtime_r(&seconds, &parts);
	char text[] = "0000-00-00T00:00:00.000Z";
	put_digits(text, (unsigned)(parts.tm_year + 1900), 4);
	put_digits(text + 5, (unsigned)(parts.tm_mon + 1), 2);
	put_digits(text + 8, (unsigned)parts.tm_mday, 2);
	put_digits(text + 11, (unsigned)parts.tm_hour, 2);
	put_digits(text + 14, (unsigned)parts.tm_min, 2);
	put_digits(text + 17, (unsigned)parts.tm_sec, 2);
	put_digits(text + 20, (unsigned)ms, 3);
	json_text(writer, key, text);
}
