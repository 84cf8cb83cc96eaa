/* store.c - opening and closing, and the questions that the index answers. */
#include "store/core.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/file_terms.h"
#include "store/long_work.h"
#include "store/remote_xorb.h"
#include "store/sha256.h"

enum { VERIFY_BYTES = 256 << 10, CANDIDATES_MAX = 1 << 16 /* files for one digest */, LIES_READ_MAX = 32 };

int64_t store_now_ms(void)
{
	static _Atomic int64_t latest;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, before_ms = atomic_load(&latest);
	while (before_ms < now_ms && !atomic_compare_exchange_weak(&latest, &before_ms, now_ms))
		;
	return before_ms > now_ms ? before_ms : now_ms;
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, HASH_BYTES);
}

bool condemned_has(struct condemned *condemned, const struct hash *xorb)
{
	pthread_rwlock_rdlock(&condemned->lock);
	bool found = condemned->count && bsearch(xorb, condemned->xorbs, condemned->count, sizeof(*xorb), by_bytes);
	pthread_rwlock_unlock(&condemned->lock);
	return found;
}

bool store_may_lean_on(struct store *store, const struct hash *xorb)
{
	return !condemned_has(&store->condemned, xorb) && !damaged_list_has(&store->damaged, xorb);
}

void store_xorb_replaced(struct store *store, const struct hash *xorb)
{
	if (!damaged_list_has(&store->damaged, xorb))
		return;
	xorb_cache_drop(store->xorbs, xorb);
	damaged_list_remove(&store->damaged, xorb);
}

bool store_file_is_damaged(struct store *store, const struct hash *file)
{
	struct file_terms terms;
	struct record_place place;
	if (damaged_list_has(&store->damaged_files, file) && store_check_file_record(store, file, &place) == ERR_CORRUPT)
		return true;
	if (damaged_list_is_empty(&store->damaged) || file_terms_open(&terms, store, file, NULL) != 0)
		return false;
	int more = terms.file.record.length ? file_terms_seek(&terms, 0, true, NULL) : -1;
	bool damaged = false;
	for (more = more == 0 ? 1 : more; more == 1 && !damaged; more = file_terms_next(&terms, true, NULL))
		damaged = damaged_list_has(&store->damaged, &terms.term.xorb);
	file_terms_close(&terms);
	return damaged;
}

uint64_t store_damage_found(struct store *store)
{
	return store->damaged.found_count + store->damaged_files.found_count;
}

/* ------------------------------------------------------------------ opening */

int store_lock_dir(const char *dir, int *fd, struct why *why)
{
	char path[4096];
	if (mkdir(dir, 0700) == 0) {
		snprintf(path, sizeof(path), "%s/..", dir);
		int above = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (above >= 0) {
			fsync(above); /* or its name could be lost with all that is in it */
			close(above);
		}
	} else if (errno != EEXIST) {
		return why_set(why, ERR_IO, "cannot make %s: %s", dir, strerror(errno));
	}
	snprintf(path, sizeof(path), "%s/lock", dir);
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*fd < 0)
		return why_set(why, ERR_IO, "cannot open %s: %s", path, strerror(errno));
	if (flock(*fd, LOCK_EX | LOCK_NB) != 0)
		return why_set(why, ERR_BUSY, "another process has the store in %s open", dir);
	return 0;
}

static void damage_note(char out[PATH_MAX], const struct store *store)
{
	snprintf(out, PATH_MAX, "%.4000s-damaged", store->index_dir);
}

/* What a damaged index does not find would be told as absent: nobody answers from one. */
static void stop_for_damage(void *context, const char *what)
{
	char path[PATH_MAX];
	damage_note(path, context);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	fprintf(stderr, "cairn: store: the index is damaged: %.300s; this node stops, and makes it anew from the volumes when it is started\n", what);
	fflush(stderr);
	_exit(STORE_STOP_STATUS);
}

