/* gc.c - garbage collection: claims that no name needs, files without claims, xorbs without files.
 *
 * Why nothing that is needed goes, whatever is pushed meanwhile:
 * - It begins by waiting until everybody who is about to name something (store_naming_begin) has ended, and only then asks for the roots. So whoever names something
 *   after the roots were told has begun after the collection, and renews the claims that it leans on (store_claim_is_fresh says so while one
 *   is under way): they are younger than the collection and stay.
 * - Dropping holds the registration lock and looks again first. A registration holds it from the moment it finds what it names until that is
 *   visible.
 * - A xorb that is to go is condemned first: uploads stop using it; then it is looked whether one leans on it already (upload_list.h): it stays until the next
 *   collection.
 * - What an upload has written and nobody knows of yet lies in volumes that were not closed when it began: they are not emptied.
 * Uploads are not waited for: their bodies may take hours to come. */
#include <stdio.h>
#include <stdlib.h>

#include "store/core.h"

enum { DROP_BATCH = 1024, MARK_BATCH = 256, NAMINGS_WAIT_MS = 30 * 1000, GIVING_UP_WAIT_MS = 30 * 1000, CARE_POLL_MS = 10, MARK_BYTES = HASH_BYTES + ENTITY_ID_BYTES,
	HARDLY_USED_BYTES = 4 << 20 /* an active volume is not worth emptying below this */ };

struct gc {
	struct store *store;
	int64_t started_ms, old_ms; /* what is younger than old_ms stays */
	bool dry_run;
	struct store_progress *progress;
	struct store_gc_report *report;
	struct why *why;
	uint8_t marks[MARK_BATCH][MARK_BYTES];
	size_t marks_count;
	uint8_t payloads[DROP_BATCH][DROP_RECORD_BYTES];
	struct journal_record records[DROP_BATCH];
	size_t drops_count;
};

static bool cancelled(const struct gc *gc)
{
	return gc->progress && gc->progress->cancel;
}

/* How far it is: bytes of xorbs that were looked at and of volumes that were emptied, or of one owner's files. */
static void done(const struct gc *gc, uint64_t bytes)
{
	if (gc->progress)
		gc->progress->done_bytes += bytes;
}

static void more_to_do(const struct gc *gc, uint64_t bytes)
{
	if (gc->progress)
		gc->progress->total_bytes += bytes;
}

/* ------------------------------------------------------------------ marks */

static int flush_marks(struct gc *gc)
{
	struct index_raw entries[MARK_BATCH];
	for (size_t i = 0; i < gc->marks_count; i++)
		entries[i] = (struct index_raw){ 'm', span_of(gc->marks[i], MARK_BYTES), span_of(NULL, 0) };
	int err = gc->marks_count ? index_put_raw(gc->store->index, entries, gc->marks_count) : 0;
	gc->marks_count = 0;
	return err;
}

static int mark(void *context, const struct entity_id *owner, const struct hash *file)
{
	struct gc *gc = context;
	uint8_t *out = gc->marks[gc->marks_count++];
	memcpy(out, file->bytes, HASH_BYTES);
	memcpy(out + HASH_BYTES, owner->bytes, ENTITY_ID_BYTES);
	int err = gc->marks_count == MARK_BATCH ? flush_marks(gc) : 0;
	return err ? err : cancelled(gc) ? ERR_CLOSED : 0;
}

int gc_spare(struct store *store, const struct entity_id *owner, const struct hash *file)
{
	uint8_t key[MARK_BYTES];
	memcpy(key, file->bytes, HASH_BYTES);
	memcpy(key + HASH_BYTES, owner->bytes, ENTITY_ID_BYTES);
	return index_put_raw(store->index, &(struct index_raw){ 'm', span_of(key, sizeof(key)), span_of(NULL, 0) }, 1);
}

/* `key`: file and owner, as both marks and claims have it. What cannot be read counts as alive, here and below. */
static bool claim_lives(struct gc *gc, struct span key, int64_t claimed_ms)
{
	struct buffer none;
	buffer_init(&none, 16);
	bool marked = claimed_ms >= gc->old_ms || index_get_raw(gc->store->index, 'm', key, &none) != ERR_NOT_FOUND;
	buffer_fini(&none);
	return marked;
}

/* ------------------------------------------------------------------ dropping */

