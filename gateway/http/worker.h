/* worker.h - a bounded pool of threads for what may block: disk, consensus, large documents.
 *
 * DESIGN. Threads are made when there is work and none is idle, up to the limit, and stay. They run at a lower priority than the control loops.
 * The queue has two ways in: worker_offer, for new requests, refuses when too many wait already (the client is told 503); worker_submit, for
 * the next step of a request that was let in, never refuses, and is bounded by the number of requests in flight. */
#ifndef CAIRN_GATEWAY_HTTP_WORKER_H
#define CAIRN_GATEWAY_HTTP_WORKER_H

#include <stdbool.h>
#include <stddef.h>

enum { WORKERS_DEFAULT = 64, WORKER_STACK_BYTES = 1 << 20, WORKER_QUEUE_MAX = 1024, WORKER_NICE = 5 };

/* Embedded in what it works on. */
struct job {
	struct job *next;
	void (*run)(struct job *job);
};

struct worker_pool;

/* NULL when out of memory or threads. */
struct worker_pool *worker_pool_make(unsigned threads_max);
/* Runs what is queued, ends the threads. */
void worker_pool_free(struct worker_pool *pool);
void worker_submit(struct worker_pool *pool, struct job *job);
bool worker_offer(struct worker_pool *pool, struct job *job);
size_t worker_queue_length(struct worker_pool *pool);

#endif
