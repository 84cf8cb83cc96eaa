/* copies.c - what a node tells the other nodes of its records, and takes from theirs. The wire is somebody else's (replication). */
#include <stdlib.h>
#include <time.h>

#include "schemas/little_endian.h"
#include "store/coded.h"
#include "store/core.h"
#include "store/other_terms.h"
#include "store/remote_xorb.h"

enum { TAKE_MAX = 4096, CLAIMS_TOLD_MAX = 4096, REPAIR_BATCH = 64, FETCHES_MAX = 3, ASKED_MAX = 512 };

void store_set_copies(struct store *store, const struct store_copies *copies)
{
	store->copies = *copies;
}

bool store_has_others(struct store *store)
{
	return store->copies.await != NULL;
}

int store_await_copies(struct store *store, struct why *why)
{
	struct record_place end;
	if (!store->copies.await)
		return 0;
	index_position(store->index, &end);
	return store->copies.await(store->copies.context, &end, why);
}

static int is_absent(void *context, const struct hash *xorb)
{
	return store_has_xorb(context, xorb) ? 0 : ERR_NOT_FOUND;
}

bool store_has_file_whole(struct store *store, const struct hash *file)
{
	return !store_has_others(store) || store_xorbs_of_file(store, file, is_absent, store, NULL) == 0;
}

bool store_awaits_all(struct store *store)
{
	return !store->copies.settle || !store->copies.awaits || store->copies.awaits(store->copies.context, NULL);
}

struct asked {
	struct store *store;
	struct why *why;
	struct hash last; /* that was looked at: files of one upload share their xorbs */
	size_t count;
	struct hash xorbs[ASKED_MAX];
};

static int settle_asked(struct asked *asked)
{
	struct store *store = asked->store;
	int err = asked->count ? store->copies.settle(store->copies.context, asked->xorbs, asked->count, asked->why) : 0;
	asked->count = 0;
	return err;
}

/* It is here, and who waits for this node's records waits for its copies. */
static bool is_awaited(struct store *store, const struct hash *xorb)
{
	struct index_xorb entry;
	bool here = index_xorb(store->index, xorb, &entry) == 0;
	bool awaited = here && (!store->copies.awaits || store->copies.awaits(store->copies.context, &entry.place));
	index_xorb_fini(&entry);
	return awaited;
}

static int note_asked(void *context, const struct hash *xorb)
{
	struct asked *asked = context;
	if (hash_equal(xorb, &asked->last))
		return 0;
	asked->last = *xorb;
	/* Of what is listed nobody has it, as is known, and who reads the file hears of it. */
	if (damaged_list_has(&asked->store->damaged, xorb) || is_awaited(asked->store, xorb))
		return 0;
	int err = asked->count == ASKED_MAX ? settle_asked(asked) : 0;
	asked->xorbs[asked->count++] = *xorb;
	return err;
}

int store_settle_files(struct store *store, const struct hash *files, size_t count, struct why *why)
{
	struct index_file known;
	if (!store->copies.settle || count == 0)
		return 0;
	struct asked *asked = malloc(sizeof(*asked));
	int err = asked ? 0 : why_set(why, ERR_NO_MEMORY, "no memory to ask for copies");
	if (asked)
		*asked = (struct asked){ .store = store, .why = why };
	for (size_t i = 0; i < count && err == 0; i++) {
		if (index_file(store->index, &files[i], &known) == 0)
			err = store_xorbs_of_file(store, &files[i], note_asked, asked, NULL);
		if (err == ERR_CORRUPT || err == ERR_NOT_FOUND)
			err = 0; /* damaged, which whoever reads it says */
	}
	if (err == 0)
		err = settle_asked(asked);
	free(asked);
	return err;
}

