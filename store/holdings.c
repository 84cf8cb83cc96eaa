/* holdings.c - which xorbs a node has and which it knows of, and giving up copies that other nodes hold. Who should hold what is somebody else's
 * (replication).
 *
 * Why no byte is lost when a copy is given up:
 * - The others are asked after every upload that may lean on it has ended, and only those count that have all records of this node: so they know the files
 *   that need the xorb, and their own garbage collections keep it.
 * - A file that comes to need it after that is seen with registrations held off, and the copy stays.
 * - Those records tell also when it was sent here, so that it is no older as garbage there. If it is sent here again after that, the copy stays.
 * - Whoever is told meanwhile that this node has a copy would rely on it: from `begin` on nobody is. */
#include <stdlib.h>

#include "store/core.h"
#include "store/file_terms.h"


static bool file_is_here(struct store *store, struct span hash)
{
	struct index_file entry;
	struct hash file;
	if (hash.length != HASH_BYTES)
		return false;
	memcpy(file.bytes, hash.data, HASH_BYTES);
	return index_file(store->index, &file, &entry) != ERR_NOT_FOUND;
}

size_t store_needed_xorbs(struct store *store, const struct hash *after, struct hash *out, size_t max)
{
	struct index_scan scan;
	size_t count = 0;
	uint8_t from[2 * HASH_BYTES];
	memset(from, 0xff, sizeof(from));
	if (after)
		memcpy(from, after->bytes, HASH_BYTES);
	index_scan_open(&scan, store->index, 'r', span_of(NULL, 0), span_of(from, after ? sizeof(from) : 0));
	while (count < max && index_scan_next(&scan)) {
		if (scan.key.length != 2 * HASH_BYTES || (count > 0 && memcmp(out[count - 1].bytes, scan.key.data, HASH_BYTES) == 0) ||
			!file_is_here(store, span_of(scan.key.data + HASH_BYTES, HASH_BYTES)))
			continue;
		memcpy(out[count++].bytes, scan.key.data, HASH_BYTES);
	}
	index_scan_close(&scan);
	return count;
}

size_t store_held_xorbs(struct store *store, const struct hash *after, struct held_xorb *out, size_t max)
{
	struct index_scan scan;
	struct index_xorb entry;
	size_t count = 0;
	index_scan_open(&scan, store->index, 'x', span_of(NULL, 0), after ? span_of(after->bytes, HASH_BYTES) : span_of(NULL, 0));
	while (count < max && index_scan_next(&scan)) {
		if (scan.key.length != HASH_BYTES || (after && memcmp(after->bytes, scan.key.data, HASH_BYTES) == 0))
			continue;
		memcpy(out[count].xorb.bytes, scan.key.data, HASH_BYTES);
		if (index_xorb(store->index, &out[count].xorb, &entry) == 0) {
			out[count].age_ms = store_now_ms() - entry.stored_ms;
			out[count].is_part = entry.is_part;
			out[count++].body_length = entry.body_length;
			index_xorb_fini(&entry);
		}
	}
	index_scan_close(&scan);
	return count;
}

uint64_t store_files_of_xorb(struct store *store, const struct hash *xorb, uint64_t max)
{
	struct index_scan scan;
	uint64_t count = 0;
	index_scan_open(&scan, store->index, 'r', span_of(xorb->bytes, HASH_BYTES), span_of(NULL, 0));
	while (count < max && index_scan_next(&scan))
		count += file_is_here(store, scan.key);
	index_scan_close(&scan);
	return count;
}

int store_claims_of_xorb(struct store *store, const struct hash *xorb, uint64_t max, int (*each)(void *context, const struct entity_id *owner), void *context)
{
	struct index_scan files, claims;
	struct entity_id owner;
	uint64_t seen = 0;
	int err = 0, closed;
	index_scan_open(&files, store->index, 'r', span_of(xorb->bytes, HASH_BYTES), span_of(NULL, 0));
	while (err == 0 && index_scan_next(&files)) {
		if (files.key.length != HASH_BYTES)
			continue;
		err = seen++ == max ? ERR_TOO_BIG : 0;
		index_scan_open(&claims, store->index, 'o', files.key, span_of(NULL, 0));
		while (err == 0 && index_scan_next(&claims)) {
			if (claims.key.length != ENTITY_ID_BYTES)
				continue;
			memcpy(owner.bytes, claims.key.data, ENTITY_ID_BYTES);
			err = seen++ == max ? ERR_TOO_BIG : each(context, &owner);
		}
		closed = index_scan_close(&claims);
		err = err ? err : closed;
	}
	closed = index_scan_close(&files);
	return err ? err : closed;
}

int store_xorbs_of_file(struct store *store, const struct hash *file, int (*each)(void *context, const struct hash *xorb), void *context, struct why *why)
{
	struct file_terms terms = { 0 };
	struct hash last = { 0 };
	int err = file_terms_open(&terms, store, file, why);
	if (err)
		return err;
	if (terms.file.record.terms_count > 0)
		err = file_terms_seek(&terms, 0, true, why);
	for (int more = err == 0 && terms.file.record.terms_count > 0; more == 1 && err == 0;) {
		if (!hash_equal(&terms.term.xorb, &last))
			err = each(context, &terms.term.xorb);
		last = terms.term.xorb;
		more = err ? 0 : file_terms_next(&terms, true, why);
		err = err ? err : more < 0 ? more : 0;
	}
	file_terms_close(&terms);
	return err;
}

/* ------------------------------------------------------------------ giving up */

static bool is_behind(const struct record_place *place, const struct record_place *end)
{
	return place->volume != end->volume ? place->volume > end->volume : place->offset >= end->offset;
}

