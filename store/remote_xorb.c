#include "store/remote_xorb.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "store/core.h"
#include "store/digest.h"

enum { CHUNK_ELSEWHERE, CHUNK_COMING, CHUNK_HERE };

struct remote_xorbs {
	struct store *store;
	pthread_mutex_t lock;
	struct stored_xorb *items[REMOTE_XORBS_MAX]; /* held; the one that was opened last is the last */
	int64_t opened_ms[REMOTE_XORBS_MAX];
	size_t count;
	_Atomic uint64_t bytes; /* that were brought, of all that still exist */
};

struct remote_part {
	struct remote_xorbs *remotes;
	pthread_mutex_t lock;
	pthread_cond_t landed;
	_Atomic uint8_t *chunks; /* changed under the lock */
	_Atomic uint64_t bytes;  /* that were brought */
};

static int64_t monotonic_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ------------------------------------------------------------------ those that are known */

int remote_xorbs_open(struct remote_xorbs **out, struct store *store)
{
	struct remote_xorbs *remotes = calloc(1, sizeof(*remotes));
	if (!remotes)
		return ERR_NO_MEMORY;
	remotes->store = store;
	pthread_mutex_init(&remotes->lock, NULL);
	*out = remotes;
	return 0;
}

/* Under the lock. */
static void forget(struct remote_xorbs *remotes, size_t at)
{
	struct stored_xorb *xorb = remotes->items[at];
	remotes->count--;
	memmove(remotes->items + at, remotes->items + at + 1, (remotes->count - at) * sizeof(*remotes->items));
	memmove(remotes->opened_ms + at, remotes->opened_ms + at + 1, (remotes->count - at) * sizeof(*remotes->opened_ms));
	stored_xorb_release(xorb);
}

void remote_xorbs_close(struct remote_xorbs *remotes)
{
	if (!remotes)
		return;
	while (remotes->count > 0)
		forget(remotes, 0);
	pthread_mutex_destroy(&remotes->lock);
	free(remotes);
}

/* Under the lock, where nobody new can come to hold it. */
static bool is_idle(const struct stored_xorb *xorb)
{
	return xorb->references == 1;
}

void remote_xorbs_tidy(struct remote_xorbs *remotes, bool all)
{
	int64_t before_ms = monotonic_ms() - REMOTE_KEEP_MS;
	pthread_mutex_lock(&remotes->lock);
	for (size_t i = remotes->count; i-- > 0;)
		if (all ? is_idle(remotes->items[i]) : remotes->opened_ms[i] < before_ms)
			forget(remotes, i);
	pthread_mutex_unlock(&remotes->lock);
}

/* Lets go of what nobody reads, the oldest first. */
static void make_room(struct remote_xorbs *remotes)
{
	if (remotes->bytes <= REMOTE_BYTES_MAX)
		return;
	pthread_mutex_lock(&remotes->lock);
	for (size_t i = 0; i < remotes->count && remotes->bytes > REMOTE_BYTES_MAX;) {
		if (is_idle(remotes->items[i]))
			forget(remotes, i);
		else
			i++;
	}
	pthread_mutex_unlock(&remotes->lock);
}

/* Under the lock; `count`: it is not known. */
static size_t place_of(const struct remote_xorbs *remotes, const struct hash *hash)
{
	size_t at = 0;
	while (at < remotes->count && !hash_equal(&remotes->items[at]->table.xorb, hash))
		at++;
	return at;
}

/* Under the lock. */
static void put_last(struct remote_xorbs *remotes, struct stored_xorb *xorb)
{
	if (remotes->count == REMOTE_XORBS_MAX)
		forget(remotes, 0);
	remotes->items[remotes->count] = xorb;
	remotes->opened_ms[remotes->count++] = monotonic_ms();
}

