#include "store/long_work.h"

#include <errno.h>
#include <time.h>

#include "store/core.h"

enum { LOOK_MS = 200 /* after which whoever waits asks whether it still should */ };

void long_works_init(struct long_works *works, unsigned running_max)
{
	*works = (struct long_works){ .running_max = running_max ? running_max : LONG_WORKS_DEFAULT };
	pthread_mutex_init(&works->lock, NULL);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&works->changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

void long_works_fini(struct long_works *works)
{
	pthread_mutex_destroy(&works->lock);
	pthread_cond_destroy(&works->changed);
}

static void put(struct long_works *works, struct long_work *work)
{
	work->next = works->first;
	works->first = work;
}

static void take_out(struct long_works *works, struct long_work *work)
{
	struct long_work **at = &works->first;
	while (*at != work)
		at = &(*at)->next;
	*at = work->next;
}

static struct long_work *find_same(const struct long_works *works, const struct long_work *work)
{
	for (struct long_work *other = work->has_key ? works->first : NULL; other; other = other->next)
		if (other->running && other->has_key && hash_equal(&other->key, &work->key))
			return other;
	return NULL;
}

/* How many count that are running, or that wait: all of them, and those of the same caller. */
static void count(const struct long_works *works, const struct long_work *work, bool running, unsigned *all, unsigned *own)
{
	*all = *own = 0;
	for (const struct long_work *other = works->first; other; other = other->next) {
		if (other == work || !other->counted || other->running != running)
			continue;
		++*all;
		*own += other->caller->who == work->caller->who;
	}
}

static unsigned part_of(const struct long_works *works, unsigned divisor)
{
	return works->running_max > divisor ? works->running_max / divisor : 1;
}

static bool may_run(const struct long_works *works, const struct long_work *work)
{
	unsigned all, own;
	if (!work->counted)
		return true;
	count(works, work, true, &all, &own);
	return all < works->running_max && own < part_of(works, 4);
}

/* Nobody is kept from waiting for what will soon be done. */
static bool may_wait(const struct long_works *works, const struct long_work *work, const struct long_work *same)
{
	unsigned all, own;
	if (!work->counted || (same && !same->counted))
		return true;
	count(works, work, false, &all, &own);
	return all < works->running_max && own < part_of(works, 2);
}

static bool is_waited_for(const struct store_caller *caller)
{
	return !caller || !caller->waits || caller->waits(caller->context);
}

static int64_t monotonic_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void look_later(struct long_works *works)
{
	int64_t until_ms = monotonic_ms() + LOOK_MS;
	struct timespec until = { .tv_sec = (time_t)(until_ms / 1000), .tv_nsec = (long)(until_ms % 1000) * 1000000 };
	pthread_cond_timedwait(&works->changed, &works->lock, &until);
}

/* Under the lock. One turn of waiting: for `same` if it is there, or else for a place. */
static int wait_a_turn(struct long_works *works, struct long_work *work, struct long_work *same, int64_t since_ms, struct why *why)
{
	if (!may_wait(works, work, same) || (!same && monotonic_ms() - since_ms > LONG_WORK_WAIT_MS_MAX))
		return why_set(why, ERR_BUSY, "too much is being read and checked just now: try again");
	uint64_t number = same ? same->number : 0;
	if (same)
		same->sharers++;
	put(works, work);
	look_later(works);
	pthread_mutex_unlock(&works->lock);
	bool goes_on = is_waited_for(work->caller);
	pthread_mutex_lock(&works->lock);
	take_out(works, work);
	struct long_work *now = find_same(works, work);
	bool has_ended = same && (!now || now->number != number);
	if (same && !has_ended)
		same->sharers--;
	if (!goes_on)
		return why_set(why, ERR_CLOSED, "nobody waits for it any more");
	return has_ended ? ERR_AGAIN : 0;
}

int long_work_begin(struct store *store, struct long_work *work, struct store_caller *caller, const struct hash *key, uint64_t bytes, struct why *why)
{
	struct long_works *works = &store->long_works;
	int64_t since_ms = monotonic_ms();
	struct long_work *same;
	int err = 0;
	*work = (struct long_work){ .caller = caller, .has_key = key != NULL };
	if (key)
		work->key = *key;
	work->counted = caller && (bytes > LONG_WORK_FREE_BYTES || caller->done_bytes + bytes > LONG_WORK_FREE_BYTES);
	pthread_mutex_lock(&works->lock);
	while (err == 0 && ((same = find_same(works, work)) || !may_run(works, work)))
		err = wait_a_turn(works, work, same, since_ms, why);
	if (err == 0) {
		work->running = true;
		work->number = ++works->last_number;
		put(works, work);
	}
	pthread_mutex_unlock(&works->lock);
	return err;
}

int long_work_done(struct store *store, struct long_work *work, uint64_t bytes, struct why *why)
{
	if (work->caller)
		work->caller->done_bytes += bytes;
	if (!work->counted || is_waited_for(work->caller))
		return 0;
	pthread_mutex_lock(&store->long_works.lock);
	bool is_shared = work->sharers > 0;
	pthread_mutex_unlock(&store->long_works.lock);
	return is_shared ? 0 : why_set(why, ERR_CLOSED, "nobody waits for it any more");
}

void long_work_end(struct store *store, struct long_work *work)
{
	pthread_mutex_lock(&store->long_works.lock);
	take_out(&store->long_works, work);
	pthread_cond_broadcast(&store->long_works.changed);
	pthread_mutex_unlock(&store->long_works.lock);
}
