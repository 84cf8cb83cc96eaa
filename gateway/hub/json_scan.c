#include "gateway/hub/json_scan.h"

void json_scan_init(struct json_scan *scan, uint8_t *text, size_t length)
{
	*scan = (struct json_scan){ .at = text, .end = text + length };
}

static void fail(struct json_scan *scan)
{
	scan->failed = true;
	scan->at = scan->end;
}

static int peek(struct json_scan *scan)
{
	while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r'))
		scan->at++;
	return scan->at < scan->end ? *scan->at : -1;
}

static bool take(struct json_scan *scan, uint8_t c)
{
	if (peek(scan) != c)
		return false;
	scan->at++;
	return true;
}

bool json_scan_object(struct json_scan *scan)
{
	return take(scan, '{');
}

bool json_scan_array(struct json_scan *scan)
{
	return take(scan, '[');
}

/* ------------------------------------------------------------------ strings */

static int hex4(const uint8_t *p)
{
	int value = 0;
	for (int i = 0; i < 4; i++) {
		int c = p[i], digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

static uint8_t *put_utf8(uint8_t *out, uint32_t c)
{
	if (c < 0x80) {
		*out++ = (uint8_t)c;
	} else if (c < 0x800) {
		*out++ = (uint8_t)(0xc0 | c >> 6);
		*out++ = (uint8_t)(0x80 | (c & 63));
	} else if (c < 0x10000) {
		*out++ = (uint8_t)(0xe0 | c >> 12);
		*out++ = (uint8_t)(0x80 | (c >> 6 & 63));
		*out++ = (uint8_t)(0x80 | (c & 63));
	} else {
		*out++ = (uint8_t)(0xf0 | c >> 18);
		*out++ = (uint8_t)(0x80 | (c >> 12 & 63));
		*out++ = (uint8_t)(0x80 | (c >> 6 & 63));
		*out++ = (uint8_t)(0x80 | (c & 63));
	}
	return out;
}

/* `scan->at` is behind "\u"; NULL for a bad or lone surrogate. */
static uint8_t *unescape_unicode(struct json_scan *scan, uint8_t *out)
{
	if (scan->end - scan->at < 4)
		return NULL;
	int unit = hex4(scan->at);
	scan->at += 4;
	if (unit < 0 || (unit >= 0xdc00 && unit < 0xe000))
		return NULL;
	if (unit < 0xd800 || unit >= 0xe000)
		return put_utf8(out, (uint32_t)unit);
	if (scan->end - scan->at < 6 || scan->at[0] != '\\' || scan->at[1] != 'u')
		return NULL;
	int low = hex4(scan->at + 2);
	scan->at += 6;
	if (low < 0xdc00 || low >= 0xe000)
		return NULL;
	return put_utf8(out, 0x10000u + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00));
}

/* One escape, `scan->at` behind the backslash. An escape is never shorter than what it stands for. */
static uint8_t *unescape(struct json_scan *scan, uint8_t *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	if (scan->at == scan->end)
		return NULL;
	uint8_t c = *scan->at++;
	if (c == 'u')
		return unescape_unicode(scan, out);
	const char *known = c ? strchr(from, c) : NULL;
	if (!known)
		return NULL;
	*out++ = (uint8_t)to[known - from];
	return out;
}

/* Length of the run up to the next quote, backslash or control byte: eight bytes at a time, since content is long. */
static size_t plain_run(const uint8_t *p, const uint8_t *end)
{
	const uint8_t *start = p;
	const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
	while (end - p >= 8) {
		uint64_t word;
		memcpy(&word, p, 8);
		uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\';
		uint64_t hit = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((word - ones * 0x20) & ~word);
		if (hit & highs)
			break;
		p += 8;
	}
	while (p < end && *p != '"' && *p != '\\' && *p >= 0x20)
		p++;
	return (size_t)(p - start);
}

static struct span scan_quoted(struct json_scan *scan)
{
	uint8_t *start = ++scan->at, *out = start;
	for (;;) {
		size_t run = plain_run(scan->at, scan->end);
		if (out != scan->at)
			memmove(out, scan->at, run);
		out += run;
		scan->at += run;
		if (scan->at == scan->end || *scan->at < 0x20)
			break;
		if (*scan->at++ == '"')
			return span_of(start, (size_t)(out - start));
		out = unescape(scan, out);
		if (!out)
			break;
	}
	fail(scan);
	return span_of(NULL, 0);
}

/* ------------------------------------------------------------------ values */

static bool take_word(struct json_scan *scan, const char *word)
{
	size_t length = strlen(word);
	if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, word, length) != 0)
		return false;
	scan->at += length;
	return true;
}

struct span json_scan_string(struct json_scan *scan)
{
	int c = peek(scan);
	if (c == '"')
		return scan_quoted(scan);
	if (c != 'n' || !take_word(scan, "null"))
		fail(scan);
	return span_of(NULL, 0);
}

uint64_t json_scan_u64(struct json_scan *scan, uint64_t fallback)
{
	int c = peek(scan);
	if (c == 'n' && take_word(scan, "null"))
		return fallback;
	uint64_t value = 0;
	int digits = 0;
	while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9' && digits < 19) {
		value = value * 10 + (uint64_t)(*scan->at++ - '0');
		digits++;
	}
	if (digits == 0 || (scan->at < scan->end && strchr("0123456789.eE", *scan->at) && *scan->at))
		fail(scan);
	return value;
}

bool json_scan_key(struct json_scan *scan, bool *first, struct span *key)
{
	if (scan->failed || take(scan, '}'))
		return false;
	if (!*first && !take(scan, ',')) {
		fail(scan);
		return false;
	}
	*first = false;
	if (peek(scan) != '"') {
		fail(scan);
		return false;
	}
	*key = scan_quoted(scan);
	if (!scan->failed && !take(scan, ':'))
		fail(scan);
	return !scan->failed;
}

bool json_scan_element(struct json_scan *scan, bool *first)
{
	if (scan->failed || take(scan, ']'))
		return false;
	if (!*first && !take(scan, ','))
		fail(scan);
	*first = false;
	return !scan->failed;
}

static void skip_at(struct json_scan *scan, int depth)
{
	struct span key;
	bool first = true;
	int c = peek(scan);
	if (depth > JSON_SCAN_DEPTH_MAX) {
		fail(scan);
	} else if (c == '"') {
		scan_quoted(scan);
	} else if (c == '{') {
		scan->at++;
		while (json_scan_key(scan, &first, &key))
			skip_at(scan, depth + 1);
	} else if (c == '[') {
		scan->at++;
		while (json_scan_element(scan, &first))
			skip_at(scan, depth + 1);
	} else if (!(c == 't' && take_word(scan, "true")) && !(c == 'f' && take_word(scan, "false")) &&
		!(c == 'n' && take_word(scan, "null"))) {
		uint8_t *start = scan->at;
		while (scan->at < scan->end && *scan->at && strchr("0123456789+-.eE", *scan->at))
			scan->at++;
		if (scan->at == start)
			fail(scan);
	}
}

void json_scan_skip(struct json_scan *scan)
{
	skip_at(scan, 0);
}

bool json_scan_done(struct json_scan *scan)
{
	return !scan->failed && peek(scan) == -1;
}
