/* queue.h - deliveries that wait or run, in order. Private to gateway/webhooks; one thread. */
#ifndef CAIRN_GATEWAY_WEBHOOKS_QUEUE_H
#define CAIRN_GATEWAY_WEBHOOKS_QUEUE_H

#include <curl/curl.h>

#include "gateway/webhooks/webhooks.h"

struct delivery {
	struct delivery *next;
	struct entity_id hook;
	char *url, *secret;          /* as they were when it was made */
	struct buffer payload;
	uint32_t group;
	uint64_t change;             /* 0: a replay */
	uint32_t attempts, attempts_max;
	int64_t due_ms;
	bool running, finished;
	bool private_allowed, refused; /* whether it may go inside; that it would have */

	/* while it runs, and after */
	CURL *easy;
	struct curl_slist *headers;
	size_t answer_bytes;
	long status;
	char error[CURL_ERROR_SIZE];
};

struct delivery_queue {
	struct delivery *first, **last;
	size_t count, running;
};

void delivery_queue_init(struct delivery_queue *queue);
/* Frees everything; nothing may run. */
void delivery_queue_fini(struct delivery_queue *queue);
/* A new delivery at the end, payload empty. NULL: no memory. */
struct delivery *delivery_add(struct delivery_queue *queue, const struct webhook *hook);
/* The next one that is due at `now_ms` and of whose webhook no earlier one is left. NULL: none; *wait_ms then says for how long at most. */
struct delivery *delivery_next(struct delivery_queue *queue, int64_t now_ms, int64_t *wait_ms);
/* Marks all that wait for a webhook (NULL: for any) as finished without a try: it is disabled or gone. */
void delivery_drop(struct delivery_queue *queue, const struct entity_id *hook);
/* A webhook that just failed gets one try per delivery until it answers again, so that it cannot hold up the others for long. */
void delivery_limit(struct delivery_queue *queue, const struct webhook *hook);
/* Takes out and frees what is finished. */
void delivery_sweep(struct delivery_queue *queue);
/* Lowest number of a change of the group that is still in the queue; 0: none. */
uint64_t delivery_oldest(const struct delivery_queue *queue, uint32_t group);

#endif
