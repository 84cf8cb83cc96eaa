/* connection.h - one client's socket: what it waits for, and the request that it carries.
 *
 * DESIGN. A connection belongs to one loop at a time and is touched by no other thread, except that the one request in it may be lent to a worker
 * (CONNECTION_OWNED; CONNECTION_ANSWER while a source is read there). Idle, it is this struct and nothing else: no buffer, no request.
 *
 *   HEAD -> OWNED -> BODY -> OWNED -> ANSWER -> HEAD ...
 *                                        |-> DRAIN -> HEAD   the rest of a body that was not wanted
 *                                        |-> LINGER          our side is shut; what still arrives is discarded, so that no reset overtakes
 *                                                            the answer
 *
 * Its uv_poll_t stays armed for reading between requests: a small GET costs epoll_wait, recv and send. Only when an event comes that nobody
 * wants is the poll disarmed, and armed again when somebody does. Moving to another loop closes the uv_poll_t, hands the struct over in its
 * close callback (when the old loop has forgotten the descriptor) and makes a new one there. */
#ifndef CAIRN_GATEWAY_HTTP_CONNECTION_H
#define CAIRN_GATEWAY_HTTP_CONNECTION_H

#include "gateway/http/address.h"
#include "gateway/http/loop.h"
#include "gateway/http/parser.h"

#include <netinet/in.h>

enum {
	TLS_HANDSHAKE_MS_MAX = 10000,
	LINGER_MS_MAX = 2000,
	LINGER_BYTES_MAX = 64 << 10,
	DRAIN_BYTES_MAX = 1 << 20, /* of a refused body */
	DRAIN_MS_MAX = 10000,
	LEFTOVER_BYTES_MAX = 64 << 10, /* pipelined behind a chunked body; more closes the connection */
	RATE_BYTES_PER_S_MIN = 16 << 10,
	RATE_WINDOW_MS = 30000,
	HEAD_BUFFER_BYTES_FIRST = 4096,
};

enum connection_state {
	CONNECTION_HEAD,   /* idle, in the TLS handshake, or in the middle of a head */
	CONNECTION_OWNED,  /* a handler or a worker owns the request */
	CONNECTION_BODY,
	CONNECTION_ANSWER,
	CONNECTION_DRAIN,
	CONNECTION_LINGER,
	CONNECTION_MOVING,
	CONNECTION_CLOSED,
};

struct connection {
	uv_poll_t poll;
	struct post post;           /* carries it to another loop, or back from a worker */
	struct timer_entry timer;
	TAILQ_ENTRY(connection) link, ready_link, waiting_link;
	struct loop *loop, *home;   /* home: the control loop that accepted it */
	struct loop *target;        /* while moving */
	void (*arrived)(struct connection *connection);
	struct http_request *request;
	struct tls *tls;            /* NULL: plain text */
	uint8_t *in;                /* received, not used yet; malloc'ed, NULL when empty */
	size_t in_begin, in_end, in_capacity;
	struct head_scan scan;
	int fd;
	int watched;                /* UV_READABLE | UV_WRITABLE, as armed */
	enum connection_state state;
	bool poll_open, broken, is_ready, is_waiting, counts_as_partial, in_grace, refused, established;
	uint64_t answered_count;
	uint64_t load_bytes;        /* its part of the bulk loop's load */
	uint64_t window_bytes;      /* moved since the rate was last judged */
	size_t discard_left;        /* bytes more to discard in DRAIN and LINGER */
	struct address address;
	char peer[INET6_ADDRSTRLEN];
};

/* Takes over an accepted socket on its home loop. On error the socket is closed. */
void connection_accept(struct loop *loop, int fd, const struct sockaddr *peer, bool refused);

/* ------------------------------------------------------------------ its life; all on its loop */

/* What the loop is to wait for. Cheap when nothing changes. */
void connection_watch(struct connection *connection, int events);
void connection_event(struct connection *connection, int events);
void connection_expired(struct connection *connection);
/* The socket is dead or was judged so; ends whatever is under way. */
void connection_failed(struct connection *connection);
/* Closes for good; there must be no request. */
void connection_close(struct connection *connection);
/* Does what the request's owner decided. */
void connection_dispatch(struct connection *connection);
/* The request is over: frees it, then reads the next, drains, lingers or closes. */
void connection_request_done(struct connection *connection);
void connection_move(struct connection *connection, struct loop *target, void (*arrived)(struct connection *connection));
/* The bulk loop with the least to do gets it. */
void connection_move_to_bulk(struct connection *connection, uint64_t bytes, void (*arrived)(struct connection *connection));
/* Frees the request, whatever it was at. */
void connection_drop_request(struct connection *connection);
/* Counts it among those that hold an unfinished head, or no longer. */
void connection_set_partial(struct connection *connection, bool partial);
/* The kernel holds bytes of the client's that were not received yet. */
bool connection_has_unread_bytes(const struct connection *connection);
/* Room for `length` more bytes behind what is held; NULL when out of memory. */
uint8_t *connection_reserve(struct connection *connection, size_t length);
/* Keeps bytes for later; returns 0 or ERR_NO_MEMORY. */
int connection_keep(struct connection *connection, const uint8_t *data, size_t length);
void connection_in_taken(struct connection *connection, size_t length);
void connection_stop_waiting(struct connection *connection);
/* Loop-wide orders. */
void connection_drain(struct connection *connection);
void connection_cut(struct connection *connection);

/* head.c: a head may be here; and: on its home loop, the connection is ready for the next. */
void head_readable(struct connection *connection);
void head_next(struct connection *connection);
void head_expired(struct connection *connection); /* 408 when some of a head is here, and closed */
/* finish.c */
void drain_readable(struct connection *connection);
void linger_readable(struct connection *connection);

/* The minimum rate: begin when the peer is waited for, count what it moved. */
void connection_rate_begin(struct connection *connection);
static inline void connection_rate_count(struct connection *connection, size_t bytes)
{
	connection->window_bytes += bytes;
}

#endif
