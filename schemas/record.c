#include "schemas/record.h"

#include <assert.h>
#include <msgpack.h>

/* Most of what is packed are a few bytes: where there is room, they cost no call. */
static inline int append(void *context, const char *data, size_t length)
{
	struct buffer *out = context;
	if (length > out->capacity - out->length || out->capacity > out->limit)
		return buffer_append(out, data, length);
	memcpy(out->data + out->length, data, length);
	out->length += length;
	return 0;
}

static msgpack_packer packer_of(struct buffer *out)
{
	msgpack_packer packer;
	msgpack_packer_init(&packer, out, append);
	return packer;
}

void pack_array(struct buffer *out, uint32_t count)
{
	msgpack_packer packer = packer_of(out);
	msgpack_pack_array(&packer, count);
}

void pack_map(struct buffer *out, uint32_t count)
{
	msgpack_packer packer = packer_of(out);
	msgpack_pack_map(&packer, count);
}

void pack_u64(struct buffer *out, uint64_t value)
{
	msgpack_packer packer = packer_of(out);
	msgpack_pack_uint64(&packer, value);
}

void pack_i64(struct buffer *out, int64_t value)
{
	msgpack_packer packer = packer_of(out);
	msgpack_pack_int64(&packer, value);
}

void pack_bool(struct buffer *out, bool value)
{
	msgpack_packer packer = packer_of(out);
	if (value)
		msgpack_pack_true(&packer);
	else
		msgpack_pack_false(&packer);
}

void pack_text(struct buffer *out, struct span text)
{
	msgpack_packer packer = packer_of(out);
	msgpack_pack_str(&packer, text.length);
	buffer_append(out, text.data, text.length);
}

void pack_bytes(struct buffer *out, struct span bytes)
{
	msgpack_packer packer = packer_of(out);
	msgpack_pack_bin(&packer, bytes.length);
	buffer_append(out, bytes.data, bytes.length);
}

struct cursor cursor_of(struct span bytes)
{
	static const uint8_t nothing[1];
	const uint8_t *data = bytes.data ? bytes.data : nothing;
	return (struct cursor){ .at = data, .end = data + bytes.length };
}

static size_t left(const struct cursor *cursor)
{
	return (size_t)(cursor->end - cursor->at);
}

static uint64_t fail(struct cursor *cursor)
{
	cursor->failed = true;
	cursor->at = cursor->end;
	return 0;
}

/* A failed cursor stands at its end, so that every read fails here. */
static uint8_t take_byte(struct cursor *cursor)
{
	if (left(cursor) < 1)
		return (uint8_t)fail(cursor);
	return *cursor->at++;
}

static uint64_t take_big_endian(struct cursor *cursor, unsigned length)
{
	if (left(cursor) < length)
		return fail(cursor);
	uint64_t value = 0;
	for (unsigned i = 0; i < length; i++)
		value = value << 8 | *cursor->at++;
	return value;
}

static struct span take_span(struct cursor *cursor, uint64_t length, size_t length_max)
{
	if (cursor->failed || length > length_max || length > left(cursor)) {
		fail(cursor);
		return (struct span){ 0 };
	}
	struct span span = span_of(cursor->at, (size_t)length);
	cursor->at += length;
	return span;
}

static uint32_t take_count(struct cursor *cursor, uint8_t fix, uint8_t wide, uint32_t count_max, unsigned values_each)
{
	uint8_t tag = take_byte(cursor);
	uint64_t count;
	if ((tag & 0xf0) == fix && !cursor->failed)
		count = tag & 0x0f;
	else if (tag == wide)
		count = take_big_endian(cursor, 2);
	else if (tag == wide + 1)
		count = take_big_endian(cursor, 4);
	else
		return (uint32_t)fail(cursor);
	/* Each value takes a byte at least: a count beyond the bytes is a lie. */
	if (cursor->failed || count > count_max || count * values_each > left(cursor))
		return (uint32_t)fail(cursor);
	return (uint32_t)count;
}

uint32_t cursor_array(struct cursor *cursor, uint32_t count_max)
{
	return take_count(cursor, 0x90, 0xdc, count_max, 1);
}

uint32_t cursor_map(struct cursor *cursor, uint32_t count_max)
{
	return take_count(cursor, 0x80, 0xde, count_max, 2);
}