static void add_drop(struct gc *gc, uint8_t kind, const uint8_t *hash, const uint8_t *owner)
{
	struct drop_record record = { .kind = kind };
	memcpy(record.hash.bytes, hash, HASH_BYTES);
	if (owner)
		memcpy(record.owner.bytes, owner, ENTITY_ID_BYTES);
	drop_record_encode(gc->payloads[gc->drops_count], &record);
	gc->records[gc->drops_count] = (struct journal_record){ .kind = VOLUME_DROP, .payload = span_of(gc->payloads[gc->drops_count], DROP_RECORD_BYTES) };
	gc->drops_count++;
}

/* Drops what still passes `again`, with registrations held off. */
static int drop_all(struct gc *gc, bool (*again)(struct gc *gc, const struct drop_record *record), uint64_t *dropped)
{
	size_t kept = 0;
	pthread_rwlock_wrlock(&gc->store->registration);
	for (size_t i = 0; i < gc->drops_count; i++) {
		struct drop_record record;
		if (drop_record_decode(&record, gc->records[i].payload) == 0 && again(gc, &record))
			gc->records[kept++] = gc->records[i];
	}
	int err = kept ? journal_commit_freeing(gc->store->journal, gc->records, kept, gc->why) : 0;
	pthread_rwlock_unlock(&gc->store->registration);
	gc->drops_count = 0;
	*dropped += err ? 0 : kept;
	return err;
}

/* ------------------------------------------------------------------ claims */

static bool claim_goes(struct gc *gc, const struct drop_record *record)
{
	int64_t claimed_ms;
	return index_claim(gc->store->index, &record->hash, &record->owner, &claimed_ms) == 0 && claimed_ms < gc->old_ms;
}

static uint64_t number_of(struct span value)
{
	uint64_t number = 0;
	for (size_t i = 0; i < 8 && i < value.length; i++)
		number |= (uint64_t)value.data[i] << 8 * i;
	return number;
}

static int64_t time_of(struct span value)
{
	return (int64_t)number_of(value);
}

static int sweep_claims(struct gc *gc)
{
	struct index_scan scan;
	int err = 0;
	index_scan_open(&scan, gc->store->index, 'o', span_of(NULL, 0), span_of(NULL, 0));
	while (err == 0 && index_scan_next(&scan)) {
		if (cancelled(gc))
			err = ERR_CLOSED;
		if (scan.key.length != MARK_BYTES || claim_lives(gc, scan.key, time_of(scan.value)))
			continue;
		if (gc->dry_run) {
			gc->report->claims_dropped++;
			continue;
		}
		add_drop(gc, VOLUME_CLAIM, scan.key.data, scan.key.data + HASH_BYTES);
		if (gc->drops_count == DROP_BATCH)
			err = drop_all(gc, claim_goes, &gc->report->claims_dropped);
	}
	int scan_err = index_scan_close(&scan);
	if (err == 0 && gc->drops_count)
		err = drop_all(gc, claim_goes, &gc->report->claims_dropped);
	return err ? err : scan_err;
}

/* ------------------------------------------------------------------ files */

/* Has it a claim? In a dry run only those count that would stay. */
static bool file_lives(struct gc *gc, const struct hash *file)
{
	struct index_scan scan;
	bool lives = false;
	index_scan_open(&scan, gc->store->index, 'o', span_of(file->bytes, HASH_BYTES), span_of(NULL, 0));
	while (!lives && index_scan_next(&scan)) {
		uint8_t key[MARK_BYTES];
		if (scan.key.length != ENTITY_ID_BYTES)
			continue;
		memcpy(key, file->bytes, HASH_BYTES);
		memcpy(key + HASH_BYTES, scan.key.data, ENTITY_ID_BYTES);
		lives = !gc->dry_run || claim_lives(gc, span_of(key, sizeof(key)), time_of(scan.value));
	}
	return index_scan_close(&scan) != 0 || lives;
}

static bool file_goes(struct gc *gc, const struct drop_record *record)
{
	return !file_lives(gc, &record->hash);
}

