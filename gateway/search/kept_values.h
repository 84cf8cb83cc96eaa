/* kept_values.h - numbers that lists are sorted by, kept in memory. Private to gateway/search.
 *
 * DESIGN. Sorting the few thousand that match wants a number of each: from the database that is a look-up each. A table indexed by document, each slot with
 * the version that the document had before its numbers were read (database.h). Documents whose numbers differ by KEPT_VALUES_MAX push each other out; its pages
 * cost memory once they are used, 88 bytes a slot.
 *
 * Threads: any. */
#ifndef CAIRN_GATEWAY_SEARCH_KEPT_VALUES_H
#define CAIRN_GATEWAY_SEARCH_KEPT_VALUES_H

#include <pthread.h>

#include "gateway/search/database.h"

enum { KEPT_VALUES_MAX = 1 << 17, KEPT_VALUES_LOCKS = 64 };

struct kept_values {
	pthread_mutex_t locks[KEPT_VALUES_LOCKS];
	struct kept_value {
		uint32_t number; /* + 1; 0: free */
		unsigned version;
		struct doc_values values;
	} *slots; /* owned; NULL when there was no memory: nothing is kept */
};

void kept_values_init(struct kept_values *kept);
void kept_values_fini(struct kept_values *kept);
/* [blocks] As they are now. 0, ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO. */
int kept_values_get(struct kept_values *kept, const struct search_db *db, uint32_t number, struct doc_values *out);

#endif
