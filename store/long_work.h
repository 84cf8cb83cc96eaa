/* long_work.h - work that a short request may make long: reading a whole file for its digest, hashing what a shard names.
 *
 * DESIGN. A few megabytes can name terabytes: a file may repeat the chunks of one xorb without end. So such work goes on only while somebody waits for what
 * comes of it; equal work is done once, the others who want it wait; and only so much of it is under way at a time, of one caller a quarter of that, so that
 * most threads are left for everybody else. What a request is given for free (LONG_WORK_FREE_BYTES) is done at once and not counted: ordinary requests meet no
 * limit. Whoever has to wait waits on its thread: as many may as may work, of one caller half of them. More are told ERR_BUSY. */
#ifndef CAIRN_STORE_LONG_WORK_H
#define CAIRN_STORE_LONG_WORK_H

#include "store/store.h"

enum {
	LONG_WORK_FREE_BYTES = 64 << 20, /* of one request */
	LONG_WORKS_DEFAULT = 16,
	LONG_WORK_WAIT_MS_MAX = 60 * 1000,
};

/* On the stack of the thread that does it, or waits to. */
struct long_work {
	struct long_work *next;
	struct store_caller *caller;
	struct hash key;
	bool has_key, counted, running;
	uint64_t number;  /* once it runs: no other has it */
	unsigned sharers; /* who wait for what comes of it */
};

/* [blocks] `key`: what it is about, so that equal work is done once; may be NULL. `bytes`: how much there is to do. 0: do it, then long_work_end. ERR_AGAIN:
 * somebody did the same meanwhile, look for what came of it. ERR_BUSY, ERR_CLOSED. */
int long_work_begin(struct store *store, struct long_work *work, struct store_caller *caller, const struct hash *key, uint64_t bytes, struct why *why);
/* Now and then: `bytes` more are done. 0: go on; ERR_CLOSED: nobody wants it. */
int long_work_done(struct store *store, struct long_work *work, uint64_t bytes, struct why *why);
void long_work_end(struct store *store, struct long_work *work);

#endif
