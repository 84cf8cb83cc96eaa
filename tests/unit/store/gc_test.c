/* Garbage collection: what a name needs stays, what none needs goes, whatever is pushed meanwhile - and what goes gives its room back. */
#include "store/coded.h"
#include "store/open_xorb.h"
#include "tests/unit/store/store_fixture.h"

#include <pthread.h>

enum { KIB = 1 << 10, MIB = 1 << 20, DAY_MS = 24 * 3600 * 1000 };

/* ------------------------------------------------------------------ names */

enum { ROOTS_MAX = 256 };

static struct roots {
	pthread_mutex_t lock;
	struct hash files[ROOTS_MAX];
	struct entity_id owners[ROOTS_MAX];
	size_t count;
} roots = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void name(const struct entity_id *owner, const struct hash *file)
{
	pthread_mutex_lock(&roots.lock);
	assert_true(roots.count < ROOTS_MAX);
	roots.files[roots.count] = *file;
	roots.owners[roots.count++] = *owner;
	pthread_mutex_unlock(&roots.lock);
}

static int tell_roots(void *context, int (*emit)(void *gc, const struct entity_id *owner, const struct hash *file), void *gc, struct why *unused)
{
	(void)context, (void)unused;
	int err = 0;
	pthread_mutex_lock(&roots.lock);
	for (size_t i = 0; i < roots.count && err == 0; i++)
		err = emit(gc, &roots.owners[i], &roots.files[i]);
	pthread_mutex_unlock(&roots.lock);
	return err;
}

static int refuse_roots(void *context, int (*emit)(void *gc, const struct entity_id *owner, const struct hash *file), void *gc, struct why *reason)
{
	(void)context, (void)emit, (void)gc;
	return why_set(reason, ERR_IO, "the names cannot be read");
}

static struct store_gc_report collect(int64_t grace_ms, bool dry_run)
{
	struct store_gc_report report;
	usleep(2000); /* what was pushed before is older than the collection */
	assert_ok(store_gc(store, tell_roots, NULL, grace_ms, dry_run, NULL, &report, &why));
	return report;
}

static int set_up_roots(void **state)
{
	roots.count = 0;
	return set_up(state);
}

static bool exists(const struct hash *file)
{
	struct file_info info;
	int err = store_file_info(store, file, &info);
	assert_true(err == 0 || err == ERR_NOT_FOUND);
	return err == 0;
}

/* ------------------------------------------------------------------ what stays, what goes */

static void what_is_named_stays_and_the_rest_goes(void **state)
{
	(void)state;
	struct bytes kept = bytes_random(300 * KIB, 1), gone = bytes_random(200 * KIB, 2);
	struct upload_result named = push(&ada, &kept), forgotten = push(&ada, &gone);
	name(&ada, &named.file);
	struct store_gc_report report = collect(0, false);
	assert_int_equal(report.files_live, 1);
	assert_int_equal(report.files_dropped, 1);
	assert_int_equal(report.claims_dropped, 1);
	assert_int_equal(report.xorbs_live, 1);
	assert_int_equal(report.xorbs_dropped, 1);
	assert_true(report.bytes_freed > gone.length);
	assert_false(exists(&forgotten.file));
	assert_int_equal(store_claim_check(store, &ada, &forgotten.file), ERR_NOT_FOUND);
	assert_content(&named.file, &kept);
	assert_usage(&ada, 1, kept.length);
	assert_sound();
	report = collect(0, false);
	assert_true(report.files_dropped == 0 && report.xorbs_dropped == 0 && report.claims_dropped == 0);
	free(kept.data);
	free(gone.data);
}

