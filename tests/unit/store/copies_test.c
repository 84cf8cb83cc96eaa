/* Two stores in one process, joined by function calls as the replica joins them over the network: what one has the other gets, whatever happens in
 * between; what is missing or damaged in one is fetched from the other. */
#include <pthread.h>
#include <time.h>

#include "schemas/shard.h"
#include "schemas/volume_record.h"
#include "store/coded.h"
#include "store/digest.h"
#include "tests/unit/store/store_fixture.h"

enum { KIB = 1 << 10, MIB = 1 << 20, DAY_MS = 24 * 3600 * 1000, RECORDS_MAX = 512 };

/* ------------------------------------------------------------------ the other store */

static char other_dir[64];
static struct store *other;
static struct store_config other_config;

static void open_other(void)
{
	assert_ok(store_open(&other, &other_config, &why));
}

static int set_up_both(void **state)
{
	if (set_up(state) != 0)
		return 1;
	strcpy(other_dir, "/tmp/cairn-other-XXXXXX");
	if (!mkdtemp(other_dir))
		return 1;
	other_config = store_config;
	other_config.dir = other_dir;
	open_other();
	return 0;
}

static int tear_down_both(void **state)
{
	store_close(other);
	other = NULL;
	remove_tree(other_dir);
	return tear_down(state);
}

/* Makes the other store the one that the fixture's functions mean, and back. */
static void change_sides(void)
{
	struct store *here = store;
	struct store_config config = store_config;
	char dir[64];
	strcpy(dir, store_dir);
	strcpy(store_dir, other_dir);
	strcpy(other_dir, dir);
	store = other;
	other = here;
	store_config = other_config;
	other_config = config;
	store_config.dir = store_dir;
	other_config.dir = other_dir;
}

/* ------------------------------------------------------------------ following */

struct batch {
	struct store_record records[RECORDS_MAX];
	struct hash xorbs[RECORDS_MAX];
	size_t count, xorbs_count;
	unsigned kinds[16];
};

static int gather(void *context, uint8_t kind, struct span payload)
{
	struct batch *batch = context;
	struct xorb_record xorb;
	assert_true(batch->count < RECORDS_MAX && kind < 16 && kind != VOLUME_FRAGMENT && kind != VOLUME_DROP);
	batch->kinds[kind]++;
	if (kind == VOLUME_XORB) {
		assert_int_equal(xorb_record_decode(&xorb, payload), 0);
		batch->xorbs[batch->xorbs_count++] = xorb.xorb;
		return 0;
	}
	uint8_t *copy = malloc(payload.length + 1);
	memcpy(copy, payload.data, payload.length);
	batch->records[batch->count++] = (struct store_record){ kind, span_of(copy, payload.length) };
	return 0;
}

static int copy_xorb(struct store *to, struct store *from, const struct hash *xorb)
{
	struct xorb_info info;
	struct xorb_reader *reader;
	struct xorb_upload *upload;
	bool inserted;
	if (!store_has_xorb(from, xorb) || store_xorb_info(from, xorb, &info) != 0 || xorb_reader_open(&reader, from, xorb, 0, info.body_length, NULL) != 0)
		return ERR_NOT_FOUND;
	struct bytes body = bytes_make(info.body_length);
	size_t have = 0;
	for (int64_t some; (some = xorb_reader_read(reader, body.data + have, body.length - have, true, NULL)) > 0;)
		have += (size_t)some;
	xorb_reader_close(reader);
	int err = have == body.length ? xorb_copy_open(&upload, to, xorb, body.length, &why) : ERR_CORRUPT;
	if (err == 0) {
		err = xorb_upload_write(upload, body.data, body.length, &why);
		if (err == 0)
			err = xorb_upload_commit(upload, &inserted, &why);
		xorb_upload_close(upload);
	}
	free(body.data);
	return err;
}

/* One answer's worth from `store` into `other`. */
static bool follow_once(struct record_place *place, size_t records_max, struct batch *seen)
{
	struct batch *batch = calloc(1, sizeof(*batch));
	bool at_end;
	assert_ok(store_read_records(store, place, records_max, 64 * MIB, gather, batch, &at_end, &why));
	for (size_t i = 0; i < batch->xorbs_count; i++)
		if (!store_has_xorb(other, &batch->xorbs[i]))
			copy_xorb(other, store, &batch->xorbs[i]);
	assert_ok(store_take_records(other, batch->records, batch->count, &why));
	for (size_t i = 0; i < batch->count; i++)
		free((void *)batch->records[i].payload.data);
	if (seen)
		for (size_t i = 0; i < 16; i++)
			seen->kinds[i] += batch->kinds[i];
	free(batch);
	return at_end;
}

static void follow(struct record_place *place)
{
	while (!follow_once(place, 3, NULL))
		;
}

static void assert_same_stores(void)
{
	struct store_stats a, b;
	store_stats(store, &a);
	store_stats(other, &b);
	assert_same_counts(&a, &b);
}

/* ------------------------------------------------------------------ fetching: `store` asks `other` */

static unsigned fetched_files, fetched_xorbs;
static enum store_asked answered = STORE_ASKED_ALL; /* by as many as this; by FEW: not by `other` */
static const struct hash *foreign_table; /* of any xorb the table of this one comes, and nothing else */

static int fetch_xorb(void *context, const struct hash *xorb, struct why *unused)
{
	(void)context, (void)unused;
	fetched_xorbs++;
	if (answered == STORE_ASKED_FEW)
		return ERR_BUSY;
	return foreign_table ? ERR_NOT_FOUND : copy_xorb(store, other, xorb);
}

static int take_told(const struct hash *file)
{
	struct batch *batch = calloc(1, sizeof(*batch));
	int err = store_tell_file(other, file, gather, batch, NULL);
	if (err == 0)
		err = store_take_records(store, batch->records, batch->count, NULL);
	for (size_t i = 0; i < batch->count; i++)
		free((void *)batch->records[i].payload.data);
	free(batch);
	return err;
}

static int fetch_file(void *context, const struct hash *file, enum store_asked *asked)
{
	(void)context;
	*asked = answered;
	fetched_files++;
	return answered == STORE_ASKED_FEW ? ERR_BUSY : take_told(file);
}

static int fetch_sha256(void *context, const struct sha256 *sha256, enum store_asked *asked)
{
	(void)context;
	*asked = answered;
	if (answered == STORE_ASKED_FEW)
		return ERR_BUSY;
	struct hash files[4];
	size_t count = store_files_with_sha256(other, sha256, files, 4);
	for (size_t i = 0; i < count; i++)
		take_told(&files[i]);
	return count ? 0 : ERR_NOT_FOUND;
}

/* What of `store` belongs to `other` only, as the replica sends it. Then some of it goes wrong. */
static _Atomic unsigned fetched_tables, fetched_runs;
static _Atomic uint64_t fetched_bytes;
static bool keeps_all;
static unsigned runs_until_death; /* 0: it lives; the last run before ends in the middle */
static unsigned lies;             /* runs, from now on, in which a byte is another */

static bool keeps(void *context, const struct hash *xorb)
{
	(void)context, (void)xorb;
	return keeps_all;
}

static int fetch_table(void *context, const struct hash *xorb, struct table_taker *taker, struct why *unused)
{
	(void)context;
	struct xorb_table *table;
	fetched_tables++;
	if (!store_has_xorb(other, xorb) || store_xorb_table(other, foreign_table ? foreign_table : xorb, &table, NULL) != 0)
		return ERR_NOT_FOUND;
	int err = taker->take(taker, table->chunks, table->count, unused);
	xorb_table_release(table);
	return err;
}

static int fetch_chunks(void *context, const struct hash *xorb, struct chunk_taker *taker, struct why *unused)
{
	(void)context;
	struct xorb_table *table;
	struct xorb_reader *reader;
	bool dies = runs_until_death > 0 && --runs_until_death == 0;
	fetched_runs++;
	if (store_xorb_table(other, xorb, &table, NULL) != 0)
		return ERR_NOT_FOUND;
	assert_true(taker->next < taker->end && taker->end <= table->count);
	uint32_t start = taker->next ? table->chunks[taker->next - 1].body_end : 0, end = table->chunks[taker->end - 1].body_end;
	xorb_table_release(table);
	assert_int_equal(xorb_reader_open_here(&reader, other, xorb, start, end, unused), 0);
	int err = 0;
	for (uint32_t sent = 0; sent < end - start && err == 0;) {
		struct span run;
		assert_int_equal(xorb_reader_run(reader, true, &run, unused), 0);
		uint8_t *copy = malloc(run.length);
		memcpy(copy, run.data, run.length);
		if (lies > 0 && lies-- > 0)
			copy[run.length / 2] ^= 1;
		err = taker->take(taker, span_of(copy, run.length), unused);
		free(copy);
		sent += (uint32_t)run.length;
		fetched_bytes += run.length;
		if (dies)
			err = ERR_CLOSED;
	}
	xorb_reader_close(reader);
	return err;
}

static void join_stores(void)
{
	fetched_files = fetched_xorbs = 0;
	store_set_copies(store, &(struct store_copies){ .fetch_file = fetch_file, .fetch_sha256 = fetch_sha256, .fetch_xorb = fetch_xorb });
}

/* ------------------------------------------------------------------ damage */