int store_fetch_file(struct store *store, const struct hash *file, enum store_asked *asked)
{
	enum store_asked unused;
	asked = asked ? asked : &unused;
	*asked = STORE_ASKED_ALL;
	return store->copies.fetch_file ? store->copies.fetch_file(store->copies.context, file, asked) : ERR_NOT_FOUND;
}

int store_fetch_xorb(struct store *store, const struct hash *xorb, struct why *why)
{
	return store->copies.fetch_xorb ? store->copies.fetch_xorb(store->copies.context, xorb, why) : ERR_NOT_FOUND;
}

void store_want_file(struct store *store, const struct hash *file)
{
	struct index_file known;
	if (store->copies.fetch_file && index_file(store->index, file, &known) == ERR_NOT_FOUND)
		store_fetch_file(store, file, NULL);
}

int store_unless_busy(int err, int fetched, struct why *why)
{
	return fetched != ERR_BUSY ? err : why_set(why, ERR_BUSY, "this is not here, and nodes that may have it cannot be asked now; try again");
}

/* ERR_BUSY: it may be known to other nodes, of which fewer than `least` have answered. */
static int find_by_sha256(struct store *store, const struct entity_id *owner, const struct sha256 *sha256, struct file_info *out, enum store_asked least)
{
	enum store_asked asked;
	int err = store_file_by_sha256(store, owner, sha256, out);
	if (err != ERR_NOT_FOUND || !store->copies.fetch_sha256)
		return err;
	if (store->copies.fetch_sha256(store->copies.context, sha256, &asked) == 0)
		err = store_file_by_sha256(store, owner, sha256, out);
	return err == ERR_NOT_FOUND && asked < least ? ERR_BUSY : err;
}

int store_find_by_sha256(struct store *store, const struct entity_id *owner, const struct sha256 *sha256, struct file_info *out)
{
	return find_by_sha256(store, owner, sha256, out, STORE_ASKED_ENOUGH);
}

int store_find_by_sha256_on_all(struct store *store, const struct entity_id *owner, const struct sha256 *sha256, struct file_info *out, struct why *why)
{
	char text[HASH_TEXT_BYTES];
	int err = find_by_sha256(store, owner, sha256, out, STORE_ASKED_ALL);
	if (err != ERR_BUSY)
		return err;
	hex_encode(text, sha256->bytes, HASH_BYTES);
	return why_set(why, ERR_BUSY, "the LFS object %s is not known here yet, and not every other node can be asked for it; try again", text);
}

static int find_here(struct store *store, const struct entity_id *owner, const struct hash *file, struct file_info *out)
{
	struct file_info info;
	int err = owner ? store_claim_check(store, owner, file) : 0;
	return err ? err : store_file_info(store, file, out ? out : &info);
}

int store_find_file(struct store *store, const struct entity_id *owner, const struct hash *file, struct file_info *out)
{
	enum store_asked asked;
	int err = find_here(store, owner, file, out);
	if (err == ERR_NOT_FOUND && store_fetch_file(store, file, &asked) == 0)
		err = find_here(store, owner, file, out);
	return err == ERR_NOT_FOUND && asked < STORE_ASKED_ENOUGH ? ERR_BUSY : err;
}

int store_find_xorb(struct store *store, const struct hash *hash, struct xorb_info *out)
{
	struct stored_xorb *xorb;
	int err = store_xorb_info(store, hash, out);
	if (err != ERR_NOT_FOUND || (err = store_open_xorb(store, hash, true, &xorb, NULL)) != 0)
		return err;
	const struct xorb_chunk *last = &xorb->table.chunks[xorb->table.count - 1];
	*out = (struct xorb_info){ .body_length = last->body_end, .chunks_count = xorb->table.count, .raw_length = last->raw_end };
	stored_xorb_release(xorb);
	return 0;
}

int store_bring_xorb(struct store *store, const struct hash *xorb)
{
	return store_has_xorb(store, xorb) ? 0 : store_fetch_xorb(store, xorb, NULL);
}