/* With registrations held off. */
static bool is_needed_since(struct store *store, const struct hash *xorb, const struct record_place *end)
{
	struct index_scan scan;
	bool needed = false;
	index_scan_open(&scan, store->index, 'r', span_of(xorb->bytes, HASH_BYTES), span_of(NULL, 0));
	while (!needed && index_scan_next(&scan)) {
		struct index_file entry;
		struct hash file;
		if (scan.key.length != HASH_BYTES)
			continue;
		memcpy(file.bytes, scan.key.data, HASH_BYTES);
		int known = index_file(store->index, &file, &entry);
		needed = known == 0 ? is_behind(&entry.place, end) : known != ERR_NOT_FOUND;
	}
	return index_scan_close(&scan) != 0 || needed;
}

struct giving {
	struct hash xorbs[STORE_GIVE_UP_MAX];
	bool ok[STORE_GIVE_UP_MAX];
	int64_t stored_ms[STORE_GIVE_UP_MAX]; /* before the others were asked; 0: it was not here */
	uint8_t payloads[STORE_GIVE_UP_MAX][DROP_RECORD_BYTES];
	struct journal_record records[STORE_GIVE_UP_MAX];
	size_t count;
};

static int drop(struct store *store, struct giving *giving, const struct record_place *end, uint64_t *bytes, struct why *why)
{
	size_t used = 0;
	pthread_rwlock_wrlock(&store->registration);
	for (size_t i = 0; i < giving->count; i++) {
		struct index_xorb entry;
		bool there = giving->ok[i] && index_xorb(store->index, &giving->xorbs[i], &entry) == 0;
		if (there && (entry.stored_ms != giving->stored_ms[i] || is_needed_since(store, &giving->xorbs[i], end)))
			giving->ok[i] = false;
		if (there && giving->ok[i]) {
			drop_record_encode(giving->payloads[used], &(struct drop_record){ .kind = VOLUME_XORB, .hash = giving->xorbs[i] });
			giving->records[used] = (struct journal_record){ .kind = VOLUME_DROP, .payload = span_of(giving->payloads[used], DROP_RECORD_BYTES) };
			used++;
			*bytes += entry.body_length;
		}
		if (there)
			index_xorb_fini(&entry);
	}
	int err = used ? journal_commit_freeing(store->journal, giving->records, used, why) : 0;
	pthread_rwlock_unlock(&store->registration);
	if (err)
		*bytes = 0;
	return err;
}

/* As garbage collection does it: the table was loaded before. */
static void forget(struct store *store, const struct hash *xorb)
{
	struct stored_xorb *stored = NULL;
	if (store_has_xorb(store, xorb))
		return;
	if (stored_xorb_open(&stored, store->xorbs, xorb, false, NULL) == 0) {
		store_forget_chunks(store, stored);
		stored_xorb_release(stored);
	}
	xorb_cache_drop(store->xorbs, xorb);
	damaged_list_remove(&store->damaged, xorb);
}

static int give_up(struct store *store, struct giving *giving, const struct store_give_up *how, uint64_t *bytes, struct why *why)
{
	struct record_place end;
	index_position(store->index, &end);
	for (size_t i = 0; i < giving->count; i++) {
		struct index_xorb entry;
		giving->stored_ms[i] = index_xorb(store->index, &giving->xorbs[i], &entry) == 0 ? entry.stored_ms : 0;
		index_xorb_fini(&entry);
	}
	how->confirm(how->context, giving->xorbs, giving->count, &end, giving->ok);
	bool leaned[STORE_GIVE_UP_MAX];
	upload_list_leaned(&store->uploads, giving->xorbs, giving->count, leaned);
	for (size_t i = 0; i < giving->count; i++) {
		struct stored_xorb *xorb;
		giving->ok[i] = giving->ok[i] && !leaned[i];
		if (giving->ok[i] && stored_xorb_open(&xorb, store->xorbs, &giving->xorbs[i], true, NULL) == 0)
			stored_xorb_release(xorb);
	}
	bool begun = how->begin(how->context);
	int err = begun ? drop(store, giving, &end, bytes, why) : 0;
	how->end(how->context);
	for (size_t i = 0; i < giving->count && err == 0 && begun; i++)
		if (giving->ok[i])
			forget(store, &giving->xorbs[i]);
	return err;
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, HASH_BYTES);
}

int store_give_up(struct store *store, const struct hash *xorbs, size_t count, const struct store_give_up *how, uint64_t *dropped_bytes, struct why *why)
{
	*dropped_bytes = 0;
	if (count == 0 || count > STORE_GIVE_UP_MAX)
		return count ? why_set(why, ERR_TOO_BIG, "too many xorbs at once") : 0;
	struct giving *giving = calloc(1, sizeof(*giving));
	struct hash *leaving = malloc(count * sizeof(*leaving));
	if (!giving || !leaving || atomic_flag_test_and_set(&store->care)) {
		int err = giving && leaving ? ERR_BUSY : ERR_NO_MEMORY;
		free(giving);
		free(leaving);
		return why_set(why, err, "a garbage collection or a backup is under way");
	}
	store->giving_up = true;
	giving->count = count;
	memcpy(giving->xorbs, xorbs, count * sizeof(*xorbs));
	qsort(giving->xorbs, count, sizeof(*xorbs), by_bytes);
	memcpy(leaving, giving->xorbs, count * sizeof(*xorbs));
	condemned_set(&store->leaving, leaving, count);
	int err = give_up(store, giving, how, dropped_bytes, why);
	condemned_set(&store->leaving, NULL, 0);
	store->giving_up = false;
	atomic_flag_clear(&store->care);
	free(giving);
	return err;
}
