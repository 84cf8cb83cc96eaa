#include "gateway/http/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { BIO_KEEP_BYTES_MAX = 32 << 10 /* a BIO that grew beyond it is replaced when it is empty */ };

struct tls_config {
	pthread_mutex_t mutex; /* around `context` only */
	SSL_CTX *context;
	char *certificate_file, *key_file;
};

struct tls {
	SSL *ssl;
	BIO *in, *out; /* owned by ssl */
	size_t out_sent; /* bytes at the beginning of `out` that are with the kernel */
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
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
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

int tls_config_make(struct tls_config **out, const char *certificate_file, const char *key_file, struct why *why)
{
	struct tls_config *config = calloc(1, sizeof(*config));
	if (!config)
		return why_set(why, ERR_NO_MEMORY, "no memory for TLS");
	pthread_mutex_init(&config->mutex, NULL);
	config->certificate_file = strdup(certificate_file);
	config->key_file = strdup(key_file);
	int err = config->certificate_file && config->key_file ? make_context(&config->context, config, why) :
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
	pthread_mutex_destroy(&config->mutex);
	free(config->certificate_file);
	free(config->key_file);
	free(config);
}

/* ---- sessions ---- */

static BIO *empty_bio(void)
{
	BIO *bio = BIO_new(BIO_s_mem());
	if (bio)
		BIO_set_mem_eof_return(bio, -1);
	return bio;
}

struct tls *tls_open(struct tls_config *config)
{
	struct tls *tls = calloc(1, sizeof(*tls));
	if (!tls)
		return NULL;
	pthread_mutex_lock(&config->mutex);
	tls->ssl = SSL_new(config->context);
	pthread_mutex_unlock(&config->mutex);
	tls->in = empty_bio();
	tls->out = empty_bio();
	if (!tls->ssl || !tls->in || !tls->out) {
		BIO_free(tls->in);
		BIO_free(tls->out);
		SSL_free(tls->ssl);
		free(tls);
		return NULL;
	}
	SSL_set_bio(tls->ssl, tls->in, tls->out);
	SSL_set_accept_state(tls->ssl);
	return tls;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	SSL_free(tls->ssl);
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
	return BIO_ctrl_pending(tls->out) > tls->out_sent;
}

/* Everything is with the kernel: forget it, and do not let one large answer stay as memory of an idle connection. */
static void out_emptied(struct tls *tls)
{
	BUF_MEM *memory = NULL;
	tls->out_sent = 0;
	BIO_get_mem_ptr(tls->out, &memory);
	BIO *fresh = memory && memory->max > BIO_KEEP_BYTES_MAX ? empty_bio() : NULL;
	if (!fresh) {
		(void)BIO_reset(tls->out);
		return;
	}
	SSL_set0_wbio(tls->ssl, fresh);
	tls->out = fresh;
}

int tls_flush(struct tls *tls, int fd)
{
	char *data;
	long length = BIO_get_mem_data(tls->out, &data);
	while ((size_t)length > tls->out_sent) {
		ssize_t sent = send(fd, data + tls->out_sent, (size_t)length - tls->out_sent, MSG_NOSIGNAL);
		if (sent < 0)
			return errno == EAGAIN || errno == EINTR ? ERR_AGAIN : ERR_CLOSED;
		tls->out_sent += (size_t)sent;
	}
	if (length > 0)
		out_emptied(tls);
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