static int sweep_files(struct gc *gc)
{
	struct index_scan scan;
	int err = 0;
	index_scan_open(&scan, gc->store->index, 'f', span_of(NULL, 0), span_of(NULL, 0));
	while (err == 0 && index_scan_next(&scan)) {
		struct hash file;
		if (cancelled(gc))
			err = ERR_CLOSED;
		if (scan.key.length != HASH_BYTES)
			continue;
		memcpy(file.bytes, scan.key.data, HASH_BYTES);
		if (file_lives(gc, &file)) {
			gc->report->files_live++;
			continue;
		}
		if (gc->dry_run) {
			gc->report->files_dropped++;
			continue;
		}
		add_drop(gc, VOLUME_FILE, file.bytes, NULL);
		if (gc->drops_count == DROP_BATCH)
			err = drop_all(gc, file_goes, &gc->report->files_dropped);
	}
	int scan_err = index_scan_close(&scan);
	if (err == 0 && gc->drops_count)
		err = drop_all(gc, file_goes, &gc->report->files_dropped);
	return err ? err : scan_err;
}

/* ------------------------------------------------------------------ xorbs */

/* Does a file use it that stays? With registrations held off (`clear`), entries of files that are gone are cleared away in passing; without, such
 * a file might come back between the look and the clearing. */
static bool xorb_is_used(struct gc *gc, const struct hash *xorb, bool clear)
{
	struct index_scan scan;
	bool used = false;
	index_scan_open(&scan, gc->store->index, 'r', span_of(xorb->bytes, HASH_BYTES), span_of(NULL, 0));
	while (!used && index_scan_next(&scan)) {
		struct index_file entry;
		struct hash file;
		if (scan.key.length != HASH_BYTES)
			continue;
		memcpy(file.bytes, scan.key.data, HASH_BYTES);
		bool there = index_file(gc->store->index, &file, &entry) != ERR_NOT_FOUND;
		used = there && (!gc->dry_run || file_lives(gc, &file));
		if (!there && clear) {
			uint8_t key[2 * HASH_BYTES];
			memcpy(key, xorb->bytes, HASH_BYTES);
			memcpy(key + HASH_BYTES, file.bytes, HASH_BYTES);
			index_drop_raw(gc->store->index, 'r', span_of(key, sizeof(key)));
		}
	}
	return index_scan_close(&scan) != 0 || used;
}

/* A part lives as long as what it is a part of. No file should name one; if any does, it matters more. */
static bool xorb_lives(struct gc *gc, const struct hash *xorb, bool is_part, bool clear)
{
	struct hash whole;
	int err = is_part ? index_xorb_of_part(gc->store->index, xorb, &whole) : ERR_NOT_FOUND;
	return (err ? err != ERR_NOT_FOUND : xorb_is_used(gc, &whole, clear)) || xorb_is_used(gc, xorb, clear);
}

static bool xorb_goes(struct gc *gc, const struct drop_record *record)
{
	struct index_xorb entry;
	int err = index_xorb(gc->store->index, &record->hash, &entry);
	index_xorb_fini(&entry);
	return err == 0 && entry.stored_ms < gc->old_ms && !xorb_lives(gc, &record->hash, entry.is_part, true);
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, HASH_BYTES);
}

/* The hashes of all that is about to be dropped; NULL: no memory. */
static struct hash *drops_hashes(const struct gc *gc)
{
	struct hash *hashes = malloc((gc->drops_count ? gc->drops_count : 1) * sizeof(*hashes));
	for (size_t i = 0; hashes && i < gc->drops_count; i++)
		memcpy(hashes[i].bytes, gc->payloads[i] + 8, HASH_BYTES);
	if (hashes)
		qsort(hashes, gc->drops_count, sizeof(*hashes), by_bytes);
	return hashes;
}

void condemned_set(struct condemned *condemned, struct hash *xorbs, size_t count)
{
	pthread_rwlock_wrlock(&condemned->lock);
	free(condemned->xorbs);
	condemned->xorbs = xorbs;
	condemned->count = count;
	pthread_rwlock_unlock(&condemned->lock);
}

void store_forget_chunks(struct store *store, const struct stored_xorb *xorb)
{
	struct hash *hashes = malloc(xorb->table.count * sizeof(*hashes));
	for (uint32_t i = 0; hashes && i < xorb->table.count; i++)
		hashes[i] = xorb->table.chunks[i].hash;
	if (hashes)
		index_forget_chunks(store->index, &xorb->table.xorb, hashes, xorb->table.count);
	free(hashes);
}

