/* http.h - the HTTP/1.1 server, as the views see it.
 *
 * DESIGN. Control loops accept connections, parse heads and answer what can be answered from memory. A request whose body
 * or answer is bulk moves, connection and all, to a bulk loop until it is done, so that a small GET never waits behind a
 * hash of a megabyte. Work that blocks (disk, Raft, big JSON) runs on a bounded pool of worker threads. A request is owned by
 * exactly one of the three at any moment, and by the code that runs there.
 *
 * Life of a request: the server parses the head and calls the handler on a control loop. The handler must, before it
 * returns, do exactly one of
 *   http_reply*      answer now;
 *   http_collect     have the whole (small) body gathered, then run a function with it on a worker thread;
 *   http_sink        have the body streamed to callbacks on a bulk loop;
 *   http_work        run a function on a worker thread, no body wanted.
 * The function or callback that then owns the request ends it with http_reply* or hands it on (http_work).
 *
 * Memory: http_alloc gives request-scoped memory, freed after the answer is sent. Header and query values are borrowed from
 * the request and valid as long as it. */
#ifndef CAIRN_GATEWAY_HTTP_H
#define CAIRN_GATEWAY_HTTP_H

#include "schemas/buffer.h"
#include "schemas/error.h"

struct http_server;
struct http_request;

enum http_method { HTTP_GET = 1, HTTP_HEAD = 2, HTTP_POST = 4, HTTP_PUT = 8, HTTP_DELETE = 16, HTTP_PATCH = 32, HTTP_OPTIONS = 64 };

enum {
	HTTP_HEAD_BYTES_MAX = 16384,
	HTTP_TARGET_BYTES_MAX = 8192,
	HTTP_FIELDS_MAX = 100,
	HTTP_COLLECT_BYTES_MAX = 16 << 20,
};

/* ------------------------------------------------------------------ reading a request */

enum http_method http_method(const struct http_request *request);
/* The raw path as sent: percent-escapes untouched, without query. */
struct span http_path(const struct http_request *request);
struct span http_query(const struct http_request *request); /* raw, without '?' */
/* First field of that name (any case), blanks trimmed; length 0 and data NULL when absent. */
struct span http_header(const struct http_request *request, const char *name);
/* Announced body bytes; 0 none; UINT64_MAX when chunked (unknown). */
uint64_t http_body_length(const struct http_request *request);
/* True while a client's `Expect: 100-continue` is not answered yet: replying now spares the upload. */
bool http_expects_continue(const struct http_request *request);
/* Always set: echoes the client's x-request-id, else contains its X-Amzn-Trace-Id, else made here. */
const char *http_request_id(const struct http_request *request);
/* "http://host:port" as the client addressed us (Host, trusted X-Forwarded-*, or the configured override). */
const char *http_base_url(const struct http_request *request);
const char *http_peer_address(const struct http_request *request); /* numeric, without port */
void *http_user_data(const struct http_request *request); /* server_config.user_data */
/* On a worker that owns the request: false when the client has hung up, or the server has stopped waiting for what runs, so that nobody would get an answer. */
bool http_is_awaited(const struct http_request *request);
struct http_server *http_server_of(const struct http_request *request);

