#include "store/journal.h"

#include <stdlib.h>
#include <time.h>

#include "schemas/gather.h"
#include "store/core.h"

enum {
	STAGE_BYTES = 256 << 10,
};

struct journal {
	struct store *store;         /* for what it knows to be damaged */
	struct volumes *volumes;
	struct index *index;
	struct index_batch *batch;
	bool behind;                 /* records are durable that the index could not take */
	pthread_mutex_t lock;
	pthread_cond_t work;
	pthread_cond_t moved;        /* a group was published */
	struct journal_operation *queue, **queue_tail;
	bool stopping;
	_Atomic uint64_t acknowledged;
	size_t queued;
	struct gather gather;        /* callers that come back for the next group */
	uint64_t flushed_disk_bytes; /* of all volumes when the index was last flushed */
	uint8_t *stage;              /* STAGE_BYTES */
	pthread_t thread;
};

/* ------------------------------------------------------------------ writing a group */

struct group_writer {
	struct journal *journal;
	struct volume *volume;
	uint64_t offset; /* of the next byte that goes to disk */
	size_t staged;
	int err;
	struct why *why;
};

static void stage_flush(struct group_writer *group)
{
	if (group->err == 0 && group->staged)
		group->err = volume_write(group->journal->volumes, group->volume, group->journal->stage, group->staged, group->offset, false, group->why);
	group->offset += group->staged;
	group->staged = 0;
}

static void stage_add(struct group_writer *group, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	while (length > 0) {
		size_t some = STAGE_BYTES - group->staged < length ? STAGE_BYTES - group->staged : length;
		memcpy(group->journal->stage + group->staged, bytes, some);
		group->staged += some;
		bytes += some;
		length -= some;
		if (group->staged == STAGE_BYTES)
			stage_flush(group);
	}
}

static void add_record(struct group_writer *group, const struct journal_record *from)
{
	static const uint8_t zeros[VOLUME_ALIGN_BYTES];
	uint8_t header[VOLUME_RECORD_HEADER_BYTES];
	struct volume_record record = { .kind = from->kind, .payload_length = (uint32_t)from->payload.length, .volume = group->volume->id,
		.offset = group->offset + group->staged };
	if (from->kind != VOLUME_FRAGMENT)
		volume_record_check(record.check, from->payload.data, from->payload.length);
	volume_record_encode(header, &record, group->volume->salt);
	stage_add(group, header, sizeof(header));
	stage_add(group, from->payload.data, from->payload.length);
	stage_add(group, zeros, (size_t)(volume_record_bytes(from->payload.length) - sizeof(header) - from->payload.length));
}

static uint64_t operation_bytes(const struct journal_operation *operation)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < operation->count; i++)
		bytes += volume_record_bytes(operation->records[i].payload.length);
	return bytes;
}

/* A group that failed for want of space is told to have failed: a later start must not find some of it. */
static void wipe(struct journal *journal, struct volume *volume, uint64_t from, uint64_t end)
{
	memset(journal->stage, 0, STAGE_BYTES);
	while (from < end) {
		size_t some = end - from < STAGE_BYTES ? (size_t)(end - from) : STAGE_BYTES;
		if (volume_write(journal->volumes, volume, journal->stage, some, from, false, NULL) != 0) {
			volumes_fail(journal->volumes);
			return;
		}
		from += some;
	}
}

/* [blocks] Writes all records of the operations and syncs. *first: place of the first record. */
static int write_group(struct journal *journal, const struct journal_operation *operations, uint64_t bytes, struct record_place *first, struct why *why)
{
	struct group_writer group = { .journal = journal, .why = why };
	int err = volumes_allocate(journal->volumes, bytes, operations->purpose, &group.volume, &group.offset, why);
	if (err)
		return err;
	*first = (struct record_place){ group.volume->id, group.offset };
	for (const struct journal_operation *operation = operations; operation; operation = operation->next)
		for (size_t i = 0; i < operation->count; i++)
			add_record(&group, &operation->records[i]);
	stage_flush(&group);
	if (group.err == ERR_NO_SPACE)
		wipe(journal, group.volume, first->offset, group.offset);
	volume_written(group.volume);
	return group.err ? group.err : volumes_sync(journal->volumes, why);
}

/* ------------------------------------------------------------------ the index */

static int apply(struct journal *journal, const struct journal_operation *operation, struct record_place *at, struct why *why)
{
	for (size_t i = 0; i < operation->count; i++) {
		const struct journal_record *record = &operation->records[i];
		int err = index_batch_apply(journal->batch, record->kind, record->payload, at);
		if (err)
			return why_set(why, err, "a record could not be taken into the index (%s)", err_name(err));
		at->offset += volume_record_bytes(record->payload.length);
	}
	return 0;
}

