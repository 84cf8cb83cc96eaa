#include "gateway/repo/turn.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "schemas/error.h"

struct turns {
	pthread_mutex_t mutex; /* held for a walk over the turns under way: as many as threads that may block */
	pthread_cond_t ended;
	struct turn *first;
	uint64_t begun;
};

int turns_open(struct turns **out)
{
	struct turns *turns = calloc(1, sizeof(*turns));
	if (!turns)
		return ERR_NO_MEMORY;
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&turns->mutex, NULL);
	pthread_cond_init(&turns->ended, &attributes);
	pthread_condattr_destroy(&attributes);
	*out = turns;
	return 0;
}

void turns_close(struct turns *turns)
{
	if (!turns)
		return;
	pthread_cond_destroy(&turns->ended);
	pthread_mutex_destroy(&turns->mutex);
	free(turns);
}

/* Those that began after `number` do not count. */
static bool is_taken(const struct turns *turns, const struct entity_id *repo, const char *name, uint64_t number)
{
	for (const struct turn *turn = turns->first; turn; turn = turn->next)
		if (turn->number <= number && memcmp(turn->repo.bytes, repo->bytes, ENTITY_ID_BYTES) == 0 && strcmp(turn->name, name) == 0)
			return true;
	return false;
}

/* False: it is still taken. Under the lock. */
static bool wait_until_free(struct turns *turns, const struct entity_id *repo, const char *name, uint64_t number, int64_t wait_ms)
{
	struct timespec deadline;
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += (time_t)(wait_ms / 1000);
	deadline.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	if (deadline.tv_nsec >= 1000000000) {
		deadline.tv_sec++;
		deadline.tv_nsec -= 1000000000;
	}
	int waited = 0;
	while (is_taken(turns, repo, name, number) && waited != ETIMEDOUT)
		waited = pthread_cond_timedwait(&turns->ended, &turns->mutex, &deadline);
	return !is_taken(turns, repo, name, number);
}

static void add(struct turns *turns, struct turn *turn, const struct entity_id *repo, const char *name)
{
	*turn = (struct turn){ .repo = *repo, .name = name, .number = ++turns->begun, .next = turns->first };
	turns->first = turn;
}

int turn_begin(struct turns *turns, struct turn *turn, const struct entity_id *repo, const char *name, int64_t wait_ms)
{
	pthread_mutex_lock(&turns->mutex);
	bool is_free = wait_until_free(turns, repo, name, UINT64_MAX, wait_ms);
	if (is_free)
		add(turns, turn, repo, name);
	pthread_mutex_unlock(&turns->mutex);
	return is_free ? 0 : ERR_BUSY;
}

void turn_join(struct turns *turns, struct turn *turn, const struct entity_id *repo, const char *name)
{
	pthread_mutex_lock(&turns->mutex);
	add(turns, turn, repo, name);
	pthread_mutex_unlock(&turns->mutex);
}

void turns_wait(struct turns *turns, const struct entity_id *repo, const char *name, int64_t wait_ms)
{
	pthread_mutex_lock(&turns->mutex);
	wait_until_free(turns, repo, name, turns->begun, wait_ms);
	pthread_mutex_unlock(&turns->mutex);
}

void turn_end(struct turns *turns, struct turn *turn)
{
	pthread_mutex_lock(&turns->mutex);
	struct turn **place = &turns->first;
	while (*place != turn)
		place = &(*place)->next;
	*place = turn->next;
	pthread_cond_broadcast(&turns->ended);
	pthread_mutex_unlock(&turns->mutex);
}
