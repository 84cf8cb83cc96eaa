#include "gateway/downloads.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <xxhash.h>

#include "gateway/process.h"
#include "replication/downloads.h"

enum {
	PENDING_SLOTS = 4 * DOWNLOAD_PENDING_MAX,
	FLUSH_BYTES_MAX = 512 << 10, /* of paths in one command */
	RETRY_MAX = 3,
	TIME_BITS = 24,
};

struct pending {
	struct entity_id repo;
	char *path;          /* owned; NULL: the repository */
	uint64_t count, hash;
};

struct downloads {
	struct namespace *ns;
	int64_t started_ms;
	_Atomic uint64_t *recent; /* high bits: hash of caller and file; low TIME_BITS: second since the start */
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	pthread_t thread;
	bool started, closing;
	struct pending *list;     /* DOWNLOAD_PENDING_MAX */
	uint16_t *slots;          /* PENDING_SLOTS: index + 1 */
	size_t count;
};

/* ------------------------------------------------------------------ counting */

/* False: the same happened within the window. */
static bool is_new(struct downloads *downloads, uint64_t hash)
{
	const uint64_t time_mask = (UINT64_C(1) << TIME_BITS) - 1;
	uint64_t second = ((uint64_t)(unix_ms() - downloads->started_ms) / 1000 + 1) & time_mask;
	_Atomic uint64_t *slot = &downloads->recent[hash % DOWNLOAD_RECENT_MAX];
	uint64_t seen = atomic_load_explicit(slot, memory_order_relaxed);
	uint64_t age = (second - (seen & time_mask)) & time_mask;
	if (seen && (seen & ~time_mask) == (hash & ~time_mask) && age < DOWNLOAD_WINDOW_S)
		return false;
	atomic_store_explicit(slot, (hash & ~time_mask) | second, memory_order_relaxed);
	return true;
}

static uint64_t hash_of(uint64_t seed, const void *data, size_t length)
{
	return XXH3_64bits_withSeed(data, length, seed);
}

static uint64_t hash_caller(struct http_request *request, const struct actor *actor)
{
	if (!actor->anonymous)
		return hash_of(1, actor->name, strlen(actor->name));
	struct span program = http_header(request, "User-Agent");
	if (program.length >= 3 && memcmp(program.data, "git", 3) == 0)
		program.length = 3; /* git and git-lfs fetch one repository together */
	const char *address = http_peer_address(request);
	return hash_of(program.data ? hash_of(2, program.data, program.length) : 3, address, strlen(address));
}

/* With the mutex held. */
static void add_pending(struct downloads *downloads, const struct entity_id *repo, struct span path)
{
	uint64_t hash = hash_of(hash_of(0, repo->bytes, ENTITY_ID_BYTES), path.length ? (const char *)path.data : "", path.length);
	size_t at = (size_t)hash % PENDING_SLOTS;
	for (; downloads->slots[at]; at = (at + 1) % PENDING_SLOTS) {
		struct pending *known = &downloads->list[downloads->slots[at] - 1];
		if (known->hash == hash && memcmp(known->repo.bytes, repo->bytes, ENTITY_ID_BYTES) == 0) {
			known->count++;
			return;
		}
	}
	/* The last quarter is for repositories. */
	size_t room = path.length ? DOWNLOAD_PENDING_MAX - DOWNLOAD_PENDING_MAX / 4 : DOWNLOAD_PENDING_MAX;
	char *copy = path.length && downloads->count < room ? strndup((const char *)path.data, path.length) : NULL;
	if (downloads->count >= room || (path.length && !copy))
		return;
	downloads->list[downloads->count++] = (struct pending){ .repo = *repo, .path = copy, .count = 1, .hash = hash };
	downloads->slots[at] = (uint16_t)downloads->count;
}

void downloads_count(struct downloads *downloads, struct http_request *request, const struct actor *actor, const struct repo *repo, struct span path)
{
	if (!downloads || path.length > DOWNLOAD_PATH_BYTES_MAX)
		return;
	uint64_t in_repo = hash_of(hash_caller(request, actor), repo->id.bytes, ENTITY_ID_BYTES);
	bool new_file = path.length && is_new(downloads, hash_of(in_repo, path.data, path.length));
	bool new_repo = (new_file || path.length == 0) && is_new(downloads, in_repo);
	if (!new_file && !new_repo)
		return;
	pthread_mutex_lock(&downloads->mutex);
	if (new_repo)
		add_pending(downloads, &repo->id, span_of(NULL, 0));
	if (new_file)
		add_pending(downloads, &repo->id, path);
	pthread_mutex_unlock(&downloads->mutex);
}

