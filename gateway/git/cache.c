#include "gateway/git/cache_table.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/git/cache_files.h"

enum {
	JANITOR_PAUSE_S = 20,
	SHARE_OF_DISK = 10,       /* the default bound is a tenth of it */
};

#define BYTES_MAX_DEFAULT ((uint64_t)20 << 30)
#define RESERVE_DEFAULT ((uint64_t)256 << 20)

/* ------------------------------------------------------------------ room for others */

bool git_cache_has_room(struct git_cache *cache, uint64_t bytes)
{
	pthread_mutex_lock(&cache->mutex);
	bool has = git_cache_make_room(cache, bytes);
	pthread_mutex_unlock(&cache->mutex);
	return has;
}

void git_cache_account(struct git_cache *cache, int64_t bytes)
{
	pthread_mutex_lock(&cache->mutex);
	cache->bytes += bytes;
	if (bytes > 0)
		git_cache_make_room(cache, 0);
	pthread_mutex_unlock(&cache->mutex);
}

/* ------------------------------------------------------------------ the janitor */

/* With the mutex held: the caches of repositories that do not exist any more. */
static void evict_deleted(struct git_cache *cache)
{
	for (size_t i = 0; i < CACHE_BUCKETS; i++) {
		for (struct git_cache_repo *entry = cache->buckets[i], *next; entry; entry = next) {
			struct repo repo;
			next = entry->chain;
			if (entry->users == 0 && repo_get(cache->gateway->ns, NULL, &entry->id, &repo) == ERR_NOT_FOUND) {
				git_cache_evict(cache, entry);
				next = cache->buckets[i]; /* the mutex was given up: from the start */
			}
		}
	}
}

static void *janitor_run(void *context)
{
	struct git_cache *cache = context;
	pthread_mutex_lock(&cache->mutex);
	while (!cache->stopping) {
		struct timespec until;
		git_cache_deadline_in(&until, JANITOR_PAUSE_S * 1000);
		if (pthread_cond_timedwait(&cache->changed, &cache->mutex, &until) != ETIMEDOUT)
			continue;
		git_cache_make_room(cache, 0);
		uint64_t version = namespace_version(cache->gateway->ns);
		if (version != cache->names_version) {
			cache->names_version = version;
			evict_deleted(cache);
		}
	}
	pthread_mutex_unlock(&cache->mutex);
	return NULL;
}

static int janitor_start(struct git_cache *cache)
{
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	cache->has_janitor = pthread_create(&cache->janitor, NULL, janitor_run, cache) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return cache->has_janitor ? 0 : ERR_NO_MEMORY;
}

/* ------------------------------------------------------------------ opening */

/* A directory of an earlier run; its last use is when its state was written. */
static int adopt(struct git_cache *cache, const char *name)
{
	char path[PATH_MAX + 32];
	struct entity_id id;
	struct stat info;
	if (strlen(name) != 2 * ENTITY_ID_BYTES + 4 || strcmp(name + 2 * ENTITY_ID_BYTES, ".git") != 0 ||
		hex_decode(id.bytes, ENTITY_ID_BYTES, name, 2 * ENTITY_ID_BYTES) != 0)
		return ERR_INVALID;
	git_cache_dir_of(cache, &id, path);
	struct git_cache_repo *repo = git_cache_add(cache, &id);
	if (!repo)
		return ERR_NO_MEMORY;
	repo->bytes = (int64_t)files_bytes(path);
	cache->bytes += repo->bytes;
	strcat(path, "/cairn-state");
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (stat(path, &info) == 0)
		repo->used_ms -= ((int64_t)now.tv_sec - info.st_mtim.tv_sec) * 1000;
	return 0;
}

static int adopt_all(struct git_cache *cache, struct why *why)
{
	DIR *folder = opendir(cache->folder);
	if (!folder)
		return files_error(why, "open", cache->folder);
	int err = 0;
	for (struct dirent *entry; err == 0 && (entry = readdir(folder));) {
		if (entry->d_name[0] == '.')
			continue;
		err = adopt(cache, entry->d_name);
		if (err == ERR_INVALID) { /* what was being thrown away, or nothing of ours */
			char path[PATH_MAX + 300];
			snprintf(path, sizeof(path), "%s/%s", cache->folder, entry->d_name);
			err = files_remove(path);
			if (err)
				files_error(why, "remove", path);
		}
	}
	closedir(folder);
	return err;
}

static void set_bounds(struct git_cache *cache, const struct git_cache_config *config)
{
	uint64_t free_bytes, total;
	files_space(cache->folder, &free_bytes, &total);
	cache->reserve_bytes = config->reserve_bytes ? config->reserve_bytes : RESERVE_DEFAULT;
	cache->bytes_max = config->bytes_max;
	if (!cache->bytes_max)
		cache->bytes_max = total / SHARE_OF_DISK < BYTES_MAX_DEFAULT ? total / SHARE_OF_DISK : BYTES_MAX_DEFAULT;
}

int git_cache_open(struct git_cache **out, struct gateway *gateway, const struct git_cache_config *config, struct why *why)
{
	struct git_cache *cache = calloc(1, sizeof(*cache));
	pthread_condattr_t monotonic;
	*out = NULL;
	if (!cache)
		return ERR_NO_MEMORY;
	cache->gateway = gateway;
	pthread_mutex_init(&cache->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&cache->changed, &monotonic);
	pthread_cond_init(&cache->bitmap_wanted, &monotonic);
	pthread_condattr_destroy(&monotonic);
	int length = snprintf(cache->folder, sizeof(cache->folder), "%s/git", config->data_dir);
	int err = (size_t)length < sizeof(cache->folder) ? 0 : why_set(why, ERR_INVALID, "the path of the data directory is too long");
	if (err == 0 && files_make_directory(cache->folder) != 0)
		err = files_error(why, "make", cache->folder);
	if (err == 0) {
		set_bounds(cache, config);
		err = adopt_all(cache, why);
	}
	if (err == 0)
		err = janitor_start(cache);
	if (err == 0)
		err = git_cache_bitmapper_start(cache);
	if (err) {
		git_cache_close(cache);
		return err;
	}
	*out = cache;
	return 0;
}

void git_cache_close(struct git_cache *cache)
{
	pthread_mutex_lock(&cache->mutex);
	cache->stopping = true;
	pthread_cond_broadcast(&cache->changed);
	pthread_cond_broadcast(&cache->bitmap_wanted);
	pthread_mutex_unlock(&cache->mutex);
	if (cache->has_janitor)
		pthread_join(cache->janitor, NULL);
	if (cache->has_bitmapper)
		pthread_join(cache->bitmapper, NULL);
	for (size_t i = 0; i < CACHE_BUCKETS; i++) {
		while (cache->buckets[i]) {
			assert(cache->buckets[i]->users == 0);
			git_cache_forget(cache, cache->buckets[i]);
		}
	}
	pthread_cond_destroy(&cache->changed);
	pthread_cond_destroy(&cache->bitmap_wanted);
	pthread_mutex_destroy(&cache->mutex);
	free(cache);
}

void git_cache_stats(struct git_cache *cache, struct git_cache_stats *out)
{
	pthread_mutex_lock(&cache->mutex);
	*out = cache->stats;
	out->bytes = cache->bytes > 0 ? (uint64_t)cache->bytes : 0;
	out->bytes_max = cache->bytes_max;
	pthread_mutex_unlock(&cache->mutex);
}
