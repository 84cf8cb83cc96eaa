/* damaged.h - xorbs whose stored bytes, and files whose records, were found wrong: nothing new leans on them, and what is sent again replaces them.
 *
 * DESIGN. A list in memory for each, kept in the index under `d` (xorbs) and `k` (files) so that a restart remembers it. Whoever finds damage (a reader, a scrub, recovery) adds
 * to it; a copy that arrives later is recorded as *moved*, which takes the place of the damaged one (index.c), and strikes it off.
 * The list is short or the disk is lost: beyond DAMAGED_XORBS_MAX nothing is added.
 *
 * Any thread. */
#ifndef CAIRN_STORE_DAMAGED_H
#define CAIRN_STORE_DAMAGED_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/index.h"

enum { DAMAGED_XORBS_MAX = 1 << 20 };

struct damaged_list {
	struct index *index;
	char letter; /* INDEX_DAMAGED or INDEX_DAMAGED_FILE */
	pthread_rwlock_t lock;
	struct hash *xorbs; /* sorted */
	size_t count, capacity;
	_Atomic uint64_t found_count; /* additions since it was loaded */
};

void damaged_list_init(struct damaged_list *list);
/* [blocks] Reads what an earlier run found. ERR_IO, ERR_NO_MEMORY. */
int damaged_list_load(struct damaged_list *list, struct index *index, char letter);
void damaged_list_fini(struct damaged_list *list);

bool damaged_list_has(struct damaged_list *list, const struct hash *xorb);
bool damaged_list_is_empty(struct damaged_list *list);
/* The first ones behind *after (NULL: of all); how many. */
size_t damaged_list_some(struct damaged_list *list, const struct hash *after, struct hash *out, size_t max);
void damaged_list_add(struct damaged_list *list, const struct hash *xorb);
/* It was replaced, or found whole. */
void damaged_list_remove(struct damaged_list *list, const struct hash *xorb);

#endif
