/* owner_stats.c - what the files of one owner take after dedup, and what of it only they need.
 *
 * DESIGN. The terms of its files name ranges of chunks. They are gathered in an array of RANGES_MAX, and when that is full, sorted by xorb and merged: no two
 * ranges of a xorb touch then, so a xorb has no more than XORB_CHUNKS_MAX / 2. Where this does not make room enough, the xorbs of the upper half are left to
 * another pass over the files. So memory is the same for every owner and nothing is written; what lies in whole xorbs of 64 MiB needs one pass for 8 TiB.
 *
 * Whether others need a xorb is asked as a garbage collection asks it, of all files that name it: what is told to be freed is what gc frees.
 *
 * The files are those of one moment, in every pass; all else is as it is when it is looked at. Nothing is fetched from other nodes: files' records are on every
 * node, xorbs are not, and of one that is not here only what its terms say is known. */
#include <assert.h>
#include <stdlib.h>

#include "schemas/little_endian.h"
#include "store/coded.h"
#include "store/core.h"
#include "store/file_terms.h"

enum { RANGES_MAX = 1 << 18 /* 10 MiB */ };

struct range {
	struct hash xorb;
	uint32_t raw_length;
	uint16_t chunk_start, chunk_end; /* [start, end) */
};

struct survey {
	struct store *store;
	const struct entity_id *owner;
	const struct store_owner_stats_watch *watch;
	struct store_owner_stats *out;
	bool first_pass;
	struct hash begin, end; /* this pass has the xorbs of [begin, end) */
	bool has_end;
	size_t count;
	struct range ranges[RANGES_MAX];
};

static int go_on(const struct survey *survey)
{
	return survey->watch->go_on && !survey->watch->go_on(survey->watch->context) ? ERR_CLOSED : 0;
}

static void done(const struct survey *survey, uint64_t bytes)
{
	if (survey->watch->progress)
		survey->watch->progress->done_bytes += bytes;
}

static void more_to_do(const struct survey *survey, uint64_t bytes)
{
	if (survey->watch->progress)
		survey->watch->progress->total_bytes += bytes;
}

/* ------------------------------------------------------------------ ranges */

static int by_place(const void *a, const void *b)
{
	const struct range *left = a, *right = b;
	int order = memcmp(&left->xorb, &right->xorb, HASH_BYTES);
	return order ? order : left->chunk_start - right->chunk_start;
}

/* Takes what `more`, which does not begin before `into`, has behind its end. Of a part of a range, bytes are taken as evenly spread. */
static void extend(struct range *into, const struct range *more)
{
	if (more->chunk_end <= into->chunk_end)
		return;
	uint64_t added = more->chunk_end - into->chunk_end, all = more->chunk_end - more->chunk_start;
	into->raw_length += (uint32_t)(more->raw_length * added / all);
	into->chunk_end = more->chunk_end;
}

static void merge_ranges(struct survey *survey)
{
	struct range *ranges = survey->ranges;
	size_t kept = 0;
	qsort(ranges, survey->count, sizeof(*ranges), by_place);
	for (size_t i = 0; i < survey->count; i++) {
		if (kept > 0 && hash_equal(&ranges[kept - 1].xorb, &ranges[i].xorb) && ranges[i].chunk_start <= ranges[kept - 1].chunk_end)
			extend(&ranges[kept - 1], &ranges[i]);
		else
			ranges[kept++] = ranges[i];
	}
	survey->count = kept;
}

static void make_room(struct survey *survey)
{
	merge_ranges(survey);
	if (survey->count <= RANGES_MAX / 2)
		return;
	size_t cut = RANGES_MAX / 2;
	while (cut > 0 && hash_equal(&survey->ranges[cut - 1].xorb, &survey->ranges[cut].xorb))
		cut--;
	assert(cut > 0); /* one xorb does not fill half of it */
	survey->end = survey->ranges[cut].xorb;
	survey->has_end = true;
	survey->count = cut;
}

static int add_term(struct survey *survey, const struct file_term *term)
{
	if (term->chunk_start >= term->chunk_end || term->chunk_end > XORB_CHUNKS_MAX)
		return ERR_CORRUPT;
	if (memcmp(&term->xorb, &survey->begin, HASH_BYTES) < 0 || (survey->has_end && memcmp(&term->xorb, &survey->end, HASH_BYTES) >= 0))
		return 0;
	survey->ranges[survey->count++] = (struct range){ .xorb = term->xorb, .raw_length = term->raw_length, .chunk_start = (uint16_t)term->chunk_start,
		.chunk_end = (uint16_t)term->chunk_end };
	if (survey->count == RANGES_MAX)
		make_room(survey);
	return 0;
}