bool remote_xorb_find(struct remote_xorbs *remotes, const struct hash *hash, struct stored_xorb **out)
{
	pthread_mutex_lock(&remotes->lock);
	size_t at = place_of(remotes, hash);
	bool found = at < remotes->count;
	if (found) {
		*out = remotes->items[at];
		(*out)->references += 2; /* the caller's, and the one that goes with the old place */
		forget(remotes, at);
		put_last(remotes, *out);
	}
	pthread_mutex_unlock(&remotes->lock);
	return found;
}

void remote_xorb_drop(struct remote_xorbs *remotes, const struct hash *hash)
{
	pthread_mutex_lock(&remotes->lock);
	size_t at = place_of(remotes, hash);
	if (at < remotes->count)
		forget(remotes, at);
	pthread_mutex_unlock(&remotes->lock);
}

/* ------------------------------------------------------------------ opening */

static void free_part(struct stored_xorb *xorb)
{
	struct remote_part *part = xorb->remote;
	part->remotes->bytes -= part->bytes;
	pthread_mutex_destroy(&part->lock);
	pthread_cond_destroy(&part->landed);
	free(part->chunks);
	free(part);
}

static int add_part(struct remote_xorbs *remotes, struct stored_xorb *xorb)
{
	pthread_condattr_t attributes;
	struct remote_part *part = calloc(1, sizeof(*part));
	if (!part || !(part->chunks = calloc(xorb->table.count, 1))) {
		free(part);
		return ERR_NO_MEMORY;
	}
	part->remotes = remotes;
	pthread_mutex_init(&part->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&part->landed, &attributes);
	pthread_condattr_destroy(&attributes);
	xorb->remote = part;
	xorb->free_remote = free_part;
	return 0;
}

/* The hash covers what the chunks hold and not how they are coded: what is wrong there shows when the first chunk comes. */
static int check_root(const struct hash *hash, const struct xorb_chunk *chunks, uint32_t count, struct why *why)
{
	struct merkle *merkle;
	struct hash root;
	if (merkle_open(&merkle) != 0)
		return why_set(why, ERR_NO_MEMORY, "no memory for a chunk table");
	for (uint32_t i = 0; i < count; i++)
		merkle_add(merkle, &chunks[i].hash, chunks[i].raw_end - (i ? chunks[i - 1].raw_end : 0));
	merkle_root(merkle, &root);
	merkle_close(merkle);
	return hash_equal(&root, hash) ? 0 : why_set(why, ERR_CORRUPT, "a chunk table of another node does not have the hash of its xorb");
}

struct opening {
	struct table_taker taker; /* first */
	struct remote_xorbs *remotes;
	const struct hash *hash;
	struct stored_xorb *xorb;
};

static int take_table(struct table_taker *taker, const struct xorb_chunk *chunks, uint32_t count, struct why *why)
{
	struct opening *opening = (struct opening *)taker;
	struct volume *volume;
	int err = stored_chunks_check(chunks, count, why);
	if (err == 0)
		err = check_root(opening->hash, chunks, count, why);
	if (err == 0)
		err = volumes_make_unnamed(opening->remotes->store->volumes, &volume, why);
	if (err)
		return err;
	err = stored_xorb_make_whole(&opening->xorb, opening->hash, chunks, count, volume, why);
	volume_release(volume);
	if (err == 0 && add_part(opening->remotes, opening->xorb) != 0) {
		stored_xorb_release(opening->xorb);
		err = why_set(why, ERR_NO_MEMORY, "no memory for a chunk table");
	}
	return err;
}

int remote_xorb_open(struct remote_xorbs *remotes, const struct hash *hash, struct stored_xorb **out, struct why *why)
{
	const struct store_copies *copies = &remotes->store->copies;
	struct opening opening = { .taker = { take_table }, .remotes = remotes, .hash = hash };
	if (remote_xorb_find(remotes, hash, out))
		return 0;
	make_room(remotes);
	int err = copies->fetch_table(copies->context, hash, &opening.taker, why);
	if (err)
		return err;
	pthread_mutex_lock(&remotes->lock);
	size_t at = place_of(remotes, hash);
	struct stored_xorb *known = at < remotes->count ? remotes->items[at] : NULL;
	*out = known ? known : opening.xorb;
	(*out)->references++;
	if (!known)
		put_last(remotes, opening.xorb);
	pthread_mutex_unlock(&remotes->lock);
	if (known)
		stored_xorb_release(opening.xorb);
	return 0;
}

