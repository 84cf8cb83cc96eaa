/* The same server over TLS: with a certificate made on the spot, and with another one put in its place under way. */
#include "tests/unit/gateway/http_fixture.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

static char directory[] = "/tmp/cairn-http-tls-XXXXXX";
static char certificate[128], key[128];

static void make_certificate(const char *name)
{
	char command[512];
	snprintf(command, sizeof(command), "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout %s -out %s -days 1 "
		"-subj /CN=%s >/dev/null 2>&1", key, certificate, name);
	assert_int_equal(system(command), 0);
}

struct session {
	SSL_CTX *context;
	SSL *ssl;
	int fd;
};

/* False when the handshake fails. */
static bool session_open(struct session *session, const char *protocol)
{
	session->context = SSL_CTX_new(TLS_client_method());
	if (protocol) {
		uint8_t list[32] = { (uint8_t)strlen(protocol) };
		memcpy(list + 1, protocol, list[0]);
		SSL_CTX_set_alpn_protos(session->context, list, list[0] + 1u);
	}
	session->ssl = SSL_new(session->context);
	session->fd = client();
	SSL_set_fd(session->ssl, session->fd);
	return SSL_connect(session->ssl) == 1;
}

static void session_close(struct session *session)
{
	SSL_free(session->ssl);
	SSL_CTX_free(session->context);
	ERR_clear_error();
	close(session->fd);
}

static void peer_name(struct session *session, char out[64])
{
	X509 *peer = SSL_get1_peer_certificate(session->ssl);
	X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, out, 64);
	X509_free(peer);
}

static void tls_say(struct session *session, const void *data, size_t length)
{
	assert_int_equal(SSL_write(session->ssl, data, (int)length), length);
}

/* Reads until `length` body bytes behind the head have come; returns how many differ from the pattern, or -1. */
static int64_t tls_hear(struct session *session, char *head, size_t head_room, uint64_t length)
{
	size_t have = 0;
	while (have + 1 < head_room && SSL_read(session->ssl, head + have, 1) == 1) {
		head[++have] = 0;
		if (have >= 4 && memcmp(head + have - 4, "\r\n\r\n", 4) == 0)
			break;
	}
	static uint8_t data[65536];
	int64_t wrong = 0;
	for (uint64_t done = 0; done < length;) {
		int got = SSL_read(session->ssl, data, (int)(length - done < sizeof(data) ? length - done : sizeof(data)));
		if (got <= 0)
			return -1;
		for (int i = 0; i < got; i++)
			wrong += data[i] != pattern(done++);
	}
	return wrong;
}

static int start(void **state)
{
	(void)state;
	make_certificate("first");
	start_server((struct http_config){ .tls_certificate_file = certificate, .tls_key_file = key, .trust_forwarded = false });
	return 0;
}

static int stop(void **state)
{
	(void)state;
	stop_server();
	return 0;
}

static void requests_and_answers_pass_through_tls(void **state)
{
	(void)state;
	struct session session;
	char head[4096], body[64] = "";
	assert_true(session_open(&session, "http/1.1"));
	const unsigned char *chosen;
	unsigned chosen_length;
	SSL_get0_alpn_selected(session.ssl, &chosen, &chosen_length);
	assert_int_equal(chosen_length, 8);
	for (int i = 0; i < 20; i++) {
		tls_say(&session, GET("/probe"), strlen(GET("/probe")));
		tls_hear(&session, head, sizeof(head), 0);
		assert_non_null(strstr(head, "200 OK"));
		uint64_t length = strtoull(strstr(head, "Content-Length: ") + 16, NULL, 10);
		assert_true(length < sizeof(head));
		assert_int_equal(SSL_read(session.ssl, head, (int)length), length);
		assert_memory_equal(head, "base=https://h ", 15);
	}
	tls_say(&session, GET("/hello") GET("/work"), strlen(GET("/hello") GET("/work"))); /* pipelined in one record */
	tls_hear(&session, head, sizeof(head), 0);
	assert_int_equal(SSL_read(session.ssl, body, 5), 5);
	assert_string_equal(body, "hello");
	tls_hear(&session, head, sizeof(head), 0);
	assert_int_equal(SSL_read(session.ssl, body, 6), 6);
	assert_string_equal(body, "worked");
	session_close(&session);
}

