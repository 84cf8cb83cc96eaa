/* cache_lease.c - leases on cached repositories: brought up to date by whoever comes first, waited for by the others. */
#include "gateway/git/cache_table.h"

#include <errno.h>

#include "gateway/git/cache_build.h"
#include "gateway/git/cache_files.h"

enum { BLAME_PAUSE_MS = 60000 };

static bool is_current(const struct git_cache_repo *entry, const struct repo *repo)
{
	return entry->state && !entry->building && !entry->distrusted && entry->state->version >= repo->version &&
		(entry->state->version > repo->version || strcmp(entry->state->head, repo->head) == 0);
}

/* With the mutex held. */
static void grant(struct git_cache *cache, struct git_cache_repo *entry, struct git_lease *out)
{
	entry->users++;
	entry->leases++;
	entry->used_ms = git_cache_clock_ms();
	cache->stats.leases++;
	out->repo = entry;
	out->version = entry->state->version;
	out->bytes = entry->bytes > 0 ? (uint64_t)entry->bytes : 0;
	git_cache_dir_of(cache, &entry->id, out->dir);
}

void git_cache_release(struct gateway *gateway, struct git_lease *lease)
{
	struct git_cache *cache = gateway->git_cache;
	if (!lease->repo)
		return;
	pthread_mutex_lock(&cache->mutex);
	lease->repo->leases--;
	lease->repo->users--;
	if (cache->bytes > 0 && (uint64_t)cache->bytes > cache->bytes_max)
		git_cache_make_room(cache, 0);
	pthread_mutex_unlock(&cache->mutex);
	lease->repo = NULL;
}

void git_cache_distrust(struct gateway *gateway, const struct git_lease *lease)
{
	struct git_cache *cache = gateway->git_cache;
	pthread_mutex_lock(&cache->mutex);
	lease->repo->distrusted = true;
	pthread_mutex_unlock(&cache->mutex);
}

static bool blames_files(const char *said)
{
	static const char *const words[] = { "corrupt", "bad object", "packfile", "pack file", "index file", "inflate", "not a git repository", "unable to",
		"could not", "missing", "failed to read", "unresolved", "bad packed object", "broken", "unexpected line in" };
	if (strstr(said, "not our ref") || strstr(said, "git upload-pack:"))
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(said, words[i]))
			return true;
	return false;
}

bool git_cache_blame(struct gateway *gateway, const struct git_lease *lease, const char *said)
{
	struct git_cache *cache = gateway->git_cache;
	int64_t now = git_cache_clock_ms();
	pthread_mutex_lock(&cache->mutex);
	struct git_cache_repo *entry = lease->repo;
	bool blamed = blames_files(said) && (entry->blamed_ms == 0 || now - entry->blamed_ms >= BLAME_PAUSE_MS);
	if (blamed) {
		entry->blamed_ms = now;
		entry->distrusted = true;
	}
	pthread_mutex_unlock(&cache->mutex);
	return blamed;
}

int git_cache_lease_now(struct gateway *gateway, const struct repo *repo, struct git_lease *out)
{
	struct git_cache *cache = gateway->git_cache;
	out->repo = NULL;
	pthread_mutex_lock(&cache->mutex);
	struct git_cache_repo *entry = git_cache_find(cache, &repo->id);
	struct cache_state *state = NULL;
	if (entry && is_current(entry, repo)) {
		state = cache_state_hold(entry->state);
		grant(cache, entry, out);
	}
	pthread_mutex_unlock(&cache->mutex);
	if (!state)
		return ERR_AGAIN;
	int err = cache_state_check(state, out->dir) == 0 ? 0 : ERR_AGAIN;
	if (err) {
		pthread_mutex_lock(&cache->mutex);
		if (entry->state == state && !entry->building) /* else it was brought up to date meanwhile */
			entry->distrusted = true;
		pthread_mutex_unlock(&cache->mutex);
		git_cache_release(gateway, out);
	}
	cache_state_release(state);
	return err;
}

/* With the mutex held: until nobody builds it. 0, or how the build that was waited for failed. */
static int wait_for_builder(struct git_cache *cache, struct git_cache_repo *entry, struct why *why)
{
	struct timespec deadline;
	uint64_t builds = entry->builds;
	git_cache_deadline_in(&deadline, GIT_CACHE_WAIT_MS);
	while (entry->building)
		if (pthread_cond_timedwait(&cache->changed, &cache->mutex, &deadline) == ETIMEDOUT && entry->building)
			return why_set(why, ERR_BUSY, "the repository is still being prepared for git, try again");
	if (entry->builds == builds || entry->failure == 0)
		return 0;
	*why = entry->failure_why;
	return entry->failure;
}

/* With the mutex held at begin and end. */
static int build(struct git_cache *cache, struct git_cache_repo *entry, struct why *why)
{
	char dir[PATH_MAX], trash[PATH_MAX];
	struct cache_state *state = NULL;
	struct cache_build job = { .gateway = cache->gateway, .repo = entry->id, .dir = dir, .trash = trash, .old = entry->state,
		.distrusted = entry->distrusted, .alone = entry->leases == 0 };
	git_cache_dir_of(cache, &entry->id, dir);
	git_cache_trash_path(cache, trash);
	entry->building = true;
	pthread_mutex_unlock(&cache->mutex);
	int err = cache_build(&job, &state, why);
	if (err == ERR_NOT_FOUND)
		cache_throw_away(dir, trash);
	int64_t bytes = state ? (int64_t)cache_state_bytes(state) : (int64_t)files_bytes(dir);
	pthread_mutex_lock(&cache->mutex);
	cache->bytes += bytes - entry->bytes;
	entry->bytes = bytes;
	cache_state_release(entry->state);
	entry->state = state;
	entry->distrusted = err != 0 && entry->distrusted; /* what failed half-way is judged by what it left on the disk */
	entry->building = false;
	entry->builds++;
	entry->failure = err;
	entry->failure_why = *why;
	cache->stats.builds += err == 0;
	cache->stats.rebuilds += job.was_rebuilt;
	git_cache_bitmap_consider(cache, entry);
	pthread_cond_broadcast(&cache->changed);
	return err;
}

/* With the mutex held. */
static int lease(struct git_cache *cache, struct git_cache_repo *entry, const struct repo *repo, struct git_lease *out, struct why *why)
{
	int err = wait_for_builder(cache, entry, why);
	if (err == 0 && !is_current(entry, repo))
		err = build(cache, entry, why);
	/* A head that was set anew moves no version: what was built just now is as new as it gets. */
	if (err == 0)
		grant(cache, entry, out);
	return err;
}

int git_cache_lease(struct gateway *gateway, const struct repo *repo, struct git_lease *out, struct why *why)
{
	struct git_cache *cache = gateway->git_cache;
	struct why unwanted = { 0 };
	if (!why)
		why = &unwanted;
	if (git_cache_lease_now(gateway, repo, out) == 0)
		return 0;
	pthread_mutex_lock(&cache->mutex);
	struct git_cache_repo *entry = git_cache_find(cache, &repo->id);
	if (!entry)
		entry = git_cache_add(cache, &repo->id);
	int err = ERR_NO_MEMORY;
	if (entry) {
		entry->users++;
		err = lease(cache, entry, repo, out, why);
		entry->users--;
		if (err && entry->users == 0 && !entry->building && !entry->state)
			git_cache_evict(cache, entry);
		git_cache_make_room(cache, 0);
	}
	pthread_mutex_unlock(&cache->mutex);
	return err;
}