uint64_t cursor_u64(struct cursor *cursor)
{
	uint8_t tag = take_byte(cursor);
	if (tag < 0x80)
		return cursor->failed ? 0 : tag;
	if (tag >= 0xcc && tag <= 0xcf)
		return take_big_endian(cursor, 1u << (tag - 0xcc));
	if (tag >= 0xd0 && tag <= 0xd3) { /* signed encodings of what is not negative */
		unsigned length = 1u << (tag - 0xd0);
		uint64_t value = take_big_endian(cursor, length);
		return value >> (length * 8 - 1) ? fail(cursor) : value;
	}
	return fail(cursor);
}

int64_t cursor_i64(struct cursor *cursor)
{
	if (left(cursor) >= 1 && cursor->at[0] >= 0xe0)
		return (int8_t)take_byte(cursor);
	if (left(cursor) >= 1 && cursor->at[0] >= 0xd0 && cursor->at[0] <= 0xd3) {
		unsigned bits = 8u << (take_byte(cursor) - 0xd0);
		uint64_t value = take_big_endian(cursor, bits / 8);
		if (bits < 64 && value >> (bits - 1))
			value |= ~UINT64_C(0) << bits;
		return (int64_t)value;
	}
	uint64_t value = cursor_u64(cursor);
	return value > INT64_MAX ? (int64_t)fail(cursor) : (int64_t)value;
}

bool cursor_bool(struct cursor *cursor)
{
	uint8_t tag = take_byte(cursor);
	if (tag != 0xc2 && tag != 0xc3)
		fail(cursor);
	return tag == 0xc3;
}

struct span cursor_text(struct cursor *cursor, size_t length_max)
{
	uint8_t tag = take_byte(cursor);
	uint64_t length;
	if ((tag & 0xe0) == 0xa0)
		length = tag & 0x1f;
	else if (tag >= 0xd9 && tag <= 0xdb)
		length = take_big_endian(cursor, 1u << (tag - 0xd9));
	else
		length = fail(cursor);
	return take_span(cursor, length, length_max);
}

struct span cursor_bytes(struct cursor *cursor, size_t length_max)
{
	uint8_t tag = take_byte(cursor);
	uint64_t length = tag >= 0xc4 && tag <= 0xc6 ? take_big_endian(cursor, 1u << (tag - 0xc4)) : fail(cursor);
	return take_span(cursor, length, length_max);
}

static void skip(struct cursor *cursor, int depth)
{
	if (depth > RECORD_DEPTH_MAX || left(cursor) < 1) {
		fail(cursor);
		return;
	}
	uint8_t tag = cursor->at[0];
	if (tag >= 0xe0 || tag < 0x80 || (tag >= 0xcc && tag <= 0xd3)) {
		take_byte(cursor);
		if (tag >= 0xcc && tag <= 0xd3)
			take_big_endian(cursor, 1u << ((tag - 0xcc) & 3));
	} else if ((tag & 0xe0) == 0xa0 || (tag >= 0xd9 && tag <= 0xdb)) {
		cursor_text(cursor, SIZE_MAX);
	} else if (tag >= 0xc4 && tag <= 0xc6) {
		cursor_bytes(cursor, SIZE_MAX);
	} else if (tag == 0xc0 || tag == 0xc2 || tag == 0xc3) {
		take_byte(cursor);
	} else if (tag == 0xca || tag == 0xcb) {
		take_byte(cursor);
		take_big_endian(cursor, tag == 0xca ? 4 : 8);
	} else if ((tag & 0xf0) == 0x90 || tag == 0xdc || tag == 0xdd) {
		for (uint32_t n = cursor_array(cursor, UINT32_MAX); n > 0 && !cursor->failed; n--)
			skip(cursor, depth + 1);
	} else if ((tag & 0xf0) == 0x80 || tag == 0xde || tag == 0xdf) {
		for (uint64_t n = 2 * (uint64_t)cursor_map(cursor, UINT32_MAX); n > 0 && !cursor->failed; n--)
			skip(cursor, depth + 1);
	} else { /* extension types are not ours */
		fail(cursor);
	}
}

struct span cursor_value(struct cursor *cursor)
{
	const uint8_t *start = cursor->at;
	skip(cursor, 0);
	return cursor->failed ? (struct span){ 0 } : span_of(start, (size_t)(cursor->at - start));
}

bool cursor_done(const struct cursor *cursor)
{
	return !cursor->failed && cursor->at == cursor->end;
}

