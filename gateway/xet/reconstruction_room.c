#include "gateway/xet/reconstruction_room.h"

#include <assert.h>
#include <pthread.h>
#include <time.h>

#include "gateway/store_caller.h"

enum { LOOK_MS = 100 /* after which whoever waits looks again */ };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t given_back = PTHREAD_COND_INITIALIZER;
static struct reconstruction_room *rooms; /* those that hold something, and those that wait */

static void take_out(struct reconstruction_room *room)
{
	struct reconstruction_room **at = &rooms;
	while (*at != room)
		at = &(*at)->next;
	*at = room->next;
}

static bool fits(const struct reconstruction_room *room)
{
	uint64_t all = room->bytes, own = room->bytes;
	for (const struct reconstruction_room *other = rooms; other; other = other->next) {
		if (other == room || other->waiting)
			continue;
		all += other->bytes;
		own += other->who == room->who ? other->bytes : 0;
	}
	return all <= RECONSTRUCTIONS_BYTES_MAX && own <= RECONSTRUCTIONS_BYTES_MAX / 2;
}

static bool may_wait(const struct reconstruction_room *room)
{
	unsigned all = 0, own = 0;
	for (const struct reconstruction_room *other = rooms; other; other = other->next) {
		if (other == room || !other->waiting)
			continue;
		all++;
		own += other->who == room->who;
	}
	return all < RECONSTRUCTIONS_WAITING_MAX && own < RECONSTRUCTIONS_WAITING_MAX / 2;
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void look_later(void)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)LOOK_MS * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_clockwait(&given_back, &lock, CLOCK_MONOTONIC, &until);
}

int reconstruction_room_take(struct reconstruction_room *room, struct http_request *request, uint64_t bytes, struct why *why)
{
	*room = (struct reconstruction_room){ 0 };
	if (bytes <= RECONSTRUCTION_FREE_BYTES)
		return 0;
	assert(bytes <= RECONSTRUCTIONS_BYTES_MAX / 2);
	*room = (struct reconstruction_room){ .who = store_caller_of(request).who, .bytes = bytes, .waiting = true };
	int64_t until_ms = now_ms() + RECONSTRUCTION_WAIT_MS_MAX;
	int err = 0;
	pthread_mutex_lock(&lock);
	room->next = rooms;
	rooms = room;
	while (err == 0 && !fits(room)) {
		if (!may_wait(room) || now_ms() > until_ms)
			err = why_set(why, ERR_BUSY, "Too many large reconstructions are being made: try again, or ask for a smaller range");
		else if (!http_is_awaited(request))
			err = ERR_CLOSED;
		else
			look_later();
	}
	room->waiting = false;
	if (err)
		take_out(room);
	pthread_mutex_unlock(&lock);
	if (err)
		room->bytes = 0;
	return err;
}

void reconstruction_room_shrink(struct reconstruction_room *room, uint64_t bytes)
{
	if (room->bytes <= bytes)
		return;
	pthread_mutex_lock(&lock);
	room->bytes = bytes;
	if (bytes == 0)
		take_out(room);
	pthread_cond_broadcast(&given_back);
	pthread_mutex_unlock(&lock);
}

void reconstruction_room_give_back(struct reconstruction_room *room)
{
	reconstruction_room_shrink(room, 0);
}