static void large_bodies_pass_through_tls(void **state)
{
	(void)state;
	enum { LENGTH = 9000000 };
	struct session session;
	static uint8_t data[LENGTH];
	char head[4096], text[256], body[32] = "";
	for (size_t i = 0; i < LENGTH; i++)
		data[i] = pattern(i);
	assert_true(session_open(&session, NULL));
	for (int i = 0; i < 3; i++) {
		static const char *const paths[] = { "/sink", "/count", "/sink" };
		snprintf(text, sizeof(text), "PUT %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", paths[i], LENGTH);
		tls_say(&session, text, strlen(text));
		tls_hear(&session, head, sizeof(head), 0);
		assert_memory_equal(head, "HTTP/1.1 100 ", 13);
		tls_say(&session, data, LENGTH);
		tls_hear(&session, head, sizeof(head), 0);
		snprintf(text, sizeof(text), i == 1 ? "%d 0" : "%d 0 0", LENGTH);
		memset(body, 0, sizeof(body));
		assert_int_equal(SSL_read(session.ssl, body, sizeof(body) - 1), strlen(text));
		assert_string_equal(body, text);
		static const char *const sources[] = { "/source?extents=1", "/source?blocks=1", "/large?" };
		snprintf(text, sizeof(text), "GET %s&length=%d HTTP/1.1\r\nHost: h\r\n\r\n", sources[i], LENGTH);
		tls_say(&session, text, strlen(text));
		sleep_ms(30); /* let the socket fill up */
		assert_int_equal(tls_hear(&session, head, sizeof(head), LENGTH), 0);
	}
	session_close(&session);
}

static void a_new_certificate_is_used_from_then_on(void **state)
{
	(void)state;
	struct session before, after;
	struct why why = { 0 };
	char name[64], head[4096];
	assert_true(session_open(&before, NULL));
	peer_name(&before, name);
	assert_string_equal(name, "first");
	make_certificate("second");
	assert_int_equal(http_server_reload(server, &why), 0);
	assert_true(session_open(&after, NULL));
	peer_name(&after, name);
	assert_string_equal(name, "second");
	tls_say(&before, GET("/nothing"), strlen(GET("/nothing"))); /* the old session lives on */
	tls_hear(&before, head, sizeof(head), 0);
	assert_non_null(strstr(head, "204"));
	session_close(&before);
	session_close(&after);
	FILE *file = fopen(certificate, "w");
	fputs("no certificate\n", file);
	fclose(file);
	assert_int_equal(http_server_reload(server, &why), ERR_INVALID);
	assert_non_null(strstr(why.text, certificate));
	assert_true(session_open(&after, NULL)); /* a bad one changes nothing */
	peer_name(&after, name);
	assert_string_equal(name, "second");
	session_close(&after);
}

static void what_is_not_tls_is_refused(void **state)
{
	(void)state;
	struct session session;
	int fd = client();
	say(fd, GET("/hello"));
	assert_true(is_closed(fd));
	close(fd);
	assert_false(session_open(&session, "h2")); /* an offer without our protocol */
	session_close(&session);
	fd = client(); /* a handshake that never comes does not disturb others */
	assert_true(session_open(&session, NULL));
	session_close(&session);
	close(fd);
}

static void a_certificate_without_its_key_is_not_started_with(void **state)
{
	(void)state;
	struct http_server *none;
	struct why why = { 0 };
	char other[128];
	snprintf(other, sizeof(other), "%s/missing", directory);
	struct http_config config = { .host = "127.0.0.1", .port = "0", .handler = handle, .tls_certificate_file = certificate, .tls_key_file = other };
	assert_int_equal(http_server_start(&none, &config, &why), ERR_INVALID);
	assert_non_null(strstr(why.text, other));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(requests_and_answers_pass_through_tls),
		TEST(large_bodies_pass_through_tls),
		TEST(a_new_certificate_is_used_from_then_on),
		TEST(what_is_not_tls_is_refused),
		TEST(a_certificate_without_its_key_is_not_started_with),
	};
	assert_non_null(mkdtemp(directory));
	snprintf(certificate, sizeof(certificate), "%s/certificate.pem", directory);
	snprintf(key, sizeof(key), "%s/key.pem", directory);
	signal(SIGPIPE, SIG_IGN);
	make_file();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(certificate);
	unlink(key);
	rmdir(directory);
	return failed;
}