/* Anybody may push a file of the bytes that parts of coded xorbs begin with. What comes with it, and who pushes the same elsewhere, must not suffer. */
static void what_begins_as_a_part_does_stays(void **state)
{
	(void)state;
	struct bytes mark = bytes_make(CODED_MARK_BYTES), one = bytes_random(50 * KIB, 1), two = bytes_random(60 * KIB, 2);
	memcpy(mark.data, "cairn: a part of a coded xorb, 1", CODED_MARK_BYTES);
	struct upload *upload = begin_upload(&ada);
	struct upload_result files[] = { add_file(upload, &mark), add_file(upload, &one), add_file(upload, &two) };
	end_upload(upload);
	for (size_t i = 0; i < 3; i++)
		name(&ada, &files[i].file);
	struct upload_result again = push(&bob, &one);
	name(&bob, &again.file);
	struct store_gc_report report = collect(0, false);
	assert_int_equal(report.xorbs_dropped, 0);
	assert_content(&files[0].file, &mark);
	assert_content(&files[1].file, &one);
	assert_content(&files[2].file, &two);
	assert_content(&again.file, &one);
	assert_int_equal(push(&bob, &two).new_bytes, 0);
	assert_sound();
	free(mark.data);
	free(one.data);
	free(two.data);
}

static void what_is_young_stays(void **state)
{
	(void)state;
	struct bytes bytes = bytes_random(100 * KIB, 3);
	struct upload_result pushed = push(&ada, &bytes);
	struct store_gc_report report = collect(DAY_MS, false);
	assert_true(report.files_dropped == 0 && report.claims_dropped == 0 && report.xorbs_dropped == 0);
	assert_int_equal(store_claim_check(store, &ada, &pushed.file), 0);
	assert_content(&pushed.file, &bytes);
	report = collect(0, false);
	assert_int_equal(report.files_dropped, 1);
	free(bytes.data);
}

static void a_dry_run_tells_what_would_go_and_changes_nothing(void **state)
{
	(void)state;
	struct bytes kept = bytes_random(100 * KIB, 4), gone = bytes_random(90 * KIB, 5);
	struct upload_result named = push(&ada, &kept), forgotten = push(&bob, &gone);
	struct store_stats before, after;
	name(&ada, &named.file);
	store_stats(store, &before);
	struct store_gc_report dry = collect(0, true);
	store_stats(store, &after);
	assert_same_counts(&before, &after);
	assert_true(before.disk_bytes == after.disk_bytes && before.acknowledged == after.acknowledged);
	assert_content(&forgotten.file, &gone);
	struct store_gc_report wet = collect(0, false);
	assert_int_equal(dry.files_live, wet.files_live);
	assert_int_equal(dry.files_dropped, wet.files_dropped);
	assert_int_equal(dry.claims_dropped, wet.claims_dropped);
	assert_int_equal(dry.xorbs_live, wet.xorbs_live);
	assert_int_equal(dry.xorbs_dropped, wet.xorbs_dropped);
	assert_int_equal(dry.bytes_freed, wet.bytes_freed);
	free(kept.data);
	free(gone.data);
}

static void names_that_cannot_be_read_drop_nothing(void **state)
{
	(void)state;
	struct bytes bytes = bytes_random(10 * KIB, 6);
	struct upload_result pushed = push(&ada, &bytes);
	struct store_gc_report report;
	usleep(2000);
	assert_int_equal(store_gc(store, refuse_roots, NULL, 0, false, NULL, &report, &why), ERR_IO);
	assert_content(&pushed.file, &bytes);
	assert_int_equal(store_claim_check(store, &ada, &pushed.file), 0);
	free(bytes.data);
}

static void a_claim_goes_alone_while_another_owner_needs_the_file(void **state)
{
	(void)state;
	struct bytes bytes = bytes_random(80 * KIB, 7);
	struct upload_result pushed = push(&ada, &bytes);
	push(&bob, &bytes);
	name(&bob, &pushed.file);
	struct store_gc_report report = collect(0, false);
	assert_int_equal(report.claims_dropped, 1);
	assert_int_equal(report.files_dropped, 0);
	assert_int_equal(store_claim_check(store, &ada, &pushed.file), ERR_NOT_FOUND);
	assert_int_equal(store_claim_check(store, &bob, &pushed.file), 0);
	assert_usage(&ada, 0, 0);
	assert_usage(&bob, 1, bytes.length);
	assert_content(&pushed.file, &bytes);
	free(bytes.data);
}

