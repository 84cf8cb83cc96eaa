/* reconstruction_room.h - memory for large reconstructions: taken before one is built, given back when its answer is sent or dead.
 *
 * DESIGN. What a reconstruction needs grows with the number of terms, and a file may have terms of a single byte. Most clients ask for stretches of a file
 * that take little (RECONSTRUCTION_FREE_BYTES), which is not counted. All others share RECONSTRUCTIONS_BYTES_MAX, of which one caller gets half. When there is
 * no room, a few wait for it on their thread, for some seconds; more are told ERR_BUSY. */
#ifndef CAIRN_GATEWAY_XET_RECONSTRUCTION_ROOM_H
#define CAIRN_GATEWAY_XET_RECONSTRUCTION_ROOM_H

#include "gateway/http/http.h"

#define RECONSTRUCTIONS_BYTES_MAX ((uint64_t)256 << 20)

enum {
	RECONSTRUCTION_FREE_BYTES = 1 << 20,
	RECONSTRUCTIONS_WAITING_MAX = 8, /* of one caller half of them */
	RECONSTRUCTION_WAIT_MS_MAX = 10 * 1000,
};

struct reconstruction_room {
	struct reconstruction_room *next;
	uint64_t who;
	uint64_t bytes; /* 0: nothing is counted */
	bool waiting;
};

/* [blocks] `bytes`: at most half of the whole. ERR_BUSY; ERR_CLOSED: the client has gone meanwhile. Zero-initialised is a valid empty one. */
int reconstruction_room_take(struct reconstruction_room *room, struct http_request *request, uint64_t bytes, struct why *why);
/* Any thread. Keeps `bytes` of it. */
void reconstruction_room_shrink(struct reconstruction_room *room, uint64_t bytes);
void reconstruction_room_give_back(struct reconstruction_room *room);

#endif
