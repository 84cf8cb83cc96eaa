/* head.c - receives heads, and has somebody decide on the request that each begins.
 *
 * A head that comes whole, as nearly all do, is parsed where it was received and copied once, into the memory of its request. Only a part of one
 * makes the connection own a buffer. */
#include "gateway/http/request.h"
#include "gateway/http/server.h"
#include "gateway/http/tls.h"
#include "gateway/http/transport.h"

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
		connection_set_partial(connection, true);
	}
	connection_watch(connection, UV_READABLE);
}

/* False: closed, for want of memory. */
static bool begin_request(struct connection *connection)
{
	connection->scan = (struct head_scan){ 0 };
	connection_set_partial(connection, false);
	connection->request = request_make(connection);
	if (!connection->request) {
		connection_close(connection);
		return false;
	}
	connection->state = CONNECTION_OWNED;
	loop_set_deadline(connection->loop, connection, TIMER_NEVER);
	return true;
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
	if (!begin_request(connection))
		return;
	int status = found < 0 ? -found : found == 0 ? 503 : request_read_head(connection->request, data, taken);
	if (!fresh)
		connection_in_taken(connection, taken);
	else if (status == 0 && taken < length && connection_keep(connection, data + taken, length - taken) != 0)
		status = 503;
	decide(connection, status);
}

void head_expired(struct connection *connection)
{
	bool began = connection->scan.scanned > 0;
	if (began || (connection->tls && !connection->established))
		metrics_add(&connection->loop->server->metrics.timed_out, 1);
	if (!began)
		connection_close(connection);
	else if (begin_request(connection))
		decide(connection, 408);
}

static void note_handshake(struct connection *connection)
{
	if (!connection->tls || connection->established || !tls_established(connection->tls))
		return;
	connection->established = true;
	loop_set_deadline(connection->loop, connection, loop_now_ms(connection->loop) + connection->loop->server->config.idle_ms_max);
}

void head_readable(struct connection *connection)
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
		out = connection_reserve(connection, room);
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

void head_next(struct connection *connection)
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
