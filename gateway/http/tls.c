#include "gateway/http/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	SEALED_BYTES = TLS_SEND_BATCH_BYTES + (32 << 10), /* a batch with its record heads and tags, or all of a handshake */
	SPARES_MAX = 8,
};

struct tls_config {
	pthread_mutex_t mutex; /* around `context` and the spares */
	SSL_CTX *context;
	BIO_METHOD *sealed_method;
	char *certificate_file, *key_file;
	uint8_t *spares[SPARES_MAX]; /* SEALED_BYTES each: mapping them anew for every batch costs more than sealing it */
	size_t spares_count;
};

struct tls {
	struct tls_config *config;
	SSL *ssl;
	BIO *in; /* owned by ssl, as is that which writes to `sealed` */
	uint8_t *sealed; /* ciphertext on its way to the kernel; NULL: none */
	size_t sealed_begin, sealed_end;
	bool unread, failed;
};

/* ---- certificates ---- */

static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_length, const unsigned char *in,
	unsigned int in_length, void *context)
{
	static const unsigned char http11[] = { 8, 'h', 't', 't', 'p', '/', '1', '.', '1' };
	(void)ssl;
	(void)context;
	unsigned char *chosen;
	if (SSL_select_next_proto(&chosen, out_length, http11, sizeof(http11), in, in_length) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static int fail(SSL_CTX *context, struct why *why, const char *what, const char *file)
{
	char text[160] = "unknown reason";
	unsigned long code = ERR_get_error();
	if (code)
		ERR_error_string_n(code, text, sizeof(text));
	ERR_clear_error();
	SSL_CTX_free(context);
	return why_set(why, ERR_INVALID, "%s %s: %s", what, file, text);
}

static int make_context(SSL_CTX **out, const struct tls_config *config, struct why *why)
{
	ERR_clear_error();
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	if (!context)
		return fail(NULL, why, "cannot set up TLS for", config->certificate_file);
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CIPHER_SERVER_PREFERENCE |
		SSL_OP_PRIORITIZE_CHACHA); /* a client that puts it first has no AES of its own */
	SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"); /* the cheapest first */
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_alpn_select_cb(context, select_protocol, NULL);
	if (SSL_CTX_use_certificate_chain_file(context, config->certificate_file) != 1)
		return fail(context, why, "cannot use the certificate", config->certificate_file);
	if (SSL_CTX_use_PrivateKey_file(context, config->key_file, SSL_FILETYPE_PEM) != 1)
		return fail(context, why, "cannot use the key", config->key_file);
	if (SSL_CTX_check_private_key(context) != 1)
		return fail(context, why, "the certificate does not belong to the key", config->key_file);
	*out = context;
	return 0;
}

/* ---- ciphertext that is not sent ---- */

static uint8_t *take_spare(struct tls_config *config)
{
	uint8_t *spare = NULL;
	pthread_mutex_lock(&config->mutex);
	if (config->spares_count > 0)
		spare = config->spares[--config->spares_count];
	pthread_mutex_unlock(&config->mutex);
	return spare ? spare : malloc(SEALED_BYTES);
}

static void sealed_free(struct tls *tls)
{
	struct tls_config *config = tls->config;
	pthread_mutex_lock(&config->mutex);
	if (tls->sealed && config->spares_count < SPARES_MAX) {
		config->spares[config->spares_count++] = tls->sealed;
		tls->sealed = NULL;
	}
	pthread_mutex_unlock(&config->mutex);
	free(tls->sealed);
	tls->sealed = NULL;
	tls->sealed_begin = tls->sealed_end = 0;
}

/* Refuses what does not fit: a peer that makes us answer without reading the answers. */
static int sealed_write(BIO *bio, const char *data, size_t length, size_t *written)
{
	struct tls *tls = BIO_get_data(bio);
	if (!tls->sealed && !(tls->sealed = take_spare(tls->config)))
		return 0;
	if (length > SEALED_BYTES - tls->sealed_end)
		return 0;
	memcpy(tls->sealed + tls->sealed_end, data, length);
	tls->sealed_end += length;
	*written = length;
	return 1;
}

static long sealed_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *make_sealed_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sealed");
	if (method) {
		BIO_meth_set_write_ex(method, sealed_write);
		BIO_meth_set_ctrl(method, sealed_ctrl);
	}
	return method;
}

int tls_config_make(struct tls_config **out, const char *certificate_file, const char *key_file, struct why *why)
{
	struct tls_config *config = calloc(1, sizeof(*config));
	if (!config)
		return why_set(why, ERR_NO_MEMORY, "no memory for TLS");
	pthread_mutex_init(&config->mutex, NULL);
	config->certificate_file = strdup(certificate_file);
	config->key_file = strdup(key_file);
	config->sealed_method = make_sealed_method();
	int err = config->certificate_file && config->key_file && config->sealed_method ? make_context(&config->context, config, why) :
		why_set(why, ERR_NO_MEMORY, "no memory for TLS");
	if (err) {
		tls_config_free(config);
		return err;
	}
	*out = config;
	return 0;
}

int tls_config_reload(struct tls_config *config, struct why *why)
{
	SSL_CTX *fresh, *old;
	int err = make_context(&fresh, config, why);
	if (err)
		return err;
	pthread_mutex_lock(&config->mutex);
	old = config->context;
	config->context = fresh;
	pthread_mutex_unlock(&config->mutex);
	SSL_CTX_free(old); /* sessions hold references of their own */
	return 0;
}

