/* hold.c - the volumes of a moment, for whoever copies them. */
#include <stdlib.h>

#include "store/core.h"

/* A volume is copied up to what the index knows of: bytes behind that are on their way and belong to nobody yet. What is on its way may also lie
 * before it, so a volume is final only when nothing is written to it any more. */
static bool describe(struct store *store, uint32_t id, const struct record_place *published, struct held_volume *out)
{
	struct volume *volume = volumes_get(store->volumes, id);
	if (!volume || id > published->volume) {
		volume_release(volume);
		return false;
	}
	bool active = volumes_is_active(store->volumes, id);
	*out = (struct held_volume){ .id = id, .final = id < published->volume && !active && volume->writers == 0,
		.length = id == published->volume ? volume_align(published->offset, VOLUME_BLOCK_BYTES) : volumes_end(store->volumes, volume) };
	volume_release(volume);
	return true;
}

int store_hold(struct store *store, struct why *why)
{
	if (store->volumes_left_out)
		return why_set(why, ERR_CORRUPT, "a volume cannot be read: repair or restore it first");
	if (!store_take_care(store))
		return why_set(why, ERR_BUSY, "a garbage collection or a backup is under way");
	return 0;
}

void store_hold_end(struct store *store)
{
	atomic_flag_clear(&store->care);
}

int store_held_volumes(struct store *store, struct held_volumes **out, struct why *why)
{
	struct record_place published;
	index_position(store->index, &published);
	size_t max = volumes_list(store->volumes, NULL, 0);
	struct held_volumes *held = calloc(1, sizeof(*held) + max * sizeof(held->items[0]));
	uint32_t *ids = malloc((max ? max : 1) * sizeof(*ids));
	if (held && ids) {
		size_t known = volumes_list(store->volumes, ids, max);
		for (size_t i = 0; i < known && i < max; i++)
			held->count += describe(store, ids[i], &published, &held->items[held->count]);
	}
	free(ids);
	*out = held;
	return held ? 0 : why_set(why, ERR_NO_MEMORY, "no memory for a backup");
}
