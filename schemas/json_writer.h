/* json_writer.h - writes JSON text straight into a buffer, with commas and escapes taken care of.
 *
 * For answers on hot paths; parsing is jansson's. Invalid UTF-8 in a string is written as U+FFFD. Depth is at
 * most JSON_DEPTH_MAX; misuse (a value without a key inside an object) is a programmer error and asserts.
 * `key` NULL means: an array element, or the root. */
#ifndef CAIRN_SCHEMAS_JSON_WRITER_H
#define CAIRN_SCHEMAS_JSON_WRITER_H

#include "schemas/buffer.h"

enum { JSON_DEPTH_MAX = 32 };

struct json_writer {
	struct buffer *out; /* borrowed; check out->failed at the end */
	int depth;
	bool has_items[JSON_DEPTH_MAX];
	bool is_object[JSON_DEPTH_MAX];
};

void json_writer_init(struct json_writer *writer, struct buffer *out);
void json_object_begin(struct json_writer *writer, const char *key);
void json_object_end(struct json_writer *writer);
void json_array_begin(struct json_writer *writer, const char *key);
void json_array_end(struct json_writer *writer);
/* `value` NULL writes null. */
void json_text(struct json_writer *writer, const char *key, const char *value);
void json_span(struct json_writer *writer, const char *key, struct span value);
void json_u64(struct json_writer *writer, const char *key, uint64_t value);
void json_i64(struct json_writer *writer, const char *key, int64_t value);
void json_double(struct json_writer *writer, const char *key, double value);
void json_bool(struct json_writer *writer, const char *key, bool value);
void json_null_value(struct json_writer *writer, const char *key);
#ifndef JANSSON_H /* whose name this is in a file that includes both; include jansson.h first there */
static inline void json_null(struct json_writer *writer, const char *key)
{
	json_null_value(writer, key);
}
#endif
/* `raw` is already JSON and is copied as it is. */
void json_raw(struct json_writer *writer, const char *key, struct span raw);
/* "2026-01-31T12:34:56.789Z" of Unix milliseconds: the only date form that every client parses. */
void json_date(struct json_writer *writer, const char *key, int64_t unix_ms);

#endif
