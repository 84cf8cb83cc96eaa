/* Copying a group's state from one node to another: large, over what was there before, broken off, bent. */
#include "replication/install.h"
#include "replication/node.h"
#include "replication/peer_calls.h"
#include "tests/unit/replication/fixture.h"

#include <pthread.h>
#include <sys/socket.h>

enum { GROUP = 1, OTHER_GROUP = 0, PAIRS = 60000, VALUE_BYTES = 1500 }; /* more than one file */

static char *dir;
static struct applier *source, *target;
static struct peer_stream giving, taking;
static atomic_bool stop;

static void nothing(void *context)
{
	(void)context;
}

static bool room(void *context)
{
	(void)context;
	return true;
}

static void installed(void *context, uint32_t group)
{
	(void)context;
	(void)group;
}

static const struct applier_calls calls = { .advanced = nothing, .has_room = room, .installed = installed };

static void connect_streams(void)
{
	static const uint8_t cluster[PEER_CLUSTER_ID_BYTES], secret[PEER_SECRET_BYTES];
	struct peer_keys ann, bob;
	struct peer_channel caller, callee;
	struct peer_hello hello = { .purpose = PEER_BULK, .from = 1, .to = 2 }, heard;
	uint8_t out[PEER_HELLO_BYTES], welcome[PEER_WELCOME_BYTES], proof[32];
	enum peer_status status;
	uint64_t id;
	int fds[2];
	assert_true(sodium_init() >= 0);
	peer_keys_make(&ann);
	peer_keys_make(&bob);
	assert_int_equal(peer_channel_call(&caller, cluster, &ann, bob.public_key, &hello, secret, out), 0);
	assert_int_equal(peer_channel_answer(&callee, cluster, &bob, out, &heard, proof), 0);
	assert_int_equal(peer_channel_welcome(&callee, PEER_ACCEPTED, 2, welcome), 0);
	assert_int_equal(peer_channel_called(&caller, &ann, welcome, &status, &id), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	peer_stream_take(&taking, fds[0], 2, &caller);
	peer_stream_take(&giving, fds[1], 1, &callee);
}

static struct applier *open_state(const char *name)
{
	char path[4096];
	struct applier *applier;
	struct why why = { 0 };
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (applier_open(&applier, path, 0, &counter_machine, &calls, &why) != 0)
		fail_msg("%s", why.text);
	return applier;
}

static int set_up(void **state)
{
	(void)state;
	dir = directory_make();
	source = open_state("source");
	target = open_state("target");
	atomic_store(&stop, false);
	connect_streams();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	peer_stream_close(&giving);
	peer_stream_close(&taking);
	applier_close(source);
	applier_close(target);
	directory_remove(dir);
	free(dir);
	return 0;
}

static void put(struct applier *applier, uint32_t group, uint64_t number, struct span value)
{
	struct key key;
	char *error = NULL;
	rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
	key_begin(&key, group, 7, 'x');
	key_add_number(&key, number, 8);
	rocksdb_writeoptions_disable_WAL(options, 1);
	rocksdb_put(applier_db(applier), options, (const char *)key.bytes, key.length, (const char *)value.data, value.length, &error);
	rocksdb_writeoptions_destroy(options);
	assert_null(error);
}

static size_t get(struct applier *applier, uint32_t group, uint64_t number, uint8_t *out, size_t room_bytes)
{
	struct key key;
	char *error = NULL;
	size_t length = 0;
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	key_begin(&key, group, 7, 'x');
	key_add_number(&key, number, 8);
	char *value = rocksdb_get(applier_db(applier), options, (const char *)key.bytes, key.length, &length, &error);
	rocksdb_readoptions_destroy(options);
	assert_null(error);
	if (value)
		memcpy(out, value, length < room_bytes ? length : room_bytes);
	rocksdb_free(value);
	return value ? length : 0;
}

static void put_record(struct applier *applier, uint32_t group, uint64_t index)
{
	/* As the applier itself would: an entry without commands. */
	struct log_entry **entries = must_alloc(index * sizeof(struct log_entry *));
	for (uint64_t i = 0; i < index; i++)
		entries[i] = log_entry_make(ENTRY_BARRIER, i + 1, 3, (struct span){ 0 });
	assert_int_equal(applier_start(applier, NULL), 0);
	applier_put(applier, group, entries, index, index);
	while (applier_applied(applier, group) < index)
		usleep(1000);
}

static void fill_value(uint8_t *value, uint64_t number)
{
	uint64_t x = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
	for (size_t i = 0; i < VALUE_BYTES; i++) { /* nothing that compresses */
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		value[i] = (uint8_t)x;
	}
}

static void *serve(void *context)
{
	struct peer_frame frame;
	struct why why = { 0 };
	(void)context;
	if (peer_stream_receive(&giving, &frame, &why) != 0 || frame.type != FRAME_STATE)
		return "no call";
	struct cursor cursor = cursor_of(frame.body);
	cursor_array(&cursor, 1);
	uint64_t index = cursor_u64(&cursor);
	return install_serve(&giving, applier_db(source), frame.group, index, &stop, &why) == 0 ? NULL : "failed";
}

static int fetch(uint64_t index, struct why *why, void **served)
{
	pthread_t thread;
	pthread_create(&thread, NULL, serve, NULL);
	int err = install_fetch(&taking, dir, GROUP, index, &stop, why);
	shutdown(taking.fd, SHUT_RDWR);
	pthread_join(thread, served);
	return err;
}

static void a_large_state_takes_the_place_of_what_was_there(void **state)
{
	(void)state;
	static uint8_t value[VALUE_BYTES], read[VALUE_BYTES];
	char staged[PATH_MAX];
	void *served;
	struct why why = { 0 };
	for (uint64_t i = 0; i < PAIRS; i++) {
		fill_value(value, i);
		put(source, GROUP, i, span_of(value, sizeof(value)));
	}
	put_record(source, GROUP, 40);
	put(target, GROUP, 5, span_text("old"));
	put(target, GROUP, PAIRS + 9, span_text("gone in the source"));
	put(target, OTHER_GROUP, 5, span_text("of another group"));
	put(source, OTHER_GROUP, 6, span_text("not asked for"));
	if (fetch(30, &why, &served) != 0)
		fail_msg("%s", why.text);
	assert_null(served);
	install_dir(staged, dir, GROUP);
	if (applier_install_now(target, GROUP, staged, &why) != 0)
		fail_msg("%s", why.text);
	assert_int_equal(applier_applied(target, GROUP), 40);
	assert_int_equal(applier_record(target, GROUP)->durable_mark, 30); /* where its log begins */
	for (uint64_t i = 0; i < PAIRS; i++) {
		fill_value(value, i);
		assert_int_equal(get(target, GROUP, i, read, sizeof(read)), VALUE_BYTES);
		assert_memory_equal(read, value, sizeof(value));
	}
	assert_int_equal(get(target, GROUP, PAIRS + 9, read, sizeof(read)), 0);
	assert_int_equal(get(target, OTHER_GROUP, 5, read, sizeof(read)), 16);
	assert_int_equal(get(target, OTHER_GROUP, 6, read, sizeof(read)), 0);

	/* A second time, as after a crash in between; then it is on disk without a flush. */
	assert_int_equal(applier_install_now(target, GROUP, staged, &why), 0);
	install_discard(dir, GROUP);
	assert_int_equal(access(staged, F_OK), -1);
	fill_value(value, 77);
	assert_int_equal(get(target, GROUP, 77, read, sizeof(read)), VALUE_BYTES);
	assert_memory_equal(read, value, sizeof(value));
}

static void a_node_that_has_not_come_that_far_says_so(void **state)
{
	(void)state;
	void *served;
	struct why why = { 0 };
	put_record(source, GROUP, 10);
	assert_int_equal(fetch(11, &why, &served), ERR_BUSY);
	assert_non_null(strstr(why.text, "not come that far"));
}

static void *serve_nonsense(void *context)
{
	const char *kind = context;
	struct peer_frame frame;
	struct buffer body;
	struct key key;
	uint8_t header[8] = { 15, 0, 0, 0, 1, 0, 0, 0 }; /* key and value lengths, little-endian */
	buffer_init(&body, 4096);
	peer_stream_receive(&giving, &frame, NULL);
	key_begin(&key, strcmp(kind, "group") == 0 ? OTHER_GROUP : GROUP, 7, 'x');
	key_add_number(&key, 9, 8);
	for (int i = 0; i < 2; i++) {
		buffer_append(&body, header, sizeof(header));
		buffer_append(&body, key.bytes, key.length);
		buffer_append(&body, "v", 1);
		if (strcmp(kind, "order") != 0)
			key.bytes[key.length - 1]++;
	}
	if (strcmp(kind, "cut") == 0)
		body.length--;
	peer_stream_send(&giving, FRAME_STATE_PAIRS, GROUP, buffer_span(&body), NULL);
	buffer_clear(&body);
	pack_array(&body, 2);
	pack_u64(&body, 2);
	pack_u64(&body, 99);
	peer_stream_send(&giving, FRAME_STATE_END, GROUP, buffer_span(&body), NULL);
	buffer_fini(&body);
	return NULL;
}

static void what_is_not_a_whole_state_of_the_group_is_not_staged(void **state)
{
	(void)state;
	const char *const kinds[] = { "group", "order", "cut", "record" }; /* the last: its own record is missing */
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		pthread_t thread;
		struct why why = { 0 };
		char staged[PATH_MAX];
		pthread_create(&thread, NULL, serve_nonsense, (void *)(uintptr_t)kinds[i]);
		assert_int_equal(install_fetch(&taking, dir, GROUP, 5, &stop, &why), ERR_CORRUPT);
		pthread_join(thread, NULL);
		install_dir(staged, dir, GROUP);
		assert_int_equal(access(staged, F_OK), -1);
		peer_stream_close(&giving);
		peer_stream_close(&taking);
		connect_streams();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_large_state_takes_the_place_of_what_was_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_node_that_has_not_come_that_far_says_so, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_a_whole_state_of_the_group_is_not_staged, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
