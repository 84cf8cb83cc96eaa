/* log_writer.h - the one thread that writes the log: it drains a queue of jobs of all groups into one synchronous write.
 *
 * While a sync runs, jobs gather; the next write takes them all. A RocksDB whose log could not be extended cannot be written again by this
 * process (its own assertions end it), so the writer asks for room before each write and holds its jobs, looking again each second, until there
 * is some. Nothing is acknowledged meanwhile, and reads go on. If a write fails all the same, the node stops. */
#ifndef CAIRN_REPLICATION_LOG_WRITER_H
#define CAIRN_REPLICATION_LOG_WRITER_H

#include "replication/log_store.h"

enum {
	LOG_WRITER_SAY_EVERY_S = 30, /* that it waits for room */
	LOG_WRITER_DRAIN_BYTES_MAX = 8 << 20,
};

struct log_writer;

struct log_writer_calls {
	void *context;
	void (*done)(void *context, struct log_job *jobs); /* jobs that are durable, in order; owns them */
	bool (*has_room)(void *context);
};
/* The calls are made on the writer's thread. */
int log_writer_open(struct log_writer **out, struct log_store *store, const struct log_writer_calls *calls, struct why *why);
/* Writes what is queued, then ends; what has no room is given up. */
void log_writer_close(struct log_writer *writer);
void log_writer_put(struct log_writer *writer, struct log_job *job);

#endif
