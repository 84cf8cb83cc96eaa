/* fsck.c - checks a store that no server has open: every record, every byte of every xorb, and that all that is named is there.
 *
 * With `rebuild` the index is put aside first and made from the volumes alone. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/core.h"
#include "store/file_terms.h"

struct fsck {
	struct store *store; /* its volumes, index and cache are open; nothing else */
	struct store_progress *progress;
	store_finding finding;
	void *context;
	struct store_fsck_report *report;
	uint64_t newest_end; /* where the newest volume's last record ends: what follows was being written when the server died */
};

static void corrupt(void *context, const char *what)
{
	struct fsck *fsck = context;
	fsck->report->corrupt++;
	if (fsck->finding)
		fsck->finding(fsck->context, what);
}

static void missing(struct fsck *fsck, const char *what)
{
	fsck->report->missing++;
	if (fsck->finding)
		fsck->finding(fsck->context, what);
}

static void broken_volume(void *context, const char *name)
{
	char text[128];
	snprintf(text, sizeof(text), "volume %s: its first block is damaged", name);
	corrupt(context, text);
}

/* ------------------------------------------------------------------ volumes */

static void on_damage(void *context, struct volume *volume, uint64_t offset, uint64_t length, const char *what)
{
	char text[VOLUME_DAMAGE_TEXT_BYTES];
	volume_damage_text(text, volume, offset, length, what);
	corrupt(context, text);
}

static int count_record(void *context, struct volume *volume, const struct volume_record *record, struct span payload)
{
	struct fsck *fsck = context;
	(void)volume, (void)record, (void)payload;
	fsck->report->records++;
	return 0;
}

static int walk_volumes(struct fsck *fsck, struct why *why)
{
	struct volumes *volumes = fsck->store->volumes;
	struct volume_visit visit = { .record = count_record, .damage = on_damage, .context = fsck, .pass_unreadable = true, .done_bytes = &fsck->progress->done_bytes,
		.cancel = &fsck->progress->cancel };
	size_t count = volumes_list(volumes, NULL, 0);
	uint32_t *ids = malloc((count ? count : 1) * sizeof(*ids));
	if (!ids)
		return why_set(why, ERR_NO_MEMORY, "no memory to check the volumes");
	volumes_list(volumes, ids, count);
	fsck->report->volumes = count;
	int err = 0;
	for (size_t i = 0; i < count && err == 0; i++) {
		struct volume *volume = volumes_get(volumes, ids[i]);
		err = volume_walk(volume, VOLUME_BLOCK_BYTES, i + 1 == count ? fsck->newest_end : volumes_end(volumes, volume), &visit, NULL, why);
		volume_release(volume);
	}
	free(ids);
	return err;
}

/* ------------------------------------------------------------------ objects */

static bool next_hash(struct index_scan *scan, struct hash *out)
{
	while (index_scan_next(scan)) {
		if (scan->key.length != HASH_BYTES)
			continue;
		memcpy(out->bytes, scan->key.data, HASH_BYTES);
		return true;
	}
	return false;
}

static int check_xorbs(struct fsck *fsck, struct why *why)
{
	struct index_scan scan;
	struct hash hash;
	int err = 0;
	index_scan_open(&scan, fsck->store->index, 'x', span_of(NULL, 0), span_of(NULL, 0));
	while (err == 0 && next_hash(&scan, &hash)) {
		struct stored_xorb *xorb;
		struct why inner = { 0 };
		char text[WHY_BYTES_MAX + 128], name[HASH_TEXT_BYTES];
		if (fsck->progress->cancel)
			err = why_set(why, ERR_CLOSED, "cancelled");
		int bad = stored_xorb_open(&xorb, fsck->store->xorbs, &hash, true, &inner);
		if (bad == 0) {
			fsck->progress->done_bytes += xorb->table.chunks[xorb->table.count - 1].body_end;
			bad = stored_xorb_verify(xorb, true, &inner);
			stored_xorb_release(xorb);
		}
		hash_to_text(name, &hash);
		snprintf(text, sizeof(text), "xorb %s: %s", name, inner.text);
		if (bad)
			corrupt(fsck, text);
	}
	int scan_err = index_scan_close(&scan);
	return err ? err : scan_err;
}

