#include "store/slab.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

struct slab {
	struct slab *next;
	uint8_t *bytes;
	uint32_t taken; /* a bit for each slot */
};

static unsigned slots_of(const struct slab_pool *pool)
{
	return (unsigned)(SLAB_BYTES / pool->slot_bytes);
}

static struct slab *make(struct slab_pool *pool)
{
	struct slab *slab = calloc(1, sizeof(*slab));
	if (!slab || posix_memalign((void **)&slab->bytes, SLAB_BYTES, SLAB_BYTES) != 0) {
		free(slab);
		return NULL;
	}
	madvise(slab->bytes, SLAB_BYTES, MADV_HUGEPAGE);
	slab->next = pool->slabs;
	pool->slabs = slab;
	return slab;
}

void *slab_take(struct slab_pool *pool)
{
	uint32_t full = (uint32_t)((UINT64_C(1) << slots_of(pool)) - 1);
	struct slab *slab = pool->slabs;
	while (slab && slab->taken == full)
		slab = slab->next;
	if (!slab && !(slab = make(pool)))
		return NULL;
	unsigned slot = (unsigned)__builtin_ctz(~slab->taken);
	slab->taken |= UINT32_C(1) << slot;
	return slab->bytes + slot * pool->slot_bytes;
}

void slab_give(struct slab_pool *pool, void *slot)
{
	struct slab **place = &pool->slabs;
	uint8_t *bytes = slot;
	while (*place && !(bytes >= (*place)->bytes && bytes < (*place)->bytes + SLAB_BYTES))
		place = &(*place)->next;
	struct slab *slab = *place;
	assert(slab);
	slab->taken &= ~(UINT32_C(1) << (size_t)(bytes - slab->bytes) / pool->slot_bytes);
	if (slab->taken)
		return;
	*place = slab->next;
	free(slab->bytes);
	free(slab);
}
