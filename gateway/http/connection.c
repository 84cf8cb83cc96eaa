#include "gateway/http/connection.h"

#include "gateway/http/access_log.h"
#include "gateway/http/request.h"
#include "gateway/http/server.h"
#include "gateway/http/tls.h"
#include "gateway/http/transport.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void connection_next(struct connection *connection);

/* ---- watching ---- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct connection *connection = poll->data;
	if (status < 0) {
		connection->watched = 0; /* the library has disarmed it: the socket has an error pending */
		connection_failed(connection);
		return;
	}
	connection_event(connection, events);
}

void connection_watch(struct connection *connection, int events)
{
	if (connection->tls && tls_has_unsent(connection->tls) && events)
		events |= UV_WRITABLE;
	if ((events & UV_READABLE) && transport_has_unread(connection))
		loop_make_ready(connection->loop, connection);
	if (events == connection->watched || !connection->poll_open)
		return;
	connection->watched = events;
	int err = events ? uv_poll_start(&connection->poll, events, on_poll) : uv_poll_stop(&connection->poll);
	assert(!err);
}

static int open_poll(struct connection *connection)
{
	int err = uv_poll_init(&connection->loop->uv, &connection->poll, connection->fd);
	if (err)
		return ERR_IO;
	connection->poll.data = connection;
	connection->poll_open = true;
	connection->watched = 0;
	return 0;
}

void connection_stop_waiting(struct connection *connection)
{
	if (!connection->is_waiting)
		return;
	connection->is_waiting = false;
	TAILQ_REMOVE(&connection->loop->waiting, connection, waiting_link);
	atomic_fetch_sub(&connection->loop->server->memory_waiters, 1);
}

/* ---- opening and closing ---- */

static void format_peer(struct connection *connection, const struct sockaddr *peer)
{
	if (peer->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)peer)->sin_addr, connection->peer, sizeof(connection->peer));
	else if (IN6_IS_ADDR_V4MAPPED(&((const struct sockaddr_in6 *)peer)->sin6_addr))
		inet_ntop(AF_INET, ((const struct sockaddr_in6 *)peer)->sin6_addr.s6_addr + 12, connection->peer, sizeof(connection->peer));
	else
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)peer)->sin6_addr, connection->peer, sizeof(connection->peer));
}

static struct connection *make(struct loop *loop, int fd, const struct sockaddr *peer)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	if (!connection)
		return NULL;
	connection->loop = connection->home = loop;
	connection->fd = fd;
	connection->timer.deadline_ms = TIMER_NEVER;
	address_of(&connection->address, peer);
	format_peer(connection, peer);
	if (open_poll(connection) != 0) {
		free(connection);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&loop->connections, connection, link);
	loop->connections_count++;
	return connection;
}

/* Over the limits: told so without being read, and closed so that the answer arrives. */
static void refuse_connection(struct connection *connection)
{
	static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 32\r\n"
		"Retry-After: 1\r\nConnection: close\r\n\r\n{\"error\":\"Too many connections\"}";
	if (send(connection->fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL) > 0)
		shutdown(connection->fd, SHUT_WR);
	connection->state = CONNECTION_LINGER;
	connection->discard_left = LINGER_BYTES_MAX;
	loop_set_deadline(connection->loop, connection, loop_now_ms(connection->loop) + LINGER_MS_MAX);
	connection_watch(connection, UV_READABLE);
}

void connection_accept(struct loop *loop, int fd, const struct sockaddr *peer, bool refused)
{
	struct http_server *server = loop->server;
	atomic_uint *counter = refused ? &server->refused_count : &server->connections_count;
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	struct connection *connection = make(loop, fd, peer);
	if (!connection) {
		close(fd);
		if (!refused) {
			struct address address;
			address_of(&address, peer);
			address_leave(server->addresses, &address);
		}
		atomic_fetch_sub(counter, 1);
		return;
	}
	connection->refused = refused;
	if (refused) {
		refuse_connection(connection);
		return;
	}
	if (server->tls && !(connection->tls = tls_open(server->tls))) {
		connection_close(connection);
		return;
	}
	uint64_t wait_ms = server->tls ? TLS_HANDSHAKE_MS_MAX : server->config.idle_ms_max;
	loop_set_deadline(loop, connection, loop_now_ms(loop) + wait_ms);
	connection_watch(connection, UV_READABLE);
	if (loop->draining)
		connection_drain(connection);
}

