/* upload_list.h - the uploads under way, and whoever is about to name what is stored (store_naming_begin), in the order in which they began.
 *
 * What an open upload leans on, or has written but not published yet, must not be dropped, nor what is about to be named: garbage collection waits
 * until those that began before its decision have ended. Any thread. */
#ifndef CAIRN_STORE_UPLOAD_LIST_H
#define CAIRN_STORE_UPLOAD_LIST_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct upload_entry { /* part of an upload, or of who names */
	struct upload_entry *older, *newer;
	uint64_t number;
};

struct upload_list {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct upload_entry *oldest, *newest;
	uint64_t next_number;
};

void upload_list_init(struct upload_list *list);
void upload_list_fini(struct upload_list *list);
void upload_list_add(struct upload_list *list, struct upload_entry *entry);
void upload_list_remove(struct upload_list *list, struct upload_entry *entry);
/* [blocks] Until every upload that is open now has ended, at most `wait_ms`. False: some have not. */
bool upload_list_wait(struct upload_list *list, int64_t wait_ms);

#endif
