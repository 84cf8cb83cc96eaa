/* fetch_list.h - which runs of which xorbs a set of terms needs: sorted, overlapping and adjacent runs merged. Pure. */
#ifndef CAIRN_GATEWAY_XET_FETCH_LIST_H
#define CAIRN_GATEWAY_XET_FETCH_LIST_H

#include "store/store.h"

struct fetch {
	struct hash xorb;
	uint32_t chunk_start, chunk_end; /* end exclusive */
	uint64_t body_start, body_end;
};

struct fetch_list {
	struct fetch *items; /* owned */
	size_t count, capacity;
};

int fetch_list_add(struct fetch_list *list, const struct plan *plan); /* 0, ERR_NO_MEMORY */
void fetch_list_merge(struct fetch_list *list);
/* After merging: the index behind the last run of the xorb whose first run is at `first`. */
size_t fetch_list_xorb_end(const struct fetch_list *list, size_t first);
void fetch_list_fini(struct fetch_list *list);

#endif