void tls_config_free(struct tls_config *config)
{
	if (!config)
		return;
	SSL_CTX_free(config->context);
	BIO_meth_free(config->sealed_method);
	while (config->spares_count > 0)
		free(config->spares[--config->spares_count]);
	pthread_mutex_destroy(&config->mutex);
	free(config->certificate_file);
	free(config->key_file);
	free(config);
}

/* ---- sessions ---- */

struct tls *tls_open(struct tls_config *config)
{
	struct tls *tls = calloc(1, sizeof(*tls));
	if (!tls)
		return NULL;
	tls->config = config;
	pthread_mutex_lock(&config->mutex);
	tls->ssl = SSL_new(config->context);
	pthread_mutex_unlock(&config->mutex);
	tls->in = BIO_new(BIO_s_mem());
	BIO *out = BIO_new(config->sealed_method);
	if (!tls->ssl || !tls->in || !out) {
		BIO_free(tls->in);
		BIO_free(out);
		SSL_free(tls->ssl);
		free(tls);
		return NULL;
	}
	BIO_set_mem_eof_return(tls->in, -1);
	BIO_set_data(out, tls);
	BIO_set_init(out, 1);
	SSL_set_bio(tls->ssl, tls->in, out);
	SSL_set_accept_state(tls->ssl);
	return tls;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	SSL_free(tls->ssl);
	sealed_free(tls);
	free(tls);
}

bool tls_established(const struct tls *tls)
{
	return SSL_is_init_finished(tls->ssl);
}

bool tls_has_unread(const struct tls *tls)
{
	return tls->unread;
}

bool tls_has_unsent(const struct tls *tls)
{
	return tls->sealed_end > tls->sealed_begin;
}

int tls_flush(struct tls *tls, int fd)
{
	while (tls->sealed_end > tls->sealed_begin) {
		ssize_t sent = send(fd, tls->sealed + tls->sealed_begin, tls->sealed_end - tls->sealed_begin, MSG_NOSIGNAL);
		if (sent < 0)
			return errno == EAGAIN || errno == EINTR ? ERR_AGAIN : ERR_CLOSED;
		tls->sealed_begin += (size_t)sent;
	}
	if (tls->sealed)
		sealed_free(tls);
	return 0;
}

/* Ciphertext from the socket: bytes, 0 at the end, ERR_AGAIN, ERR_CLOSED. */
static int64_t fill(struct tls *tls, int fd)
{
	static __thread uint8_t received[TLS_RECV_BYTES];
	ssize_t length = recv(fd, received, sizeof(received), 0);
	if (length < 0)
		return errno == EAGAIN || errno == EINTR ? ERR_AGAIN : ERR_CLOSED;
	if (length > 0 && BIO_write(tls->in, received, (int)length) != (int)length)
		return ERR_CLOSED;
	return length;
}

/* Why nothing was decrypted: ERR_AGAIN when more ciphertext is wanted, 0 at a proper end, ERR_CLOSED. */
static int64_t reading_stopped(struct tls *tls, int result)
{
	switch (SSL_get_error(tls->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return ERR_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		tls->failed = true;
		ERR_clear_error();
		return ERR_CLOSED;
	}
}

int64_t tls_recv(struct tls *tls, int fd, void *out, size_t length)
{
	size_t total = 0;
	bool received = false;
	int64_t stopped = ERR_AGAIN;
	tls->unread = false;
	while (total < length) {
		ERR_clear_error();
		size_t want = length - total < INT32_MAX ? length - total : INT32_MAX;
		int got = SSL_read(tls->ssl, (char *)out + total, (int)want);
		if (got > 0) {
			total += (size_t)got;
			continue;
		}
		stopped = reading_stopped(tls, got);
		if (stopped != ERR_AGAIN || received)
			break;
		stopped = fill(tls, fd);
		if (stopped <= 0)
			break;
		received = true;
		stopped = ERR_AGAIN;
	}
	tls->unread = total == length && (SSL_pending(tls->ssl) > 0 || BIO_ctrl_pending(tls->in) > 0);
	if (tls_flush(tls, fd) == ERR_CLOSED && total == 0) /* handshake, alerts, key updates */
		return ERR_CLOSED;
	return total > 0 ? (int64_t)total : stopped;
}

int64_t tls_send(struct tls *tls, int fd, const struct iovec *parts, int count)
{
	int flushed = tls_flush(tls, fd);
	if (flushed)
		return flushed;
	size_t total = 0;
	for (int i = 0; i < count && total < TLS_SEND_BATCH_BYTES; i++) {
		size_t part = 0;
		while (part < parts[i].iov_len && total < TLS_SEND_BATCH_BYTES) {
			size_t left = parts[i].iov_len - part, room = TLS_SEND_BATCH_BYTES - total;
			ERR_clear_error();
			int taken = SSL_write(tls->ssl, (const char *)parts[i].iov_base + part, (int)(left < room ? left : room));
			if (taken <= 0) {
				tls->failed = true;
				ERR_clear_error();
				return ERR_CLOSED;
			}
			part += (size_t)taken;
			total += (size_t)taken;
		}
	}
	return tls_flush(tls, fd) == ERR_CLOSED ? ERR_CLOSED : (int64_t)total;
}

void tls_shutdown(struct tls *tls, int fd)
{
	if (tls->failed || !SSL_is_init_finished(tls->ssl) || (SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN)) {
		tls_flush(tls, fd); /* an alert may wait */
		return;
	}
	ERR_clear_error();
	SSL_shutdown(tls->ssl);
	ERR_clear_error();
	tls_flush(tls, fd);
}
