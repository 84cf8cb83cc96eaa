/* scrub.c - reads everything and checks it, while the store serves.
 *
 * A damaged record does not say what it was: records of files and xorbs are counted as they are met, and where the index knows of more in a volume, each that
 * should be there is looked at. That finds those that were overwritten by zeros, too, and those of a volume that is not there at all. A damaged claim is in the
 * index still, and is not looked for. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "store/core.h"

enum { DAMAGES_MAX = 1024 };

enum subject { FILES, XORBS, SUBJECTS };

/* Of one volume: records that the index leads to. */
struct scrubbed {
	uint32_t volume;
	struct {
		uint64_t met, known;
	} of[SUBJECTS];
};

/* A place that was counted as corrupt already. */
struct damage {
	struct record_place place;
	uint64_t length;
};

struct scrub {
	struct store *store;
	struct scrubbed *volumes; /* ascending */
	size_t volumes_count, at;
	bool gone; /* something that the index knows: its volume */
	struct damage damages[DAMAGES_MAX];
	size_t damages_count;
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
	struct scrub *scrub = context;
	char text[VOLUME_DAMAGE_TEXT_BYTES];
	volume_damage_text(text, volume, offset, length, what);
	found(scrub, text);
	if (scrub->damages_count < DAMAGES_MAX)
		scrub->damages[scrub->damages_count++] = (struct damage){ { volume->id, offset }, length };
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
	scrub->volumes[scrub->at].of[XORBS].met += current;
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

/* ---- records that were not met ---- */

static void meet_file(struct scrub *scrub, const struct record_place *place, struct span payload)
{
	struct file_record record;
	struct index_file known;
	if (file_record_decode(&record, payload) == 0 && index_file(scrub->store->index, &record.file, &known) == 0 &&
		known.place.volume == place->volume && known.place.offset == place->offset)
		scrub->volumes[scrub->at].of[FILES].met++;
}

static struct scrubbed *scrubbed_of(struct scrub *scrub, uint32_t volume)
{
	size_t low = 0, high = scrub->volumes_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (scrub->volumes[middle].volume < volume)
			low = middle + 1;
		else
			high = middle;
	}
	return low < scrub->volumes_count && scrub->volumes[low].volume == volume ? &scrub->volumes[low] : NULL;
}

static bool is_counted(const struct scrub *scrub, const struct record_place *place)
{
	bool counted = false;
	for (size_t i = 0; i < scrub->damages_count && !counted; i++) {
		const struct damage *damage = &scrub->damages[i];
		counted = damage->place.volume == place->volume && place->offset + VOLUME_RECORD_HEADER_BYTES > damage->place.offset &&
			place->offset < damage->place.offset + damage->length;
	}
	return counted;
}

static void check_file(struct scrub *scrub, const struct hash *file)
{
	struct record_place place;
	char text[HASH_TEXT_BYTES + 128], name[HASH_TEXT_BYTES];
	if (store_check_file_record(scrub->store, file, &place) != ERR_CORRUPT)
		return;
	hash_to_text(name, file);
	snprintf(text, sizeof(text), "volume %08x at %llu: the record of file %s is damaged", place.volume, (unsigned long long)place.offset, name);
	if (!is_counted(scrub, &place))
		found(scrub, text);
	else if (scrub->finding)
		scrub->finding(scrub->context, text);
	scrub->report->repaired += store_repair_file(scrub->store, file) == 0;
}

static void check_xorb_record(struct scrub *scrub, const struct hash *xorb)
{
	struct index_xorb known;
	struct why why = { 0 };
	int err = stored_xorb_check(scrub->store->xorbs, xorb, &why);
	if (err != ERR_CORRUPT && err != ERR_IO)
		return;
	if (index_xorb(scrub->store->index, xorb, &known) == 0) {
		if (!is_counted(scrub, &known.place))
			found(scrub, why.text);
		else if (scrub->finding)
			scrub->finding(scrub->context, why.text);
		xorb_cache_drop(scrub->store->xorbs, xorb); /* it may know the record from before */
		damaged_list_add(&scrub->store->damaged, xorb);
		scrub->report->repaired += store_fetch_xorb(scrub->store, xorb, NULL) == 0;
	}
	index_xorb_fini(&known);
}

static bool place_of(enum subject subject, const struct hash *hash, struct span value, struct record_place *out)
{
	struct index_file file;
	struct index_xorb xorb;
	int err = subject == FILES ? index_file_decode(&file, hash, value) : index_xorb_decode(&xorb, value);
	if (err)
		return false;
	*out = subject == FILES ? file.place : xorb.place;
	if (subject == XORBS)
		index_xorb_fini(&xorb);
	return true;
}

