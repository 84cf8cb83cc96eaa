#include "gateway/http/request.h"

#include "gateway/http/server.h"

#include <assert.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

struct http_request *request_make(struct connection *connection)
{
	struct loop *loop = connection->loop;
	struct http_request *request = loop->free_requests;
	if (request) {
		loop->free_requests = request->next_free;
		loop->free_requests_count--;
	} else if (!(request = malloc(sizeof(*request)))) {
		return NULL;
	}
	memset(request, 0, offsetof(struct http_request, head) + offsetof(struct head, fields));
	request->connection = connection;
	request->server = loop->server;
	request->on_loop = true;
	request->started_us = uv_hrtime() / 1000;
	request->body.complete = true; /* until a head says otherwise */
	return request;
}

static void close_source(struct http_request *request)
{
	struct answer *answer = &request->answer;
	if (answer->source.close)
		answer->source.close(answer->source.context);
	answer->source = (struct http_source){ 0 };
}

void request_free(struct http_request *request, struct loop *loop)
{
	close_source(request);
	body_release(request);
	free(request->answer.owned);
	atomic_fetch_sub(&request->server->answers_bytes, request->answer.owned_bytes);
	if (request->answer.buffer) {
		free(request->answer.buffer);
		atomic_fetch_sub(&request->server->source_bytes, request->answer.buffer_bytes);
	}
	if (request->answer.pipe)
		pipe_give(&loop->pipes, request->answer.pipe);
	if (request->in_flight)
		atomic_fetch_sub(&request->server->requests_in_flight, 1);
	while (request->blocks) {
		struct memory_block *block = request->blocks;
		request->blocks = block->next;
		free(block);
	}
	if (loop->free_requests_count == LOOP_FREE_REQUESTS_MAX) {
		free(request);
		return;
	}
	request->next_free = loop->free_requests;
	loop->free_requests = request;
	loop->free_requests_count++;
}

int request_read_head(struct http_request *request, const uint8_t *data, size_t length)
{
	uint8_t *copy = request_memory(request, length);
	memcpy(copy, data, length);
	request->head_bytes = length;
	int status = head_parse(&request->head, copy, length);
	if (status) {
		request->head.keep_alive = false;
		return status;
	}
	request->body.left = request->head.content_length;
	request->body.complete = request->body.left == 0 && !request->head.chunked;
	request->body.continue_pending = request->head.expects_continue;
	return 0;
}

/* ---- memory ---- */

static void *memory_from_block(struct http_request *request, size_t bytes)
{
	struct memory_block *block = request->blocks;
	if (!block || block->capacity - block->used < bytes) {
		size_t capacity = bytes > REQUEST_BLOCK_BYTES / 4 ? bytes : REQUEST_BLOCK_BYTES;
		struct memory_block *fresh = malloc(sizeof(*fresh) + capacity);
		if (!fresh) {
			fprintf(stderr, "cairn: out of memory for a request\n");
			abort();
		}
		fresh->used = 0;
		fresh->capacity = capacity;
		request->memory_bytes += capacity;
		request->over_budget |= request->memory_bytes > REQUEST_MEMORY_BYTES_MAX;
		/* A block made for one large thing goes behind the one that has room left. */
		if (block && capacity == bytes) {
			fresh->next = block->next;
			block->next = fresh;
		} else {
			fresh->next = block;
			request->blocks = fresh;
		}
		block = fresh;
	}
	void *memory = block->data + block->used;
	block->used += bytes;
	return memory;
}