static int apply_group(struct journal *journal, const struct journal_operation *operations, struct record_place *at, struct why *why)
{
	for (const struct journal_operation *operation = operations; operation; operation = operation->next) {
		int err = apply(journal, operation, at, why);
		if (err)
			return err;
	}
	return index_batch_write(journal->batch, at, why);
}

/* Takes into the index what it could not take before: nothing new is written until it says again what the volumes say. */
static int catch_up(struct journal *journal, struct why *why)
{
	struct record_place from;
	uint64_t end;
	index_position(journal->index, &from);
	index_batch_close(journal->batch); /* with what it holds of the operation that failed */
	journal->batch = NULL;
	int err = store_replay(journal->volumes, journal->index, &from, NULL, NULL, false, NULL, NULL, &end, why);
	if (err == 0 && index_batch_open(&journal->batch, journal->index) != 0)
		err = why_set(why, ERR_NO_MEMORY, "no memory for the journal");
	journal->behind = err != 0;
	return err;
}

static void flush_sometimes(struct journal *journal)
{
	uint64_t bytes = volumes_disk_bytes(journal->volumes);
	if (bytes < journal->flushed_disk_bytes + JOURNAL_FLUSH_BYTES && bytes >= journal->flushed_disk_bytes)
		return;
	if (index_flush(journal->index, NULL) == 0)
		journal->flushed_disk_bytes = bytes;
}

/* At once, before anybody is told: other nodes that hear of the record ask for the xorb, and would pass over what is not here. */
static void note_replaced(struct journal *journal, const struct journal_operation *operations)
{
	struct xorb_record record;
	for (const struct journal_operation *operation = operations; operation; operation = operation->next)
		for (size_t i = 0; i < operation->count && !damaged_list_is_empty(&journal->store->damaged); i++)
			if (operation->records[i].kind == VOLUME_XORB && xorb_record_decode(&record, operation->records[i].payload) == 0)
				store_xorb_replaced(journal->store, &record.xorb);
}

static void run_group(struct journal *journal, struct journal_operation *operations, uint64_t bytes)
{
	struct why why = { 0 };
	struct record_place at = { 0 };
	int err = journal->behind ? catch_up(journal, &why) : 0;
	if (err == 0)
		err = write_group(journal, operations, bytes, &at, &why);
	if (err == 0) {
		err = apply_group(journal, operations, &at, &why);
		journal->behind = err != 0;
	}
	if (err == 0)
		note_replaced(journal, operations);
	for (struct journal_operation *operation = operations, *next; operation; operation = next) {
		next = operation->next;
		if (err == 0)
			journal->acknowledged++;
		operation->done(operation, err, &why);
	}
	flush_sometimes(journal);
}

/* ------------------------------------------------------------------ the thread */

/* Takes a group's worth off the queue, of one purpose; under the lock. */
static struct journal_operation *take_group(struct journal *journal, uint64_t *bytes)
{
	struct journal_operation *first = journal->queue, *last = first;
	*bytes = operation_bytes(first);
	while (last->next) {
		uint64_t more = operation_bytes(last->next);
		if (*bytes + more > JOURNAL_GROUP_BYTES_MAX || last->next->purpose != first->purpose)
			break;
		*bytes += more;
		last = last->next;
	}
	journal->queue = last->next;
	for (const struct journal_operation *taken = first; taken != journal->queue; taken = taken->next)
		journal->queued--;
	if (!journal->queue)
		journal->queue_tail = &journal->queue;
	last->next = NULL;
	return first;
}

static void add_ms(struct timespec *time, uint64_t ms)
{
	time->tv_nsec += (long)(ms % 1000) * 1000000;
	time->tv_sec += (time_t)(ms / 1000) + time->tv_nsec / 1000000000;
	time->tv_nsec %= 1000000000;
}

static uint64_t monotonic_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* On a disk that syncs faster than callers come, groups would be small and syncs many: gather.h. Under the lock. */
static void gather(struct journal *journal)
{
	if (gather_enough(&journal->gather, journal->queued))
		return;
	uint64_t wait_ms = gather_begin(&journal->gather, journal->queued, monotonic_ms());
	while (wait_ms > 0) {
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		add_ms(&until, wait_ms);
		bool enough;
		while (!(enough = journal->stopping || gather_enough(&journal->gather, journal->queued)) &&
			pthread_cond_timedwait(&journal->work, &journal->lock, &until) == 0)
			;
		wait_ms = enough ? 0 : gather_look(&journal->gather, journal->queued, false, monotonic_ms());
	}
}

static size_t length_of(const struct journal_operation *operations)
{
	size_t count = 0;
	for (; operations; operations = operations->next)
		count++;
	return count;
}

