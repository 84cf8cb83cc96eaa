/* http_fixture.h - a server on a free port of 127.0.0.1 with a handler that can do everything, and a client made of raw sockets. */
#ifndef CAIRN_TESTS_UNIT_GATEWAY_HTTP_FIXTURE_H
#define CAIRN_TESTS_UNIT_GATEWAY_HTTP_FIXTURE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/http/http.h"

enum { CLIENT_WAIT_S = 20, FILE_BYTES = 20 << 20 };

static struct http_server *server;
static unsigned port;
static atomic_int sink_ends, sink_error, source_closes, handled, collected_count;
static atomic_bool hold_work; /* /hold waits while it is set */
static int file_fd = -1;

static inline void sleep_ms(unsigned ms)
{
	nanosleep(&(struct timespec){ ms / 1000, (long)(ms % 1000) * 1000000 }, NULL);
}

static inline uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Byte i of every generated body. */
static inline uint8_t pattern(uint64_t i)
{
	return (uint8_t)(i * 131 + (i >> 8) * 17 + (i >> 16));
}

/* ------------------------------------------------------------------ the handler */

struct summing {
	uint64_t length, wrong, fail_at;
};

static int summing_write(struct http_request *request, const uint8_t *data, size_t length, void *context)
{
	struct summing *summing = context;
	(void)request;
	for (size_t i = 0; i < length; i++)
		summing->wrong += data[i] != pattern(summing->length + i);
	summing->length += length;
	return summing->fail_at && summing->length >= summing->fail_at ? ERR_NO_SPACE : 0;
}

static void summing_end(struct http_request *request, int err, void *context)
{
	struct summing *summing = context;
	atomic_store(&sink_error, err);
	atomic_fetch_add(&sink_ends, 1);
	http_reply(request, err == 0 ? 200 : err == ERR_TOO_BIG ? 413 : 507, "text/plain", span_text(http_printf(request, "%llu %llu %d",
		(unsigned long long)summing->length, (unsigned long long)summing->wrong, err)));
}

static void start_sink(struct http_request *request, uint64_t bytes_max, uint64_t fail_at)
{
	static const struct http_sink sink = { .write = summing_write, .end = summing_end };
	struct summing *summing = http_alloc(request, sizeof(*summing));
	summing->fail_at = fail_at;
	http_sink(request, bytes_max, &sink, summing);
}

struct making {
	uint64_t offset, end, fail_at;
	bool blocks, extents;
	unsigned asked;
};

static int64_t making_read(void *context, void *out, size_t length, bool may_block)
{
	struct making *making = context;
	if (making->blocks && !may_block && making->asked++ % 2 == 0)
		return ERR_AGAIN;
	if (making->fail_at && making->offset >= making->fail_at)
		return ERR_IO;
	size_t left = (size_t)(making->end - making->offset);
	length = length < left ? length : left;
	for (size_t i = 0; i < length; i++)
		((uint8_t *)out)[i] = pattern(making->offset + i);
	making->offset += length;
	return (int64_t)length;
}

static int making_extent(void *context, size_t length, int *fd, uint64_t *offset, size_t *extent_length)
{
	struct making *making = context;
	if (!making->extents || (making->blocks && making->asked++ % 3 == 0))
		return ERR_AGAIN;
	*fd = file_fd;
	*offset = making->offset;
	static const size_t lengths[] = { 3000000, 65528, 1, 131064 };
	size_t extent = lengths[making->asked++ % 4];
	*extent_length = length < extent ? length : extent;
	making->offset += *extent_length;
	return 0;
}

static void making_close(void *context)
{
	(void)context;
	atomic_fetch_add(&source_closes, 1);
}

static uint64_t number_of(struct http_request *request, const char *key)
{
	const char *text = http_query_value(request, key, 0);
	return text ? strtoull(text, NULL, 10) : 0;
}

/* /source?length=N, and: unknown, blocks, extents (flags), fail=at, short=by */
static void start_source(struct http_request *request)
{
	struct making *making = http_alloc(request, sizeof(*making));
	uint64_t length = number_of(request, "length");
	*making = (struct making){ .end = length - number_of(request, "short"), .fail_at = number_of(request, "fail"),
		.blocks = http_query_bool(request, "blocks", false), .extents = http_query_bool(request, "extents", false) };
	struct http_source source = { making_read, making_extent, making_close, making };
	http_reply_source(request, 200, "application/octet-stream", http_query_bool(request, "unknown", false) ? UINT64_MAX : length, source);
}

static void source_work(struct http_request *request, void *context)
{
	(void)context;
	start_source(request);
}

static void echo(struct http_request *request, struct span body, void *context)
{
	(void)context;
	atomic_fetch_add(&collected_count, 1);
	http_reply(request, 200, "application/octet-stream", body);
}

static void count_body(struct http_request *request, struct span body, void *context)
{
	(void)context;
	uint64_t wrong = 0;
	for (size_t i = 0; i < body.length; i++)
		wrong += body.data[i] != pattern(i);
	http_reply(request, 200, "text/plain", span_text(http_printf(request, "%zu %llu", body.length, (unsigned long long)wrong)));
}