/* Its record must lie where the index says. Every term must name chunks of a xorb that is there, and all of them must add up to the file's length. */
static int check_file(struct fsck *fsck, const struct hash *file, struct why *why)
{
	struct file_terms terms;
	struct hash last = { 0 };
	uint64_t length = 0;
	int err = file_terms_open(&terms, fsck->store, file, why);
	if (err)
		return err;
	if (place_is_gone(fsck->store->volumes, &terms.file.place)) {
		file_terms_close(&terms);
		return why_set(why, ERR_NOT_FOUND, "volume %08x does not hold its record any more", terms.file.place.volume);
	}
	int more = terms.file.record.terms_count ? file_terms_seek(&terms, 0, true, why) : -1;
	err = more < 0 && terms.file.record.terms_count ? more : 0;
	for (more = more == 0; more == 1; more = file_terms_next(&terms, true, why)) {
		struct index_xorb xorb = { 0 };
		length += terms.term.raw_length;
		if (hash_equal(&last, &terms.term.xorb))
			continue;
		last = terms.term.xorb;
		int known = index_xorb(fsck->store->index, &last, &xorb);
		index_xorb_fini(&xorb);
		if (known) {
			char text[HASH_TEXT_BYTES];
			hash_to_text(text, &last);
			err = why_set(why, ERR_NOT_FOUND, "its xorb %s is missing", text);
			break;
		}
	}
	if (err == 0 && more < 0)
		err = more;
	if (err == 0 && length != terms.file.record.length)
		err = why_set(why, ERR_CORRUPT, "its terms make %llu bytes instead of %llu", (unsigned long long)length,
			(unsigned long long)terms.file.record.length);
	file_terms_close(&terms);
	return err;
}

static int check_files(struct fsck *fsck)
{
	struct index_scan scan;
	struct hash hash;
	index_scan_open(&scan, fsck->store->index, 'f', span_of(NULL, 0), span_of(NULL, 0));
	while (!fsck->progress->cancel && next_hash(&scan, &hash)) {
		struct why inner = { 0 };
		char text[WHY_BYTES_MAX + 128], name[HASH_TEXT_BYTES];
		int bad = check_file(fsck, &hash, &inner);
		if (!bad)
			continue;
		hash_to_text(name, &hash);
		snprintf(text, sizeof(text), "file %s: %s", name, inner.text);
		if (bad == ERR_NOT_FOUND)
			missing(fsck, text);
		else
			corrupt(fsck, text);
	}
	return index_scan_close(&scan);
}

/* A claim on a file that is gone would make a name dangle. */
static int check_claims(struct fsck *fsck)
{
	struct index_scan scan;
	struct hash last = { 0 };
	bool has_last = false;
	index_scan_open(&scan, fsck->store->index, 'o', span_of(NULL, 0), span_of(NULL, 0));
	while (!fsck->progress->cancel && index_scan_next(&scan)) {
		struct index_file entry;
		char text[128], name[HASH_TEXT_BYTES];
		if (scan.key.length != HASH_BYTES + ENTITY_ID_BYTES || (has_last && memcmp(last.bytes, scan.key.data, HASH_BYTES) == 0))
			continue;
		memcpy(last.bytes, scan.key.data, HASH_BYTES);
		has_last = true;
		if (index_file(fsck->store->index, &last, &entry) == 0)
			continue;
		hash_to_text(name, &last);
		snprintf(text, sizeof(text), "file %s is claimed and missing", name);
		missing(fsck, text);
	}
	return index_scan_close(&scan);
}

/* ------------------------------------------------------------------ the whole */