static void release(struct connection *connection)
{
	struct http_server *server = connection->loop->server;
	close(connection->fd);
	if (connection->refused) {
		atomic_fetch_sub(&server->refused_count, 1);
	} else {
		address_leave(server->addresses, &connection->address);
		atomic_fetch_sub(&server->connections_count, 1);
	}
	tls_free(connection->tls);
	free(connection->in);
	free(connection);
	server_wake_if_empty(server);
}

static void on_closed(uv_handle_t *handle)
{
	release(handle->data);
}

static void on_closed_without_poll(struct post *post)
{
	release((struct connection *)((char *)post - offsetof(struct connection, post)));
}

static void leave_loop(struct connection *connection)
{
	struct loop *loop = connection->loop;
	connection_stop_waiting(connection);
	if (connection->is_ready) {
		connection->is_ready = false;
		TAILQ_REMOVE(&loop->ready, connection, ready_link);
	}
	timer_clear(&loop->wheel, &connection->timer);
	TAILQ_REMOVE(&loop->connections, connection, link);
	loop->connections_count--;
	atomic_fetch_sub(&loop->load_bytes, connection->load_bytes);
	connection->load_bytes = 0;
}

static void set_partial(struct connection *connection, bool partial)
{
	if (connection->counts_as_partial == partial)
		return;
	connection->counts_as_partial = partial;
	if (partial)
		atomic_fetch_add(&connection->loop->server->heads_partial_count, 1);
	else
		atomic_fetch_sub(&connection->loop->server->heads_partial_count, 1);
}

void connection_close(struct connection *connection)
{
	assert(!connection->request && connection->state != CONNECTION_CLOSED);
	if (connection->tls && !connection->broken)
		tls_shutdown(connection->tls, connection->fd);
	connection->state = CONNECTION_CLOSED;
	set_partial(connection, false);
	leave_loop(connection);
	/* Never at once: whoever called may still look at it. */
	if (connection->poll_open) {
		uv_close((uv_handle_t *)&connection->poll, on_closed);
	} else {
		connection->post.run = on_closed_without_poll;
		loop_post(connection->loop, &connection->post);
	}
}

/* ---- moving ---- */

static void on_arrived(struct post *post)
{
	struct connection *connection = (struct connection *)((char *)post - offsetof(struct connection, post));
	struct loop *loop = connection->loop;
	TAILQ_INSERT_TAIL(&loop->connections, connection, link);
	loop->connections_count++;
	if (open_poll(connection) != 0 || loop->cutting)
		connection->broken = true;
	connection->arrived(connection);
}

static void on_left(uv_handle_t *handle)
{
	struct connection *connection = handle->data;
	connection->poll_open = false;
	connection->loop = connection->target;
	connection->post.run = on_arrived;
	loop_post(connection->target, &connection->post);
}

void connection_move(struct connection *connection, struct loop *target, void (*arrived)(struct connection *connection))
{
	if (connection->loop == target || !connection->poll_open) {
		arrived(connection);
		return;
	}
	connection->state = CONNECTION_MOVING;
	connection->target = target;
	connection->arrived = arrived;
	metrics_add(&connection->loop->server->metrics.moved, 1);
	leave_loop(connection);
	uv_close((uv_handle_t *)&connection->poll, on_left);
}

void connection_move_to_bulk(struct connection *connection, uint64_t bytes, void (*arrived)(struct connection *connection))
{
	struct http_server *server = connection->loop->server;
	if (connection->loop->bulk) {
		arrived(connection);
		return;
	}
	struct loop *best = &server->loops[server->control_count];
	for (unsigned i = server->control_count + 1; i < server->loops_count; i++)
		if (atomic_load_explicit(&server->loops[i].load_bytes, memory_order_relaxed) <
			atomic_load_explicit(&best->load_bytes, memory_order_relaxed))
			best = &server->loops[i];
	if (!connection->poll_open) {
		arrived(connection);
		return;
	}
	connection_move(connection, best, arrived);
	connection->load_bytes = bytes < (uint64_t)1 << 40 ? bytes + 1 : (uint64_t)64 << 20; /* unknown: a guess */
	atomic_fetch_add(&best->load_bytes, connection->load_bytes);
}