static int open_index(struct store *store, uint64_t cache_bytes, struct why *why)
{
	struct why inner = { 0 };
	char note[PATH_MAX];
	damage_note(note, store);
	int err = access(note, F_OK) == 0 ? why_set(&inner, ERR_CORRUPT, "the index was found damaged") :
		index_open(&store->index, store->index_dir, cache_bytes, &inner);
	if (err == ERR_CORRUPT) {
		fprintf(stderr, "cairn: %s; it is made anew from the volumes\n", inner.text);
		index_destroy(store->index_dir, NULL);
		unlink(note);
		err = index_open(&store->index, store->index_dir, cache_bytes, &inner);
	}
	if (err)
		return why_set(why, err, "%s", inner.text);
	index_when_damaged(store->index, stop_for_damage, store);
	return 0;
}

static void log_broken(void *context, const char *name)
{
	struct store *store = context;
	store->volumes_left_out++;
	fprintf(stderr, "cairn: volume %s cannot be read: its first block is damaged\n", name);
}

static int open_parts(struct store *store, const struct store_config *config, struct why *why)
{
	struct volumes_config volumes = { .dir = store->volumes_dir, .direct_io = config->direct_io,
		.volume_bytes_max = config->volume_bytes_max ? config->volume_bytes_max : STORE_VOLUME_BYTES_DEFAULT,
		.reserve_bytes = config->reserve_bytes ? config->reserve_bytes : STORE_RESERVE_BYTES_DEFAULT };
	int err = volumes_open(&store->volumes, &volumes, log_broken, store, why);
	if (err == 0)
		err = open_index(store, config->index_cache_bytes ? config->index_cache_bytes : STORE_INDEX_CACHE_BYTES_DEFAULT, why);
	if (err == 0 && xorb_cache_open(&store->xorbs, store->volumes, store->index) != 0)
		err = why_set(why, ERR_NO_MEMORY, "no memory for the store");
	if (err == 0 && remote_xorbs_open(&store->remotes, store) != 0)
		err = why_set(why, ERR_NO_MEMORY, "no memory for the store");
	if (err == 0)
		err = store_recover(store, why);
	if (err == 0 && (damaged_list_load(&store->damaged, store->index, INDEX_DAMAGED) != 0 ||
		damaged_list_load(&store->damaged_files, store->index, INDEX_DAMAGED_FILE) != 0))
		err = why_set(why, ERR_IO, "the list of what is damaged cannot be read");
	if (err == 0)
		err = writer_open(&store->writer, store->volumes, config->buffer_bytes_max ? config->buffer_bytes_max : STORE_BUFFER_BYTES_DEFAULT, why);
	if (err == 0)
		err = journal_open(&store->journal, store, store->volumes, store->index, why);
	if (err == 0 && config->scrub_every_s)
		err = scrubber_open(&store->scrubber, store, config->dir, config->scrub_every_s, config->scrub_bytes_per_s, why);
	return err;
}

