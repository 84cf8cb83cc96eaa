#include "gateway/webhooks/queue.h"

#include <stdlib.h>

void delivery_queue_init(struct delivery_queue *queue)
{
	*queue = (struct delivery_queue){ .last = &queue->first };
}

static void delivery_free(struct delivery *delivery)
{
	if (delivery->easy)
		curl_easy_cleanup(delivery->easy);
	curl_slist_free_all(delivery->headers);
	buffer_fini(&delivery->payload);
	free(delivery->url);
	free(delivery->secret);
	free(delivery);
}

void delivery_queue_fini(struct delivery_queue *queue)
{
	for (struct delivery *delivery = queue->first, *next; delivery; delivery = next) {
		next = delivery->next;
		delivery_free(delivery);
	}
	delivery_queue_init(queue);
}

static uint32_t attempts_for(const struct webhook *hook)
{
	return hook->failures ? 1 : DELIVERY_ATTEMPTS_MAX;
}

void delivery_limit(struct delivery_queue *queue, const struct webhook *hook)
{
	for (struct delivery *delivery = queue->first; delivery; delivery = delivery->next)
		if (memcmp(delivery->hook.bytes, hook->id.bytes, ENTITY_ID_BYTES) == 0)
			delivery->attempts_max = attempts_for(hook);
}

struct delivery *delivery_add(struct delivery_queue *queue, const struct webhook *hook)
{
	struct delivery *delivery = calloc(1, sizeof(*delivery));
	if (!delivery)
		return NULL;
	delivery->hook = hook->id;
	delivery->url = strdup(hook->url);
	delivery->secret = strdup(hook->secret);
	delivery->attempts_max = attempts_for(hook);
	buffer_init(&delivery->payload, WEBHOOK_PAYLOAD_BYTES_MAX);
	if (!delivery->url || !delivery->secret) {
		delivery_free(delivery);
		return NULL;
	}
	*queue->last = delivery;
	queue->last = &delivery->next;
	queue->count++;
	return delivery;
}

static bool same_hook(const struct delivery *a, const struct delivery *b)
{
	return memcmp(a->hook.bytes, b->hook.bytes, ENTITY_ID_BYTES) == 0;
}

static bool is_first_of_hook(const struct delivery_queue *queue, const struct delivery *delivery)
{
	for (const struct delivery *other = queue->first; other != delivery; other = other->next)
		if (!other->finished && same_hook(other, delivery))
			return false;
	return true;
}

struct delivery *delivery_next(struct delivery_queue *queue, int64_t now_ms, int64_t *wait_ms)
{
	for (struct delivery *delivery = queue->first; delivery; delivery = delivery->next) {
		if (delivery->running || delivery->finished || !is_first_of_hook(queue, delivery))
			continue;
		if (delivery->due_ms <= now_ms)
			return delivery;
		if (delivery->due_ms - now_ms < *wait_ms)
			*wait_ms = delivery->due_ms - now_ms;
	}
	return NULL;
}

void delivery_drop(struct delivery_queue *queue, const struct entity_id *hook)
{
	for (struct delivery *delivery = queue->first; delivery; delivery = delivery->next)
		if (!delivery->running && (!hook || memcmp(delivery->hook.bytes, hook->bytes, ENTITY_ID_BYTES) == 0))
			delivery->finished = true;
}

void delivery_sweep(struct delivery_queue *queue)
{
	queue->last = &queue->first;
	while (*queue->last) {
		struct delivery *delivery = *queue->last;
		if (delivery->finished) {
			*queue->last = delivery->next;
			delivery_free(delivery);
			queue->count--;
		} else {
			queue->last = &delivery->next;
		}
	}
}

uint64_t delivery_oldest(const struct delivery_queue *queue, uint32_t group)
{
	uint64_t oldest = 0;
	for (const struct delivery *delivery = queue->first; delivery; delivery = delivery->next)
		if (delivery->change && delivery->group == group && (oldest == 0 || delivery->change < oldest))
			oldest = delivery->change;
	return oldest;
}
