/* Connections of one node to another: what its opener has given up does not stay, however often that happens. And who may ask to be let in. */
#include "replication/peers.h"

#include "replication/peer_calls.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { ANN = 11, BOB = 22, CLEO = 33, DAN = 44, ADDRESS_BYTES = 32, WAIT_MS = 20 * 1000 };

static const uint8_t cluster_id[PEER_CLUSTER_ID_BYTES] = "one cluster";
static const uint8_t token_id[PEER_TOKEN_ID_BYTES] = "not used yet", token_proof[PEER_SECRET_BYTES] = "what it proves";
static struct peer_keys ann, bob, dan;
static struct cluster_view view;
static uv_loop_t loop;
static uv_async_t stop, look;
static struct peer_state seen; /* of Ann, by Bob */
static sem_t looked;
static pthread_t thread;
static struct peers *peers; /* Bob's */
static char address[ADDRESS_BYTES];

static void take_frame(void *context, uint64_t peer, const struct peer_frame *frame)
{
	(void)context, (void)peer, (void)frame;
}

static bool find_token(void *context, const uint8_t id[PEER_TOKEN_ID_BYTES], uint8_t out[PEER_SECRET_BYTES])
{
	(void)context;
	memcpy(out, token_proof, PEER_SECRET_BYTES);
	return memcmp(id, token_id, PEER_TOKEN_ID_BYTES) == 0;
}

static void take_stream(void *context, struct peer_stream *stream, const struct peer_hello *hello)
{
	(void)context, (void)hello;
	peer_stream_close(stream);
	free(stream);
}

static void on_look(uv_async_t *handle)
{
	(void)handle;
	peers_state(peers, ANN, &seen);
	sem_post(&looked);
}

static void on_stop(uv_async_t *handle)
{
	uv_close((uv_handle_t *)handle, NULL);
	uv_close((uv_handle_t *)&look, NULL);
	peers_close(peers);
}

static void *run(void *context)
{
	uv_run(&loop, UV_RUN_DEFAULT);
	return context;
}