/* ------------------------------------------------------------------ carrying over */

/* As many of `list` as one command should hold; how many. */
static size_t propose_some(struct downloads *downloads, const struct pending *list, size_t count, struct download_count *counts)
{
	size_t taken = 0, bytes = 0;
	for (; taken < count && taken < DOWNLOADS_PER_COMMAND_MAX && bytes < FLUSH_BYTES_MAX; taken++) {
		counts[taken] = (struct download_count){ .repo = list[taken].repo, .path = span_text(list[taken].path ? list[taken].path : ""),
			.count = list[taken].count };
		bytes += counts[taken].path.length + 24;
	}
	struct command_id id; /* kept over retries: what was counted after all is not counted again */
	struct why why = { 0 };
	command_id_make(&id);
	int err = ERR_BUSY;
	for (int tries = 0; tries < RETRY_MAX && (err == ERR_BUSY || err == ERR_UNKNOWN_OUTCOME); tries++)
		err = downloads_add(downloads->ns, counts, taken, &id, &why);
	if (err && err != ERR_CLOSED)
		fprintf(stderr, "cairn: %zu counts of downloads were lost: %s\n", taken, why.text[0] ? why.text : err_name(err));
	return taken;
}

static void flush(struct downloads *downloads, struct pending *taken, struct download_count *counts)
{
	pthread_mutex_lock(&downloads->mutex);
	size_t count = downloads->count;
	memcpy(taken, downloads->list, count * sizeof(*taken));
	downloads->count = 0;
	if (count)
		memset(downloads->slots, 0, PENDING_SLOTS * sizeof(*downloads->slots));
	pthread_mutex_unlock(&downloads->mutex);
	for (size_t at = 0; at < count;)
		at += propose_some(downloads, taken + at, count - at, counts);
	for (size_t i = 0; i < count; i++)
		free(taken[i].path);
}

static bool wait_for_flush(struct downloads *downloads)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += DOWNLOAD_FLUSH_MS / 1000;
	pthread_mutex_lock(&downloads->mutex);
	while (!downloads->closing)
		if (pthread_cond_timedwait(&downloads->wake, &downloads->mutex, &until) == ETIMEDOUT)
			break;
	bool closing = downloads->closing;
	pthread_mutex_unlock(&downloads->mutex);
	return !closing;
}

static void *run(void *context)
{
	struct downloads *downloads = context;
	struct pending *taken = calloc(DOWNLOAD_PENDING_MAX, sizeof(*taken));
	struct download_count *counts = calloc(DOWNLOAD_PENDING_MAX, sizeof(*counts));
	bool going_on = taken && counts;
	while (going_on) {
		going_on = wait_for_flush(downloads);
		flush(downloads, taken, counts);
	}
	free(taken);
	free(counts);
	return NULL;
}

int downloads_open(struct downloads **out, struct namespace *ns, struct why *why)
{
	struct downloads *downloads = calloc(1, sizeof(*downloads));
	*out = downloads;
	if (!downloads)
		return why_set(why, ERR_NO_MEMORY, "no memory to count downloads");
	downloads->ns = ns;
	downloads->started_ms = unix_ms();
	downloads->recent = calloc(DOWNLOAD_RECENT_MAX, sizeof(*downloads->recent));
	downloads->list = calloc(DOWNLOAD_PENDING_MAX, sizeof(*downloads->list));
	downloads->slots = calloc(PENDING_SLOTS, sizeof(*downloads->slots));
	pthread_mutex_init(&downloads->mutex, NULL);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&downloads->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	downloads->started = downloads->recent && downloads->list && downloads->slots && pthread_create(&downloads->thread, NULL, run, downloads) == 0;
	if (downloads->started)
		return 0;
	downloads_close(downloads);
	*out = NULL;
	return why_set(why, ERR_NO_MEMORY, "no memory to count downloads");
}

void downloads_close(struct downloads *downloads)
{
	if (!downloads)
		return;
	pthread_mutex_lock(&downloads->mutex);
	downloads->closing = true;
	pthread_cond_signal(&downloads->wake);
	pthread_mutex_unlock(&downloads->mutex);
	if (downloads->started)
		pthread_join(downloads->thread, NULL);
	for (size_t i = 0; i < downloads->count; i++)
		free(downloads->list[i].path);
	pthread_cond_destroy(&downloads->wake);
	pthread_mutex_destroy(&downloads->mutex);
	free(downloads->recent);
	free(downloads->list);
	free(downloads->slots);
	free(downloads);
}