static void hello_work(struct http_request *request, void *context)
{
	http_reply(request, 200, "text/plain", span_text(context ? context : "hello"));
}

static void chain_work(struct http_request *request, void *context)
{
	(void)context;
	http_work(request, hello_work, "chained");
}

static void collect_work(struct http_request *request, void *context)
{
	(void)context;
	http_collect(request, 1 << 20, echo, NULL);
}

static void sleep_work(struct http_request *request, void *context)
{
	(void)context;
	sleep_ms((unsigned)number_of(request, "ms"));
	http_reply(request, 200, "text/plain", span_text("slept"));
}

static void hold_until_released(struct http_request *request, void *context)
{
	(void)context;
	while (atomic_load(&hold_work))
		sleep_ms(5);
	http_reply(request, 200, "text/plain", span_text("held"));
}

static void reply_large(struct http_request *request)
{
	struct buffer body;
	size_t length = (size_t)number_of(request, "length");
	buffer_init(&body, length);
	uint8_t *data = buffer_reserve(&body, length);
	for (size_t i = 0; i < length; i++)
		data[i] = pattern(i);
	body.length = length;
	http_reply_buffer(request, 200, "application/octet-stream", &body);
	buffer_fini(&body);
}

/* What a request looks like to a view. */
static void reply_probe(struct http_request *request)
{
	char *a0 = http_query_value(request, "a", 0), *a1 = http_query_value(request, "a", 1), *b = http_query_value(request, "b", 0);
	char *text = http_printf(request, "base=%s peer=%s id=%s a0=%s a1=%s b=%s t=%d bad=%d", http_base_url(request),
		http_peer_address(request), http_request_id(request), a0 ? a0 : "-", a1 ? a1 : "-", b ? b : "-",
		http_query_bool(request, "t", false), http_decode(request, span_text("%zz"), false) != NULL);
	http_reply(request, 200, "text/plain", span_text(text));
}

static void reply_range(struct http_request *request)
{
	uint64_t start, end, length = number_of(request, "length");
	bool partial;
	http_add_header(request, "ETag", "\"tag\"");
	if (http_not_modified(request, "\"tag\"")) {
		http_reply(request, 304, NULL, span_of(NULL, 0));
		return;
	}
	int err = http_range(request, length, &start, &end, &partial);
	if (err == ERR_RANGE)
		http_reply_error(request, 416, NULL, "no such range");
	else if (err)
		http_reply_error(request, 501, NULL, "several ranges");
	else
		http_reply(request, partial ? 206 : 200, "text/plain", span_text(http_printf(request, "%llu-%llu", (unsigned long long)start,
			(unsigned long long)end)));
}

static void handle(struct http_request *request)
{
	atomic_fetch_add(&handled, 1);
	const char *path = http_strndup(request, http_path(request).data, http_path(request).length);
	http_set_route_name(request, "test");
	http_set_actor_name(request, "tester");
	if (strcmp(path, "/hello") == 0)
		hello_work(request, NULL);
	else if (strcmp(path, "/work") == 0)
		http_work(request, hello_work, "worked");
	else if (strcmp(path, "/chain") == 0)
		http_work(request, chain_work, NULL);
	else if (strcmp(path, "/sleep") == 0)
		http_work(request, sleep_work, NULL);
	else if (strcmp(path, "/hold") == 0)
		http_work(request, hold_until_released, NULL);
	else if (strcmp(path, "/echo") == 0)
		http_collect(request, 1 << 20, echo, NULL);
	else if (strcmp(path, "/echo-after-work") == 0)
		http_work(request, collect_work, NULL);
	else if (strcmp(path, "/count") == 0)
		http_collect(request, HTTP_COLLECT_BYTES_MAX, count_body, NULL);
	else if (strcmp(path, "/sink") == 0)
		start_sink(request, UINT64_MAX, number_of(request, "fail"));
	else if (strcmp(path, "/sink-1000") == 0)
		start_sink(request, 1000, 0);
	else if (strcmp(path, "/source") == 0)
		start_source(request);
	else if (strcmp(path, "/source-after-work") == 0)
		http_work(request, source_work, NULL);
	else if (strcmp(path, "/large") == 0)
		reply_large(request);
	else if (strcmp(path, "/probe") == 0)
		reply_probe(request);
	else if (strcmp(path, "/range") == 0)
		reply_range(request);
	else if (strcmp(path, "/nothing") == 0)
		http_reply(request, 204, NULL, span_of(NULL, 0));
	else
		http_reply_error(request, 403, "Nope", "not\nfor you");
}

static inline void start_server(struct http_config config)
{
	struct why why = { 0 };
	config.host = "127.0.0.1";
	config.port = "0";
	config.handler = handle;
	config.bulk_loops = config.bulk_loops ? config.bulk_loops : 2;
	atomic_store(&sink_ends, 0);
	atomic_store(&sink_error, 1);
	atomic_store(&source_closes, 0);
	atomic_store(&handled, 0);
	atomic_store(&collected_count, 0);
	if (http_server_start(&server, &config, &why) != 0)
		fail_msg("%s", why.text);
	port = http_server_port(server);
}

