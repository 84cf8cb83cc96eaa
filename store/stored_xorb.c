#include "store/stored_xorb.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>

#include "store/digest.h"
#include "store/store.h"

enum { CACHE_BUCKETS = 4096, VERIFY_BYTES = 1 << 20 };

struct xorb_cache {
	struct volumes *volumes;
	struct index *index;
	pthread_mutex_t lock;
	struct stored_xorb *buckets[CACHE_BUCKETS];
	struct stored_xorb *newest, *oldest;
	size_t bytes;
};

static int64_t monotonic_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ------------------------------------------------------------------ making one */

static void destroy(struct stored_xorb *xorb)
{
	for (uint32_t i = 0; i < xorb->fragments_count; i++)
		volume_release(xorb->fragments[i].volume);
	if (xorb->remote)
		xorb->free_remote(xorb);
	free(xorb->fragments);
	free(xorb->seen);
	free(xorb);
}

void stored_xorb_release(struct stored_xorb *xorb)
{
	if (xorb && --xorb->references == 0)
		destroy(xorb);
}

int stored_chunks_check(const struct xorb_chunk *chunks, uint32_t count, struct why *why)
{
	uint32_t body = 0, raw = 0;
	bool good = count > 0 && count <= XORB_CHUNKS_MAX;
	for (uint32_t i = 0; i < count && good; i++) {
		good = chunks[i].body_end > body && chunks[i].body_end - body > XORB_CHUNK_HEADER_BYTES && chunks[i].body_end - body <= CHUNK_STORED_BYTES_MAX &&
			chunks[i].raw_end > raw && chunks[i].raw_end - raw <= CHUNK_BYTES_MAX;
		body = chunks[i].body_end;
		raw = chunks[i].raw_end;
	}
	return good && body <= XORB_BODY_BYTES_MAX ? 0 : why_set(why, ERR_CORRUPT, "its chunk table is damaged");
}

static int take_chunks(struct stored_xorb *xorb, const struct xorb_record *record, struct why *why)
{
	for (uint32_t i = 0; i < record->chunks_count; i++) {
		struct xorb_record_chunk from;
		xorb_record_chunk_at(&from, record->chunks, i);
		xorb->table.chunks[i] = (struct xorb_chunk){ .hash = from.hash, .body_end = from.body_end, .raw_end = from.raw_end, .check = from.check };
	}
	return stored_chunks_check(xorb->table.chunks, xorb->table.count, why);
}

static int take_fragments(struct stored_xorb *xorb, struct volumes *volumes, const struct xorb_fragment *fragments, uint32_t count,
	uint32_t body_length, struct why *why)
{
	uint32_t at = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct volume *volume = volumes_get(volumes, fragments[i].volume);
		if (!volume)
			return why_set(why, ERR_CORRUPT, "volume %08x, which holds a part of it, is not there", fragments[i].volume);
		if (fragments[i].length == 0 || fragments[i].length > body_length - at) {
			volume_release(volume);
			return why_set(why, ERR_CORRUPT, "its fragments do not make its body");
		}
		xorb->fragments[xorb->fragments_count++] = (struct stored_fragment){ .volume = volume, .offset = fragments[i].offset, .start = at,
			.end = at + fragments[i].length };
		at += fragments[i].length;
	}
	return at == body_length ? 0 : why_set(why, ERR_CORRUPT, "its fragments do not make its body");
}

/* Without chunks and fragments; NULL: no memory. */
static struct stored_xorb *make_empty(const struct hash *hash, uint32_t chunks_count, uint32_t fragments_count)
{
	struct stored_xorb *xorb = calloc(1, sizeof(*xorb) + chunks_count * sizeof(struct xorb_chunk));
	if (!xorb)
		return NULL;
	xorb->references = 1;
	xorb->bytes = sizeof(*xorb) + chunks_count * (sizeof(struct xorb_chunk) + 1) + fragments_count * sizeof(struct stored_fragment);
	xorb->seen_since_ms = monotonic_ms();
	xorb->table.xorb = *hash;
	xorb->table.count = chunks_count;
	xorb->seen = calloc(chunks_count, 1);
	xorb->fragments = calloc(fragments_count, sizeof(struct stored_fragment));
	if (xorb->seen && xorb->fragments)
		return xorb;
	destroy(xorb);
	return NULL;
}