/* ------------------------------------------------------------------ bringing chunks */

bool stored_chunk_is_here(const struct stored_xorb *xorb, uint32_t chunk)
{
	return !xorb->remote || xorb->remote->chunks[chunk] == CHUNK_HERE;
}

struct bringing {
	struct chunk_taker taker; /* first */
	struct stored_xorb *xorb;
	uint8_t *raw;
};

/* What one chunk holds must have the hash of the table. */
static int check_chunk(struct bringing *bringing, uint32_t at, const uint8_t *bytes, uint32_t length, struct why *why)
{
	struct xorb_chunk *chunk = &bringing->xorb->table.chunks[at];
	struct xorb_chunk_header header;
	struct hash hash;
	const uint8_t *payload = bytes + XORB_CHUNK_HEADER_BYTES, *raw = payload;
	int err = xorb_chunk_header_parse(&header, bytes, why);
	if (err)
		return err;
	if (header.payload_length != length - XORB_CHUNK_HEADER_BYTES || header.raw_length != chunk->raw_end - stored_chunk_raw_start(bringing->xorb, at))
		return why_set(why, ERR_CORRUPT, "a chunk of another node does not have the length of the table");
	if (header.scheme != XORB_NONE) {
		err = xorb_chunk_decode(bringing->raw, &header, payload, why);
		raw = bringing->raw;
	}
	if (err)
		return err;
	digest_chunk(&hash, raw, header.raw_length);
	if (!hash_equal(&hash, &chunk->hash))
		return why_set(why, ERR_CORRUPT, "a chunk of another node does not have the hash of the table");
	chunk->check = xorb_chunk_check(bytes, payload, header.payload_length); /* nobody reads it before the chunk is here */
	return 0;
}

