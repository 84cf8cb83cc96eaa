/* What the server does not put up with, how it stops, and that connections survive being moved about by the thousand. */
#include "tests/unit/gateway/http_fixture.h"

#include <sys/resource.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

static struct response response;

static void a_slow_head_is_told_so_and_cut(void **state)
{
	(void)state;
	start_server((struct http_config){ .head_ms_max = 300 });
	int fd = client();
	char byte;
	uint64_t began_ms = now_ms();
	say(fd, "GET /hello HTTP/1.1\r\n");
	while (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && send(fd, "X", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1) /* the deadline is for all of it */
		sleep_ms(20);
	assert_true(now_ms() - began_ms < 1500);
	assert_int_equal(hear_status(fd), 408);
	assert_true(is_closed(fd));
	close(fd);
	fd = client();
	check_body(fd, GET("/hello"), 200, "hello");
	say(fd, "G"); /* behind an answer too */
	assert_int_equal(hear_status(fd), 408);
	assert_true(is_closed(fd));
	close(fd);
	stop_server();
}

static void an_idle_connection_is_closed(void **state)
{
	(void)state;
	start_server((struct http_config){ .idle_ms_max = 200 });
	int fd = client();
	uint64_t began_ms = now_ms();
	check_body(fd, GET("/hello"), 200, "hello");
	assert_true(is_closed(fd));
	assert_in_range(now_ms() - began_ms, 190, 1500);
	close(fd);
	fd = client();
	assert_true(is_closed(fd)); /* also one that never said a word */
	close(fd);
	fd = client();
	check_body(fd, GET("/sleep?ms=600"), 200, "slept"); /* our own time does not count */
	close(fd);
	stop_server();
}

static void a_stalled_upload_is_told_so_and_cut(void **state)
{
	(void)state;
	start_server((struct http_config){ .stall_ms_max = 200 });
	int fd = client();
	say(fd, "PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
	uint64_t began_ms = now_ms();
	char byte;
	while (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1)
		sleep_ms(20); /* never idle, but slower than the minimum */
	assert_in_range(now_ms() - began_ms, 200, 2000);
	hear(fd, &response, false);
	assert_int_equal(response.status, 408);
	assert_non_null(strstr(response.head, "X-Error-Code: RequestTimeout\r\n"));
	assert_non_null(strstr(response.head, "Connection: close\r\n"));
	assert_non_null(strstr(response.body, "of 100000 bytes arrived"));
	assert_true(is_closed(fd));
	close(fd);
	fd = client();
	say(fd, "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n");
	assert_int_equal(hear_status(fd), 408);
	assert_true(is_closed(fd));
	close(fd);
	assert_int_equal(atomic_load(&collected_count), 0);
	for (int i = 0; i < 200 && atomic_load(&sink_ends) == 0; i++)
		sleep_ms(5);
	assert_int_equal(atomic_load(&sink_error), ERR_CLOSED);
	stop_server();
}

static void a_client_that_does_not_read_is_cut(void **state)
{
	(void)state;
	start_server((struct http_config){ .stall_ms_max = 200 });
	static const char *const texts[] = { GET("/source?length=20000000&extents=1"), GET("/source?length=20000000"), GET("/large?length=20000000") };
	for (int i = 0; i < 3; i++) {
		int fd = client();
		say(fd, texts[i]);
		sleep_ms(1200);
		hear(fd, &response, false);
		assert_true(response.cut);
		close(fd);
	}
	assert_int_equal(atomic_load(&source_closes), 2);
	int fd = client();
	say(fd, GET("/source?length=3000000")); /* slow, but not too slow: a rest in the middle */
	sleep_ms(150);
	hear(fd, &response, false);
	assert_int_equal(response.length, 3000000);
	close(fd);
	stop_server();
}

static void connections_over_the_limit_are_told(void **state)
{
	(void)state;
	for (int per_address = 0; per_address <= 1; per_address++) {
		start_server((struct http_config){ .connections_max = per_address ? 0 : 3, .connections_per_address_max = per_address ? 3 : 0 });
		int fds[3];
		for (int i = 0; i < 3; i++) {
			fds[i] = client();
			check_body(fds[i], GET("/hello"), 200, "hello");
		}
		int fd = client();
		say(fd, GET("/hello"));
		hear(fd, &response, false);
		assert_int_equal(response.status, 503);
		assert_non_null(strstr(response.head, "Retry-After: 1\r\n"));
		assert_true(is_closed(fd));
		close(fd);
		close(fds[0]);
		sleep_ms(50);
		fd = client();
		check_body(fd, GET("/hello"), 200, "hello");
		close(fd);
		close(fds[1]);
		close(fds[2]);
		stop_server();
	}
}

static void requests_over_the_limit_are_told(void **state)
{
	(void)state;
	start_server((struct http_config){ .requests_in_flight_max = 2 });
	atomic_store(&hold_work, true);
	int held[2] = { client(), client() };
	say(held[0], GET("/hold"));
	say(held[1], GET("/hold"));
	while (atomic_load(&handled) < 2)
		sleep_ms(1);
	int fd = client();
	say(fd, GET("/hello"));
	hear(fd, &response, false);
	assert_int_equal(response.status, 503);
	assert_non_null(strstr(response.head, "Retry-After: 1\r\n"));
	atomic_store(&hold_work, false);
	assert_int_equal(hear_status(held[0]), 200);
	assert_int_equal(hear_status(held[1]), 200);
	check_body(fd, GET("/hello"), 200, "hello"); /* the connection has outlived it */
	close(fd);
	close(held[0]);
	close(held[1]);
	stop_server();
}

static void work_beyond_the_queue_is_refused(void **state)
{
	(void)state;
	enum { CLIENTS = 1100, QUEUE = 1024 };
	start_server((struct http_config){ .workers = 1 });
	atomic_store(&hold_work, true);
	static int fds[CLIENTS];
	for (int i = 0; i < CLIENTS; i++) {
		fds[i] = client();
		say(fds[i], GET("/hold"));
	}
	while (atomic_load(&handled) < CLIENTS)
		sleep_ms(1);
	sleep_ms(50);
	atomic_store(&hold_work, false);
	int served = 0, refused = 0;
	for (int i = 0; i < CLIENTS; i++) {
		int status = hear_status(fds[i]);
		served += status == 200;
		refused += status == 503;
		close(fds[i]);
	}
	assert_int_equal(served + refused, CLIENTS);
	assert_in_range(served, QUEUE, QUEUE + 1);
	stop_server();
}

static void unfinished_heads_are_counted(void **state)
{
	(void)state;
	enum { CLIENTS = 2060, PARTIAL_MAX = 2048 };
	start_server((struct http_config){ 0 });
	static int fds[CLIENTS];
	for (int i = 0; i < CLIENTS; i++) {
		fds[i] = client();
		say(fds[i], "GET /hello HTTP/1.1\r\n");
	}
	for (int i = PARTIAL_MAX; i < CLIENTS; i++)
		assert_int_equal(hear_status(fds[i]), 503);
	say(fds[0], "Host: h\r\n\r\n");
	assert_int_equal(hear_status(fds[0]), 200);
	int fd = client(); /* whole heads are not held back by unfinished ones */
	check_body(fd, GET("/hello"), 200, "hello");
	close(fd);
	for (int i = 0; i < CLIENTS; i++)
		close(fds[i]);
	stop_server();
}

/* More at once than the server's memory for bodies: they take turns, and all arrive. */
static void *upload_collected(void *context)
{
	int fd = try_connect();
	uint64_t *wrong = context;
	static __thread struct response answer;
	char text[128];
	snprintf(text, sizeof(text), "PUT /count HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", HTTP_COLLECT_BYTES_MAX);
	*wrong = !send_all(fd, text, strlen(text)) || !send_pattern(fd, 0, HTTP_COLLECT_BYTES_MAX);
	hear(fd, &answer, false);
	snprintf(text, sizeof(text), "%d 0", HTTP_COLLECT_BYTES_MAX);
	*wrong += strcmp(answer.body, text) != 0;
	close(fd);
	return NULL;
}

static void gathered_bodies_share_one_budget(void **state)
{
	(void)state;
	enum { CLIENTS = 12 };
	start_server((struct http_config){ 0 });
	pthread_t threads[CLIENTS];
	uint64_t wrong[CLIENTS];
	for (int i = 0; i < CLIENTS; i++)
		pthread_create(&threads[i], NULL, upload_collected, &wrong[i]);
	for (int i = 0; i < CLIENTS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(wrong[i], 0);
	stop_server();
}

/* Clients that ask for large answers and do not take them. */
static void whole_answers_share_one_budget(void **state)
{
	(void)state;
	start_server((struct http_config){ 0 });
	int slow[2], fd = client();
	for (int i = 0; i < 2; i++) {
		slow[i] = client();
		say(slow[i], GET("/large?length=125000000"));
		char first;
		assert_true(recv_byte(slow[i], &first)); /* it is there, all of it */
	}
	say(fd, GET("/large?length=125000000"));
	hear(fd, &response, false);
	assert_int_equal(response.status, 503);
	check_body(fd, GET("/hello"), 200, "hello");
	close(slow[0]);
	for (int i = 0; i < 500 && response.status != 200; i++) {
		sleep_ms(10);
		say(fd, GET("/large?length=1000000"));
		hear(fd, &response, false);
	}
	assert_int_equal(response.status, 200);
	close(slow[1]);
	close(fd);
	stop_server();
}

static void running_out_of_descriptors_is_survived(void **state)
{
	(void)state;
	enum { CLIENTS = 20 };
	start_server((struct http_config){ 0 });
	int fds[CLIENTS], highest = 0;
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval wait = { .tv_sec = CLIENT_WAIT_S };
	for (int i = 0; i < CLIENTS; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM, 0);
		setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
		highest = fds[i] > highest ? fds[i] : highest;
	}
	struct rlimit old, low;
	getrlimit(RLIMIT_NOFILE, &old);
	low = (struct rlimit){ (rlim_t)highest + 1 + CLIENTS / 2, old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &low);
	struct rusage before, after;
	getrusage(RUSAGE_SELF, &before);
	for (int i = 0; i < CLIENTS; i++) {
		assert_int_equal(connect(fds[i], (struct sockaddr *)&address, sizeof(address)), 0);
		say(fds[i], GET("/hello"));
	}
	for (int i = 0; i < CLIENTS / 2; i++)
		assert_int_equal(hear_status(fds[i]), 200);
	sleep_ms(300);
	getrusage(RUSAGE_SELF, &after);
	assert_true(after.ru_stime.tv_sec * 1000000 + after.ru_stime.tv_usec - before.ru_stime.tv_sec * 1000000 - before.ru_stime.tv_usec < 200000);
	setrlimit(RLIMIT_NOFILE, &old);
	for (int i = CLIENTS / 2; i < CLIENTS; i++)
		assert_int_equal(hear_status(fds[i]), 200); /* once there are descriptors again */
	for (int i = 0; i < CLIENTS; i++)
		close(fds[i]);
	stop_server();
}

/* ---- stopping ---- */

static void *stop_in_thread(void *context)
{
	http_server_stop(server, *(uint64_t *)context);
	return NULL;
}

static void a_stop_lets_finish_what_runs(void **state)
{
	(void)state;
	start_server((struct http_config){ 0 });
	atomic_store(&hold_work, true);
	int idle = client(), working = client(), sending = client(), reading = client(), fresh = client();
	check_body(idle, GET("/hello"), 200, "hello");
	say(working, GET("/hold"));
	say(sending, "PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\n");
	send_pattern(sending, 0, 1000);
	say(reading, GET("/source?length=20000000"));
	while (atomic_load(&handled) < 4)
		sleep_ms(1);
	sleep_ms(20);
	uint64_t grace_ms = 10000, began_ms = now_ms();
	pthread_t thread;
	pthread_create(&thread, NULL, stop_in_thread, &grace_ms);
	assert_true(is_closed(idle));
	sleep_ms(50);
	assert_int_equal(try_connect(), -1);
	say(fresh, GET("/hello")); /* was let in before the stop and has not been answered yet */
	hear(fresh, &response, false);
	assert_string_equal(response.body, "hello");
	assert_non_null(strstr(response.head, "Connection: close\r\n"));
	send_pattern(sending, 1000, 1000);
	hear(sending, &response, false);
	assert_string_equal(response.body, "2000 0 0");
	assert_non_null(strstr(response.head, "Connection: close\r\n"));
	hear(reading, &response, false);
	assert_int_equal(response.length, 20000000);
	atomic_store(&hold_work, false);
	hear(working, &response, false);
	assert_string_equal(response.body, "held");
	close(idle);
	close(working);
	close(sending);
	close(reading);
	close(fresh);
	pthread_join(thread, NULL);
	assert_true(now_ms() - began_ms < 5000);
}

static void a_stop_cuts_what_does_not_finish(void **state)
{
	(void)state;
	start_server((struct http_config){ 0 });
	int sending = client(), reading = client(), partial = client(), collecting = client();
	say(sending, "PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\nabc");
	say(reading, GET("/source?length=20000000&blocks=1"));
	say(partial, "GET /hello");
	say(collecting, "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\nabc");
	while (atomic_load(&handled) < 3)
		sleep_ms(1);
	uint64_t began_ms = now_ms();
	http_server_stop(server, 200);
	assert_in_range(now_ms() - began_ms, 190, 2000);
	assert_int_equal(atomic_load(&sink_ends), 1);
	assert_int_equal(atomic_load(&sink_error), ERR_CLOSED);
	assert_int_equal(atomic_load(&source_closes), 1);
	assert_int_equal(atomic_load(&collected_count), 0);
	close(sending);
	close(reading);
	close(partial);
	close(collecting);
}

static void what_waits_in_the_accept_queue_is_served_before_a_stop(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		start_server((struct http_config){ .control_loops = 2 });
		enum { CLIENTS = 16 };
		int fds[CLIENTS];
		for (int i = 0; i < CLIENTS; i++) {
			fds[i] = client();
			say(fds[i], GET("/hello"));
		}
		http_server_stop(server, 2000);
		for (int i = 0; i < CLIENTS; i++) {
			assert_int_equal(hear_status(fds[i]), 200);
			close(fds[i]);
		}
	}
}

static void a_bad_configuration_is_explained(void **state)
{
	(void)state;
	struct http_server *none;
	struct why why = { 0 };
	struct http_config config = { .host = "127.0.0.1", .port = "0", .handler = handle, .tls_certificate_file = "/x" };
	assert_int_equal(http_server_start(&none, &config, &why), ERR_INVALID);
	config = (struct http_config){ .host = "not-a-number", .port = "0", .handler = handle };
	assert_int_equal(http_server_start(&none, &config, &why), ERR_INVALID);
	start_server((struct http_config){ .control_loops = 2 });
	char text[16];
	snprintf(text, sizeof(text), "%u", port);
	config = (struct http_config){ .host = "127.0.0.1", .port = text, .handler = handle };
	assert_int_equal(http_server_start(&none, &config, &why), ERR_BUSY);
	assert_non_null(strstr(why.text, "in use"));
	stop_server();
}

/* ---- moves under load ---- */

enum { THREADS = 4, CONNECTIONS = 25, LOAD_MS = 2500 };

static atomic_bool load_over;
static atomic_int load_wrong, load_count;

static bool ask(int fd, unsigned kind, struct response *answer)
{
	char text[256];
	uint64_t length = (kind * 7919) % 200000;
	switch (kind % 5) {
	case 0:
		return send_all(fd, GET("/hello"), strlen(GET("/hello"))) && (hear(fd, answer, false), strcmp(answer->body, "hello") == 0);
	case 1:
		snprintf(text, sizeof(text), "PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: %llu\r\n\r\n", (unsigned long long)length);
		if (!send_all(fd, text, strlen(text)) || !send_pattern(fd, 0, length))
			return false;
		hear(fd, answer, false);
		snprintf(text, sizeof(text), "%llu 0 0", (unsigned long long)length);
		return strcmp(answer->body, text) == 0;
	case 2:
		snprintf(text, sizeof(text), "GET /source?length=%llu&extents=%u&blocks=%u HTTP/1.1\r\nHost: h\r\n\r\n", (unsigned long long)length,
			kind & 1, kind >> 1 & 1);
		return send_all(fd, text, strlen(text)) && (hear(fd, answer, false), answer->length == length && !answer->wrong);
	case 3:
		snprintf(text, sizeof(text), "PUT /count HTTP/1.1\r\nHost: h\r\nContent-Length: %llu\r\n\r\n", (unsigned long long)length);
		if (!send_all(fd, text, strlen(text)) || !send_pattern(fd, 0, length))
			return false;
		hear(fd, answer, false);
		snprintf(text, sizeof(text), "%llu 0", (unsigned long long)length);
		return strcmp(answer->body, text) == 0;
	default:
		snprintf(text, sizeof(text), "PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc%s", GET("/chain"));
		if (!send_all(fd, text, strlen(text)))
			return false;
		hear(fd, answer, false);
		bool first = strncmp(answer->body, "3 ", 2) == 0;
		hear(fd, answer, false);
		return first && strcmp(answer->body, "chained") == 0;
	}
}

static void *load(void *context)
{
	static __thread struct response answer;
	int fds[CONNECTIONS];
	unsigned kind = (unsigned)(uintptr_t)context * 1000;
	for (int i = 0; i < CONNECTIONS; i++)
		fds[i] = try_connect();
	while (!atomic_load(&load_over)) {
		for (int i = 0; i < CONNECTIONS; i++, kind++) {
			if (!ask(fds[i], kind, &answer))
				atomic_fetch_add(&load_wrong, 1);
			atomic_fetch_add(&load_count, 1);
			if (kind % 97 == 0) { /* now and then one leaves in the middle of something */
				send(fds[i], "PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\na", 51, MSG_NOSIGNAL);
				close(fds[i]);
				fds[i] = try_connect();
			}
		}
	}
	for (int i = 0; i < CONNECTIONS; i++)
		close(fds[i]);
	return NULL;
}

static void connections_survive_moving_under_load(void **state)
{
	(void)state;
	start_server((struct http_config){ .control_loops = 2, .bulk_loops = 3 });
	pthread_t threads[THREADS];
	atomic_store(&load_over, false);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, load, (void *)(uintptr_t)(i + 1));
	sleep_ms(LOAD_MS);
	atomic_store(&load_over, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_true(atomic_load(&load_count) > 100);
	assert_int_equal(atomic_load(&load_wrong), 0);
	stop_server();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slow_head_is_told_so_and_cut),
		cmocka_unit_test(an_idle_connection_is_closed),
		cmocka_unit_test(a_stalled_upload_is_told_so_and_cut),
		cmocka_unit_test(a_client_that_does_not_read_is_cut),
		cmocka_unit_test(connections_over_the_limit_are_told),
		cmocka_unit_test(requests_over_the_limit_are_told),
		cmocka_unit_test(work_beyond_the_queue_is_refused),
		cmocka_unit_test(unfinished_heads_are_counted),
		cmocka_unit_test(gathered_bodies_share_one_budget),
		cmocka_unit_test(whole_answers_share_one_budget),
		cmocka_unit_test(running_out_of_descriptors_is_survived),
		cmocka_unit_test(a_stop_lets_finish_what_runs),
		cmocka_unit_test(a_stop_cuts_what_does_not_finish),
		cmocka_unit_test(what_waits_in_the_accept_queue_is_served_before_a_stop),
		cmocka_unit_test(a_bad_configuration_is_explained),
		cmocka_unit_test(connections_survive_moving_under_load),
	};
	make_file();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
