/* scrub.c - reads everything and checks it, while the store serves. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "store/core.h"

struct scrub {
	struct store *store;
	struct store_scrub_report *report;
	store_finding finding;
	void *context;
	struct store_progress *progress; /* may be NULL */
	struct timespec began;
};

/* Waits until what was read so far may have been read. */
static void pace(const struct scrub *scrub)
{
	uint64_t rate = scrub->progress ? scrub->progress->bytes_per_s : 0;
	while (rate && !scrub->progress->cancel) {
		struct timespec now;
		clock_gettime(CLOCK_MONOTONIC, &now);
		double elapsed_s = (double)(now.tv_sec - scrub->began.tv_sec) + (double)(now.tv_nsec - scrub->began.tv_nsec) / 1e9;
		double ahead_s = (double)scrub->report->bytes / (double)rate - elapsed_s;
		if (ahead_s <= 0)
			return;
		nanosleep(&(struct timespec){ .tv_nsec = ahead_s < 0.1 ? (long)(ahead_s * 1e9) : 100000000 }, NULL);
	}
}

static void found(struct scrub *scrub, const char *what)
{
	scrub->report->corrupt++;
	if (scrub->finding)
		scrub->finding(scrub->context, what);
}

static void on_damage(void *context, struct volume *volume, uint64_t offset, uint64_t length, const char *what)
{
	char text[VOLUME_DAMAGE_TEXT_BYTES];
	volume_damage_text(text, volume, offset, length, what);
	found(context, text);
}

/* Only the copy that the index names counts: others have moved, or are gone. */
static void check_xorb(struct scrub *scrub, const struct record_place *place, struct span payload)
{
	struct xorb_record record;
	struct index_xorb entry;
	struct stored_xorb *xorb;
	struct why why = { 0 };
	char text[WHY_BYTES_MAX + 160], name[HASH_TEXT_BYTES];
	if (xorb_record_decode(&record, payload) != 0)
		return;
	int err = index_xorb(scrub->store->index, &record.xorb, &entry);
	bool current = err == 0 && entry.place.volume == place->volume && entry.place.offset == place->offset;
	if (current) {
		err = stored_xorb_make(&xorb, scrub->store->volumes, &record, entry.fragments, &why);
		if (err == 0) {
			err = stored_xorb_verify(xorb, false, &why);
			stored_xorb_release(xorb);
		}
		if (err == 0)
			damaged_list_remove(&scrub->store->damaged, &record.xorb);
		scrub->report->bytes += record.body_length;
	}
	index_xorb_fini(&entry);
	if (!current || err == 0)
		return;
	if (index_xorb(scrub->store->index, &record.xorb, &entry) != 0 || entry.place.volume != place->volume)
		current = false; /* it moved or went while it was read */
	index_xorb_fini(&entry);
	if (!current)
		return;
	hash_to_text(name, &record.xorb);
	snprintf(text, sizeof(text), "volume %08x at %llu: xorb %s: %s", place->volume, (unsigned long long)place->offset, name, why.text);
	found(scrub, text);
	damaged_list_add(&scrub->store->damaged, &record.xorb);
	scrub->report->repaired += store_fetch_xorb(scrub->store, &record.xorb, NULL) == 0;
}

static int on_record(void *context, struct volume *volume, const struct volume_record *record, struct span payload)
{
	struct scrub *scrub = context;
	struct record_place place = { volume->id, record->offset };
	scrub->report->records++;
	scrub->report->bytes += payload.length;
	if (record->kind == VOLUME_XORB)
		check_xorb(scrub, &place, payload);
	pace(scrub);
	return 0;
}

int store_scrub(struct store *store, struct store_progress *progress, store_finding finding, void *context, struct store_scrub_report *out,
	struct why *why)
{
	struct scrub scrub = { .store = store, .report = out, .finding = finding, .context = context, .progress = progress };
	clock_gettime(CLOCK_MONOTONIC, &scrub.began);
	struct volume_visit visit = { .record = on_record, .damage = on_damage, .context = &scrub, .pass_unreadable = true,
		.done_bytes = progress ? &progress->done_bytes : NULL, .cancel = progress ? &progress->cancel : NULL };
	*out = (struct store_scrub_report){ 0 };
	size_t count = volumes_list(store->volumes, NULL, 0);
	uint32_t *ids = malloc((count ? count : 1) * sizeof(*ids));
	if (!ids)
		return why_set(why, ERR_NO_MEMORY, "no memory to scrub");
	size_t known = volumes_list(store->volumes, ids, count);
	count = known < count ? known : count;
	if (progress)
		progress->total_bytes = volumes_disk_bytes(store->volumes);
	int err = 0;
	for (size_t i = 0; i < count && err == 0; i++) {
		struct volume *volume = volumes_get(store->volumes, ids[i]);
		if (!volume)
			continue; /* emptied meanwhile */
		/* What is being written now is not there yet: the active volume is read as far as it has been published. */
		struct record_place published;
		index_position(store->index, &published);
		uint64_t end = volumes_end(store->volumes, volume);
		if (volumes_is_active(store->volumes, ids[i]))
			end = published.volume == ids[i] ? published.offset : VOLUME_BLOCK_BYTES;
		err = volume_walk(volume, VOLUME_BLOCK_BYTES, end, &visit, NULL, why);
		volume_release(volume);
	}
	free(ids);
	return err;
}