static void shared_chunks_stay_while_one_file_lives(void **state)
{
	(void)state;
	struct bytes first = bytes_random(2 * MIB, 8), second = bytes_make(2 * MIB);
	memcpy(second.data, first.data, first.length);
	memset(second.data, 1, 1000);
	struct upload_result old = push(&ada, &first), new = push(&ada, &second);
	assert_true(new.new_bytes < MIB);
	name(&ada, &new.file);
	struct store_gc_report report = collect(0, false);
	assert_int_equal(report.files_dropped, 1);
	assert_int_equal(report.xorbs_dropped, 0);
	assert_false(exists(&old.file));
	assert_content(&new.file, &second);
	struct upload_result again = push(&ada, &first); /* all its chunks are still known */
	assert_int_equal(again.new_bytes, 0);
	assert_content(&again.file, &first);
	roots.count = 0;
	report = collect(0, false);
	assert_int_equal(report.xorbs_dropped, 2);
	assert_sound();
	free(first.data);
	free(second.data);
}

static void what_went_can_be_pushed_again(void **state)
{
	(void)state;
	struct bytes bytes = bytes_random(700 * KIB, 9);
	struct upload_result pushed = push(&ada, &bytes);
	for (int i = 0; i < 3; i++) {
		collect(0, false);
		assert_false(exists(&pushed.file));
		struct upload_result again = push(&ada, &bytes);
		assert_true(hash_equal(&again.file, &pushed.file));
		assert_int_equal(again.new_bytes, bytes.length);
		assert_content(&pushed.file, &bytes);
	}
	struct store_stats before, after;
	store_stats(store, &before);
	after = recount();
	assert_same_counts(&before, &after);
	assert_content(&pushed.file, &bytes);
	free(bytes.data);
}

/* ------------------------------------------------------------------ room */

enum { MANY = 24 };

struct many {
	struct bytes bytes[MANY];
	struct upload_result pushed[MANY];
};

/* Pushed one by one, so that each has a xorb of its own; every fourth is named. */
static void push_many(struct many *many)
{
	for (size_t i = 0; i < MANY; i++) {
		many->bytes[i] = bytes_random(400 * KIB + i * 1000, 300 + i);
		many->pushed[i] = push(&ada, &many->bytes[i]);
		if (i % 4 == 0)
			name(&ada, &many->pushed[i].file);
	}
}

static void assert_survivors(const struct many *many)
{
	for (size_t i = 0; i < MANY; i++) {
		if (i % 4 != 0) {
			assert_false(exists(&many->pushed[i].file));
			continue;
		}
		struct file_info info;
		assert_int_equal(store_claim_check(store, &ada, &many->pushed[i].file), 0);
		assert_int_equal(store_file_by_sha256(store, &ada, &many->pushed[i].sha256, &info), 0);
		assert_true(info.sha256_verified);
		assert_content(&many->pushed[i].file, &many->bytes[i]);
	}
}

static void free_many(struct many *many)
{
	for (size_t i = 0; i < MANY; i++)
		free(many->bytes[i].data);
}

static uint64_t volumes_on_disk(void)
{
	char path[400];
	uint64_t bytes = 0;
	snprintf(path, sizeof(path), "%s/volumes", store_dir);
	DIR *dir = opendir(path);
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));) {
		struct stat status;
		if (entry->d_name[0] != '.' && fstatat(dirfd(dir), entry->d_name, &status, 0) == 0)
			bytes += (uint64_t)status.st_size;
	}
	closedir(dir);
	return bytes;
}

static void compaction_gives_room_back_and_keeps_what_lives(void **state)
{
	(void)state;
	struct many many;
	struct store_stats before, after;
	push_many(&many);
	store_stats(store, &before);
	struct store_gc_report report = collect(0, false);
	assert_true(report.volumes_compacted >= 1 && report.bytes_compacted > 0);
	store_stats(store, &after);
	assert_true(after.disk_bytes * 2 < before.disk_bytes);
	assert_survivors(&many);
	reopen_store();
	assert_true(volumes_on_disk() * 2 < before.disk_bytes);
	assert_survivors(&many);
	assert_sound();
	free_many(&many);
}

static void an_index_made_anew_after_compaction_says_the_same(void **state)
{
	(void)state;
	struct many many;
	struct store_stats before, after;
	struct store_fsck_report report;
	push_many(&many);
	collect(0, false);
	store_stats(store, &before);
	if (check_store(true, &report) != 0)
		fail_msg("%s", finding_text);
	assert_int_equal(report.files, MANY / 4);
	assert_int_equal(report.xorbs, MANY / 4);
	store_stats(store, &after);
	assert_same_counts(&before, &after);
	assert_survivors(&many);
	free_many(&many);
}

