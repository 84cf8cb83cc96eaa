#include "replication/peer_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int wait_for(int fd, short events, int ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = events };
	int n;
	do
		n = poll(&poll_fd, 1, ms);
	while (n < 0 && errno == EINTR);
	return n == 1 ? 0 : ERR_CLOSED;
}

static int write_all(int fd, int wait_ms, const uint8_t *data, size_t length)
{
	while (length > 0) {
		ssize_t n = send(fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			if (wait_for(fd, POLLOUT, wait_ms) != 0)
				return ERR_CLOSED;
			continue;
		}
		if (n <= 0)
			return ERR_CLOSED;
		data += n;
		length -= (size_t)n;
	}
	return 0;
}

static int read_all(int fd, int wait_ms, uint8_t *data, size_t length)
{
	while (length > 0) {
		ssize_t n = recv(fd, data, length, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			if (wait_for(fd, POLLIN, wait_ms) != 0)
				return ERR_CLOSED;
			continue;
		}
		if (n <= 0)
			return ERR_CLOSED;
		data += n;
		length -= (size_t)n;
	}
	return 0;
}

static int connect_one(const struct addrinfo *info)
{
	int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, error = 0;
	socklen_t length = sizeof(error);
	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	bool ok = connect(fd, info->ai_addr, info->ai_addrlen) == 0 || errno == EINPROGRESS;
	ok = ok && wait_for(fd, POLLOUT, PEER_STREAM_CONNECT_MS) == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0;
	if (ok)
		return fd;
	close(fd);
	return -1;
}

static int connect_to(const char *address, struct why *why)
{
	char host[256];
	const char *colon = strrchr(address, ':');
	size_t length = colon ? (size_t)(colon - address) : 0;
	if (!colon || length == 0 || length >= sizeof(host)) {
		why_set(why, ERR_INVALID, "\"%s\" is not HOST:PORT", address);
		return -1;
	}
	bool bracketed = address[0] == '[' && address[length - 1] == ']';
	snprintf(host, sizeof(host), "%.*s", (int)(bracketed ? length - 2 : length), bracketed ? address + 1 : address);
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	int fd = -1;
	if (getaddrinfo(host, colon + 1, &hints, &list) == 0)
		for (const struct addrinfo *info = list; info && fd < 0; info = info->ai_next)
			fd = connect_one(info);
	freeaddrinfo(list);
	if (fd < 0)
		why_set(why, ERR_CLOSED, "nobody answers at %s", address);
	return fd;
}

void peer_stream_take(struct peer_stream *out, int fd, uint64_t peer, const struct peer_channel *channel)
{
	*out = (struct peer_stream){ .fd = fd, .peer = peer, .wait_ms = PEER_STREAM_WAIT_MS, .channel = *channel };
	buffer_init(&out->out, PEER_FRAME_BYTES_MAX + 4096);
	buffer_init(&out->in, PEER_FRAME_BYTES_MAX + 4096);
	buffer_init(&out->plain, PEER_FRAME_BYTES_MAX + 4096);
	buffer_init(&out->room, PEER_FRAME_BYTES_MAX + 4096);
}

int peer_stream_open(struct peer_stream *out, const struct peer_call *call, enum peer_status *status, struct why *why)
{
	struct peer_channel channel;
	uint8_t hello[PEER_HELLO_BYTES], welcome[PEER_WELCOME_BYTES];
	uint64_t node_id = 0;
	int wait_ms = call->wait_ms ? call->wait_ms : PEER_STREAM_WAIT_MS;
	*out = (struct peer_stream){ .fd = -1 };
	*status = PEER_ACCEPTED;
	if (peer_channel_call(&channel, call->cluster_id, call->own, call->remote_key, &call->hello, call->proof_secret, hello) != 0)
		return why_set(why, ERR_INVALID, "the key of the node at %s is no key", call->address);
	int fd = connect_to(call->address, why);
	if (fd < 0)
		return ERR_CLOSED;
	int err = write_all(fd, wait_ms, hello, sizeof(hello));
	if (err == 0)
		err = read_all(fd, wait_ms, welcome, sizeof(welcome));
	if (err)
		why_set(why, err, "the node at %s hung up: it does not know this cluster or this secret", call->address);
	else if ((err = peer_channel_called(&channel, call->own, welcome, status, &node_id)) != 0)
		why_set(why, err, err == ERR_UNSUPPORTED ? "the node at %s answers by a version of the protocol that this program does not know" :
			"what answers at %s is not the node that was called", call->address);
	else if (*status != PEER_ACCEPTED)
		err = why_set(why, ERR_DENIED, "%s", peer_status_sentence(*status));
	if (err) {
		close(fd);
		peer_channel_wipe(&channel);
		return err;
	}
	peer_stream_take(out, fd, node_id, &channel);
	peer_channel_wipe(&channel);
	return 0;
}

void peer_stream_close(struct peer_stream *stream)
{
	if (stream->fd >= 0)
		close(stream->fd);
	buffer_fini(&stream->out);
	buffer_fini(&stream->in);
	buffer_fini(&stream->plain);
	buffer_fini(&stream->room);
	peer_channel_wipe(&stream->channel);
	stream->fd = -1;
}

int peer_stream_send(struct peer_stream *stream, uint8_t type, uint32_t group, struct span body, struct why *why)
{
	buffer_clear(&stream->out);
	int err = peer_channel_seal(&stream->channel, &stream->out, type, group, body, &stream->room);
	if (err == 0)
		err = write_all(stream->fd, stream->wait_ms, stream->out.data, stream->out.length);
	return err ? why_set(why, err, "the other node does not take what is sent") : 0;
}

int peer_stream_receive(struct peer_stream *stream, struct peer_frame *out, struct why *why)
{
	uint8_t header[PEER_STREAM_HEADER_BYTES], length[4];
	int err = 0;
	if (!stream->channel.receiving) {
		err = read_all(stream->fd, stream->wait_ms, header, sizeof(header));
		if (err == 0)
			err = peer_channel_begin(&stream->channel, header);
	}
	if (err == 0)
		err = read_all(stream->fd, stream->wait_ms, length, sizeof(length));
	if (err)
		return why_set(why, err, "the other node hung up");
	size_t bytes = peer_record_length(length);
	buffer_clear(&stream->in);
	if (bytes == 0)
		return why_set(why, ERR_CORRUPT, "the other node sends what is no record");
	uint8_t *record = buffer_reserve(&stream->in, bytes);
	if (!record)
		return why_set(why, ERR_NO_MEMORY, "no memory for a record of %zu bytes", bytes);
	err = read_all(stream->fd, stream->wait_ms, record, bytes);
	if (err)
		return why_set(why, err, "the other node hung up");
	err = peer_channel_open(&stream->channel, record, bytes, &stream->plain, out);
	return err ? why_set(why, err, "a record of the other node does not open") : 0;
}