int stored_xorb_make_whole(struct stored_xorb **out, const struct hash *hash, const struct xorb_chunk *chunks, uint32_t count, struct volume *volume,
	struct why *why)
{
	struct stored_xorb *xorb = make_empty(hash, count, 1);
	if (!xorb)
		return why_set(why, ERR_NO_MEMORY, "no memory for a chunk table");
	memcpy(xorb->table.chunks, chunks, count * sizeof(*chunks));
	xorb->fragments[0] = (struct stored_fragment){ .volume = volume_hold(volume), .end = chunks[count - 1].body_end };
	xorb->fragments_count = 1;
	*out = xorb;
	return 0;
}

int stored_xorb_make(struct stored_xorb **out, struct volumes *volumes, const struct xorb_record *record, const struct xorb_fragment *fragments,
	struct why *why)
{
	if (record->chunks_count > XORB_CHUNKS_MAX)
		return why_set(why, ERR_CORRUPT, "a xorb of %u chunks", record->chunks_count);
	struct stored_xorb *xorb = make_empty(&record->xorb, record->chunks_count, record->fragments_count);
	if (!xorb)
		return why_set(why, ERR_NO_MEMORY, "no memory for a chunk table");
	int err = take_chunks(xorb, record, why);
	if (err == 0)
		err = take_fragments(xorb, volumes, fragments, record->fragments_count, record->body_length, why);
	if (err) {
		destroy(xorb);
		return err;
	}
	*out = xorb;
	return 0;
}

/* ------------------------------------------------------------------ the cache */

int xorb_cache_open(struct xorb_cache **out, struct volumes *volumes, struct index *index)
{
	struct xorb_cache *cache = calloc(1, sizeof(*cache));
	if (!cache)
		return ERR_NO_MEMORY;
	cache->volumes = volumes;
	cache->index = index;
	pthread_mutex_init(&cache->lock, NULL);
	*out = cache;
	return 0;
}

static struct stored_xorb **bucket_of(struct xorb_cache *cache, const struct hash *hash)
{
	return &cache->buckets[hash_mod(hash, CACHE_BUCKETS)];
}

static void unlink_order(struct xorb_cache *cache, struct stored_xorb *xorb)
{
	*(xorb->newer ? &xorb->newer->older : &cache->newest) = xorb->older;
	*(xorb->older ? &xorb->older->newer : &cache->oldest) = xorb->newer;
	xorb->newer = xorb->older = NULL;
}

static void link_newest(struct xorb_cache *cache, struct stored_xorb *xorb)
{
	xorb->older = cache->newest;
	*(cache->newest ? &cache->newest->newer : &cache->oldest) = xorb;
	cache->newest = xorb;
}

/* Under the lock. */
static void evict(struct xorb_cache *cache, struct stored_xorb *xorb)
{
	struct stored_xorb **link = bucket_of(cache, &xorb->table.xorb);
	while (*link != xorb)
		link = &(*link)->chain;
	*link = xorb->chain;
	unlink_order(cache, xorb);
	cache->bytes -= xorb->bytes;
	stored_xorb_release(xorb);
}

static struct stored_xorb *find(struct xorb_cache *cache, const struct hash *hash)
{
	struct stored_xorb *xorb = *bucket_of(cache, hash);
	while (xorb && !hash_equal(&xorb->table.xorb, hash))
		xorb = xorb->chain;
	return xorb;
}