/* All files or xorbs of the index: counted (`check` false), or those looked at that lie in volumes of which not all were met. */
static int visit(struct scrub *scrub, enum subject subject, bool check)
{
	struct index_scan scan;
	index_scan_open_once(&scan, scrub->store->index, subject == FILES ? 'f' : 'x', span_of(NULL, 0));
	while (index_scan_next(&scan) && !(scrub->progress && scrub->progress->cancel)) {
		struct record_place place;
		struct hash hash;
		if (scan.key.length != HASH_BYTES)
			continue;
		memcpy(hash.bytes, scan.key.data, HASH_BYTES);
		if (!place_of(subject, &hash, scan.value, &place))
			continue;
		struct scrubbed *volume = scrubbed_of(scrub, place.volume);
		bool gone = !volume && place_is_gone(scrub->store->volumes, &place);
		scrub->gone = scrub->gone || gone;
		if (volume && !check)
			volume->of[subject].known++;
		else if (check && (gone || (volume && volume->of[subject].known > volume->of[subject].met)))
			subject == FILES ? check_file(scrub, &hash) : check_xorb_record(scrub, &hash);
	}
	return index_scan_close(&scan);
}

static int check_not_met(struct scrub *scrub, enum subject subject)
{
	scrub->gone = false;
	int err = visit(scrub, subject, false);
	bool all_met = !scrub->gone;
	for (size_t i = 0; i < scrub->volumes_count; i++)
		all_met = all_met && scrub->volumes[i].of[subject].known <= scrub->volumes[i].of[subject].met;
	return err || all_met ? err : visit(scrub, subject, true);
}

/* ---- the whole ---- */

static int on_record(void *context, struct volume *volume, const struct volume_record *record, struct span payload)
{
	struct scrub *scrub = context;
	struct record_place place = { volume->id, record->offset };
	scrub->report->records++;
	scrub->report->bytes += payload.length;
	if (record->kind == VOLUME_XORB)
		check_xorb(scrub, &place, payload);
	else if (record->kind == VOLUME_FILE)
		meet_file(scrub, &place, payload);
	pace(scrub);
	return 0;
}

static int scrub_volume(struct scrub *scrub, const struct volume_visit *visit, struct why *why)
{
	struct store *store = scrub->store;
	struct record_place published;
	uint32_t id = scrub->volumes[scrub->at].volume;
	struct volume *volume = volumes_get(store->volumes, id);
	if (!volume)
		return 0; /* emptied meanwhile */
	/* What is being written now is not there yet: the active volume is read as far as it has been published. */
	index_position(store->index, &published);
	uint64_t end = volumes_end(store->volumes, volume);
	if (volumes_is_active(store->volumes, id))
		end = published.volume == id ? published.offset : VOLUME_BLOCK_BYTES;
	int err = volume_walk(volume, VOLUME_BLOCK_BYTES, end, visit, NULL, why);
	volume_release(volume);
	return err;
}

static int list_volumes(struct scrub *scrub)
{
	size_t count = volumes_list(scrub->store->volumes, NULL, 0);
	uint32_t *ids = malloc((count ? count : 1) * sizeof(*ids));
	scrub->volumes = calloc(count ? count : 1, sizeof(*scrub->volumes));
	if (ids && scrub->volumes) {
		size_t known = volumes_list(scrub->store->volumes, ids, count);
		scrub->volumes_count = known < count ? known : count;
		for (size_t i = 0; i < scrub->volumes_count; i++)
			scrub->volumes[i].volume = ids[i];
	}
	int err = ids && scrub->volumes ? 0 : ERR_NO_MEMORY;
	free(ids);
	return err;
}

int store_scrub(struct store *store, struct store_progress *progress, store_finding finding, void *context, struct store_scrub_report *out,
	struct why *why)
{
	*out = (struct store_scrub_report){ 0 };
	struct scrub *scrub = calloc(1, sizeof(*scrub));
	if (!scrub)
		return why_set(why, ERR_NO_MEMORY, "no memory to scrub");
	*scrub = (struct scrub){ .store = store, .report = out, .finding = finding, .context = context, .progress = progress };
	clock_gettime(CLOCK_MONOTONIC, &scrub->began);
	struct volume_visit visit = { .record = on_record, .damage = on_damage, .context = scrub, .pass_unreadable = true,
		.done_bytes = progress ? &progress->done_bytes : NULL, .cancel = progress ? &progress->cancel : NULL };
	int err = list_volumes(scrub);
	if (err)
		why_set(why, err, "no memory to scrub");
	if (progress)
		progress->total_bytes = volumes_disk_bytes(store->volumes);
	for (; scrub->at < scrub->volumes_count && err == 0; scrub->at++)
		err = scrub_volume(scrub, &visit, why);
	for (enum subject subject = FILES; subject < SUBJECTS && err == 0; subject++)
		if ((err = check_not_met(scrub, subject)) != 0)
			why_set(why, err, "the files and xorbs of the index cannot be read");
	free(scrub->volumes);
	free(scrub);
	return err;
}
