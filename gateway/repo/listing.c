#include "gateway/repo/listing.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "schemas/error.h"

struct listings {
	pthread_mutex_t mutex; /* held for a walk over the listings under way: as many as threads that may block */
	pthread_cond_t ended;
	struct listing *first;
	uint64_t begun;
};

int listings_open(struct listings **out)
{
	struct listings *listings = calloc(1, sizeof(*listings));
	if (!listings)
		return ERR_NO_MEMORY;
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&listings->mutex, NULL);
	pthread_cond_init(&listings->ended, &attributes);
	pthread_condattr_destroy(&attributes);
	*out = listings;
	return 0;
}

void listings_close(struct listings *listings)
{
	if (!listings)
		return;
	pthread_cond_destroy(&listings->ended);
	pthread_mutex_destroy(&listings->mutex);
	free(listings);
}

void listing_begin(struct listings *listings, struct listing *listing, const struct entity_id *repo)
{
	pthread_mutex_lock(&listings->mutex);
	*listing = (struct listing){ .repo = *repo, .number = ++listings->begun, .next = listings->first };
	listings->first = listing;
	pthread_mutex_unlock(&listings->mutex);
}

void listing_end(struct listings *listings, struct listing *listing)
{
	pthread_mutex_lock(&listings->mutex);
	struct listing **place = &listings->first;
	while (*place != listing)
		place = &(*place)->next;
	*place = listing->next;
	pthread_cond_broadcast(&listings->ended);
	pthread_mutex_unlock(&listings->mutex);
}

static bool is_any_until(const struct listings *listings, const struct entity_id *repo, uint64_t number)
{
	for (const struct listing *listing = listings->first; listing; listing = listing->next)
		if (listing->number <= number && memcmp(listing->repo.bytes, repo->bytes, ENTITY_ID_BYTES) == 0)
			return true;
	return false;
}

void listings_wait(struct listings *listings, const struct entity_id *repo, int64_t wait_ms)
{
	struct timespec deadline;
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += (time_t)(wait_ms / 1000);
	deadline.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	if (deadline.tv_nsec >= 1000000000) {
		deadline.tv_sec++;
		deadline.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&listings->mutex);
	uint64_t begun = listings->begun;
	int waited = 0;
	while (is_any_until(listings, repo, begun) && waited != ETIMEDOUT)
		waited = pthread_cond_timedwait(&listings->ended, &listings->mutex, &deadline);
	pthread_mutex_unlock(&listings->mutex);
}
