/* Pages of a file through a pipe into a socket: in order, whole, never more pipes than allowed. */
#include "gateway/http/pipe.h"

#include "schemas/error.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { FILE_BYTES = 3 << 20, STEP = 65536 + 8 /* chunks with their heads: ends in the middle of pages */ };

static uint8_t content[FILE_BYTES], heard[FILE_BYTES];
static int file, ends[2];

static int setup(void **state)
{
	(void)state;
	char path[] = "/tmp/cairn-pipe-XXXXXX";
	file = mkstemp(path);
	unlink(path);
	for (size_t i = 0; i < FILE_BYTES; i++)
		content[i] = (uint8_t)(i * 31 + i / 4096);
	assert_int_equal(write(file, content, FILE_BYTES), FILE_BYTES);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(file);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static size_t hear(void)
{
	size_t have = 0;
	for (ssize_t got; (got = read(ends[1], heard + have, FILE_BYTES - have)) > 0;)
		have += (size_t)got;
	return have;
}

static void extents_arrive_in_order_and_whole(void **state)
{
	(void)state;
	struct pipe_pool pool = { 0 };
	struct pipe *pipe = pipe_take(&pool);
	uint64_t next = 8, left = STEP - 8; /* of the file, as a reader of chunks would go */
	size_t checked = 8;
	assert_non_null(pipe);
	while (next < FILE_BYTES || pipe->bytes > 0) {
		while (next < FILE_BYTES) {
			int64_t taken = pipe_fill(pipe, file, next, left < FILE_BYTES - next ? left : FILE_BYTES - next);
			if (taken == ERR_AGAIN)
				break;
			assert_true(taken > 0);
			next += (uint64_t)taken;
			left -= (uint64_t)taken;
			if (left == 0)
				next += 8, left = STEP - 8;
		}
		assert_true(pipe->bytes > 0 && pipe->bytes <= PIPE_BYTES);
		int64_t sent = pipe_drain(pipe, ends[0], next < FILE_BYTES);
		assert_true(sent > 0 || sent == ERR_AGAIN);
		size_t have = hear();
		for (size_t i = 0; i < have; i++, checked++) {
			if (checked % STEP == 0)
				checked += 8;
			assert_int_equal(heard[i], content[checked]);
		}
	}
	assert_int_equal(checked, FILE_BYTES);
	pipe_give(&pool, pipe);
	assert_int_equal(pool.count, 1); /* kept for the next */
	pipe_pool_free(&pool);
	assert_int_equal(pool.count, 0);
}

static void a_full_pipe_and_a_full_socket_say_so(void **state)
{
	(void)state;
	struct pipe_pool pool = { 0 };
	struct pipe *pipe = pipe_take(&pool);
	int64_t taken, sent;
	while ((taken = pipe_fill(pipe, file, 0, FILE_BYTES)) > 0)
		;
	assert_int_equal(taken, ERR_AGAIN);
	while ((sent = pipe_drain(pipe, ends[0], false)) > 0 && pipe->bytes > 0)
		;
	assert_int_equal(sent, ERR_AGAIN);
	assert_true(pipe->bytes > 0);
	assert_int_equal(pipe_fill(pipe, file, FILE_BYTES, 1), 0); /* behind the end */
	pipe_give(&pool, pipe);
	assert_int_equal(pool.count, 0); /* what it held is nobody's */
	hear();
}

static void a_peer_that_hung_up_is_noticed(void **state)
{
	(void)state;
	struct pipe_pool pool = { 0 };
	struct pipe *pipe = pipe_take(&pool);
	signal(SIGPIPE, SIG_IGN);
	assert_true(pipe_fill(pipe, file, 0, 100) > 0);
	close(ends[1]);
	assert_int_equal(pipe_drain(pipe, ends[0], false), ERR_CLOSED);
	pipe_give(&pool, pipe);
}

static void there_are_no_more_pipes_than_allowed(void **state)
{
	(void)state;
	struct pipe_pool pool = { 0 };
	struct pipe *pipes[PIPES_MAX];
	for (int i = 0; i < PIPES_MAX; i++)
		assert_non_null(pipes[i] = pipe_take(&pool));
	assert_null(pipe_take(&pool));
	for (int i = 0; i < PIPES_MAX; i++)
		pipe_give(&pool, pipes[i]);
	assert_non_null(pipes[0] = pipe_take(&pool));
	pipe_give(&pool, pipes[0]);
	pipe_pool_free(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(extents_arrive_in_order_and_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_pipe_and_a_full_socket_say_so, setup, teardown),
		cmocka_unit_test_setup_teardown(a_peer_that_hung_up_is_noticed, setup, teardown),
		cmocka_unit_test(there_are_no_more_pipes_than_allowed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
