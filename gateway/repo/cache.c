#include "gateway/repo/cache.h"

#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <time.h>
#include <xxhash.h>

#include "gateway/repo/turn.h"

enum {
	ITEM_BYTES_USUAL = 512, /* sizes the tables */
	BUCKETS_MIN = 64,
	BUCKETS_MAX = 1 << 16,
};

struct shard {
	pthread_mutex_t mutex;
	struct cached **buckets;
	struct cached *newest, *oldest;
} __attribute__((aligned(64)));

struct repo_cache {
	struct shard shards[CACHE_SHARDS];
	size_t buckets_count; /* per shard, a power of two */
	uint64_t bytes_max;
	atomic_uint_least64_t bytes;
	uint64_t seed;
	struct turns *turns;
};

int repo_cache_open(struct repo_cache **out, uint64_t bytes_max)
{
	struct repo_cache *cache = aligned_alloc(64, (sizeof(*cache) + 63) / 64 * 64);
	if (!cache)
		return ERR_NO_MEMORY;
	memset(cache, 0, sizeof(*cache));
	cache->bytes_max = bytes_max;
	randombytes_buf(&cache->seed, sizeof(cache->seed));
	uint64_t buckets = BUCKETS_MIN;
	while (buckets < BUCKETS_MAX && buckets * CACHE_SHARDS * ITEM_BYTES_USUAL < bytes_max)
		buckets *= 2;
	cache->buckets_count = (size_t)buckets;
	int err = turns_open(&cache->turns);
	for (size_t i = 0; i < CACHE_SHARDS; i++) {
		pthread_mutex_init(&cache->shards[i].mutex, NULL);
		cache->shards[i].buckets = calloc(cache->buckets_count, sizeof(struct cached *));
		if (!cache->shards[i].buckets)
			err = ERR_NO_MEMORY;
	}
	if (err) {
		repo_cache_close(cache);
		return err;
	}
	*out = cache;
	return 0;
}

void repo_cache_close(struct repo_cache *cache)
{
	if (!cache)
		return;
	for (size_t i = 0; i < CACHE_SHARDS; i++) {
		struct shard *shard = &cache->shards[i];
		for (struct cached *item = shard->newest, *older; item; item = older) {
			older = item->older;
			cached_release(item);
		}
		free(shard->buckets);
		pthread_mutex_destroy(&shard->mutex);
	}
	turns_close(cache->turns);
	free(cache);
}

struct cache_key cache_key_make(enum cached_kind kind, const struct entity_id *repo, const struct oid *oid)
{
	struct cache_key key;
	key.bytes[0] = (uint8_t)kind;
	memcpy(key.bytes + 1, repo->bytes, ENTITY_ID_BYTES);
	memcpy(key.bytes + 1 + ENTITY_ID_BYTES, oid->bytes, OID_BYTES);
	return key;
}

void *cached_alloc(size_t bytes)
{
	assert(bytes >= sizeof(struct cached));
	struct cached *item = calloc(1, bytes);
	if (!item)
		return NULL;
	item->bytes = bytes;
	atomic_init(&item->references, 1);
	return item;
}

void cached_release(struct cached *item)
{
	if (item && atomic_fetch_sub_explicit(&item->references, 1, memory_order_acq_rel) == 1)
		free(item);
}

/* ------------------------------------------------------------------ one shard; its mutex is held */

static void list_remove(struct shard *shard, struct cached *item)
{
	if (item->newer)
		item->newer->older = item->older;
	else
		shard->newest = item->older;
	if (item->older)
		item->older->newer = item->newer;
	else
		shard->oldest = item->newer;
}

static void list_add_newest(struct shard *shard, struct cached *item)
{
	item->newer = NULL;
	item->older = shard->newest;
	if (shard->newest)
		shard->newest->newer = item;
	else
		shard->oldest = item;
	shard->newest = item;
}

