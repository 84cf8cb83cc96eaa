/* send.c - sends answers: the head with a small body in one call, large ones as the socket drains.
 *
 * DESIGN. A source is pulled, never pushed: only when the socket has taken what was pulled before is the next piece asked for. In plain text the
 * source may name file extents, which go out without being touched. A source that would wait for its disk is read by a worker, and
 * the loop turns to others meanwhile. Of one turn of the loop an answer gets TURN_BYTES at most. */
#include "gateway/http/request.h"
#include "gateway/http/server.h"
#include "gateway/http/transport.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>

enum {
	SENDFILE_BYTES_MAX = 1 << 20,
	TURN_BYTES = 4 << 20,
	SOURCE_BUFFER_BYTES = 256 << 10,
	SOURCE_BUFFER_SMALL_BYTES = 16 << 10, /* when all of them together hold too much */
	CHUNK_HEAD_BYTES = 10,                /* eight digits, CRLF */
	CHUNK_ROOM_BYTES = CHUNK_HEAD_BYTES + 2,
};

/* What a piece of sending came to. */
enum progress {
	PROGRESS_MORE,    /* done with it, go on */
	PROGRESS_BLOCKED, /* the socket is full */
	PROGRESS_READING, /* a worker reads */
	PROGRESS_DONE,
	PROGRESS_DEAD,
};

static void send_on(struct connection *connection);

static enum progress after_send(struct connection *connection, int64_t sent)
{
	if (sent == ERR_AGAIN)
		return PROGRESS_BLOCKED;
	if (sent <= 0)
		return PROGRESS_DEAD;
	connection->request->answer.sent_bytes += (uint64_t)sent;
	connection_rate_count(connection, (size_t)sent);
	return PROGRESS_MORE;
}

static enum progress send_parts(struct connection *connection)
{
	struct answer *answer = &connection->request->answer;
	struct iovec *parts = answer->parts;
	while (parts[0].iov_len + parts[1].iov_len > 0) {
		int first = parts[0].iov_len == 0, count = parts[1].iov_len == 0 ? 1 : 2 - first;
		int64_t sent = transport_send(connection, parts + first, count, answer->source.read && answer->source_left > 0);
		enum progress progress = after_send(connection, sent);
		if (progress != PROGRESS_MORE)
			return progress;
		for (int i = 0; i < 2; i++) {
			size_t taken = (size_t)sent < parts[i].iov_len ? (size_t)sent : parts[i].iov_len;
			parts[i].iov_base = (char *)parts[i].iov_base + taken;
			parts[i].iov_len -= taken;
			sent -= (int64_t)taken;
		}
		if (parts[0].iov_len + parts[1].iov_len > 0 && !connection->tls)
			return PROGRESS_BLOCKED; /* a short send: the socket is full */
	}
	return PROGRESS_MORE;
}

/* ---- extents ---- */

static bool next_extent(struct connection *connection)
{
	struct answer *answer = &connection->request->answer;
	if (connection->tls || !answer->source.extent || answer->source_left == UINT64_MAX)
		return false;
	uint64_t offset;
	size_t length, want = answer->source_left < SIZE_MAX / 2 ? (size_t)answer->source_left : SIZE_MAX / 2;
	int fd;
	if (answer->source.extent(answer->source.context, want, &fd, &offset, &length) != 0 || length == 0)
		return false;
	assert(length <= want);
	answer->extent_fd = fd;
	answer->extent_offset = offset;
	answer->extent_left = length;
	answer->source_left -= length;
	return true;
}

/* One extent by itself. */
static enum progress send_extent(struct connection *connection)
{
	struct answer *answer = &connection->request->answer;
	size_t want = answer->extent_left < SENDFILE_BYTES_MAX ? answer->extent_left : SENDFILE_BYTES_MAX;
	off_t offset = (off_t)answer->extent_offset;
	ssize_t sent = sendfile(connection->fd, answer->extent_fd, &offset, want);
	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return PROGRESS_BLOCKED;
	enum progress progress = after_send(connection, sent);
	if (progress != PROGRESS_MORE)
		return progress;
	answer->extent_offset += (uint64_t)sent;
	answer->extent_left -= (size_t)sent;
	return (size_t)sent < want ? PROGRESS_BLOCKED : PROGRESS_MORE;
}

