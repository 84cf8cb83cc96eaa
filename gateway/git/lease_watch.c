#include "gateway/git/lease_watch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

struct watched {
	struct git_lease lease;
	struct gate_pass pass;
	int pidfd;
};

struct lease_watch {
	struct gateway *gateway;
	pthread_t thread;
	int wake_fd;
	pthread_mutex_t mutex; /* guards what follows */
	bool closing;
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

static void *run(void *context)
{
	struct lease_watch *watch = context;
	struct pollfd fds[LEASE_WATCH_MAX + 1];
	for (;;) {
		bool closing;
		nfds_t count = list_fds(watch, fds, &closing);
		if (closing)
			return NULL;
		if (poll(fds, count, -1) < 0)
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

size_t lease_watch_count(struct lease_watch *watch)
{
	pthread_mutex_lock(&watch->mutex);
	size_t count = watch->count;
	pthread_mutex_unlock(&watch->mutex);
	return count;
}
