/* scrubber.h - the thread that scrubs an open store from time to time, slowly. */
#ifndef CAIRN_STORE_SCRUBBER_H
#define CAIRN_STORE_SCRUBBER_H

#include "store/store.h"

struct scrubber;

/* `every_s`: from the end of one scrub to the beginning of the next, over restarts: a file below `dir` remembers. `bytes_per_s`: how fast it reads. What it finds
 * is said on stderr, counted, and kept off by everybody as after any other scrub. ERR_NO_MEMORY. */
int scrubber_open(struct scrubber **out, struct store *store, const char *dir, uint64_t every_s, uint64_t bytes_per_s, struct why *why);
/* Stops one that is under way. NULL does nothing. */
void scrubber_close(struct scrubber *scrubber);
/* Any thread. Scrubs that came to their end since the start, and what they found damaged. NULL: none. */
void scrubber_counts(struct scrubber *scrubber, uint64_t *scrubs, uint64_t *corrupt);

#endif
