/* listener.c - the listening socket of a control loop, and the limits at the door. */
#include "gateway/http/connection.h"
#include "gateway/http/server.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, ACCEPTS_PER_TURN = 64 };

/* Counts the connection in; false: over a limit. */
static bool admit(struct http_server *server, const struct sockaddr *peer)
{
	struct address address;
	address_of(&address, peer);
	if (atomic_fetch_add(&server->connections_count, 1) >= server->config.connections_max ||
		!address_enter(server->addresses, &address, server->config.connections_per_address_max)) {
		atomic_fetch_sub(&server->connections_count, 1);
		return false;
	}
	metrics_add(&server->metrics.accepted, 1);
	return true;
}

static void turn_away(struct loop *loop, int fd, const struct sockaddr *peer)
{
	struct http_server *server = loop->server;
	metrics_add(&server->metrics.refused, 1);
	if (server->tls || atomic_fetch_add(&server->refused_count, 1) >= REFUSED_MAX) {
		if (!server->tls)
			atomic_fetch_sub(&server->refused_count, 1);
		close(fd);
		return;
	}
	connection_accept(loop, fd, peer, true);
}

/* One connection: 0, ERR_AGAIN when there is none, ERR_BUSY when descriptors or memory are used up. */
static int accept_one(struct loop *loop)
{
	struct sockaddr_storage peer;
	socklen_t peer_length = sizeof(peer);
	int fd = accept4(loop->listen_fd, (struct sockaddr *)&peer, &peer_length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			return ERR_BUSY;
		return errno == EAGAIN ? ERR_AGAIN : 0; /* the others are about that one connection */
	}
	if (admit(loop->server, (struct sockaddr *)&peer))
		connection_accept(loop, fd, (struct sockaddr *)&peer, false);
	else
		turn_away(loop, fd, (struct sockaddr *)&peer);
	return 0;
}

static void on_connection(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *pause)
{
	struct loop *loop = pause->data;
	if (loop->listening)
		uv_poll_start(&loop->listener, UV_READABLE, on_connection);
}

/* Without a free descriptor the listener stays readable: look away for a while instead of spinning. */
static void pause_accepting(struct loop *loop)
{
	uv_poll_stop(&loop->listener);
	uv_timer_start(&loop->pause, on_pause_over, ACCEPT_PAUSE_MS, 0);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct loop *loop = poll->data;
	(void)events;
	if (status < 0) {
		pause_accepting(loop);
		return;
	}
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int err = accept_one(loop);
		if (err == ERR_BUSY)
			pause_accepting(loop);
		if (err)
			return;
	}
}

static int bind_one(const struct addrinfo *address, bool share)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, off = 0;
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (share)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (address->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static unsigned port_of(int fd)
{
	struct sockaddr_storage address = { 0 };
	socklen_t length = sizeof(address);
	getsockname(fd, (struct sockaddr *)&address, &length);
	return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port : ((struct sockaddr_in *)&address)->sin_port);
}

int listener_open(struct loop *loop, unsigned *port, struct why *why)
{
	struct http_server *server = loop->server;
	const struct http_config *config = &server->config;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE }, *found = NULL;
	char text[16];
	snprintf(text, sizeof(text), "%u", *port);
	int err = getaddrinfo(config->host, *port ? text : config->port, &hints, &found);
	if (err)
		return why_set(why, ERR_INVALID, "cannot listen on %s port %s: %s", config->host ? config->host : "*", config->port, gai_strerror(err));
	loop->listen_fd = bind_one(found, server->control_count > 1);
	freeaddrinfo(found);
	if (loop->listen_fd < 0)
		return why_set(why, errno == EADDRINUSE ? ERR_BUSY : ERR_IO, "cannot listen on %s port %s: %s", config->host ? config->host : "*",
			config->port, strerror(errno));
	*port = port_of(loop->listen_fd);
	atomic_fetch_add(&server->listeners_count, 1);
	return 0;
}

int listener_watch(struct loop *loop, struct why *why)
{
	int err = uv_poll_init(&loop->uv, &loop->listener, loop->listen_fd);
	if (err)
		return why_set(why, ERR_IO, "cannot watch the listening socket: %s", uv_strerror(err));
	loop->listener.data = loop;
	loop->listening = true;
	uv_poll_start(&loop->listener, UV_READABLE, on_connection);
	return 0;
}

static void on_listener_closed(uv_handle_t *handle)
{
	struct loop *loop = handle->data;
	while (accept_one(loop) == 0)
		;
	close(loop->listen_fd);
	loop->listen_fd = -1;
	atomic_fetch_sub(&loop->server->listeners_count, 1);
	server_wake_if_empty(loop->server);
}

/* Closing resets what is in the queue: take it first, and again at the last moment. */
void listener_close(struct loop *loop)
{
	if (loop->listen_fd < 0)
		return;
	if (!loop->listening) {
		close(loop->listen_fd);
		loop->listen_fd = -1;
		atomic_fetch_sub(&loop->server->listeners_count, 1);
		return;
	}
	while (accept_one(loop) == 0)
		;
	loop->listening = false;
	uv_close((uv_handle_t *)&loop->listener, on_listener_closed);
}
