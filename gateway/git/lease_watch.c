#include "gateway/git/lease_watch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "gateway/git/process_tree.h"

struct watched {
	struct git_lease lease;
	struct gate_pass pass;
	int pidfd;
	pid_t pid;
	struct process_tree_use use; /* at the last look */
	bool is_new;                 /* no look yet */
	unsigned idle_looks;
};

struct lease_watch {
	struct gateway *gateway;
	pthread_t thread;
	int wake_fd;
	pthread_mutex_t mutex; /* guards what follows */
	bool closing;
	int look_ms;
	size_t count;
	struct watched *watched[LEASE_WATCH_MAX];
};

static void give_back(struct lease_watch *watch, struct watched *watched)
{
	git_cache_release(watch->gateway, &watched->lease);
	gate_leave(&watched->pass);
	close(watched->pidfd);
	free(watched);
}

/* What to wait for; the last one is the wake-up. */
static nfds_t list_fds(struct lease_watch *watch, struct pollfd fds[LEASE_WATCH_MAX + 1], bool *closing)
{
	pthread_mutex_lock(&watch->mutex);
	nfds_t count = 0;
	for (; count < watch->count; count++)
		fds[count] = (struct pollfd){ .fd = watch->watched[count]->pidfd, .events = POLLIN };
	*closing = watch->closing;
	pthread_mutex_unlock(&watch->mutex);
	fds[count++] = (struct pollfd){ .fd = watch->wake_fd, .events = POLLIN };
	return count;
}

/* Only this thread removes, so what it listed is still in the table. */
static void take_ended(struct lease_watch *watch, const struct pollfd *fds, nfds_t count)
{
	for (nfds_t i = 0; i < count; i++) {
		if (!fds[i].revents)
			continue;
		struct watched *ended = NULL;
		pthread_mutex_lock(&watch->mutex);
		for (size_t k = 0; k < watch->count && !ended; k++) {
			if (watch->watched[k]->pidfd != fds[i].fd)
				continue;
			ended = watch->watched[k];
			watch->watched[k] = watch->watched[--watch->count];
		}
		pthread_mutex_unlock(&watch->mutex);
		if (ended)
			give_back(watch, ended);
	}
}

/* What it has done since the last look, which was `ms` ago. */
static void look_at(struct watched *watched, int64_t ms)
{
	struct process_tree_use use;
	if (ms <= 0 || process_tree_use(watched->pid, &use) != 0)
		return; /* it has ended, or nothing is known of it */
	uint64_t bytes = use.written_bytes > watched->use.written_bytes ? use.written_bytes - watched->use.written_bytes : 0;
	bool computed = use.cpu_ms != watched->use.cpu_ms && (use.cpu_ms < watched->use.cpu_ms || (use.cpu_ms - watched->use.cpu_ms) * 50 >= (uint64_t)ms);
	uint64_t pace = bytes * 1000 / (uint64_t)ms;
	watched->use = use;
	watched->idle_looks = computed || pace >= LEASE_IDLE_BYTES_PER_S ? 0 : watched->idle_looks + 1;
	if (watched->pass.gate && !computed && pace < LEASE_BUSY_BYTES_PER_S)
		gate_leave(&watched->pass);
	if (watched->idle_looks >= LEASE_IDLE_LOOKS)
		syscall(SYS_pidfd_send_signal, watched->pidfd, SIGTERM, NULL, 0);
}

static int64_t clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Looks at all when it is time; how long it is until then, -1 for ever. */
static int look_at_all(struct lease_watch *watch, int64_t *looked_ms)
{
	pthread_mutex_lock(&watch->mutex);
	int64_t now = clock_ms(), since = now - *looked_ms;
	if (since >= watch->look_ms) {
		for (size_t i = 0; i < watch->count; i++) {
			struct watched *watched = watch->watched[i];
			if (watched->is_new)
				process_tree_use(watched->pid, &watched->use);
			else
				look_at(watched, since);
			watched->is_new = false;
		}
		*looked_ms = now;
		since = 0;
	}
	int left = watch->count ? watch->look_ms - (int)since : -1;
	pthread_mutex_unlock(&watch->mutex);
	return left;
}

