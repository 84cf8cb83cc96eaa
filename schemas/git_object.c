#include "schemas/git_object.h"

#include <inttypes.h>
#include <stdio.h>

#include "schemas/error.h"

/* Everything below reads through a span that shrinks from its front. */

static void skip(struct span *rest, size_t length)
{
	rest->data += length;
	rest->length -= length;
}

static bool take_text(struct span *rest, const char *text)
{
	size_t length = strlen(text);
	if (rest->length < length || memcmp(rest->data, text, length) != 0)
		return false;
	skip(rest, length);
	return true;
}

/* One line without its newline; false when there is none. */
static bool take_line(struct span *rest, struct span *line)
{
	const uint8_t *end = rest->length ? memchr(rest->data, '\n', rest->length) : NULL;
	if (!end)
		return false;
	*line = span_of(rest->data, (size_t)(end - rest->data));
	skip(rest, line->length + 1);
	return true;
}

static bool take_oid_line(struct span *rest, const char *key, struct oid *out)
{
	struct span line;
	return take_text(rest, key) && take_line(rest, &line) && hex_decode(out->bytes, OID_BYTES, (const char *)line.data, line.length) == 0;
}

/* Decimal without sign, at most `digits_max` digits. */
static bool read_decimal(struct span text, size_t digits_max, uint64_t *out)
{
	if (text.length == 0 || text.length > digits_max)
		return false;
	uint64_t value = 0;
	for (size_t i = 0; i < text.length; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text.data[i] - '0');
	}
	*out = value;
	return true;
}

/* ------------------------------------------------------------------ trees */

enum { MODE_DIGITS_MAX = 6 };

int git_tree_next(struct span *rest, struct git_tree_entry *out)
{
	if (rest->length == 0)
		return 0;
	size_t i = 0;
	uint32_t mode = 0;
	for (; i < rest->length && i < MODE_DIGITS_MAX && rest->data[i] != ' '; i++) {
		if (rest->data[i] < '0' || rest->data[i] > '7')
			return ERR_CORRUPT;
		mode = mode * 8 + (uint32_t)(rest->data[i] - '0');
	}
	if (i == 0 || i == rest->length || rest->data[i] != ' ')
		return ERR_CORRUPT;
	skip(rest, i + 1);
	size_t name_room = rest->length < GIT_NAME_BYTES_MAX + 1 ? rest->length : GIT_NAME_BYTES_MAX + 1;
	const uint8_t *end = name_room ? memchr(rest->data, 0, name_room) : NULL;
	if (!end || end == rest->data)
		return ERR_CORRUPT;
	out->mode = mode;
	out->name = span_of(rest->data, (size_t)(end - rest->data));
	skip(rest, out->name.length + 1);
	if (rest->length < OID_BYTES || memchr(out->name.data, '/', out->name.length))
		return ERR_CORRUPT;
	memcpy(out->oid.bytes, rest->data, OID_BYTES);
	skip(rest, OID_BYTES);
	return 1;
}

int git_tree_append(struct buffer *out, const struct git_tree_entry *entry)
{
	buffer_printf(out, "%o ", (unsigned)entry->mode);
	buffer_append(out, entry->name.data, entry->name.length);
	buffer_append_byte(out, 0);
	return buffer_append(out, entry->oid.bytes, OID_BYTES);
}

int git_name_compare(struct span a, bool a_is_directory, struct span b, bool b_is_directory)
{
	size_t common = a.length < b.length ? a.length : b.length;
	int order = common ? memcmp(a.data, b.data, common) : 0;
	if (order)
		return order < 0 ? -1 : 1;
	uint8_t after_a = a.length > common ? a.data[common] : a_is_directory ? '/' : 0;
	uint8_t after_b = b.length > common ? b.data[common] : b_is_directory ? '/' : 0;
	return after_a < after_b ? -1 : after_a > after_b;
}

/* ------------------------------------------------------------------ commits and tags */