static bool keeps(struct store *store, const struct hash *xorb)
{
	return !store->copies.keeps || store->copies.keeps(store->copies.context, xorb);
}

void store_tidy(struct store *store)
{
	remote_xorbs_tidy(store->remotes, false);
}

int store_open_xorb(struct store *store, const struct hash *hash, bool may_block, struct stored_xorb **out, struct why *why)
{
	int err = stored_xorb_open(out, store->xorbs, hash, may_block, why);
	if (err == ERR_CORRUPT)
		damaged_list_add(&store->damaged, hash);
	if ((err == ERR_NOT_FOUND || err == ERR_AGAIN) && remote_xorb_find(store->remotes, hash, out))
		return 0;
	if ((err != ERR_NOT_FOUND && err != ERR_CORRUPT) || !store->copies.fetch_xorb)
		return err;
	if (!may_block)
		return ERR_AGAIN;
	if (err == ERR_NOT_FOUND && !keeps(store, hash)) {
		if (remote_xorb_open(store->remotes, hash, out, why) == 0)
			return 0;
		/* A node of an older version sends it whole only; of one that is coded there may be only parts. */
	}
	/* What was fetched is one too many here, and may be given up again before it is opened. */
	for (int i = 0; i < FETCHES_MAX && (i == 0 || err == ERR_NOT_FOUND); i++) {
		int fetched = store_fetch_xorb(store, hash, NULL);
		if (fetched)
			return store_unless_busy(err, fetched, why);
		err = stored_xorb_open(out, store->xorbs, hash, true, why);
	}
	return err;
}

bool store_has_xorb(struct store *store, const struct hash *xorb)
{
	struct index_xorb entry;
	int err = index_xorb(store->index, xorb, &entry);
	index_xorb_fini(&entry);
	return err == 0 && !damaged_list_has(&store->damaged, xorb);
}

/* ------------------------------------------------------------------ telling */

void store_position(struct store *store, struct record_place *out)
{
	index_position(store->index, out);
}

void store_await_position(struct store *store, const struct record_place *known, int64_t timeout_ms)
{
	journal_await(store->journal, known, timeout_ms);
}

struct telling {
	store_each_record each;
	void *context;
	size_t records, records_max;
	uint64_t bytes, bytes_max;
	struct record_place *from;
	bool full;
};

enum { STOP_FULL = 1 };

static int tell(void *context, struct volume *volume, const struct volume_record *record, struct span payload)
{
	struct telling *telling = context;
	/* Of a drop nobody is told: every node collects for itself, by the names that all have and the claims that it has. */
	bool told = record->kind != VOLUME_FRAGMENT && record->kind != VOLUME_DROP;
	int err = told ? telling->each(telling->context, record->kind, payload) : 0;
	if (err)
		return err;
	*telling->from = (struct record_place){ volume->id, record->offset + volume_record_bytes(record->payload_length) };
	telling->records += told;
	telling->bytes += payload.length;
	telling->full = telling->records >= telling->records_max || telling->bytes >= telling->bytes_max;
	return telling->full ? STOP_FULL : 0;
}

int store_read_records(struct store *store, struct record_place *from, size_t records_max, uint64_t bytes_max, store_each_record each, void *context, bool *at_end,
	struct why *why)
{
	struct telling telling = { .each = each, .context = context, .records_max = records_max, .bytes_max = bytes_max, .from = from };
	/* A damaged place is passed over: what stood there is no record of this node any more. */
	struct volume_visit visit = { .record = tell, .context = &telling, .pass_unreadable = true };
	struct record_place published;
	index_position(store->index, &published);
	size_t max = volumes_list(store->volumes, NULL, 0);
	uint32_t *ids = malloc((max ? max : 1) * sizeof(*ids));
	if (!ids)
		return why_set(why, ERR_NO_MEMORY, "no memory to read records");
	size_t count = volumes_list(store->volumes, ids, max);
	int err = 0;
	for (size_t i = 0; i < count && i < max && err == 0; i++) {
		struct volume *volume = ids[i] >= from->volume && ids[i] <= published.volume ? volumes_get(store->volumes, ids[i]) : NULL;
		if (!volume)
			continue;
		uint64_t start = ids[i] == from->volume && from->offset > VOLUME_BLOCK_BYTES ? from->offset : VOLUME_BLOCK_BYTES;
		uint64_t end = ids[i] == published.volume ? published.offset : volumes_end(store->volumes, volume);
		err = start < end ? volume_walk(volume, start, end, &visit, NULL, why) : 0;
		volume_release(volume);
	}
	free(ids);
	*at_end = err == 0;
	if (err == 0)
		*from = published;
	return err == STOP_FULL ? 0 : err;
}

