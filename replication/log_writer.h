/* log_writer.h - the one thread that writes the log: it drains a queue of jobs of all groups into one synchronous write.
 *
 * While a sync runs, jobs gather; the next write takes them all. A full disk does not lose a job: the write is repeated each second, and after
 * LOG_WRITER_SPACE_WAIT_S the node stops. Any other write error stops it at once. */
#ifndef CAIRN_REPLICATION_LOG_WRITER_H
#define CAIRN_REPLICATION_LOG_WRITER_H

#include "replication/log_store.h"

enum {
	LOG_WRITER_SPACE_WAIT_S = 30,
	LOG_WRITER_DRAIN_BYTES_MAX = 8 << 20,
};

struct log_writer;

/* `done` is called on the writer's thread with jobs that are durable, in order; it owns them. */
int log_writer_open(struct log_writer **out, struct log_store *store, void (*done)(void *context, struct log_job *jobs), void *context, struct why *why);
/* Writes what is queued, then ends. */
void log_writer_close(struct log_writer *writer);
void log_writer_put(struct log_writer *writer, struct log_job *job);

#endif
