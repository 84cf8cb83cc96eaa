/* Every rule for heads and chunked bodies, one row each; and whatever the rows say must not depend on how the bytes were split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/http/parser.h"
#include "gateway/http/timer.h"

/* ---- heads ---- */

/* 0 with *out filled, or the status; feeds [0, split) first, then the rest in steps of `step`. -1: wants more. */
static int parse_split(struct head *out, const char *text, size_t length, size_t split, size_t step)
{
	struct head_scan scan = { 0 };
	int found = 0;
	for (size_t have = split; found == 0; have = have + step < length ? have + step : length) {
		/* A copy of exactly that size: reading past what is there is then an error that the sanitizer sees. */
		uint8_t *copy = malloc(have + 1);
		memcpy(copy, text, have);
		found = head_scan(&scan, copy, have);
		free(copy);
		if (have == length)
			break;
	}
	if (found <= 0)
		return found < 0 ? -found : -1;
	return head_parse(out, (const uint8_t *)text, (size_t)found);
}

static int parse(struct head *out, const char *text, size_t length)
{
	int whole = parse_split(out, text, length, length, 1);
	struct head other;
	size_t step = length > 2000 ? 97 : 1;
	for (size_t split = 0; split <= length; split += step)
		if (parse_split(&other, text, length, split, length) != whole)
			fail_msg("split at %zu of %.60s: not %d", split, text, whole);
	if (parse_split(&other, text, length, 0, 1) != whole)
		fail_msg("byte by byte: %.60s: not %d", text, whole);
	return whole;
}

struct row {
	const char *rule;
	const char *text;
	size_t length; /* 0: strlen */
	int status;    /* -1: incomplete */
};

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct head head;
		size_t length = rows[i].length ? rows[i].length : strlen(rows[i].text);
		int status = parse(&head, rows[i].text, length);
		if (status != rows[i].status)
			fail_msg("%s: %d instead of %d", rows[i].rule, status, rows[i].status);
	}
}

#define ROWS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))
#define H "Host: a\r\n"

static void well_formed_heads_are_taken(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "smallest", "GET / HTTP/1.1\r\n" H "\r\n", 0, 0 },
		{ "one empty line first", "\r\nGET / HTTP/1.1\r\n" H "\r\n", 0, 0 },
		{ "1.0 without Host", "GET / HTTP/1.0\r\n\r\n", 0, 0 },
		{ "absolute form", "GET http://a:80/x?y HTTP/1.1\r\n" H "\r\n", 0, 0 },
		{ "absolute form, no path", "GET https://a HTTP/1.1\r\n" H "\r\n", 0, 0 },
		{ "asterisk", "OPTIONS * HTTP/1.1\r\n" H "\r\n", 0, 0 },
		{ "empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0, 0 },
		{ "IPv6 Host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 0, 0 },
		{ "empty value", "GET / HTTP/1.1\r\n" H "X:\r\n\r\n", 0, 0 },
		{ "upper half in a value", "GET / HTTP/1.1\r\n" H "X: \xc3\xa4\r\n\r\n", 0, 0 },
		{ "tab in a value", "GET / HTTP/1.1\r\n" H "X: a\tb\r\n\r\n", 0, 0 },
		{ "length 0", "POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 0, 0 },
		{ "longest length", "POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775807\r\n\r\n", 0, 0 },
		{ "chunked in any case", "POST / HTTP/1.1\r\n" H "transfer-encoding: Chunked\r\n\r\n", 0, 0 },
		{ "unknown expectation on 1.0", "POST / HTTP/1.0\r\nExpect: x\r\n\r\n", 0, 0 },
		{ "bytes behind it", "GET / HTTP/1.1\r\n" H "\r\nGET", 0, 0 },
	};
	ROWS(rows);
}

static void unfinished_heads_wait(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "nothing", "\r", 1, -1 }, { "empty line", "\r\n", 0, -1 }, { "line", "GET / HTTP/1.1\r\n", 0, -1 },
		{ "half the end", "GET / HTTP/1.1\r\n" H "\r", 0, -1 },
	};
	ROWS(rows);
}

