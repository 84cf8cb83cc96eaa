#include "replication/log_writer.h"

#include "replication/node.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct log_writer {
	struct log_store *store;
	struct log_writer_calls calls;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct log_job *head, **tail;
	bool closing;
};

/* Takes a run of jobs off the queue, at least one, at most LOG_WRITER_DRAIN_BYTES_MAX. NULL: closing and empty. */
static struct log_job *take(struct log_writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	while (!writer->head && !writer->closing)
		pthread_cond_wait(&writer->wake, &writer->lock);
	struct log_job *jobs = writer->head;
	size_t bytes = 0;
	struct log_job **link = &writer->head;
	while (*link && bytes < LOG_WRITER_DRAIN_BYTES_MAX) {
		for (size_t i = 0; i < (*link)->entries_count; i++)
			bytes += (*link)->entries[i]->length;
		link = &(*link)->next;
	}
	struct log_job *rest = *link;
	if (jobs)
		*link = NULL;
	writer->head = rest;
	if (!rest)
		writer->tail = &writer->head;
	pthread_mutex_unlock(&writer->lock);
	return jobs;
}

/* False: closing, and still no room. */
static bool wait_for_room(struct log_writer *writer)
{
	for (int waited_s = 0; !writer->calls.has_room(writer->calls.context); waited_s++) {
		if (waited_s % LOG_WRITER_SAY_EVERY_S == 0)
			fprintf(stderr, "cairn: consensus: the disk of the log is full: changes wait until there is room\n");
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		pthread_mutex_lock(&writer->lock);
		if (!writer->closing)
			pthread_cond_timedwait(&writer->wake, &writer->lock, &until);
		bool closing = writer->closing;
		pthread_mutex_unlock(&writer->lock);
		if (closing)
			return false;
	}
	return true;
}

static void *run(void *context)
{
	struct log_writer *writer = context;
	for (struct log_job *jobs; (jobs = take(writer)) != NULL;) {
		struct why why = { 0 };
		if (!wait_for_room(writer)) {
			while (jobs) {
				struct log_job *next = jobs->next;
				log_job_free(jobs);
				jobs = next;
			}
			continue;
		}
		if (log_store_write(writer->store, jobs, &why) != 0)
			node_stop("%s", why.text);
		writer->calls.done(writer->calls.context, jobs);
	}
	return NULL;
}

int log_writer_open(struct log_writer **out, struct log_store *store, const struct log_writer_calls *calls, struct why *why)
{
	struct log_writer *writer = must_alloc(sizeof(*writer));
	*writer = (struct log_writer){ .store = store, .calls = *calls };
	writer->tail = &writer->head;
	pthread_mutex_init(&writer->lock, NULL);
	pthread_cond_init(&writer->wake, NULL);
	if (pthread_create(&writer->thread, NULL, run, writer) != 0) {
		free(writer);
		return why_set(why, ERR_NO_MEMORY, "cannot start the log writer");
	}
	*out = writer;
	return 0;
}

void log_writer_close(struct log_writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	writer->closing = true;
	pthread_cond_signal(&writer->wake);
	pthread_mutex_unlock(&writer->lock);
	pthread_join(writer->thread, NULL);
	pthread_mutex_destroy(&writer->lock);
	pthread_cond_destroy(&writer->wake);
	free(writer);
}

void log_writer_put(struct log_writer *writer, struct log_job *job)
{
	pthread_mutex_lock(&writer->lock);
	job->next = NULL;
	*writer->tail = job;
	writer->tail = &job->next;
	pthread_mutex_unlock(&writer->lock);
	pthread_cond_signal(&writer->wake); /* not under the lock: who wakes would wait for it at once */
}
