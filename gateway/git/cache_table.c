#include "gateway/git/cache_table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/git/cache_files.h"

int64_t git_cache_clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void git_cache_deadline_in(struct timespec *out, int64_t ms)
{
	clock_gettime(CLOCK_MONOTONIC, out);
	out->tv_sec += ms / 1000;
	out->tv_nsec += ms % 1000 * 1000000;
	out->tv_sec += out->tv_nsec / 1000000000;
	out->tv_nsec %= 1000000000;
}

/* ------------------------------------------------------------------ the table */

void git_cache_dir_of(const struct git_cache *cache, const struct entity_id *id, char out[PATH_MAX])
{
	char hex[ENTITY_ID_TEXT_BYTES];
	hex_encode(hex, id->bytes, ENTITY_ID_BYTES);
	snprintf(out, PATH_MAX, "%s/%s.git", cache->folder, hex);
}

void git_cache_trash_path(struct git_cache *cache, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/trash-%llu", cache->folder, (unsigned long long)++cache->trash_number);
}

static struct git_cache_repo **bucket_of(struct git_cache *cache, const struct entity_id *id)
{
	return &cache->buckets[(id->bytes[ENTITY_ID_BYTES - 1] | id->bytes[ENTITY_ID_BYTES - 2] << 8) % CACHE_BUCKETS];
}

struct git_cache_repo *git_cache_find(struct git_cache *cache, const struct entity_id *id)
{
	struct git_cache_repo *repo = *bucket_of(cache, id);
	while (repo && memcmp(&repo->id, id, sizeof(*id)) != 0)
		repo = repo->chain;
	return repo;
}

struct git_cache_repo *git_cache_add(struct git_cache *cache, const struct entity_id *id)
{
	struct git_cache_repo *repo = calloc(1, sizeof(*repo)), **bucket = bucket_of(cache, id);
	if (!repo)
		return NULL;
	repo->id = *id;
	repo->used_ms = git_cache_clock_ms();
	repo->chain = *bucket;
	*bucket = repo;
	cache->stats.repositories++;
	return repo;
}

void git_cache_forget(struct git_cache *cache, struct git_cache_repo *repo)
{
	struct git_cache_repo **at = bucket_of(cache, &repo->id);
	while (*at != repo)
		at = &(*at)->chain;
	*at = repo->chain;
	cache->stats.repositories--;
	cache->bytes -= repo->bytes;
	cache_state_release(repo->state);
	free(repo);
}

/* ------------------------------------------------------------------ making room */

/* The directory is renamed first, so that its name is free for a new one. */
void git_cache_evict(struct git_cache *cache, struct git_cache_repo *repo)
{
	char dir[PATH_MAX], trash[PATH_MAX];
	assert(repo->users == 0 && !repo->building);
	git_cache_dir_of(cache, &repo->id, dir);
	git_cache_trash_path(cache, trash);
	bool moved = rename(dir, trash) == 0;
	git_cache_forget(cache, repo);
	cache->stats.evictions++;
	if (!moved)
		return;
	pthread_mutex_unlock(&cache->mutex);
	files_remove(trash);
	pthread_mutex_lock(&cache->mutex);
}

static struct git_cache_repo *longest_unused(struct git_cache *cache)
{
	struct git_cache_repo *oldest = NULL;
	for (size_t i = 0; i < CACHE_BUCKETS; i++)
		for (struct git_cache_repo *repo = cache->buckets[i]; repo; repo = repo->chain)
			if (repo->users == 0 && (!oldest || repo->used_ms < oldest->used_ms))
				oldest = repo;
	return oldest;
}

static bool is_disk_low(const struct git_cache *cache, uint64_t bytes)
{
	uint64_t free_bytes, total;
	files_space(cache->folder, &free_bytes, &total);
	return free_bytes < 2 * cache->reserve_bytes + bytes;
}

bool git_cache_make_room(struct git_cache *cache, uint64_t bytes)
{
	for (;;) {
		bool over = cache->bytes > 0 && (uint64_t)cache->bytes + bytes > cache->bytes_max;
		bool low = is_disk_low(cache, bytes);
		struct git_cache_repo *repo = over || low ? longest_unused(cache) : NULL;
		if (!repo)
			return !low;
		git_cache_evict(cache, repo);
	}
}