static void flip_bit_of(const struct bytes *content, size_t at)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/volumes/00000001.vol", store_dir);
	DIR *dir;
	char volumes[96];
	snprintf(volumes, sizeof(volumes), "%s/volumes", store_dir);
	dir = opendir(volumes);
	assert_non_null(dir);
	bool found = false;
	for (struct dirent *entry; (entry = readdir(dir));) {
		struct stat info;
		snprintf(path, sizeof(path), "%s/%.24s", volumes, entry->d_name);
		int fd = entry->d_name[0] == '.' ? -1 : open(path, O_RDWR);
		if (fd < 0 || fstat(fd, &info) != 0)
			continue;
		struct bytes volume = bytes_make((size_t)info.st_size);
		assert_true(pread(fd, volume.data, volume.length, 0) == (ssize_t)volume.length);
		uint8_t *place = memmem(volume.data, volume.length, content->data + at, 64);
		if (place) {
			uint8_t byte = *place ^ 4;
			assert_int_equal(pwrite(fd, &byte, 1, place - volume.data), 1);
			found = true;
		}
		free(volume.data);
		close(fd);
	}
	closedir(dir);
	assert_true(found);
}

/* ------------------------------------------------------------------ tests */

enum { FILES = 12 };

static void push_some(struct bytes *contents, struct upload_result *results, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		contents[i] = bytes_random(i % 4 == 3 ? 1500 * KIB : 100 * KIB + i, 1000 + i);
		results[i] = push(i % 2 ? &ada : &bob, &contents[i]);
	}
}

static void free_contents(struct bytes *contents, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(contents[i].data);
}

static void everything_arrives_once(void **state)
{
	(void)state;
	struct bytes contents[FILES];
	struct upload_result results[FILES];
	struct record_place place = { 0 };
	push_some(contents, results, FILES);
	assert_ok(store_claim(store, &ada, &results[0].file, &why));
	follow(&place);
	assert_same_stores();
	change_sides();
	for (size_t i = 0; i < FILES; i++) {
		struct file_info info;
		assert_content(&results[i].file, &contents[i]);
		assert_ok(store_claim_check(store, i % 2 ? &ada : &bob, &results[i].file));
		assert_ok(store_file_by_sha256(store, i % 2 ? &ada : &bob, &results[i].sha256, &info));
		assert_true(info.sha256_verified);
	}
	assert_ok(store_claim_check(store, &ada, &results[0].file));
	change_sides();

	/* All of it again: nothing new is written. */
	struct store_stats before, after;
	store_stats(other, &before);
	place = (struct record_place){ 0 };
	follow(&place);
	store_stats(other, &after);
	assert_int_equal(before.disk_bytes, after.disk_bytes);
	assert_int_equal(before.acknowledged, after.acknowledged);

	/* And back: the first knows it already. */
	store_stats(store, &before);
	change_sides();
	place = (struct record_place){ 0 };
	follow(&place);
	change_sides();
	store_stats(store, &after);
	assert_int_equal(before.disk_bytes, after.disk_bytes);
	change_sides();
	assert_sound();
	free_contents(contents, FILES);
}

static void an_answer_has_its_bounds_and_its_place(void **state)
{
	(void)state;
	struct bytes contents[FILES];
	struct upload_result results[FILES];
	struct record_place place = { 0 }, end;
	struct batch seen = { 0 };
	push_some(contents, results, FILES);
	unsigned answers = 0;
	for (bool at_end = false; !at_end; answers++) {
		struct record_place before = place;
		at_end = follow_once(&place, 1, &seen);
		assert_true(place.volume > before.volume || place.offset > before.offset || at_end);
	}
	assert_true(answers >= 2 * FILES);
	assert_true(seen.kinds[VOLUME_FILE] == FILES && seen.kinds[VOLUME_CLAIM] == FILES && seen.kinds[VOLUME_XORB] > 0);
	store_position(store, &end);
	assert_true(place.volume == end.volume && place.offset == end.offset);
	assert_int_equal(store_distance(store, &place, &end), 0);
	assert_true(store_distance(store, &(struct record_place){ 0 }, &end) > 0);
	assert_true(follow_once(&place, 10, NULL));
	assert_same_stores();
	free_contents(contents, FILES);
}

/* What is on its way lies between records that are told, and is told when it is there. */
static void an_upload_under_way_is_told_when_it_is_committed(void **state)
{
	(void)state;
	struct bytes large = bytes_random(5 * MIB, 1), small = bytes_random(50 * KIB, 2);
	struct record_place place = { 0 };
	struct upload *upload = begin_upload(&ada);
	struct upload_result result, other_result;
	assert_ok(upload_file_begin(upload, large.length));
	assert_ok(upload_file_write(upload, large.data, 4 * MIB, &why));
	other_result = push(&bob, &small);
	follow(&place);
	assert_ok(upload_file_write(upload, large.data + 4 * MIB, MIB, &why));
	assert_ok(upload_file_end(upload, &result, &why));
	end_upload(upload);
	follow(&place);
	assert_same_stores();
	change_sides();
	assert_content(&result.file, &large);
	assert_content(&other_result.file, &small);
	free(large.data);
	free(small.data);
}

/* The SHA-256 is computed later than the file is registered, but told in the same answer. */
static void a_digest_found_later_is_told_too(void **state)
{
	(void)state;
	struct bytes content = bytes_random(200 * KIB, 7);
	struct upload_result result = push(&ada, &content);
	struct verified_record verified = { .file = result.file, .sha256 = result.sha256 };
	struct buffer record;
	uint8_t payload[VERIFIED_RECORD_BYTES];
	struct batch *batch = calloc(1, sizeof(*batch));
	struct file_record file;
	struct file_info info;
	assert_ok(store_tell_file(store, &result.file, gather, batch, &why));
	assert_int_equal(batch->records[0].kind, VOLUME_FILE);
	assert_int_equal(file_record_decode(&file, batch->records[0].payload), 0);
	struct file_term term;
	assert_int_equal(file.terms_count, 1);
	struct file_block block;
	assert_int_equal(file_block_decode(&block, span_of(batch->records[0].payload.data + file_block_offset(0), file_block_length(1, 0))), 0);
	file_term_decode(&term, block.terms);
	file.has_sha256 = file.sha256_verified = false;
	buffer_init(&record, MIB);
	assert_int_equal(file_record_encode(&record, &file, &term), 0);
	verified_record_encode(payload, &verified);
	struct store_record both[] = { { VOLUME_FILE, buffer_span(&record) }, { VOLUME_VERIFIED, span_of(payload, sizeof(payload)) } };
	assert_ok(store_take_records(other, both, 2, &why));
	assert_ok(store_file_info(other, &result.file, &info));
	assert_true(info.sha256_verified);
	for (size_t i = 0; i < batch->count; i++)
		free((void *)batch->records[i].payload.data);
	free(batch);
	buffer_fini(&record);
	free(content.data);
}

/* The same claim, renewed, and the same file, twice in one answer: counted once. */
static void repeats_in_one_answer_count_once(void **state)
{
	(void)state;
	struct bytes content = bytes_random(200 * KIB, 8);
	struct upload_result result = push(&ada, &content);
	struct batch *batch = calloc(1, sizeof(*batch));
	assert_ok(store_tell_file(store, &result.file, gather, batch, &why));
	assert_ok(store_tell_file(store, &result.file, gather, batch, &why));
	struct claim_record claim;
	uint8_t renewed[CLAIM_RECORD_BYTES];
	assert_int_equal(batch->records[3].kind, VOLUME_CLAIM);
	assert_int_equal(claim_record_decode(&claim, batch->records[3].payload), 0);
	claim.claimed_ms += 1000;
	claim_record_encode(renewed, &claim);
	memcpy((void *)batch->records[3].payload.data, renewed, sizeof(renewed));
	assert_ok(store_take_records(other, batch->records, batch->count, &why));
	change_sides();
	assert_usage(&ada, 1, content.length);
	struct store_stats stats, counted;
	store_stats(store, &stats);
	assert_int_equal(stats.files, 1);
	assert_int_equal(stats.logical_bytes, content.length);
	counted = recount();
	assert_same_counts(&stats, &counted);
	for (size_t i = 0; i < batch->count; i++)
		free((void *)batch->records[i].payload.data);
	free(batch);
	free(content.data);
}

static int no_roots(void *context, int (*emit)(void *gc, const struct entity_id *owner, const struct hash *file), void *gc, struct why *unused)
{
	(void)unused;
	const struct upload_result *kept = context;
	return kept ? emit(gc, &ada, &kept->file) : 0;
}

static void collect(struct upload_result *kept)
{
	struct store_gc_report report;
	assert_ok(store_gc(store, no_roots, kept, -1, false, NULL, &report, &why));
}

static void what_a_compaction_moved_arrives_all_the_same(void **state)
{
	(void)state;
	struct bytes contents[FILES];
	struct upload_result results[FILES];
	struct record_place place = { 0 };
	push_some(contents, results, FILES);
	follow_once(&place, 2, NULL); /* it is somewhere in the first volume, which is about to go */
	struct timespec pause = { .tv_nsec = 5 * 1000000L };
	nanosleep(&pause, NULL);
	collect(&results[7]);
	assert_int_equal(store_file_info(store, &results[3].file, &(struct file_info){ 0 }), ERR_NOT_FOUND);
	follow(&place);
	change_sides();
	assert_content(&results[7].file, &contents[7]);
	assert_ok(store_claim_check(store, &ada, &results[7].file));
	change_sides();
	free_contents(contents, FILES);
}

