#include "store/upload_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void leans_init(struct leans *leans)
{
	*leans = (struct leans){ 0 };
	pthread_mutex_init(&leans->lock, NULL);
}

void leans_fini(struct leans *leans)
{
	free(leans->xorbs);
	pthread_mutex_destroy(&leans->lock);
}

bool leans_add(struct leans *leans, const struct hash *xorb)
{
	pthread_mutex_lock(&leans->lock);
	bool is_last = leans->count > 0 && hash_equal(&leans->xorbs[leans->count - 1], xorb);
	if (!is_last && leans->count == leans->capacity) {
		size_t capacity = leans->capacity ? 2 * leans->capacity : 8;
		struct hash *grown = realloc(leans->xorbs, capacity * sizeof(*grown));
		if (grown) {
			leans->xorbs = grown;
			leans->capacity = capacity;
		}
	}
	bool fits = is_last || leans->count < leans->capacity;
	if (fits && !is_last)
		leans->xorbs[leans->count++] = *xorb;
	pthread_mutex_unlock(&leans->lock);
	return fits;
}

void upload_list_init(struct upload_list *list)
{
	*list = (struct upload_list){ 0 };
	pthread_mutex_init(&list->lock, NULL);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&list->changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

void upload_list_fini(struct upload_list *list)
{
	pthread_mutex_destroy(&list->lock);
	pthread_cond_destroy(&list->changed);
}

void upload_list_add(struct upload_list *list, struct upload_entry *entry)
{
	pthread_mutex_lock(&list->lock);
	entry->number = list->next_number++;
	entry->newer = NULL;
	entry->older = list->newest;
	*(list->newest ? &list->newest->newer : &list->oldest) = entry;
	list->newest = entry;
	pthread_mutex_unlock(&list->lock);
}

void upload_list_remove(struct upload_list *list, struct upload_entry *entry)
{
	pthread_mutex_lock(&list->lock);
	*(entry->older ? &entry->older->newer : &list->oldest) = entry->newer;
	*(entry->newer ? &entry->newer->older : &list->newest) = entry->older;
	pthread_cond_broadcast(&list->changed);
	pthread_mutex_unlock(&list->lock);
}

bool upload_list_wait(struct upload_list *list, int64_t wait_ms)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(wait_ms / 1000);
	pthread_mutex_lock(&list->lock);
	uint64_t mark = list->next_number;
	int waited = 0;
	while (list->oldest && list->oldest->number < mark && waited != ETIMEDOUT)
		waited = pthread_cond_timedwait(&list->changed, &list->lock, &until);
	bool ended = !list->oldest || list->oldest->number >= mark;
	pthread_mutex_unlock(&list->lock);
	return ended;
}

uint32_t upload_list_first_volume(struct upload_list *list)
{
	uint32_t first = UINT32_MAX;
	pthread_mutex_lock(&list->lock);
	for (const struct upload_entry *entry = list->oldest; entry; entry = entry->newer)
		first = entry->first_volume < first ? entry->first_volume : first;
	pthread_mutex_unlock(&list->lock);
	return first;
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, HASH_BYTES);
}

void upload_list_leaned(struct upload_list *list, const struct hash *sorted, size_t count, bool *leaned)
{
	memset(leaned, false, count * sizeof(*leaned));
	pthread_mutex_lock(&list->lock);
	for (const struct upload_entry *entry = list->oldest; entry; entry = entry->newer) {
		struct leans *leans = entry->leans;
		if (!leans)
			continue;
		pthread_mutex_lock(&leans->lock);
		for (size_t i = 0; i < leans->count; i++) {
			const struct hash *found = bsearch(&leans->xorbs[i], sorted, count, sizeof(*sorted), by_bytes);
			if (found)
				leaned[found - sorted] = true;
		}
		pthread_mutex_unlock(&leans->lock);
	}
	pthread_mutex_unlock(&list->lock);
}