static void after_drop(struct gc *gc, const struct hash *hash)
{
	struct index_xorb entry;
	struct stored_xorb *xorb = NULL;
	bool gone = index_xorb(gc->store->index, hash, &entry) == ERR_NOT_FOUND;
	index_xorb_fini(&entry);
	/* The table is still in the cache: it was loaded before. Without it the entries of its chunks stay and lead nowhere, which uploads notice. */
	if (gone && stored_xorb_open(&xorb, gc->store->xorbs, hash, false, NULL) == 0) {
		gc->report->bytes_freed += xorb->table.chunks[xorb->table.count - 1].body_end;
		store_forget_chunks(gc->store, xorb);
		stored_xorb_release(xorb);
		xorb_cache_drop(gc->store->xorbs, hash);
	} else if (gone) {
		xorb_cache_drop(gc->store->xorbs, hash);
	}
}

/* Those that uploads lean on are dropped no more. `hashes`: of all, in order. */
static void spare_leaned(struct gc *gc, const struct hash *hashes)
{
	bool leaned[DROP_BATCH];
	size_t count = gc->drops_count;
	upload_list_leaned(&gc->store->uploads, hashes, count, leaned);
	gc->drops_count = 0;
	for (size_t i = 0; i < count; i++) {
		if (leaned[i])
			gc->report->xorbs_live++;
		else
			add_drop(gc, VOLUME_XORB, hashes[i].bytes, NULL);
	}
}

static int drop_xorbs(struct gc *gc)
{
	struct hash *hashes = drops_hashes(gc);
	size_t count = gc->drops_count;
	if (!hashes)
		return why_set(gc->why, ERR_NO_MEMORY, "no memory for garbage collection");
	condemned_set(&gc->store->condemned, hashes, count);
	spare_leaned(gc, hashes);
	for (size_t i = 0; i < count; i++) {
		struct stored_xorb *xorb;
		if (stored_xorb_open(&xorb, gc->store->xorbs, &hashes[i], true, NULL) == 0)
			stored_xorb_release(xorb);
	}
	int err = drop_all(gc, xorb_goes, &gc->report->xorbs_dropped);
	for (size_t i = 0; i < count && err == 0; i++)
		after_drop(gc, &hashes[i]);
	condemned_set(&gc->store->condemned, NULL, 0);
	return err;
}

static int sweep_xorbs(struct gc *gc)
{
	enum { XORB_BATCH = 128 }; /* their tables fit the cache */
	struct index_scan scan;
	int err = 0;
	index_scan_open(&scan, gc->store->index, 'x', span_of(NULL, 0), span_of(NULL, 0));
	while (err == 0 && index_scan_next(&scan)) {
		struct index_xorb entry;
		struct hash xorb;
		if (cancelled(gc))
			err = ERR_CLOSED;
		if (scan.key.length != HASH_BYTES)
			continue;
		memcpy(xorb.bytes, scan.key.data, HASH_BYTES);
		int known = index_xorb(gc->store->index, &xorb, &entry);
		index_xorb_fini(&entry);
		if (known != 0)
			continue;
		done(gc, entry.body_length);
		if (entry.stored_ms >= gc->old_ms || xorb_lives(gc, &xorb, entry.is_part, false)) {
			gc->report->xorbs_live++;
		} else if (gc->dry_run) {
			gc->report->xorbs_dropped++;
			gc->report->bytes_freed += entry.body_length;
		} else {
			add_drop(gc, VOLUME_XORB, xorb.bytes, NULL);
			if (gc->drops_count == XORB_BATCH)
				err = drop_xorbs(gc);
		}
	}
	int scan_err = index_scan_close(&scan);
	if (err == 0 && gc->drops_count)
		err = drop_xorbs(gc);
	return err ? err : scan_err;
}

/* ------------------------------------------------------------------ codings */

static bool coding_lives(struct gc *gc, const struct hash *xorb, bool clear)
{
	struct index_xorb entry;
	bool here = index_xorb(gc->store->index, xorb, &entry) != ERR_NOT_FOUND;
	index_xorb_fini(&entry);
	return here || xorb_is_used(gc, xorb, clear);
}

static bool coding_goes(struct gc *gc, const struct drop_record *record)
{
	return !coding_lives(gc, &record->hash, true);
}

