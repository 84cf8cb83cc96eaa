/* webhooks.h - tells the world what changed: follows the changes (replication/changes.h) and posts JSON to whoever asked for it.
 *
 * DESIGN. One thread. It reads changes from where it was, finds the webhooks that watch what they are about (those whose owner may see it), makes a payload for
 * each and posts them with libcurl's multi interface, DELIVERIES_RUNNING_MAX at a time and one at a time per webhook, in order. A delivery is tried
 * DELIVERY_ATTEMPTS_MAX times with growing pauses, then given up; either way it is logged in the state machine, which remembers with it how far the webhook was told.
 * So a crash repeats at most what was posted and not yet logged. When DELIVERIES_PENDING_MAX wait, no further changes are read: the stream is the queue.
 *
 * Deliveries go to the public internet only (target.h), follow no redirect, use no proxy, and read no more of an answer than its status. On a cluster the leader
 * delivers. */
#ifndef CAIRN_GATEWAY_WEBHOOKS_WEBHOOKS_H
#define CAIRN_GATEWAY_WEBHOOKS_WEBHOOKS_H

#include "gateway/gateway.h"
#include "replication/webhook.h"

enum {
	DELIVERIES_RUNNING_MAX = 16,
	DELIVERIES_PENDING_MAX = 1024,
	REPLAYS_PENDING_MAX = 64,
	DELIVERY_ATTEMPTS_MAX = 4,
	DELIVERY_PAUSE_MS = 1000,      /* before the second attempt; five times as long before each further one */
	DELIVERY_CONNECT_MS_MAX = 5000,
	DELIVERY_MS_MAX = 15000,
};

struct webhooks;

int webhooks_open(struct webhooks **out, struct gateway *gateway, struct why *why);
/* [blocks] Lets go of what is under way: it is delivered after the next start. NULL is fine. */
void webhooks_close(struct webhooks *webhooks);

/* Posts a logged delivery again. ERR_NOT_FOUND: no such webhook or log entry; ERR_BUSY: too many replays wait. Any thread. */
int webhooks_replay(struct webhooks *webhooks, const struct entity_id *hook, uint64_t number, struct why *why);

#endif
