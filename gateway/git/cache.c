#include "gateway/git/cache.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/git/cache_build.h"
#include "gateway/git/cache_files.h"

enum {
	BUCKETS = 1024,
	JANITOR_PAUSE_S = 20,
	BLAME_PAUSE_MS = 60000,
	SHARE_OF_DISK = 10,       /* the default bound is a tenth of it */
	FOLDER_ROOM = PATH_MAX - 64,
};

#define BYTES_MAX_DEFAULT ((uint64_t)20 << 30)
#define RESERVE_DEFAULT ((uint64_t)256 << 20)

struct git_cache_repo {
	struct git_cache_repo *chain;
	struct entity_id id;
	unsigned leases;            /* of processes that read the directory */
	unsigned users;             /* leases, and whoever waits or builds: not evicted */
	bool building, distrusted;
	struct cache_state *state;  /* NULL: not looked at yet, or nothing */
	int64_t bytes;
	int64_t used_ms;
	int64_t blamed_ms;
	/* How the last build ended, for those who waited for it. */
	uint64_t builds;
	int failure;
	struct why failure_why;
};

struct git_cache {
	struct gateway *gateway;
	char folder[FOLDER_ROOM];
	uint64_t bytes_max, reserve_bytes;
	pthread_mutex_t mutex;      /* held for table work and renames, never while building or reading */
	pthread_cond_t changed;
	struct git_cache_repo *buckets[BUCKETS];
	int64_t bytes;              /* of directories, and what others account */
	uint64_t trash_number;
	struct git_cache_stats stats;
	pthread_t janitor;
	bool has_janitor, stopping;
	uint64_t names_version;     /* of the namespace, when the janitor last looked for deleted repositories */
};

static int64_t clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ------------------------------------------------------------------ the table */

static void dir_of(const struct git_cache *cache, const struct entity_id *id, char out[PATH_MAX])
{
	char hex[ENTITY_ID_TEXT_BYTES];
	hex_encode(hex, id->bytes, ENTITY_ID_BYTES);
	snprintf(out, PATH_MAX, "%s/%s.git", cache->folder, hex);
}

static void trash_path(struct git_cache *cache, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/trash-%llu", cache->folder, (unsigned long long)++cache->trash_number);
}

static struct git_cache_repo **bucket_of(struct git_cache *cache, const struct entity_id *id)
{
	return &cache->buckets[(id->bytes[ENTITY_ID_BYTES - 1] | id->bytes[ENTITY_ID_BYTES - 2] << 8) % BUCKETS];
}

static struct git_cache_repo *find(struct git_cache *cache, const struct entity_id *id)
{
	struct git_cache_repo *repo = *bucket_of(cache, id);
	while (repo && memcmp(&repo->id, id, sizeof(*id)) != 0)
		repo = repo->chain;
	return repo;
}

static struct git_cache_repo *add(struct git_cache *cache, const struct entity_id *id)
{
	struct git_cache_repo *repo = calloc(1, sizeof(*repo)), **bucket = bucket_of(cache, id);
	if (!repo)
		return NULL;
	repo->id = *id;
	repo->used_ms = clock_ms();
	repo->chain = *bucket;
	*bucket = repo;
	cache->stats.repositories++;
	return repo;
}

static void forget(struct git_cache *cache, struct git_cache_repo *repo)
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