/* It may have a record of a file whose copy in its volume is damaged. The first one that was put aside stays: one made anew has no more than the volumes. */
static int put_aside(const char *index_dir, struct why *why)
{
	char current[PATH_MAX], before[PATH_MAX];
	snprintf(current, sizeof(current), "%.4000s/CURRENT", index_dir);
	snprintf(before, sizeof(before), "%.4000s-before", index_dir);
	if (access(current, F_OK) != 0 || access(before, F_OK) == 0)
		return index_destroy(index_dir, why);
	return rename(index_dir, before) == 0 ? 0 : why_set(why, ERR_IO, "cannot rename %.200s: %s", index_dir, strerror(errno));
}

static int open_parts(struct fsck *fsck, const struct store_config *config, bool rebuild, struct why *why)
{
	struct store *store = fsck->store;
	struct record_place from;
	struct volumes_config volumes = { .dir = store->volumes_dir, .volume_bytes_max = STORE_VOLUME_BYTES_DEFAULT, .read_only = true };
	int err = volumes_open(&store->volumes, &volumes, broken_volume, fsck, why);
	if (err == 0)
		fsck->progress->total_bytes = volumes_disk_bytes(store->volumes) * (rebuild ? 3 : 2);
	if (err == 0 && rebuild)
		err = put_aside(store->index_dir, why);
	if (err == 0)
		err = index_open(&store->index, store->index_dir, config->index_cache_bytes ? config->index_cache_bytes : STORE_INDEX_CACHE_BYTES_DEFAULT,
			why);
	if (err == ERR_CORRUPT)
		why_set(why, err, "the index cannot be opened; `cairn fsck --rebuild-index` makes it anew");
	if (err == 0 && xorb_cache_open(&store->xorbs, store->volumes, store->index) != 0)
		err = why_set(why, ERR_NO_MEMORY, "no memory to check the store");
	if (err)
		return err;
	index_position(store->index, &from);
	/* What cannot be taken into the index is told by the walk, or by the file that misses it. */
	return store_replay(store->volumes, store->index, &from, NULL, NULL, true, rebuild ? &fsck->progress->done_bytes : NULL, &fsck->progress->cancel,
		&fsck->newest_end, why);
}

static int check(struct fsck *fsck, struct why *why)
{
	struct index_totals totals;
	int err = walk_volumes(fsck, why);
	if (err == 0)
		err = check_xorbs(fsck, why);
	if (err == 0)
		err = check_files(fsck);
	if (err == 0)
		err = check_claims(fsck);
	index_totals(fsck->store->index, &totals);
	fsck->report->xorbs = totals.xorbs;
	fsck->report->files = totals.files;
	fsck->report->chunks = totals.chunks;
	return err;
}

int store_fsck(const struct store_config *config, bool rebuild, struct store_progress *progress, store_finding finding, void *context,
	struct store_fsck_report *out, struct why *why)
{
	struct store_progress unseen = { 0 };
	struct store *store = calloc(1, sizeof(*store));
	struct fsck fsck = { .store = store, .progress = progress ? progress : &unseen, .finding = finding, .context = context, .report = out };
	*out = (struct store_fsck_report){ 0 };
	if (!store)
		return why_set(why, ERR_NO_MEMORY, "no memory to check the store");
	store->lock_fd = -1;
	snprintf(store->volumes_dir, sizeof(store->volumes_dir), "%.4000s/volumes", config->dir);
	snprintf(store->index_dir, sizeof(store->index_dir), "%.4000s/index", config->dir);
	int err = access(store->volumes_dir, F_OK) != 0 ? why_set(why, ERR_NOT_FOUND, "there is no store in %.300s", config->dir)
		: store_lock_dir(config->dir, &store->lock_fd, why);
	if (err == 0)
		err = open_parts(&fsck, config, rebuild, why);
	if (err == 0)
		err = check(&fsck, why);
	xorb_cache_close(store->xorbs);
	index_close(store->index);
	volumes_close(store->volumes);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	free(store);
	return err;
}