/* Through several collections, so that records move more than once and drops outlive what they speak of. */
static void nothing_comes_back_when_the_index_is_made_anew(void **state)
{
	(void)state;
	enum { ROUNDS = 6, FILES = 6 };
	struct bytes bytes[ROUNDS][FILES];
	struct upload_result pushed[ROUNDS][FILES];
	struct store_stats before, after;
	store_config.volume_bytes_max = 6 * MIB;
	reopen_store();
	for (size_t r = 0; r < ROUNDS; r++) {
		for (size_t i = 0; i < FILES; i++) {
			bytes[r][i] = bytes_random(500 * KIB, 1000 + r * FILES + i);
			pushed[r][i] = push(&ada, &bytes[r][i]);
		}
		roots.count = 0;
		for (size_t k = 0; k <= r; k++)
			for (size_t i = r - k; i < FILES; i++) /* one file less of each round every time */
				if (exists(&pushed[k][i].file))
					name(&ada, &pushed[k][i].file);
		collect(0, false);
		store_stats(store, &before);
		after = recount();
		assert_same_counts(&before, &after);
	}
	for (size_t r = 0; r < ROUNDS; r++)
		for (size_t i = 0; i < FILES; i++) {
			bool lives = i >= ROUNDS - 1 - r;
			assert_int_equal(exists(&pushed[r][i].file), lives);
			assert_int_equal(store_claim_check(store, &ada, &pushed[r][i].file), lives ? 0 : ERR_NOT_FOUND);
			if (lives)
				assert_content(&pushed[r][i].file, &bytes[r][i]);
			free(bytes[r][i].data);
		}
	assert_sound();
}

static void a_reader_outlives_the_volume_it_reads(void **state)
{
	(void)state;
	struct many many;
	struct file_reader *reader;
	push_many(&many);
	struct bytes got = bytes_make(many.bytes[0].length);
	assert_ok(file_reader_open(&reader, store, &many.pushed[0].file, 0, UINT64_MAX, &why));
	assert_int_equal(file_reader_read(reader, got.data, 1000, true, &why), 1000);
	struct store_gc_report report = collect(0, false);
	assert_true(report.volumes_compacted >= 1);
	assert_int_equal(file_reader_read(reader, got.data + 1000, got.length, true, &why), got.length - 1000);
	assert_memory_equal(got.data, many.bytes[0].data, got.length);
	file_reader_close(reader);
	free(got.data);
	free_many(&many);
}

static void a_cancelled_collection_stops_and_harms_nothing(void **state)
{
	(void)state;
	struct bytes bytes = bytes_random(100 * KIB, 10);
	struct upload_result pushed = push(&ada, &bytes);
	struct store_progress progress = { 0 };
	struct store_gc_report report;
	name(&ada, &pushed.file);
	progress.cancel = 1;
	assert_int_equal(store_gc(store, tell_roots, NULL, 0, false, &progress, &report, &why), ERR_CLOSED);
	assert_content(&pushed.file, &bytes);
	collect(0, false);
	assert_content(&pushed.file, &bytes);
	free(bytes.data);
}

/* ------------------------------------------------------------------ beside pushes */

enum { PUSHERS = 3, PUSHES = 14 };

/* Each pushes files that share chunks with the ones before, names most of them before its upload ends, as a commit does, and reads them back. */
struct pusher {
	pthread_t thread;
	uint64_t seed;
	int err;
	struct hash named[PUSHES];
	struct bytes bytes[PUSHES];
	size_t count;
};

static int read_back(const struct hash *file, const struct bytes *bytes)
{
	struct buffer out;
	buffer_init(&out, bytes->length);
	int err = store_file_read_all(store, file, &out, NULL);
	if (err == 0 && memcmp(out.data, bytes->data, bytes->length) != 0)
		err = ERR_CORRUPT;
	buffer_fini(&out);
	return err;
}

