#include "gateway/git/bundler.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/git/bundle_make.h"
#include "gateway/process.h"

struct watched {
	struct entity_id repo;
	unsigned clones;     /* since the first one of the window; 0: the slot is free */
	int64_t since_ms, last_ms;
};

struct bundler {
	struct gateway *gateway;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	_Atomic bool stopping;
	struct watched watched[BUNDLER_WATCHED_MAX];
	struct bundler_stats stats;
};

/* With the mutex held, like all that look at `watched`. */
static struct watched *find(struct bundler *bundler, const struct entity_id *repo)
{
	struct watched *oldest = &bundler->watched[0];
	for (size_t i = 0; i < BUNDLER_WATCHED_MAX; i++) {
		struct watched *watched = &bundler->watched[i];
		if (watched->clones && memcmp(&watched->repo, repo, sizeof(*repo)) == 0)
			return watched;
		if (oldest->clones && (!watched->clones || watched->last_ms < oldest->last_ms))
			oldest = watched;
	}
	*oldest = (struct watched){ .repo = *repo };
	return oldest;
}

void bundler_cloned(struct bundler *bundler, const struct entity_id *repo, uint64_t bytes)
{
	if (bytes < BUNDLE_BYTES_MIN)
		return;
	int64_t now = unix_ms();
	pthread_mutex_lock(&bundler->mutex);
	struct watched *watched = find(bundler, repo);
	if (watched->clones == 0 || now - watched->since_ms > BUNDLE_WINDOW_MS) {
		watched->clones = 0;
		watched->since_ms = now;
	}
	watched->last_ms = now;
	if (++watched->clones >= BUNDLE_CLONES_MIN)
		pthread_cond_signal(&bundler->wake);
	pthread_mutex_unlock(&bundler->mutex);
}

static bool take_due(struct bundler *bundler, struct entity_id *out)
{
	for (size_t i = 0; i < BUNDLER_WATCHED_MAX; i++) {
		if (bundler->watched[i].clones < BUNDLE_CLONES_MIN)
			continue;
		*out = bundler->watched[i].repo;
		bundler->watched[i].clones = 0;
		return true;
	}
	return false;
}

/* Without the mutex. What fails is tried again after as many clones. */
static int bundle(struct bundler *bundler, const struct entity_id *repo, bool *made)
{
	struct bundle_report report;
	struct why why = { 0 };
	int err = repo_bundle(bundler->gateway, repo, false, &bundler->stopping, &report, &why);
	*made = err == 0 && report.made;
	if (err && err != ERR_CONFLICT && err != ERR_CLOSED)
		fprintf(stderr, "cairn: a bundle of a repository could not be made: %s\n", why.text[0] ? why.text : err_name(err));
	return err;
}

static void *run(void *context)
{
	struct bundler *bundler = context;
	struct entity_id repo;
	pthread_mutex_lock(&bundler->mutex);
	while (!bundler->stopping) {
		if (!take_due(bundler, &repo)) {
			pthread_cond_wait(&bundler->wake, &bundler->mutex);
			continue;
		}
		pthread_mutex_unlock(&bundler->mutex);
		bool made = false;
		int err = bundle(bundler, &repo, &made);
		pthread_mutex_lock(&bundler->mutex);
		bundler->stats.made += made;
		bundler->stats.failed += err && err != ERR_CLOSED;
	}
	pthread_mutex_unlock(&bundler->mutex);
	return NULL;
}

int bundler_open(struct bundler **out, struct gateway *gateway, struct why *why)
{
	struct bundler *bundler = calloc(1, sizeof(*bundler));
	sigset_t all, old;
	*out = NULL;
	if (!bundler)
		return why_set(why, ERR_NO_MEMORY, "no memory to count clones");
	bundler->gateway = gateway;
	pthread_mutex_init(&bundler->mutex, NULL);
	pthread_cond_init(&bundler->wake, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int failed = pthread_create(&bundler->thread, NULL, run, bundler);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (failed) {
		free(bundler);
		return why_set(why, ERR_IO, "cannot start the thread that makes bundles");
	}
	*out = bundler;
	return 0;
}

void bundler_close(struct bundler *bundler)
{
	if (!bundler)
		return;
	pthread_mutex_lock(&bundler->mutex);
	bundler->stopping = true;
	pthread_cond_signal(&bundler->wake);
	pthread_mutex_unlock(&bundler->mutex);
	pthread_join(bundler->thread, NULL);
	pthread_cond_destroy(&bundler->wake);
	pthread_mutex_destroy(&bundler->mutex);
	free(bundler);
}

void bundler_stats(struct bundler *bundler, struct bundler_stats *out)
{
	pthread_mutex_lock(&bundler->mutex);
	*out = bundler->stats;
	pthread_mutex_unlock(&bundler->mutex);
}
