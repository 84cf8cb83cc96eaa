#include "gateway/http/connection.h"

#include "gateway/http/request.h"
#include "gateway/http/server.h"
#include "gateway/http/tls.h"
#include "gateway/http/transport.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

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

void connection_set_partial(struct connection *connection, bool partial)
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
	connection_set_partial(connection, false);
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

uint8_t *connection_reserve(struct connection *connection, size_t length)
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
	uint8_t *out = connection_reserve(connection, length);
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
			connection_drop_request(connection);
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
	case STEP_PAUSE:
		request->on_loop = false; /* whoever resumes it owns it now */
		request->work(request, request->work_context);
		break;
	case STEP_RESUME:
		request->work(request, request->work_context);
		connection_dispatch(connection);
		break;
	case STEP_NONE:
		break;
	}
}

/* ---- deadlines ---- */

bool connection_has_unread_bytes(const struct connection *connection)
{
	int unread = 0;
	return ioctl(connection->fd, FIONREAD, &unread) == 0 && unread > 0;
}

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
	return !connection_has_unread_bytes(connection);
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
		if (connection->state == CONNECTION_BODY)
			body_too_slow(connection);
		else
			connection_failed(connection);
		return;
	}
	connection->in_grace = false;
	connection->window_bytes = 0;
	loop_set_deadline(loop, connection, loop_now_ms(loop) + window_ms);
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
