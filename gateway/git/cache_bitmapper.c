/* cache_bitmapper.c - the thread that makes bitmaps of cached repositories, one at a time: when nobody reads the repository, or after a while all the same. */
#include "gateway/git/cache_table.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "gateway/git/cache_bitmap.h"
#include "gateway/git/cache_files.h"

enum {
	PATIENCE_MS = 30000, /* with those who read the repository */
	LOOK_MS = 1000,
};

/* With the mutex held: a repository whose turn it is; *any: others wait. */
static struct git_cache_repo *next_due(struct git_cache *cache, bool *any)
{
	int64_t now = git_cache_clock_ms();
	*any = false;
	for (size_t i = 0; i < CACHE_BUCKETS; i++) {
		for (struct git_cache_repo *entry = cache->buckets[i]; entry; entry = entry->chain) {
			if (!entry->wants_bitmap)
				continue;
			*any = true;
			if (entry->state && !entry->building && !entry->distrusted && (entry->leases == 0 || now - entry->bitmap_wanted_ms >= PATIENCE_MS))
				return entry;
		}
	}
	return NULL;
}

/* With the mutex held at begin and end, as sole builder in between. */
static int take(struct git_cache *cache, struct git_cache_repo *entry, const struct cache_state *covered, const char *scratch, struct why *why)
{
	char dir[PATH_MAX];
	while (entry->building)
		pthread_cond_wait(&cache->changed, &cache->mutex);
	if (!entry->state || entry->distrusted)
		return ERR_CONFLICT;
	struct cache_state *state = NULL;
	git_cache_dir_of(cache, &entry->id, dir);
	entry->building = true;
	pthread_mutex_unlock(&cache->mutex);
	int err = cache_bitmap_take(dir, covered, entry->state, scratch, &state, why);
	pthread_mutex_lock(&cache->mutex);
	entry->building = false;
	if (err == 0) {
		int64_t bytes = (int64_t)cache_state_bytes(state);
		cache->bytes += bytes - entry->bytes;
		entry->bytes = bytes;
		cache_state_release(entry->state);
		entry->state = state;
	} else if (err != ERR_CONFLICT) {
		entry->distrusted = true;
	}
	pthread_cond_broadcast(&cache->changed);
	return err;
}

/* With the mutex held at begin and end. */
static void work(struct git_cache *cache, struct git_cache_repo *entry)
{
	char dir[PATH_MAX], scratch[PATH_MAX];
	struct why why = { 0 };
	struct cache_state *covered = cache_state_hold(entry->state);
	uint64_t bytes = cache_state_bytes_of(covered, ".idx");
	entry->wants_bitmap = false;
	entry->users++;
	git_cache_dir_of(cache, &entry->id, dir);
	git_cache_trash_path(cache, scratch);
	pthread_mutex_unlock(&cache->mutex);
	int err = git_cache_has_room(cache, 2 * bytes) ? cache_bitmap_make(dir, covered, scratch, &cache->stopping, &why) : ERR_NO_SPACE;
	pthread_mutex_lock(&cache->mutex);
	if (err == 0)
		err = take(cache, entry, covered, scratch, &why);
	cache->stats.bitmaps += err == 0;
	if (err && err != ERR_CONFLICT && err != ERR_CLOSED) { /* not again until there is more of it */
		entry->bitmap_tried_bytes = bytes;
		cache->stats.bitmaps_failed++;
		fprintf(stderr, "cairn: bitmaps of a repository could not be made: %s\n", why.text[0] ? why.text : err_name(err));
	}
	entry->users--;
	pthread_mutex_unlock(&cache->mutex);
	cache_state_release(covered);
	files_remove(scratch);
	pthread_mutex_lock(&cache->mutex);
}

static void *run(void *context)
{
	struct git_cache *cache = context;
	pthread_mutex_lock(&cache->mutex);
	while (!cache->stopping) {
		struct timespec until;
		bool any;
		struct git_cache_repo *entry = next_due(cache, &any);
		git_cache_deadline_in(&until, LOOK_MS);
		if (entry)
			work(cache, entry);
		else if (any)
			pthread_cond_timedwait(&cache->bitmap_wanted, &cache->mutex, &until);
		else
			pthread_cond_wait(&cache->bitmap_wanted, &cache->mutex);
	}
	pthread_mutex_unlock(&cache->mutex);
	return NULL;
}

void git_cache_bitmap_consider(struct git_cache *cache, struct git_cache_repo *entry)
{
	entry->wants_bitmap = entry->state && cache_bitmap_wanted(entry->state, entry->bitmap_tried_bytes);
	if (!entry->wants_bitmap)
		return;
	entry->bitmap_wanted_ms = git_cache_clock_ms();
	pthread_cond_signal(&cache->bitmap_wanted);
}

int git_cache_bitmapper_start(struct git_cache *cache)
{
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	cache->has_bitmapper = pthread_create(&cache->bitmapper, NULL, run, cache) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return cache->has_bitmapper ? 0 : ERR_NO_MEMORY;
}
