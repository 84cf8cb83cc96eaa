/* tls.h - TLS sessions over memory, and the certificate that may change under way.
 *
 * DESIGN. OpenSSL never sees the socket: ciphertext is received and sent by us, so that many records go out in one send and the event logic is the
 * same with and without TLS. A new certificate makes a new SSL_CTX; sessions under way keep the old one until they end. */
#ifndef CAIRN_GATEWAY_HTTP_TLS_H
#define CAIRN_GATEWAY_HTTP_TLS_H

#include "gateway/http/connection.h"

#include <sys/uio.h>

enum { TLS_SEND_BATCH_BYTES = 256 << 10, TLS_RECV_BYTES = 64 << 10 };

struct tls_config;

int tls_config_make(struct tls_config **out, const char *certificate_file, const char *key_file, struct why *why);
/* Any thread. On error the old certificate stays. */
int tls_config_reload(struct tls_config *config, struct why *why);
void tls_config_free(struct tls_config *config);

struct tls;

/* NULL when out of memory. */
struct tls *tls_open(struct tls_config *config);
void tls_free(struct tls *tls);
bool tls_established(const struct tls *tls);
bool tls_has_unread(const struct tls *tls);
bool tls_has_unsent(const struct tls *tls);
int64_t tls_recv(struct tls *tls, int fd, void *out, size_t length);
int64_t tls_send(struct tls *tls, int fd, const struct iovec *parts, int count);
int tls_flush(struct tls *tls, int fd);
/* Says goodbye, as far as the socket takes it. */
void tls_shutdown(struct tls *tls, int fd);

#endif
