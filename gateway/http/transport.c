#include "gateway/http/transport.h"

#include "gateway/http/tls.h"

#include <errno.h>
#include <sys/socket.h>

int64_t transport_recv(struct connection *connection, void *out, size_t length)
{
	if (connection->tls)
		return tls_recv(connection->tls, connection->fd, out, length);
	ssize_t received = recv(connection->fd, out, length, 0);
	if (received >= 0)
		return received;
	return errno == EAGAIN || errno == EINTR ? ERR_AGAIN : ERR_CLOSED;
}

int64_t transport_send(struct connection *connection, const struct iovec *parts, int count, bool more)
{
	if (connection->tls)
		return tls_send(connection->tls, connection->fd, parts, count);
	int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
	struct msghdr message = { .msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count };
	ssize_t sent = count == 1 ? send(connection->fd, parts[0].iov_base, parts[0].iov_len, flags) :
		sendmsg(connection->fd, &message, flags);
	if (sent >= 0)
		return sent;
	return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? ERR_AGAIN : ERR_CLOSED;
}

int transport_flush(struct connection *connection)
{
	return connection->tls ? tls_flush(connection->tls, connection->fd) : 0;
}

void transport_shutdown(struct connection *connection)
{
	if (connection->tls)
		tls_shutdown(connection->tls, connection->fd);
	shutdown(connection->fd, SHUT_WR);
}

bool transport_has_unread(const struct connection *connection)
{
	return connection->tls && tls_has_unread(connection->tls);
}