int store_open(struct store **out, const struct store_config *config, struct why *why)
{
	struct store *store = calloc(1, sizeof(*store));
	if (!store)
		return why_set(why, ERR_NO_MEMORY, "no memory for the store");
	store->lock_fd = -1;
	pthread_rwlockattr_t prefer; /* a garbage collection must not wait for a moment without registrations; nobody takes it twice */
	pthread_rwlockattr_init(&prefer);
	pthread_rwlockattr_setkind_np(&prefer, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&store->registration, &prefer);
	pthread_rwlockattr_destroy(&prefer);
	pthread_rwlock_init(&store->condemned.lock, NULL);
	pthread_rwlock_init(&store->leaving.lock, NULL);
	upload_list_init(&store->uploads);
	upload_list_init(&store->namings);
	long_works_init(&store->long_works, config->long_works_max);
	damaged_list_init(&store->damaged);
	damaged_list_init(&store->damaged_files);
	int err = 0;
	if (snprintf(store->volumes_dir, sizeof(store->volumes_dir), "%s/volumes", config->dir) >= (int)sizeof(store->volumes_dir) ||
		snprintf(store->index_dir, sizeof(store->index_dir), "%s/index", config->dir) >= (int)sizeof(store->index_dir))
		err = why_set(why, ERR_INVALID, "the path of the store is too long");
	if (err == 0)
		err = store_lock_dir(config->dir, &store->lock_fd, why);
	if (err == 0)
		err = open_parts(store, config, why);
	if (err) {
		store_close(store);
		return err;
	}
	*out = store;
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	scrubber_close(store->scrubber);
	journal_close(store->journal);
	writer_close(store->writer);
	remote_xorbs_close(store->remotes);
	xorb_cache_close(store->xorbs);
	index_close(store->index);
	volumes_close(store->volumes);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	free(store->condemned.xorbs);
	free(store->leaving.xorbs);
	pthread_rwlock_destroy(&store->registration);
	pthread_rwlock_destroy(&store->condemned.lock);
	pthread_rwlock_destroy(&store->leaving.lock);
	upload_list_fini(&store->uploads);
	upload_list_fini(&store->namings);
	long_works_fini(&store->long_works);
	damaged_list_fini(&store->damaged);
	damaged_list_fini(&store->damaged_files);
	free(store);
}

/* ------------------------------------------------------------------ files */

static void info_of(struct file_info *out, const struct file_record *record)
{
	*out = (struct file_info){ .file = record->file, .sha256 = record->sha256, .has_sha256 = record->has_sha256,
		.sha256_verified = record->sha256_verified, .length = record->length, .terms_count = record->terms_count,
		.registered_ms = record->registered_ms };
}

int store_file_info(struct store *store, const struct hash *file, struct file_info *out)
{
	struct index_file entry;
	int err = index_file(store->index, file, &entry);
	if (err == 0)
		info_of(out, &entry.record);
	return err;
}

/* Is `file` really a candidate for `sha256`? What was verified to be something else is none. */
static bool is_candidate(struct store *store, const struct entity_id *owner, const struct hash *file, const struct sha256 *sha256,
	struct file_info *out)
{
	int64_t claimed_ms;
	if (owner && index_claim(store->index, file, owner, &claimed_ms) != 0)
		return false;
	if (store_file_info(store, file, out) != 0)
		return false;
	bool same = out->has_sha256 && memcmp(&out->sha256, sha256, sizeof(*sha256)) == 0;
	if (!same && out->sha256_verified)
		return false;
	out->sha256 = *sha256;
	out->has_sha256 = true;
	out->sha256_verified = same && out->sha256_verified;
	return true;
}

/* Anybody may say of any file that it has a digest: only so many are looked at. A whole one if there is any, else a damaged one. 1 found, 0, ERR_IO. */
static int find_candidate(struct store *store, const struct entity_id *owner, const struct sha256 *sha256, bool verified, struct file_info *out)
{
	struct index_scan scan;
	bool found = false, whole = false;
	index_scan_open_sha256(&scan, store->index, sha256, verified);
	for (int i = 0; !whole && i < CANDIDATES_MAX && index_scan_next(&scan); i++) {
		struct hash file;
		struct file_info info;
		if (scan.key.length != HASH_BYTES)
			continue;
		memcpy(file.bytes, scan.key.data, HASH_BYTES);
		if (!is_candidate(store, owner, &file, sha256, &info))
			continue;
		info.is_damaged = store_file_is_damaged(store, &file);
		whole = !info.is_damaged;
		if (whole || !found)
			*out = info;
		found = true;
	}
	int err = index_scan_close(&scan);
	return err ? err : found;
}

