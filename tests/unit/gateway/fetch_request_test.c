/* What requests to upload-pack are about, and their bodies. */
#include "gateway/git/fetch_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "gateway/git/gate.h"
#include "gateway/git/request_body.h"
#include "gateway/git/target.h"

/* ---- requests ---- */

static int parse(struct fetch_request *out, unsigned protocol, const char *text)
{
	return fetch_request_parse(out, protocol, span_text(text));
}

static void a_clone_and_a_fetch_are_told_apart(void **state)
{
	(void)state;
	struct fetch_request request;
	assert_int_equal(parse(&request, 2, "0011command=fetch00010032want 1111111111111111111111111111111111111111\n0009done\n0000"), 0);
	assert_int_equal(request.command, FETCH_PACK);
	assert_false(request.has_haves);
	assert_int_equal(parse(&request, 2, "0012command=fetch\n00010032have 1111111111111111111111111111111111111111\n0000"), 0);
	assert_int_equal(request.command, FETCH_PACK);
	assert_true(request.has_haves);
	assert_int_equal(parse(&request, 0, "0032want 1111111111111111111111111111111111111111\n00000009done\n"), 0);
	assert_int_equal(request.command, FETCH_PACK);
	assert_false(request.has_haves || request.is_empty);
	assert_int_equal(parse(&request, 1, "0032want 1111111111111111111111111111111111111111\n00000032have 1111111111111111111111111111111111111111\n0009done\n"), 0);
	assert_true(request.has_haves);
}

static void a_shallow_or_filtered_clone_is_partial(void **state)
{
	(void)state;
	struct fetch_request request;
	assert_int_equal(parse(&request, 2, "0011command=fetch0001000ddeepen 1\n0009done\n0000"), 0);
	assert_true(request.is_partial);
	assert_int_equal(parse(&request, 2, "0011command=fetch00010015filter blob:none\n0009done\n0000"), 0);
	assert_true(request.is_partial);
	assert_int_equal(parse(&request, 2, "0011command=fetch00010009done\n0000"), 0);
	assert_false(request.is_partial);
}

static void commands_of_protocol_2_are_known(void **state)
{
	(void)state;
	struct fetch_request request;
	assert_int_equal(parse(&request, 2, "000bagent=x0013command=ls-refs0000"), 0);
	assert_int_equal(request.command, FETCH_REFS);
	assert_int_equal(parse(&request, 2, "0016command=bundle-uri0000"), 0);
	assert_int_equal(request.command, FETCH_BUNDLE_URI);
	assert_int_equal(parse(&request, 2, "0014command=whatever0000"), 0);
	assert_int_equal(request.command, FETCH_UNKNOWN);
}

static void only_flushes_are_an_empty_request(void **state)
{
	(void)state;
	struct fetch_request request;
	assert_int_equal(parse(&request, 0, "0000"), 0);
	assert_true(request.is_empty);
	assert_int_equal(parse(&request, 0, ""), 0);
	assert_true(request.is_empty);
}

static void what_is_no_sequence_of_packets_is_refused(void **state)
{
	(void)state;
	struct fetch_request request;
	static const char *const bad[] = { "x", "000", "0003", "zzzz", "0011command=fetch00", "00ff short", "0000x" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(&request, 2, bad[i]), ERR_CORRUPT);
}

static unsigned protocol(const char *text)
{
	return git_protocol_of(span_text(text));
}

static void only_a_known_version_is_taken_from_the_header(void **state)
{
	(void)state;
	assert_int_equal(protocol("version=2"), 2);
	assert_int_equal(protocol("version=1"), 1);
	assert_int_equal(protocol("version=1:version=2:x"), 2);
	assert_int_equal(protocol("a=b:version=2"), 2);
	static const char *const none[] = { "", "version=", "version=3", "version=22", "version", "Version=2", "version=2 ", ":::", "version=-1" };
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(protocol(none[i]), 0);
	assert_int_equal(git_protocol_of(span_of(NULL, 0)), 0);
}

/* ---- bodies ---- */

static char dir[] = "/tmp/cairn-body-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	char path[64];
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "mkdir %s/tmp", dir);
	return system(path);
}

static int remove_dir(void **state)
{
	(void)state;
	char path[64];
	snprintf(path, sizeof(path), "rm -r %s", dir);
	return system(path);
}

static struct request_body *open_body(const char *encoding, uint64_t bytes_max)
{
	struct request_body *body;
	struct why why = { 0 };
	assert_int_equal(request_body_open(&body, dir, span_text(encoding), bytes_max, &why), 0);
	return body;
}

