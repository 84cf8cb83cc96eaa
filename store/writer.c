#include "store/writer.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum {
	SMALL_BUFFER_BYTES = 16 << 10,
	IDLE_S = 1,                                  /* without an upload: pages kept for the next go back to the system, */
	IDLE_PAGES_MAX = 1,                          /* but for this many */
	PARTS = WRITE_BUFFER_BYTES_MAX / WRITE_BUFFER_BYTES_SCARCE,
	PARTS_FEW = 2,
};

/* A huge page: one buffer, or as many as PARTS of them when memory is scarce. */
struct page {
	uint8_t *data;                /* NULL: there is none */
	uint32_t free;                /* a bit for each part; all of them: nobody has any of it */
	struct write_buffer parts[PARTS]; /* that of a buffer's first part is used */
};

static uint32_t parts_mask(unsigned count)
{
	return (1u << count) - 1;
}

struct writer {
	struct volumes *volumes;
	pthread_mutex_t lock;
	pthread_cond_t work;     /* for the threads */
	pthread_cond_t returned; /* for those who wait for a buffer */
	struct write_buffer *queue, **queue_tail;
	struct page *pages;      /* as many as the budget has room for */
	size_t pages_max;
	size_t writing;          /* buffers on their way to disk, here or with the journal: they come back by themselves */
	uint64_t budget_bytes;
	uint64_t held_bytes;     /* of memory, kept pages included */
	uint64_t taken_bytes;    /* of buffers that somebody has */
	bool stopping;
	pthread_t threads[WRITER_THREADS];
	int threads_count;
};

/* ------------------------------------------------------------------ groups */

void write_group_init(struct write_group *group, enum volume_purpose purpose)
{
	*group = (struct write_group){ .purpose = purpose };
	pthread_mutex_init(&group->lock, NULL);
	pthread_cond_init(&group->changed, NULL);
}

void write_group_fini(struct write_group *group)
{
	pthread_mutex_destroy(&group->lock);
	pthread_cond_destroy(&group->changed);
}

int write_group_wait(struct write_group *group, struct why *why)
{
	pthread_mutex_lock(&group->lock);
	while (group->pending > 0)
		pthread_cond_wait(&group->changed, &group->lock);
	int err = group->err;
	pthread_mutex_unlock(&group->lock);
	return err ? why_set(why, err, "%s", group->why.text) : 0;
}

static void group_begin(struct write_group *group)
{
	pthread_mutex_lock(&group->lock);
	group->pending++;
	pthread_mutex_unlock(&group->lock);
}

static void group_end(struct write_group *group, int err, const struct why *why)
{
	pthread_mutex_lock(&group->lock);
	if (err && !group->err) {
		group->err = err;
		group->why = *why;
	}
	group->pending--;
	pthread_cond_broadcast(&group->changed); /* under the lock: the waiter may free the group at once */
	pthread_mutex_unlock(&group->lock);
}

/* ------------------------------------------------------------------ memory */

static size_t capacity_for(size_t wanted)
{
	size_t bytes = volume_align(wanted + VOLUME_RECORD_HEADER_BYTES, VOLUME_BLOCK_BYTES);
	if (bytes < SMALL_BUFFER_BYTES)
		return SMALL_BUFFER_BYTES;
	return bytes < WRITE_BUFFER_BYTES_SCARCE ? bytes : WRITE_BUFFER_BYTES_MAX;
}

