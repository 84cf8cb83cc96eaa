#include "gateway/http/parser.h"

#include <strings.h>

static const bool token_bytes[256] = {
	['!'] = true, ['#'] = true, ['$'] = true, ['%'] = true, ['&'] = true, ['\''] = true, ['*'] = true, ['+'] = true,
	['-'] = true, ['.'] = true, ['^'] = true, ['_'] = true, ['`'] = true, ['|'] = true, ['~'] = true,
	['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
};

bool is_token_byte(uint8_t byte)
{
	return token_bytes[byte];
}

/* Field content: HT, visible ASCII, blanks and the upper half. */
static bool is_value_byte(uint8_t byte)
{
	return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

bool is_host_text(struct span text)
{
	for (size_t i = 0; i < text.length; i++) {
		uint8_t byte = text.data[i];
		bool alnum = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
		if (!alnum && (byte == 0 || !strchr(".-_~:[]", byte)))
			return false;
	}
	return text.length <= 255 + 6;
}

/* ---- where a head ends ---- */

static int over_limit(const struct head_scan *scan)
{
	return scan->in_fields ? -431 : -414;
}

/* A line has ended at `lf`: 1 when it was the empty one, 0 to go on, or a negated status. */
static int end_line(struct head_scan *scan, const uint8_t *data, size_t lf)
{
	if (lf == scan->line || data[lf - 1] != '\r')
		return -400;
	bool empty = lf == scan->line + 1;
	if (empty && !scan->in_fields && scan->line > 0)
		return -400; /* a second empty line before the request */
	if (empty && scan->in_fields)
		return 1;
	if (!empty)
		scan->in_fields = true;
	scan->line = lf + 1;
	return 0;
}

int head_scan(struct head_scan *scan, const uint8_t *data, size_t length)
{
	/* Something that is no request (a TLS hello, a port scan) is refused at its first byte. */
	if (scan->scanned == 0 && length > 0 && data[0] != '\r' && !is_token_byte(data[0]))
		return -400;
	size_t limit = length < HTTP_HEAD_BYTES_MAX ? length : HTTP_HEAD_BYTES_MAX;
	while (scan->scanned < limit) {
		const uint8_t *lf = memchr(data + scan->scanned, '\n', limit - scan->scanned);
		if (!lf) {
			scan->scanned = limit;
			break;
		}
		scan->scanned = (size_t)(lf - data) + 1;
		int end = end_line(scan, data, scan->scanned - 1);
		if (end < 0)
			return end;
		if (end > 0)
			return (int)scan->scanned;
	}
	return scan->scanned >= HTTP_HEAD_BYTES_MAX ? over_limit(scan) : 0;
}

/* ---- the request line ---- */

static enum http_method method_of(struct span text)
{
	static const struct {
		const char *name;
		enum http_method method;
	} methods[] = {
		{ "GET", HTTP_GET }, { "HEAD", HTTP_HEAD }, { "POST", HTTP_POST }, { "PUT", HTTP_PUT },
		{ "DELETE", HTTP_DELETE }, { "PATCH", HTTP_PATCH }, { "OPTIONS", HTTP_OPTIONS },
	};
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (span_equal(text, span_text(methods[i].name)))
			return methods[i].method;
	return 0;
}

static int parse_version(struct head *out, struct span text)
{
	if (text.length != 8 || memcmp(text.data, "HTTP/", 5) != 0 || text.data[6] != '.' || text.data[7] < '0' || text.data[7] > '9')
		return 400;
	if (text.data[5] >= '2' && text.data[5] <= '9')
		return 505;
	if (text.data[5] != '1' || text.data[7] > '1')
		return 400;
	out->minor = text.data[7] == '1';
	return 0;
}

/* "http://host/path" leaves "/path" in *target and the host in out->host. */
static int split_absolute(struct head *out, struct span *target)
{
	size_t scheme = target->length >= 7 && strncasecmp((const char *)target->data, "http://", 7) == 0 ? 7 :
		target->length >= 8 && strncasecmp((const char *)target->data, "https://", 8) == 0 ? 8 : 0;
	if (scheme == 0)
		return 400;
	size_t end = scheme;
	while (end < target->length && target->data[end] != '/' && target->data[end] != '?')
		end++;
	out->host = span_of(target->data + scheme, end - scheme);
	if (out->host.length == 0 || !is_host_text(out->host))
		return 400;
	if (end == target->length)
		*target = span_text("/");
	else if (target->data[end] == '?')
		return 400;
	else
		*target = span_of(target->data + end, target->length - end);
	return 0;
}

static int parse_target(struct head *out, struct span target)
{
	if (target.length > HTTP_TARGET_BYTES_MAX)
		return 414;
	for (size_t i = 0; i < target.length; i++)
		if (target.data[i] <= 0x20 || target.data[i] >= 0x7f)
			return 400;
	if (target.length == 0)
		return 400;
	bool asterisk = target.length == 1 && target.data[0] == '*';
	if (asterisk && out->method != HTTP_OPTIONS)
		return 400;
	if (!asterisk && target.data[0] != '/') {
		int status = split_absolute(out, &target);
		if (status)
			return status;
	}
	const uint8_t *mark = memchr(target.data, '?', target.length);
	size_t path_length = mark ? (size_t)(mark - target.data) : target.length;
	out->path = span_of(target.data, path_length);
	if (mark)
		out->query = span_of(mark + 1, target.length - path_length - 1);
	return 0;
}

/* `line` is without its CRLF. */
static int parse_request_line(struct head *out, struct span line)
{
	size_t i = 0;
	while (i < line.length && is_token_byte(line.data[i]))
		i++;
	if (i == 0 || i == line.length || line.data[i] != ' ')
		return 400;
	struct span method = span_of(line.data, i);
	const uint8_t *rest = line.data + i + 1;
	size_t rest_length = line.length - i - 1;
	const uint8_t *blank = memchr(rest, ' ', rest_length);
	if (!blank)
		return rest_length > HTTP_TARGET_BYTES_MAX ? 414 : 400;
	size_t target_length = (size_t)(blank - rest);
	if (target_length > HTTP_TARGET_BYTES_MAX)
		return 414;
	int status = parse_version(out, span_of(blank + 1, rest_length - target_length - 1));
	if (status)
		return status;
	out->method = method_of(method);
	if (out->method == 0)
		return 501;
	return parse_target(out, span_of(rest, target_length));
}

/* ---- the fields ---- */

static struct span trimmed(const uint8_t *data, size_t length)
{
	while (length > 0 && (data[0] == ' ' || data[0] == '\t'))
		data++, length--;
	while (length > 0 && (data[length - 1] == ' ' || data[length - 1] == '\t'))
		length--;
	return span_of(data, length);
}

static int parse_field(struct head *out, const uint8_t *line, size_t length)
{
	size_t name_length = 0;
	while (name_length < length && is_token_byte(line[name_length]))
		name_length++;
	if (name_length == 0 || name_length == length || line[name_length] != ':')
		return 400; /* also a folded line and a blank before the colon */
	if (name_length > HEAD_NAME_BYTES_MAX || out->fields_count == HTTP_FIELDS_MAX)
		return 431;
	for (size_t i = name_length + 1; i < length; i++)
		if (!is_value_byte(line[i]))
			return 400;
	struct span value = trimmed(line + name_length + 1, length - name_length - 1);
	out->fields[out->fields_count++] = (struct head_field){ .name = (uint16_t)(line - out->data), .name_length = (uint16_t)name_length,
		.value = (uint16_t)(value.data - out->data), .value_length = (uint16_t)value.length };
	return 0;
}

static bool text_is(struct span text, const char *word)
{
	return text.length == strlen(word) && strncasecmp((const char *)text.data, word, text.length) == 0;
}

/* The next member of a comma-separated list; false at the end. */
static bool next_member(struct span *list, struct span *out)
{
	if (list->length == 0)
		return false;
	const uint8_t *comma = memchr(list->data, ',', list->length);
	size_t length = comma ? (size_t)(comma - list->data) : list->length;
	*out = trimmed(list->data, length);
	size_t taken = comma ? length + 1 : length;
	*list = span_of(list->data + taken, list->length - taken);
	return true;
}

static int parse_content_length(uint64_t *out, struct span value)
{
	uint64_t length = 0;
	if (value.length == 0 || value.length > 19)
		return 400;
	for (size_t i = 0; i < value.length; i++) {
		if (value.data[i] < '0' || value.data[i] > '9')
			return 400;
		length = length * 10 + (uint64_t)(value.data[i] - '0'); /* 19 digits fit */
	}
	if (length > INT64_MAX)
		return 400;
	*out = length;
	return 0;
}

struct framing {
	unsigned hosts, lengths, encodings;
	struct span encoding, host;
	bool close, keep_alive;
	bool expects_other;
};

static void read_connection(struct framing *framing, struct span value)
{
	struct span member;
	while (next_member(&value, &member)) {
		framing->close |= text_is(member, "close");
		framing->keep_alive |= text_is(member, "keep-alive");
	}
}

static int read_framing_field(struct head *out, struct framing *framing, struct span name, struct span value)
{
	/* Few names have these lengths: most fields cost one comparison. */
	switch (name.length) {
	case 4:
		if (text_is(name, "Host")) {
			framing->hosts++;
			framing->host = value;
		}
		return 0;
	case 6:
		if (text_is(name, "Expect")) {
			out->expects_continue |= text_is(value, "100-continue");
			framing->expects_other |= !text_is(value, "100-continue");
		}
		return 0;
	case 10:
		if (text_is(name, "Connection"))
			read_connection(framing, value);
		return 0;
	case 14:
		if (!text_is(name, "Content-Length"))
			return 0;
		framing->lengths++;
		out->has_content_length = true;
		return parse_content_length(&out->content_length, value);
	case 17:
		if (text_is(name, "Transfer-Encoding")) {
			framing->encodings++;
			framing->encoding = value;
		}
		return 0;
	default:
		return 0;
	}
}

static int check_framing(struct head *out, const struct framing *framing)
{
	if (framing->hosts > 1 || (framing->hosts == 0 && out->minor == 1) || !is_host_text(framing->host))
		return 400;
	if (framing->lengths > 1 || (framing->encodings > 0 && (framing->lengths > 0 || out->minor == 0)))
		return 400;
	if (framing->encodings > 1 || (framing->encodings == 1 && !text_is(framing->encoding, "chunked")))
		return 501;
	if (out->minor == 1 && framing->expects_other)
		return 417;
	out->chunked = framing->encodings == 1;
	out->expects_continue = out->expects_continue && out->minor == 1 && (out->chunked || out->content_length > 0);
	out->keep_alive = !framing->close && (out->minor == 1 || framing->keep_alive);
	if (!out->host.data)
		out->host = framing->host;
	return 0;
}

static int parse_fields(struct head *out, const uint8_t *data, size_t length)
{
	struct framing framing = { 0 };
	while (length > 2) { /* the last line is the empty one */
		const uint8_t *lf = memchr(data, '\n', length);
		size_t line_length = (size_t)(lf - data) - 1;
		int status = parse_field(out, data, line_length);
		if (status)
			return status;
		const struct head_field *field = &out->fields[out->fields_count - 1];
		status = read_framing_field(out, &framing, span_of(out->data + field->name, field->name_length),
			span_of(out->data + field->value, field->value_length));
		if (status)
			return status;
		data += line_length + 2;
		length -= line_length + 2;
	}
	return check_framing(out, &framing);
}

int head_parse(struct head *out, const uint8_t *data, size_t length)
{
	memset(out, 0, offsetof(struct head, fields));
	out->data = data;
	const uint8_t *line = data;
	if (line[0] == '\r') {
		if (line[1] != '\n')
			return 400;
		line += 2;
	}
	const uint8_t *lf = memchr(line, '\n', length - (size_t)(line - data));
	if (memchr(line, '\r', (size_t)(lf - line)) != lf - 1)
		return 400; /* a bare CR, wherever it tries to end the line early */
	int status = parse_request_line(out, span_of(line, (size_t)(lf - line) - 1));
	if (status)
		return status;
	return parse_fields(out, lf + 1, length - (size_t)(lf + 1 - data));
}

struct span head_find(const struct head *head, const char *name)
{
	size_t length = strlen(name);
	for (unsigned i = 0; i < head->fields_count; i++) {
		const struct head_field *field = &head->fields[i];
		if (field->name_length == length && strncasecmp((const char *)head->data + field->name, name, length) == 0)
			return span_of(head->data + field->value, field->value_length);
	}
	return span_of(NULL, 0);
}