/* ---- received and not used yet ---- */

/* Room for `length` more bytes behind what is held; NULL when out of memory. */
static uint8_t *reserve(struct connection *connection, size_t length)
{
	size_t held = connection->in_end - connection->in_begin;
	if (connection->in_begin > 0) {
		memmove(connection->in, connection->in + connection->in_begin, held);
		connection->in_begin = 0;
		connection->in_end = held;
	}
	size_t capacity = connection->in_capacity ? connection->in_capacity : HEAD_BUFFER_BYTES_FIRST;
	while (capacity < held + length)
		capacity *= 2;
	if (capacity > connection->in_capacity) {
		uint8_t *grown = realloc(connection->in, capacity);
		if (!grown)
			return NULL;
		connection->in = grown;
		connection->in_capacity = capacity;
	}
	return connection->in + held;
}

int connection_keep(struct connection *connection, const uint8_t *data, size_t length)
{
	uint8_t *out = reserve(connection, length);
	if (!out)
		return ERR_NO_MEMORY;
	memcpy(out, data, length);
	connection->in_end += length;
	return 0;
}

void connection_in_taken(struct connection *connection, size_t length)
{
	connection->in_begin += length;
	assert(connection->in_begin <= connection->in_end);
	if (connection->in_begin < connection->in_end)
		return;
	free(connection->in);
	connection->in = NULL;
	connection->in_begin = connection->in_end = connection->in_capacity = 0;
}

/* ---- heads ---- */

static bool is_preflight(const struct http_request *request)
{
	return request->head.method == HTTP_OPTIONS && head_find(&request->head, "Origin").data &&
		head_find(&request->head, "Access-Control-Request-Method").data;
}

/* The head is whole or refused with `status`: somebody decides on it now. */
static void decide(struct connection *connection, int status)
{
	struct http_request *request = connection->request;
	struct http_server *server = request->server;
	request_set_id(request);
	request->in_flight = true;
	unsigned in_flight = atomic_fetch_add(&server->requests_in_flight, 1);
	if (status) {
		reply_refusal(request, status);
	} else if (is_preflight(request)) {
		reply_preflight(request);
	} else if (in_flight >= server->config.requests_in_flight_max) {
		http_add_headerf(request, "Retry-After", "%d", RETRY_AFTER_S);
		http_reply_error(request, 503, NULL, "The server is busy, try again");
	} else {
		server->config.handler(request);
	}
	connection_dispatch(connection);
}

static void wait_for_head(struct connection *connection, bool first)
{
	struct loop *loop = connection->loop;
	if (first) {
		loop_set_deadline(loop, connection, loop_now_ms(loop) + loop->server->config.head_ms_max);
		set_partial(connection, true);
	}
	connection_watch(connection, UV_READABLE);
}

/* Looks for a head in data[0, length), which is either all of connection->in or, fresh, in the loop's scratch. */
static void read_head(struct connection *connection, const uint8_t *data, size_t length, bool fresh)
{
	struct http_server *server = connection->loop->server;
	bool first = connection->scan.scanned == 0;
	int found = head_scan(&connection->scan, data, length);
	if (found == 0 && (!first || atomic_load_explicit(&server->heads_partial_count, memory_order_relaxed) < HEADS_PARTIAL_MAX)) {
		if (!fresh || connection_keep(connection, data, length) == 0)
			wait_for_head(connection, first);
		else
			connection_close(connection);
		return;
	}
	size_t taken = found > 0 ? (size_t)found : 0;
	connection->scan = (struct head_scan){ 0 };
	set_partial(connection, false);
	connection->request = request_make(connection);
	if (!connection->request) {
		connection_close(connection);
		return;
	}
	connection->state = CONNECTION_OWNED;
	loop_set_deadline(connection->loop, connection, TIMER_NEVER);
	int status = found < 0 ? -found : found == 0 ? 503 : request_read_head(connection->request, data, taken);
	if (!fresh)
		connection_in_taken(connection, taken);
	else if (status == 0 && taken < length && connection_keep(connection, data + taken, length - taken) != 0)
		status = 503;
	decide(connection, status);
}

