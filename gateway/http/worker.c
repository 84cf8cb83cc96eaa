#include "gateway/http/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

struct worker_pool {
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct job *first, *last;
	size_t queued;
	unsigned idle, threads_count, threads_max;
	bool stopping;
	pthread_t threads[];
};

static struct job *take(struct worker_pool *pool)
{
	struct job *job = pool->first;
	if (!job)
		return NULL;
	pool->first = job->next;
	if (!pool->first)
		pool->last = NULL;
	pool->queued--;
	return job;
}

static void *worker_run(void *context)
{
	struct worker_pool *pool = context;
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), WORKER_NICE);
	pthread_mutex_lock(&pool->mutex);
	for (;;) {
		struct job *job = take(pool);
		if (job) {
			pthread_mutex_unlock(&pool->mutex);
			job->run(job);
			pthread_mutex_lock(&pool->mutex);
			continue;
		}
		if (pool->stopping)
			break;
		pool->idle++;
		pthread_cond_wait(&pool->wake, &pool->mutex);
		pool->idle--;
	}
	pthread_mutex_unlock(&pool->mutex);
	return NULL;
}

/* With the mutex held, or before anybody else knows the pool. Signals stay with the main thread. */
static void add_thread(struct worker_pool *pool)
{
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, WORKER_STACK_BYTES);
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&pool->threads[pool->threads_count], &attributes, worker_run, pool) == 0)
		pool->threads_count++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attributes);
}

struct worker_pool *worker_pool_make(unsigned threads_max)
{
	struct worker_pool *pool = calloc(1, sizeof(*pool) + threads_max * sizeof(pool->threads[0]));
	if (!pool)
		return NULL;
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_cond_init(&pool->wake, NULL);
	pool->threads_max = threads_max;
	add_thread(pool); /* so that there is always one */
	if (pool->threads_count == 0) {
		worker_pool_free(pool);
		return NULL;
	}
	return pool;
}

static bool enqueue(struct worker_pool *pool, struct job *job, size_t queued_max)
{
	pthread_mutex_lock(&pool->mutex);
	bool fits = pool->queued < queued_max;
	if (fits) {
		job->next = NULL;
		if (pool->last)
			pool->last->next = job;
		else
			pool->first = job;
		pool->last = job;
		pool->queued++;
		/* Threads that were signalled but have not woken yet still count as idle: compare with all that is queued. */
		if (pool->queued > pool->idle && pool->threads_count < pool->threads_max)
			add_thread(pool);
		else
			pthread_cond_signal(&pool->wake);
	}
	pthread_mutex_unlock(&pool->mutex);
	return fits;
}

void worker_submit(struct worker_pool *pool, struct job *job)
{
	enqueue(pool, job, (size_t)-1);
}

bool worker_offer(struct worker_pool *pool, struct job *job)
{
	return enqueue(pool, job, WORKER_QUEUE_MAX);
}

size_t worker_queue_length(struct worker_pool *pool)
{
	pthread_mutex_lock(&pool->mutex);
	size_t queued = pool->queued;
	pthread_mutex_unlock(&pool->mutex);
	return queued;
}

void worker_pool_free(struct worker_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->mutex);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->mutex);
	for (unsigned i = 0; i < pool->threads_count; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->wake);
	pthread_mutex_destroy(&pool->mutex);
	free(pool);
}