static int push_one(struct pusher *pusher, const struct bytes *bytes, bool keep, struct hash *file)
{
	struct upload *upload;
	struct upload_result out = { .length = 0 };
	int err = upload_open(&upload, store, &ada, NULL);
	if (err)
		return err;
	err = upload_file_begin(upload, bytes->length);
	if (err == 0)
		err = upload_file_write(upload, bytes->data, bytes->length, NULL);
	if (err == 0)
		err = upload_file_end(upload, &out, NULL);
	if (err == 0)
		err = upload_commit(upload, NULL);
	if (err == 0)
		err = store_claim_check(store, &ada, &out.file);
	if (err == 0 && keep)
		name(&ada, &out.file);
	upload_close(upload);
	*file = out.file;
	(void)pusher;
	return err;
}

static void *push_beside(void *argument)
{
	struct pusher *pusher = argument;
	struct bytes last = bytes_random(300 * KIB, pusher->seed % 2); /* two of the three push the same content */
	for (int i = 0; i < PUSHES && pusher->err == 0; i++) {
		struct hash file;
		bool keep = i % 3 != 0;
		last.data[random_next(&pusher->seed) % last.length] ^= 1;
		pusher->err = push_one(pusher, &last, keep, &file);
		if (keep && pusher->err == 0) {
			pusher->named[pusher->count] = file;
			pusher->bytes[pusher->count] = bytes_make(last.length);
			memcpy(pusher->bytes[pusher->count++].data, last.data, last.length);
		}
		for (size_t k = 0; k < pusher->count && pusher->err == 0; k++)
			pusher->err = read_back(&pusher->named[k], &pusher->bytes[k]);
	}
	free(last.data);
	return NULL;
}

struct collector {
	pthread_t thread;
	_Atomic bool stop;
	int err;
	int rounds;
	uint64_t dropped;
	struct why reason;
};

static void *collect_once(void *argument)
{
	struct collector *collector = argument;
	struct store_gc_report report;
	collector->err = store_gc(store, tell_roots, NULL, 0, false, NULL, &report, &collector->reason);
	collector->dropped += report.files_dropped;
	collector->rounds++;
	return NULL;
}

static void *collect_beside(void *argument)
{
	struct collector *collector = argument;
	while (!collector->stop && collector->err == 0)
		collect_once(collector);
	return NULL;
}

static void what_is_named_beside_collections_stays_whole(void **state)
{
	(void)state;
	struct pusher pushers[PUSHERS];
	struct collector collector = { .err = 0 };
	store_config.volume_bytes_max = 8 * MIB;
	reopen_store();
	assert_int_equal(pthread_create(&collector.thread, NULL, collect_beside, &collector), 0);
	for (size_t i = 0; i < PUSHERS; i++) {
		pushers[i] = (struct pusher){ .seed = i };
		assert_int_equal(pthread_create(&pushers[i].thread, NULL, push_beside, &pushers[i]), 0);
	}
	for (size_t i = 0; i < PUSHERS; i++)
		pthread_join(pushers[i].thread, NULL);
	collector.stop = true;
	pthread_join(collector.thread, NULL);
	if (collector.err)
		fail_msg("%s: %s", err_name(collector.err), collector.reason.text);
	assert_true(collector.rounds > 0);
	collect(0, false);
	assert_sound();
	for (size_t i = 0; i < PUSHERS; i++) {
		assert_int_equal(pushers[i].err, 0);
		for (size_t k = 0; k < pushers[i].count; k++) {
			assert_int_equal(store_claim_check(store, &ada, &pushers[i].named[k]), 0);
			assert_content(&pushers[i].named[k], &pushers[i].bytes[k]);
			free(pushers[i].bytes[k].data);
		}
	}
	struct store_stats before, after;
	store_stats(store, &before);
	after = recount();
	assert_same_counts(&before, &after);
}