int store_file_by_sha256(struct store *store, const struct entity_id *owner, const struct sha256 *sha256, struct file_info *out)
{
	struct file_info said;
	int verified = find_candidate(store, owner, sha256, true, out);
	if (verified < 0 || (verified == 1 && !out->is_damaged))
		return verified < 0 ? verified : 0;
	int found = find_candidate(store, owner, sha256, false, &said);
	if (found < 0)
		return found;
	if (found == 1 && (verified == 0 || !said.is_damaged))
		*out = said;
	return found == 1 || verified == 1 ? 0 : ERR_NOT_FOUND;
}

/* *count: those that `each` was called for; *whole: one of them is. */
static int each_candidate(struct store *store, const struct entity_id *owner, const struct sha256 *sha256, bool verified,
	int (*each)(void *context, const struct hash *file), void *context, size_t *count, bool *whole)
{
	struct index_scan scan;
	int err = 0;
	index_scan_open_sha256(&scan, store->index, sha256, verified);
	for (int i = 0; err == 0 && i < CANDIDATES_MAX && index_scan_next(&scan); i++) {
		struct hash file;
		struct file_info info;
		if (scan.key.length != HASH_BYTES)
			continue;
		memcpy(file.bytes, scan.key.data, HASH_BYTES);
		if (!is_candidate(store, owner, &file, sha256, &info))
			continue;
		*whole = *whole || !store_file_is_damaged(store, &file);
		++*count;
		err = each(context, &file);
	}
	int scan_err = index_scan_close(&scan);
	return err ? err : scan_err;
}

int store_choices_by_sha256(struct store *store, const struct entity_id *owner, const struct sha256 *sha256,
	int (*each)(void *context, const struct hash *file), void *context)
{
	size_t count = 0;
	bool whole = false;
	int err = each_candidate(store, owner, sha256, true, each, context, &count, &whole);
	if (err == 0 && !whole)
		err = each_candidate(store, owner, sha256, false, each, context, &count, &whole);
	return err ? err : count ? 0 : ERR_NOT_FOUND;
}

/* Has anybody a claim on `file` whom `may_see` accepts? *left: claims that may still be looked at. */
static bool is_seen(struct store *store, const struct hash *file, store_owner_filter may_see, void *context, int *left)
{
	struct index_scan scan;
	bool seen = false;
	index_scan_open(&scan, store->index, 'o', span_of(file->bytes, HASH_BYTES), span_of(NULL, 0));
	while (!seen && *left > 0 && index_scan_next(&scan)) {
		struct entity_id owner;
		if (scan.key.length != ENTITY_ID_BYTES)
			continue;
		memcpy(owner.bytes, scan.key.data, ENTITY_ID_BYTES);
		seen = may_see(context, &owner);
		--*left;
	}
	return index_scan_close(&scan) == 0 && seen;
}

int store_file_by_sha256_seen(struct store *store, const struct sha256 *sha256, store_owner_filter may_see, void *context, struct file_info *out)
{
	struct index_scan scan;
	bool found = false;
	int left = STORE_CLAIMS_SEEN_MAX;
	index_scan_open_sha256(&scan, store->index, sha256, true);
	while (!found && left-- > 0 && index_scan_next(&scan)) {
		struct hash file;
		if (scan.key.length != HASH_BYTES)
			continue;
		memcpy(file.bytes, scan.key.data, HASH_BYTES);
		found = is_candidate(store, NULL, &file, sha256, out) && out->sha256_verified &&
			!store_file_is_damaged(store, &file) && is_seen(store, &file, may_see, context, &left);
	}
	int err = index_scan_close(&scan);
	return err ? err : found ? 0 : ERR_NOT_FOUND;
}

bool store_xorb_is_seen(struct store *store, const struct hash *xorb, store_owner_filter may_see, void *context)
{
	struct index_scan scan;
	bool seen = false;
	int left = STORE_CLAIMS_SEEN_MAX;
	index_scan_open(&scan, store->index, 'r', span_of(xorb->bytes, HASH_BYTES), span_of(NULL, 0));
	while (!seen && left-- > 0 && index_scan_next(&scan)) {
		struct hash file;
		if (scan.key.length != HASH_BYTES)
			continue;
		memcpy(file.bytes, scan.key.data, HASH_BYTES);
		seen = is_seen(store, &file, may_see, context, &left);
	}
	return index_scan_close(&scan) == 0 && seen;
}