static void a_damaged_place_is_passed_over(void **state)
{
	(void)state;
	struct bytes contents[FILES];
	struct upload_result results[FILES];
	struct record_place place = { 0 };
	push_some(contents, results, FILES);
	close_store();
	flip_bit_of(&contents[3], 700 * KIB); /* a body: its record is told, its xorb cannot be had */
	open_store();
	follow(&place);
	change_sides();
	for (size_t i = 0; i < FILES; i++)
		if (i != 3)
			assert_content(&results[i].file, &contents[i]);
	change_sides();
	free_contents(contents, FILES);
}

static void a_mark_survives_as_far_as_it_was_written(void **state)
{
	(void)state;
	struct record_place mark = { 7, 123456789 }, read;
	assert_ok(store_mark_get(store, 42, &read));
	assert_true(read.volume == 0 && read.offset == 0);
	assert_ok(store_mark_put(store, 42, &mark));
	assert_ok(store_mark_get(store, 42, &read));
	assert_true(read.volume == 7 && read.offset == 123456789);
	assert_ok(store_mark_get(store, 43, &read));
	assert_true(read.volume == 0);
	reopen_store();
	assert_ok(store_mark_get(store, 42, &read));
	assert_true((read.volume == 7 && read.offset == 123456789) || read.volume == 0);
	recount();
	assert_ok(store_mark_get(store, 42, &read));
	assert_int_equal(read.volume, 0); /* and everything is offered again, which changes nothing */
}

static void who_had_everything_once_is_known_after_a_restart(void **state)
{
	(void)state;
	assert_false(store_was_level(store, 42));
	assert_ok(store_note_level(store, 42));
	reopen_store();
	assert_true(store_was_level(store, 42));
	assert_false(store_was_level(store, 43));
}

static void what_cannot_be_asked_for_is_not_called_missing(void **state)
{
	(void)state;
	struct bytes content = bytes_random(300000, 6);
	struct file_info info;
	struct file_reader *reader;
	uint8_t byte;
	change_sides();
	struct upload_result result = push(&ada, &content);
	change_sides();
	join_stores();
	answered = STORE_ASKED_FEW;
	assert_int_equal(store_find_by_sha256(store, &ada, &result.sha256, &info), ERR_BUSY);
	assert_int_equal(store_find_verified(store, &ada, &result.sha256, NULL, &info, &why), ERR_BUSY);
	assert_int_equal(store_find_file(store, &ada, &result.file, &info), ERR_BUSY);
	assert_int_equal(file_reader_open(&reader, store, &result.file, 0, 1, &why), ERR_BUSY);
	assert_non_null(strstr(why.text, "cannot be asked now"));
	answered = STORE_ASKED_ALL;
	assert_ok(store_find_file(store, &ada, &result.file, &info));
	answered = STORE_ASKED_FEW; /* its xorb is not here yet */
	assert_ok(store_find_file(store, &ada, &result.file, &info));
	assert_ok(file_reader_open(&reader, store, &result.file, 0, 1, &why));
	assert_int_equal(file_reader_read(reader, &byte, 1, true, &why), ERR_BUSY);
	file_reader_close(reader);
	answered = STORE_ASKED_ALL;
	assert_content(&result.file, &content);
	free(content.data);
}

static void what_is_missing_is_fetched(void **state)
{
	(void)state;
	struct bytes content = bytes_random(3 * MIB, 5);
	struct file_info info;
	change_sides();
	struct upload_result result = push(&ada, &content);
	change_sides();
	assert_int_equal(store_find_file(store, &ada, &result.file, &info), ERR_NOT_FOUND);
	join_stores();
	assert_int_equal(store_file_by_sha256(store, &ada, &result.sha256, &info), ERR_NOT_FOUND);
	assert_ok(store_find_by_sha256(store, &ada, &result.sha256, &info));
	assert_true(info.sha256_verified && info.length == content.length);
	assert_int_equal(store_find_by_sha256(store, &bob, &result.sha256, &info), ERR_NOT_FOUND);
	assert_int_equal(store_find_by_sha256_on_all(store, &bob, &result.sha256, &info, NULL), ERR_NOT_FOUND);
	answered = STORE_ASKED_ENOUGH; /* a node that did not may know of a claim of Bob's */
	assert_int_equal(store_find_by_sha256_on_all(store, &bob, &result.sha256, &info, NULL), ERR_BUSY);
	assert_ok(store_find_by_sha256_on_all(store, &ada, &result.sha256, &info, NULL));
	answered = STORE_ASKED_ALL;
	assert_ok(store_find_file(store, &ada, &result.file, &info));
	assert_int_equal(store_find_file(store, &bob, &result.file, &info), ERR_NOT_FOUND);
	assert_content(&result.file, &content);
	assert_true(fetched_xorbs >= 1);
	fetched_xorbs = 0;
	assert_content(&result.file, &content);
	assert_int_equal(fetched_xorbs, 0);
	assert_ok(store_claim(store, &bob, &result.file, &why));

	struct bytes second = bytes_random(300 * KIB, 6);
	change_sides();
	struct upload_result claimed = push(&ada, &second);
	change_sides();
	assert_ok(store_claim(store, &bob, &claimed.file, &why)); /* one that was never heard of here */
	assert_content(&claimed.file, &second);
	free(content.data);
	free(second.data);
}

/* A file that `store` knows and of which it has no bytes, nor should have any. */
static struct upload_result push_elsewhere(const struct bytes *content)
{
	struct file_info info;
	change_sides();
	struct upload_result result = push(&ada, content);
	change_sides();
	fetched_tables = fetched_runs = runs_until_death = lies = 0;
	fetched_bytes = 0;
	keeps_all = false;
	fetched_xorbs = 0;
	store_set_copies(store, &(struct store_copies){ .fetch_file = fetch_file, .fetch_sha256 = fetch_sha256, .fetch_xorb = fetch_xorb, .keeps = keeps,
		.fetch_table = fetch_table, .fetch_chunks = fetch_chunks });
	assert_ok(store_find_file(store, &ada, &result.file, &info));
	return result;
}

static void assert_nothing_is_kept(void)
{
	struct store_stats stats;
	store_stats(store, &stats);
	assert_true(fetched_xorbs == 0 && stats.xorbs == 0 && stats.stored_bytes == 0);
}

static void what_belongs_elsewhere_is_read_through_and_not_kept(void **state)
{
	(void)state;
	struct bytes content = bytes_random(9 * MIB, 7), words = bytes_random(2 * MIB, 8);
	for (size_t i = 256; i < words.length; i++)
		if (i & 256)
			words.data[i] = words.data[i - 256];
	struct upload_result result = push_elsewhere(&content);
	assert_range_in(&result.file, &content, 5 * MIB + 17, 5 * MIB + 18, 64 * KIB);
	assert_int_equal(fetched_runs, 1);
	assert_content(&result.file, &content);
	unsigned runs = fetched_runs;
	assert_true(fetched_tables == 1 && runs > 2 && runs < 12);
	assert_content(&result.file, &content); /* again: it is still here */
	assert_true(fetched_tables == 1 && fetched_runs == runs);
	result = push_elsewhere(&words); /* coded */
	assert_content(&result.file, &words);
	assert_content(&result.file, &words);
	assert_true(fetched_tables == 1);
	assert_nothing_is_kept();
	free(content.data);
	free(words.data);
}

static void its_pages_leave_without_a_copy_once_they_are_here(void **state)
{
	(void)state;
	struct bytes content = bytes_random(3 * MIB, 9);
	struct upload_result result = push_elsewhere(&content);
	struct file_reader *reader;
	uint8_t *piece = malloc(4 * KIB);
	uint64_t offset;
	size_t length, extents = 0;
	int fd;
	assert_ok(file_reader_open(&reader, store, &result.file, 0, content.length, &why));
	assert_int_equal(file_reader_next_extent(reader, MIB, &fd, &offset, &length), ERR_AGAIN);
	assert_int_equal(file_reader_read(reader, piece, 4 * KIB, false, &why), ERR_AGAIN); /* who must not wait does not */
	for (size_t at = 0; at < content.length; at += length) {
		if (file_reader_next_extent(reader, 4 * KIB, &fd, &offset, &length) == 0) {
			extents++;
			assert_int_equal(pread(fd, piece, length, (off_t)offset), length);
		} else {
			int64_t got = file_reader_read(reader, piece, 4 * KIB, true, &why);
			assert_true(got > 0);
			length = (size_t)got;
		}
		assert_memory_equal(piece, content.data + at, length);
	}
	assert_true(extents > content.length / (8 * KIB));
	file_reader_close(reader);
	assert_nothing_is_kept();
	free(piece);
	free(content.data);
}

static void no_wrong_byte_comes_from_another_node(void **state)
{
	(void)state;
	struct bytes content = bytes_random(3 * MIB, 10);
	struct upload_result result = push_elsewhere(&content);
	lies = 1; /* once: it is asked for again */
	assert_content(&result.file, &content);
	struct bytes second = bytes_random(3 * MIB, 11);
	result = push_elsewhere(&second);
	lies = 1000;
	uint8_t *out = malloc(second.length);
	assert_int_equal(try_read(&result.file, 0, second.length, out, second.length, 64 * KIB), ERR_CORRUPT);
	free(out);
	lies = 0;
	assert_content(&result.file, &second);
	struct hash damaged[4];
	assert_int_equal(store_damaged_xorbs(store, NULL, damaged, 4), 0); /* nothing of this node's is */
	free(content.data);
	free(second.data);
}