/* "Name <email> seconds +hhmm" */
static bool identity_decode(struct git_identity *out, struct span line)
{
	*out = (struct git_identity){ 0 };
	const uint8_t *open = line.length ? memchr(line.data, '<', line.length) : NULL;
	if (!open)
		return false;
	size_t name_length = (size_t)(open - line.data);
	out->name = span_of(line.data, name_length && open[-1] == ' ' ? name_length - 1 : name_length);
	skip(&line, name_length + 1);
	const uint8_t *close = line.length ? memchr(line.data, '>', line.length) : NULL;
	if (!close)
		return false;
	out->email = span_of(line.data, (size_t)(close - line.data));
	skip(&line, out->email.length + 1);
	if (!take_text(&line, " "))
		return true; /* old tools left the time out */
	const uint8_t *blank = line.length ? memchr(line.data, ' ', line.length) : NULL;
	uint64_t seconds = 0, zone = 0;
	struct span digits = blank ? span_of(line.data, (size_t)(blank - line.data)) : line;
	if (!read_decimal(digits, 12, &seconds))
		return true;
	out->when_seconds = (int64_t)seconds;
	if (blank && line.length - digits.length == 6 && read_decimal(span_of(blank + 2, 4), 4, &zone))
		out->zone_minutes = (blank[1] == '-' ? -1 : 1) * (int)(zone / 100 * 60 + zone % 100);
	return true;
}

int git_commit_decode(struct git_commit *out, struct span payload)
{
	struct span rest = payload, line;
	*out = (struct git_commit){ 0 };
	if (!take_oid_line(&rest, "tree ", &out->tree))
		return ERR_CORRUPT;
	while (rest.length > 7 && memcmp(rest.data, "parent ", 7) == 0) {
		if (out->parents_count == GIT_PARENTS_MAX)
			return ERR_TOO_BIG;
		if (!take_oid_line(&rest, "parent ", &out->parents[out->parents_count++]))
			return ERR_CORRUPT;
	}
	if (!take_text(&rest, "author ") || !take_line(&rest, &line) || !identity_decode(&out->author, line))
		return ERR_CORRUPT;
	if (!take_text(&rest, "committer ") || !take_line(&rest, &line) || !identity_decode(&out->committer, line))
		return ERR_CORRUPT;
	while (rest.length && rest.data[0] != '\n') /* encoding, gpgsig and its continuation lines, mergetag, ... */
		if (!take_line(&rest, &line))
			return ERR_CORRUPT;
	if (rest.length)
		skip(&rest, 1);
	out->message = rest;
	return 0;
}

int git_commit_root(struct span payload, struct oid *tree)
{
	return take_oid_line(&payload, "tree ", tree) ? 0 : ERR_CORRUPT;
}

static bool is_crud(uint8_t byte)
{
	return byte <= ' ' || byte == '.' || byte == ',' || byte == ':' || byte == ';' || byte == '"' || byte == '\\' || byte == '\'';
}

/* What git itself strips from a name: brackets and control bytes everywhere, punctuation at both ends. */
static void append_identity_text(struct buffer *out, struct span text, const char *otherwise)
{
	while (text.length && (is_crud(text.data[0]) || text.data[0] == '<' || text.data[0] == '>'))
		skip(&text, 1);
	while (text.length && (is_crud(text.data[text.length - 1]) || text.data[text.length - 1] == '<' || text.data[text.length - 1] == '>'))
		text.length--;
	if (text.length > GIT_IDENTITY_BYTES_MAX)
		text.length = GIT_IDENTITY_BYTES_MAX;
	if (text.length == 0)
		buffer_append_text(out, otherwise);
	for (size_t i = 0; i < text.length; i++)
		if (text.data[i] >= ' ' && text.data[i] != '<' && text.data[i] != '>' && text.data[i] != 0x7f)
			buffer_append_byte(out, text.data[i]);
}

static void append_identity(struct buffer *out, const char *key, const struct git_identity *identity)
{
	buffer_append_text(out, key);
	append_identity_text(out, identity->name, "unknown");
	buffer_append_text(out, " <");
	append_identity_text(out, identity->email, "");
	int zone = identity->zone_minutes, minutes = zone < 0 ? -zone : zone;
	buffer_printf(out, "> %" PRId64 " %c%02d%02d\n", identity->when_seconds < 0 ? 0 : identity->when_seconds, zone < 0 ? '-' : '+',
		minutes / 60, minutes % 60);
}

static void append_message(struct buffer *out, struct span message)
{
	for (size_t i = 0; i < message.length; i++)
		if (message.data[i])
			buffer_append_byte(out, message.data[i]);
}