static void note_handshake(struct connection *connection)
{
	if (!connection->tls || connection->established || !tls_established(connection->tls))
		return;
	connection->established = true;
	loop_set_deadline(connection->loop, connection, loop_now_ms(connection->loop) + connection->loop->server->config.idle_ms_max);
}

static void head_readable(struct connection *connection)
{
	size_t held = connection->in_end - connection->in_begin;
	if (held > connection->scan.scanned) { /* pipelined behind the last request */
		read_head(connection, connection->in + connection->in_begin, held, false);
		return;
	}
	uint8_t *out = connection->loop->scratch;
	size_t room = LOOP_RECV_CONTROL_BYTES;
	if (held > 0) {
		room = HTTP_HEAD_BYTES_MAX - held < HEAD_BUFFER_BYTES_FIRST ? HTTP_HEAD_BYTES_MAX - held : HEAD_BUFFER_BYTES_FIRST;
		out = reserve(connection, room);
	}
	int64_t received = out ? transport_recv(connection, out, room) : ERR_CLOSED;
	if (received == ERR_AGAIN) {
		note_handshake(connection);
		connection_watch(connection, UV_READABLE);
	} else if (received <= 0) {
		connection_failed(connection);
	} else if (held > 0) {
		connection->in_end += (size_t)received;
		read_head(connection, connection->in + connection->in_begin, held + (size_t)received, false);
	} else {
		connection->established = true;
		read_head(connection, out, (size_t)received, true);
	}
}

/* ---- between two requests ---- */

static void connection_next(struct connection *connection)
{
	struct loop *loop = connection->loop;
	connection->state = CONNECTION_HEAD;
	bool more = connection->in_end > connection->in_begin;
	if (connection->broken || loop->cutting || (loop->draining && !more)) {
		connection_close(connection);
		return;
	}
	loop_set_deadline(loop, connection, loop_now_ms(loop) + loop->server->config.idle_ms_max);
	if (more)
		loop_make_ready(loop, connection);
	connection_watch(connection, UV_READABLE);
}

static void drop_request(struct connection *connection)
{
	struct http_request *request = connection->request;
	connection->request = NULL;
	request_free(request, connection->loop);
}

static bool has_unread_bytes(const struct connection *connection)
{
	int unread = 0;
	return ioctl(connection->fd, FIONREAD, &unread) == 0 && unread > 0;
}

/* `discard_bytes` 0: nothing more is expected of the client. */
static void linger(struct connection *connection, size_t discard_bytes)
{
	transport_shutdown(connection);
	if (discard_bytes == 0 && connection->loop->draining && !has_unread_bytes(connection)) {
		connection_close(connection); /* a stopping server does not wait for clients to hang up */
		return;
	}
	connection->state = CONNECTION_LINGER;
	connection->discard_left = discard_bytes ? discard_bytes : LINGER_BYTES_MAX;
	loop_set_deadline(connection->loop, connection, loop_now_ms(connection->loop) + LINGER_MS_MAX);
	connection_watch(connection, UV_READABLE);
}

/* The rest of the body counts against discard_left; what of it came with the head is here already. */
static void drain(struct connection *connection)
{
	struct loop *loop = connection->loop;
	connection->state = CONNECTION_DRAIN;
	connection->discard_left = DRAIN_BYTES_MAX;
	loop_set_deadline(loop, connection, loop_now_ms(loop) + DRAIN_MS_MAX);
	size_t consumed = 0, held = connection->in_end - connection->in_begin;
	bool sound = held == 0 || body_skip(connection->request, connection->in + connection->in_begin, held, &consumed);
	if (held > 0)
		connection_in_taken(connection, consumed);
	if (!sound) {
		drop_request(connection);
		connection_close(connection);
	} else if (connection->request->body.complete) {
		drop_request(connection);
		connection_move(connection, connection->home, connection_next);
	} else {
		connection_watch(connection, UV_READABLE);
	}
}

