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

static bool is_taken(const struct turns *turns, const struct entity_id *repo, const char *name)
{
	for (const struct turn *turn = turns->first; turn; turn = turn->next)
		if (memcmp(turn->repo.bytes, repo->bytes, ENTITY_ID_BYTES) == 0 && strcmp(turn->name, name) == 0)
			return true;
	return false;
}

int turn_begin(struct turns *turns, struct turn *turn, const struct entity_id *repo, const char *name, int64_t wait_ms)
{
	struct timespec deadline;
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += (time_t)(wait_ms / 1000);
	deadline.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	if (deadline.tv_nsec >= 1000000000) {
		deadline.tv_sec++;
		deadline.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&turns->mutex);
	int waited = 0;
	while (is_taken(turns, repo, name) && waited != ETIMEDOUT)
		waited = pthread_cond_timedwait(&turns->ended, &turns->mutex, &deadline);
	bool taken = is_taken(turns, repo, name);
	if (!taken) {
		*turn = (struct turn){ .repo = *repo, .name = name, .next = turns->first };
		turns->first = turn;
	}
	pthread_mutex_unlock(&turns->mutex);
	return taken ? ERR_BUSY : 0;
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
