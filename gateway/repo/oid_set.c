#include "gateway/repo/oid_set.h"

#include <stdlib.h>

#include "schemas/error.h"
#include "schemas/git_object.h"

enum { CAPACITY_FIRST = 256 };

void oid_set_init(struct oid_set *set, size_t count_max)
{
	*set = (struct oid_set){ .count_max = count_max };
}

void oid_set_fini(struct oid_set *set)
{
	free(set->slots);
	*set = (struct oid_set){ 0 };
}

/* The slot that holds this id or is free for it. */
static struct oid *slot_of(struct oid *slots, size_t capacity, const struct oid *oid)
{
	uint64_t hash;
	memcpy(&hash, oid->bytes, sizeof(hash));
	size_t i = (size_t)hash & (capacity - 1);
	while (!git_oid_is_zero(&slots[i]) && !git_oid_equal(&slots[i], oid))
		i = (i + 1) & (capacity - 1);
	return &slots[i];
}

static int grow(struct oid_set *set)
{
	size_t capacity = set->capacity ? set->capacity * 2 : CAPACITY_FIRST;
	struct oid *slots = calloc(capacity, sizeof(*slots));
	if (!slots)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < set->capacity; i++)
		if (!git_oid_is_zero(&set->slots[i]))
			*slot_of(slots, capacity, &set->slots[i]) = set->slots[i];
	free(set->slots);
	set->slots = slots;
	set->capacity = capacity;
	return 0;
}

int oid_set_add(struct oid_set *set, const struct oid *oid)
{
	if (git_oid_is_zero(oid)) {
		bool added = !set->has_zero;
		set->has_zero = true;
		return added;
	}
	if (set->count * 4 >= set->capacity * 3) {
		int err = grow(set);
		if (err)
			return err;
	}
	struct oid *slot = slot_of(set->slots, set->capacity, oid);
	if (!git_oid_is_zero(slot))
		return 0;
	if (set->count == set->count_max)
		return ERR_TOO_BIG;
	*slot = *oid;
	set->count++;
	return 1;
}
