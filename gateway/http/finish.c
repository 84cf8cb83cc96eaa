/* finish.c - the end of a request, and what becomes of its connection: the next head, the rest of a body that nobody wanted, or a goodbye that
 * does not destroy the answer. */
#include "gateway/http/access_log.h"
#include "gateway/http/request.h"
#include "gateway/http/server.h"
#include "gateway/http/transport.h"

#include <errno.h>
#include <sys/socket.h>

void connection_drop_request(struct connection *connection)
{
	struct http_request *request = connection->request;
	connection->request = NULL;
	request_free(request, connection->loop);
}

/* `discard_bytes` 0: nothing more is expected of the client. */
static void linger(struct connection *connection, size_t discard_bytes)
{
	transport_shutdown(connection);
	if (discard_bytes == 0 && connection->loop->draining && !connection_has_unread_bytes(connection)) {
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
		connection_drop_request(connection);
		connection_close(connection);
	} else if (connection->request->body.complete) {
		connection_drop_request(connection);
		connection_move(connection, connection->home, head_next);
	} else {
		connection_watch(connection, UV_READABLE);
	}
}

void drain_readable(struct connection *connection)
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
	connection_drop_request(connection);
	connection_move(connection, connection->home, head_next);
}

/* Our answer is on its way and our side is shut: read until the client is done too, but not for ever. */
void linger_readable(struct connection *connection)
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
	if (server->config.answered)
		server->config.answered(server->config.user_data, &(struct http_answered){ .request_id = request->id, .actor = request->actor,
			.peer = connection->peer, .method = request_method_name(request), .route = request->route, .path = request->head.path,
			.status = status });
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
	connection_drop_request(connection);
	if (connection->broken)
		connection_close(connection);
	else if (close)
		linger(connection, !unread ? 0 : unsent ? LINGER_BYTES_MAX : DRAIN_BYTES_MAX);
	else
		connection_move(connection, connection->home, head_next);
}