/* ------------------------------------------------------------------ files */

/* What cannot be read counts as claimed. */
static bool others_claim(const struct survey *survey, const struct hash *file)
{
	struct index_scan scan;
	bool others = false;
	index_scan_open(&scan, survey->store->index, 'o', span_of(file->bytes, HASH_BYTES), span_of(NULL, 0));
	while (!others && index_scan_next(&scan))
		others = scan.key.length == ENTITY_ID_BYTES && memcmp(scan.key.data, survey->owner->bytes, ENTITY_ID_BYTES) != 0;
	return index_scan_close(&scan) != 0 || others;
}

static int read_terms(struct survey *survey, const struct hash *file)
{
	struct file_terms terms;
	struct index_file known;
	int more, err = index_file(survey->store->index, file, &known); /* or it would be asked of other nodes */
	if (err == 0)
		err = file_terms_open(&terms, survey->store, file, NULL);
	if (err)
		return err;
	if (terms.file.record.terms_count > 0) {
		err = file_terms_seek(&terms, 0, true, NULL);
		for (more = err == 0; more == 1 && err == 0; more = err ? err : file_terms_next(&terms, true, NULL))
			err = add_term(survey, &terms.term);
		if (err == 0 && more < 0)
			err = more;
	}
	file_terms_close(&terms);
	return err;
}

static void count_file(struct survey *survey, const struct hash *file, uint64_t length)
{
	bool shared = others_claim(survey, file);
	survey->out->files++;
	survey->out->logical_bytes += length;
	survey->out->shared_files += shared;
	survey->out->shared_files_bytes += shared ? length : 0;
}

static int gather(struct survey *survey, struct index_scan *scan)
{
	int err = 0;
	while (err == 0 && index_scan_next(scan)) {
		struct hash file;
		if (scan->key.length != HASH_BYTES || scan->value.length != 8)
			continue;
		memcpy(file.bytes, scan->key.data, HASH_BYTES);
		uint64_t length = le_read_u64(scan->value.data);
		if (survey->first_pass)
			count_file(survey, &file, length);
		err = read_terms(survey, &file);
		if (err && err != ERR_NO_MEMORY) {
			survey->out->unread_files += survey->first_pass;
			err = 0;
		}
		done(survey, length);
		err = err ? err : go_on(survey);
	}
	return err;
}

/* ------------------------------------------------------------------ xorbs */

struct weight {
	uint64_t raw_bytes, stored_bytes; /* of the ranges */
	uint64_t body_bytes;              /* of the whole xorb; 0: not known */
	bool estimated;
};

/* False: the xorb is not here, or its table cannot be read. */
static bool weigh(const struct survey *survey, const struct range *ranges, size_t count, struct weight *out)
{
	struct index_xorb entry;
	struct stored_xorb *xorb;
	*out = (struct weight){ 0 };
	if (index_xorb(survey->store->index, &ranges->xorb, &entry) != 0)
		return false;
	index_xorb_fini(&entry);
	out->body_bytes = entry.body_length;
	if (count == 1 && ranges->chunk_start == 0 && ranges->chunk_end == entry.chunks_count) {
		out->raw_bytes = entry.raw_length;
		out->stored_bytes = entry.body_length;
		return true;
	}
	if (stored_xorb_open_once(&xorb, survey->store->xorbs, &ranges->xorb, NULL) != 0)
		return false;
	bool good = ranges[count - 1].chunk_end <= xorb->table.count;
	for (size_t i = 0; i < count && good; i++) {
		const struct xorb_chunk *last = &xorb->table.chunks[ranges[i].chunk_end - 1];
		out->raw_bytes += last->raw_end - stored_chunk_raw_start(xorb, ranges[i].chunk_start);
		out->stored_bytes += last->body_end - stored_chunk_start(xorb, ranges[i].chunk_start);
	}
	stored_xorb_release(xorb);
	return good;
}

/* As if nothing of it could be compressed. */
static void estimate(const struct range *ranges, size_t count, struct weight *out)
{
	out->raw_bytes = out->stored_bytes = 0;
	out->estimated = true;
	for (size_t i = 0; i < count; i++) {
		out->raw_bytes += ranges[i].raw_length;
		out->stored_bytes += ranges[i].raw_length + (uint64_t)(ranges[i].chunk_end - ranges[i].chunk_start) * XORB_CHUNK_HEADER_BYTES;
	}
	if (out->body_bytes == 0)
		out->body_bytes = out->stored_bytes;
	else if (out->stored_bytes > out->body_bytes)
		out->stored_bytes = out->body_bytes;
}