/* With the mutex held, which is given up while files are removed: the directory is renamed first, so that its name is free for a new one. */
static void evict(struct git_cache *cache, struct git_cache_repo *repo)
{
	char dir[PATH_MAX], trash[PATH_MAX];
	assert(repo->users == 0 && !repo->building);
	dir_of(cache, &repo->id, dir);
	trash_path(cache, trash);
	bool moved = rename(dir, trash) == 0;
	forget(cache, repo);
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
	for (size_t i = 0; i < BUCKETS; i++)
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

/* With the mutex held. What is leased may go beyond the bound, as long as the disk has room: it is evicted when it is given back. */
static bool make_room(struct git_cache *cache, uint64_t bytes)
{
	for (;;) {
		bool over = cache->bytes > 0 && (uint64_t)cache->bytes + bytes > cache->bytes_max;
		bool low = is_disk_low(cache, bytes);
		struct git_cache_repo *repo = over || low ? longest_unused(cache) : NULL;
		if (!repo)
			return !low;
		evict(cache, repo);
	}
}

bool git_cache_has_room(struct git_cache *cache, uint64_t bytes)
{
	pthread_mutex_lock(&cache->mutex);
	bool has = make_room(cache, bytes);
	pthread_mutex_unlock(&cache->mutex);
	return has;
}

void git_cache_account(struct git_cache *cache, int64_t bytes)
{
	pthread_mutex_lock(&cache->mutex);
	cache->bytes += bytes;
	if (bytes > 0)
		make_room(cache, 0);
	pthread_mutex_unlock(&cache->mutex);
}

/* ------------------------------------------------------------------ leases */

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
	entry->used_ms = clock_ms();
	cache->stats.leases++;
	out->repo = entry;
	out->version = entry->state->version;
	out->bytes = entry->bytes > 0 ? (uint64_t)entry->bytes : 0;
	dir_of(cache, &entry->id, out->dir);
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
		make_room(cache, 0);
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
	int64_t now = clock_ms();
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
	struct git_cache_repo *entry = find(cache, &repo->id);
	struct cache_state *state = NULL;
	if (entry && is_current(entry, repo)) {
		state = cache_state_hold(entry->state);
		grant(cache, entry, out);
	}
	pthread_mutex_unlock(&cache->mutex);
	if (!state)
		return ERR_AGAIN;
	int err = cache_state_check(state, out->dir) == 0 ? 0 : ERR_AGAIN;
	cache_state_release(state);
	if (err) {
		git_cache_distrust(gateway, out);
		git_cache_release(gateway, out);
	}
	return err;
}

static void deadline_in(struct timespec *out, int64_t ms)
{
	clock_gettime(CLOCK_MONOTONIC, out);
	out->tv_sec += ms / 1000;
	out->tv_nsec += ms % 1000 * 1000000;
	out->tv_sec += out->tv_nsec / 1000000000;
	out->tv_nsec %= 1000000000;
}

/* With the mutex held: until nobody builds it. 0, or how the build that was waited for failed. */
static int wait_for_builder(struct git_cache *cache, struct git_cache_repo *entry, struct why *why)
{
	struct timespec deadline;
	uint64_t builds = entry->builds;
	deadline_in(&deadline, GIT_CACHE_WAIT_MS);
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
	dir_of(cache, &entry->id, dir);
	trash_path(cache, trash);
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
	struct git_cache_repo *entry = find(cache, &repo->id);
	if (!entry)
		entry = add(cache, &repo->id);
	int err = ERR_NO_MEMORY;
	if (entry) {
		entry->users++;
		err = lease(cache, entry, repo, out, why);
		entry->users--;
		if (err && entry->users == 0 && !entry->building && !entry->state)
			evict(cache, entry);
		make_room(cache, 0);
	}
	pthread_mutex_unlock(&cache->mutex);
	return err;
}

/* ------------------------------------------------------------------ the janitor */

/* With the mutex held: the caches of repositories that do not exist any more. */
static void evict_deleted(struct git_cache *cache)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct git_cache_repo *entry = cache->buckets[i], *next; entry; entry = next) {
			struct repo repo;
			next = entry->chain;
			if (entry->users == 0 && repo_get(cache->gateway->ns, NULL, &entry->id, &repo) == ERR_NOT_FOUND) {
				evict(cache, entry);
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
		deadline_in(&until, JANITOR_PAUSE_S * 1000);
		if (pthread_cond_timedwait(&cache->changed, &cache->mutex, &until) != ETIMEDOUT)
			continue;
		make_room(cache, 0);
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
	dir_of(cache, &id, path);
	struct git_cache_repo *repo = add(cache, &id);
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
	pthread_mutex_unlock(&cache->mutex);
	if (cache->has_janitor)
		pthread_join(cache->janitor, NULL);
	for (size_t i = 0; i < BUCKETS; i++) {
		while (cache->buckets[i]) {
			assert(cache->buckets[i]->users == 0);
			forget(cache, cache->buckets[i]);
		}
	}
	pthread_cond_destroy(&cache->changed);
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