static void *run(void *context)
{
	struct lease_watch *watch = context;
	struct pollfd fds[LEASE_WATCH_MAX + 1];
	int64_t looked_ms = clock_ms();
	for (;;) {
		bool closing;
		int left_ms = look_at_all(watch, &looked_ms);
		nfds_t count = list_fds(watch, fds, &closing);
		if (closing)
			return NULL;
		if (poll(fds, count, left_ms) <= 0)
			continue;
		uint64_t wakes;
		if (fds[count - 1].revents && read(watch->wake_fd, &wakes, sizeof(wakes)) < 0 && errno != EAGAIN)
			abort();
		take_ended(watch, fds, count - 1);
	}
}

static void wake(struct lease_watch *watch)
{
	ssize_t written = write(watch->wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	(void)written; /* the counter is full: it is awake */
}

int lease_watch_open(struct lease_watch **out, struct gateway *gateway, struct why *why)
{
	struct lease_watch *watch = calloc(1, sizeof(*watch));
	*out = NULL;
	if (!watch)
		return why_set(why, ERR_NO_MEMORY, "no memory");
	watch->gateway = gateway;
	watch->look_ms = LEASE_LOOK_MS;
	watch->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&watch->mutex, NULL);
	if (watch->wake_fd >= 0 && pthread_create(&watch->thread, NULL, run, watch) == 0) {
		*out = watch;
		return 0;
	}
	if (watch->wake_fd >= 0)
		close(watch->wake_fd);
	pthread_mutex_destroy(&watch->mutex);
	free(watch);
	return why_set(why, ERR_NO_MEMORY, "cannot watch over clones");
}

void lease_watch_close(struct lease_watch *watch)
{
	if (!watch)
		return;
	pthread_mutex_lock(&watch->mutex);
	watch->closing = true;
	pthread_mutex_unlock(&watch->mutex);
	wake(watch);
	pthread_join(watch->thread, NULL);
	while (watch->count)
		give_back(watch, watch->watched[--watch->count]);
	close(watch->wake_fd);
	pthread_mutex_destroy(&watch->mutex);
	free(watch);
}

int lease_watch_add(struct lease_watch *watch, struct git_lease *lease, struct gate_pass *pass, pid_t pid, struct why *why)
{
	struct watched *watched = malloc(sizeof(*watched));
	if (!watched)
		return why_set(why, ERR_NO_MEMORY, "no memory");
	watched->pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (watched->pidfd < 0) {
		free(watched);
		return why_set(why, ERR_NOT_FOUND, "the process that asks is not of this machine: sshd must run beside the hub");
	}
	watched->lease = *lease;
	watched->pass = *pass;
	watched->pid = pid;
	watched->is_new = true;
	watched->use = (struct process_tree_use){ 0 };
	watched->idle_looks = 0;
	pthread_mutex_lock(&watch->mutex);
	bool fits = watch->count < LEASE_WATCH_MAX;
	if (fits)
		watch->watched[watch->count++] = watched;
	pthread_mutex_unlock(&watch->mutex);
	if (!fits) {
		close(watched->pidfd);
		free(watched);
		return why_set(why, ERR_BUSY, "too many clones over SSH are running; try again");
	}
	lease->repo = NULL;
	pass->gate = NULL;
	wake(watch);
	return 0;
}

void lease_watch_set_look(struct lease_watch *watch, int look_ms)
{
	pthread_mutex_lock(&watch->mutex);
	watch->look_ms = look_ms;
	pthread_mutex_unlock(&watch->mutex);
	wake(watch);
}

size_t lease_watch_count(struct lease_watch *watch)
{
	pthread_mutex_lock(&watch->mutex);
	size_t count = watch->count;
	pthread_mutex_unlock(&watch->mutex);
	return count;
}