static void *journal_main(void *argument)
{
	struct journal *journal = argument;
	pthread_mutex_lock(&journal->lock);
	for (;;) {
		while (!journal->queue && !journal->stopping)
			pthread_cond_wait(&journal->work, &journal->lock);
		if (!journal->queue)
			break;
		uint64_t bytes;
		gather(journal);
		struct journal_operation *operations = take_group(journal, &bytes);
		gather_note(&journal->gather, length_of(operations));
		pthread_mutex_unlock(&journal->lock);
		run_group(journal, operations, bytes);
		pthread_mutex_lock(&journal->lock);
		pthread_cond_broadcast(&journal->moved);
	}
	pthread_mutex_unlock(&journal->lock);
	return NULL;
}

void journal_submit(struct journal *journal, struct journal_operation *operation)
{
	operation->next = NULL;
	pthread_mutex_lock(&journal->lock);
	*journal->queue_tail = operation;
	journal->queue_tail = &operation->next;
	journal->queued++;
	pthread_cond_signal(&journal->work);
	pthread_mutex_unlock(&journal->lock);
}

struct commit {
	struct journal_operation operation; /* first */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool finished;
	int err;
	struct why why;
};

static void commit_done(struct journal_operation *operation, int err, const struct why *why)
{
	struct commit *commit = (struct commit *)operation;
	pthread_mutex_lock(&commit->lock);
	commit->finished = true;
	commit->err = err;
	commit->why = *why;
	pthread_cond_signal(&commit->changed);
	pthread_mutex_unlock(&commit->lock);
}

static int commit_as(struct journal *journal, enum volume_purpose purpose, struct journal_record *records, size_t count, struct why *why)
{
	struct commit commit = { .operation = { .records = records, .count = count, .purpose = purpose, .done = commit_done }, .lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER };
	journal_submit(journal, &commit.operation);
	pthread_mutex_lock(&commit.lock);
	while (!commit.finished)
		pthread_cond_wait(&commit.changed, &commit.lock);
	pthread_mutex_unlock(&commit.lock);
	pthread_mutex_destroy(&commit.lock);
	pthread_cond_destroy(&commit.changed);
	return commit.err ? why_set(why, commit.err, "%s", commit.why.text) : 0;
}

int journal_commit(struct journal *journal, struct journal_record *records, size_t count, struct why *why)
{
	return commit_as(journal, VOLUME_STORES, records, count, why);
}

int journal_commit_freeing(struct journal *journal, struct journal_record *records, size_t count, struct why *why)
{
	return commit_as(journal, VOLUME_FREES, records, count, why);
}

void journal_await(struct journal *journal, const struct record_place *known, int64_t timeout_ms)
{
	struct timespec until;
	struct record_place now;
	clock_gettime(CLOCK_MONOTONIC, &until);
	add_ms(&until, (uint64_t)timeout_ms);
	pthread_mutex_lock(&journal->lock);
	do {
		index_position(journal->index, &now);
	} while (now.volume == known->volume && now.offset == known->offset && !journal->stopping &&
		pthread_cond_timedwait(&journal->moved, &journal->lock, &until) == 0);
	pthread_mutex_unlock(&journal->lock);
}

uint64_t journal_acknowledged(struct journal *journal)
{
	return journal->acknowledged;
}

int journal_open(struct journal **out, struct store *store, struct volumes *volumes, struct index *index, struct why *why)
{
	struct journal *journal = calloc(1, sizeof(*journal));
	if (!journal)
		return why_set(why, ERR_NO_MEMORY, "no memory for the journal");
	journal->store = store;
	journal->volumes = volumes;
	journal->index = index;
	journal->queue_tail = &journal->queue;
	journal->flushed_disk_bytes = volumes_disk_bytes(volumes);
	pthread_mutex_init(&journal->lock, NULL);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&journal->work, &attributes);
	pthread_cond_init(&journal->moved, &attributes);
	pthread_condattr_destroy(&attributes);
	journal->stage = malloc(STAGE_BYTES);
	if (!journal->stage || index_batch_open(&journal->batch, index) != 0 ||
		pthread_create(&journal->thread, NULL, journal_main, journal) != 0) {
		index_batch_close(journal->batch);
		free(journal->stage);
		free(journal);
		return why_set(why, ERR_NO_MEMORY, "cannot start the journal");
	}
	*out = journal;
	return 0;
}

void journal_close(struct journal *journal)
{
	if (!journal)
		return;
	pthread_mutex_lock(&journal->lock);
	journal->stopping = true;
	pthread_cond_broadcast(&journal->work);
	pthread_cond_broadcast(&journal->moved);
	pthread_mutex_unlock(&journal->lock);
	pthread_join(journal->thread, NULL);
	index_batch_close(journal->batch);
	free(journal->stage);
	pthread_mutex_destroy(&journal->lock);
	pthread_cond_destroy(&journal->work);
	pthread_cond_destroy(&journal->moved);
	free(journal);
}