/* How a xorb was coded is forgotten when no file needs it. A node that comes to need it after all asks the others. */
static int sweep_coded(struct gc *gc)
{
	struct index_scan scan;
	uint64_t dropped = 0;
	int err = 0;
	index_scan_open(&scan, gc->store->index, 'e', span_of(NULL, 0), span_of(NULL, 0));
	while (err == 0 && index_scan_next(&scan)) {
		struct drop_record record = { .kind = VOLUME_CODED };
		if (cancelled(gc))
			err = ERR_CLOSED;
		if (scan.key.length != HASH_BYTES || gc->dry_run)
			continue;
		memcpy(record.hash.bytes, scan.key.data, HASH_BYTES);
		if (coding_lives(gc, &record.hash, false))
			continue;
		add_drop(gc, VOLUME_CODED, record.hash.bytes, NULL);
		if (gc->drops_count == DROP_BATCH)
			err = drop_all(gc, coding_goes, &dropped);
	}
	int scan_err = index_scan_close(&scan);
	if (err == 0 && gc->drops_count)
		err = drop_all(gc, coding_goes, &dropped);
	return err ? err : scan_err;
}

/* ------------------------------------------------------------------ volumes */

struct usage {
	uint32_t volume;
	bool closed; /* before it was asked which uploads may have written to it */
	uint64_t live_bytes, used_bytes;
};

static bool is_mostly_dead(const struct usage *usage)
{
	return usage->closed && usage->live_bytes * 2 <= usage->used_bytes;
}

static void count_live(struct usage *usage, size_t count, uint32_t volume, uint64_t bytes)
{
	for (size_t i = 0; i < count; i++)
		if (usage[i].volume == volume)
			usage[i].live_bytes += bytes;
}

/* Bytes of xorbs alone decide: everything else is small beside them. */
static void count_xorbs(struct gc *gc, struct usage *usage, size_t count)
{
	struct index_scan scan;
	index_scan_open(&scan, gc->store->index, 'x', span_of(NULL, 0), span_of(NULL, 0));
	while (index_scan_next(&scan)) {
		struct index_xorb entry;
		struct hash xorb;
		if (scan.key.length != HASH_BYTES)
			continue;
		memcpy(xorb.bytes, scan.key.data, HASH_BYTES);
		if (index_xorb(gc->store->index, &xorb, &entry) == 0) {
			count_live(usage, count, entry.place.volume, volume_record_bytes(entry.payload_length));
			for (uint32_t i = 0; i < entry.fragments_count; i++)
				count_live(usage, count, entry.fragments[i].volume, volume_record_bytes(entry.fragments[i].length));
		}
		index_xorb_fini(&entry);
	}
	index_scan_close(&scan);
}

static int by_live_bytes(const void *a, const void *b)
{
	const struct usage *one = a, *other = b;
	return (one->live_bytes > other->live_bytes) - (one->live_bytes < other->live_bytes);
}

static int compact(struct gc *gc)
{
	size_t count = volumes_list(gc->store->volumes, NULL, 0);
	uint32_t *ids = calloc(count + 1, sizeof(*ids));
	struct usage *usage = calloc(count + 1, sizeof(*usage));
	int err = !ids || !usage ? why_set(gc->why, ERR_NO_MEMORY, "no memory for garbage collection") : 0;
	size_t known = err ? 0 : volumes_list(gc->store->volumes, ids, count);
	count = known < count ? known : count;
	for (size_t i = 0; i < count; i++) {
		struct volume *volume = volumes_get(gc->store->volumes, ids[i]);
		usage[i] = (struct usage){ .volume = ids[i], .used_bytes = volume ? volumes_end(gc->store->volumes, volume) : 0 };
		volume_release(volume);
	}
	if (err == 0)
		count_xorbs(gc, usage, count);
	for (size_t i = 0; i < count && err == 0; i++)
		if (usage[i].live_bytes * 2 <= usage[i].used_bytes && usage[i].used_bytes > HARDLY_USED_BYTES &&
			volumes_is_active(gc->store->volumes, usage[i].volume))
			volumes_roll(gc->store->volumes);
	for (size_t i = 0; i < count; i++)
		usage[i].closed = !volumes_is_active(gc->store->volumes, usage[i].volume);
	for (size_t i = 0; i < count; i++)
		more_to_do(gc, is_mostly_dead(&usage[i]) ? usage[i].used_bytes : 0);
	qsort(usage, count, sizeof(*usage), by_live_bytes); /* what takes least room to free comes first */
	for (size_t i = 0; i < count && err == 0 && !cancelled(gc); i++) {
		/* What open uploads have written and not published yet is in no index. Who begins from here on writes to none that is closed. */
		if (!is_mostly_dead(&usage[i]) || usage[i].volume >= upload_list_first_volume(&gc->store->uploads))
			continue;
		done(gc, usage[i].used_bytes);
		err = store_compact_volume(gc->store, usage[i].volume, gc->why);
		if (err == ERR_CORRUPT || err == ERR_NO_SPACE) {
			fprintf(stderr, "cairn: volume %08x stays as it is: %s\n", usage[i].volume, gc->why ? gc->why->text : err_name(err));
			err = 0; /* the others need not wait for its repair, and may make room for it */
		} else if (err == 0) {
			gc->report->volumes_compacted++;
			gc->report->bytes_compacted += usage[i].used_bytes;
		}
	}
	free(ids);
	free(usage);
	return err;
}