static size_t deflate_all(const uint8_t *in, size_t length, uint8_t *out, size_t capacity)
{
	z_stream z = { 0 };
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)in;
	z.avail_in = (uInt)length;
	z.next_out = out;
	z.avail_out = (uInt)capacity;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	size_t used = capacity - z.avail_out;
	deflateEnd(&z);
	return used;
}

enum { LARGE_BYTES = 1 << 20 };
static uint8_t large[LARGE_BYTES], packed[2 * LARGE_BYTES];

static void fill_large(void)
{
	for (size_t i = 0; i < LARGE_BYTES; i++)
		large[i] = (uint8_t)(i * 2654435761u >> 24);
}

static void assert_body(struct request_body *body, const uint8_t *data, size_t length)
{
	struct span bytes;
	struct why why = { 0 };
	int fd;
	assert_int_equal(request_body_end(body, &why), 0);
	assert_int_equal(request_body_bytes(body, &bytes, &why), 0);
	assert_int_equal(bytes.length, length);
	assert_memory_equal(bytes.data, data, length);
	assert_int_equal(request_body_fd(body, &fd, &why), 0);
	uint8_t *copy = malloc(length + 1);
	size_t got = 0;
	for (ssize_t n; (n = read(fd, copy + got, length + 1 - got)) > 0;)
		got += (size_t)n;
	assert_int_equal(got, length);
	assert_memory_equal(copy, data, length);
	free(copy);
}

static void bodies_come_back_small_and_large_plain_and_compressed(void **state)
{
	(void)state;
	struct why why = { 0 };
	fill_large();
	static const size_t lengths[] = { 1, 1000, REQUEST_BODY_MEMORY_BYTES_MAX, REQUEST_BODY_MEMORY_BYTES_MAX + 1, LARGE_BYTES };
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct request_body *body = open_body("", LARGE_BYTES);
		for (size_t at = 0; at < lengths[i]; at += 7777)
			assert_int_equal(request_body_write(body, large + at, lengths[i] - at < 7777 ? lengths[i] - at : 7777, &why), 0);
		assert_body(body, large, lengths[i]);
		request_body_close(body);
		size_t used = deflate_all(large, lengths[i], packed, sizeof(packed));
		body = open_body("GZip", LARGE_BYTES);
		for (size_t at = 0; at < used; at += 100)
			assert_int_equal(request_body_write(body, packed + at, used - at < 100 ? used - at : 100, &why), 0);
		assert_body(body, large, lengths[i]);
		request_body_close(body);
	}
}

static void inflated_bytes_are_what_the_limit_counts(void **state)
{
	(void)state;
	struct why why = { 0 };
	memset(large, 0, sizeof(large));
	size_t used = deflate_all(large, LARGE_BYTES, packed, sizeof(packed));
	struct request_body *body = open_body("gzip", LARGE_BYTES - 1);
	assert_int_equal(request_body_write(body, packed, used, &why), ERR_TOO_BIG);
	request_body_close(body);
}

static void broken_compression_is_refused(void **state)
{
	(void)state;
	struct why why = { 0 };
	fill_large();
	size_t used = deflate_all(large, 5000, packed, sizeof(packed));
	struct request_body *body = open_body("gzip", LARGE_BYTES);
	assert_int_equal(request_body_write(body, packed, used - 1, &why), 0);
	assert_int_equal(request_body_end(body, &why), ERR_CORRUPT); /* ends early */
	request_body_close(body);
	body = open_body("gzip", LARGE_BYTES);
	assert_int_equal(request_body_write(body, packed, used, &why), 0);
	assert_int_equal(request_body_write(body, "more", 4, &why), ERR_CORRUPT); /* goes on behind its end */
	request_body_close(body);
	body = open_body("gzip", LARGE_BYTES);
	assert_int_equal(request_body_write(body, "no gzip at all", 14, &why), ERR_CORRUPT);
	request_body_close(body);
	assert_int_equal(request_body_open(&body, dir, span_text("br"), LARGE_BYTES, &why), ERR_UNSUPPORTED);
}

/* ---- places ---- */

