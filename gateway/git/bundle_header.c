#include "gateway/git/bundle_header.h"

#include "gateway/git/bundle_make.h"

enum { READ_BYTES = 64 << 10 };

static const char signature[] = "# v2 git bundle";

/* The next line without its newline, taken off the front of `rest`. */
static bool next_line(struct span *rest, struct span *line)
{
	const uint8_t *end = rest->length ? memchr(rest->data, '\n', rest->length) : NULL;
	if (!end)
		return false;
	*line = span_of(rest->data, (size_t)(end - rest->data));
	*rest = span_of(end + 1, rest->length - line->length - 1);
	return true;
}

static int read_line(struct span line, struct buffer *out)
{
	struct oid oid;
	bool is_prerequisite = line.data[0] == '-';
	struct span text = span_of(line.data + is_prerequisite, line.length - is_prerequisite);
	if (text.length < 2 * OID_BYTES || hex_decode(oid.bytes, OID_BYTES, (const char *)text.data, 2 * OID_BYTES) != 0)
		return ERR_CORRUPT;
	if (text.length > 2 * OID_BYTES && text.data[2 * OID_BYTES] != ' ')
		return ERR_CORRUPT;
	return is_prerequisite ? 0 : buffer_printf(out, "^%.*s\n", 2 * OID_BYTES, (const char *)text.data);
}

int bundle_header_read(struct span text, struct buffer *out)
{
	struct span line;
	int err = 0;
	if (!next_line(&text, &line))
		return text.length > sizeof(signature) ? ERR_CORRUPT : 0;
	if (!span_equal(line, span_text(signature)))
		return ERR_CORRUPT;
	while (err == 0 && next_line(&text, &line)) {
		if (line.length == 0)
			return 1;
		err = read_line(line, out);
	}
	return err;
}

int bundle_header_tips(struct store *store, const struct bundle *bundle, struct buffer *out, struct why *why)
{
	uint8_t data[READ_BYTES];
	struct file_reader *reader;
	struct buffer text;
	size_t before = out->length;
	int64_t got = 1;
	int whole = 0;
	uint64_t end = bundle->length < BUNDLE_HEADER_BYTES_MAX ? bundle->length : BUNDLE_HEADER_BYTES_MAX;
	int err = file_reader_open(&reader, store, &bundle->file, 0, end, why);
	if (err)
		return err;
	buffer_init(&text, BUNDLE_HEADER_BYTES_MAX);
	while (err == 0 && whole == 0 && (got = file_reader_read(reader, data, sizeof(data), true, why)) > 0) {
		out->length = before; /* from the start again: most headers are one read */
		err = buffer_append(&text, data, (size_t)got);
		if (err == 0)
			whole = bundle_header_read(buffer_span(&text), out);
	}
	if (err == 0 && got < 0)
		err = (int)got;
	if (err == 0 && whole != 1)
		err = whole == 0 && end < bundle->length ? ERR_TOO_BIG : ERR_CORRUPT;
	if (err == ERR_CORRUPT || err == ERR_TOO_BIG)
		why_set(why, err, "the header of a bundle cannot be read");
	buffer_fini(&text);
	file_reader_close(reader);
	return err;
}