static void a_read_goes_on_when_the_other_dies_in_the_middle(void **state)
{
	(void)state;
	struct bytes content = bytes_random(9 * MIB, 12);
	struct upload_result result = push_elsewhere(&content);
	runs_until_death = 3;
	assert_content(&result.file, &content);
	assert_nothing_is_kept();
	free(content.data);
}

enum { READERS = 6 };

struct reading {
	pthread_t thread;
	const struct upload_result *result;
	const struct bytes *content;
	size_t start;
	bool right;
};

static void *read_all(void *context)
{
	struct reading *reading = context;
	struct file_reader *reader;
	size_t length = reading->content->length - reading->start, have = 0;
	uint8_t *out = malloc(length);
	int64_t got = file_reader_open(&reader, store, &reading->result->file, reading->start, reading->content->length, NULL);
	for (got = got == 0 ? 1 : -1; got > 0; have += got > 0 ? (size_t)got : 0)
		got = file_reader_read(reader, out + have, length - have < 300 * KIB ? length - have : 300 * KIB, true, NULL);
	reading->right = got == 0 && have == length && memcmp(out, reading->content->data + reading->start, length) == 0;
	file_reader_close(reader);
	free(out);
	return NULL;
}

static void readers_share_what_comes(void **state)
{
	(void)state;
	struct bytes content = bytes_random(12 * MIB, 16);
	struct upload_result result = push_elsewhere(&content);
	struct reading readings[READERS];
	for (size_t i = 0; i < READERS; i++) {
		readings[i] = (struct reading){ .result = &result, .content = &content, .start = i / 2 * 3 * MIB };
		assert_int_equal(pthread_create(&readings[i].thread, NULL, read_all, &readings[i]), 0);
	}
	for (size_t i = 0; i < READERS; i++) {
		pthread_join(readings[i].thread, NULL);
		assert_true(readings[i].right);
	}
	unsigned runs = fetched_runs;
	assert_content(&result.file, &content);
	assert_int_equal(fetched_runs, runs); /* all of it is here, and each chunk came once */
	assert_true(fetched_bytes < content.length + 64 * KIB);
	assert_nothing_is_kept();
	free(content.data);
}

static void what_has_become_this_nodes_own_meanwhile_is_read_here(void **state)
{
	(void)state;
	struct bytes content = bytes_random(9 * MIB, 13);
	struct upload_result result = push_elsewhere(&content);
	struct file_reader *reader;
	uint8_t *out = malloc(content.length);
	assert_ok(file_reader_open(&reader, store, &result.file, 0, content.length, &why));
	assert_int_equal(file_reader_read(reader, out, 100 * KIB, true, &why), 100 * KIB);
	keeps_all = true; /* placement has changed */
	struct hash xorbs[4];
	assert_int_equal(store_needed_xorbs(store, NULL, xorbs, 4), 1);
	assert_ok(copy_xorb(store, other, &xorbs[0]));
	runs_until_death = 1;
	store_set_copies(store, &(struct store_copies){ .fetch_xorb = fetch_xorb, .keeps = keeps, .fetch_table = fetch_table }); /* no chunks come any more */
	for (size_t at = 100 * KIB; at < content.length;) {
		int64_t got = file_reader_read(reader, out + at, content.length - at, true, &why);
		assert_true(got > 0);
		at += (size_t)got;
	}
	assert_memory_equal(out, content.data, content.length);
	file_reader_close(reader);
	free(out);
	free(content.data);
}

static void a_table_that_is_not_the_xorbs_is_refused(void **state)
{
	(void)state;
	struct bytes content = bytes_random(MIB, 14), strange = bytes_random(MIB, 15);
	struct upload_result result = push_elsewhere(&content);
	change_sides();
	push(&ada, &strange);
	change_sides();
	struct hash mine[4];
	struct held_xorb held[4];
	assert_int_equal(store_needed_xorbs(store, NULL, mine, 4), 1);
	size_t count = store_held_xorbs(other, NULL, held, 4);
	assert_int_equal(count, 2);
	foreign_table = &held[hash_equal(&held[0].xorb, &mine[0])].xorb;
	uint8_t out[64];
	assert_int_equal(try_read(&result.file, 0, 64, out, 64, 64), ERR_CORRUPT);
	foreign_table = NULL;
	assert_content(&result.file, &content);
	free(content.data);
	free(strange.data);
}

static void damage_is_repaired_from_the_other(void **state)
{
	(void)state;
	struct bytes contents[FILES];
	struct upload_result results[FILES];
	struct record_place place = { 0 };
	struct store_scrub_report scrubbed;
	push_some(contents, results, FILES);
	follow(&place);
	close_store();
	flip_bit_of(&contents[3], 700 * KIB);
	flip_bit_of(&contents[7], 600 * KIB);
	open_store();
	assert_damaged(&results[3].file, contents[3].length);
	struct hash damaged[4];
	assert_int_equal(store_damaged_xorbs(store, NULL, damaged, 4), 1);
	join_stores();
	assert_content(&results[3].file, &contents[3]); /* by who reads it */
	assert_int_equal(store_damaged_xorbs(store, NULL, damaged, 4), 0);
	assert_ok(store_scrub(store, NULL, NULL, NULL, &scrubbed, &why)); /* or by who looks */
	assert_true(scrubbed.corrupt == 1 && scrubbed.repaired == 1);
	assert_ok(store_scrub(store, NULL, NULL, NULL, &scrubbed, &why));
	assert_int_equal(scrubbed.corrupt, 0);
	for (size_t i = 0; i < FILES; i++)
		assert_content(&results[i].file, &contents[i]);

	/* Known since an earlier run. */
	close_store();
	flip_bit_of(&contents[11], 800 * KIB);
	open_store();
	assert_damaged(&results[11].file, contents[11].length);
	join_stores();
	assert_int_equal(store_repair(store, NULL), 1);
	assert_content(&results[11].file, &contents[11]);
	free_contents(contents, FILES);
}

/* ------------------------------------------------------------------ damaged records of files */

enum { PIECES = 24 };

/* Of pieces that lie in as many xorbs: its terms are only in its record. */
static struct upload_result push_of_many_terms(struct bytes *content)
{
	struct file_info info;
	*content = bytes_random(PIECES * 200 * KIB, 50);
	for (size_t i = 0; i < PIECES; i++) {
		struct bytes piece = bytes_make(200 * KIB);
		memcpy(piece.data, content->data + i * piece.length, piece.length);
		push(&bob, &piece);
		free(piece.data);
	}
	struct upload_result result = push(&ada, content);
	assert_ok(store_file_info(store, &result.file, &info));
	assert_true(info.terms_count > 2 * PIECES / 2);
	return result;
}

/* The store is closed. Flips a bit of the newest record of a file, or with `wipe` overwrites it with zeros, header and all. */
static void damage_record_of(const struct hash *file, bool wipe)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/volumes/00000001.vol", store_dir);
	int fd = open(path, O_RDWR);
	struct stat info;
	assert_true(fd >= 0 && fstat(fd, &info) == 0);
	struct bytes volume = bytes_make((size_t)info.st_size);
	assert_true(pread(fd, volume.data, volume.length, 0) == (ssize_t)volume.length);
	uint64_t place = 0;
	struct volume_head head;
	assert_int_equal(volume_head_decode(&head, volume.data), 0);
	struct volume_record record, found = { 0 };
	for (uint64_t at = VOLUME_BLOCK_BYTES; at + VOLUME_RECORD_HEADER_BYTES <= volume.length; at += VOLUME_ALIGN_BYTES) {
		struct file_record decoded;
		if (volume_record_decode(&record, volume.data + at, 1, at, head.salt) == 0 && record.kind == VOLUME_FILE &&
			file_record_decode(&decoded, span_of(volume.data + at + VOLUME_RECORD_HEADER_BYTES, record.payload_length)) == 0 &&
			hash_equal(&decoded.file, file)) {
			found = record;
			place = at;
		}
	}
	assert_true(place > 0);
	size_t length = (size_t)volume_record_bytes(found.payload_length);
	if (wipe)
		memset(volume.data + place, 0, length);
	else
		volume.data[place + VOLUME_RECORD_HEADER_BYTES + file_block_offset(0) + FILE_BLOCK_HEAD_BYTES + 5] ^= 4;
	assert_int_equal(pwrite(fd, volume.data + place, length, (off_t)place), length);
	close(fd);
	free(volume.data);
}