/* What says of claims that they were dropped while young, once they are not any more: by then names are asked of them anyway. */
static void forget_drops(struct gc *gc)
{
	struct index_scan scan;
	int64_t young_ms = gc->started_ms - STORE_YOUNG_MS;
	index_scan_open(&scan, gc->store->index, INDEX_DROPPED, span_of(NULL, 0), span_of(NULL, 0));
	while (index_scan_next(&scan))
		if (time_of(scan.value) < young_ms)
			index_drop_raw(gc->store->index, INDEX_DROPPED, scan.key);
	index_scan_close(&scan);
}

/* ------------------------------------------------------------------ the whole */

static int mark_all(struct gc *gc, store_roots roots, void *context)
{
	pthread_rwlock_wrlock(&gc->store->registration); /* what another node tells is spared from here on, or known to the roots */
	int err = index_drop_prefix(gc->store->index, 'm', span_of(NULL, 0));
	pthread_rwlock_unlock(&gc->store->registration);
	if (err == 0)
		err = roots(context, mark, gc, gc->why);
	return err ? err : flush_marks(gc);
}

static int await_namings(struct gc *gc)
{
	return upload_list_wait(&gc->store->namings, NAMINGS_WAIT_MS) ? 0 : why_set(gc->why, ERR_BUSY, "changes of names that began before have not ended yet; try again later");
}

static int collect(struct gc *gc, store_roots roots, void *context)
{
	struct store *store = gc->store;
	int err = await_namings(gc);
	if (err == 0)
		err = mark_all(gc, roots, context);
	if (err == 0)
		err = sweep_claims(gc);
	if (err == 0)
		err = sweep_files(gc);
	if (err == 0)
		err = sweep_xorbs(gc);
	if (err == 0)
		err = sweep_coded(gc);
	index_drop_prefix(store->index, 'm', span_of(NULL, 0));
	forget_drops(gc);
	if (err == 0 && !gc->dry_run)
		err = compact(gc);
	return err;
}

bool store_take_care(struct store *store)
{
	for (unsigned waited_ms = 0; atomic_flag_test_and_set(&store->care); waited_ms += CARE_POLL_MS) {
		if (!store->giving_up || waited_ms > GIVING_UP_WAIT_MS)
			return false;
		nanosleep(&(struct timespec){ .tv_nsec = CARE_POLL_MS * 1000000L }, NULL);
	}
	return true;
}

/* Only one collection at a time. NULL: `err` says why. */
static struct gc *gc_open(struct store *store, int64_t grace_ms, bool dry_run, struct store_progress *progress, int *err, struct why *why)
{
	struct gc *gc = calloc(1, sizeof(*gc));
	*err = 0;
	if (!gc)
		*err = why_set(why, ERR_NO_MEMORY, "no memory for garbage collection");
	else if (store->volumes_left_out)
		*err = why_set(why, ERR_CORRUPT, "a volume cannot be read, so what is needed cannot be told from what is not: repair or restore it first");
	else if (!store_take_care(store))
		*err = why_set(why, ERR_BUSY, "a garbage collection or a backup is under way");
	if (*err) {
		free(gc);
		return NULL;
	}
	*gc = (struct gc){ .store = store, .dry_run = dry_run, .progress = progress, .why = why, .started_ms = store_now_ms() };
	gc->old_ms = gc->started_ms - (grace_ms > 0 ? grace_ms : 0);
	store->collecting_since_ms = gc->started_ms;
	store->collections++;
	return gc;
}

