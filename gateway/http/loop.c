#include "gateway/http/request.h"
#include "gateway/http/server.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

void loop_post(struct loop *loop, struct post *post)
{
	struct post *first = atomic_load_explicit(&loop->posts, memory_order_relaxed);
	do {
		post->next = first;
	} while (!atomic_compare_exchange_weak_explicit(&loop->posts, &first, post, memory_order_release, memory_order_relaxed));
	if (!first)
		uv_async_send(&loop->wake); /* later ones ride along with the first */
}

/* The list is last in, first out: turn it round, so that nobody is overtaken. */
static struct post *take_posts(struct loop *loop)
{
	struct post *post = atomic_exchange_explicit(&loop->posts, NULL, memory_order_acquire);
	struct post *first = NULL;
	while (post) {
		struct post *next = post->next;
		post->next = first;
		first = post;
		post = next;
	}
	return first;
}

static void on_wake(uv_async_t *wake)
{
	struct post *post = take_posts(wake->data);
	while (post) {
		struct post *next = post->next;
		post->run(post);
		post = next;
	}
}

/* ---- ready connections ---- */

static void on_spin(uv_idle_t *spin)
{
	struct loop *loop = spin->data;
	for (int round = 0; round < LOOP_READY_ROUNDS_MAX && !TAILQ_EMPTY(&loop->ready); round++) {
		struct connection_list now = TAILQ_HEAD_INITIALIZER(now);
		TAILQ_CONCAT(&now, &loop->ready, ready_link);
		struct connection *connection;
		TAILQ_FOREACH(connection, &now, ready_link)
			connection->is_ready = false;
		while ((connection = TAILQ_FIRST(&now))) {
			TAILQ_REMOVE(&now, connection, ready_link);
			connection_event(connection, UV_READABLE);
		}
	}
	if (TAILQ_EMPTY(&loop->ready))
		uv_idle_stop(spin);
}

void loop_make_ready(struct loop *loop, struct connection *connection)
{
	if (connection->is_ready)
		return;
	connection->is_ready = true;
	TAILQ_INSERT_TAIL(&loop->ready, connection, ready_link);
	if (!uv_is_active((uv_handle_t *)&loop->spin))
		uv_idle_start(&loop->spin, on_spin);
}

/* ---- time ---- */

static void on_expired(struct timer_entry *entry)
{
	connection_expired((struct connection *)((char *)entry - offsetof(struct connection, timer)));
}

static void arm_timer(struct loop *loop);

static void on_timer(uv_timer_t *timer)
{
	struct loop *loop = timer->data;
	timer_wheel_advance(&loop->wheel, uv_now(&loop->uv), on_expired);
	arm_timer(loop);
}

static void arm_timer(struct loop *loop)
{
	uint64_t next_ms = timer_wheel_next(&loop->wheel), now_ms = uv_now(&loop->uv);
	if (next_ms == TIMER_NEVER)
		uv_timer_stop(&loop->timer);
	else
		uv_timer_start(&loop->timer, on_timer, next_ms > now_ms ? next_ms - now_ms : 1, 0);
}

uint64_t loop_now_ms(const struct loop *loop)
{
	return uv_now(&loop->uv);
}

void loop_set_deadline(struct loop *loop, struct connection *connection, uint64_t deadline_ms)
{
	if (!timer_set(&loop->wheel, &connection->timer, deadline_ms))
		return;
	uint64_t due_ms = connection->timer.tick * TIMER_TICK_MS, now_ms = uv_now(&loop->uv);
	uint64_t in_ms = due_ms > now_ms ? due_ms - now_ms : 1;
	if (!uv_is_active((uv_handle_t *)&loop->timer) || uv_timer_get_due_in(&loop->timer) > in_ms)
		uv_timer_start(&loop->timer, on_timer, in_ms, 0);
}

/* ---- orders from the server ---- */

static void for_each(struct loop *loop, void (*order)(struct connection *connection))
{
	struct connection *connection = TAILQ_FIRST(&loop->connections);
	while (connection) {
		struct connection *next = TAILQ_NEXT(connection, link);
		order(connection); /* may take it off the list */
		connection = next;
	}
}

static void on_drain(struct post *post)
{
	struct loop *loop = (struct loop *)((char *)post - offsetof(struct loop, drain));
	loop->draining = true;
	listener_close(loop);
	for_each(loop, connection_drain);
	server_wake_if_empty(loop->server);
	loop_finish_if_empty(loop);
}