static void nobody_gets_all_places(void **state)
{
	(void)state;
	enum { PLACES = 8 };
	struct gate *gate;
	struct gate_pass passes[PLACES], one;
	struct entity_id repos[3] = { { { 1 } }, { { 2 } }, { { 3 } } };
	assert_int_equal(gate_open(&gate, PLACES, 64), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(gate_enter(gate, &repos[0], "ada", &passes[i], NULL), 0);
	for (int i = 4; i < 6; i++)
		assert_int_equal(gate_enter(gate, &repos[0], "bob", &passes[i], NULL), 0);
	assert_int_equal(gate_running(gate), 6); /* three quarters are the repository's; half are ada's */
	assert_int_equal(gate_enter(gate, &repos[1], "carol", &passes[6], NULL), 0);
	assert_int_equal(gate_enter(gate, &repos[1], "bob", &passes[7], NULL), 0);
	for (int i = 0; i < 4; i++)
		gate_leave(&passes[i]);
	assert_int_equal(gate_enter(gate, &repos[2], "ada", &one, NULL), 0);
	gate_leave(&one);
	gate_leave(&one); /* given back once */
	for (int i = 4; i < PLACES; i++)
		gate_leave(&passes[i]);
	assert_int_equal(gate_running(gate), 0);
	gate_close(gate);
}

/* A place whose holder has an answer for a client under way. */
static struct gate_pass answering(struct gate *gate, const struct entity_id *repo, const char *who, size_t bytes)
{
	struct gate_pass pass;
	assert_int_equal(gate_enter(gate, repo, who, &pass, NULL), 0);
	gate_pass_got(&pass, bytes);
	return pass;
}

static void let_a_look_pass(void)
{
	usleep(5000);
}

static void who_leaves_git_idle_loses_the_place_to_who_wants_one(void **state)
{
	(void)state;
	struct gate *gate;
	struct entity_id repo = { { 1 } };
	assert_int_equal(gate_open(&gate, 4, 64), 0);
	gate_set_look(gate, 1);
	struct gate_pass slow = answering(gate, &repo, "ada", 1);
	struct gate_pass fast = answering(gate, &repo, "bob", (size_t)1 << 40);
	struct gate_pass working = answering(gate, &repo, "carol", 1);
	gate_pass_waits(&working);
	let_a_look_pass();
	assert_int_equal(gate_running(gate), 3); /* nobody wanted one; these are all of the repository's */
	struct gate_pass next = answering(gate, &repo, "dan", 1);
	assert_int_equal(gate_running(gate), 3);
	gate_leave(&slow);
	assert_int_equal(gate_running(gate), 3); /* it had none any more */
	gate_leave(&fast);
	gate_leave(&working);
	gate_leave(&next);
	assert_int_equal(gate_running(gate), 0);
	gate_close(gate);
}

static void one_user_goes_on_without_a_place_only_so_often(void **state)
{
	(void)state;
	enum { WITHOUT_MAX = GATE_WITHOUT_MAX / 4 };
	struct gate *gate;
	struct entity_id repo = { { 1 } };
	struct gate_pass ada[WITHOUT_MAX + 1];
	assert_int_equal(gate_open(&gate, 2, 64), 0);
	gate_set_look(gate, 1);
	for (int i = 0; i <= WITHOUT_MAX; i++) {
		ada[i] = answering(gate, &repo, "ada", 1);
		let_a_look_pass();
	}
	assert_int_equal(gate_running(gate), 1);
	struct gate_pass bob = answering(gate, &repo, "bob", 1);
	let_a_look_pass();
	struct gate_pass carol = answering(gate, &repo, "carol", 1);
	gate_leave(&bob); /* who lost his place: ada keeps hers */
	assert_int_equal(gate_running(gate), 2);
	for (int i = 0; i <= WITHOUT_MAX; i++)
		gate_leave(&ada[i]);
	assert_int_equal(gate_running(gate), 1);
	gate_leave(&carol);
	assert_int_equal(gate_running(gate), 0);
	gate_close(gate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_clone_and_a_fetch_are_told_apart),
		cmocka_unit_test(a_shallow_or_filtered_clone_is_partial),
		cmocka_unit_test(commands_of_protocol_2_are_known),
		cmocka_unit_test(only_flushes_are_an_empty_request),
		cmocka_unit_test(what_is_no_sequence_of_packets_is_refused),
		cmocka_unit_test(only_a_known_version_is_taken_from_the_header),
		cmocka_unit_test(bodies_come_back_small_and_large_plain_and_compressed),
		cmocka_unit_test(inflated_bytes_are_what_the_limit_counts),
		cmocka_unit_test(broken_compression_is_refused),
		cmocka_unit_test(nobody_gets_all_places),
		cmocka_unit_test(who_leaves_git_idle_loses_the_place_to_who_wants_one),
		cmocka_unit_test(one_user_goes_on_without_a_place_only_so_often),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
