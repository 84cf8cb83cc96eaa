#include "store/upload_list.h"

#include <errno.h>
#include <time.h>

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