void record_encode(struct buffer *out, const struct schema *schema, const void *record)
{
	pack_array(out, 2);
	pack_u64(out, schema->version);
	pack_map(out, schema->count);
	for (size_t i = 0; i < schema->count; i++) {
		const struct field *field = &schema->fields[i];
		const uint8_t *at = (const uint8_t *)record + field->offset;
		pack_text(out, span_text(field->key));
		uint64_t u64 = 0;
		uint32_t u32 = 0;
		switch (field->kind) {
		case FIELD_TEXT:
			pack_text(out, span_of(at, strnlen((const char *)at, field->size)));
			break;
		case FIELD_BYTES:
			pack_bytes(out, span_of(at, field->size));
			break;
		case FIELD_U64:
			memcpy(&u64, at, sizeof(u64));
			pack_u64(out, u64);
			break;
		case FIELD_I64:
			memcpy(&u64, at, sizeof(u64));
			pack_i64(out, (int64_t)u64);
			break;
		case FIELD_BOOL:
			pack_bool(out, *at != 0);
			break;
		case FIELD_ENUM:
			memcpy(&u32, at, sizeof(u32));
			pack_u64(out, u32);
			break;
		}
	}
}

static void decode_field(struct cursor *cursor, const struct field *field, uint8_t *at)
{
	struct span span;
	uint64_t u64;
	uint32_t u32;
	switch (field->kind) {
	case FIELD_TEXT:
		span = cursor_text(cursor, field->size - 1u);
		if (memchr(span.data ? span.data : at, 0, span.length))
			fail(cursor);
		memset(at, 0, field->size);
		if (span.length)
			memcpy(at, span.data, span.length);
		break;
	case FIELD_BYTES:
		span = cursor_bytes(cursor, field->size);
		if (span.length != field->size)
			fail(cursor);
		else
			memcpy(at, span.data, field->size);
		break;
	case FIELD_U64:
		u64 = cursor_u64(cursor);
		memcpy(at, &u64, sizeof(u64));
		break;
	case FIELD_I64:
		u64 = (uint64_t)cursor_i64(cursor);
		memcpy(at, &u64, sizeof(u64));
		break;
	case FIELD_BOOL:
		*(bool *)at = cursor_bool(cursor);
		break;
	case FIELD_ENUM:
		u64 = cursor_u64(cursor);
		u32 = (uint32_t)(u64 > UINT32_MAX ? fail(cursor) : u64);
		memcpy(at, &u32, sizeof(u32));
		break;
	}
}

/* Fields usually come in table order: the search starts where the last one ended. */
static int field_find(const struct schema *schema, struct span key, size_t start)
{
	for (size_t n = 0; n < schema->count; n++) {
		size_t i = (start + n) % schema->count;
		if (span_equal(key, span_text(schema->fields[i].key)))
			return (int)i;
	}
	return -1;
}

int record_decode_at(struct cursor *cursor, void *record, size_t record_bytes, const struct schema *schema)
{
	memset(record, 0, record_bytes);
	uint64_t seen = 0;
	size_t next = 0;
	if (cursor_array(cursor, 2) != 2)
		return ERR_CORRUPT;
	uint64_t version = cursor_u64(cursor);
	if (!cursor->failed && version != schema->version)
		return ERR_UNSUPPORTED;
	for (uint32_t n = cursor_map(cursor, RECORD_FIELDS_MAX); n > 0 && !cursor->failed; n--) {
		int i = field_find(schema, cursor_text(cursor, RECORD_KEY_BYTES_MAX), next);
		if (i < 0) {
			cursor_value(cursor);
			continue;
		}
		const struct field *field = &schema->fields[i];
		assert((size_t)field->offset + field->size <= record_bytes);
		decode_field(cursor, field, (uint8_t *)record + field->offset);
		seen |= UINT64_C(1) << i;
		next = (size_t)i + 1;
	}
	for (size_t i = 0; i < schema->count; i++)
		if (schema->fields[i].required && !(seen >> i & 1))
			cursor->failed = true;
	return cursor->failed ? ERR_CORRUPT : 0;
}

int record_decode(void *record, size_t record_bytes, const struct schema *schema, struct span bytes)
{
	struct cursor cursor = cursor_of(bytes);
	int err = record_decode_at(&cursor, record, record_bytes, schema);
	if (err)
		return err;
	return cursor_done(&cursor) ? 0 : ERR_CORRUPT;
}