/* 1 when a file that another owner claims names it, 0, ERR_CLOSED. */
static int others_need(const struct survey *survey, const struct hash *xorb)
{
	struct index_scan scan;
	int need = 0;
	index_scan_open_once(&scan, survey->store->index, 'r', span_of(xorb->bytes, HASH_BYTES));
	while (need == 0 && index_scan_next(&scan)) {
		struct index_file entry;
		struct hash file;
		if (scan.key.length != HASH_BYTES)
			continue;
		memcpy(file.bytes, scan.key.data, HASH_BYTES);
		need = go_on(survey);
		if (need == 0 && others_claim(survey, &file))
			need = index_file(survey->store->index, &file, &entry) != ERR_NOT_FOUND;
	}
	int err = index_scan_close(&scan);
	return need < 0 ? need : err != 0 || need;
}

static int take_xorb(struct survey *survey, const struct range *ranges, size_t count)
{
	struct coded_record codings[CODINGS_MAX];
	struct store_owner_stats *out = survey->out;
	struct weight weight;
	uint64_t parts_bytes = 0;
	size_t codings_count = store_codings(survey->store, &ranges->xorb, codings);
	if (!weigh(survey, ranges, count, &weight)) {
		if (weight.body_bytes == 0 && codings_count > 0)
			weight.body_bytes = codings[0].body_length;
		estimate(ranges, count, &weight);
	}
	for (size_t i = 0; i < codings_count; i++)
		parts_bytes += (uint64_t)(codings[i].k + codings[i].m) * coded_part_length(codings[i].body_length, codings[i].k);
	int shared = others_need(survey, &ranges->xorb);
	if (shared < 0)
		return shared;
	out->xorbs++;
	out->unique_bytes += weight.raw_bytes;
	out->stored_bytes += weight.stored_bytes;
	out->shared_bytes += shared ? weight.stored_bytes : 0;
	out->freed_bytes += shared ? 0 : weight.body_bytes;
	out->estimated_bytes += weight.estimated ? weight.stored_bytes : 0;
	if (codings_count > 0) {
		out->coded_bytes += weight.stored_bytes;
		out->parts_bytes += weight.stored_bytes * parts_bytes / weight.body_bytes;
	}
	return 0;
}

static int take_xorbs(struct survey *survey)
{
	int err = 0;
	merge_ranges(survey);
	for (size_t i = 0; i < survey->count; i++)
		more_to_do(survey, survey->ranges[i].raw_length);
	for (size_t first = 0, next; first < survey->count && err == 0; first = next) {
		for (next = first; next < survey->count && hash_equal(&survey->ranges[next].xorb, &survey->ranges[first].xorb); next++)
			done(survey, survey->ranges[next].raw_length);
		err = take_xorb(survey, &survey->ranges[first], next - first);
	}
	return err;
}

/* ------------------------------------------------------------------ the whole */

static int run(struct survey *survey)
{
	struct index_scan scan;
	uint64_t files, bytes;
	int err = store_owner_usage(survey->store, survey->owner, &files, &bytes);
	if (err)
		return err;
	index_scan_open_once(&scan, survey->store->index, 'w', span_of(survey->owner->bytes, ENTITY_ID_BYTES));
	survey->first_pass = true;
	do {
		survey->count = 0;
		survey->has_end = false;
		more_to_do(survey, bytes);
		err = gather(survey, &scan);
		if (err == 0)
			err = take_xorbs(survey);
		survey->first_pass = false;
		survey->begin = survey->end;
		index_scan_rewind(&scan);
	} while (err == 0 && survey->has_end);
	int closed = index_scan_close(&scan);
	return err ? err : closed;
}

int store_owner_stats(struct store *store, const struct entity_id *owner, const struct store_owner_stats_watch *watch, struct store_owner_stats *out,
	struct why *why)
{
	static const struct store_owner_stats_watch nobody;
	*out = (struct store_owner_stats){ 0 };
	struct survey *survey = calloc(1, sizeof(*survey));
	if (!survey)
		return why_set(why, ERR_NO_MEMORY, "no memory to count what a repository holds");
	survey->store = store;
	survey->owner = owner;
	survey->watch = watch ? watch : &nobody;
	survey->out = out;
	int err = run(survey);
	free(survey);
	return err == ERR_CLOSED ? why_set(why, err, "it was stopped") : err ? why_set(why, err, "what a repository holds cannot be counted") : 0;
}
