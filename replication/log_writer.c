#include "replication/log_writer.h"

#include "replication/node.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct log_writer {
	struct log_store *store;
	void (*done)(void *context, struct log_job *jobs);
	void *context;
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

static void write_or_stop(struct log_writer *writer, const struct log_job *jobs)
{
	struct why why = { 0 };
	int err = log_store_write(writer->store, jobs, &why);
	for (int waited_s = 0; err == ERR_NO_SPACE && waited_s < LOG_WRITER_SPACE_WAIT_S; waited_s++) {
		if (waited_s == 0)
			fprintf(stderr, "cairn: consensus: %s; trying again for %d s\n", why.text, LOG_WRITER_SPACE_WAIT_S);
		sleep(1);
		err = log_store_reopen(writer->store, &why);
		if (err == 0)
			err = log_store_write(writer->store, jobs, &why);
		else
			err = ERR_NO_SPACE; /* opening needs space too */
	}
	if (err)
		node_stop("%s", why.text);
}

static void *run(void *context)
{
	struct log_writer *writer = context;
	for (struct log_job *jobs; (jobs = take(writer)) != NULL;) {
		write_or_stop(writer, jobs);
		writer->done(writer->context, jobs);
	}
	return NULL;
}

int log_writer_open(struct log_writer **out, struct log_store *store, void (*done)(void *context, struct log_job *jobs), void *context, struct why *why)
{
	struct log_writer *writer = must_alloc(sizeof(*writer));
	*writer = (struct log_writer){ .store = store, .done = done, .context = context };
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
	pthread_cond_signal(&writer->wake);
	pthread_mutex_unlock(&writer->lock);
}
