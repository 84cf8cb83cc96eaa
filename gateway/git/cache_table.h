/* cache_table.h - the cached repositories as this process knows them, and which of them makes room. Private to gateway/git: cache.c opens and tends the
 * cache, cache_lease.c gives leases, cache_bitmapper.c makes bitmaps. */
#ifndef CAIRN_GATEWAY_GIT_CACHE_TABLE_H
#define CAIRN_GATEWAY_GIT_CACHE_TABLE_H

#include <pthread.h>
#include <time.h>

#include "gateway/git/cache.h"
#include "gateway/git/cache_state.h"

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
	bool wants_bitmap;
	int64_t bitmap_wanted_ms;   /* since then */
	uint64_t bitmap_tried_bytes; /* of pack indexes, when none could be made */
	/* How the last build ended, for those who waited for it. */
	uint64_t builds;
	int failure;
	struct why failure_why;
};

enum { CACHE_FOLDER_ROOM = PATH_MAX - 64, CACHE_BUCKETS = 1024 };

struct git_cache {
	struct gateway *gateway;
	char folder[CACHE_FOLDER_ROOM];
	uint64_t bytes_max, reserve_bytes;
	pthread_mutex_t mutex;      /* held for table work and renames, never while building or reading */
	pthread_cond_t changed;
	struct git_cache_repo *buckets[CACHE_BUCKETS];
	int64_t bytes;              /* of directories, and what others account */
	uint64_t trash_number;
	struct git_cache_stats stats;
	pthread_t janitor;
	pthread_t bitmapper;
	pthread_cond_t bitmap_wanted;
	bool has_janitor, has_bitmapper;
	_Atomic bool stopping;
	uint64_t names_version;     /* of the namespace, when the janitor last looked for deleted repositories */
};

void git_cache_dir_of(const struct git_cache *cache, const struct entity_id *id, char out[PATH_MAX]);
int64_t git_cache_clock_ms(void);
void git_cache_deadline_in(struct timespec *out, int64_t ms); /* of the same clock */

int git_cache_bitmapper_start(struct git_cache *cache);

/* ---- with the mutex held ---- */

/* After a build: notes whether it wants bitmaps, and says so to the thread that makes them (cache_bitmapper.c). */
void git_cache_bitmap_consider(struct git_cache *cache, struct git_cache_repo *entry);
/* A path of no file, beside the directories. */
void git_cache_trash_path(struct git_cache *cache, char out[PATH_MAX]);
struct git_cache_repo *git_cache_find(struct git_cache *cache, const struct entity_id *id);
/* NULL: no memory. */
struct git_cache_repo *git_cache_add(struct git_cache *cache, const struct entity_id *id);
void git_cache_forget(struct git_cache *cache, struct git_cache_repo *repo);
/* [blocks] Removes its directory; nobody may use it. The mutex is given up while files are removed. */
void git_cache_evict(struct git_cache *cache, struct git_cache_repo *repo);
/* [blocks] The same for as many of the longest unused as it takes; false: the disk has no room for `bytes` more. What is leased may go beyond the bound, as
 * long as the disk has room: it is evicted when it is given back. */
bool git_cache_make_room(struct git_cache *cache, uint64_t bytes);

#endif