static void drain_readable(struct connection *connection)
{
	struct loop *loop = connection->loop;
	struct body *body = &connection->request->body;
	size_t room = body->left < loop->scratch_bytes && !connection->request->head.chunked ? (size_t)body->left : loop->scratch_bytes;
	int64_t received = transport_recv(connection, loop->scratch, room);
	if (received == ERR_AGAIN) {
		connection_watch(connection, UV_READABLE);
		return;
	}
	size_t consumed = 0;
	if (received <= 0 || (size_t)received > connection->discard_left ||
		!body_skip(connection->request, loop->scratch, (size_t)received, &consumed) || consumed < (size_t)received) {
		connection_failed(connection);
		return;
	}
	connection->discard_left -= (size_t)received;
	if (!body->complete) {
		connection_watch(connection, UV_READABLE);
		return;
	}
	drop_request(connection);
	connection_move(connection, connection->home, connection_next);
}

/* Our answer is on its way and our side is shut: read until the client is done too, but not for ever. */
static void linger_readable(struct connection *connection)
{
	struct loop *loop = connection->loop;
	ssize_t received = recv(connection->fd, loop->scratch, loop->scratch_bytes, 0);
	if (received < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (received <= 0 || (size_t)received >= connection->discard_left) {
		connection->broken = true; /* no goodbye: it was said */
		connection_close(connection);
		return;
	}
	connection->discard_left -= (size_t)received;
}

static void account(struct connection *connection)
{
	struct http_request *request = connection->request;
	struct http_server *server = request->server;
	uint64_t took_us = uv_hrtime() / 1000 - request->started_us;
	int status = connection->broken ? 0 : request->answer.status;
	uint64_t bytes_in = request->head_bytes + request->body.received;
	metrics_count_request(&server->metrics, request->route, status, took_us);
	metrics_add(&server->metrics.bytes_in, bytes_in);
	metrics_add(&server->metrics.bytes_out, request->answer.sent_bytes);
	if (server->log)
		access_log_write(server->log, &(struct log_line){ .request_id = request->id, .actor = request->actor,
			.peer = connection->peer, .method = request_method_name(request), .path = request->head.path, .status = status,
			.bytes_in = bytes_in, .bytes_out = request->answer.sent_bytes, .microseconds = took_us });
	connection->answered_count++;
}

void connection_request_done(struct connection *connection)
{
	struct http_request *request = connection->request;
	account(connection);
	bool close = request->answer.close, unread = !request->body.complete;
	bool unsent = request->body.continue_pending; /* the client holds its body back */
	if (!close && unread && !connection->broken) {
		drain(connection);
		return;
	}
	drop_request(connection);
	if (connection->broken)
		connection_close(connection);
	else if (close)
		linger(connection, !unread ? 0 : unsent ? LINGER_BYTES_MAX : DRAIN_BYTES_MAX);
	else
		connection_move(connection, connection->home, connection_next);
}

/* ---- events ---- */

void connection_failed(struct connection *connection)
{
	connection->broken = true;
	switch (connection->state) {
	case CONNECTION_OWNED:
		connection_watch(connection, 0);
		break;
	case CONNECTION_BODY:
		body_failed(connection);
		break;
	case CONNECTION_ANSWER:
		send_failed(connection);
		break;
	case CONNECTION_HEAD:
	case CONNECTION_DRAIN:
	case CONNECTION_LINGER:
		if (connection->request)
			drop_request(connection);
		connection_close(connection);
		break;
	case CONNECTION_MOVING:
	case CONNECTION_CLOSED:
		break;
	}
}

void connection_event(struct connection *connection, int events)
{
	if (connection->tls && (events & UV_WRITABLE) && connection->state != CONNECTION_LINGER) {
		if (transport_flush(connection) == ERR_CLOSED) {
			connection_failed(connection);
			return;
		}
		if (connection->state != CONNECTION_ANSWER && !tls_has_unsent(connection->tls))
			connection_watch(connection, connection->watched & UV_READABLE);
	}
	switch (connection->state) {
	case CONNECTION_HEAD:
		if (events & UV_READABLE)
			head_readable(connection);
		break;
	case CONNECTION_OWNED:
		connection_watch(connection, 0);
		break;
	case CONNECTION_BODY:
		if (events & UV_READABLE)
			body_readable(connection);
		break;
	case CONNECTION_ANSWER:
		if (events & UV_WRITABLE)
			send_writable(connection);
		else
			connection_watch(connection, connection->watched & ~UV_READABLE);
		break;
	case CONNECTION_DRAIN:
		if (events & UV_READABLE)
			drain_readable(connection);
		break;
	case CONNECTION_LINGER:
		linger_readable(connection);
		break;
	case CONNECTION_MOVING:
	case CONNECTION_CLOSED:
		break;
	}
}

void connection_dispatch(struct connection *connection)
{
	struct http_request *request = connection->request;
	enum step step = request->step;
	assert(step != STEP_NONE); /* a handler must not return without having decided */
	request->step = STEP_NONE;
	connection->state = CONNECTION_OWNED;
	switch (step) {
	case STEP_REPLY:
		send_start(connection);
		break;
	case STEP_COLLECT:
	case STEP_SINK:
		body_start(connection);
		break;
	case STEP_WORK:
		if (request_work_begin(request))
			break;
		http_add_headerf(request, "Retry-After", "%d", RETRY_AFTER_S);
		http_reply_error(request, 503, NULL, "The server is busy, try again");
		connection_dispatch(connection);
		break;
	case STEP_NONE:
		break;
	}
}

/* ---- deadlines ---- */

void connection_rate_begin(struct connection *connection)
{
	struct loop *loop = connection->loop;
	connection->in_grace = true;
	connection->window_bytes = 0;
	loop_set_deadline(loop, connection, loop_now_ms(loop) + loop->server->config.stall_ms_max);
}

/* Our own slowness is not the client's: bytes that wait in the kernel for us excuse it. */
static bool waits_for_peer(const struct connection *connection)
{
	if (connection->state == CONNECTION_ANSWER)
		return send_waits_for_peer(connection);
	return !has_unread_bytes(connection);
}

static void judge_rate(struct connection *connection)
{
	struct loop *loop = connection->loop;
	uint64_t window_ms = loop->server->config.stall_ms_max;
	if (connection->is_waiting) {
		body_waited_too_long(connection);
		return;
	}
	if (!connection->in_grace && connection->window_bytes < RATE_BYTES_PER_S_MIN * window_ms / 1000 && waits_for_peer(connection)) {
		metrics_add(&loop->server->metrics.timed_out, 1);
		connection_failed(connection);
		return;
	}
	connection->in_grace = false;
	connection->window_bytes = 0;
	loop_set_deadline(loop, connection, loop_now_ms(loop) + window_ms);
}

static void head_expired(struct connection *connection)
{
	bool partial = connection->scan.scanned > 0 || (connection->tls && !connection->established);
	if (partial)
		metrics_add(&connection->loop->server->metrics.timed_out, 1);
	connection_close(connection);
}

void connection_expired(struct connection *connection)
{
	switch (connection->state) {
	case CONNECTION_HEAD:
		head_expired(connection);
		break;
	case CONNECTION_BODY:
	case CONNECTION_ANSWER:
		judge_rate(connection);
		break;
	case CONNECTION_DRAIN:
	case CONNECTION_LINGER:
		connection_failed(connection);
		break;
	case CONNECTION_OWNED:
	case CONNECTION_MOVING:
	case CONNECTION_CLOSED:
		break;
	}
}

/* ---- stopping ---- */

void connection_drain(struct connection *connection)
{
	if (connection->state != CONNECTION_HEAD)
		return;
	uint64_t answered = connection->answered_count;
	if (connection->scan.scanned == 0)
		head_readable(connection); /* a request may be here that the loop has not been told of */
	bool idle = connection->state == CONNECTION_HEAD && connection->scan.scanned == 0 && connection->answered_count == answered;
	if (!idle || (connection->tls && !connection->established))
		return;
	if (answered > 0)
		connection_close(connection);
	else
		loop_set_deadline(connection->loop, connection, loop_now_ms(connection->loop) + LINGER_MS_MAX);
}

void connection_cut(struct connection *connection)
{
	connection_failed(connection);
}