/* As many as the pipe holds. */
static enum progress send_extents(struct connection *connection)
{
	struct answer *answer = &connection->request->answer;
	while (answer->extent_left > 0 || next_extent(connection)) {
		int64_t taken = pipe_fill(answer->pipe, answer->extent_fd, answer->extent_offset, answer->extent_left);
		if (taken == ERR_AGAIN)
			break;
		if (taken <= 0)
			return PROGRESS_DEAD;
		answer->extent_offset += (uint64_t)taken;
		answer->extent_left -= (size_t)taken;
	}
	int64_t sent = pipe_drain(answer->pipe, connection->fd, answer->extent_left > 0 || answer->source_left > 0);
	enum progress progress = after_send(connection, sent);
	return progress == PROGRESS_MORE && answer->pipe->bytes > 0 ? PROGRESS_BLOCKED : progress;
}

/* ---- reading ---- */

static bool make_buffer(struct http_request *request)
{
	struct answer *answer = &request->answer;
	if (answer->buffer)
		return true;
	uint64_t held = atomic_load(&request->server->source_bytes);
	size_t bytes = held < SOURCE_MEMORY_BYTES_MAX ? SOURCE_BUFFER_BYTES : SOURCE_BUFFER_SMALL_BYTES;
	if (answer->source_left < bytes - CHUNK_ROOM_BYTES)
		bytes = (size_t)answer->source_left + CHUNK_ROOM_BYTES;
	answer->buffer = malloc(bytes);
	if (!answer->buffer)
		return false;
	answer->buffer_bytes = bytes;
	atomic_fetch_add(&request->server->source_bytes, bytes);
	return true;
}

static size_t read_room(const struct answer *answer)
{
	size_t room = answer->buffer_bytes - CHUNK_ROOM_BYTES;
	return answer->source_left < room ? (size_t)answer->source_left : room;
}

static int64_t read_source(struct answer *answer, bool may_block)
{
	return answer->source.read(answer->source.context, answer->buffer + CHUNK_HEAD_BYTES, read_room(answer), may_block);
}

/* Frames what was read, or the end of it. */
static enum progress take_read(struct answer *answer, int64_t length)
{
	bool known = answer->source_left != UINT64_MAX;
	if (length < 0 || (length == 0 && known))
		return PROGRESS_DEAD; /* less than was announced: only a cut connection says so */
	assert((size_t)length <= read_room(answer));
	answer->ended = length == 0;
	if (known)
		answer->source_left -= (uint64_t)length;
	answer->buffer_begin = CHUNK_HEAD_BYTES;
	answer->buffer_end = CHUNK_HEAD_BYTES + (size_t)length;
	if (!answer->chunked)
		return PROGRESS_MORE;
	char head[CHUNK_HEAD_BYTES + 1];
	size_t head_length = (size_t)snprintf(head, sizeof(head), "%llx\r\n", (unsigned long long)length);
	answer->buffer_begin -= head_length;
	memcpy(answer->buffer + answer->buffer_begin, head, head_length);
	memcpy(answer->buffer + answer->buffer_end, "\r\n", 2);
	answer->buffer_end += 2;
	return PROGRESS_MORE;
}

static void on_read(struct post *post)
{
	struct connection *connection = (struct connection *)((char *)post - offsetof(struct connection, post));
	struct answer *answer = &connection->request->answer;
	answer->reading = false;
	bool nothing_yet = answer->read_result == ERR_AGAIN; /* others had their turn of the worker meanwhile: ask again */
	if (connection->broken || (!nothing_yet && take_read(answer, answer->read_result) == PROGRESS_DEAD)) {
		send_failed(connection);
		return;
	}
	connection_rate_begin(connection); /* the time at the disk was not the client's */
	send_on(connection);
}

static void run_read(struct job *job)
{
	struct http_request *request = (struct http_request *)((char *)job - offsetof(struct http_request, job));
	struct connection *connection = request->connection;
	request->answer.read_result = read_source(&request->answer, true);
	connection->post.run = on_read;
	loop_post(connection->loop, &connection->post);
}