/* Its name comes after the collection has begun. */
static void who_is_naming_is_waited_for(void **state)
{
	(void)state;
	for (int by_upload = 0; by_upload < 2; by_upload++) {
		struct bytes bytes = bytes_random(100 * KIB, 5 + (uint64_t)by_upload);
		struct collector collector = { .err = 0 };
		struct upload_entry naming;
		struct upload *upload = begin_upload(&ada);
		struct upload_result pushed = add_file(upload, &bytes);
		assert_ok(upload_commit(upload, &why));
		if (!by_upload) {
			upload_close(upload);
			store_naming_begin(store, &naming);
		}
		usleep(2000);
		assert_int_equal(pthread_create(&collector.thread, NULL, collect_once, &collector), 0);
		while (!store_is_collecting(store))
			usleep(1000);
		usleep(30 * 1000); /* long enough for one that does not wait */
		name(&ada, &pushed.file);
		if (by_upload)
			upload_close(upload); /* whoever brought it may name it until now */
		else
			store_naming_end(store, &naming);
		pthread_join(collector.thread, NULL);
		assert_int_equal(collector.err, 0);
		assert_int_equal(collector.dropped, 0);
		assert_int_equal(store_claim_check(store, &ada, &pushed.file), 0);
		assert_content(&pushed.file, &bytes);
		assert_false(store_is_collecting(store));
		free(bytes.data);
	}
}

/* ------------------------------------------------------------------ beside uploads whose bodies are still coming */

static struct upload *begin_file(uint64_t length)
{
	struct upload *upload = begin_upload(&ada);
	assert_int_equal(upload_file_begin(upload, length), 0);
	return upload;
}

static void write_some(struct upload *upload, const struct bytes *bytes, size_t from, size_t to)
{
	assert_ok(upload_file_write(upload, bytes->data + from, to - from, &why));
}

static struct hash end_file(struct upload *upload)
{
	struct upload_result result;
	assert_ok(upload_file_end(upload, &result, &why));
	assert_ok(upload_commit(upload, &why));
	name(&ada, &result.file);
	upload_close(upload);
	return result.file;
}

/* What an upload has found stored nothing else needs: it stays until the upload has ended. */
static void what_an_open_upload_leans_on_stays(void **state)
{
	(void)state;
	struct bytes bytes = bytes_random(3 * MIB, 61);
	struct bytes first = { bytes.data, 2 * MIB };
	push(&ada, &first);
	struct upload *upload = begin_file(bytes.length);
	write_some(upload, &bytes, 0, 2 * MIB - 1000);
	struct store_gc_report report = collect(0, false);
	assert_true(report.files_dropped == 1 && report.xorbs_dropped == 0 && report.xorbs_live == 1);
	write_some(upload, &bytes, 2 * MIB - 1000, bytes.length);
	assert_int_equal(collect(0, false).xorbs_dropped, 0);
	struct hash file = end_file(upload);
	assert_content(&file, &bytes);
	assert_int_equal(collect(0, false).xorbs_dropped, 0);
	assert_content(&file, &bytes);

	/* One that is given up holds nothing. */
	upload = begin_file(bytes.length);
	write_some(upload, &bytes, 0, bytes.length);
	roots.count = 0;
	assert_int_equal(collect(0, false).files_dropped, 1);
	upload_close(upload);
	assert_int_equal(collect(0, false).xorbs_live, 0);
	assert_sound();
	free(bytes.data);
}

/* What it has written itself, sealed or not, stays too, while what lies in volumes from before is moved and goes. */
static void what_an_open_upload_has_written_stays(void **state)
{
	(void)state;
	enum { BODY = 80 * MIB };
	struct many many;
	store_config.volume_bytes_max = 8 * MIB;
	reopen_store();
	push_many(&many);
	struct bytes bytes = bytes_random(BODY, 62);
	struct upload *upload = begin_file(BODY);
	struct store_stats before, after;
	size_t volumes = 0, xorbs = 0;
	for (size_t at = 0; at < BODY; at += 20 * MIB) {
		write_some(upload, &bytes, at, at + 20 * MIB);
		do
			store_stats(store, &before);
		while (at + 20 * MIB > OPEN_XORB_BYTES_MAX && before.xorbs == xorbs); /* until what it has sealed is in the index */
		xorbs = before.xorbs;
		struct store_gc_report report = collect(0, false);
		volumes += report.volumes_compacted;
		assert_int_equal(at ? report.files_dropped : 0, 0);
	}
	assert_true(volumes > 0);
	assert_survivors(&many);
	struct hash file = end_file(upload);
	assert_content(&file, &bytes);
	collect(0, false);
	assert_content(&file, &bytes);
	store_stats(store, &before);
	after = recount();
	assert_same_counts(&before, &after);
	assert_content(&file, &bytes);
	assert_sound();
	free(bytes.data);
	free_many(&many);
}