static void a_damaged_record_of_a_file_is_replaced_by_the_others(void **state)
{
	(void)state;
	struct bytes content;
	struct record_place place = { 0 };
	struct store_scrub_report scrubbed;
	struct store_fsck_report checked;
	struct upload_result result = push_of_many_terms(&content);
	follow(&place);
	for (int way = 0; way < 4; way++) {
		close_store();
		damage_record_of(&result.file, way == 2);
		open_store();
		assert_damaged(&result.file, content.length);
		join_stores();
		if (way == 0) { /* while it is read */
			assert_content(&result.file, &content);
			assert_int_equal(fetched_files, 1);
		} else if (way < 3) { /* or by who looks; also when it is not to be seen that anything was there */
			assert_ok(store_scrub(store, NULL, on_finding, NULL, &scrubbed, &why));
			assert_int_equal(scrubbed.corrupt, way + 1); /* those of before are still there */
			assert_int_equal(scrubbed.repaired, 1);
		} else { /* or because it was noticed */
			reopen_store();
			join_stores();
			assert_int_equal(store_repair(store, NULL), 1);
		}
		store_set_copies(store, &(struct store_copies){ 0 });
		assert_int_equal(store_repair(store, NULL), 0);
		reopen_store();
		assert_content(&result.file, &content);
	}
	check_store(false, &checked);
	assert_int_equal(checked.missing, 0);
	assert_content(&result.file, &content);
	free(content.data);
}

static void a_damaged_record_of_few_terms_is_written_again_from_the_index(void **state)
{
	(void)state;
	struct bytes content = bytes_random(300 * KIB, 60);
	struct store_scrub_report scrubbed;
	struct upload_result result = push(&ada, &content);
	close_store();
	damage_record_of(&result.file, false);
	open_store();
	findings_count = 0;
	assert_ok(store_scrub(store, NULL, on_finding, NULL, &scrubbed, &why));
	assert_true(scrubbed.corrupt == 1 && scrubbed.repaired == 1 && findings_count == 2); /* the place, and whose record it was */
	recount();
	assert_content(&result.file, &content);
	free(content.data);
}

/* With nobody to ask, what is pushed again is whole again. */
static void a_damaged_record_is_whole_again_once_the_file_is_pushed_again(void **state)
{
	(void)state;
	struct bytes content;
	struct upload_result result = push_of_many_terms(&content);
	close_store();
	damage_record_of(&result.file, false);
	open_store();
	assert_damaged(&result.file, content.length);
	push(&bob, &content);
	assert_content(&result.file, &content);
	assert_int_equal(store_repair(store, NULL), 0);
	free(content.data);
}

/* ------------------------------------------------------------------ garbage and news */

static struct bytes late_content;
static struct upload_result late;

/* The roots are told; then another node's records come, of a file that is old, and that the roots did not find here. */
static int roots_then_news(void *context, int (*emit)(void *gc, const struct entity_id *owner, const struct hash *file), void *gc, struct why *unused)
{
	(void)context, (void)emit, (void)gc, (void)unused;
	struct record_place place = { 0 };
	change_sides();
	follow(&place);
	change_sides();
	return 0;
}

static void a_collection_spares_what_arrives_beside_it(void **state)
{
	(void)state;
	struct store_gc_report report;
	late_content = bytes_random(400 * KIB, 77);
	change_sides();
	late = push(&ada, &late_content);
	change_sides();
	struct timespec pause = { .tv_nsec = 20 * 1000000L };
	nanosleep(&pause, NULL);
	assert_ok(store_gc(store, roots_then_news, NULL, 0, false, NULL, &report, &why));
	assert_ok(store_claim_check(store, &ada, &late.file));
	assert_content(&late.file, &late_content);
	assert_ok(store_gc(store, no_roots, NULL, 0, false, NULL, &report, &why)); /* the next one knows it, and nobody names it */
	assert_int_equal(store_claim_check(store, &ada, &late.file), ERR_NOT_FOUND);
	free(late_content.data);
}

/* ------------------------------------------------------------------ what was lost */

/* Ranges in which the two stores differ, the last one into *range. */
static unsigned differing(uint64_t seed, uint16_t *range)
{
	static struct range_digest ours[STORE_RANGES], theirs[STORE_RANGES];
	uint64_t records;
	unsigned count = 0;
	for (unsigned first = 0; first < 256; first++) {
		assert_ok(store_digest_ranges(store, (uint8_t)first, seed, ours, &records));
		assert_ok(store_digest_ranges(other, (uint8_t)first, seed, theirs, &records));
		for (unsigned i = 0; i < STORE_RANGES; i++)
			if (memcmp(&ours[i], &theirs[i], sizeof(ours[i])) != 0) {
				count++;
				*range = (uint16_t)(first << 8 | i);
			}
	}
	return count;
}

static uint16_t range_of(const struct hash *file)
{
	return (uint16_t)(file->bytes[0] << 8 | file->bytes[1]);
}

static void stores_that_know_the_same_have_the_same_digests(void **state)
{
	(void)state;
	struct bytes contents[FILES];
	struct upload_result results[FILES];
	struct record_place place = { 0 };
	struct known_file files[4];
	struct known_claim claims[4];
	uint16_t range = 0;
	size_t count;
	push_some(contents, results, FILES);
	assert_true(differing(1, &range) >= FILES - 1);
	follow(&place);
	assert_int_equal(differing(1, &range), 0);
	assert_int_equal(differing(UINT64_MAX, &range), 0);
	assert_ok(store_claim(store, &ada, &results[4].file, &why)); /* bob's */
	assert_int_equal(differing(2, &range), 1);
	assert_int_equal(range, range_of(&results[4].file));

	/* What is in it, piece by piece. */
	assert_ok(store_files_of_range(store, range, NULL, files, 4, &count));
	assert_int_equal(count, 1);
	assert_true(hash_equal(&files[0].file, &results[4].file) && files[0].length == contents[4].length && files[0].verified &&
		memcmp(&files[0].sha256, &results[4].sha256, sizeof(files[0].sha256)) == 0);
	assert_ok(store_files_of_range(store, range, &files[0].file, files + 1, 3, &count));
	assert_int_equal(count, 0);
	assert_ok(store_claims_of_range(store, range, NULL, claims, 1, &count));
	assert_int_equal(count, 1);
	assert_ok(store_claims_of_range(store, range, &claims[0], claims + 1, 3, &count));
	assert_int_equal(count, 1);
	assert_true(memcmp(&claims[0].owner, &ada, sizeof(ada)) == 0 && memcmp(&claims[1].owner, &bob, sizeof(bob)) == 0);
	assert_ok(store_claims_of_range(store, range, &claims[1], claims + 2, 2, &count));
	assert_int_equal(count, 0);
	assert_true(hash_equal(&claims[1].file, &results[4].file) && claims[1].claimed_ms > 0);

	change_sides();
	assert_int_equal(store_claim_state(store, &claims[0]), CLAIM_MISSING);
	assert_int_equal(store_claim_state(store, &claims[1]), CLAIM_HERE);
	change_sides();
	follow(&place);
	assert_int_equal(differing(3, &range), 0);
	free_contents(contents, FILES);
}

struct told_coding {
	unsigned count;
	uint8_t payload[CODED_RECORD_BYTES_MAX];
	struct span record;
};

static int note_coding(void *context, uint8_t kind, struct span payload)
{
	struct told_coding *told = context;
	assert_int_equal(kind, VOLUME_CODED);
	memcpy(told->payload, payload.data, payload.length);
	told->record = span_of(told->payload, payload.length);
	told->count++;
	return 0;
}

static void a_coding_that_one_store_lacks_is_found_and_told(void **state)
{
	(void)state;
	struct bytes content = bytes_random(600 * KIB, 71);
	struct record_place place = { 0 };
	struct coded_record codings[CODINGS_MAX];
	struct told_coding told = { 0 };
	struct hash xorb;
	uint64_t bytes;
	uint16_t range = 0;
	push(&ada, &content);
	follow(&place);
	assert_int_equal(store_needed_xorbs(store, NULL, &xorb, 1), 1);
	assert_ok(store_code_xorb(store, &xorb, 4, 2, &bytes, &why));
	assert_int_equal(differing(1, &range), 1);
	assert_int_equal(range, range_of(&xorb));
	assert_ok(store_codings_of_range(other, range, 8, note_coding, &told));
	assert_ok(store_codings_of_range(store, (uint16_t)(range + 1), 8, note_coding, &told));
	assert_ok(store_codings_of_range(store, range, 0, note_coding, &told));
	assert_int_equal(told.count, 0);
	assert_ok(store_codings_of_range(store, range, 8, note_coding, &told));
	assert_int_equal(told.count, 1);
	assert_ok(store_take_records(other, &(struct store_record){ VOLUME_CODED, told.record }, 1, &why));
	assert_int_equal(differing(2, &range), 0);
	/* Another coding of the same xorb is another record. */
	assert_ok(store_code_xorb(store, &xorb, 2, 1, &bytes, &why));
	assert_int_equal(store_codings(store, &xorb, codings), 2);
	assert_int_equal(differing(3, &range), 1);
	free(content.data);
}