/* Memory that the kernel backs with one huge page if it can. NULL: there is none. */
static uint8_t *map_page(void)
{
	size_t length = WRITE_BUFFER_BYTES_MAX;
	uint8_t *start = mmap(NULL, 2 * length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (start == MAP_FAILED)
		return NULL;
	size_t before = (size_t)-(uintptr_t)start & (length - 1);
	if (before)
		munmap(start, before);
	munmap(start + before + length, length - before);
	madvise(start + before, length, MADV_HUGEPAGE);
	return start + before;
}

/* The rest is under the lock. */

static bool is_kept(const struct page *page)
{
	return page->data && page->free == parts_mask(PARTS);
}

static size_t kept_pages(const struct writer *writer)
{
	size_t count = 0;
	for (size_t i = 0; i < writer->pages_max; i++)
		count += is_kept(&writer->pages[i]);
	return count;
}

/* Gives kept pages back to the system until at most `left` are. */
static void drop_kept(struct writer *writer, size_t left)
{
	size_t count = kept_pages(writer);
	for (struct page *page = writer->pages; count > left; page++) {
		if (!is_kept(page))
			continue;
		munmap(page->data, WRITE_BUFFER_BYTES_MAX);
		page->data = NULL;
		writer->held_bytes -= WRITE_BUFFER_BYTES_MAX;
		count--;
	}
}

/* A page that nobody has any of. NULL: the budget or the memory is used up. */
static struct page *whole_page(struct writer *writer)
{
	struct page *empty = NULL;
	for (struct page *page = writer->pages; page < writer->pages + writer->pages_max; page++) {
		if (is_kept(page))
			return page;
		if (!page->data)
			empty = page;
	}
	if (!empty || writer->held_bytes + WRITE_BUFFER_BYTES_MAX > writer->budget_bytes || !(empty->data = map_page()))
		return NULL;
	writer->held_bytes += WRITE_BUFFER_BYTES_MAX;
	empty->free = parts_mask(PARTS);
	return empty;
}

/* The first of `count` neighbouring parts that are free, in the page or -1. `count` is a power of two. */
static int free_parts(const struct page *page, unsigned count)
{
	for (unsigned i = 0; page->data && i < PARTS; i += count)
		if ((page->free >> i & parts_mask(count)) == parts_mask(count))
			return (int)i;
	return -1;
}

/* Taken of the fullest page that has them, so that others become whole again. */
static struct write_buffer *take_parts(struct writer *writer, unsigned count)
{
	struct page *best = NULL;
	for (struct page *page = writer->pages; page < writer->pages + writer->pages_max; page++)
		if (!is_kept(page) && free_parts(page, count) >= 0 && (!best || __builtin_popcount(page->free) < __builtin_popcount(best->free)))
			best = page;
	if (!best && !(best = whole_page(writer)))
		return NULL;
	int i = free_parts(best, count);
	best->free &= ~(parts_mask(count) << i);
	best->parts[i] = (struct write_buffer){ .page = best, .data = best->data + (size_t)i * WRITE_BUFFER_BYTES_SCARCE,
		.capacity = count * WRITE_BUFFER_BYTES_SCARCE };
	return &best->parts[i];
}

static struct write_buffer *take_small(struct writer *writer, size_t capacity)
{
	struct write_buffer *buffer = NULL;
	size_t kept = writer->held_bytes + capacity > writer->budget_bytes ? kept_pages(writer) : 0;
	if (kept)
		drop_kept(writer, kept - 1); /* no more than it takes: a page that comes back is a page to clear */
	if (writer->held_bytes + capacity > writer->budget_bytes || !(buffer = calloc(1, sizeof(*buffer))))
		return NULL;
	if (posix_memalign((void **)&buffer->data, VOLUME_BLOCK_BYTES, capacity) != 0) {
		free(buffer);
		return NULL;
	}
	buffer->capacity = capacity;
	writer->held_bytes += capacity;
	return buffer;
}

/* Above half the budget everyone takes less, and above three quarters still less, so that more of them can go on. */
static struct write_buffer *take(struct writer *writer, size_t capacity)
{
	struct write_buffer *buffer = NULL;
	uint64_t half = writer->budget_bytes / 2;
	if (capacity < WRITE_BUFFER_BYTES_SCARCE)
		buffer = take_small(writer, capacity);
	else if (writer->taken_bytes <= half)
		buffer = take_parts(writer, PARTS);
	else if (writer->taken_bytes <= half + half / 2)
		buffer = take_parts(writer, PARTS_FEW);
	if (!buffer && !(buffer = take_parts(writer, 1)))
		return NULL;
	writer->taken_bytes += buffer->capacity;
	buffer->used = VOLUME_RECORD_HEADER_BYTES;
	return buffer;
}

static void take_back(struct writer *writer, struct write_buffer *buffer)
{
	struct page *page = buffer->page;
	writer->taken_bytes -= buffer->capacity;
	if (!page) {
		writer->held_bytes -= buffer->capacity;
		free(buffer->data);
		free(buffer);
	} else {
		page->free |= parts_mask((unsigned)(buffer->capacity / WRITE_BUFFER_BYTES_SCARCE)) << (buffer - page->parts);
	}
	pthread_cond_broadcast(&writer->returned);
}

/* ------------------------------------------------------------------ buffers */

int writer_take(struct writer *writer, size_t wanted, struct write_buffer **out, struct why *why)
{
	size_t capacity = capacity_for(wanted);
	pthread_mutex_lock(&writer->lock);
	while (!(*out = take(writer, capacity)) && writer->writing > 0)
		pthread_cond_wait(&writer->returned, &writer->lock);
	pthread_mutex_unlock(&writer->lock);
	return *out ? 0 : why_set(why, ERR_BUSY, "too many uploads at once: the memory for bytes on their way to disk is used up");
}

void writer_give(struct writer *writer, struct write_buffer *buffer)
{
	if (!buffer)
		return;
	pthread_mutex_lock(&writer->lock);
	take_back(writer, buffer);
	pthread_mutex_unlock(&writer->lock);
}

void writer_lend(struct writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	writer->writing++;
	pthread_mutex_unlock(&writer->lock);
}

void writer_give_lent(struct writer *writer, struct write_buffer *buffer)
{
	pthread_mutex_lock(&writer->lock);
	writer->writing--;
	take_back(writer, buffer);
	pthread_mutex_unlock(&writer->lock);
}

/* ------------------------------------------------------------------ writing */

int writer_submit(struct writer *writer, struct write_buffer *buffer, struct write_group *group, struct xorb_fragment *place, struct why *why)
{
	size_t length = volume_align(buffer->used, VOLUME_BLOCK_BYTES);
	int err = volumes_allocate(writer->volumes, length, group->purpose, &buffer->volume, &buffer->offset, why);
	if (err) {
		writer_give(writer, buffer);
		return err;
	}
	struct volume_record record = { .kind = VOLUME_FRAGMENT, .volume = buffer->volume->id, .offset = buffer->offset,
		.payload_length = (uint32_t)(buffer->used - VOLUME_RECORD_HEADER_BYTES) };
	volume_record_encode(buffer->data, &record, buffer->volume->salt);
	memset(buffer->data + buffer->used, 0, length - buffer->used);
	*place = (struct xorb_fragment){ .volume = record.volume, .length = record.payload_length,
		.offset = record.offset + VOLUME_RECORD_HEADER_BYTES };
	buffer->group = group;
	group_begin(group);
	pthread_mutex_lock(&writer->lock);
	buffer->next = NULL;
	*writer->queue_tail = buffer;
	writer->queue_tail = &buffer->next;
	writer->writing++;
	pthread_cond_signal(&writer->work);
	pthread_mutex_unlock(&writer->lock);
	return 0;
}

static void write_one(struct writer *writer, struct write_buffer *buffer)
{
	struct why why = { 0 };
	int err = volume_write(writer->volumes, buffer->volume, buffer->data, volume_align(buffer->used, VOLUME_BLOCK_BYTES), buffer->offset, true,
		&why);
	volume_written(buffer->volume);
	group_end(buffer->group, err, &why);
}

/* Waits until there is something to write, or the end. Under the lock. */
static void wait_for_work(struct writer *writer)
{
	while (!writer->queue && !writer->stopping) {
		bool idle = writer->taken_bytes == 0;
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += IDLE_S;
		if (kept_pages(writer) <= IDLE_PAGES_MAX)
			pthread_cond_wait(&writer->work, &writer->lock);
		else if (pthread_cond_timedwait(&writer->work, &writer->lock, &until) != 0 && idle && writer->taken_bytes == 0)
			drop_kept(writer, IDLE_PAGES_MAX);
	}
}

static void *writer_main(void *argument)
{
	struct writer *writer = argument;
	pthread_mutex_lock(&writer->lock);
	for (;;) {
		wait_for_work(writer);
		struct write_buffer *buffer = writer->queue;
		if (!buffer)
			break;
		writer->queue = buffer->next;
		if (!writer->queue)
			writer->queue_tail = &writer->queue;
		pthread_mutex_unlock(&writer->lock);
		write_one(writer, buffer);
		pthread_mutex_lock(&writer->lock);
		writer->writing--;
		take_back(writer, buffer);
	}
	pthread_mutex_unlock(&writer->lock);
	return NULL;
}

int writer_open(struct writer **out, struct volumes *volumes, uint64_t budget_bytes, struct why *why)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	size_t pages_max = (size_t)(budget_bytes / WRITE_BUFFER_BYTES_MAX);
	if (!writer || !(writer->pages = calloc(pages_max + 1, sizeof(*writer->pages)))) {
		free(writer);
		return why_set(why, ERR_NO_MEMORY, "no memory for the writer");
	}
	writer->volumes = volumes;
	writer->pages_max = pages_max;
	writer->budget_bytes = budget_bytes;
	writer->queue_tail = &writer->queue;
	pthread_mutex_init(&writer->lock, NULL);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&writer->work, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_cond_init(&writer->returned, NULL);
	for (; writer->threads_count < WRITER_THREADS; writer->threads_count++) {
		if (pthread_create(&writer->threads[writer->threads_count], NULL, writer_main, writer) != 0) {
			writer_close(writer);
			return why_set(why, ERR_NO_MEMORY, "cannot start a thread for writing");
		}
	}
	*out = writer;
	return 0;
}

void writer_close(struct writer *writer)
{
	if (!writer)
		return;
	pthread_mutex_lock(&writer->lock);
	writer->stopping = true;
	pthread_cond_broadcast(&writer->work);
	pthread_mutex_unlock(&writer->lock);
	for (int i = 0; i < writer->threads_count; i++)
		pthread_join(writer->threads[i], NULL);
	drop_kept(writer, 0);
	free(writer->pages);
	pthread_cond_destroy(&writer->work);
	pthread_cond_destroy(&writer->returned);
	pthread_mutex_destroy(&writer->lock);
	free(writer);
}