int git_commit_encode(struct buffer *out, const struct git_commit *commit)
{
	char text[OID_TEXT_BYTES];
	hex_encode(text, commit->tree.bytes, OID_BYTES);
	buffer_printf(out, "tree %s\n", text);
	for (size_t i = 0; i < commit->parents_count; i++) {
		hex_encode(text, commit->parents[i].bytes, OID_BYTES);
		buffer_printf(out, "parent %s\n", text);
	}
	append_identity(out, "author ", &commit->author);
	append_identity(out, "committer ", &commit->committer);
	buffer_append_byte(out, '\n');
	append_message(out, commit->message);
	return out->failed ? ERR_TOO_BIG : 0;
}

int git_tag_encode(struct buffer *out, const struct oid *commit, struct span name, const struct git_identity *tagger, struct span message)
{
	char oid[OID_TEXT_BYTES];
	hex_encode(oid, commit->bytes, OID_BYTES);
	buffer_printf(out, "object %s\ntype commit\ntag %.*s\n", oid, (int)name.length, (const char *)name.data);
	append_identity(out, "tagger ", tagger);
	buffer_append_byte(out, '\n');
	append_message(out, message);
	return out->failed ? ERR_TOO_BIG : 0;
}

int git_tag_object_of(struct span payload, struct oid *target, enum git_type *type)
{
	static const struct {
		const char *name;
		enum git_type type;
	} types[] = { { "commit", GIT_COMMIT }, { "tree", GIT_TREE }, { "blob", GIT_BLOB }, { "tag", GIT_TAG } };
	struct span line;
	if (!take_oid_line(&payload, "object ", target) || !take_text(&payload, "type ") || !take_line(&payload, &line))
		return ERR_CORRUPT;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (!span_equal(line, span_text(types[i].name)))
			continue;
		*type = types[i].type;
		return 0;
	}
	return ERR_CORRUPT;
}

/* ------------------------------------------------------------------ LFS pointer files */

/* A line of a pointer: also the last one without newline, also with a carriage return. */
static bool take_pointer_line(struct span *rest, struct span *line)
{
	if (!take_line(rest, line)) {
		*line = *rest;
		rest->length = 0;
	}
	if (line->length && line->data[line->length - 1] == '\r')
		line->length--;
	return line->length > 0;
}

static bool is_version(struct span line)
{
	return span_equal(line, span_text("version https://git-lfs.github.com/spec/v1")) ||
		span_equal(line, span_text("version https://hawser.github.com/spec/v1")) ||
		span_equal(line, span_text("version http://git-media.io/v/2"));
}

static bool is_lower_hex(struct span text)
{
	for (size_t i = 0; i < text.length; i++)
		if (!((text.data[i] >= '0' && text.data[i] <= '9') || (text.data[i] >= 'a' && text.data[i] <= 'f')))
			return false;
	return true;
}

int git_pointer_decode(struct git_pointer *out, struct span payload)
{
	struct span rest = payload, line;
	if (payload.length == 0 || payload.length > GIT_POINTER_BYTES_MAX || payload.data[0] != 'v')
		return ERR_INVALID;
	if (!take_pointer_line(&rest, &line) || !is_version(line))
		return ERR_INVALID;
	bool has_oid = false, has_size = false;
	while (rest.length) {
		if (!take_pointer_line(&rest, &line))
			return ERR_INVALID;
		if (take_text(&line, "ext-"))
			continue;
		if (!has_oid && take_text(&line, "oid sha256:")) {
			if (!is_lower_hex(line) || hex_decode(out->sha256.bytes, HASH_BYTES, (const char *)line.data, line.length) != 0)
				return ERR_INVALID;
			has_oid = true;
		} else if (has_oid && !has_size && take_text(&line, "size ")) {
			if (!read_decimal(line, 18, &out->length))
				return ERR_INVALID;
			has_size = true;
		} else {
			return ERR_INVALID;
		}
	}
	return has_oid && has_size ? 0 : ERR_INVALID;
}

int git_pointer_encode(struct buffer *out, const struct git_pointer *pointer)
{
	char text[2 * HASH_BYTES + 1];
	hex_encode(text, pointer->sha256.bytes, HASH_BYTES);
	return buffer_printf(out, "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %" PRIu64 "\n", text, pointer->length);
}

/* ------------------------------------------------------------------ packs */

static uint32_t read_u32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

int git_pack_header_encode(struct buffer *out, uint32_t objects_count)
{
	uint8_t header[GIT_PACK_HEADER_BYTES] = { 'P', 'A', 'C', 'K', 0, 0, 0, 2, (uint8_t)(objects_count >> 24), (uint8_t)(objects_count >> 16),
		(uint8_t)(objects_count >> 8), (uint8_t)objects_count };
	return buffer_append(out, header, sizeof(header));
}

