/* transport.h - bytes in and out of a connection's socket, through TLS when it has it. */
#ifndef CAIRN_GATEWAY_HTTP_TRANSPORT_H
#define CAIRN_GATEWAY_HTTP_TRANSPORT_H

#include "gateway/http/connection.h"

#include <sys/uio.h>

/* Bytes received (> 0), 0 at the end, ERR_AGAIN, ERR_CLOSED. */
int64_t transport_recv(struct connection *connection, void *out, size_t length);
/* Bytes taken (> 0), ERR_AGAIN, ERR_CLOSED. `more`: further bytes follow at once. */
int64_t transport_send(struct connection *connection, const struct iovec *parts, int count, bool more);
/* 0 when everything that was taken is with the kernel, ERR_AGAIN, ERR_CLOSED. */
int transport_flush(struct connection *connection);
/* No more will be sent. */
void transport_shutdown(struct connection *connection);
/* Bytes are here that the kernel will not tell of. */
bool transport_has_unread(const struct connection *connection);

#endif
