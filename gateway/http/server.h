/* server.h - what the loops of one server share. */
#ifndef CAIRN_GATEWAY_HTTP_SERVER_H
#define CAIRN_GATEWAY_HTTP_SERVER_H

#include "gateway/http/address.h"
#include "gateway/http/loop.h"
#include "gateway/http/metrics.h"
#include "gateway/http/worker.h"

enum {
	CONNECTIONS_DEFAULT = 10000,
	CONNECTIONS_PER_ADDRESS_DEFAULT = 4096,
	REQUESTS_IN_FLIGHT_DEFAULT = 4096,
	REFUSED_MAX = 64,              /* connections over the limit that are being told so */
	HEADS_PARTIAL_MAX = 2048,      /* connections that hold an unfinished head */
	HEAD_MS_DEFAULT = 10000,
	IDLE_MS_DEFAULT = 75000,
	DESCRIPTORS_RESERVED = 64,
	ACCEPT_PAUSE_MS = 100,
	RETRY_AFTER_S = 1,
	LOOPS_MAX = 256,
};
#define COLLECT_MEMORY_BYTES_MAX ((uint64_t)64 << 20) /* bodies gathered for handlers, all together; one more may be over it */
#define SOURCE_MEMORY_BYTES_MAX ((uint64_t)128 << 20) /* beyond it, sources are read in small pieces */
#define ANSWERS_MEMORY_BYTES_MAX ((uint64_t)256 << 20) /* whole bodies that wait to be taken; one that would go beyond is answered 503 */

struct http_server {
	struct http_config config; /* with defaults filled in; texts are owned copies */
	struct loop *loops;        /* control loops first */
	unsigned loops_count, control_count, started_count;
	unsigned port;
	struct worker_pool *workers;
	struct address_table *addresses;
	struct tls_config *tls;    /* NULL: plain text */
	struct access_log *log;    /* NULL: none */
	struct metrics metrics;
	atomic_uint listeners_count, connections_count, refused_count, heads_partial_count, requests_in_flight;
	_Atomic uint64_t collect_bytes, source_bytes, answers_bytes;
	_Atomic(struct http_request *) overdraft; /* the one body that may go beyond the budget */
	atomic_uint memory_waiters;
	atomic_bool draining, cutting; /* cutting: nobody gets an answer any more */
};

/* Nothing is connected, or can be any more. */
bool server_is_empty(struct http_server *server);
/* When a stopping server has become empty, its loops are told, so that they end. Any thread. */
void server_wake_if_empty(struct http_server *server);
/* Wakes the loops whose connections wait for memory. Any thread. */
void server_memory_released(struct http_server *server);

/* listener.c */
int listener_open(struct loop *loop, unsigned *port, struct why *why);
int listener_watch(struct loop *loop, struct why *why);
/* Takes what is still in the accept queue, then closes. */
void listener_close(struct loop *loop);

#endif
