/* What a client sees of the server, over real sockets: bodies and answers of every framing, in order and on one connection. */
#include "tests/unit/gateway/http_fixture.h"

#include <strings.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

static struct response response;

static int start(void **state)
{
	(void)state;
	start_server((struct http_config){ 0 });
	return 0;
}

static int stop(void **state)
{
	(void)state;
	stop_server();
	return 0;
}

static void one_connection_serves_many_requests(void **state)
{
	(void)state;
	int fd = client();
	for (int i = 0; i < 50; i++) {
		check_body(fd, GET("/hello"), 200, "hello");
		check_body(fd, GET("/work"), 200, "worked");
		check_body(fd, GET("/chain"), 200, "chained");
		check_body(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", 200, "abc");
	}
	close(fd);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	(void)state;
	enum { ROUNDS = 200 };
	static char text[ROUNDS * 512];
	size_t length = 0;
	for (int i = 0; i < ROUNDS; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length,
			GET("/sleep?ms=0") GET("/hello") "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n0\r\n\r\n"
			"PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n%c%c%c%c" GET("/source?length=3&unknown=1"),
			pattern(0), pattern(1), pattern(2), pattern(3));
	/* pattern(0) is NUL: snprintf copies it as a byte of the text. */
	int fd = client();
	assert_true(send_all(fd, text, length));
	for (int i = 0; i < ROUNDS; i++) {
		const char *bodies[] = { "slept", "hello", "xy", "4 0 0" };
		for (int k = 0; k < 4; k++) {
			hear(fd, &response, false);
			assert_int_equal(response.status, 200);
			assert_string_equal(response.body, bodies[k]);
		}
		hear(fd, &response, false);
		assert_int_equal(response.length, 3);
		assert_int_equal(response.wrong, 0);
	}
	close(fd);
}

static void a_request_in_single_bytes_is_a_request(void **state)
{
	(void)state;
	int fd = client();
	const char *text = "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX: y\r\n\r\n" GET("/hello");
	for (const char *byte = text; *byte; byte++) {
		assert_true(send_all(fd, byte, 1));
		if ((byte - text) % 7 == 0)
			sleep_ms(1);
	}
	assert_int_equal(hear_status(fd), 200);
	hear(fd, &response, false);
	assert_string_equal(response.body, "hello");
	close(fd);
}

static void head_has_the_length_and_no_body(void **state)
{
	(void)state;
	int fd = client();
	say(fd, "HEAD /hello HTTP/1.1\r\nHost: h\r\n\r\nHEAD /source?length=77 HTTP/1.1\r\nHost: h\r\n\r\n"
		"HEAD /source?length=5&unknown=1 HTTP/1.1\r\nHost: h\r\n\r\nHEAD /large?length=100000 HTTP/1.1\r\nHost: h\r\n\r\n" GET("/hello"));
	hear(fd, &response, true);
	assert_non_null(strstr(response.head, "Content-Length: 5\r\n"));
	hear(fd, &response, true);
	assert_non_null(strstr(response.head, "Content-Length: 77\r\n"));
	hear(fd, &response, true);
	assert_null(strstr(response.head, "Content-Length"));
	hear(fd, &response, true);
	assert_non_null(strstr(response.head, "Content-Length: 100000\r\n"));
	hear(fd, &response, false);
	assert_string_equal(response.body, "hello");
	assert_int_equal(atomic_load(&source_closes), 2);
	close(fd);
}

static void answers_without_content_have_no_body(void **state)
{
	(void)state;
	int fd = client();
	say(fd, GET("/nothing") "GET /range?length=9 HTTP/1.1\r\nHost: h\r\nIf-None-Match: \"x\", W/\"tag\"\r\n\r\n" GET("/hello"));
	hear(fd, &response, false);
	assert_int_equal(response.status, 204);
	assert_null(strstr(response.head, "Content-Length"));
	hear(fd, &response, false);
	assert_int_equal(response.status, 304);
	assert_non_null(strstr(response.head, "ETag: \"tag\"\r\n"));
	hear(fd, &response, false);
	assert_string_equal(response.body, "hello");
	close(fd);
}

static void an_expected_100_comes_when_the_body_is_wanted(void **state)
{
	(void)state;
	static const char *const paths[] = { "/echo", "/sink", "/echo-after-work" };
	for (int i = 0; i < 3; i++) {
		int fd = client();
		char text[256];
		snprintf(text, sizeof(text), "PUT %s HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n", paths[i]);
		say(fd, text);
		assert_int_equal(hear_status(fd), 100);
		say(fd, "ab");
		assert_int_equal(hear_status(fd), 200);
		check_body(fd, GET("/hello"), 200, "hello");
		close(fd);
	}
}

static void an_expected_100_does_not_come_when_it_is_not(void **state)
{
	(void)state;
	static const char *const paths[] = { "/forbidden", "/sink-1000", "/echo" };
	static const int statuses[] = { 403, 413, 413 };
	for (int i = 0; i < 3; i++) {
		int fd = client();
		char text[256];
		snprintf(text, sizeof(text), "PUT %s HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\nExpect: 100-continue\r\n\r\n", paths[i]);
		say(fd, text);
		hear(fd, &response, false);
		assert_int_equal(response.status, statuses[i]);
		assert_non_null(strstr(response.head, "Connection: close\r\n"));
		assert_true(is_closed(fd));
		close(fd);
	}
}

static void a_1_0_client_is_sent_no_100(void **state)
{
	(void)state;
	int fd = client();
	check_body(fd, "POST /echo HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nab", 200, "ab");
	assert_true(is_closed(fd));
	close(fd);
}

static void large_bodies_arrive_whole(void **state)
{
	(void)state;
	enum { LENGTH = 10000000 };
	static const char *const paths[] = { "/sink", "/count" };
	int fd = client();
	for (int i = 0; i < 4; i++) {
		char text[256], expected[64];
		snprintf(text, sizeof(text), "PUT %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", paths[i % 2], LENGTH);
		snprintf(expected, sizeof(expected), i % 2 ? "%d 0" : "%d 0 0", LENGTH);
		say(fd, text);
		assert_true(send_pattern(fd, 0, LENGTH));
		hear(fd, &response, false);
		assert_string_equal(response.body, expected);
	}
	close(fd);
}

static void chunked_bodies_arrive_whole(void **state)
{
	(void)state;
	static const char *const paths[] = { "/sink", "/count" };
	int fd = client();
	for (int i = 0; i < 4; i++) {
		char text[256];
		snprintf(text, sizeof(text), "PUT %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", paths[i % 2]);
		say(fd, text);
		uint64_t total = 0;
		for (uint64_t piece = 1; piece < 3000000; piece = piece * 3 + 1) {
			snprintf(text, sizeof(text), "%llx\r\n", (unsigned long long)piece);
			say(fd, text);
			assert_true(send_pattern(fd, total, piece));
			say(fd, "\r\n");
			total += piece;
		}
		say(fd, "0\r\n\r\n");
		hear(fd, &response, false);
		snprintf(text, sizeof(text), i % 2 ? "%llu 0" : "%llu 0 0", (unsigned long long)total);
		assert_string_equal(response.body, text);
	}
	close(fd);
}

static void bodies_over_the_limit_are_refused(void **state)
{
	(void)state;
	int fd = client();
	say(fd, "PUT /sink-1000 HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n");
	send_pattern(fd, 0, 1001);
	assert_int_equal(hear_status(fd), 413); /* small enough to be drained: the connection stays */
	check_body(fd, GET("/hello"), 200, "hello");
	assert_int_equal(atomic_load(&sink_error), ERR_TOO_BIG);
	say(fd, "PUT /sink-1000 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n");
	send_pattern(fd, 0, 1001);
	assert_int_equal(hear_status(fd), 413);
	assert_true(is_closed(fd));
	close(fd);
	fd = client();
	say(fd, "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\n\r\n");
	assert_int_equal(hear_status(fd), 413);
	assert_true(is_closed(fd));
	close(fd);
}

static void a_refused_upload_is_told_before_it_is_sent(void **state)
{
	(void)state;
	int fd = client();
	say(fd, "PUT /forbidden HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n");
	hear(fd, &response, false);
	assert_int_equal(response.status, 403);
	assert_string_equal(response.body, "{\"error\":\"not for you\"}");
	assert_non_null(strstr(response.head, "X-Error-Message: not for you\r\n"));
	assert_non_null(strstr(response.head, "X-Error-Code: Nope\r\n"));
	send_pattern(fd, 0, 900000);
	check_body(fd, GET("/hello"), 200, "hello");
	close(fd);
	fd = client();
	say(fd, "PUT /forbidden HTTP/1.1\r\nHost: h\r\nContent-Length: 90000000\r\n\r\n");
	send_pattern(fd, 0, 500000); /* still sending when the answer comes */
	assert_int_equal(hear_status(fd), 403);
	assert_true(is_closed(fd));
	close(fd);
}

static void a_sink_that_fails_is_answered_at_once(void **state)
{
	(void)state;
	int fd = client();
	say(fd, "PUT /sink?fail=100 HTTP/1.1\r\nHost: h\r\nContent-Length: 50000000\r\n\r\n");
	send_pattern(fd, 0, 1000);
	assert_int_equal(hear_status(fd), 507);
	assert_int_equal(atomic_load(&sink_error), ERR_NO_SPACE);
	assert_int_equal(atomic_load(&sink_ends), 1);
	close(fd);
}

static void wait_for_ends(int count)
{
	for (int i = 0; i < 1000 && atomic_load(&sink_ends) < count; i++)
		sleep_ms(5);
	assert_int_equal(atomic_load(&sink_ends), count);
}

static void a_client_that_leaves_ends_its_sink(void **state)
{
	(void)state;
	int fd = client();
	say(fd, "PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n");
	send_pattern(fd, 0, 50);
	close(fd);
	wait_for_ends(1);
	assert_int_equal(atomic_load(&sink_error), ERR_CLOSED);
	fd = client();
	say(fd, "PUT /sink HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n");
	send_pattern(fd, 0, 50);
	shutdown(fd, SHUT_WR); /* half-closed in the middle of a body */
	wait_for_ends(2);
	assert_int_equal(atomic_load(&sink_error), ERR_CLOSED);
	static struct response response; /* of the server's: the sink's own is nothing to a client that said too little */
	hear(fd, &response, false);
	assert_int_equal(response.status, 400);
	assert_non_null(strstr(response.head, "X-Error-Code: IncompleteBody\r\n"));
	assert_non_null(strstr(response.body, "50 bytes arrived, and not the last chunk"));
	assert_true(is_closed(fd));
	close(fd);
	fd = client();
	say(fd, "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc");
	shutdown(fd, SHUT_WR);
	hear(fd, &response, false);
	assert_int_equal(response.status, 400);
	assert_non_null(strstr(response.body, "3 of 100 bytes arrived"));
	assert_true(is_closed(fd));
	close(fd);
	fd = client();
	say(fd, "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc");
	close(fd);
	fd = client();
	check_body(fd, GET("/hello"), 200, "hello");
	assert_int_equal(atomic_load(&collected_count), 0);
	close(fd);
}

static void bytes_behind_a_body_are_the_next_request(void **state)
{
	(void)state;
	int fd = client();
	say(fd, "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc/ HTTP/1.1\r\n\r\n");
	assert_int_equal(hear_status(fd), 200);
	assert_int_equal(hear_status(fd), 400);
	assert_true(is_closed(fd));
	close(fd);
}

static void broken_framing_is_told_and_ends_the_connection(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int status;
	} rows[] = {
		{ "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
		{ "GET /hello HTTP/1.1\n", 400 },
		{ "GET /hello HTTP/1.1\r\n\r\n", 400 },
		{ "GET /hello HTTP/2.0\r\n\r\n", 505 },
		{ "BREW /hello HTTP/1.1\r\nHost: h\r\n\r\n", 501 },
		{ "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n", 417 },
		{ "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400 },
		{ "\x16\x03\x01", 400 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = client();
		say(fd, rows[i].text);
		hear(fd, &response, false);
		assert_int_equal(response.status, rows[i].status);
		assert_non_null(strstr(response.head, "Connection: close\r\n"));
		assert_non_null(strstr(response.head, "X-Request-Id: "));
		assert_true(is_closed(fd));
		close(fd);
	}
	int fd = client();
	say(fd, "PUT /sink HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
	hear_status(fd);
	assert_int_equal(atomic_load(&sink_error), ERR_INVALID);
	assert_true(is_closed(fd));
	close(fd);
}

static void sources_are_sent_whole(void **state)
{
	(void)state;
	static const char *const flags[] = { "", "&blocks=1", "&extents=1", "&extents=1&blocks=1", "&unknown=1", "&unknown=1&blocks=1",
		"&unknown=1&extents=1" };
	static const unsigned lengths[] = { 0, 1, 5, 70000, 262144, 262132, 262133, FILE_BYTES };
	int fd = client();
	int count = 0;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
			char text[256];
			snprintf(text, sizeof(text), "GET /source%s?length=%u%s HTTP/1.1\r\nHost: h\r\n\r\n", k % 2 ? "-after-work" : "", lengths[k], flags[i]);
			say(fd, text);
			hear(fd, &response, false);
			assert_int_equal(response.status, 200);
			if (response.cut || response.length != lengths[k] || response.wrong)
				fail_msg("%s: cut %d, %llu bytes, %llu wrong", text, response.cut, (unsigned long long)response.length,
					(unsigned long long)response.wrong);
			count++;
		}
	}
	check_body(fd, GET("/hello"), 200, "hello");
	assert_int_equal(atomic_load(&source_closes), count);
	close(fd);
}

static void a_1_0_client_reads_to_the_end(void **state)
{
	(void)state;
	int fd = client();
	say(fd, "GET /source?length=300000&unknown=1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	hear(fd, &response, false);
	assert_null(strstr(response.head, "chunked"));
	assert_non_null(strstr(response.head, "Connection: close\r\n"));
	assert_int_equal(response.length, 300000);
	assert_int_equal(response.wrong, 0);
	close(fd);
	fd = client();
	say(fd, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	hear(fd, &response, false);
	assert_non_null(strstr(response.head, "Connection: keep-alive\r\n"));
	check_body(fd, GET("/hello"), 200, "hello");
	close(fd);
}

static void a_source_that_fails_cuts_the_connection(void **state)
{
	(void)state;
	static const char *const rows[] = { "/source?length=1000000&fail=500000", "/source?length=1000000&short=1",
		"/source?length=1000000&fail=500000&unknown=1", "/source?length=1000000&fail=1&blocks=1" };
	for (size_t i = 0; i < 4; i++) {
		int fd = client();
		char text[256];
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", rows[i]);
		say(fd, text);
		hear(fd, &response, false);
		assert_int_equal(response.status, 200);
		assert_true(response.cut && response.length < 1000000);
		close(fd);
	}
	for (int i = 0; i < 1000 && atomic_load(&source_closes) < 4; i++)
		sleep_ms(1);
	assert_int_equal(atomic_load(&source_closes), 4);
}

static void a_client_that_leaves_closes_its_source(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		int fd = client();
		say(fd, i % 2 ? GET("/source?length=20000000&blocks=1") : GET("/source?length=20000000&extents=1"));
		char data[100];
		recv(fd, data, sizeof(data), 0);
		close(fd);
	}
	for (int i = 0; i < 1000 && atomic_load(&source_closes) < 4; i++)
		sleep_ms(5);
	assert_int_equal(atomic_load(&source_closes), 4);
}

static void large_answers_are_sent_whole(void **state)
{
	(void)state;
	static const unsigned lengths[] = { 0, 1, 16384, 16385, 1000000, 8000000 };
	int fd = client();
	for (size_t i = 0; i < 6; i++) {
		char text[128];
		snprintf(text, sizeof(text), "GET /large?length=%u HTTP/1.1\r\nHost: h\r\n\r\n", lengths[i]);
		say(fd, text);
		if (lengths[i] > 1000000)
			sleep_ms(50); /* let the socket fill up */
		hear(fd, &response, false);
		assert_int_equal(response.length, lengths[i]);
		assert_int_equal(response.wrong, 0);
	}
	close(fd);
}

static void a_half_closed_client_is_still_answered(void **state)
{
	(void)state;
	int fd = client();
	say(fd, GET("/work") GET("/hello"));
	shutdown(fd, SHUT_WR);
	hear(fd, &response, false);
	assert_string_equal(response.body, "worked");
	hear(fd, &response, false);
	assert_string_equal(response.body, "hello");
	assert_true(is_closed(fd));
	close(fd);
}

static void a_client_that_asked_for_close_gets_it(void **state)
{
	(void)state;
	int fd = client();
	say(fd, "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" GET("/hello"));
	hear(fd, &response, false);
	assert_non_null(strstr(response.head, "Connection: close\r\n"));
	assert_true(is_closed(fd));
	assert_int_equal(atomic_load(&handled), 1);
	close(fd);
}

static void a_view_sees_the_request_decoded(void **state)
{
	(void)state;
	int fd = client();
	say(fd, "GET /probe?a=1+%2B&a[]=x%20y&%62=&t=True HTTP/1.1\r\nHost: hub.example:81\r\nX-Request-Id: my id\r\n\r\n");
	hear(fd, &response, false);
	assert_string_equal(response.body, "base=http://hub.example:81 peer=127.0.0.1 id=my id a0=1 + a1=x y b= t=1 bad=0");
	assert_non_null(strstr(response.head, "X-Request-Id: my id\r\n"));
	say(fd, "GET /probe?a=%00&b=%4 HTTP/1.1\r\nHost: h\r\nX-Amzn-Trace-Id: trace-7\r\n\r\n");
	hear(fd, &response, false);
	assert_string_equal(response.body, "base=http://h peer=127.0.0.1 id=trace-7 a0=- a1=- b=- t=0 bad=0");
	assert_non_null(strstr(response.head, "trace-7"));
	close(fd);
}

static void forwarded_addresses_are_believed_only_when_configured(void **state)
{
	(void)state;
	const char *text = "GET /probe HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: hub.example, x\r\n\r\n";
	int fd = client();
	say(fd, text);
	hear(fd, &response, false);
	assert_non_null(strstr(response.body, "base=http://h peer"));
	close(fd);
	stop_server();
	start_server((struct http_config){ .trust_forwarded = true });
	fd = client();
	say(fd, text);
	hear(fd, &response, false);
	assert_non_null(strstr(response.body, "base=https://hub.example peer"));
	say(fd, "GET /probe HTTP/1.1\r\nHost: h\r\nX-Forwarded-Host: evil/\"\r\n\r\n");
	hear(fd, &response, false);
	assert_non_null(strstr(response.body, "base=http://h peer"));
	close(fd);
	stop_server();
	start_server((struct http_config){ .base_url = "https://fixed" });
	fd = client();
	say(fd, text);
	hear(fd, &response, false);
	assert_non_null(strstr(response.body, "base=https://fixed peer"));
	close(fd);
}

static void ranges_map_to_one_run_of_bytes(void **state)
{
	(void)state;
	static const struct {
		const char *range;
		int status;
		const char *body;
	} rows[] = {
		{ "bytes=0-4", 206, "0-5" }, { "bytes=5-", 206, "5-10" }, { "bytes=-3", 206, "7-10" }, { "bytes=-30", 206, "0-10" },
		{ "bytes=9-99", 206, "9-10" }, { "bytes=0-18446744073709551615", 206, "0-10" }, { "bytes=0-99999999999999999999", 206, "0-10" },
		{ "bytes=4-3", 200, "0-10" }, { "bytes=x-3", 200, "0-10" }, { "bytes=-", 200, "0-10" }, { "lines=0-1", 200, "0-10" },
		{ "bytes=1 - 2", 200, "0-10" }, { "bytes=10-", 416, NULL }, { "bytes=-0", 416, NULL }, { "bytes=99999999999999999999-", 416, NULL },
		{ "bytes=0-1,3-4", 501, NULL },
	};
	int fd = client();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[256];
		snprintf(text, sizeof(text), "GET /range?length=10 HTTP/1.1\r\nHost: h\r\nRange: %s\r\n\r\n", rows[i].range);
		say(fd, text);
		hear(fd, &response, false);
		assert_int_equal(response.status, rows[i].status);
		if (rows[i].body)
			assert_string_equal(response.body, rows[i].body);
		if (response.status == 416)
			assert_non_null(strstr(response.head, "Content-Range: bytes */10\r\n"));
	}
	say(fd, "GET /range?length=10 HTTP/1.1\r\nHost: h\r\nIf-None-Match: \"other\", \"tag,\"\r\n\r\n");
	assert_int_equal(hear_status(fd), 200);
	say(fd, "GET /range?length=10 HTTP/1.1\r\nHost: h\r\nIf-None-Match: *\r\n\r\n");
	assert_int_equal(hear_status(fd), 304);
	close(fd);
}

static void scripts_of_other_origins_may_read_the_answers(void **state)
{
	(void)state;
	int fd = client();
	say(fd, "OPTIONS /any HTTP/1.1\r\nHost: h\r\nOrigin: https://x\r\nAccess-Control-Request-Method: PUT\r\n"
		"Access-Control-Request-Headers: authorization, x-custom, cookie, x-(bad)\r\n\r\n");
	hear(fd, &response, false);
	assert_int_equal(response.status, 204);
	assert_non_null(strstr(response.head, "Access-Control-Allow-Origin: *\r\n"));
	assert_non_null(strstr(response.head, "Access-Control-Allow-Headers: authorization, x-custom\r\n"));
	assert_int_equal(atomic_load(&handled), 0);
	say(fd, "GET /hello HTTP/1.1\r\nHost: h\r\nOrigin: https://x\r\n\r\n");
	hear(fd, &response, false);
	assert_non_null(strstr(response.head, "Access-Control-Expose-Headers: ETag"));
	say(fd, GET("/hello"));
	hear(fd, &response, false);
	assert_null(strstr(response.head, "Access-Control"));
	say(fd, "OPTIONS /any HTTP/1.1\r\nHost: h\r\n\r\n"); /* no preflight: the handler's */
	assert_int_equal(hear_status(fd), 403);
	close(fd);
}

static void the_log_has_a_line_per_request_and_no_secret(void **state)
{
	(void)state;
	stop_server();
	char file[] = "/tmp/cairn-http-log-XXXXXX";
	close(mkstemp(file));
	start_server((struct http_config){ .access_log_file = file });
	int fd = client();
	char text[512], grant[121];
	memset(grant, 'g', 120);
	grant[120] = 0;
	snprintf(text, sizeof(text), "GET /a/%s/b?token=hf_secret HTTP/1.1\r\nHost: h\r\nX-Request-Id: id-1\r\n\r\n", grant);
	say(fd, text);
	assert_int_equal(hear_status(fd), 403);
	say(fd, "PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n");
	send_pattern(fd, 0, 1000);
	assert_int_equal(hear_status(fd), 200);
	close(fd);
	stop_server();
	start_server((struct http_config){ 0 });
	FILE *log = fopen(file, "r");
	char line[1024];
	assert_non_null(fgets(line, sizeof(line), log));
	assert_non_null(strstr(line, "\"id\":\"id-1\""));
	assert_non_null(strstr(line, "\"actor\":\"tester\""));
	assert_non_null(strstr(line, "\"method\":\"GET\",\"path\":\"/a/*/b\",\"status\":403"));
	assert_null(strstr(line, "secret"));
	assert_null(strstr(line, "ggg"));
	assert_non_null(fgets(line, sizeof(line), log));
	assert_non_null(strstr(line, "\"method\":\"PUT\",\"path\":\"/sink\",\"status\":200,\"bytes_in\":1053"));
	assert_null(fgets(line, sizeof(line), log));
	fclose(log);
	unlink(file);
}

static void the_counters_tell_what_happened(void **state)
{
	(void)state;
	int fd = client();
	check_body(fd, GET("/hello"), 200, "hello");
	say(fd, GET("/forbidden"));
	hear_status(fd);
	sleep_ms(20);
	struct buffer text;
	buffer_init(&text, 1 << 20);
	http_server_metrics(server, &text);
	buffer_append_byte(&text, 0);
	assert_false(text.failed);
	assert_non_null(strstr((char *)text.data, "cairn_http_requests_total{route=\"test\",class=\"2xx\"} 1\n"));
	assert_non_null(strstr((char *)text.data, "cairn_http_requests_total{route=\"test\",class=\"4xx\"} 1\n"));
	assert_non_null(strstr((char *)text.data, "cairn_http_request_seconds_bucket{route=\"test\",le=\"+Inf\"} 2\n"));
	assert_non_null(strstr((char *)text.data, "cairn_http_connections 1\n"));
	buffer_fini(&text);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_connection_serves_many_requests),
		TEST(pipelined_requests_are_answered_in_order),
		TEST(a_request_in_single_bytes_is_a_request),
		TEST(head_has_the_length_and_no_body),
		TEST(answers_without_content_have_no_body),
		TEST(an_expected_100_comes_when_the_body_is_wanted),
		TEST(an_expected_100_does_not_come_when_it_is_not),
		TEST(a_1_0_client_is_sent_no_100),
		TEST(large_bodies_arrive_whole),
		TEST(chunked_bodies_arrive_whole),
		TEST(bodies_over_the_limit_are_refused),
		TEST(a_refused_upload_is_told_before_it_is_sent),
		TEST(a_sink_that_fails_is_answered_at_once),
		TEST(a_client_that_leaves_ends_its_sink),
		TEST(bytes_behind_a_body_are_the_next_request),
		TEST(broken_framing_is_told_and_ends_the_connection),
		TEST(sources_are_sent_whole),
		TEST(a_1_0_client_reads_to_the_end),
		TEST(a_source_that_fails_cuts_the_connection),
		TEST(a_client_that_leaves_closes_its_source),
		TEST(large_answers_are_sent_whole),
		TEST(a_half_closed_client_is_still_answered),
		TEST(a_client_that_asked_for_close_gets_it),
		TEST(a_view_sees_the_request_decoded),
		TEST(forwarded_addresses_are_believed_only_when_configured),
		TEST(ranges_map_to_one_run_of_bytes),
		TEST(scripts_of_other_origins_may_read_the_answers),
		TEST(the_log_has_a_line_per_request_and_no_secret),
		TEST(the_counters_tell_what_happened),
	};
	make_file();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