uint64_t store_distance(struct store *store, const struct record_place *from, const struct record_place *to)
{
	if (from->volume == to->volume)
		return from->offset < to->offset ? to->offset - from->offset : 0;
	size_t max = volumes_list(store->volumes, NULL, 0);
	uint32_t *ids = malloc((max ? max : 1) * sizeof(*ids));
	size_t count = ids ? volumes_list(store->volumes, ids, max) : 0;
	uint64_t bytes = 0;
	for (size_t i = 0; i < count && i < max; i++) {
		struct volume *volume = ids[i] >= from->volume && ids[i] <= to->volume ? volumes_get(store->volumes, ids[i]) : NULL;
		if (!volume)
			continue;
		uint64_t end = ids[i] == to->volume ? to->offset : volumes_end(store->volumes, volume), start = ids[i] == from->volume ? from->offset : 0;
		bytes += start < end ? end - start : 0;
		volume_release(volume);
	}
	free(ids);
	return bytes;
}

int store_tell_record(struct store *store, const struct hash *file, store_each_record each, void *context, struct why *why)
{
	struct buffer record;
	buffer_init(&record, VOLUME_PAYLOAD_BYTES_MAX);
	int err = store_file_record(store, file, &record, why);
	if (err == 0)
		err = each(context, VOLUME_FILE, buffer_span(&record));
	buffer_fini(&record);
	return err;
}

int store_tell_file(struct store *store, const struct hash *file, store_each_record each, void *context, struct why *why)
{
	struct index_scan scan;
	struct index_file known;
	int err = store_tell_record(store, file, each, context, why);
	if (err || (err = index_file(store->index, file, &known)) != 0)
		return err;
	index_scan_open(&scan, store->index, 'o', span_of(file->bytes, HASH_BYTES), span_of(NULL, 0));
	for (unsigned told = 0; err == 0 && told < CLAIMS_TOLD_MAX && index_scan_next(&scan); told++) {
		uint8_t payload[CLAIM_RECORD_BYTES];
		struct claim_record claim = { .file = *file, .length = known.record.length };
		if (scan.key.length != ENTITY_ID_BYTES || scan.value.length != 8)
			continue;
		memcpy(claim.owner.bytes, scan.key.data, ENTITY_ID_BYTES);
		claim.claimed_ms = (int64_t)le_read_u64(scan.value.data);
		claim_record_encode(payload, &claim);
		err = each(context, VOLUME_CLAIM, span_of(payload, sizeof(payload)));
	}
	int scan_err = index_scan_close(&scan);
	return err ? err : scan_err;
}

size_t store_files_with_sha256(struct store *store, const struct sha256 *sha256, struct hash *out, size_t max)
{
	size_t count = 0;
	for (int said = 0; said < 2; said++) {
		struct index_scan scan;
		index_scan_open_sha256(&scan, store->index, sha256, !said);
		while (count < max && index_scan_next(&scan))
			if (scan.key.length == HASH_BYTES)
				memcpy(out[count++].bytes, scan.key.data, HASH_BYTES);
		index_scan_close(&scan);
	}
	return count;
}

