/* reply.c - makes answers: the head, the fields that are the server's, small bodies behind the head in one block.
 *
 * A head is made by whoever answers, a worker or the loop, so that the loop only has to send. */
#include "gateway/http/request.h"
#include "gateway/http/server.h"

#include "schemas/json_writer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

enum {
	HEAD_ROOM_BYTES = 512, /* status line, length, date, connection and the names of what is counted apart */
	ERROR_FIELD_BYTES_MAX = 1024,
	ERROR_BODY_BYTES_MAX = 64 << 10,
	FIELDS_BYTES_FIRST = 512,
};

#define EXPOSED "ETag, Link, Location, Content-Range, Content-Length, Content-Disposition, Accept-Ranges, Retry-After, X-Repo-Commit, " \
	"X-Linked-Size, X-Linked-ETag, X-Xet-Hash, X-Xet-Refresh-Route, X-Xet-Cas-Url, X-Xet-Access-Token, X-Xet-Token-Expiration, " \
	"X-Request-Id, X-Error-Code, X-Error-Message, X-Revision, X-Total-Count, RateLimit, RateLimit-Policy"
static const char cors_fields[] = "Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: " EXPOSED "\r\nVary: Origin\r\n";

static const char *reason_of(int status)
{
	static const struct {
		int status;
		const char *text;
	} reasons[] = {
		{ 200, "OK" }, { 201, "Created" }, { 202, "Accepted" }, { 204, "No Content" }, { 206, "Partial Content" },
		{ 301, "Moved Permanently" }, { 302, "Found" }, { 303, "See Other" }, { 304, "Not Modified" },
		{ 307, "Temporary Redirect" }, { 308, "Permanent Redirect" }, { 400, "Bad Request" }, { 401, "Unauthorized" },
		{ 403, "Forbidden" }, { 404, "Not Found" }, { 405, "Method Not Allowed" }, { 406, "Not Acceptable" },
		{ 408, "Request Timeout" }, { 409, "Conflict" }, { 410, "Gone" }, { 411, "Length Required" },
		{ 412, "Precondition Failed" }, { 413, "Content Too Large" }, { 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" }, { 416, "Range Not Satisfiable" }, { 417, "Expectation Failed" },
		{ 422, "Unprocessable Content" }, { 423, "Locked" }, { 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" }, { 500, "Internal Server Error" }, { 501, "Not Implemented" },
		{ 502, "Bad Gateway" }, { 503, "Service Unavailable" }, { 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" }, { 507, "Insufficient Storage" },
	};
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return "Status";
}

/* ---- fields of the view's ---- */

static void append_field(struct http_request *request, const char *name, const char *value)
{
	size_t name_length = strlen(name), value_length = strlen(value);
	assert(!strpbrk(value, "\r\n") && name_length > 0 && !strpbrk(name, "\r\n: "));
	size_t needed = request->fields_length + name_length + value_length + 4;
	if (needed > request->fields_capacity) {
		size_t capacity = request->fields_capacity ? request->fields_capacity * 2 : FIELDS_BYTES_FIRST;
		while (capacity < needed)
			capacity *= 2;
		char *grown = request_memory(request, capacity);
		if (request->fields_length > 0)
			memcpy(grown, request->fields, request->fields_length);
		request->fields = grown;
		request->fields_capacity = capacity;
	}
	char *out = request->fields + request->fields_length;
	memcpy(out, name, name_length);
	memcpy(out + name_length, ": ", 2);
	memcpy(out + name_length + 2, value, value_length);
	memcpy(out + name_length + 2 + value_length, "\r\n", 2);
	request->fields_length = needed;
}

void http_add_header(struct http_request *request, const char *name, const char *value)
{
	append_field(request, name, value);
}

void http_add_headerf(struct http_request *request, const char *name, const char *format, ...)
{
	va_list arguments, again;
	va_start(arguments, format);
	va_copy(again, arguments);
	int length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	assert(length >= 0);
	char *value = request_memory(request, (size_t)length + 1);
	vsnprintf(value, (size_t)length + 1, format, again);
	va_end(again);
	append_field(request, name, value);
}

void http_set_stale(struct http_request *request, uint64_t age_ms)
{
	request->is_stale = true;
	request->stale_ms = age_ms;
	http_add_headerf(request, "X-Cairn-Stale", "%llu", (unsigned long long)age_ms);
}

/* ---- the head ---- */

struct text {
	char *data;
	size_t length;
};

static void put(struct text *out, const char *text, size_t length)
{
	memcpy(out->data + out->length, text, length);
	out->length += length;
}

static void put_text(struct text *out, const char *text)
{
	put(out, text, strlen(text));
}

static void put_number(struct text *out, uint64_t number)
{
	char digits[20];
	size_t count = 0;
	do {
		digits[sizeof(digits) - ++count] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	put(out, digits + sizeof(digits) - count, count);
}

static void put_date(struct text *out)
{
	static __thread time_t made_s;
	static __thread char made[40];
	static __thread size_t made_length;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (now.tv_sec != made_s || made_length == 0) {
		struct tm utc;
		gmtime_r(&now.tv_sec, &utc);
		made_length = strftime(made, sizeof(made), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
		made_s = now.tv_sec;
	}
	put(out, made, made_length);
}

static bool has_no_body(const struct http_request *request, int status)
{
	return request->head.method == HTTP_HEAD || status == 204 || status == 304;
}

/* A body that was not read is drained if that is cheap; else the connection ends with this answer. */
static bool must_close(const struct http_request *request)
{
	const struct body *body = &request->body;
	if (!request->head.keep_alive || atomic_load_explicit(&request->server->draining, memory_order_relaxed))
		return true;
	return !body->complete && (body->continue_pending || request->head.chunked || body->left > DRAIN_BYTES_MAX);
}

struct shape {
	int status;
	const char *content_type;
	uint64_t length; /* UINT64_MAX: unknown */
	size_t room;     /* wanted behind the head, for the body */
};

/* Content-Length or what stands for it. */
static void put_framing(struct http_request *request, struct text *out, const struct shape *shape)
{
	struct answer *answer = &request->answer;
	if (shape->status == 204 || shape->status == 304)
		return;
	if (shape->length != UINT64_MAX) {
		put_text(out, "Content-Length: ");
		put_number(out, shape->length);
		put(out, "\r\n", 2);
	} else if (request->head.minor == 1) {
		answer->chunked = request->head.method != HTTP_HEAD;
		put_text(out, "Transfer-Encoding: chunked\r\n");
	} else {
		answer->close = true; /* the end of the body is the end of the connection */
	}
}

static struct text make_head(struct http_request *request, const struct shape *shape)
{
	struct answer *answer = &request->answer;
	bool cors = head_find(&request->head, "Origin").data != NULL;
	size_t type_length = shape->content_type ? strlen(shape->content_type) : 0, id_length = strlen(request->id);
	struct text out = { .data = request_memory(request,
		HEAD_ROOM_BYTES + type_length + id_length + request->fields_length + (cors ? sizeof(cors_fields) : 0) + shape->room) };
	answer->status = shape->status;
	answer->close = must_close(request);
	put(&out, "HTTP/1.1 ", 9);
	put_number(&out, (uint64_t)shape->status);
	put(&out, " ", 1);
	put_text(&out, reason_of(shape->status));
	put(&out, "\r\n", 2);
	put_date(&out);
	if (type_length > 0) {
		put(&out, "Content-Type: ", 14);
		put(&out, shape->content_type, type_length);
		put(&out, "\r\n", 2);
	}
	put_framing(request, &out, shape);
	if (answer->close)
		put_text(&out, "Connection: close\r\n");
	else if (request->head.minor == 0)
		put_text(&out, "Connection: keep-alive\r\n");
	put(&out, "X-Request-Id: ", 14);
	put(&out, request->id, id_length);
	put(&out, "\r\n", 2);
	if (request->fields_length > 0)
		put(&out, request->fields, request->fields_length);
	if (cors)
		put(&out, cors_fields, sizeof(cors_fields) - 1);
	put(&out, "\r\n", 2);
	return out;
}

/* ---- answers ---- */

static void decided(struct http_request *request)
{
	assert(request->step == STEP_NONE);
	request->step = STEP_REPLY;
	if (!request->on_loop)
		request_give_back(request);
}

static void reply_without_memory(struct http_request *request, const char *text)
{
	request->fields_length = 0;
	http_add_headerf(request, "Retry-After", "%d", RETRY_AFTER_S);
	http_reply_error(request, 503, NULL, text);
}

/* Memory that a request had beyond its budget was given, but what came of it is not answered. */
static bool over_budget(struct http_request *request)
{
	if (!request->over_budget)
		return false;
	request->over_budget = false;
	reply_without_memory(request, "The request needs more memory than it may have");
	return true;
}

/* What this server knows may be old: that it knows of nothing is no answer then, and clients would take it for one. */
static bool is_doubtful(const struct http_request *request, int status)
{
	return request->is_stale && (status == 401 || status == 403 || status == 404 || status == 410);
}

static bool is_replaced(const struct http_request *request, int status)
{
	return request->over_budget || request->body.cut_status || is_doubtful(request, status);
}

/* True: something else was answered. */
static bool replace(struct http_request *request, int status)
{
	if (request->body.cut_status) {
		reply_cut(request);
		return true;
	}
	if (over_budget(request))
		return true;
	if (!is_doubtful(request, status))
		return false;
	request->fields_length = 0; /* such as those by which clients remember an absence */
	http_set_stale(request, request->stale_ms);
	http_add_headerf(request, "Retry-After", "%d", RETRY_AFTER_S);
	http_reply_error(request, 503, NULL, "This node cannot tell now: no leader confirms that what it knows is the newest. Try again, or ask another node");
	return true;
}

/* A large body stays until the client has taken it, and clients may be slow. */
static bool charge_body(struct http_request *request, size_t bytes)
{
	struct http_server *server = request->server;
	if (atomic_fetch_add(&server->answers_bytes, bytes) + bytes > ANSWERS_MEMORY_BYTES_MAX) {
		atomic_fetch_sub(&server->answers_bytes, bytes);
		return false;
	}
	request->answer.owned_bytes = bytes;
	return true;
}

/* `owned`, when not NULL, is where `body` lives, and is freed with the request. */
static void reply_with(struct http_request *request, int status, const char *content_type, struct span body, void *owned)
{
	struct answer *answer = &request->answer;
	bool bodyless = has_no_body(request, status), small = body.length <= SMALL_BODY_BYTES_MAX;
	if (!bodyless && !small && !charge_body(request, body.length)) {
		free(owned);
		reply_without_memory(request, "The server is out of memory for answers, try again");
		return;
	}
	struct shape shape = { status, content_type, body.length, !bodyless && small ? body.length : 0 };
	struct text head = make_head(request, &shape);
	if (bodyless || small) {
		if (!bodyless && body.length > 0)
			put(&head, (const char *)body.data, body.length);
		free(owned);
	} else {
		answer->owned = owned ? owned : malloc(body.length);
		if (!answer->owned) { /* the head is made already; a body that is cut short says the rest */
			answer->close = true;
		} else {
			if (!owned)
				memcpy(answer->owned, body.data, body.length);
			answer->parts[1] = (struct iovec){ answer->owned, body.length };
		}
	}
	answer->parts[0] = (struct iovec){ head.data, head.length };
	decided(request);
}

void http_reply(struct http_request *request, int status, const char *content_type, struct span body)
{
	if (!replace(request, status))
		reply_with(request, status, content_type, body, NULL);
}

void http_reply_buffer(struct http_request *request, int status, const char *content_type, struct buffer *body)
{
	struct span span = buffer_span(body);
	void *owned = body->data;
	*body = (struct buffer){ .limit = body->limit };
	if (replace(request, status))
		free(owned);
	else
		reply_with(request, status, content_type, span, owned);
}

void http_reply_source(struct http_request *request, int status, const char *content_type, uint64_t length, struct http_source source)
{
	if (is_replaced(request, status) || has_no_body(request, status)) {
		if (source.close)
			source.close(source.context);
		if (replace(request, status))
			return;
		source = (struct http_source){ 0 };
	}
	struct shape shape = { status, content_type, length, 0 };
	struct text head = make_head(request, &shape);
	request->answer.parts[0] = (struct iovec){ head.data, head.length };
	request->answer.source = source;
	request->answer.source_left = length;
	decided(request);
}

/* The same sentence in the header, where only printable ASCII is safe. */
static const char *field_text(struct http_request *request, const char *text)
{
	size_t length = strnlen(text, ERROR_FIELD_BYTES_MAX);
	char *out = http_strndup(request, text, length);
	for (size_t i = 0; i < length; i++)
		if ((uint8_t)out[i] < 0x20 || (uint8_t)out[i] >= 0x7f)
			out[i] = (uint8_t)out[i] < 0x20 || out[i] == 0x7f ? ' ' : '?';
	return out;
}

void http_reply_error(struct http_request *request, int status, const char *code, const char *text)
{
	char *clean = http_strndup(request, text, strnlen(text, ERROR_BODY_BYTES_MAX / 8));
	for (char *c = clean; *c; c++)
		if ((uint8_t)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	http_add_header(request, "X-Error-Message", field_text(request, clean));
	if (code)
		http_add_header(request, "X-Error-Code", code);
	struct buffer body;
	buffer_init(&body, ERROR_BODY_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_text(&json, "error", clean);
	json_object_end(&json);
	request->over_budget = false;
	http_reply_buffer(request, status, "application/json", &body);
	buffer_fini(&body);
}

void reply_refusal(struct http_request *request, int status)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {
		{ 400, "The request is malformed" }, { 408, "The request came too slowly" }, { 414, "The URL is too long" },
		{ 417, "Only 100-continue can be expected" }, { 431, "The header fields are too large" },
		{ 501, "The method or transfer encoding is not implemented" }, { 503, "The server is busy, try again" },
		{ 505, "Only HTTP/1.0 and HTTP/1.1 are spoken here" },
	};
	request->head.keep_alive = false;
	http_set_route_name(request, "refused");
	if (status == 503)
		http_add_headerf(request, "Retry-After", "%d", RETRY_AFTER_S);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i].status == status) {
			http_reply_error(request, status, NULL, texts[i].text);
			return;
		}
	}
	http_reply_error(request, status, NULL, "The request is refused");
}

void reply_cut(struct http_request *request)
{
	const struct body *body = &request->body;
	int status = body->cut_status;
	const char *what = status == 408 ? "The body of the request came too slowly" : "The connection ended before the body of the request was complete";
	unsigned long long received = body->received;
	request->body.cut_status = 0;
	request->fields_length = 0; /* whatever its owner meant to say */
	http_reply_error(request, status, status == 408 ? "RequestTimeout" : "IncompleteBody", request->head.chunked ?
		http_printf(request, "%s: %llu bytes arrived, and not the last chunk", what, received) :
		http_printf(request, "%s: %llu of %llu bytes arrived", what, received, (unsigned long long)request->head.content_length));
}

/* ---- preflights ---- */

/* What a script may send: the fields that our clients use, and everything under X-. */
static bool may_be_sent(struct span name)
{
	static const char *const names[] = { "authorization", "range", "content-type", "accept", "if-match", "if-none-match",
		"if-modified-since", "if-range", "cache-control", "content-md5" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (name.length == strlen(names[i]) && strncasecmp((const char *)name.data, names[i], name.length) == 0)
			return true;
	if (name.length < 3 || strncasecmp((const char *)name.data, "x-", 2) != 0)
		return false;
	for (size_t i = 0; i < name.length; i++)
		if (!is_token_byte(name.data[i]))
			return false;
	return true;
}

void reply_preflight(struct http_request *request)
{
	struct span asked = http_header(request, "Access-Control-Request-Headers");
	char *allowed = http_alloc(request, asked.length * 2 + sizeof("Authorization, Range, Content-Type"));
	size_t length = 0;
	for (size_t i = 0; i < asked.length;) {
		size_t begin = i;
		while (i < asked.length && asked.data[i] != ',')
			i++;
		struct span name = span_of(asked.data + begin, i++ - begin);
		while (name.length > 0 && name.data[0] == ' ')
			name = span_of(name.data + 1, name.length - 1);
		while (name.length > 0 && name.data[name.length - 1] == ' ')
			name.length--;
		if (!may_be_sent(name))
			continue;
		if (length > 0) {
			memcpy(allowed + length, ", ", 2);
			length += 2;
		}
		memcpy(allowed + length, name.data, name.length);
		length += name.length;
	}
	http_set_route_name(request, "preflight");
	http_add_header(request, "Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS");
	http_add_header(request, "Access-Control-Allow-Headers", length > 0 ? allowed : "Authorization, Range, Content-Type");
	http_add_header(request, "Access-Control-Max-Age", "86400");
	http_reply(request, 204, NULL, span_of(NULL, 0));
}
