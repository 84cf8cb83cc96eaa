/* body.c - receives request bodies: gathered in memory, streamed to a sink, or thrown away.
 *
 * DESIGN. A small gathered body is received where its head was, on the control loop. Everything else moves to a bulk loop first. A sink's bytes are
 * received into memory of its own, or the loop's one large buffer, and used up before the next event; a gathered body's straight into the memory that the handler will
 * see. That memory is charged, as bytes arrive, to one budget of the whole server: a connection that finds it used up stops reading, and TCP
 * slows its client down. */
#include "gateway/http/request.h"
#include "gateway/http/server.h"
#include "gateway/http/transport.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
	COLLECT_STEP_BYTES = 64 << 10,
	COLLECT_CAPACITY_FIRST = 16 << 10,
	COLLECT_WAIT_MS_MAX = 30000,
	PEER_DONE = -1000, /* no ERR_*: its side of the connection is shut */
	PEER_GONE = -1001,
};

static void body_go_on(struct connection *connection);

static bool is_sink(const struct body *body)
{
	return body->sink.end != NULL;
}

/* ---- memory for gathered bodies ---- */

/* True when `length` bytes may be held in all; else the connection waits its turn. When the budget is used up by bodies that are all incomplete, one
 * of them at a time may go beyond it, so that it ends and gives back what it holds: they never wait for each other. */
static bool charge(struct http_request *request, size_t length)
{
	struct http_server *server = request->server;
	struct body *body = &request->body;
	if (length <= body->charged)
		return true;
	uint64_t more = length - body->charged;
	uint64_t before = atomic_fetch_add(&server->collect_bytes, more);
	struct http_request *holder = NULL;
	if (before + more > COLLECT_MEMORY_BYTES_MAX &&
		!atomic_compare_exchange_strong(&server->overdraft, &holder, request) && holder != request) {
		atomic_fetch_sub(&server->collect_bytes, more);
		return false;
	}
	body->charged = length;
	return true;
}

void body_release(struct http_request *request)
{
	struct http_server *server = request->server;
	struct body *body = &request->body;
	free(body->data);
	body->data = NULL;
	if (body->charged == 0)
		return;
	struct http_request *holder = request;
	atomic_compare_exchange_strong(&server->overdraft, &holder, NULL);
	atomic_fetch_sub(&server->collect_bytes, body->charged);
	body->charged = 0;
	server_memory_released(server);
}

/* Not for ever: whoever holds the memory may be slow. */
static void wait_for_memory(struct connection *connection)
{
	struct loop *loop = connection->loop;
	struct http_server *server = loop->server;
	connection_watch(connection, 0);
	if (!connection->is_waiting) {
		connection->is_waiting = true;
		TAILQ_INSERT_TAIL(&loop->waiting, connection, waiting_link);
		atomic_fetch_add(&server->memory_waiters, 1);
	}
	loop_set_deadline(loop, connection, loop_now_ms(loop) + COLLECT_WAIT_MS_MAX);
	/* What was released before we counted as waiting would wake nobody. */
	if (!atomic_load(&server->overdraft) || atomic_load(&server->collect_bytes) + 2 * COLLECT_STEP_BYTES <= COLLECT_MEMORY_BYTES_MAX)
		server_memory_released(server);
}

/* Some of the waiting will wait again; each is tried once. */
void body_memory_available(struct loop *loop)
{
	struct connection_list now = TAILQ_HEAD_INITIALIZER(now);
	TAILQ_CONCAT(&now, &loop->waiting, waiting_link);
	struct connection *connection;
	TAILQ_FOREACH(connection, &now, waiting_link) {
		connection->is_waiting = false;
		atomic_fetch_sub(&loop->server->memory_waiters, 1);
	}
	while ((connection = TAILQ_FIRST(&now))) {
		TAILQ_REMOVE(&now, connection, waiting_link);
		body_go_on(connection);
	}
}

/* Room for `more` bytes behind what was received; false when memory is out. A large block is mapped, so that room that is not used yet costs
 * nothing and growing moves no bytes. */
static bool make_room(struct http_request *request, size_t more)
{
	struct body *body = &request->body;
	size_t needed = (size_t)body->received + more;
	if (needed <= body->capacity)
		return true;
	size_t capacity = body->capacity ? body->capacity : COLLECT_CAPACITY_FIRST;
	if (!request->head.chunked)
		capacity = (size_t)request->head.content_length;
	while (capacity < needed)
		capacity *= 2;
	uint8_t *grown = realloc(body->data, capacity);
	if (!grown)
		return false;
	body->data = grown;
	body->capacity = capacity;
	return true;
}