/* ------------------------------------------------------------------ taking */

static bool tells_sha256(const struct file_record *known, const struct file_record *told)
{
	if (!told->has_sha256 || known->sha256_verified)
		return false;
	return told->sha256_verified || !known->has_sha256 || memcmp(&known->sha256, &told->sha256, sizeof(told->sha256)) != 0;
}

static bool knows_coding(struct store *store, const struct coded_record *told)
{
	struct coded_record known[CODINGS_MAX];
	size_t count = store_codings(store, &told->xorb, known);
	for (size_t i = 0; i < count; i++)
		if (memcmp(&known[i], told, sizeof(*told)) == 0)
			return true;
	return count == CODINGS_MAX;
}

/* True when the record would say something new. */
static bool is_news(struct store *store, uint8_t kind, struct span payload)
{
	union {
		struct file_record file;
		struct claim_record claim;
		struct verified_record verified;
		struct touch_record touch;
		struct coded_record coded;
	} record;
	struct index_file known;
	struct index_xorb xorb = { 0 };
	int64_t claimed_ms;
	bool news;
	switch (kind) {
	case VOLUME_FILE:
		return file_record_decode(&record.file, payload) == 0 && (index_file(store->index, &record.file.file, &known) != 0 ||
			tells_sha256(&known.record, &record.file) || other_terms_name_more(store, &known, payload) ||
			other_terms_are_better(store, &known.record.file, payload));
	case VOLUME_CLAIM:
		return claim_record_decode(&record.claim, payload) == 0 &&
			(index_claim(store->index, &record.claim.file, &record.claim.owner, &claimed_ms) != 0 || claimed_ms < record.claim.claimed_ms);
	case VOLUME_VERIFIED:
		/* The file may be one of the records before this one. */
		return verified_record_decode(&record.verified, payload) == 0 &&
			(index_file(store->index, &record.verified.file, &known) != 0 || !known.record.sha256_verified);
	case VOLUME_TOUCH:
		news = touch_record_decode(&record.touch, payload) == 0 && index_xorb(store->index, &record.touch.xorb, &xorb) == 0 &&
			xorb.stored_ms + TOUCH_SLACK_MS < record.touch.touched_ms;
		index_xorb_fini(&xorb);
		return news;
	case VOLUME_CODED:
		return coded_record_decode(&record.coded, payload) == 0 && !knows_coding(store, &record.coded);
	default:
		return false;
	}
}

/* A garbage collection that has asked for its roots already did not find these files: their claims, however old, stay. Under the registration lock. */
static int spare_claims(struct store *store, const struct journal_record *records, size_t count)
{
	int err = 0;
	for (size_t i = 0; i < count && err == 0 && store->collecting_since_ms; i++) {
		struct claim_record claim;
		if (records[i].kind == VOLUME_CLAIM && claim_record_decode(&claim, records[i].payload) == 0)
			err = gc_spare(store, &claim.owner, &claim.file);
	}
	return err;
}

/* A record of a file takes the place of the one before. */
static void note_replaced(struct store *store, const struct journal_record *records, size_t count)
{
	struct file_record file;
	for (size_t i = 0; i < count; i++)
		if (records[i].kind == VOLUME_FILE && file_record_decode(&file, records[i].payload) == 0 && !file.other_terms)
			damaged_list_remove(&store->damaged_files, &file.file);
}

struct news {
	struct journal_record records[TAKE_MAX];
	size_t count;
	uint64_t bytes;
	uint8_t *copies[TAKE_MAX]; /* of records that are taken otherwise than they were told */
	size_t copies_count;
};

