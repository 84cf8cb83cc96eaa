/* gather.h - when a group of callers that share a sync is complete.
 *
 * DESIGN. A disk that syncs faster than callers come would sync once for each. Callers of a group (a write of the journal, an entry of the log) mostly wait
 * for its last, are answered together, and then come back one after the other. So a group waits until most of the callers are there, as many as the largest
 * of late had, or until nobody comes any more for a while. A lone caller never waits. Now and then a group waits for more than are known, or a crowd would
 * never be found to be larger.
 *
 * Times are milliseconds of one monotonic clock. Threads: the owner's alone. */
#ifndef CAIRN_SCHEMAS_GATHER_H
#define CAIRN_SCHEMAS_GATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gather { /* zeros: nobody was seen */
	double callers;    /* about how many there are */
	unsigned groups;   /* since it was looked whether there are more */
	size_t seen;       /* callers that waited when it was looked last */
	uint64_t until_ms;
};

/* True when a group of so many should not wait for more. */
bool gather_enough(const struct gather *gather, size_t waiting);
/* Waiting begins; how long until the first look. */
uint64_t gather_begin(struct gather *gather, size_t waiting, uint64_t now_ms);
/* Time has passed: how long until the next look, 0: not any more. `under_way`: another group is, whose callers will come. */
uint64_t gather_look(struct gather *gather, size_t waiting, bool under_way, uint64_t now_ms);
/* A group of so many was made. */
void gather_note(struct gather *gather, size_t count);

#endif
