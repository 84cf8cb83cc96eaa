/* scrubber.c - DESIGN. The time of the file DIR/scrubbed is that of the end of the last scrub; made at the first start, so that a new store is not
 * read at once. A scrub that a stop interrupts begins anew after the next start. A lost or wrong time costs a scrub too many or too late, nothing else. */
#include "store/scrubber.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct scrubber {
	struct store *store;
	char stamp[4096];
	uint64_t every_s;
	pthread_mutex_t lock;
	pthread_cond_t stop;
	bool stopping;
	struct store_progress progress;
	_Atomic uint64_t scrubs, corrupt;
	pthread_t thread;
};

static void on_finding(void *context, const char *what)
{
	(void)context;
	fprintf(stderr, "cairn: scrub: %s\n", what);
}

static void stamp_now(const struct scrubber *scrubber)
{
	int fd = open(scrubber->stamp, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || futimens(fd, NULL) != 0)
		fprintf(stderr, "cairn: scrub: cannot write %s\n", scrubber->stamp);
	if (fd >= 0)
		close(fd);
}

static int64_t due_s(const struct scrubber *scrubber)
{
	struct stat stat_of;
	if (stat(scrubber->stamp, &stat_of) != 0)
		return 0;
	return (int64_t)stat_of.st_mtime + (int64_t)scrubber->every_s;
}

static void scrub_once(struct scrubber *scrubber)
{
	struct store_scrub_report report;
	struct why why = { 0 };
	int err = store_scrub(scrubber->store, &scrubber->progress, on_finding, NULL, &report, &why);
	if (scrubber->progress.cancel)
		return;
	if (err)
		fprintf(stderr, "cairn: scrub: %s\n", why.text);
	scrubber->corrupt += report.corrupt;
	scrubber->scrubs++;
	stamp_now(scrubber);
}

/* Until it is time, looked at once an hour since somebody may set the clock; false: the store is closing. */
static bool wait_until_due(struct scrubber *scrubber)
{
	pthread_mutex_lock(&scrubber->lock);
	while (!scrubber->stopping) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		int64_t left = due_s(scrubber) - until.tv_sec;
		if (left <= 0)
			break;
		until.tv_sec += left < 3600 ? left : 3600;
		pthread_cond_timedwait(&scrubber->stop, &scrubber->lock, &until);
	}
	bool go_on = !scrubber->stopping;
	pthread_mutex_unlock(&scrubber->lock);
	return go_on;
}

static void *scrubber_main(void *context)
{
	struct scrubber *scrubber = context;
	while (wait_until_due(scrubber))
		scrub_once(scrubber);
	return NULL;
}

int scrubber_open(struct scrubber **out, struct store *store, const char *dir, uint64_t every_s, uint64_t bytes_per_s, struct why *why)
{
	struct scrubber *scrubber = calloc(1, sizeof(*scrubber));
	if (!scrubber)
		return why_set(why, ERR_NO_MEMORY, "no memory for the scrubber");
	scrubber->store = store;
	scrubber->every_s = every_s;
	scrubber->progress.bytes_per_s = bytes_per_s;
	pthread_mutex_init(&scrubber->lock, NULL);
	pthread_cond_init(&scrubber->stop, NULL);
	bool fits = (size_t)snprintf(scrubber->stamp, sizeof(scrubber->stamp), "%s/scrubbed", dir) < sizeof(scrubber->stamp);
	if (fits && access(scrubber->stamp, F_OK) != 0)
		stamp_now(scrubber);
	if (!fits || pthread_create(&scrubber->thread, NULL, scrubber_main, scrubber) != 0) {
		pthread_mutex_destroy(&scrubber->lock);
		pthread_cond_destroy(&scrubber->stop);
		free(scrubber);
		return why_set(why, ERR_NO_MEMORY, "cannot start a thread for scrubbing");
	}
	*out = scrubber;
	return 0;
}

void scrubber_close(struct scrubber *scrubber)
{
	if (!scrubber)
		return;
	pthread_mutex_lock(&scrubber->lock);
	scrubber->stopping = true;
	scrubber->progress.cancel = 1;
	pthread_cond_broadcast(&scrubber->stop);
	pthread_mutex_unlock(&scrubber->lock);
	pthread_join(scrubber->thread, NULL);
	pthread_mutex_destroy(&scrubber->lock);
	pthread_cond_destroy(&scrubber->stop);
	free(scrubber);
}

void scrubber_counts(struct scrubber *scrubber, uint64_t *scrubs, uint64_t *corrupt)
{
	*scrubs = scrubber ? scrubber->scrubs : 0;
	*corrupt = scrubber ? scrubber->corrupt : 0;
}
