/* The ground the server's moves stand on: a socket whose uv_poll_t is closed on one loop can be watched anew on another, again and again,
 * without losing an event or leaving one behind. Each echo server connection here changes loops after every byte that it answers. */
#include <arpa/inet.h>
#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

enum { LOOPS = 2, PAIRS = 50, ROUNDS = 200 };

struct mover {
	uv_poll_t poll;
	int fd;
	struct lane *lane;
	struct mover *next; /* in a lane's queue */
	unsigned moves;
};

struct lane {
	uv_loop_t uv;
	uv_async_t wake;
	pthread_t thread;
	_Atomic(struct mover *) arrivals;
	struct lane *other;
};

static atomic_uint closed_count;
static struct lane lanes[LOOPS];

static void lane_send(struct lane *lane, struct mover *mover)
{
	mover->next = atomic_load(&lane->arrivals);
	while (!atomic_compare_exchange_weak(&lane->arrivals, &mover->next, mover))
		;
	uv_async_send(&lane->wake);
}

static void on_moved(uv_handle_t *handle)
{
	struct mover *mover = handle->data;
	mover->moves++;
	lane_send(mover->lane->other, mover);
}

static void on_closed(uv_handle_t *handle)
{
	struct mover *mover = handle->data;
	close(mover->fd);
	assert(mover->moves >= ROUNDS);
	free(mover);
	if (atomic_fetch_add(&closed_count, 1) + 1 == PAIRS)
		for (int i = 0; i < LOOPS; i++)
			uv_async_send(&lanes[i].wake);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
	struct mover *mover = poll->data;
	(void)events;
	char byte;
	ssize_t n = status < 0 ? 0 : recv(mover->fd, &byte, 1, 0);
	if (n == 1) {
		assert(send(mover->fd, &byte, 1, MSG_NOSIGNAL) == 1);
		uv_close((uv_handle_t *)poll, on_moved);
	} else if (n == 0) {
		uv_close((uv_handle_t *)poll, on_closed);
	}
}

static void on_wake(uv_async_t *async)
{
	struct lane *lane = async->data;
	struct mover *mover = atomic_exchange(&lane->arrivals, NULL);
	while (mover) {
		struct mover *next = mover->next;
		mover->lane = lane;
		assert(uv_poll_init(&lane->uv, &mover->poll, mover->fd) == 0);
		mover->poll.data = mover;
		assert(uv_poll_start(&mover->poll, UV_READABLE, on_event) == 0);
		mover = next;
	}
	if (atomic_load(&closed_count) == PAIRS && !uv_is_closing((uv_handle_t *)async))
		uv_close((uv_handle_t *)async, NULL);
}

static void *lane_run(void *context)
{
	struct lane *lane = context;
	uv_run(&lane->uv, UV_RUN_DEFAULT);
	assert(uv_loop_close(&lane->uv) == 0);
	return NULL;
}

static void a_socket_moves_between_loops_and_loses_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < LOOPS; i++) {
		lanes[i].other = &lanes[(i + 1) % LOOPS];
		assert_int_equal(uv_loop_init(&lanes[i].uv), 0);
		assert_int_equal(uv_async_init(&lanes[i].uv, &lanes[i].wake, on_wake), 0);
		lanes[i].wake.data = &lanes[i];
	}
	for (int i = 0; i < LOOPS; i++)
		assert_int_equal(pthread_create(&lanes[i].thread, NULL, lane_run, &lanes[i]), 0);
	int ends[PAIRS];
	for (int i = 0; i < PAIRS; i++) {
		int pair[2];
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		ends[i] = pair[0];
		struct mover *mover = calloc(1, sizeof(*mover));
		mover->fd = pair[1];
		lane_send(&lanes[i % LOOPS], mover);
	}
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < PAIRS; i++)
			assert_int_equal(send(ends[i], "x", 1, MSG_NOSIGNAL), 1);
		for (int i = 0; i < PAIRS; i++) {
			char byte = 0;
			assert_int_equal(recv(ends[i], &byte, 1, 0), 1);
		}
	}
	for (int i = 0; i < PAIRS; i++)
		close(ends[i]);
	for (int i = 0; i < LOOPS; i++)
		pthread_join(lanes[i].thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_socket_moves_between_loops_and_loses_nothing) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