/* What one store has collected another one may have for long. */
static void what_was_dropped_here_is_not_taken_for_lost(void **state)
{
	(void)state;
	struct bytes kept = bytes_random(200 * KIB, 70), dropped = bytes_random(200 * KIB, 71);
	struct record_place place = { 0 };
	struct known_claim claim;
	uint16_t range = 0;
	size_t count;
	struct upload_result needed = push(&ada, &kept), garbage = push(&ada, &dropped);
	follow(&place);
	struct timespec pause = { .tv_nsec = 5 * 1000000L };
	nanosleep(&pause, NULL);
	collect(&needed);
	assert_int_equal(differing(1, &range), 1);
	assert_int_equal(range, range_of(&garbage.file));
	assert_ok(store_claims_of_range(other, range, NULL, &claim, 1, &count));
	assert_int_equal(count, 1);
	for (int i = 0; i < 3; i++) { /* also by an index that was made anew from what is in the volumes */
		assert_int_equal(store_claim_state(store, &claim), CLAIM_DROPPED);
		assert_false(store_file_is_claimed(store, &garbage.file));
		if (i)
			recount();
		else
			reopen_store();
	}
	struct known_claim renewed = claim, old = claim;
	renewed.claimed_ms++; /* since it was dropped here */
	assert_int_equal(store_claim_state(store, &renewed), CLAIM_MISSING);
	old.claimed_ms -= STORE_YOUNG_MS + 1;
	assert_int_equal(store_claim_state(store, &old), CLAIM_OLD);
	collect(&needed); /* forgets only what is old */
	assert_int_equal(store_claim_state(store, &claim), CLAIM_DROPPED);
	assert_true(store_file_is_claimed(store, &needed.file));
	free(kept.data);
	free(dropped.data);
}

/* ------------------------------------------------------------------ waiting */

static struct record_place awaited;
static unsigned awaits;
static int await_answer;

static int await(void *context, const struct record_place *end, struct why *unused)
{
	(void)context;
	awaited = *end;
	awaits++;
	return await_answer ? why_set(unused, await_answer, "not enough copies") : 0;
}

static void an_acknowledgement_waits_for_copies(void **state)
{
	(void)state;
	struct bytes content = bytes_random(300 * KIB, 9);
	struct upload_result result;
	struct record_place published;
	struct upload *upload = begin_upload(&ada);
	store_set_copies(store, &(struct store_copies){ .await = await });
	awaits = 0;
	await_answer = ERR_BUSY;
	result = add_file(upload, &content);
	assert_int_equal(upload_commit(upload, &why), ERR_BUSY);
	assert_string_equal(why.text, "not enough copies");
	upload_close(upload);
	store_position(store, &published);
	assert_true(awaits == 1 && awaited.volume == published.volume && awaited.offset == published.offset);
	assert_content(&result.file, &content); /* it is stored all the same */
	assert_int_equal(store_claim(store, &bob, &result.file, &why), ERR_BUSY);
	assert_int_equal(store_claim(store, &bob, &result.file, &why), ERR_BUSY); /* also when there was nothing left to write */
	await_answer = 0;
	assert_ok(store_claim(store, &bob, &result.file, &why));
	assert_int_equal(push(&ada, &content).new_bytes, 0);
	assert_int_equal(awaits, 5);

	/* What is taken from another node waits for nobody. */
	struct record_place place = { 0 };
	change_sides();
	struct bytes theirs = bytes_random(100 * KIB, 10);
	struct upload_result told = push(&ada, &theirs);
	follow(&place);
	change_sides();
	assert_content(&told.file, &theirs);
	assert_int_equal(awaits, 5);
	free(content.data);
	free(theirs.data);
}

static struct hash settled[4];
static size_t settled_count;
static int settle_answer;

static int settle(void *context, const struct hash *xorbs, size_t count, struct why *unused)
{
	(void)context;
	assert_true(count > 0 && count <= 4);
	memcpy(settled, xorbs, count * sizeof(*xorbs));
	settled_count += count;
	return settle_answer ? why_set(unused, settle_answer, "not enough copies of what is known") : 0;
}

/* Registers a file that is made of one whole xorb. */
static int register_xorb(const struct entity_id *owner, const struct upload_result *file, const struct hash *xorb)
{
	struct hash hashes[64], verification;
	struct xorb_table *table;
	struct buffer shard;
	int registered;
	assert_ok(store_xorb_table(store, xorb, &table, &why));
	assert_true(table->count <= 64);
	for (uint32_t i = 0; i < table->count; i++)
		hashes[i] = table->chunks[i].hash;
	digest_verification(&verification, hashes, table->count);
	buffer_init(&shard, MIB);
	shard_write_header(&shard, false);
	shard_write_file(&shard, &file->file, &(struct shard_term){ *xorb, (uint32_t)file->length, 0, table->count }, &verification, 1, &file->sha256);
	shard_write_bookend(&shard);
	shard_write_bookend(&shard);
	xorb_table_release(table);
	int err = store_shard_register(store, owner, buffer_span(&shard), NULL, &registered, &why);
	buffer_fini(&shard);
	return err;
}

static const struct store_copies nobody, deaf = { .await = await, .settle = settle };

/* Pushed to the other, and its record told: the bytes are not here. */
static struct upload_result know_only(const struct bytes *content, uint64_t seed)
{
	struct bytes beside = bytes_random(100, seed); /* so that their xorb is another one than this store would make */
	change_sides();
	struct upload *upload = begin_upload(&ada);
	add_file(upload, &beside);
	struct upload_result result = add_file(upload, content);
	end_upload(upload);
	change_sides();
	free(beside.data);
	assert_ok(take_told(&result.file));
	store_set_copies(store, &deaf);
	settled_count = 0;
	await_answer = 0;
	settle_answer = ERR_BUSY;
	return result;
}

static void what_is_known_to_be_lost_is_asked_for_no_more(void **state)
{
	(void)state;
	struct bytes content = bytes_random(300 * KIB, 54);
	struct hash files[4];
	struct upload_result result = know_only(&content, 55);
	assert_int_equal(store_claim(store, &ada, &result.file, &why), ERR_BUSY);
	assert_int_equal(store_note_lost(store, &settled[0], files, 4), 1);
	assert_ok(store_claim(store, &ada, &result.file, &why));
	assert_int_equal(settled_count, 1);
	push(&bob, &content); /* and what is sent is taken */
	store_set_copies(store, &nobody);
	assert_content(&result.file, &content);
	free(content.data);
}

static bool are_awaited;

static bool awaits_xorb(void *context, const struct record_place *place)
{
	(void)context;
	assert_true(!place || place->volume > 0);
	return are_awaited;
}

static int try_push(const struct entity_id *owner, const struct bytes *content)
{
	struct upload *upload = begin_upload(owner);
	add_file(upload, content);
	int err = upload_commit(upload, &why);
	upload_close(upload);
	return err;
}

/* A xorb that was stored before may have fewer copies by now than who leans on it waits for. */
static void what_is_here_is_asked_for_unless_its_copies_are_awaited(void **state)
{
	(void)state;
	const struct store_copies wary = { .await = await, .settle = settle, .awaits = awaits_xorb };
	struct bytes content = bytes_random(600 * KIB, 61), longer = bytes_random(900 * KIB, 62);
	memcpy(longer.data, content.data, content.length);
	store_set_copies(store, &wary);
	await_answer = settle_answer = 0;
	settled_count = 0;
	are_awaited = true;
	const struct upload_result result = push(&ada, &content);
	assert_ok(store_claim(store, &bob, &result.file, &why));
	assert_int_equal(settled_count, 0);
	are_awaited = false;
	for (int refused = 0; refused < 2; refused++) {
		settle_answer = refused ? ERR_BUSY : 0;
		settled_count = 0;
		assert_int_equal(store_claim(store, &ada, &result.file, &why), settle_answer);
		assert_int_equal(store_claim_many(store, &bob, &result.file, 1, &why), settle_answer);
		assert_int_equal(settled_count, 2);
		assert_int_equal(register_xorb(&bob, &result, &settled[0]), settle_answer);
		assert_int_equal(settled_count, 4);
		assert_int_equal(try_push(&bob, &longer), settle_answer); /* leans on what is old */
	}
	free(content.data);
	free(longer.data);
}

/* What hears of its record asks for it at once, and would pass over what is not here. */
static void what_was_lost_is_here_from_the_moment_its_record_is(void **state)
{
	(void)state;
	struct bytes content = bytes_random(70 * MIB, 63);
	struct held_xorb held[4];
	struct hash files[4];
	change_sides();
	struct upload_result result = push(&ada, &content);
	change_sides();
	assert_ok(take_told(&result.file));
	size_t large = 0;
	assert_int_equal(store_held_xorbs(other, NULL, held, 4), 2);
	large = held[1].body_length > held[0].body_length;
	assert_int_equal(store_note_lost(store, &held[large].xorb, files, 4), 1);
	struct upload *upload = begin_upload(&ada);
	add_file(upload, &content); /* the first xorb is full, and closed in passing */
	for (int i = 0; i < 1000 && !store_has_xorb(store, &held[large].xorb); i++)
		nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000000 }, NULL);
	assert_true(store_has_xorb(store, &held[large].xorb));
	upload_close(upload);
	free(content.data);
}