static int write_all(int fd, struct span bytes, uint64_t offset, struct why *why)
{
	while (bytes.length > 0) {
		ssize_t done = pwrite(fd, bytes.data, bytes.length, (off_t)offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return why_set(why, done < 0 && errno == ENOSPC ? ERR_NO_SPACE : ERR_IO, "cannot set aside what is read from another node: %s", strerror(errno));
		bytes = span_of(bytes.data + done, bytes.length - (size_t)done);
		offset += (uint64_t)done;
	}
	return 0;
}

static void say_here(struct stored_xorb *xorb, uint32_t first, uint32_t end, uint64_t bytes)
{
	struct remote_part *part = xorb->remote;
	part->bytes += bytes;
	part->remotes->bytes += bytes;
	pthread_mutex_lock(&part->lock);
	for (uint32_t i = first; i < end; i++)
		part->chunks[i] = CHUNK_HERE;
	pthread_cond_broadcast(&part->landed);
	pthread_mutex_unlock(&part->lock);
}

static int take_chunks(struct chunk_taker *taker, struct span bytes, struct why *why)
{
	struct bringing *bringing = (struct bringing *)taker;
	struct stored_xorb *xorb = bringing->xorb;
	uint32_t start = stored_chunk_start(xorb, taker->next), first = taker->next, at = first;
	size_t used = 0;
	while (used < bytes.length && at < taker->end) {
		uint32_t length = xorb->table.chunks[at].body_end - stored_chunk_start(xorb, at);
		int err = length <= bytes.length - used ? check_chunk(bringing, at, bytes.data + used, length, why) : ERR_CORRUPT;
		if (err)
			return err;
		used += length;
		at++;
	}
	if (used != bytes.length)
		return why_set(why, ERR_CORRUPT, "another node sends other chunks than it was asked for");
	int err = write_all(xorb->fragments[0].volume->fd, bytes, start, why);
	if (err)
		return err;
	say_here(xorb, first, at, bytes.length);
	for (uint32_t i = first; i < at; i++) { /* they need not be checked again at once */
		struct xorb_chunk_header header;
		if (xorb_chunk_header_parse(&header, bytes.data + (stored_chunk_start(xorb, i) - start), NULL) == 0)
			xorb->seen[i] = header.scheme == XORB_NONE ? CHUNK_PLAIN : CHUNK_COMPRESSED;
	}
	taker->next = at;
	return 0;
}

static int fetch(struct stored_xorb *xorb, uint32_t first, uint32_t end, struct why *why)
{
	struct remote_xorbs *remotes = xorb->remote->remotes;
	const struct store_copies *copies = &remotes->store->copies;
	struct bringing bringing = { .taker = { .next = first, .end = end, .take = take_chunks }, .xorb = xorb, .raw = malloc(CHUNK_BYTES_MAX) };
	make_room(remotes);
	int err = bringing.raw ? volumes_check_room(remotes->store->volumes, REMOTE_AHEAD_BYTES_MAX, why) : ERR_NO_MEMORY;
	if (err == 0)
		err = copies->fetch_chunks ? copies->fetch_chunks(copies->context, &xorb->table.xorb, &bringing.taker, why) : ERR_NOT_FOUND;
	free(bringing.raw);
	return err;
}

/* Says that the chunk is coming, and those behind it that nobody fetches, as many as fit. Under the lock. */
static uint32_t claim(struct stored_xorb *xorb, uint32_t chunk, uint32_t end, uint32_t bytes_max)
{
	struct remote_part *part = xorb->remote;
	uint32_t start = stored_chunk_start(xorb, chunk), last = chunk;
	do
		part->chunks[last++] = CHUNK_COMING;
	while (last < end && part->chunks[last] == CHUNK_ELSEWHERE && xorb->table.chunks[last].body_end - start <= bytes_max);
	return last;
}

int remote_xorb_bring(struct stored_xorb *xorb, uint32_t chunk, uint32_t end, uint32_t *ahead_bytes, bool may_block, struct why *why)
{
	struct remote_part *part = xorb->remote;
	int64_t until_ms = monotonic_ms() + REMOTE_WAIT_MS;
	struct timespec until = { .tv_sec = (time_t)(until_ms / 1000), .tv_nsec = (long)(until_ms % 1000) * 1000000 };
	int err = 0;
	if (part->chunks[chunk] == CHUNK_HERE)
		return 0;
	if (!may_block)
		return ERR_AGAIN;
	pthread_mutex_lock(&part->lock);
	while (err == 0 && part->chunks[chunk] != CHUNK_HERE) {
		if (part->chunks[chunk] == CHUNK_COMING) {
			if (pthread_cond_timedwait(&part->landed, &part->lock, &until) != 0)
				err = why_set(why, ERR_BUSY, "a xorb is being fetched from another node; try again");
			continue;
		}
		*ahead_bytes = *ahead_bytes ? *ahead_bytes * 2 : REMOTE_AHEAD_BYTES_MIN;
		*ahead_bytes = *ahead_bytes < REMOTE_AHEAD_BYTES_MAX ? *ahead_bytes : REMOTE_AHEAD_BYTES_MAX;
		uint32_t last = claim(xorb, chunk, end, *ahead_bytes);
		pthread_mutex_unlock(&part->lock);
		err = fetch(xorb, chunk, last, why);
		pthread_mutex_lock(&part->lock);
		for (uint32_t i = chunk; i < last; i++)
			if (part->chunks[i] == CHUNK_COMING)
				part->chunks[i] = CHUNK_ELSEWHERE;
		pthread_cond_broadcast(&part->landed);
	}
	err = part->chunks[chunk] == CHUNK_HERE ? 0 : err;
	pthread_mutex_unlock(&part->lock);
	return err;
}