void *request_memory(struct http_request *request, size_t bytes)
{
	size_t rounded = (bytes + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
	if (rounded <= REQUEST_MEMORY_INLINE_BYTES - request->inline_used) {
		void *memory = request->inline_memory + request->inline_used;
		request->inline_used += rounded;
		return memory;
	}
	return memory_from_block(request, rounded);
}

void *http_alloc(struct http_request *request, size_t bytes)
{
	return memset(request_memory(request, bytes), 0, bytes);
}

char *http_strndup(struct http_request *request, const void *text, size_t length)
{
	char *copy = request_memory(request, length + 1);
	if (length > 0)
		memcpy(copy, text, length);
	copy[length] = 0;
	return copy;
}

static char *format_text(struct http_request *request, const char *format, va_list arguments)
{
	va_list again;
	va_copy(again, arguments);
	int length = vsnprintf(NULL, 0, format, arguments);
	assert(length >= 0);
	char *text = request_memory(request, (size_t)length + 1);
	vsnprintf(text, (size_t)length + 1, format, again);
	va_end(again);
	return text;
}

char *http_printf(struct http_request *request, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	char *text = format_text(request, format, arguments);
	va_end(arguments);
	return text;
}

/* ---- what was asked ---- */

enum http_method http_method(const struct http_request *request)
{
	return request->head.method;
}

const char *request_method_name(const struct http_request *request)
{
	switch (request->head.method) {
	case HTTP_GET:
		return "GET";
	case HTTP_HEAD:
		return "HEAD";
	case HTTP_POST:
		return "POST";
	case HTTP_PUT:
		return "PUT";
	case HTTP_DELETE:
		return "DELETE";
	case HTTP_PATCH:
		return "PATCH";
	case HTTP_OPTIONS:
		return "OPTIONS";
	}
	return "";
}

struct span http_path(const struct http_request *request)
{
	return request->head.path;
}

struct span http_query(const struct http_request *request)
{
	return request->head.query;
}

struct span http_header(const struct http_request *request, const char *name)
{
	return head_find(&request->head, name);
}

uint64_t http_body_length(const struct http_request *request)
{
	return request->head.chunked ? UINT64_MAX : request->head.content_length;
}

bool http_expects_continue(const struct http_request *request)
{
	return request->body.continue_pending;
}

const char *http_request_id(const struct http_request *request)
{
	return request->id;
}

const char *http_peer_address(const struct http_request *request)
{
	return request->connection->peer;
}

void *http_user_data(const struct http_request *request)
{
	return request->server->config.user_data;
}

struct http_server *http_server_of(const struct http_request *request)
{
	return request->server;
}

/* An id that can stand in a header and a log line. */
static bool is_id(struct span text)
{
	for (size_t i = 0; i < text.length; i++)
		if (text.data[i] < 0x20 || text.data[i] == 0x7f)
			return false;
	return text.length > 0 && text.length <= REQUEST_ID_BYTES_MAX;
}

static void write_hex(char *out, uint64_t value)
{
	for (int i = 15; i >= 0; i--, value >>= 4)
		out[i] = "0123456789abcdef"[value & 15];
}

void request_set_id(struct http_request *request)
{
	struct span id = http_header(request, "X-Request-Id");
	if (!is_id(id))
		id = http_header(request, "X-Amzn-Trace-Id");
	if (is_id(id)) {
		request->id = http_strndup(request, id.data, id.length);
		return;
	}
	struct loop *loop = request->connection->loop;
	char *made = request_memory(request, 33);
	write_hex(made, loop->id_prefix);
	write_hex(made + 16, ++loop->id_count);
	made[32] = 0;
	request->id = made;
}

/* ---- absolute URLs ---- */

static struct span first_member(struct span list)
{
	const uint8_t *comma = list.length ? memchr(list.data, ',', list.length) : NULL;
	size_t length = comma ? (size_t)(comma - list.data) : list.length;
	while (length > 0 && (list.data[length - 1] == ' ' || list.data[length - 1] == '\t'))
		length--;
	return span_of(list.data, length);
}

static bool is_loopback(const char *peer)
{
	return strncmp(peer, "127.", 4) == 0 || strcmp(peer, "::1") == 0;
}

const char *http_base_url(const struct http_request *request)
{
	if (request->base_url)
		return request->base_url;
	const struct http_config *config = &request->server->config;
	if (config->base_url)
		return config->base_url;
	const char *scheme = request->server->tls ? "https" : "http";
	struct span host = request->head.host;
	if (config->trust_forwarded && is_loopback(request->connection->peer)) {
		struct span forwarded = first_member(http_header(request, "X-Forwarded-Proto"));
		if (span_equal(forwarded, span_text("https")) || span_equal(forwarded, span_text("http")))
			scheme = forwarded.length == 5 ? "https" : "http";
		forwarded = first_member(http_header(request, "X-Forwarded-Host"));
		if (forwarded.length > 0 && is_host_text(forwarded))
			host = forwarded;
	}
	struct http_request *own = (struct http_request *)request; /* a cache of what it already says */
	if (host.length > 0)
		own->base_url = http_printf(own, "%s://%.*s", scheme, (int)host.length, (const char *)host.data);
	else
		own->base_url = http_printf(own, "%s://127.0.0.1:%u", scheme, request->server->port);
	return own->base_url;
}

/* ---- what views leave with it ---- */

void http_set_context(struct http_request *request, void *context)
{
	request->context = context;
}

void *http_context(const struct http_request *request)
{
	return request->context;
}

void http_set_actor_name(struct http_request *request, const char *name)
{
	snprintf(request->actor, sizeof(request->actor), "%s", name);
}

const char *http_actor_name(const struct http_request *request)
{
	return request->actor;
}

bool http_is_awaited(const struct http_request *request)
{
	struct pollfd socket = { .fd = request->connection->fd, .events = POLLRDHUP }; /* open as long as the request lives */
	return !atomic_load(&request->server->cutting) && poll(&socket, 1, 0) == 0;
}

void http_set_route_name(struct http_request *request, const char *name)
{
	request->route = name;
}

/* ---- decisions ---- */

static void on_given_back(struct post *post)
{
	connection_dispatch((struct connection *)((char *)post - offsetof(struct connection, post)));
}

void request_give_back(struct http_request *request)
{
	struct connection *connection = request->connection;
	assert(!request->on_loop);
	request->on_loop = true;
	connection->post.run = on_given_back;
	loop_post(connection->loop, &connection->post);
}

static void run_work(struct job *job)
{
	struct http_request *request = (struct http_request *)((char *)job - offsetof(struct http_request, job));
	request->work(request, request->work_context);
}

bool request_work_begin(struct http_request *request)
{
	struct worker_pool *workers = request->server->workers;
	request->on_loop = false;
	request->job.run = run_work;
	if (request->admitted) {
		worker_submit(workers, &request->job);
		return true;
	}
	request->admitted = true;
	if (worker_offer(workers, &request->job))
		return true;
	request->on_loop = true;
	return false;
}

void http_work(struct http_request *request, http_work_fn fn, void *context)
{
	assert(request->step == STEP_NONE);
	request->work = fn;
	request->work_context = context;
	if (request->on_loop) {
		request->step = STEP_WORK;
	} else {
		request->job.run = run_work;
		worker_submit(request->server->workers, &request->job);
	}
}

void http_pause(struct http_request *request, http_work_fn begin, void *context)
{
	assert(request->step == STEP_NONE && request->on_loop);
	request->work = begin;
	request->work_context = context;
	request->step = STEP_PAUSE;
}

void http_resume(struct http_request *request, http_work_fn fn, void *context)
{
	assert(request->step == STEP_NONE && !request->on_loop);
	request->work = fn;
	request->work_context = context;
	request->step = STEP_RESUME;
	request_give_back(request);
}

static void receive(struct http_request *request, enum step step, void *context, uint64_t limit)
{
	assert(request->step == STEP_NONE);
	request->body.limit = limit;
	request->body.context = context;
	request->step = step;
	if (!request->on_loop)
		request_give_back(request);
}

void http_collect(struct http_request *request, size_t bytes_max, http_body_fn fn, void *context)
{
	request->body.collected = fn;
	receive(request, STEP_COLLECT, context, bytes_max < HTTP_COLLECT_BYTES_MAX ? bytes_max : HTTP_COLLECT_BYTES_MAX);
}

void http_sink(struct http_request *request, uint64_t bytes_max, const struct http_sink *sink, void *context)
{
	request->body.sink = *sink;
	receive(request, STEP_SINK, context, bytes_max);
}