static enum progress pull(struct connection *connection)
{
	struct http_request *request = connection->request;
	struct answer *answer = &request->answer;
	if (!make_buffer(request))
		return PROGRESS_DEAD;
	int64_t length = read_source(answer, false);
	if (length != ERR_AGAIN)
		return take_read(answer, length);
	answer->reading = true;
	request->job.run = run_read;
	worker_submit(request->server->workers, &request->job);
	return PROGRESS_READING;
}

static enum progress send_buffer(struct connection *connection)
{
	struct answer *answer = &connection->request->answer;
	struct iovec part = { answer->buffer + answer->buffer_begin, answer->buffer_end - answer->buffer_begin };
	int64_t sent = transport_send(connection, &part, 1, false);
	enum progress progress = after_send(connection, sent);
	if (progress != PROGRESS_MORE)
		return progress;
	answer->buffer_begin += (size_t)sent;
	return (size_t)sent < part.iov_len && !connection->tls ? PROGRESS_BLOCKED : PROGRESS_MORE;
}

/* One step: a pipe, an extent, or a buffer's worth. */
static enum progress send_piece(struct connection *connection)
{
	struct answer *answer = &connection->request->answer;
	bool empty = answer->extent_left == 0 && answer->buffer_begin == answer->buffer_end && (!answer->pipe || answer->pipe->bytes == 0);
	if (empty && (answer->source_left == 0 || answer->ended))
		return PROGRESS_DONE;
	if (empty && next_extent(connection) && !answer->pipe)
		answer->pipe = pipe_take(&connection->loop->pipes);
	if (answer->pipe && (answer->extent_left > 0 || answer->pipe->bytes > 0))
		return send_extents(connection);
	if (answer->extent_left > 0)
		return send_extent(connection);
	if (empty) {
		enum progress progress = pull(connection);
		if (progress != PROGRESS_MORE || answer->buffer_begin == answer->buffer_end)
			return progress;
	}
	return send_buffer(connection);
}

/* ---- all of it ---- */

static enum progress send_all(struct connection *connection)
{
	struct answer *answer = &connection->request->answer;
	uint64_t turn_ends = answer->sent_bytes + TURN_BYTES;
	enum progress progress = send_parts(connection);
	while (progress == PROGRESS_MORE) {
		if (!answer->source.read)
			progress = PROGRESS_DONE;
		else if (answer->sent_bytes >= turn_ends)
			progress = PROGRESS_BLOCKED; /* others first */
		else
			progress = send_piece(connection);
	}
	if (progress != PROGRESS_DONE)
		return progress;
	int flushed = transport_flush(connection);
	return flushed == 0 ? PROGRESS_DONE : flushed == ERR_AGAIN ? PROGRESS_BLOCKED : PROGRESS_DEAD;
}

static void send_on(struct connection *connection)
{
	switch (send_all(connection)) {
	case PROGRESS_DONE:
		connection_request_done(connection);
		break;
	case PROGRESS_DEAD:
		send_failed(connection);
		break;
	case PROGRESS_READING:
		loop_set_deadline(connection->loop, connection, TIMER_NEVER);
		connection_watch(connection, UV_READABLE); /* for its end: what takes long may be wanted by nobody any more */
		break;
	case PROGRESS_BLOCKED:
	case PROGRESS_MORE:
		if (connection->timer.deadline_ms == TIMER_NEVER)
			connection_rate_begin(connection);
		connection_watch(connection, UV_WRITABLE);
		break;
	}
}

void send_writable(struct connection *connection)
{
	if (connection->request->answer.reading)
		connection_watch(connection, connection->watched & UV_READABLE);
	else
		send_on(connection);
}

void send_failed(struct connection *connection)
{
	connection->broken = true;
	connection_watch(connection, 0);
	if (!connection->request->answer.reading) /* else when the worker is back */
		connection_request_done(connection);
}

bool send_waits_for_peer(const struct connection *connection)
{
	return !connection->request->answer.reading && (connection->watched & UV_WRITABLE);
}

static void send_begin(struct connection *connection)
{
	connection->state = CONNECTION_ANSWER;
	if (connection->broken || connection->loop->cutting)
		send_failed(connection);
	else
		send_on(connection);
}

void send_start(struct connection *connection)
{
	struct answer *answer = &connection->request->answer;
	if (connection->broken || !answer->source.read)
		send_begin(connection);
	else
		connection_move_to_bulk(connection, answer->source_left, send_begin);
}