/* ---- the end of it ---- */

static void run_collected(struct job *job)
{
	struct http_request *request = (struct http_request *)((char *)job - offsetof(struct http_request, job));
	request->body.collected(request, span_of(request->body.data, (size_t)request->body.received), request->body.context);
}

static void run_end(struct job *job)
{
	struct http_request *request = (struct http_request *)((char *)job - offsetof(struct http_request, job));
	request->body.sink.end(request, request->body.err, request->body.context);
}

static void lend(struct connection *connection, void (*run)(struct job *job))
{
	struct http_request *request = connection->request;
	connection->state = CONNECTION_OWNED;
	loop_set_deadline(connection->loop, connection, TIMER_NEVER);
	request->on_loop = false;
	request->admitted = true;
	request->job.run = run;
	worker_submit(request->server->workers, &request->job);
}

static void end_sink(struct connection *connection, int err)
{
	connection->request->body.err = err;
	lend(connection, run_end);
}

static void refuse(struct connection *connection, int status, const char *text)
{
	connection->state = CONNECTION_OWNED;
	loop_set_deadline(connection->loop, connection, TIMER_NEVER);
	http_reply_error(connection->request, status, NULL, text);
	connection_dispatch(connection);
}

/* The body breaks a rule: err is what a sink is told, or ERR_INVALID for framing. */
static void body_refused(struct connection *connection, int err)
{
	struct http_request *request = connection->request;
	request->head.keep_alive &= err != ERR_INVALID;
	if (is_sink(&request->body))
		end_sink(connection, err);
	else if (err == ERR_TOO_BIG)
		refuse(connection, 413, "The request body is too large");
	else if (err == ERR_NO_MEMORY || err == ERR_BUSY)
		refuse(connection, 503, "The server is out of memory for request bodies, try again");
	else
		refuse(connection, 400, "The request body is malformed");
}

void body_waited_too_long(struct connection *connection)
{
	connection_stop_waiting(connection);
	body_refused(connection, ERR_BUSY);
}

void body_failed(struct connection *connection)
{
	connection->broken = true;
	connection_watch(connection, 0);
	connection_stop_waiting(connection);
	if (is_sink(&connection->request->body))
		end_sink(connection, ERR_CLOSED);
	else
		connection_request_done(connection);
}

/* No more of the body will be read, but the client may still listen. */
static void cut(struct connection *connection, int status)
{
	struct http_request *request = connection->request;
	connection_watch(connection, 0);
	request->head.keep_alive = false;
	request->body.cut_status = status;
	if (is_sink(&request->body)) {
		end_sink(connection, ERR_CLOSED);
		return;
	}
	connection->state = CONNECTION_OWNED;
	loop_set_deadline(connection->loop, connection, TIMER_NEVER);
	reply_cut(request);
	connection_dispatch(connection);
}

void body_too_slow(struct connection *connection)
{
	cut(connection, 408);
}

static void body_complete(struct connection *connection)
{
	if (is_sink(&connection->request->body))
		end_sink(connection, 0);
	else
		lend(connection, run_collected);
}

/* ---- bytes ---- */

/* Body bytes without framing, in place for a gathered body already or not. 0 or what refuses it. */
static int deliver(struct http_request *request, const uint8_t *data, size_t length)
{
	struct body *body = &request->body;
	if (length == 0)
		return 0;
	if (length > body->limit - body->received)
		return ERR_TOO_BIG;
	if (is_sink(body)) {
		body->received += length;
		return body->sink.write(request, data, length, body->context);
	}
	if (data != body->data + body->received || !body->data) {
		if (!make_room(request, length))
			return ERR_NO_MEMORY;
		memcpy(body->data + body->received, data, length);
	}
	body->received += length;
	return 0;
}

/* Strips the framing from data[0, length). Returns 0 or ERR_INVALID. */
static int unframe(struct http_request *request, uint8_t *data, size_t length, size_t *consumed, size_t *produced)
{
	struct body *body = &request->body;
	if (request->head.chunked) {
		if (chunk_decode(&body->decoder, data, length, consumed, produced) != 0)
			return ERR_INVALID;
		body->complete = body->decoder.done;
		return 0;
	}
	*consumed = *produced = length < body->left ? length : (size_t)body->left;
	body->left -= *consumed;
	body->complete = body->left == 0;
	return 0;
}

bool body_skip(struct http_request *request, uint8_t *data, size_t length, size_t *consumed)
{
	size_t produced;
	return unframe(request, data, length, consumed, &produced) == 0;
}