static inline void stop_server(void)
{
	http_server_stop(server, 2000);
	server = NULL;
}

static inline void make_file(void)
{
	FILE *file = tmpfile();
	uint8_t *data = malloc(FILE_BYTES);
	for (size_t i = 0; i < FILE_BYTES; i++)
		data[i] = pattern(i);
	assert_int_equal(fwrite(data, 1, FILE_BYTES, file), FILE_BYTES);
	fflush(file);
	file_fd = dup(fileno(file));
	fclose(file);
	free(data);
}

/* ------------------------------------------------------------------ the client */

/* Returns the socket, or -1. */
static inline int try_connect(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval wait = { .tv_sec = CLIENT_WAIT_S };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline int client(void)
{
	int fd = try_connect();
	assert_true(fd >= 0);
	return fd;
}

/* False when the server has closed. */
static inline bool send_all(int fd, const void *data, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t sent = send(fd, (const char *)data + done, length - done, MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		done += (size_t)sent;
	}
	return true;
}

static inline void say(int fd, const char *text)
{
	assert_true(send_all(fd, text, strlen(text)));
}

static inline bool send_pattern(int fd, uint64_t from, uint64_t length)
{
	uint8_t data[65536];
	for (uint64_t done = 0; done < length;) {
		size_t piece = length - done < sizeof(data) ? (size_t)(length - done) : sizeof(data);
		for (size_t i = 0; i < piece; i++)
			data[i] = pattern(from + done + i);
		if (!send_all(fd, data, piece))
			return false;
		done += piece;
	}
	return true;
}

struct response {
	int status; /* 0: the connection ended before one */
	char head[4096];
	char body[4096]; /* NUL-terminated beginning */
	uint64_t length, wrong; /* body bytes, and those that differ from the pattern */
	bool cut;
};

static inline bool recv_byte(int fd, char *out)
{
	return recv(fd, out, 1, 0) == 1;
}

static inline bool recv_line(int fd, char *out, size_t room)
{
	size_t length = 0;
	while (length + 1 < room && recv_byte(fd, out + length)) {
		if (out[length++] == '\n') {
			out[length] = 0;
			return true;
		}
	}
	out[length] = 0;
	return false;
}

static inline void recv_body(int fd, struct response *out, uint64_t length)
{
	static __thread uint8_t data[65536];
	for (uint64_t done = 0; done < length;) {
		size_t want = length - done < sizeof(data) ? (size_t)(length - done) : sizeof(data);
		ssize_t got = recv(fd, data, want, 0);
		if (got <= 0) {
			out->cut = length != UINT64_MAX || got < 0;
			return;
		}
		for (ssize_t i = 0; i < got; i++) {
			if (out->length < sizeof(out->body) - 1)
				out->body[out->length] = (char)data[i];
			out->wrong += data[i] != pattern(out->length++);
		}
		done += (uint64_t)got;
	}
}

static inline void recv_chunks(int fd, struct response *out)
{
	char line[64];
	for (;;) {
		if (!recv_line(fd, line, sizeof(line))) {
			out->cut = true;
			return;
		}
		uint64_t length = strtoull(line, NULL, 16);
		recv_body(fd, out, length);
		if (out->cut || !recv_line(fd, line, sizeof(line)) || strcmp(line, "\r\n") != 0)
			out->cut = true;
		if (out->cut || length == 0)
			return;
	}
}

/* One answer; `bodyless` for what answers a HEAD. */
static inline void hear(int fd, struct response *out, bool bodyless)
{
	memset(out, 0, sizeof(*out));
	size_t length = 0;
	do {
		char *line = out->head + length;
		if (!recv_line(fd, line, sizeof(out->head) - length))
			return;
		length += strlen(line);
		if (strcmp(line, "\r\n") == 0)
			break;
	} while (length < sizeof(out->head));
	assert_int_equal(sscanf(out->head, "HTTP/1.1 %d ", &out->status), 1);
	const char *announced = strstr(out->head, "Content-Length: ");
	if (bodyless || out->status == 100 || out->status == 204 || out->status == 304)
		return;
	if (announced)
		recv_body(fd, out, strtoull(announced + 16, NULL, 10));
	else if (strstr(out->head, "Transfer-Encoding: chunked"))
		recv_chunks(fd, out);
	else
		recv_body(fd, out, UINT64_MAX);
}

static inline int hear_status(int fd)
{
	static __thread struct response response;
	hear(fd, &response, false);
	return response.status;
}

/* True when the server closes within the client's patience, whatever it sends before. */
static inline bool is_closed(int fd)
{
	char data[4096];
	ssize_t got;
	while ((got = recv(fd, data, sizeof(data), 0)) > 0)
		;
	return got == 0 || errno == ECONNRESET;
}

static inline void check_body(int fd, const char *request, int status, const char *body)
{
	static __thread struct response response;
	say(fd, request);
	hear(fd, &response, false);
	assert_int_equal(response.status, status);
	assert_string_equal(response.body, body);
}

#endif