static int add_news(struct store *store, struct news *news, const struct store_record *told)
{
	struct file_record file;
	struct index_file known;
	struct span payload = told->payload;
	if (told->kind == VOLUME_FILE && file_record_decode(&file, payload) == 0) {
		bool other = index_file(store->index, &file.file, &known) == 0 && !other_terms_are_better(store, &file.file, payload);
		uint8_t *copy = other != file.other_terms ? other_terms_copy(payload, other) : NULL;
		if (other != file.other_terms && !copy)
			return ERR_NO_MEMORY;
		if (copy) {
			news->copies[news->copies_count++] = copy;
			payload = span_of(copy, payload.length);
		}
	}
	news->records[news->count++] = (struct journal_record){ .kind = told->kind, .payload = payload };
	news->bytes += payload.length;
	return 0;
}

static void clear_news(struct news *news)
{
	for (size_t i = 0; i < news->copies_count; i++)
		free(news->copies[i]);
	news->count = news->copies_count = 0;
	news->bytes = 0;
}

int store_take_records(struct store *store, const struct store_record *records, size_t count, struct why *why)
{
	struct news *news = calloc(1, sizeof(*news));
	int err = news ? 0 : why_set(why, ERR_NO_MEMORY, "no memory for records of another node");
	for (size_t at = 0; at < count && err == 0;) {
		pthread_rwlock_rdlock(&store->registration);
		for (; at < count && err == 0 && news->count < TAKE_MAX && news->bytes < VOLUME_PAYLOAD_BYTES_MAX; at++)
			if (is_news(store, records[at].kind, records[at].payload))
				err = add_news(store, news, &records[at]);
		if (err == 0)
			err = spare_claims(store, news->records, news->count);
		if (news->count && err == 0)
			err = journal_commit(store->journal, news->records, news->count, why);
		if (err == 0)
			note_replaced(store, news->records, news->count);
		pthread_rwlock_unlock(&store->registration);
		clear_news(news);
	}
	free(news);
	return err;
}

int store_missing_xorbs(struct store *store, struct span payload, int (*each)(void *context, const struct hash *xorb), void *context)
{
	struct file_record record;
	struct hash last = { 0 };
	if (file_record_decode(&record, payload) != 0)
		return ERR_CORRUPT;
	for (uint32_t k = 0; k < file_blocks_count(record.terms_count); k++) {
		struct file_block block;
		if (file_block_decode(&block, span_of(payload.data + file_block_offset(k), file_block_length(record.terms_count, k))) != 0)
			return ERR_CORRUPT;
		for (uint32_t i = 0; i < block.count; i++) {
			struct file_term term;
			file_term_decode(&term, block.terms + (size_t)i * FILE_RECORD_TERM_BYTES);
			if (hash_equal(&term.xorb, &last))
				continue;
			last = term.xorb;
			int err = store_has_xorb(store, &term.xorb) ? 0 : each(context, &term.xorb);
			if (err)
				return err;
		}
	}
	return 0;
}

size_t store_damaged_xorbs(struct store *store, const struct hash *after, struct hash *out, size_t max)
{
	return damaged_list_some(&store->damaged, after, out, max);
}

static uint64_t repair_files(struct store *store, struct store_progress *progress)
{
	struct hash some[REPAIR_BATCH], after;
	struct record_place place;
	uint64_t repaired = 0;
	size_t count = damaged_list_some(&store->damaged_files, NULL, some, REPAIR_BATCH);
	for (; count > 0; count = damaged_list_some(&store->damaged_files, &after, some, REPAIR_BATCH))
		for (size_t i = 0; i < count; i++) {
			if (progress && progress->cancel)
				return repaired;
			if (store_check_file_record(store, &some[i], &place) == ERR_CORRUPT) /* or it was pushed again meanwhile */
				repaired += store_repair_file(store, &some[i]) == 0;
			after = some[i];
		}
	return repaired;
}

/* It was lost, and nothing needs it now. */
static bool is_of_no_use(struct store *store, const struct hash *xorb)
{
	struct index_xorb entry;
	int err = index_xorb(store->index, xorb, &entry);
	index_xorb_fini(&entry);
	return err == ERR_NOT_FOUND && store_files_of_xorb(store, xorb, 1) == 0;
}