static void a_run_of_chunks_of_one_xorb_is_remembered_once(void **state)
{
	(void)state;
	struct hash xorbs[2] = { { .bytes = { 1 } }, { .bytes = { 2 } } };
	struct leans leans;
	leans_init(&leans);
	for (int i = 0; i < 8000; i++)
		assert_true(leans_add(&leans, &xorbs[i / 4000]));
	assert_int_equal(leans.count, 2);
	assert_true(hash_equal(&leans.xorbs[0], &xorbs[0]) && hash_equal(&leans.xorbs[1], &xorbs[1]));
	leans_fini(&leans);
}

static void forget_names(void)
{
	pthread_mutex_lock(&roots.lock);
	roots.count = 0;
	pthread_mutex_unlock(&roots.lock);
}

/* Slow uploads that lean on what is being dropped, at any moment. */
static void slow_uploads_beside_collections_stay_whole(void **state)
{
	(void)state;
	enum { ROUNDS = 40, SLICE = 64 * KIB };
	struct collector collector = { .err = 0 };
	store_config.volume_bytes_max = 8 * MIB;
	reopen_store();
	assert_int_equal(pthread_create(&collector.thread, NULL, collect_beside, &collector), 0);
	uint64_t seed = 63;
	struct bytes bytes = bytes_random(1536 * KIB, 64);
	struct hash last = { 0 };
	for (int i = 0; i < ROUNDS; i++) {
		struct upload *upload = begin_file(bytes.length);
		bytes.data[random_next(&seed) % bytes.length] ^= 1; /* leans on most of what the one before brought, which nothing names */
		for (size_t at = 0; at < bytes.length; at += SLICE) {
			write_some(upload, &bytes, at, at + SLICE);
			if (random_next(&seed) % 4 == 0)
				usleep(1000);
		}
		if (i % 3 == 0)
			forget_names();
		last = end_file(upload);
		assert_content(&last, &bytes);
	}
	collector.stop = true;
	pthread_join(collector.thread, NULL);
	if (collector.err)
		fail_msg("%s: %s", err_name(collector.err), collector.reason.text);
	assert_true(collector.rounds > ROUNDS / 4 && collector.dropped > 0);
	assert_content(&last, &bytes);
	assert_sound();
	free(bytes.data);
}

/* ------------------------------------------------------------------ claims of one owner */

struct told {
	uint64_t count, bytes;
	int answer;
};

static int tell(void *context, const struct file_info *file, int64_t claimed_ms)
{
	struct told *told = context;
	assert_true(claimed_ms > 0);
	told->count++;
	told->bytes += file->length;
	return told->answer;
}

static struct store_owner_gc_report collect_of(const struct entity_id *owner, int64_t grace_ms, bool dry_run, struct told *told)
{
	struct store_owner_gc_report report;
	usleep(2000);
	assert_ok(store_gc_owner(store, owner, tell_roots, NULL, grace_ms, dry_run, tell, told, NULL, &report, &why));
	return report;
}

static void one_owner_lets_go_of_what_its_names_do_not_need(void **state)
{
	(void)state;
	struct bytes kept = bytes_random(70 * KIB, 21), gone = bytes_random(60 * KIB, 22);
	struct upload_result named = push(&ada, &kept), loose = push(&ada, &gone);
	push(&bob, &gone);
	name(&ada, &named.file);
	struct told told = { 0 };
	/* Young ones stay, a dry run and whoever says so keep everything. */
	assert_int_equal(collect_of(&ada, DAY_MS, false, &told).claims_dropped, 0);
	assert_int_equal(told.count, 0);
	assert_int_equal(collect_of(&ada, 0, true, &told).claims_dropped, 1);
	told.answer = 1;
	assert_int_equal(collect_of(&ada, 0, false, &told).claims_dropped, 0);
	assert_int_equal(told.count, 2);
	assert_int_equal(store_claim_check(store, &ada, &loose.file), 0);

	told = (struct told){ 0 };
	struct store_owner_gc_report report = collect_of(&ada, 0, false, &told);
	assert_true(report.claims_kept == 1 && report.claims_dropped == 1 && report.bytes_dropped == gone.length);
	assert_true(told.count == 1 && told.bytes == gone.length);
	assert_int_equal(store_claim_check(store, &ada, &loose.file), ERR_NOT_FOUND);
	/* Others are not touched, though no name of theirs was told, and no file goes. */
	assert_int_equal(store_claim_check(store, &bob, &loose.file), 0);
	assert_content(&loose.file, &gone);
	assert_content(&named.file, &kept);
	assert_usage(&ada, 1, kept.length);
	assert_sound();
	/* It may be claimed again. */
	assert_ok(store_claim(store, &ada, &loose.file, &why));
	free(kept.data);
	free(gone.data);
}

