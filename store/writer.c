#include "store/writer.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum {
	SMALL_BUFFER_BYTES = 16 << 10,
	IDLE_S = 1,                                  /* without an upload: what was kept for the next goes back to the system, */
	IDLE_BYTES_MAX = WRITE_BUFFER_BYTES_MAX,     /* but for this much */
};

/* Empty buffers of one size, kept for the next who wants one: fresh memory costs a page fault for every 4 KiB written. */
struct free_list {
	struct write_buffer *first;
	size_t capacity;
};

struct writer {
	struct volumes *volumes;
	pthread_mutex_t lock;
	pthread_cond_t work;     /* for the threads */
	pthread_cond_t returned; /* for those who wait for a buffer */
	struct write_buffer *queue, **queue_tail;
	struct free_list kept[2]; /* full size, scarce size */
	size_t writing;          /* buffers on their way to disk, here or with the journal: they come back by themselves */
	uint64_t budget_bytes, used_bytes;
	uint64_t kept_bytes;     /* part of used_bytes */
	bool stopping;
	pthread_t threads[WRITER_THREADS];
	int threads_count;
};

/* ------------------------------------------------------------------ groups */

void write_group_init(struct write_group *group)
{
	*group = (struct write_group){ 0 };
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

/* ------------------------------------------------------------------ buffers */

static size_t capacity_for(size_t wanted)
{
	size_t bytes = volume_align(wanted + VOLUME_RECORD_HEADER_BYTES, VOLUME_BLOCK_BYTES);
	if (bytes < SMALL_BUFFER_BYTES)
		return SMALL_BUFFER_BYTES;
	return bytes < WRITE_BUFFER_BYTES_SCARCE ? bytes : WRITE_BUFFER_BYTES_MAX;
}

static struct write_buffer *allocate(size_t capacity)
{
	struct write_buffer *buffer = calloc(1, sizeof(*buffer));
	if (!buffer)
		return NULL;
	bool is_huge = capacity == WRITE_BUFFER_BYTES_MAX;
	if (posix_memalign((void **)&buffer->data, is_huge ? capacity : VOLUME_BLOCK_BYTES, capacity) != 0) {
		free(buffer);
		return NULL;
	}
	if (is_huge)
		madvise(buffer->data, capacity, MADV_HUGEPAGE);
	buffer->capacity = capacity;
	return buffer;
}

static void release(struct write_buffer *buffer)
{
	free(buffer->data);
	free(buffer);
}

/* The list for buffers of this size, or NULL: such are not kept. */
static struct free_list *list_of(struct writer *writer, size_t capacity)
{
	for (size_t i = 0; i < 2; i++)
		if (writer->kept[i].capacity == capacity)
			return &writer->kept[i];
	return NULL;
}

/* Under the lock. NULL: none is kept. */
static struct write_buffer *take_kept(struct writer *writer, size_t capacity)
{
	struct free_list *list = list_of(writer, capacity);
	struct write_buffer *buffer = list ? list->first : NULL;
	if (buffer) {
		list->first = buffer->next;
		writer->kept_bytes -= capacity;
	}
	return buffer;
}

/* Gives one kept buffer back to the system; under the lock. False: none is kept. */
static bool drop_kept(struct writer *writer)
{
	for (size_t i = 0; i < 2; i++) {
		struct write_buffer *buffer = take_kept(writer, writer->kept[i].capacity);
		if (buffer) {
			writer->used_bytes -= buffer->capacity;
			release(buffer);
			return true;
		}
	}
	return false;
}

/* Room for `capacity` bytes in the budget; under the lock. Keeping empty buffers is given up for it first. */
static bool reserve(struct writer *writer, size_t capacity)
{
	while (writer->used_bytes + capacity > writer->budget_bytes)
		if (!drop_kept(writer))
			return false;
	writer->used_bytes += capacity;
	return true;
}

int writer_take(struct writer *writer, size_t wanted, struct write_buffer **out, struct why *why)
{
	size_t capacity = capacity_for(wanted);
	struct write_buffer *buffer = NULL;
	pthread_mutex_lock(&writer->lock);
	for (;;) {
		/* Above half the budget everyone takes less, so that more of them can go on. */
		if (capacity == WRITE_BUFFER_BYTES_MAX && writer->used_bytes - writer->kept_bytes > writer->budget_bytes / 2)
			capacity = WRITE_BUFFER_BYTES_SCARCE;
		buffer = take_kept(writer, capacity);
		if (buffer || reserve(writer, capacity))
			break;
		if (writer->writing == 0) {
			pthread_mutex_unlock(&writer->lock);
			return why_set(why, ERR_BUSY, "too many uploads at once: the memory for bytes on their way to disk is used up");
		}
		pthread_cond_wait(&writer->returned, &writer->lock);
	}
	pthread_mutex_unlock(&writer->lock);
	if (!buffer && !(buffer = allocate(capacity))) {
		pthread_mutex_lock(&writer->lock);
		writer->used_bytes -= capacity;
		pthread_mutex_unlock(&writer->lock);
		return why_set(why, ERR_NO_MEMORY, "no memory for a write buffer");
	}
	buffer->used = VOLUME_RECORD_HEADER_BYTES;
	*out = buffer;
	return 0;
}

/* Under the lock. */
static void take_back(struct writer *writer, struct write_buffer *buffer)
{
	struct free_list *list = list_of(writer, buffer->capacity);
	if (list) {
		buffer->next = list->first;
		list->first = buffer;
		writer->kept_bytes += buffer->capacity;
	} else {
		writer->used_bytes -= buffer->capacity;
		release(buffer);
	}
	pthread_cond_broadcast(&writer->returned);
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
	int err = volumes_allocate(writer->volumes, length, &buffer->volume, &buffer->offset, why);
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
		bool idle = writer->used_bytes == writer->kept_bytes;
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += IDLE_S;
		if (writer->kept_bytes <= IDLE_BYTES_MAX)
			pthread_cond_wait(&writer->work, &writer->lock);
		else if (pthread_cond_timedwait(&writer->work, &writer->lock, &until) != 0 && idle)
			while (writer->used_bytes == writer->kept_bytes && writer->kept_bytes > IDLE_BYTES_MAX)
				drop_kept(writer);
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
	if (!writer)
		return why_set(why, ERR_NO_MEMORY, "no memory for the writer");
	writer->volumes = volumes;
	writer->budget_bytes = budget_bytes;
	writer->kept[0].capacity = WRITE_BUFFER_BYTES_MAX;
	writer->kept[1].capacity = WRITE_BUFFER_BYTES_SCARCE;
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
	while (drop_kept(writer))
		;
	pthread_cond_destroy(&writer->work);
	pthread_cond_destroy(&writer->returned);
	pthread_mutex_destroy(&writer->lock);
	free(writer);
}