uint64_t store_repair(struct store *store, struct store_progress *progress)
{
	struct hash some[REPAIR_BATCH], after;
	uint64_t repaired = repair_files(store, progress);
	size_t count = store->copies.fetch_xorb ? damaged_list_some(&store->damaged, NULL, some, REPAIR_BATCH) : 0;
	for (; count > 0; count = damaged_list_some(&store->damaged, &after, some, REPAIR_BATCH))
		for (size_t i = 0; i < count; i++) {
			if (progress && progress->cancel)
				return repaired;
			after = some[i];
			if (is_of_no_use(store, &some[i]))
				damaged_list_remove(&store->damaged, &some[i]);
			else
				repaired += store_fetch_xorb(store, &some[i], NULL) == 0;
		}
	return repaired;
}

void store_damage(struct store *store, struct store_damage *out)
{
	struct hash some[REPAIR_BATCH], after, file;
	struct record_place place;
	*out = (struct store_damage){ 0 };
	store_repair(store, NULL);
	size_t count = damaged_list_some(&store->damaged_files, NULL, some, REPAIR_BATCH);
	for (; count > 0; count = damaged_list_some(&store->damaged_files, &after, some, REPAIR_BATCH)) {
		after = some[count - 1];
		for (size_t i = 0; i < count; i++)
			out->files += store_check_file_record(store, &some[i], &place) == ERR_CORRUPT;
	}
	count = damaged_list_some(&store->damaged, NULL, some, REPAIR_BATCH);
	for (; count > 0; count = damaged_list_some(&store->damaged, &after, some, REPAIR_BATCH)) {
		after = some[count - 1];
		for (size_t i = 0; i < count; i++)
			out->xorbs += store_note_lost(store, &some[i], &file, 1);
	}
}

/* ------------------------------------------------------------------ how far */

static struct span mark_key(uint64_t peer, uint8_t out[8])
{
	for (unsigned i = 0; i < 8; i++)
		out[i] = (uint8_t)(peer >> 8 * i);
	return span_of(out, 8);
}

int store_mark_put(struct store *store, uint64_t peer, const struct record_place *place)
{
	uint8_t key[8], value[12];
	for (unsigned i = 0; i < 4; i++)
		value[i] = (uint8_t)(place->volume >> 8 * i);
	mark_key(place->offset, value + 4);
	return index_put_raw(store->index, &(struct index_raw){ INDEX_MARK, mark_key(peer, key), span_of(value, sizeof(value)) }, 1);
}

int store_mark_get(struct store *store, uint64_t peer, struct record_place *out)
{
	uint8_t key[8];
	struct buffer value;
	*out = (struct record_place){ 0 };
	buffer_init(&value, 64);
	int err = index_get_raw(store->index, INDEX_MARK, mark_key(peer, key), &value);
	if (err == 0 && value.length == 12) {
		for (unsigned i = 0; i < 4; i++)
			out->volume |= (uint32_t)value.data[i] << 8 * i;
		for (unsigned i = 0; i < 8; i++)
			out->offset |= (uint64_t)value.data[4 + i] << 8 * i;
	}
	buffer_fini(&value);
	return err == ERR_NOT_FOUND ? 0 : err;
}

int store_note_level(struct store *store, uint64_t peer)
{
	uint8_t key[8];
	int err = index_put_raw(store->index, &(struct index_raw){ INDEX_LEVEL, mark_key(peer, key), span_of(NULL, 0) }, 1);
	return err ? err : index_flush(store->index, NULL); /* once for each node */
}

bool store_was_level(struct store *store, uint64_t peer)
{
	uint8_t key[8];
	struct buffer none;
	buffer_init(&none, 1);
	return index_get_raw(store->index, INDEX_LEVEL, mark_key(peer, key), &none) != ERR_NOT_FOUND;
}