int store_claim_check(struct store *store, const struct entity_id *owner, const struct hash *file)
{
	int64_t claimed_ms;
	return index_claim(store->index, file, owner, &claimed_ms);
}

int store_claim(struct store *store, const struct entity_id *owner, const struct hash *file, struct why *why)
{
	struct index_file entry;
	uint8_t payload[CLAIM_RECORD_BYTES];
	int64_t claimed_ms, now = store_now_ms();
	store_want_file(store, file);
	pthread_rwlock_rdlock(&store->registration);
	int err = index_file(store->index, file, &entry);
	if (err) {
		err = why_set(why, err, "the file is not stored");
	} else if (index_claim(store->index, file, owner, &claimed_ms) != 0 || !store_claim_is_fresh(store, claimed_ms, now)) {
		claim_record_encode(payload, &(struct claim_record){ *file, *owner, now, entry.record.length });
		struct journal_record record = { .kind = VOLUME_CLAIM, .payload = span_of(payload, sizeof(payload)) };
		err = journal_commit(store->journal, &record, 1, why);
	}
	pthread_rwlock_unlock(&store->registration);
	if (err == 0)
		err = store_settle_files(store, file, 1, why);
	return err ? err : store_await_copies(store, why);
}

static int compute_sha256(struct store *store, const struct hash *file, struct long_work *work, struct sha256 *out, struct why *why)
{
	struct file_reader *reader;
	struct sha256_state state;
	uint8_t *bytes = malloc(VERIFY_BYTES);
	if (!bytes)
		return why_set(why, ERR_NO_MEMORY, "no memory to verify a file");
	int err = file_reader_open(&reader, store, file, 0, UINT64_MAX, why);
	if (err) {
		free(bytes);
		return err;
	}
	sha256_init(&state);
	int64_t some = 0;
	while (err == 0 && (some = file_reader_read(reader, bytes, VERIFY_BYTES, true, why)) > 0) {
		sha256_update(&state, bytes, (size_t)some);
		err = long_work_done(store, work, (uint64_t)some, why);
	}
	sha256_final(&state, out);
	file_reader_close(reader);
	free(bytes);
	return some < 0 ? (int)some : err;
}

/* Reads it, and remembers its digest. */
static int learn_sha256(struct store *store, const struct hash *file, struct long_work *work, struct sha256 *out, struct why *why)
{
	struct verified_record verified = { .file = *file };
	uint8_t payload[VERIFIED_RECORD_BYTES];
	int err = compute_sha256(store, file, work, &verified.sha256, why);
	if (err)
		return err;
	verified_record_encode(payload, &verified);
	struct journal_record record = { .kind = VOLUME_VERIFIED, .payload = span_of(payload, sizeof(payload)) };
	pthread_rwlock_rdlock(&store->registration); /* what is in a volume when its turn to be emptied comes is in the index, too */
	err = journal_commit(store->journal, &record, 1, why);
	pthread_rwlock_unlock(&store->registration);
	*out = verified.sha256;
	return err;
}

int store_file_verify_sha256(struct store *store, const struct hash *file, const struct sha256 *expected, struct store_caller *caller, struct why *why)
{
	struct file_info info;
	struct long_work work;
	int err;
	while ((err = store_file_info(store, file, &info)) == 0 && !info.sha256_verified) {
		err = long_work_begin(store, &work, caller, file, info.length, why);
		if (err == ERR_AGAIN)
			continue;
		if (err)
			return err;
		err = learn_sha256(store, file, &work, &info.sha256, why);
		long_work_end(store, &work);
		if (err)
			return err;
		break;
	}
	if (err)
		return why_set(why, err, "the file is not stored");
	if (memcmp(&info.sha256, expected, sizeof(*expected)) != 0)
		return why_set(why, ERR_CORRUPT, "the SHA-256 that was given for the file is not that of its bytes");
	return 0;
}