static void broken_lines_are_refused(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "bare LF after the request line", "GET / HTTP/1.1\n" H "\r\n", 0, 400 },
		{ "bare LF after a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", 0, 400 },
		{ "bare LF as the end", "GET / HTTP/1.1\r\n" H "\n", 0, 400 },
		{ "bare LF in a value", "GET / HTTP/1.1\r\n" H "X: a\nb\r\n\r\n", 0, 400 },
		{ "bare CR in a value", "GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", 0, 400 },
		{ "bare CR before CRLF", "GET / HTTP/1.1\r\n" H "X: a\r\r\n\r\n", 0, 400 },
		{ "bare CR in the request line", "GET /\r HTTP/1.1\r\n" H "\r\n", 0, 400 },
		{ "bare CR after the version", "GET / HTTP/1.1\r\r\n" H "\r\n", 0, 400 },
		{ "bare CR in a name", "GET / HTTP/1.1\r\n" H "X\rY: a\r\n\r\n", 0, 400 },
		{ "bare CR first", "\rGET / HTTP/1.1\r\n" H "\r\n", 0, 400 },
		{ "two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 0, 400 },
		{ "NUL in a value", "GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n", sizeof("GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n") - 1, 400 },
		{ "control in a value", "GET / HTTP/1.1\r\n" H "X: a\x01\r\n\r\n", 0, 400 },
		{ "DEL in a value", "GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n", 0, 400 },
		{ "TLS hello", "\x16\x03\x01\x02", 0, 400 },
		{ "folded line", "GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", 0, 400 },
		{ "folded with a tab", "GET / HTTP/1.1\r\n" H "X: a\r\n\tb\r\n\r\n", 0, 400 },
		{ "folded first field", "GET / HTTP/1.1\r\n " H "\r\n", 0, 400 },
		{ "empty name", "GET / HTTP/1.1\r\n" H ": a\r\n\r\n", 0, 400 },
		{ "blank before the colon", "GET / HTTP/1.1\r\n" H "X : a\r\n\r\n", 0, 400 },
		{ "tab before the colon", "GET / HTTP/1.1\r\n" H "X\t: a\r\n\r\n", 0, 400 },
		{ "no colon", "GET / HTTP/1.1\r\n" H "X\r\n\r\n", 0, 400 },
		{ "name that is no token", "GET / HTTP/1.1\r\n" H "X(y): a\r\n\r\n", 0, 400 },
	};
	ROWS(rows);
}

static void broken_request_lines_are_refused(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "no version", "GET /\r\n" H "\r\n", 0, 400 },
		{ "HTTP/0.9", "GET / HTTP/0.9\r\n" H "\r\n", 0, 400 },
		{ "HTTP/1.2", "GET / HTTP/1.2\r\n" H "\r\n", 0, 400 },
		{ "HTTP/1", "GET / HTTP/1\r\n" H "\r\n", 0, 400 },
		{ "HTTP/1.10", "GET / HTTP/1.10\r\n" H "\r\n", 0, 400 },
		{ "lower case", "GET / http/1.1\r\n" H "\r\n", 0, 400 },
		{ "other protocol", "GET / HTTQ/1.1\r\n" H "\r\n", 0, 400 },
		{ "HTTP/2.0", "GET / HTTP/2.0\r\n" H "\r\n", 0, 505 },
		{ "HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, 505 },
		{ "double space first", "GET  / HTTP/1.1\r\n" H "\r\n", 0, 400 },
		{ "double space second", "GET /  HTTP/1.1\r\n" H "\r\n", 0, 400 },
		{ "tab", "GET\t/ HTTP/1.1\r\n" H "\r\n", 0, 400 },
		{ "tab before the version", "GET /\tHTTP/1.1\r\n" H "\r\n", 0, 400 },
		{ "blank at the end", "GET / HTTP/1.1 \r\n" H "\r\n", 0, 400 },
		{ "blank first", " GET / HTTP/1.1\r\n" H "\r\n", 0, 400 },
		{ "method that is no token", "G(T / HTTP/1.1\r\n" H "\r\n", 0, 400 },
		{ "no method", "/ HTTP/1.1\r\n" H "\r\n", 0, 400 },
		{ "unknown method", "BREW / HTTP/1.1\r\n" H "\r\n", 0, 501 },
		{ "method in lower case", "get / HTTP/1.1\r\n" H "\r\n", 0, 501 },
		{ "CONNECT", "CONNECT a:1 HTTP/1.1\r\n" H "\r\n", 0, 501 },
		{ "raw upper half in the target", "GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n", 0, 400 },
		{ "control in the target", "GET /\x01 HTTP/1.1\r\n" H "\r\n", 0, 400 },
		{ "DEL in the target", "GET /\x7f HTTP/1.1\r\n" H "\r\n", 0, 400 },
		{ "relative target", "GET x HTTP/1.1\r\n" H "\r\n", 0, 400 },
		{ "asterisk without OPTIONS", "GET * HTTP/1.1\r\n" H "\r\n", 0, 400 },
		{ "other scheme", "GET ftp://a/ HTTP/1.1\r\n" H "\r\n", 0, 400 },
		{ "absolute form, no host", "GET http:///x HTTP/1.1\r\n" H "\r\n", 0, 400 },
		{ "absolute form, user", "GET http://u@a/x HTTP/1.1\r\n" H "\r\n", 0, 400 },
		{ "no Host on 1.1", "GET / HTTP/1.1\r\n\r\n", 0, 400 },
		{ "two Hosts", "GET / HTTP/1.1\r\n" H H "\r\n", 0, 400 },
		{ "two Hosts on 1.0", "GET / HTTP/1.0\r\n" H H "\r\n", 0, 400 },
		{ "Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 0, 400 },
		{ "Host with a blank", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 0, 400 },
	};
	ROWS(rows);
}