/* Request-scoped zeroed memory; never NULL (a request over its budget is answered 503 and the process goes on). */
void *http_alloc(struct http_request *request, size_t bytes);
char *http_printf(struct http_request *request, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *http_strndup(struct http_request *request, const void *text, size_t length);

/* Decodes %XX (and '+' as blank when `form`) into request memory, NUL-terminated. NULL for a bad escape or a NUL byte. */
char *http_decode(struct http_request *request, struct span raw, bool form);
/* The other way: all but unreserved characters become %XX. */
char *http_encode(struct http_request *request, struct span raw);
/* The k-th value (from 0) of a query key, decoded; NULL when there is none. Keys match with and without a trailing "[]". */
char *http_query_value(struct http_request *request, const char *key, int k);
/* Same for an application/x-www-form-urlencoded body. */
char *http_form_value(struct http_request *request, struct span form, const char *key, int k);
/* Parses true/false/True/False/1/0; `fallback` when absent or unreadable. */
bool http_query_bool(struct http_request *request, const char *key, bool fallback);

/* Per-request slot for the view (the caller's identity, parsed route): set once, read later on any thread. */
void http_set_context(struct http_request *request, void *context);
void *http_context(const struct http_request *request);
/* Name of who asks, for the access log (never a token). Copied. */
void http_set_actor_name(struct http_request *request, const char *name);
const char *http_actor_name(const struct http_request *request); /* "": none was set */
/* Name of the route, for metrics; a string constant. */
void http_set_route_name(struct http_request *request, const char *name);

/* ------------------------------------------------------------------ answering */

/* Adds an answer header; copied. Call before http_reply*. CR/LF in a value are programmer errors (asserted): values
 * made from client data must have been checked. Content-Length, Date, Connection, X-Request-Id and CORS are the server's. */
void http_add_header(struct http_request *request, const char *name, const char *value);
void http_add_headerf(struct http_request *request, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* What is answered may be this old: adds "X-Cairn-Stale: MS". A 401, 403, 404 or 410, which clients take for final, then goes out as 503 with Retry-After,
 * whoever says it. Once. */
void http_set_stale(struct http_request *request, uint64_t age_ms);

/* Sends a complete answer; `body` is copied (or taken from a buffer with http_reply_buffer, which empties it). Any thread
 * that owns the request; it must not touch the request afterwards. HEAD: the same call, the server omits the body. */
void http_reply(struct http_request *request, int status, const char *content_type, struct span body);
void http_reply_buffer(struct http_request *request, int status, const char *content_type, struct buffer *body);
/* {"error": text} with X-Error-Message, and X-Error-Code when code is not NULL. Control bytes in text are blanked. */
void http_reply_error(struct http_request *request, int status, const char *code, const char *text);

/* A body that is pulled as the socket drains, on a bulk loop. */
struct http_source {
	/* Bytes written to out (> 0), 0 at the end, ERR_AGAIN: would wait for the disk: the server then calls again from a
	 * worker thread with may_block true, and, when that too says ERR_AGAIN, begins anew: a source that waits for something slower than a
	 * disk gives its worker back now and then. Any other error cuts the connection (the status is gone already). */
	int64_t (*read)(void *context, void *out, size_t length, bool may_block);
	/* Optional zero-copy step, tried first on plain-text connections: 0 and an extent of a file, or ERR_AGAIN for `read`. */
	int (*extent)(void *context, size_t length, int *fd, uint64_t *offset, size_t *extent_length);
	/* Called once, on any thread, when the answer is done or dead. */
	void (*close)(void *context);
	void *context;
};
/* `length` in bytes, or UINT64_MAX for chunked. HEAD: source is closed unread. */
void http_reply_source(struct http_request *request, int status, const char *content_type, uint64_t length, struct http_source source);

/* One `Range: bytes=` value against an object of `length` bytes. 0: *start,*end (exclusive) set and *partial tells whether it is
 * a 206; ERR_RANGE: 416 (the function has added Content-Range: bytes * / length); more than one range is ERR_UNSUPPORTED. */
int http_range(struct http_request *request, uint64_t length, uint64_t *start, uint64_t *end, bool *partial);
/* True when If-None-Match names `etag` (quoted, strong or weak) or "*": answer 304. */
bool http_not_modified(struct http_request *request, const char *etag);

/* ------------------------------------------------------------------ bodies and work */

/* On a worker thread; owns the request; must end it with http_reply* . */
typedef void (*http_work_fn)(struct http_request *request, void *context);
typedef void (*http_body_fn)(struct http_request *request, struct span body, void *context);

/* When too much work waits already the request is answered 503 and `fn` never runs, so `context` should be the request's memory. Not so for
 * work that a worker hands on: that always runs. */
void http_work(struct http_request *request, http_work_fn fn, void *context);
/* Bodies above `bytes_max` are answered 413. Sends 100 Continue if expected. `fn` never runs for a body that does not arrive whole: a client that
 * has sent less than it announced is told 400, one that is too slow 408. */
void http_collect(struct http_request *request, size_t bytes_max, http_body_fn fn, void *context);

/* Leaves the request with somebody who answers later without a thread that waits: `begin` is called once, on the loop, after the handler has
 * returned; it must not block, and gives the request to whoever will call http_resume. */
void http_pause(struct http_request *request, http_work_fn begin, void *context);
/* Any thread that owns a paused request: `fn` is called on the request's loop, with the duties of a handler. */
void http_resume(struct http_request *request, http_work_fn fn, void *context);

struct http_sink {
	/* On a bulk loop, in order, 1 byte to 1 MiB at a time. 0 or an error: then the rest is drained within limits and `end` is
	 * called with that error. May compute; may wait only for the store's write buffers. */
	int (*write)(struct http_request *request, const uint8_t *data, size_t length, void *context);
	/* On a worker thread, exactly once: err 0 after the whole body, ERR_CLOSED when the client went away, sent less than it announced or was
	 * too slow (reply must be called all the same; a client that still listens is told 400 or 408 instead), or what `write` returned.
	 * Owns the request. */
	void (*end)(struct http_request *request, int err, void *context);
	/* Optional, before each `write` of a body whose length was announced: memory to receive into, *length bytes (in: how many are of use), with which
	 * `write` is called next. NULL: there is none now; what is wrong, `write` will tell. On a bulk loop; may wait as `write` may. */
	uint8_t *(*room)(struct http_request *request, size_t *length, void *context);
};
/* Bodies above `bytes_max` (announced, or counted when chunked) end with ERR_TOO_BIG. */
void http_sink(struct http_request *request, uint64_t bytes_max, const struct http_sink *sink, void *context);

/* ------------------------------------------------------------------ the server */

typedef void (*http_handler)(struct http_request *request);

/* A request whose answer is sent, or cut. */
struct http_answered {
	const char *request_id, *actor, *peer, *method, *route;
	struct span path;
	int status; /* 0: cut */
};

struct http_config {
	const char *host;               /* numeric address */
	const char *port;               /* "0": any; http_server_port tells */
	const char *tls_certificate_file, *tls_key_file; /* both or neither; reloaded on http_server_reload */
	const char *base_url;           /* override for absolute URLs, or NULL */
	bool trust_forwarded;           /* believe X-Forwarded-Proto/Host from loopback peers */
	const char *access_log_file;    /* JSON lines; "-": standard output; NULL: none */
	unsigned control_loops, bulk_loops, workers; /* 0: 1 per 4 cores, 1 per core, 64 */
	/* 0: 10000, 4096, 4096. Never more connections than descriptors allow: raise RLIMIT_NOFILE first. */
	unsigned connections_max, connections_per_address_max, requests_in_flight_max;
	/* 0: 10 s, 75 s, and 30 s: after one such window of grace a body or an answer must move 16 KiB/s in each. */
	uint64_t head_ms_max, idle_ms_max, stall_ms_max;
	http_handler handler;           /* called on control loops; must not block */
	void (*answered)(void *user_data, const struct http_answered *answered); /* may be NULL; on loops; must not block */
	void *user_data;
};

int http_server_start(struct http_server **out, const struct http_config *config, struct why *why);
unsigned http_server_port(const struct http_server *server);
/* SIGHUP: the log is opened anew, certificate and key are read again; the old ones stay when the new ones are bad. */
int http_server_reload(struct http_server *server, struct why *why);
/* Stops accepting, finishes what runs (at most `grace_ms`), closes. Blocks. */
void http_server_stop(struct http_server *server, uint64_t grace_ms);

/* ------------------------------------------------------------------ metrics */

/* Prometheus text of the server's own counters: connections, requests by route and status class, seconds by route, bytes. */
void http_server_metrics(struct http_server *server, struct buffer *out);

#endif
