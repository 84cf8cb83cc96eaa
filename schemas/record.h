/* record.h - msgpack maps with named fields, described by a table: what the state machine stores and what commands carry.
 *
 * DESIGN. A record is msgpack [version, {key: value, ...}]. One table per noun gives key, kind and place in a C struct, and serves both
 * directions, so that an encoder and a decoder cannot drift apart. Unknown keys are skipped (a newer node of the same version wrote them),
 * missing ones leave zero unless required, an unknown version is refused.
 *
 * Encoding is msgpack-c's packer. Decoding is a cursor over the caller's bytes that allocates nothing: a generic unpacker allocates what a
 * five-byte header claims before it sees whether the bytes are there. Limits: RECORD_DEPTH_MAX and every length checked against what is left.
 *
 * Pure; a cursor belongs to one thread. */
#ifndef CAIRN_SCHEMAS_RECORD_H
#define CAIRN_SCHEMAS_RECORD_H

#include "schemas/buffer.h"
#include "schemas/error.h"

enum {
	RECORD_DEPTH_MAX = 8,   /* nested arrays and maps */
	RECORD_FIELDS_MAX = 64, /* keys of one map */
	RECORD_KEY_BYTES_MAX = 32,
};

/* ---- writing: each appends one msgpack value; check out->failed at the end ---- */
void pack_array(struct buffer *out, uint32_t count);
void pack_map(struct buffer *out, uint32_t count);
void pack_u64(struct buffer *out, uint64_t value);
void pack_i64(struct buffer *out, int64_t value);
void pack_bool(struct buffer *out, bool value);
void pack_text(struct buffer *out, struct span text);
void pack_bytes(struct buffer *out, struct span bytes);

/* ---- reading: a failed cursor answers zeros and empty spans; check `failed` at the end ---- */
struct cursor {
	const uint8_t *at, *end;
	bool failed;
};
struct cursor cursor_of(struct span bytes);
uint32_t cursor_array(struct cursor *cursor, uint32_t count_max);
uint32_t cursor_map(struct cursor *cursor, uint32_t count_max);
uint64_t cursor_u64(struct cursor *cursor);
int64_t cursor_i64(struct cursor *cursor);
bool cursor_bool(struct cursor *cursor);
struct span cursor_text(struct cursor *cursor, size_t length_max);
struct span cursor_bytes(struct cursor *cursor, size_t length_max);
/* The bytes of one whole value, whatever it is; depth-limited. */
struct span cursor_value(struct cursor *cursor);
/* True when nothing failed and nothing is left. */
bool cursor_done(const struct cursor *cursor);

enum field_kind {
	FIELD_TEXT,  /* char[size], NUL-terminated; longer text is refused */
	FIELD_BYTES, /* uint8_t[size], exactly */
	FIELD_U64,
	FIELD_I64,
	FIELD_BOOL,
	FIELD_ENUM,  /* unsigned of 32 bits */
};
struct field {
	const char *key;
	enum field_kind kind;
	uint16_t offset, size;
	bool required;
};
struct schema {
	uint8_t version;
	uint8_t count;
	const struct field *fields;
};
#define FIELD(type, member, field_kind_, is_required) \
	{ #member, field_kind_, offsetof(type, member), sizeof(((type *)0)->member), is_required }
#define SCHEMA(schema_version, table) \
	{ .version = (schema_version), .count = sizeof(table) / sizeof((table)[0]), .fields = (table) }

/* Appends [version, map] of `record`. */
void record_encode(struct buffer *out, const struct schema *schema, const void *record);
/* Fills `record` (zeroed first by `record_bytes`). 0, ERR_CORRUPT (malformed, missing or too long), ERR_UNSUPPORTED (version). */
int record_decode(void *record, size_t record_bytes, const struct schema *schema, struct span bytes);
/* The same at a cursor, which moves behind the record. */
int record_decode_at(struct cursor *cursor, void *record, size_t record_bytes, const struct schema *schema);

#endif