/* The place that points to the item with this key, or to the chain's end. */
static struct cached **bucket_find(struct repo_cache *cache, struct shard *shard, uint64_t hash, const struct cache_key *key)
{
	struct cached **place = &shard->buckets[(hash >> 8) & (cache->buckets_count - 1)];
	while (*place && ((*place)->hash != hash || memcmp(&(*place)->key, key, sizeof(*key)) != 0))
		place = &(*place)->chain;
	return place;
}

/* Takes the item out; the cache's reference goes to the caller. */
static struct cached *remove_at(struct repo_cache *cache, struct shard *shard, struct cached **place)
{
	struct cached *item = *place;
	*place = item->chain;
	list_remove(shard, item);
	atomic_fetch_sub_explicit(&cache->bytes, item->bytes, memory_order_relaxed);
	return item;
}

/* ------------------------------------------------------------------ whole cache */

static uint64_t hash_of(const struct repo_cache *cache, const struct cache_key *key)
{
	return XXH3_64bits_withSeed(key->bytes, sizeof(key->bytes), cache->seed);
}

static struct shard *shard_of(struct repo_cache *cache, uint64_t hash)
{
	return &cache->shards[hash % CACHE_SHARDS];
}

struct cached *repo_cache_get(struct repo_cache *cache, const struct cache_key *key)
{
	uint64_t hash = hash_of(cache, key);
	struct shard *shard = shard_of(cache, hash);
	pthread_mutex_lock(&shard->mutex);
	struct cached *item = *bucket_find(cache, shard, hash, key);
	if (item) {
		atomic_fetch_add_explicit(&item->references, 1, memory_order_relaxed);
		if (shard->newest != item) {
			list_remove(shard, item);
			list_add_newest(shard, item);
		}
	}
	pthread_mutex_unlock(&shard->mutex);
	return item;
}

/* Lets the least recently used of each shard go in turn until the budget holds, beginning beside `from`. */
static void shrink(struct repo_cache *cache, size_t from)
{
	for (size_t i = 0; i < CACHE_SHARDS && atomic_load(&cache->bytes) > cache->bytes_max; i++) {
		struct shard *shard = &cache->shards[(from + i) % CACHE_SHARDS];
		for (bool more = true; more && atomic_load(&cache->bytes) > cache->bytes_max;) {
			pthread_mutex_lock(&shard->mutex);
			struct cached *item = shard->oldest;
			if (item)
				remove_at(cache, shard, bucket_find(cache, shard, item->hash, &item->key));
			more = shard->oldest && shard->oldest != shard->newest; /* leave every shard what it used last */
			pthread_mutex_unlock(&shard->mutex);
			cached_release(item);
		}
	}
}

void repo_cache_put(struct repo_cache *cache, const struct cache_key *key, struct cached *item)
{
	if (item->bytes > cache->bytes_max / 2)
		return;
	uint64_t hash = hash_of(cache, key);
	struct shard *shard = shard_of(cache, hash);
	item->hash = hash;
	item->key = *key;
	atomic_fetch_add_explicit(&item->references, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&cache->bytes, item->bytes, memory_order_relaxed);
	struct cached *replaced = NULL;
	pthread_mutex_lock(&shard->mutex);
	struct cached **place = bucket_find(cache, shard, hash, key);
	if (*place)
		replaced = remove_at(cache, shard, place);
	place = &shard->buckets[(hash >> 8) & (cache->buckets_count - 1)];
	item->chain = *place;
	*place = item;
	list_add_newest(shard, item);
	pthread_mutex_unlock(&shard->mutex);
	cached_release(replaced);
	if (atomic_load_explicit(&cache->bytes, memory_order_relaxed) > cache->bytes_max)
		shrink(cache, (size_t)(shard - cache->shards) + 1);
}

struct turns *repo_cache_turns(struct repo_cache *cache)
{
	return cache->turns;
}

struct oid repo_cache_digest(const struct repo_cache *cache, struct span text)
{
	struct oid digest = { { 0 } };
	XXH128_hash_t hash = XXH3_128bits_withSeed(text.data, text.length, cache->seed);
	memcpy(digest.bytes, &hash, sizeof(hash));
	return digest;
}

int64_t cache_clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