static void on_cut(struct post *post)
{
	struct loop *loop = (struct loop *)((char *)post - offsetof(struct loop, cut));
	loop->cutting = true;
	for_each(loop, connection_cut);
	loop_finish_if_empty(loop);
}

static void on_memory(struct post *post)
{
	struct loop *loop = (struct loop *)((char *)post - offsetof(struct loop, memory));
	atomic_store(&loop->memory_posted, false);
	body_memory_available(loop);
	loop_finish_if_empty(loop);
}

/* The end is agreed on by all loops: a connection may still be on its way from one to another, or be waiting in another's accept queue, so a loop
 * goes only when the server has none left; whoever closes the last one wakes the others. */
void loop_finish_if_empty(struct loop *loop)
{
	if (!loop->draining || loop->closing || loop->connections_count > 0)
		return;
	struct http_server *server = loop->server;
	if (!server_is_empty(server))
		return;
	loop->closing = true;
	uv_close((uv_handle_t *)&loop->spin, NULL);
	uv_close((uv_handle_t *)&loop->timer, NULL);
	uv_close((uv_handle_t *)&loop->pause, NULL);
	uv_close((uv_handle_t *)&loop->wake, NULL);
}

/* ---- its thread ---- */

static void *loop_run(void *context)
{
	struct loop *loop = context;
	if (loop->bulk)
		setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), BULK_LOOP_NICE);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	return NULL;
}

int loop_init(struct loop *loop, struct http_server *server, bool bulk, struct why *why)
{
	*loop = (struct loop){ .server = server, .bulk = bulk, .listen_fd = -1 };
	TAILQ_INIT(&loop->connections);
	TAILQ_INIT(&loop->ready);
	TAILQ_INIT(&loop->waiting);
	loop->drain.run = on_drain;
	loop->cut.run = on_cut;
	loop->memory.run = on_memory;
	loop->scratch_bytes = bulk ? LOOP_RECV_BULK_BYTES : LOOP_RECV_CONTROL_BYTES;
	loop->scratch = aligned_alloc(4096, loop->scratch_bytes);
	if (!loop->scratch)
		return why_set(why, ERR_NO_MEMORY, "no memory for the receive buffer of a loop");
	int err = uv_loop_init(&loop->uv);
	if (err) {
		free(loop->scratch);
		return why_set(why, ERR_IO, "cannot make an event loop: %s", uv_strerror(err));
	}
	/* These only initialise memory, but for the async handle: its eventfd may fail. */
	uv_idle_init(&loop->uv, &loop->spin);
	uv_timer_init(&loop->uv, &loop->timer);
	uv_timer_init(&loop->uv, &loop->pause);
	loop->spin.data = loop->timer.data = loop->pause.data = loop->wake.data = loop;
	err = uv_async_init(&loop->uv, &loop->wake, on_wake);
	if (err) {
		uv_loop_close(&loop->uv);
		free(loop->scratch);
		return why_set(why, ERR_IO, "cannot make an event loop's wake-up: %s", uv_strerror(err));
	}
	timer_wheel_init(&loop->wheel, uv_now(&loop->uv));
	if (getrandom(&loop->id_prefix, sizeof(loop->id_prefix), 0) != sizeof(loop->id_prefix))
		loop->id_prefix = uv_hrtime();
	return 0;
}

int loop_start(struct loop *loop, struct why *why)
{
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int failed = pthread_create(&loop->thread, NULL, loop_run, loop);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return failed ? why_set(why, ERR_NO_MEMORY, "cannot start a loop's thread: %s", strerror(failed)) : 0;
}

void loop_free(struct loop *loop)
{
	assert(uv_loop_close(&loop->uv) == 0);
	while (loop->free_requests) {
		struct http_request *request = loop->free_requests;
		loop->free_requests = request->next_free;
		free(request);
	}
	pipe_pool_free(&loop->pipes);
	free(loop->scratch);
}

void loop_join(struct loop *loop)
{
	pthread_join(loop->thread, NULL);
}

void loop_discard(struct loop *loop)
{
	loop->draining = true;
	listener_close(loop);
	loop_finish_if_empty(loop);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	loop_free(loop);
}
