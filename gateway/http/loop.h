/* loop.h - one thread with one event loop, and how others reach it.
 *
 * DESIGN. Everything about a connection happens on the loop that it is on. Other threads (workers, other loops, the one that stops the server)
 * leave a `post` in the loop's lock-free list and wake it; the loop runs what it finds. A control loop also owns a listening socket. A bulk
 * loop receives by the megabyte and computes in place; it runs at a lower priority, so that a machine full of uploads still answers a small
 * GET at once. What is ready without the kernel's saying so (pipelined requests, decrypted bytes) waits in `ready`. */
#ifndef CAIRN_GATEWAY_HTTP_LOOP_H
#define CAIRN_GATEWAY_HTTP_LOOP_H

#include "gateway/http/http.h"
#include "gateway/http/pipe.h"
#include "gateway/http/timer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include <uv.h>

enum {
	LOOP_RECV_CONTROL_BYTES = 16 << 10, /* one request's head and a bit */
	LOOP_RECV_BULK_BYTES = 1 << 20,     /* also the most that one connection gets of a loop's turn */
	LOOP_FREE_REQUESTS_MAX = 64,
	LOOP_READY_ROUNDS_MAX = 16,         /* pipelined requests answered between two looks at the sockets */
	BULK_LOOP_NICE = 8,
};

/* Embedded in what it is about; in at most one loop's list at a time. */
struct post {
	struct post *next;
	void (*run)(struct post *post);
};

struct connection;
TAILQ_HEAD(connection_list, connection);

struct loop {
	uv_loop_t uv;
	uv_async_t wake;
	uv_idle_t spin;      /* runs while `ready` is not empty */
	uv_timer_t timer;    /* advances the wheel */
	uv_timer_t pause;    /* accepting again, after descriptors ran out */
	uv_poll_t listener;  /* control loops */
	int listen_fd;       /* -1: none */
	bool listening;
	bool bulk, draining, cutting, closing;
	struct http_server *server;
	pthread_t thread;
	_Atomic(struct post *) posts;
	struct timer_wheel wheel;
	struct connection_list connections, ready;
	unsigned connections_count;
	struct connection_list waiting; /* for memory to collect a body in */
	uint8_t *scratch;               /* receive buffer; holds nothing between two events */
	size_t scratch_bytes;
	struct http_request *free_requests;
	unsigned free_requests_count;
	struct pipe_pool pipes;
	uint64_t id_prefix, id_count;   /* request ids made here */
	struct post drain, cut, memory; /* from the server to the loop */
	atomic_bool memory_posted;
	_Atomic uint64_t load_bytes;    /* bulk: announced bytes of what is on its way here or under way */
};

int loop_init(struct loop *loop, struct http_server *server, bool bulk, struct why *why);
int loop_start(struct loop *loop, struct why *why);
/* Waits for the thread, which ends once the loop is draining and the server has no connection. Others may still post until all are joined:
 * join all, then free all. */
void loop_join(struct loop *loop);
void loop_free(struct loop *loop);
/* Closes and frees a loop that was never started. */
void loop_discard(struct loop *loop);

/* Any thread. */
void loop_post(struct loop *loop, struct post *post);
/* Its own thread: asks for a run of the connection's event handler although the kernel may have nothing to say. */
void loop_make_ready(struct loop *loop, struct connection *connection);
uint64_t loop_now_ms(const struct loop *loop);
void loop_set_deadline(struct loop *loop, struct connection *connection, uint64_t deadline_ms);
/* To be called when the loop is draining and may have become empty. */
void loop_finish_if_empty(struct loop *loop);

#endif