/* The record of a file may be here before its bytes are on any node but the one that took it, which may go for good. */
static void a_known_file_is_acknowledged_once_its_bytes_have_copies(void **state)
{
	(void)state;
	struct bytes contents[2] = { bytes_random(300 * KIB, 51), bytes_random(200 * KIB, 52) };
	struct hash needed[4], theirs;
	for (int by_shard = 0; by_shard < 2; by_shard++) {
		struct bytes *content = &contents[by_shard];
		struct upload_result result = know_only(content, 56 + (uint64_t)by_shard);
		const struct hash *file = &result.file;
		assert_int_equal(store_claim(store, &ada, file, &why), ERR_BUSY);
		assert_string_equal(why.text, "not enough copies of what is known");
		assert_int_equal(store_claim_many(store, &bob, file, 1, &why), ERR_BUSY);
		assert_int_equal(settled_count, 2);
		theirs = settled[0];
		assert_false(store_has_xorb(store, &theirs));
		settle_answer = 0;
		assert_ok(store_claim(store, &ada, file, &why));
		assert_int_equal(settled_count, 3);

		/* Others have it: nothing more is needed. The bytes that were sent are not. */
		push(&bob, content);
		assert_int_equal(settled_count, 4);
		assert_int_equal(store_files_of_xorb(store, &theirs, 9), 1);
		assert_int_equal(store_needed_xorbs(store, NULL, needed, 4), 1 + 2 * by_shard);

		/* They have not, or nobody knows: the bytes that were sent are what this node reads by. */
		settle_answer = ERR_BUSY;
		if (by_shard) {
			struct held_xorb held[4];
			size_t count = store_held_xorbs(store, NULL, held, 4), own = 0;
			for (size_t i = 0; i < count; i++)
				own = store_files_of_xorb(store, &held[i].xorb, 9) ? own : i;
			assert_int_equal(store_files_of_xorb(store, &held[own].xorb, 9), 0);
			assert_ok(register_xorb(&ada, &result, &held[own].xorb));
		} else {
			push(&bob, content);
		}
		assert_int_equal(settled_count, 5);
		assert_int_equal(store_needed_xorbs(store, NULL, needed, 4), 2 + 2 * by_shard); /* theirs, too, if it is still anywhere */
		assert_ok(store_claim(store, &ada, file, &why));
		assert_int_equal(settled_count, 5);
		store_set_copies(store, &nobody);
		assert_content(file, content);
	}
	free_contents(contents, 2);
}

static void a_place_is_awaited(void **state)
{
	(void)state;
	struct record_place before, after;
	store_position(store, &before);
	store_await_position(store, &before, 30); /* nothing comes */
	struct bytes content = bytes_random(1000, 3);
	push(&ada, &content);
	store_await_position(store, &before, 60 * 1000);
	store_position(store, &after);
	assert_true(after.offset != before.offset || after.volume != before.volume);
	free(content.data);
}

/* ------------------------------------------------------------------ giving up */

static bool others_have, may_begin;
static unsigned begins, ends;
static void (*meanwhile)(void);

static void confirm(void *context, const struct hash *xorbs, size_t count, const struct record_place *end, bool *ok)
{
	struct record_place published;
	(void)context;
	store_position(store, &published);
	assert_true(end->volume == published.volume && end->offset == published.offset);
	for (size_t i = 0; i < count; i++)
		ok[i] = others_have && store_has_xorb(other, &xorbs[i]);
	if (meanwhile)
		meanwhile();
}

static bool begin(void *context)
{
	(void)context;
	begins++;
	return may_begin;
}

static void end(void *context)
{
	(void)context;
	ends++;
}

static uint64_t give_up_all(void)
{
	static const struct store_give_up how = { .confirm = confirm, .begin = begin, .end = end };
	struct held_xorb held[STORE_GIVE_UP_MAX];
	struct hash xorbs[STORE_GIVE_UP_MAX];
	uint64_t bytes;
	size_t count = store_held_xorbs(store, NULL, held, STORE_GIVE_UP_MAX);
	for (size_t i = 0; i < count; i++)
		xorbs[i] = held[i].xorb;
	assert_ok(store_give_up(store, xorbs, count, &how, &bytes, &why));
	assert_int_equal(begins, ends);
	return bytes;
}

static void what_others_hold_is_given_up_and_nothing_else(void **state)
{
	(void)state;
	struct record_place place = { 0 };
	struct bytes ours = bytes_random(700 * KIB, 20), both = bytes_random(900 * KIB, 21);
	struct held_xorb held[STORE_GIVE_UP_MAX];
	struct hash needed[8], found[8];
	meanwhile = NULL;
	struct upload_result shared = push(&ada, &both);
	follow(&place);
	struct upload_result alone = push(&ada, &ours);
	assert_int_equal(store_needed_xorbs(store, NULL, needed, 8), 2);
	others_have = may_begin = false;
	assert_int_equal(give_up_all(), 0); /* nobody confirms */
	others_have = true;
	assert_int_equal(give_up_all(), 0); /* what was confirmed is not true any more */
	may_begin = true;
	assert_true(give_up_all() > both.length / 2);
	assert_int_equal(store_held_xorbs(store, NULL, held, STORE_GIVE_UP_MAX), 1);
	assert_content(&alone.file, &ours);

	/* It is still needed, is fetched for who reads it, and may be given up again. */
	assert_int_equal(store_needed_xorbs(store, NULL, found, 8), 2);
	assert_memory_equal(needed, found, 2 * sizeof(needed[0]));
	assert_int_equal(store_needed_xorbs(store, &needed[0], found, 8), 1);
	assert_true(hash_equal(&found[0], &needed[1]));
	assert_int_equal(store_files_of_xorb(store, &needed[0], 8), 1);
	join_stores();
	assert_content(&shared.file, &both);
	assert_int_equal(store_held_xorbs(store, NULL, held, STORE_GIVE_UP_MAX), 2);
	assert_true(give_up_all() > both.length / 2);
	reopen_store();
	join_stores();
	assert_int_equal(store_held_xorbs(store, NULL, held, STORE_GIVE_UP_MAX), 1);
	assert_content(&shared.file, &both);
	free(ours.data);
	free(both.data);
}

struct seen {
	struct entity_id owners[8];
	struct hash xorbs[8];
	size_t count, stop_at; /* 0: never */
};

static int see_owner(void *context, const struct entity_id *owner)
{
	struct seen *seen = context;
	assert_true(seen->count < 8);
	seen->owners[seen->count++] = *owner;
	return seen->count == seen->stop_at ? 7 : 0;
}

static int see_xorb(void *context, const struct hash *xorb)
{
	struct seen *seen = context;
	assert_true(seen->count < 8);
	seen->xorbs[seen->count++] = *xorb;
	return seen->count == seen->stop_at ? 7 : 0;
}

static void who_claims_what_is_in_a_xorb_is_told(void **state)
{
	(void)state;
	struct bytes some = bytes_random(300 * KIB, 30), more = bytes_random(300 * KIB, 31);
	struct seen owners = { 0 }, xorbs = { 0 };
	struct upload_result result = push(&ada, &some);
	assert_int_equal(store_xorbs_of_file(store, &result.file, see_xorb, &xorbs, &why), 0);
	assert_int_equal(xorbs.count, 1);
	assert_int_equal(store_claims_of_xorb(store, &xorbs.xorbs[0], 8, see_owner, &owners), 0);
	assert_true(owners.count == 1 && memcmp(&owners.owners[0], &ada, sizeof(ada)) == 0);
	push(&bob, &some); /* the same file, another claim */
	owners = (struct seen){ 0 };
	assert_int_equal(store_claims_of_xorb(store, &xorbs.xorbs[0], 8, see_owner, &owners), 0);
	assert_int_equal(owners.count, 2);
	owners = (struct seen){ .stop_at = 1 };
	assert_int_equal(store_claims_of_xorb(store, &xorbs.xorbs[0], 8, see_owner, &owners), 7);
	owners = (struct seen){ 0 }; /* a file and a claim were looked at */
	assert_int_equal(store_claims_of_xorb(store, &xorbs.xorbs[0], 2, see_owner, &owners), ERR_TOO_BIG);
	assert_int_equal(owners.count, 1);
	push(&bob, &more);
	owners = (struct seen){ 0 };
	assert_int_equal(store_claims_of_xorb(store, &(struct hash){ { 5 } }, 8, see_owner, &owners), 0);
	assert_int_equal(owners.count, 0);
	assert_int_equal(store_xorbs_of_file(store, &(struct hash){ { 5 } }, see_xorb, &xorbs, &why), ERR_NOT_FOUND);
	free(some.data);
	free(more.data);
}

static struct bytes leaned_on;
static struct upload_result leaning;

static void lean(void)
{
	meanwhile = NULL;
	leaning = push(&bob, &leaned_on);
}

static void what_comes_to_be_needed_meanwhile_stays_or_is_stored_anew(void **state)
{
	(void)state;
	struct record_place place = { 0 };
	leaned_on = bytes_random(800 * KIB, 22);
	struct bytes more = bytes_make(leaned_on.length + 100 * KIB);
	struct file_info info;
	push(&ada, &leaned_on);
	follow(&place);
	memcpy(more.data, leaned_on.data, leaned_on.length);
	struct bytes first = leaned_on;
	leaned_on = more; /* begins with the same chunks: it would lean on the xorb that is being given up */
	others_have = may_begin = true;
	meanwhile = lean;
	give_up_all();
	assert_ok(store_file_info(store, &leaning.file, &info));
	assert_content(&leaning.file, &more); /* nobody is asked for it */
	free(first.data);
	free(more.data);
}

static void volumes_of_what_was_given_up_are_compacted(void **state)
{
	(void)state;
	struct record_place place = { 0 };
	struct store_gc_report report;
	struct bytes content = bytes_random(6 * MIB, 23);
	meanwhile = NULL;
	struct upload_result result = push(&ada, &content);
	follow(&place);
	others_have = may_begin = true;
	assert_true(give_up_all() > content.length / 2);
	assert_ok(store_compact(store, &report, &why));
	assert_true(report.volumes_compacted > 0);
	join_stores();
	assert_content(&result.file, &content);
	free(content.data);
}