static void one_owner_lets_go_of_nothing_when_its_names_cannot_be_read(void **state)
{
	(void)state;
	struct bytes bytes = bytes_random(10 * KIB, 23);
	struct upload_result pushed = push(&ada, &bytes);
	struct store_owner_gc_report report;
	struct told told = { 0 };
	usleep(2000);
	assert_int_equal(store_gc_owner(store, &ada, refuse_roots, NULL, 0, false, tell, &told, NULL, &report, &why), ERR_IO);
	told.answer = ERR_NO_MEMORY;
	assert_int_equal(store_gc_owner(store, &ada, tell_roots, NULL, 0, false, tell, &told, NULL, &report, &why), ERR_NO_MEMORY);
	assert_int_equal(store_claim_check(store, &ada, &pushed.file), 0);
	free(bytes.data);
}

static bool see_bob(void *context, const struct entity_id *owner)
{
	++*(int *)context;
	return memcmp(owner, &bob, sizeof(bob)) == 0;
}

static void a_digest_leads_to_a_file_of_an_owner_who_may_be_seen(void **state)
{
	(void)state;
	struct bytes hidden = bytes_random(10 * KIB, 24), shown = bytes_random(11 * KIB, 25);
	struct upload_result of_ada = push(&ada, &hidden), of_both = push(&ada, &shown);
	push(&bob, &shown);
	struct file_info info;
	int asked = 0;
	assert_int_equal(store_file_by_sha256_seen(store, &of_ada.sha256, see_bob, &asked, &info), ERR_NOT_FOUND);
	assert_int_equal(asked, 1);
	assert_int_equal(store_file_by_sha256_seen(store, &of_both.sha256, see_bob, &asked, &info), 0);
	assert_true(hash_equal(&info.file, &of_both.file) && info.sha256_verified && info.length == shown.length);
	free(hidden.data);
	free(shown.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up_roots, tear_down)
		TEST(what_is_named_stays_and_the_rest_goes),
		TEST(what_begins_as_a_part_does_stays),
		TEST(what_is_young_stays),
		TEST(a_dry_run_tells_what_would_go_and_changes_nothing),
		TEST(names_that_cannot_be_read_drop_nothing),
		TEST(a_claim_goes_alone_while_another_owner_needs_the_file),
		TEST(shared_chunks_stay_while_one_file_lives),
		TEST(what_went_can_be_pushed_again),
		TEST(compaction_gives_room_back_and_keeps_what_lives),
		TEST(an_index_made_anew_after_compaction_says_the_same),
		TEST(nothing_comes_back_when_the_index_is_made_anew),
		TEST(a_reader_outlives_the_volume_it_reads),
		TEST(a_cancelled_collection_stops_and_harms_nothing),
		TEST(what_is_named_beside_collections_stays_whole),
		TEST(who_is_naming_is_waited_for),
		TEST(what_an_open_upload_leans_on_stays),
		TEST(what_an_open_upload_has_written_stays),
		TEST(a_run_of_chunks_of_one_xorb_is_remembered_once),
		TEST(slow_uploads_beside_collections_stay_whole),
		TEST(one_owner_lets_go_of_what_its_names_do_not_need),
		TEST(one_owner_lets_go_of_nothing_when_its_names_cannot_be_read),
		TEST(a_digest_leads_to_a_file_of_an_owner_who_may_be_seen),
	};
	return cmocka_run_group_tests_name("gc", tests, NULL, NULL);
}