static int feed(struct http_request *request, uint8_t *data, size_t length, size_t *consumed)
{
	size_t produced = 0;
	int err = unframe(request, data, length, consumed, &produced);
	return err ? err : deliver(request, data, produced);
}

/* What came with the head. */
static int feed_held(struct connection *connection)
{
	size_t held = connection->in_end - connection->in_begin, consumed = 0;
	if (held == 0 || connection->request->body.complete)
		return 0;
	int err = feed(connection->request, connection->in + connection->in_begin, held, &consumed);
	connection_in_taken(connection, consumed);
	return err;
}

/* Where to receive the next bytes to, and how many; 0: the memory budget is used up. */
static size_t choose_room(struct connection *connection, uint8_t **out)
{
	struct http_request *request = connection->request;
	struct loop *loop = connection->loop;
	struct body *body = &request->body;
	size_t room = loop->scratch_bytes;
	*out = loop->scratch;
	if (!request->head.chunked && room > body->left)
		room = (size_t)body->left;
	if (is_sink(body)) {
		uint8_t *own = body->sink.room && !request->head.chunked ? body->sink.room(request, &room, body->context) : NULL;
		*out = own ? own : *out;
		return room;
	}
	if (room > COLLECT_STEP_BYTES)
		room = COLLECT_STEP_BYTES;
	if (!charge(request, (size_t)body->received + room))
		return 0;
	if (!request->head.chunked && make_room(request, room))
		*out = body->data + body->received;
	return room;
}

/* Bytes received, 0: none for now, PEER_*, or what refuses the body. */
static int64_t receive_some(struct connection *connection)
{
	struct http_request *request = connection->request;
	uint8_t *out;
	size_t room = choose_room(connection, &out), consumed = 0;
	if (room == 0) {
		wait_for_memory(connection);
		return 0;
	}
	int64_t received = transport_recv(connection, out, room);
	if (received == ERR_AGAIN) {
		connection_watch(connection, UV_READABLE);
		return 0;
	}
	if (received <= 0)
		return received == 0 ? PEER_DONE : PEER_GONE;
	connection_rate_count(connection, (size_t)received);
	int err = feed(request, out, (size_t)received, &consumed);
	size_t behind = (size_t)received - consumed;
	if (behind > 0 && (err || behind > LEFTOVER_BYTES_MAX || connection_keep(connection, out + consumed, behind) != 0))
		request->head.keep_alive = false; /* pipelined bytes are dropped, so the connection has to go too */
	return err ? err : received;
}

void body_readable(struct connection *connection)
{
	int64_t received = receive_some(connection);
	if (received == 0)
		return;
	if (received == PEER_GONE)
		connection_failed(connection);
	else if (received == PEER_DONE)
		cut(connection, 400);
	else if (received < 0)
		body_refused(connection, (int)received);
	else if (connection->request->body.complete)
		body_complete(connection);
	else
		connection_watch(connection, UV_READABLE);
}

/* ---- the beginning ---- */

static int send_continue(struct connection *connection)
{
	static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct iovec part = { text, sizeof(text) - 1 };
	connection->request->body.continue_pending = false;
	/* An empty socket always takes 25 bytes. */
	return transport_send(connection, &part, 1, false) == (int64_t)part.iov_len && transport_flush(connection) != ERR_CLOSED ? 0 : ERR_CLOSED;
}

static void body_go_on(struct connection *connection)
{
	struct body *body = &connection->request->body;
	connection->state = CONNECTION_BODY;
	if (connection->broken || connection->loop->cutting) {
		body_failed(connection);
		return;
	}
	if (!is_sink(body) && !charge(connection->request, (size_t)body->received + connection->in_end - connection->in_begin)) {
		wait_for_memory(connection);
		return;
	}
	int err = feed_held(connection);
	if (err) {
		body_refused(connection, err);
	} else if (body->complete) {
		body_complete(connection);
	} else if (body->continue_pending && send_continue(connection) != 0) {
		connection_failed(connection);
	} else {
		connection_rate_begin(connection);
		connection_watch(connection, UV_READABLE);
	}
}

void body_start(struct connection *connection)
{
	struct http_request *request = connection->request;
	struct body *body = &request->body;
	uint64_t announced = http_body_length(request);
	if (connection->broken) {
		body_failed(connection);
		return;
	}
	if (announced != UINT64_MAX && announced > body->limit) {
		body_refused(connection, ERR_TOO_BIG);
		return;
	}
	bool small = !is_sink(body) && announced <= COLLECT_ON_CONTROL_BYTES_MAX;
	if (small || body->complete)
		body_go_on(connection);
	else
		connection_move_to_bulk(connection, announced, body_go_on);
}