/* ------------------------------------------------------------------ other terms */

enum { NEEDED_MAX = 64 };

static void follow_each_other(void)
{
	for (int side = 0; side < 2; side++) {
		struct record_place place = { 0 };
		follow(&place);
		change_sides();
	}
}

/* Both need the same xorbs, have them, and read the file. Returns how many there are. */
static size_t assert_same_needs(const struct hash *file, const struct bytes *content)
{
	struct hash xorbs[2][NEEDED_MAX];
	size_t counts[2];
	for (int side = 0; side < 2; side++) {
		counts[side] = store_needed_xorbs(store, NULL, xorbs[side], NEEDED_MAX);
		for (size_t i = 0; i < counts[side]; i++)
			assert_true(store_has_xorb(store, &xorbs[side][i]));
		assert_content(file, content);
		change_sides();
	}
	assert_int_equal(counts[0], counts[1]);
	assert_memory_equal(xorbs[0], xorbs[1], counts[0] * sizeof(struct hash));
	return counts[0];
}

static void what_either_knows_a_file_by_is_needed_by_both(void **state)
{
	(void)state;
	/* One has the first half already, in a xorb that begins with something else; the other stores all of it anew. */
	struct bytes content = bytes_random(3 * MIB, 31), half = { content.data, 2 * MIB }, rest = bytes_random(6 * MIB, 32);
	struct store_stats before, after;
	push(&bob, &half);
	struct upload_result result = push(&ada, &content);
	change_sides();
	push(&bob, &rest);
	push(&ada, &content);
	change_sides();
	follow_each_other();
	assert_true(assert_same_needs(&result.file, &content) >= 4);
	store_stats(other, &before);
	follow_each_other(); /* they know it now */
	store_stats(other, &after);
	assert_int_equal(before.acknowledged, after.acknowledged);

	/* Nothing goes by which the other reads, neither from the index made anew nor from volumes that were emptied. */
	struct timespec pause = { .tv_nsec = 5 * 1000000L };
	nanosleep(&pause, NULL);
	for (int side = 0; side < 2; side++) {
		struct store_gc_report report;
		recount();
		assert_ok(store_gc(store, no_roots, &result, -1, false, NULL, &report, &why));
		assert_true(report.files_dropped == 2 && report.volumes_compacted > 0);
		recount();
		change_sides();
	}
	assert_true(assert_same_needs(&result.file, &content) >= 3);
	free(content.data);
	free(rest.data);
}

static void confirm_all(void *context, const struct hash *xorbs, size_t count, const struct record_place *end, bool *ok)
{
	(void)context, (void)xorbs, (void)end;
	memset(ok, true, count * sizeof(*ok));
}

/* Not here any more. */
static void lose(const struct hash *xorb)
{
	static const struct store_give_up how = { .confirm = confirm_all, .begin = begin, .end = end };
	uint64_t bytes;
	may_begin = true;
	assert_ok(store_give_up(store, xorb, 1, &how, &bytes, &why));
	assert_false(store_has_xorb(store, xorb));
}

/* The two cut it into different xorbs: here another file lies in the same. Left on the other side. */
static struct upload_result push_to_both(const struct bytes *content, const struct bytes *beside)
{
	struct upload *upload = begin_upload(&ada);
	add_file(upload, beside);
	struct upload_result result = add_file(upload, content);
	end_upload(upload);
	change_sides();
	push(&ada, content);
	return result;
}

/* The node from which the terms came that are read by may have gone before its xorb was anywhere else. */
static void what_cannot_be_had_is_read_by_other_terms(void **state)
{
	(void)state;
	struct bytes content = bytes_random(400 * KIB, 43), beside = bytes_random(100 * KIB, 44);
	struct hash needed[4], theirs;
	struct upload_result result = push_to_both(&content, &beside);
	assert_int_equal(store_needed_xorbs(store, NULL, &theirs, 1), 1);
	change_sides();
	assert_int_equal(store_needed_xorbs(store, NULL, needed, 4), 1);
	struct hash own = needed[0];
	assert_ok(take_told(&result.file));
	recount();
	lose(&own);
	store_set_copies(store, &(struct store_copies){ .fetch_xorb = fetch_xorb });
	assert_content(&result.file, &content);
	assert_true(store_has_xorb(store, &theirs));
	assert_int_equal(store_needed_xorbs(store, NULL, needed, 4), 2); /* both */

	/* The other way round, as a node that lacks the xorb that a client asks for. */
	change_sides();
	assert_ok(take_told(&result.file)); /* what it reads by is theirs, too, by now */
	change_sides();
	assert_int_equal(store_avoid_xorb(store, &theirs), 0); /* the own one is nowhere */
	assert_content(&result.file, &content);
	free(content.data);
	free(beside.data);
}

static void what_no_node_has_is_needed_by_those_alone_who_read_by_it(void **state)
{
	(void)state;
	struct bytes content = bytes_random(400 * KIB, 41), beside = bytes_random(100 * KIB, 42);
	struct hash needed[4], files[4];
	struct file_info info;
	struct upload_result result = push_to_both(&content, &beside);
	change_sides();
	assert_int_equal(store_needed_xorbs(store, NULL, needed, 4), 1);
	struct hash own = needed[0];
	assert_ok(take_told(&result.file));
	assert_int_equal(store_needed_xorbs(store, NULL, needed, 4), 2);

	/* What only the other read by. */
	struct hash theirs = needed[hash_equal(&needed[0], &own)];
	assert_int_equal(store_note_lost(store, &theirs, files, 4), 0);
	assert_int_equal(store_needed_xorbs(store, NULL, needed, 4), 1);
	assert_true(hash_equal(&needed[0], &own));
	assert_content(&result.file, &content);

	/* What this one reads by: it takes the other's terms. */
	lose(&own);
	assert_int_equal(store_note_lost(store, &own, files, 4), 2);
	assert_ok(store_file_by_sha256(store, &ada, &result.sha256, &info));
	assert_true(info.is_damaged);
	assert_ok(take_told(&result.file));
	assert_ok(store_file_by_sha256(store, &ada, &result.sha256, &info));
	assert_false(info.is_damaged);
	join_stores();
	assert_content(&result.file, &content);
	assert_int_equal(store_note_lost(store, &own, files, 4), 1);
	store_set_copies(store, &(struct store_copies){ 0 });

	/* What nobody knows otherwise is stored anew when it is sent again. */
	struct upload_result again = push(&ada, &beside);
	assert_content(&again.file, &beside);
	assert_int_equal(store_note_lost(store, &own, files, 4), 0);
	join_stores();
	assert_int_equal(store_repair(store, NULL), 0);
	assert_int_equal(store_damaged_xorbs(store, NULL, files, 4), 0);
	free(content.data);
	free(beside.data);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_both, tear_down_both)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(everything_arrives_once),
		TEST(an_answer_has_its_bounds_and_its_place),
		TEST(an_upload_under_way_is_told_when_it_is_committed),
		TEST(a_digest_found_later_is_told_too),
		TEST(repeats_in_one_answer_count_once),
		TEST(what_a_compaction_moved_arrives_all_the_same),
		TEST(a_damaged_place_is_passed_over),
		TEST(a_mark_survives_as_far_as_it_was_written),
		TEST(who_had_everything_once_is_known_after_a_restart),
		TEST(what_cannot_be_asked_for_is_not_called_missing),
		TEST(what_is_missing_is_fetched),
		TEST(what_belongs_elsewhere_is_read_through_and_not_kept),
		TEST(its_pages_leave_without_a_copy_once_they_are_here),
		TEST(no_wrong_byte_comes_from_another_node),
		TEST(a_read_goes_on_when_the_other_dies_in_the_middle),
		TEST(readers_share_what_comes),
		TEST(what_has_become_this_nodes_own_meanwhile_is_read_here),
		TEST(a_table_that_is_not_the_xorbs_is_refused),
		TEST(damage_is_repaired_from_the_other),
		TEST(a_damaged_record_of_a_file_is_replaced_by_the_others),
		TEST(a_damaged_record_of_few_terms_is_written_again_from_the_index),
		TEST(a_damaged_record_is_whole_again_once_the_file_is_pushed_again),
		TEST(a_collection_spares_what_arrives_beside_it),
		TEST(stores_that_know_the_same_have_the_same_digests),
		TEST(a_coding_that_one_store_lacks_is_found_and_told),
		TEST(what_was_dropped_here_is_not_taken_for_lost),
		TEST(an_acknowledgement_waits_for_copies),
		TEST(what_is_known_to_be_lost_is_asked_for_no_more),
		TEST(what_is_here_is_asked_for_unless_its_copies_are_awaited),
		TEST(what_was_lost_is_here_from_the_moment_its_record_is),
		TEST(a_known_file_is_acknowledged_once_its_bytes_have_copies),
		TEST(a_place_is_awaited),
		TEST(who_claims_what_is_in_a_xorb_is_told),
		TEST(what_others_hold_is_given_up_and_nothing_else),
		TEST(what_comes_to_be_needed_meanwhile_stays_or_is_stored_anew),
		TEST(volumes_of_what_was_given_up_are_compacted),
		TEST(what_either_knows_a_file_by_is_needed_by_both),
		TEST(what_cannot_be_had_is_read_by_other_terms),
		TEST(what_no_node_has_is_needed_by_those_alone_who_read_by_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
