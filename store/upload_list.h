/* upload_list.h - who is under way: uploads in one list of a store, whoever is about to name what is stored (store_naming_begin) in another.
 *
 * DESIGN. What is about to be named must not be dropped: a garbage collection waits until those in the list of names that began before it have ended, which takes
 * moments. It does not wait for uploads, whose bodies may take hours to come: each keeps in a list what it leans on (stored xorbs by which it has found chunks,
 * and those that it has sealed), and tells the number of the volume that was active when it began, before which it has written nothing.
 *
 * Who leans on a xorb adds it first and looks then whether it is about to go (condemned, leaving); who lets a xorb go says so first and looks then at what is
 * leaned on. So one of the two sees the other. Any thread. */
#ifndef CAIRN_STORE_UPLOAD_LIST_H
#define CAIRN_STORE_UPLOAD_LIST_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "schemas/hash.h"

/* Xorbs that an upload leans on, some more than once, but never twice in a row: a run of chunks of one xorb, used or not, takes the room of one. */
struct leans {
	pthread_mutex_t lock;
	struct hash *xorbs;
	size_t count, capacity;
};
void leans_init(struct leans *leans);
void leans_fini(struct leans *leans);
/* False: no memory. */
bool leans_add(struct leans *leans, const struct hash *xorb);

struct upload_entry { /* part of an upload, or of who names */
	struct upload_entry *older, *newer;
	uint64_t number;
	uint32_t first_volume; /* of an upload: it has written to none below it */
	struct leans *leans;   /* NULL: it leans on nothing */
};

struct upload_list {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct upload_entry *oldest, *newest;
	uint64_t next_number;
};

void upload_list_init(struct upload_list *list);
void upload_list_fini(struct upload_list *list);
/* The entry's first_volume and leans are set before. */
void upload_list_add(struct upload_list *list, struct upload_entry *entry);
void upload_list_remove(struct upload_list *list, struct upload_entry *entry);
/* [blocks] Until everybody who is in it now has ended, at most `wait_ms`. False: some have not. */
bool upload_list_wait(struct upload_list *list, int64_t wait_ms);
/* The lowest first_volume of all; UINT32_MAX: there is none. */
uint32_t upload_list_first_volume(struct upload_list *list);
/* Says of each of `count` xorbs, in the order of bytes, whether somebody leans on it. */
void upload_list_leaned(struct upload_list *list, const struct hash *sorted, size_t count, bool *leaned);

#endif