static int gc_close(struct gc *gc, int err)
{
	struct store *store = gc->store;
	if (err == ERR_CLOSED && cancelled(gc))
		why_set(gc->why, err, "cancelled");
	store->collecting_since_ms = 0;
	atomic_flag_clear(&store->care);
	free(gc);
	return err;
}

int store_gc(struct store *store, store_roots roots, void *context, int64_t grace_ms, bool dry_run, struct store_progress *progress,
	struct store_gc_report *out, struct why *why)
{
	int err;
	*out = (struct store_gc_report){ 0 };
	struct gc *gc = gc_open(store, grace_ms, dry_run, progress, &err, why);
	if (!gc)
		return err;
	struct index_totals totals;
	index_totals(store->index, &totals);
	more_to_do(gc, totals.stored_bytes);
	gc->report = out;
	return gc_close(gc, collect(gc, roots, context));
}

int store_compact(struct store *store, struct store_gc_report *out, struct why *why)
{
	int err;
	*out = (struct store_gc_report){ 0 };
	struct gc *gc = gc_open(store, 0, false, NULL, &err, why);
	if (!gc)
		return err;
	gc->report = out;
	return gc_close(gc, compact(gc));
}

/* ------------------------------------------------------------------ claims of one owner */

/* One claim that no name needs: told, and dropped unless this is a dry run or `each` wants to keep it. */
static int visit_unneeded(struct gc *gc, const struct entity_id *owner, const struct hash *file, int64_t claimed_ms, store_unneeded each, void *context,
	struct store_owner_gc_report *out)
{
	struct file_info info;
	if (store_file_info(gc->store, file, &info) != 0)
		return 0;
	int err = each(context, &info, claimed_ms);
	if (err)
		return err > 0 ? 0 : err;
	out->bytes_dropped += info.length;
	if (gc->dry_run) {
		out->claims_dropped++;
		return 0;
	}
	add_drop(gc, VOLUME_CLAIM, file->bytes, owner->bytes);
	return gc->drops_count == DROP_BATCH ? drop_all(gc, claim_goes, &out->claims_dropped) : 0;
}

static int sweep_owner(struct gc *gc, const struct entity_id *owner, store_unneeded each, void *context, struct store_owner_gc_report *out)
{
	struct index_scan scan;
	int err = 0;
	index_scan_open(&scan, gc->store->index, 'w', span_of(owner->bytes, ENTITY_ID_BYTES), span_of(NULL, 0));
	while (err == 0 && index_scan_next(&scan)) {
		uint8_t key[MARK_BYTES];
		struct hash file;
		int64_t claimed_ms;
		if (cancelled(gc))
			err = ERR_CLOSED;
		if (scan.key.length != HASH_BYTES)
			continue;
		memcpy(file.bytes, scan.key.data, HASH_BYTES);
		memcpy(key, file.bytes, HASH_BYTES);
		memcpy(key + HASH_BYTES, owner->bytes, ENTITY_ID_BYTES);
		done(gc, number_of(scan.value));
		if (index_claim(gc->store->index, &file, owner, &claimed_ms) != 0)
			continue;
		if (claim_lives(gc, span_of(key, sizeof(key)), claimed_ms))
			out->claims_kept++;
		else if (err == 0)
			err = visit_unneeded(gc, owner, &file, claimed_ms, each, context, out);
	}
	int scan_err = index_scan_close(&scan);
	if (err == 0 && gc->drops_count)
		err = drop_all(gc, claim_goes, &out->claims_dropped);
	return err ? err : scan_err;
}

int store_gc_owner(struct store *store, const struct entity_id *owner, store_roots roots, void *roots_context, int64_t grace_ms, bool dry_run,
	store_unneeded each, void *context, struct store_progress *progress, struct store_owner_gc_report *out, struct why *why)
{
	int err;
	*out = (struct store_owner_gc_report){ 0 };
	struct gc *gc = gc_open(store, grace_ms, dry_run, progress, &err, why);
	if (!gc)
		return err;
	uint64_t files, bytes = 0;
	if (store_owner_usage(store, owner, &files, &bytes) == 0)
		more_to_do(gc, bytes);
	err = await_namings(gc);
	if (err == 0)
		err = mark_all(gc, roots, roots_context);
	if (err == 0)
		err = sweep_owner(gc, owner, each, context, out);
	index_drop_prefix(store->index, 'm', span_of(NULL, 0));
	forget_drops(gc);
	return gc_close(gc, err);
}