int store_find_verified(struct store *store, const struct entity_id *owner, const struct sha256 *sha256, struct store_caller *caller, struct file_info *out,
	struct why *why)
{
	int err = 0;
	for (int lies = 0; lies < LIES_READ_MAX; lies++) {
		struct file_info now;
		int found = store_find_by_sha256(store, owner, sha256, out);
		if (found || out->sha256_verified || out->is_damaged)
			return found == ERR_NOT_FOUND && err ? err : found;
		err = store_file_verify_sha256(store, &out->file, sha256, caller, why);
		out->sha256_verified = err == 0;
		bool is_lie = err == ERR_CORRUPT && store_file_info(store, &out->file, &now) == 0 && now.sha256_verified;
		if (!is_lie && (err != ERR_CORRUPT || !store_file_is_damaged(store, &out->file)))
			return err;
	}
	return err;
}

/* ------------------------------------------------------------------ xorbs */

int store_xorb_info(struct store *store, const struct hash *xorb, struct xorb_info *out)
{
	struct index_xorb entry;
	int err = index_xorb(store->index, xorb, &entry);
	if (err == 0)
		*out = (struct xorb_info){ .body_length = entry.body_length, .chunks_count = entry.chunks_count, .raw_length = entry.raw_length,
			.age_ms = store_now_ms() - entry.stored_ms };
	index_xorb_fini(&entry);
	return err;
}

int store_xorb_table(struct store *store, const struct hash *xorb, struct xorb_table **out, struct why *why)
{
	struct stored_xorb *stored;
	int err = stored_xorb_open(&stored, store->xorbs, xorb, true, why);
	if (err == 0)
		*out = &stored->table;
	return err;
}

/* ------------------------------------------------------------------ numbers */

int store_check_room(struct store *store, struct why *why)
{
	return volumes_check_room(store->volumes, 0, why);
}

void store_stats(struct store *store, struct store_stats *out)
{
	struct index_totals totals;
	index_totals(store->index, &totals);
	*out = (struct store_stats){ .chunks = totals.chunks, .xorbs = totals.xorbs, .files = totals.files, .stored_bytes = totals.stored_bytes,
		.raw_bytes = totals.raw_bytes, .logical_bytes = totals.logical_bytes, .volumes = volumes_count(store->volumes),
		.disk_bytes = volumes_disk_bytes(store->volumes), .syncs = volumes_syncs(store->volumes),
		.acknowledged = journal_acknowledged(store->journal) };
	scrubber_counts(store->scrubber, &out->scrubs, &out->scrub_corrupt);
}

int store_owner_usage(struct store *store, const struct entity_id *owner, uint64_t *files, uint64_t *bytes)
{
	return index_usage(store->index, owner, files, bytes);
}

int store_owner_files(struct store *store, const struct entity_id *owner, int (*each)(void *context, const struct file_info *file, int64_t claimed_ms),
	void *context)
{
	struct index_scan scan;
	int err = 0;
	index_scan_open(&scan, store->index, 'w', span_of(owner->bytes, ENTITY_ID_BYTES), span_of(NULL, 0));
	while (err == 0 && index_scan_next(&scan)) {
		struct hash file;
		struct file_info info;
		int64_t claimed_ms;
		if (scan.key.length != HASH_BYTES)
			continue;
		memcpy(file.bytes, scan.key.data, HASH_BYTES);
		if (index_claim(store->index, &file, owner, &claimed_ms) == 0 && store_file_info(store, &file, &info) == 0)
			err = each(context, &info, claimed_ms);
	}
	int scan_err = index_scan_close(&scan);
	return err ? err : scan_err;
}