void xorb_cache_close(struct xorb_cache *cache)
{
	if (!cache)
		return;
	while (cache->oldest)
		evict(cache, cache->oldest);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

void xorb_cache_drop(struct xorb_cache *cache, const struct hash *hash)
{
	pthread_mutex_lock(&cache->lock);
	struct stored_xorb *xorb = find(cache, hash);
	if (xorb)
		evict(cache, xorb);
	pthread_mutex_unlock(&cache->lock);
}

/* Reads the record of a xorb that the index knows. */
static int load_once(struct stored_xorb **out, struct xorb_cache *cache, const struct hash *hash, struct why *why)
{
	struct index_xorb entry;
	char text[HASH_TEXT_BYTES];
	hash_to_text(text, hash);
	int err = index_xorb(cache->index, hash, &entry);
	if (err)
		return why_set(why, err, err == ERR_NOT_FOUND ? "there is no xorb %s" : "cannot look up xorb %s", text);
	struct volume *volume = volumes_get(cache->volumes, entry.place.volume);
	uint8_t *bytes = malloc(VOLUME_RECORD_HEADER_BYTES + (size_t)entry.payload_length);
	struct volume_record record;
	struct xorb_record decoded;
	uint8_t check[16];
	struct why inner = { 0 };
	if (!bytes) {
		err = ERR_NO_MEMORY;
	} else if (!volume) {
		err = why_set(&inner, ERR_CORRUPT, "volume %08x is not there", entry.place.volume);
	} else if ((err = volume_read(volume, bytes, VOLUME_RECORD_HEADER_BYTES + (size_t)entry.payload_length, entry.place.offset, &inner)) == 0) {
		struct span payload = span_of(bytes + VOLUME_RECORD_HEADER_BYTES, entry.payload_length);
		volume_record_check(check, payload.data, payload.length);
		if (volume_record_decode(&record, bytes, entry.place.volume, entry.place.offset, volume->salt) != 0 ||
			record.payload_length != entry.payload_length || memcmp(check, record.check, sizeof(check)) != 0 ||
			xorb_record_decode(&decoded, payload) != 0 || !hash_equal(&decoded.xorb, hash))
			err = why_set(&inner, ERR_CORRUPT, "its record in volume %08x at %llu is damaged", entry.place.volume,
				(unsigned long long)entry.place.offset);
		else
			err = stored_xorb_make(out, cache->volumes, &decoded, entry.fragments, &inner);
	}
	volume_release(volume);
	free(bytes);
	index_xorb_fini(&entry);
	return err ? why_set(why, err, "xorb %s: %.300s", text, inner.text) : 0;
}

/* Twice: the xorb may move to another volume while it is looked up. */
static int load(struct stored_xorb **out, struct xorb_cache *cache, const struct hash *hash, struct why *why)
{
	int err = load_once(out, cache, hash, why);
	return err == ERR_CORRUPT || err == ERR_IO ? load_once(out, cache, hash, why) : err;
}

int stored_xorb_open_once(struct stored_xorb **out, struct xorb_cache *cache, const struct hash *hash, struct why *why)
{
	return load(out, cache, hash, why);
}

int stored_xorb_check(struct xorb_cache *cache, const struct hash *hash, struct why *why)
{
	struct stored_xorb *xorb;
	int err = load(&xorb, cache, hash, why);
	if (err == 0)
		stored_xorb_release(xorb);
	return err;
}

int stored_xorb_open(struct stored_xorb **out, struct xorb_cache *cache, const struct hash *hash, bool may_block, struct why *why)
{
	pthread_mutex_lock(&cache->lock);
	struct stored_xorb *xorb = find(cache, hash);
	if (xorb) {
		xorb->references++;
		if (cache->newest != xorb) {
			unlink_order(cache, xorb);
			link_newest(cache, xorb);
		}
	}
	pthread_mutex_unlock(&cache->lock);
	if (!xorb) {
		if (!may_block)
			return ERR_AGAIN;
		int err = load(&xorb, cache, hash, why);
		if (err)
			return err;
		pthread_mutex_lock(&cache->lock);
		if (!find(cache, hash)) {
			struct stored_xorb **bucket = bucket_of(cache, hash);
			xorb->references++;
			xorb->chain = *bucket;
			*bucket = xorb;
			link_newest(cache, xorb);
			cache->bytes += xorb->bytes;
			while (cache->bytes > XORB_CACHE_BYTES_MAX && cache->oldest != xorb)
				evict(cache, cache->oldest);
		}
		pthread_mutex_unlock(&cache->lock);
	}
	*out = xorb;
	return 0;
}

/* ------------------------------------------------------------------ bytes */

const struct stored_fragment *stored_xorb_locate(const struct stored_xorb *xorb, uint32_t at)
{
	uint32_t low = 0, high = xorb->fragments_count;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (xorb->fragments[middle].end <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low < xorb->fragments_count ? &xorb->fragments[low] : NULL;
}

int stored_xorb_read(struct stored_xorb *xorb, uint32_t start, size_t length, void *out, bool may_block, struct why *why)
{
	uint8_t *bytes = out;
	while (length > 0) {
		const struct stored_fragment *fragment = stored_xorb_locate(xorb, start);
		if (!fragment)
			return why_set(why, ERR_CORRUPT, "a read behind the end of a xorb");
		size_t some = fragment->end - start < length ? fragment->end - start : length;
		struct iovec vector = { bytes, some };
		ssize_t done = preadv2(fragment->volume->fd, &vector, 1, (off_t)(fragment->offset + (start - fragment->start)), may_block ? 0 : RWF_NOWAIT);
		if (done < 0 && errno == EINTR)
			continue;
		if (!may_block && (done < 0 ? errno == EAGAIN || errno == EOPNOTSUPP : (size_t)done < some))
			return ERR_AGAIN;
		if (done <= 0)
			return why_set(why, done < 0 ? ERR_IO : ERR_CORRUPT, "cannot read volume %08x: %s", fragment->volume->id,
				done < 0 ? strerror(errno) : "the file ends before");
		bytes += done;
		start += (uint32_t)done;
		length -= (size_t)done;
	}
	return 0;
}

int stored_chunk_check(struct stored_xorb *xorb, uint32_t chunk, const uint8_t *bytes, struct xorb_chunk_header *header, struct why *why)
{
	const struct xorb_chunk *entry = &xorb->table.chunks[chunk];
	uint32_t start = stored_chunk_start(xorb, chunk), length = entry->body_end - start;
	const uint8_t *payload = bytes + XORB_CHUNK_HEADER_BYTES;
	if (xorb_chunk_check(bytes, payload, length - XORB_CHUNK_HEADER_BYTES) != entry->check || xorb_chunk_header_parse(header, bytes, NULL) != 0 ||
		header->payload_length != length - XORB_CHUNK_HEADER_BYTES || header->raw_length != entry->raw_end - stored_chunk_raw_start(xorb, chunk)) {
		const struct stored_fragment *fragment = stored_xorb_locate(xorb, start);
		char text[HASH_TEXT_BYTES];
		hash_to_text(text, &xorb->table.xorb);
		return why_set(why, ERR_CORRUPT, "volume %08x at %llu: chunk %u of xorb %s is damaged", fragment ? fragment->volume->id : 0,
			(unsigned long long)(fragment ? fragment->offset + (start - fragment->start) : 0), chunk, text);
	}
	xorb->seen[chunk] = header->scheme == XORB_NONE ? CHUNK_PLAIN : CHUNK_COMPRESSED;
	return 0;
}

enum xorb_chunk_seen stored_chunk_seen(struct stored_xorb *xorb, uint32_t chunk)
{
	int64_t now = monotonic_ms();
	if (now - xorb->seen_since_ms > XORB_SEEN_MS) {
		for (uint32_t i = 0; i < xorb->table.count; i++)
			xorb->seen[i] = CHUNK_UNSEEN;
		xorb->seen_since_ms = now;
	}
	return (enum xorb_chunk_seen)xorb->seen[chunk];
}

static int verify_chunk(struct stored_xorb *xorb, uint32_t chunk, const uint8_t *bytes, bool hashes, uint8_t *raw, struct why *why)
{
	struct xorb_chunk_header header;
	struct hash hash;
	int err = stored_chunk_check(xorb, chunk, bytes, &header, why);
	if (err || !hashes)
		return err;
	err = xorb_chunk_decode(raw, &header, bytes + XORB_CHUNK_HEADER_BYTES, why);
	if (err)
		return err;
	digest_chunk(&hash, raw, header.raw_length);
	if (!hash_equal(&hash, &xorb->table.chunks[chunk].hash))
		return why_set(why, ERR_CORRUPT, "chunk %u does not have the hash of the table", chunk);
	return 0;
}

int stored_xorb_verify(struct stored_xorb *xorb, bool hashes, struct why *why)
{
	uint8_t *bytes = malloc(VERIFY_BYTES + CHUNK_BYTES_MAX), *raw = bytes ? bytes + VERIFY_BYTES : NULL;
	if (!bytes)
		return why_set(why, ERR_NO_MEMORY, "no memory to verify a xorb");
	int err = 0;
	for (uint32_t first = 0, end; first < xorb->table.count && err == 0; first = end) {
		uint32_t start = stored_chunk_start(xorb, first);
		for (end = first + 1; end < xorb->table.count && xorb->table.chunks[end].body_end - start <= VERIFY_BYTES;)
			end++;
		err = stored_xorb_read(xorb, start, xorb->table.chunks[end - 1].body_end - start, bytes, true, why);
		for (uint32_t i = first; i < end && err == 0; i++)
			err = verify_chunk(xorb, i, bytes + (stored_chunk_start(xorb, i) - start), hashes, raw, why);
	}
	free(bytes);
	return err;
}

/* ------------------------------------------------------------------ store.h's table */

void xorb_table_release(struct xorb_table *table)
{
	if (table)
		stored_xorb_release((struct stored_xorb *)((char *)table - offsetof(struct stored_xorb, table)));
}
