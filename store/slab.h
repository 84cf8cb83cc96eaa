/* slab.h - buffers of one size in huge pages: what is written past the page cache is pinned page by page, and a huge page is one.
 *
 * A slab is SLAB_BYTES of memory at an address that is a multiple of it, cut into slots. It goes back to the system with its last slot. Where the system
 * gives no huge pages it is ordinary memory.
 *
 * Not locked: one caller at a time. */
#ifndef CAIRN_STORE_SLAB_H
#define CAIRN_STORE_SLAB_H

#include <stddef.h>

enum { SLAB_BYTES = 2 << 20 };

struct slab;
struct slab_pool {
	size_t slot_bytes; /* a multiple of the page size; at least 1/32 of a slab */
	struct slab *slabs;
};

/* NULL: no memory. Contents are whatever they were. */
void *slab_take(struct slab_pool *pool);
void slab_give(struct slab_pool *pool, void *slot);

#endif