static int set_up(void **state)
{
	(void)state;
	struct why why = { 0 };
	if (sodium_init() < 0)
		return -1;
	peer_keys_make(&ann);
	peer_keys_make(&bob);
	peer_keys_make(&dan);
	view = (struct cluster_view){ .has_secret = true, .secret = "a secret of the cluster", .count = 3,
		.nodes = { { .node_id = ANN, .address = "127.0.0.1:1", .role = NODE_VOTER }, { .node_id = BOB, .role = NODE_VOTER },
			{ .node_id = DAN, .role = NODE_REMOVED } } };
	memcpy(view.nodes[0].public_key, ann.public_key, PEER_KEY_BYTES);
	memcpy(view.nodes[1].public_key, bob.public_key, PEER_KEY_BYTES);
	memcpy(view.nodes[2].public_key, dan.public_key, PEER_KEY_BYTES);
	struct peers_config config = { .listen = "127.0.0.1:0", .node_id = BOB, .keys = bob, .feature_level = 1, 
		.calls = { .frame = take_frame, .token_secret = find_token, .stream = take_stream } };
	memcpy(config.cluster_id, cluster_id, sizeof(config.cluster_id));
	uv_loop_init(&loop);
	uv_async_init(&loop, &stop, on_stop);
	uv_async_init(&loop, &look, on_look);
	sem_init(&looked, 0, 0);
	if (peers_open(&peers, &loop, &config, &why) != 0)
		fail_msg("%s", why.text);
	peers_set_address(peers, "127.0.0.1:2");
	peers_set_view(peers, &view);
	snprintf(address, sizeof(address), "127.0.0.1:%u", peers_port(peers));
	return pthread_create(&thread, NULL, run, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	uv_async_send(&stop);
	pthread_join(thread, NULL);
	peers_free(peers);
	return uv_loop_close(&loop);
}

/* As Ann's node does; its first frame tells where it is reached. */
static void call_bob_at_level(struct peer_stream *out, uint32_t feature_level)
{
	struct why why = { 0 };
	enum peer_status status;
	struct peer_call call = { .address = address, .cluster_id = cluster_id, .remote_key = bob.public_key, .proof_secret = view.secret, .own = &ann,
		.hello = { .purpose = PEER_MESSAGES, .feature_level = feature_level, .from = ANN, .to = BOB, .instance = 7 } };
	if (peer_stream_open(out, &call, &status, &why) != 0)
		fail_msg("%s", why.text);
}

static void call_bob(struct peer_stream *out)
{
	call_bob_at_level(out, 1);
}

static void say(struct peer_stream *stream)
{
	struct why why = { 0 };
	if (peer_stream_send(stream, FRAME_ADDRESS, 0, span_text("127.0.0.1:1"), &why) != 0)
		fail_msg("%s", why.text);
}

/* The other end has closed it. */
static bool is_closed(const struct peer_stream *stream, int wait_ms)
{
	uint8_t byte;
	struct pollfd poll_fd = { .fd = stream->fd, .events = POLLIN };
	return poll(&poll_fd, 1, wait_ms) == 1 && recv(stream->fd, &byte, 1, 0) <= 0;
}

static void what_a_node_opened_before_is_closed_once_it_speaks_on_another_connection(void **state)
{
	(void)state;
	struct peer_stream first, second, third;
	call_bob(&first);
	say(&first);
	call_bob(&second);
	assert_false(is_closed(&first, 200)); /* a hello can be played again by anybody */
	say(&second);
	assert_true(is_closed(&first, WAIT_MS));
	call_bob(&third);
	say(&third);
	assert_true(is_closed(&second, WAIT_MS));
	assert_false(is_closed(&third, 0));
	peer_stream_close(&first);
	peer_stream_close(&second);
	peer_stream_close(&third);
}

static void connections_whose_end_was_never_heard_of_shut_nobody_out(void **state)
{
	(void)state;
	enum { CALLS = PEER_INCOMING_MAX + 20 };
	static struct peer_stream streams[CALLS]; /* Ann has forgotten them, as far as Bob can know */
	for (size_t i = 0; i < CALLS; i++) {
		call_bob(&streams[i]);
		say(&streams[i]);
		usleep(2 * 1000 * 1000 / PEER_GREETINGS_PER_S);
	}
	assert_false(is_closed(&streams[CALLS - 1], 0));
	for (size_t i = 0; i + 1 < CALLS; i++)
		assert_true(is_closed(&streams[i], WAIT_MS));
	for (size_t i = 0; i < CALLS; i++)
		peer_stream_close(&streams[i]);
}

/* What the kernel says of Bob's end: "02" is a timer of keepalive (proc(5), net/tcp). */
static bool keepalive_runs(const struct peer_stream *stream)
{
	struct sockaddr_storage name;
	socklen_t length = sizeof(name);
	char line[256];
	unsigned own = 0, other = 0, status = 0, timer = 0;
	bool runs = false;
	assert_int_equal(getsockname(stream->fd, (struct sockaddr *)&name, &length), 0);
	FILE *table = fopen("/proc/net/tcp", "r");
	assert_non_null(table);
	while (fgets(line, sizeof(line), table))
		if (sscanf(line, " %*u: %*8x:%x %*8x:%x %x %*x:%*x %x:", &own, &other, &status, &timer) == 4 && own == peers_port(peers) &&
			other == ntohs(((struct sockaddr_in *)&name)->sin_port) && status == 1)
			runs = timer == 2;
	fclose(table);
	return runs;
}

static void an_end_that_is_silent_is_asked_whether_it_is_still_there(void **state)
{
	(void)state;
	struct peer_stream stream;
	call_bob(&stream);
	for (int tries = 0; tries < WAIT_MS / 10 && !keepalive_runs(&stream); tries++)
		usleep(10 * 1000); /* the timer of what it sent comes first */
	assert_true(keepalive_runs(&stream));
	peer_stream_close(&stream);
}

static uint32_t level_of_ann(void)
{
	uv_async_send(&look);
	while (sem_wait(&looked) != 0)
		;
	return seen.feature_level;
}

static void await_level_of_ann(uint32_t level)
{
	for (int tries = 0; tries < WAIT_MS / 10 && level_of_ann() != level; tries++)
		usleep(10 * 1000);
	assert_int_equal(level_of_ann(), level);
}

static void a_node_is_known_to_know_what_it_says_on_the_connection_that_it_speaks_on(void **state)
{
	(void)state;
	struct peer_stream first, second;
	assert_int_equal(level_of_ann(), 0);
	call_bob_at_level(&first, 3);
	assert_int_equal(level_of_ann(), 0); /* a hello can be played again by anybody */
	say(&first);
	await_level_of_ann(3);
	call_bob_at_level(&second, 2);
	assert_int_equal(level_of_ann(), 3);
	say(&second);
	await_level_of_ann(2);
	assert_true(is_closed(&first, WAIT_MS));
	peer_stream_close(&first);
	peer_stream_close(&second);
	await_level_of_ann(0);
}

/* What Bob says to a node that wants to become a member. */
static enum peer_status ask_to_join(uint64_t node_id, const struct peer_keys *keys, const uint8_t *id, const uint8_t *proof)
{
	struct peer_stream stream;
	struct why why = { 0 };
	enum peer_status status = PEER_FULL;
	struct peer_call call = { .address = address, .cluster_id = cluster_id, .remote_key = bob.public_key, .proof_secret = proof, .own = keys,
		.hello = { .purpose = PEER_JOIN, .feature_level = 1, .from = node_id, .to = BOB, .instance = 7 } };
	memcpy(call.hello.token_id, id, PEER_TOKEN_ID_BYTES);
	if (peer_stream_open(&stream, &call, &status, &why) == 0)
		peer_stream_close(&stream);
	return status;
}

static void a_used_token_lets_in_nobody_but_the_node_that_was_let_in_by_one(void **state)
{
	(void)state;
	static const uint8_t used[PEER_TOKEN_ID_BYTES] = "used", other_proof[PEER_SECRET_BYTES] = "something else";
	struct peer_keys stranger;
	peer_keys_make(&stranger);
	assert_int_equal(ask_to_join(CLEO, &stranger, token_id, token_proof), PEER_ACCEPTED);
	assert_int_equal(ask_to_join(ANN, &ann, used, token_proof), PEER_ACCEPTED);
	assert_int_equal(ask_to_join(CLEO, &stranger, used, token_proof), PEER_BAD_TOKEN);
	assert_int_equal(ask_to_join(ANN, &stranger, used, token_proof), PEER_BAD_TOKEN);
	assert_int_equal(ask_to_join(CLEO, &ann, used, token_proof), PEER_BAD_TOKEN);
	assert_int_equal(ask_to_join(DAN, &dan, used, token_proof), PEER_BAD_TOKEN); /* he was removed */
	assert_int_equal(ask_to_join(ANN, &ann, token_id, other_proof), PEER_BAD_TOKEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_a_node_opened_before_is_closed_once_it_speaks_on_another_connection, set_up, tear_down),
		cmocka_unit_test_setup_teardown(connections_whose_end_was_never_heard_of_shut_nobody_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_end_that_is_silent_is_asked_whether_it_is_still_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_node_is_known_to_know_what_it_says_on_the_connection_that_it_speaks_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_used_token_lets_in_nobody_but_the_node_that_was_let_in_by_one, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