static void doubtful_framing_is_refused(void **state)
{
	(void)state;
#define P "POST / HTTP/1.1\r\n" H
	static const struct row rows[] = {
		{ "length and chunked", P "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 400 },
		{ "chunked and length", P "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 0, 400 },
		{ "length and another encoding", P "Content-Length: 3\r\nTransfer-Encoding: gzip\r\n\r\n", 0, 400 },
		{ "two lengths", P "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", 0, 400 },
		{ "twice the same length", P "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 0, 400 },
		{ "list of lengths", P "Content-Length: 3, 3\r\n\r\n", 0, 400 },
		{ "plus", P "Content-Length: +3\r\n\r\n", 0, 400 },
		{ "minus", P "Content-Length: -3\r\n\r\n", 0, 400 },
		{ "blank inside", P "Content-Length: 3 3\r\n\r\n", 0, 400 },
		{ "no digits", P "Content-Length:\r\n\r\n", 0, 400 },
		{ "hexadecimal", P "Content-Length: 0x3\r\n\r\n", 0, 400 },
		{ "2^63", P "Content-Length: 9223372036854775808\r\n\r\n", 0, 400 },
		{ "2^64", P "Content-Length: 18446744073709551616\r\n\r\n", 0, 400 },
		{ "twenty digits", P "Content-Length: 00000000000000000003\r\n\r\n", 0, 400 },
		{ "other encoding", P "Transfer-Encoding: gzip\r\n\r\n", 0, 501 },
		{ "encodings listed", P "Transfer-Encoding: gzip, chunked\r\n\r\n", 0, 501 },
		{ "identity", P "Transfer-Encoding: identity\r\n\r\n", 0, 501 },
		{ "chunked twice", P "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 501 },
		{ "chunked with a blank inside", P "Transfer-Encoding: chun ked\r\n\r\n", 0, 501 },
		{ "chunked with a parameter", P "Transfer-Encoding: chunked;a\r\n\r\n", 0, 501 },
		{ "empty encoding", P "Transfer-Encoding:\r\n\r\n", 0, 501 },
		{ "encoding on 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 400 },
		{ "unknown expectation", P "Expect: 200-ok\r\nContent-Length: 1\r\n\r\n", 0, 417 },
	};
	ROWS(rows);
}

static char *repeat(const char *before, char byte, size_t count, const char *after, size_t *length)
{
	size_t before_length = strlen(before), after_length = strlen(after);
	char *text = malloc(before_length + count + after_length + 1);
	memcpy(text, before, before_length);
	memset(text + before_length, byte, count);
	memcpy(text + before_length + count, after, after_length + 1);
	*length = before_length + count + after_length;
	return text;
}

static void check_repeated(const char *before, size_t count, const char *after, int status)
{
	size_t length;
	struct head head;
	char *text = repeat(before, 'a', count, after, &length);
	assert_int_equal(parse(&head, text, length), status);
	free(text);
}

static void heads_have_limits(void **state)
{
	(void)state;
	const char *end = " HTTP/1.1\r\n" H "\r\n";
	check_repeated("GET /", HTTP_TARGET_BYTES_MAX - 1, end, 0);
	check_repeated("GET /", HTTP_TARGET_BYTES_MAX, end, 414);
	check_repeated("GET /", HTTP_HEAD_BYTES_MAX, "", 414);
	check_repeated("GET /", HTTP_HEAD_BYTES_MAX, end, 414);
	check_repeated("GET / HTTP/1.1\r\n" H, HEAD_NAME_BYTES_MAX, ": x\r\n\r\n", 0);
	check_repeated("GET / HTTP/1.1\r\n" H, HEAD_NAME_BYTES_MAX + 1, ": x\r\n\r\n", 431);
	/* "GET / HTTP/1.1" 16, Host 9, "X: " 3, CRLF CRLF 4 */
	check_repeated("GET / HTTP/1.1\r\n" H "X: ", HTTP_HEAD_BYTES_MAX - 32, "\r\n\r\n", 0);
	check_repeated("GET / HTTP/1.1\r\n" H "X: ", HTTP_HEAD_BYTES_MAX - 31, "\r\n\r\n", 431);
	check_repeated("GET / HTTP/1.1\r\n" H "X: ", HTTP_HEAD_BYTES_MAX, "", 431);
	for (int extra = 0; extra <= 1; extra++) {
		char text[2048] = "GET / HTTP/1.1\r\n" H;
		for (int i = 0; i < HTTP_FIELDS_MAX - 1 + extra; i++)
			strcat(text, "X: a\r\n");
		strcat(text, "\r\n");
		struct head head;
		assert_int_equal(parse(&head, text, strlen(text)), extra ? 431 : 0);
	}
}

static void assert_span(struct span span, const char *text)
{
	assert_int_equal(span.length, strlen(text));
	assert_memory_equal(span.data, text, span.length);
}

static void a_head_says_what_it_said(void **state)
{
	(void)state;
	struct head head;
	const char *text = "PUT /a%2Fb?x=1&y HTTP/1.1\r\nhOST: h:1\r\nX-One: \t v 1 \t\r\nX-One: 2\r\nContent-Length: 12\r\n"
		"Expect: 100-Continue\r\nConnection: Keep-Alive\r\n\r\n";
	assert_int_equal(parse(&head, text, strlen(text)), 0);
	assert_int_equal(head.method, HTTP_PUT);
	assert_span(head.path, "/a%2Fb");
	assert_span(head.query, "x=1&y");
	assert_span(head.host, "h:1");
	assert_span(head_find(&head, "x-one"), "v 1");
	assert_null(head_find(&head, "x-two").data);
	assert_int_equal(head.content_length, 12);
	assert_true(head.expects_continue && head.keep_alive && !head.chunked);
	text = "GET http://other:2/p HTTP/1.1\r\nHost: h\r\nConnection: x, close\r\n\r\n";
	assert_int_equal(parse(&head, text, strlen(text)), 0);
	assert_span(head.host, "other:2");
	assert_span(head.path, "/p");
	assert_false(head.keep_alive);
	text = "GET / HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
	assert_int_equal(parse(&head, text, strlen(text)), 0);
	assert_true(head.keep_alive && !head.expects_continue);
	text = "GET / HTTP/1.0\r\n\r\n";
	assert_int_equal(parse(&head, text, strlen(text)), 0);
	assert_false(head.keep_alive);
}

/* ---- chunked bodies ---- */

struct decoded {
	int status;
	bool done;
	size_t consumed, length;
	uint8_t data[40000];
};

static void decode_split(struct decoded *out, const char *text, size_t length, size_t first, size_t step)
{
	struct chunk_decoder decoder = { 0 };
	out->status = 0;
	out->consumed = out->length = 0;
	for (size_t piece = first; out->consumed < length && !out->status && !decoder.done; piece = step) {
		if (piece == 0)
			continue;
		if (piece > length - out->consumed)
			piece = length - out->consumed;
		uint8_t *copy = malloc(piece);
		memcpy(copy, text + out->consumed, piece);
		size_t consumed, produced;
		out->status = chunk_decode(&decoder, copy, piece, &consumed, &produced);
		memcpy(out->data + out->length, copy, produced);
		out->length += produced;
		out->consumed += consumed;
		free(copy);
	}
	out->done = decoder.done && !out->status;
}

static void decode(struct decoded *out, const char *text, size_t length)
{
	static struct decoded other;
	decode_split(out, text, length, length, length);
	size_t every = length > 2000 ? 97 : 1;
	for (size_t split = 0; split <= length + 1; split += every) {
		decode_split(&other, text, length, split > length ? 1 : split, split > length ? 1 : length);
		if (other.status != out->status || other.done != out->done || other.length != out->length ||
			memcmp(other.data, out->data, out->length) != 0 || (!out->status && other.consumed != out->consumed))
			fail_msg("split at %zu of %.60s", split, text);
	}
}

static void well_formed_chunks_are_decoded(void **state)
{
	(void)state;
	static struct decoded out;
	static const struct {
		const char *text, *data;
		size_t behind;
	} rows[] = {
		{ "0\r\n\r\n", "", 0 },
		{ "3\r\nabc\r\n0\r\n\r\n", "abc", 0 },
		{ "3\r\nabc\r\n0\r\n\r\nGET /", "abc", 5 },
		{ "1\r\na\r\n2;x=\"y\"\r\nbc\r\n0000000000000000\r\n\r\n", "abc", 0 },
		{ "A\r\n0123456789\r\na;\r\n0123456789\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n", "01234567890123456789", 0 },
		{ "2\r\n\r\n\r\n0\r\n\r\n", "\r\n", 0 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		decode(&out, rows[i].text, strlen(rows[i].text));
		assert_int_equal(out.status, 0);
		assert_true(out.done);
		assert_int_equal(out.length, strlen(rows[i].data));
		assert_memory_equal(out.data, rows[i].data, out.length);
		assert_int_equal(strlen(rows[i].text) - out.consumed, rows[i].behind);
	}
}

static void broken_chunks_are_refused(void **state)
{
	(void)state;
	static struct decoded out;
	static const struct {
		const char *rule, *text;
	} rows[] = {
		{ "no size", "\r\nabc\r\n" }, { "no digits before an extension", ";x\r\n" }, { "sign", "+3\r\nabc\r\n" },
		{ "prefix", "0x3\r\nabc\r\n" }, { "blank before", " 3\r\nabc\r\n" }, { "blank after", "3 \r\nabc\r\n" },
		{ "letter", "3g\r\nabc\r\n" }, { "seventeen digits", "00000000000000003\r\nabc\r\n" },
		{ "2^63", "8000000000000000\r\n" }, { "bare LF after the size", "3\nabc\r\n" }, { "bare CR after the size", "3\rabc\r\n" },
		{ "bare LF after data", "3\r\nabc\n0\r\n\r\n" }, { "no CRLF after data", "3\r\nabcd\r\n" },
		{ "bare CR after data", "3\r\nabc\rx" }, { "bare LF in an extension", "3;x\nabc\r\n" },
		{ "control in an extension", "3;\x01\r\nabc\r\n" }, { "bare CR in an extension", "3;x\ry\r\nabc\r\n" },
		{ "bare LF as the end", "0\r\n\n" }, { "trailer without a name", "0\r\n: x\r\n\r\n" },
		{ "folded trailer", "0\r\nX: a\r\n b\r\n\r\n" }, { "blank before a trailer's colon", "0\r\nX : a\r\n\r\n" },
		{ "bare LF in a trailer", "0\r\nX: a\n\r\n" }, { "bare CR in a trailer", "0\r\nX: a\rb\r\n\r\n" },
		{ "control in a trailer", "0\r\nX: \x02\r\n\r\n" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		decode(&out, rows[i].text, strlen(rows[i].text));
		if (out.status != 400)
			fail_msg("%s: %d", rows[i].rule, out.status);
	}
}

static void check_chunk_limit(const char *before, size_t count, const char *after, int status)
{
	static struct decoded out;
	size_t length;
	char *text = repeat(before, 'a', count, after, &length);
	decode(&out, text, length);
	assert_int_equal(out.status, status);
	assert_int_equal(out.done, status == 0);
	free(text);
}

static void chunk_framing_has_limits(void **state)
{
	(void)state;
	check_chunk_limit("0;", CHUNK_EXTENSION_BYTES_MAX, "\r\n\r\n", 0);
	check_chunk_limit("0;", CHUNK_EXTENSION_BYTES_MAX + 1, "\r\n\r\n", 400);
	check_chunk_limit("0\r\nX:", CHUNK_TRAILERS_BYTES_MAX - 6, "\r\n\r\n", 0);
	check_chunk_limit("0\r\nX:", CHUNK_TRAILERS_BYTES_MAX - 5, "\r\n\r\n", 431);
	check_chunk_limit("0\r\n", HEAD_NAME_BYTES_MAX, ": x\r\n\r\n", 0);
	check_chunk_limit("0\r\n", HEAD_NAME_BYTES_MAX + 1, ": x\r\n\r\n", 431);
}

static void tiny_chunks_come_out_as_one_run(void **state)
{
	(void)state;
	static struct decoded out;
	char text[7000 + 8] = "";
	for (int i = 0; i < 1000; i++)
		memcpy(text + i * 6, "1\r\nx\r\n", 7);
	memcpy(text + 6000, "0\r\n\r\n", 6);
	struct chunk_decoder decoder = { 0 };
	size_t consumed, produced;
	assert_int_equal(chunk_decode(&decoder, (uint8_t *)text, 6005, &consumed, &produced), 0);
	assert_int_equal(produced, 1000);
	(void)out;
}

/* ---- the wheel ---- */

static struct timer_wheel wheel;
static unsigned expired_count;

static void count_expired(struct timer_entry *entry)
{
	(void)entry;
	expired_count++;
}

static void deadlines_are_met_after_and_soon_after_their_time(void **state)
{
	(void)state;
	timer_wheel_init(&wheel, 1000);
	static struct timer_entry near, far, later;
	timer_set(&wheel, &near, 1500);
	timer_set(&wheel, &far, 1000 + (uint64_t)TIMER_SLOTS * TIMER_TICK_MS * 3);
	timer_set(&wheel, &later, 1100);
	timer_set(&wheel, &later, 9000); /* moved back: must not be met at 1100 */
	expired_count = 0;
	timer_wheel_advance(&wheel, 1499, count_expired);
	assert_int_equal(expired_count, 0);
	timer_wheel_advance(&wheel, 1500 + TIMER_TICK_MS, count_expired);
	assert_int_equal(expired_count, 1);
	timer_set(&wheel, &later, 2000); /* moved forward: must be met */
	timer_wheel_advance(&wheel, 2000 + TIMER_TICK_MS, count_expired);
	assert_int_equal(expired_count, 2);
	for (uint64_t now = 3000; now < far.deadline_ms; now += 5000)
		timer_wheel_advance(&wheel, now, count_expired);
	assert_int_equal(expired_count, 2);
	timer_wheel_advance(&wheel, far.deadline_ms + TIMER_TICK_MS, count_expired);
	assert_int_equal(expired_count, 3);
	assert_int_equal(timer_wheel_next(&wheel), TIMER_NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(well_formed_heads_are_taken),
		cmocka_unit_test(unfinished_heads_wait),
		cmocka_unit_test(broken_lines_are_refused),
		cmocka_unit_test(broken_request_lines_are_refused),
		cmocka_unit_test(doubtful_framing_is_refused),
		cmocka_unit_test(heads_have_limits),
		cmocka_unit_test(a_head_says_what_it_said),
		cmocka_unit_test(well_formed_chunks_are_decoded),
		cmocka_unit_test(broken_chunks_are_refused),
		cmocka_unit_test(chunk_framing_has_limits),
		cmocka_unit_test(tiny_chunks_come_out_as_one_run),
		cmocka_unit_test(deadlines_are_met_after_and_soon_after_their_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