int git_pack_header_decode(struct span bytes, uint32_t *objects_count)
{
	if (bytes.length < GIT_PACK_HEADER_BYTES || memcmp(bytes.data, "PACK", 4) != 0)
		return ERR_CORRUPT;
	if (read_u32(bytes.data + 4) != 2)
		return ERR_UNSUPPORTED;
	*objects_count = read_u32(bytes.data + 8);
	return 0;
}

size_t git_entry_header_encode(uint8_t out[GIT_ENTRY_HEADER_BYTES_MAX], enum git_type type, uint64_t length)
{
	size_t used = 0;
	uint8_t byte = (uint8_t)((unsigned)type << 4 | (length & 15));
	for (length >>= 4; length; length >>= 7) {
		out[used++] = byte | 0x80;
		byte = length & 0x7f;
	}
	out[used++] = byte;
	return used;
}

int git_entry_header_decode(struct span bytes, enum git_type *type, uint64_t *length)
{
	if (bytes.length == 0)
		return ERR_CORRUPT;
	int used = 0;
	uint8_t byte = bytes.data[used++];
	unsigned kind = byte >> 4 & 7, shift = 4;
	uint64_t value = byte & 15;
	while (byte & 0x80) {
		if ((size_t)used == bytes.length || used == GIT_ENTRY_HEADER_BYTES_MAX || shift > 57)
			return ERR_CORRUPT;
		byte = bytes.data[used++];
		value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	}
	if (kind == 0 || kind == 5)
		return ERR_CORRUPT;
	*type = (enum git_type)kind;
	*length = value;
	return used;
}

int git_delta_base_decode(struct span bytes, uint64_t *distance)
{
	if (bytes.length == 0)
		return ERR_CORRUPT;
	int used = 0;
	uint8_t byte = bytes.data[used++];
	uint64_t value = byte & 0x7f;
	while (byte & 0x80) {
		if ((size_t)used == bytes.length || used == GIT_DELTA_BASE_BYTES_MAX || value >= UINT64_MAX >> 8)
			return ERR_CORRUPT;
		byte = bytes.data[used++];
		value = (value + 1) << 7 | (byte & 0x7f);
	}
	*distance = value;
	return used;
}

static bool take_varint(struct span *rest, uint64_t *out)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 57; shift += 7) {
		if (rest->length == 0)
			return false;
		uint8_t byte = rest->data[0];
		skip(rest, 1);
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*out = value;
			return true;
		}
	}
	return false;
}

/* A copy instruction's operands: those bytes of offset and length whose bit is set. */
static bool take_copy(struct span *rest, uint8_t code, uint64_t *offset, uint64_t *length)
{
	uint64_t values[2] = { 0, 0 };
	for (unsigned i = 0; i < 7; i++) {
		if (!(code >> i & 1))
			continue;
		if (rest->length == 0)
			return false;
		values[i >= 4] |= (uint64_t)rest->data[0] << (i >= 4 ? i - 4 : i) * 8;
		skip(rest, 1);
	}
	*offset = values[0];
	*length = values[1] ? values[1] : 0x10000;
	return true;
}

int git_delta_apply(struct span base, struct span delta, struct buffer *out)
{
	uint64_t base_length, result_length, offset, length;
	if (!take_varint(&delta, &base_length) || !take_varint(&delta, &result_length) || base_length != base.length)
		return ERR_CORRUPT;
	if (result_length > GIT_OBJECT_BYTES_MAX)
		return ERR_TOO_BIG;
	size_t start = out->length;
	while (delta.length) {
		uint8_t code = delta.data[0];
		skip(&delta, 1);
		struct span piece;
		if (code & 0x80) {
			if (!take_copy(&delta, code, &offset, &length) || offset > base.length || length > base.length - offset)
				return ERR_CORRUPT;
			piece = span_of(base.data + offset, (size_t)length);
		} else {
			if (code == 0 || delta.length < code)
				return ERR_CORRUPT;
			piece = span_of(delta.data, code);
			skip(&delta, code);
		}
		if (piece.length > result_length - (out->length - start))
			return ERR_CORRUPT;
		int err = buffer_append(out, piece.data, piece.length);
		if (err)
			return err;
	}
	return out->length - start == result_length ? 0 : ERR_CORRUPT;
}
