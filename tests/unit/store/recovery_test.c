/* What a store is after it ended badly: whatever was acknowledged is there, whatever is damaged is named, nothing else is made up. */
#include "tests/unit/store/store_fixture.h"

#include <dirent.h>

#include "schemas/little_endian.h"
#include "schemas/volume_record.h"
#include "store/core.h"
#include "store/index.h"

enum { FILES = 12, KIB = 1 << 10 };

static struct bytes files[FILES];
static struct upload_result pushed[FILES];

static void push_files(size_t first, size_t count)
{
	for (size_t i = first; i < first + count; i++) {
		files[i] = bytes_random(3000 + i * 40000, 100 + i);
		pushed[i] = push(i % 2 ? &ada : &bob, &files[i]);
	}
}

static void assert_files(size_t first, size_t count)
{
	for (size_t i = first; i < first + count; i++) {
		assert_int_equal(store_claim_check(store, i % 2 ? &ada : &bob, &pushed[i].file), 0);
		assert_content(&pushed[i].file, &files[i]);
	}
}

static int tear_down_files(void **state)
{
	for (size_t i = 0; i < FILES; i++) {
		free(files[i].data);
		files[i] = (struct bytes){ 0 };
	}
	return tear_down(state);
}

/* ------------------------------------------------------------------ volumes on disk */

static void volume_path(char out[128], uint32_t id)
{
	snprintf(out, 128, "%s/volumes/%08x.vol", store_dir, id);
}

static struct bytes read_volume(uint32_t id)
{
	char path[128];
	struct stat status;
	volume_path(path, id);
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0 && fstat(fd, &status) == 0);
	struct bytes out = bytes_make((size_t)status.st_size);
	assert_int_equal(pread(fd, out.data, out.length, 0), out.length);
	close(fd);
	return out;
}

static void write_volume(uint32_t id, const void *data, size_t length)
{
	char path[128];
	volume_path(path, id);
	int fd = open(path, O_WRONLY | O_TRUNC);
	assert_true(fd >= 0 && pwrite(fd, data, length, 0) == (ssize_t)length);
	close(fd);
}

static void flip_bit(uint32_t id, uint64_t offset)
{
	char path[128];
	uint8_t byte;
	volume_path(path, id);
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0 && pread(fd, &byte, 1, (off_t)offset) == 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
	close(fd);
}

/* Where the last record of that kind begins that begins before `before`; 0: there is none. */
static uint64_t find_record(const struct bytes *volume, uint8_t kind, uint64_t before, struct volume_record *out)
{
	struct volume_head head;
	uint64_t found = 0;
	assert_int_equal(volume_head_decode(&head, volume->data), 0);
	for (uint64_t at = VOLUME_BLOCK_BYTES; at + VOLUME_RECORD_HEADER_BYTES <= volume->length && at < before;) {
		struct volume_record record;
		if (volume_record_decode(&record, volume->data + at, head.id, at, head.salt) != 0) {
			at = volume_align(at + 1, VOLUME_BLOCK_BYTES);
			continue;
		}
		if (record.kind == kind) {
			found = at;
			*out = record;
		}
		at += volume_record_bytes(record.payload_length);
	}
	return found;
}

/* A process of its own pushes and then goes without a word: what the store had in memory is not written down. */
static int push_and_crash(const char *dir)
{
	snprintf(store_dir, sizeof(store_dir), "%s", dir);
	configure_store();
	push_files(4, 4);
	_exit(0);
}

static void let_another_process_push_and_crash(void)
{
	close_store();
	pid_t child = fork();
	if (child == 0) {
		execl("/proc/self/exe", "recovery_test", "push-and-crash", store_dir, (char *)NULL);
		_exit(127);
	}
	int status;
	assert_true(child > 0 && waitpid(child, &status, 0) == child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	open_store();
}

/* ------------------------------------------------------------------ opening again */

static void what_was_pushed_is_there_after_closing(void **state)
{
	(void)state;
	struct store_stats before, after;
	push_files(0, 4);
	store_stats(store, &before);
	reopen_store();
	store_stats(store, &after);
	assert_same_counts(&before, &after);
	assert_files(0, 4);
	push_files(4, 2);
	reopen_store();
	assert_files(0, 6);
	assert_sound();
}

static void opening_and_closing_changes_no_volume(void **state)
{
	(void)state;
	push_files(0, 3);
	close_store();
	struct bytes before = read_volume(1);
	for (int i = 0; i < 3; i++) {
		open_store();
		close_store();
	}
	struct bytes after = read_volume(1);
	assert_int_equal(after.length, before.length);
	assert_memory_equal(after.data, before.data, before.length);
	open_store();
	free(before.data);
	free(after.data);
}

static void what_was_acknowledged_survives_a_crash(void **state)
{
	(void)state;
	push_files(0, 4);
	let_another_process_push_and_crash();
	for (size_t i = 4; i < 8; i++) { /* the same again: known */
		files[i] = bytes_random(3000 + i * 40000, 100 + i);
		pushed[i] = push(i % 2 ? &ada : &bob, &files[i]);
		assert_int_equal(pushed[i].new_bytes, 0);
	}
	assert_files(0, 8);
	assert_sound();
}

/* A copy taken while the store is open: volumes first, as a disk would have them, and an index from any time before. */
static void a_copy_of_an_open_store_holds_all_that_was_acknowledged(void **state)
{
	(void)state;
	char from[128], to[128], other[sizeof(store_dir)];
	push_files(0, 3);
	snprintf(other, sizeof(other), "%s", store_dir);
	strcat(other, "-copy");
	assert_int_equal(mkdir(other, 0700), 0);
	snprintf(from, sizeof(from), "%s/index", store_dir);
	snprintf(to, sizeof(to), "%s/index", other);
	copy_tree(from, to);
	push_files(3, 3);
	snprintf(from, sizeof(from), "%s/volumes", store_dir);
	snprintf(to, sizeof(to), "%s/volumes", other);
	copy_tree(from, to);
	struct store *original = store;
	store_config.dir = other;
	open_store();
	assert_files(0, 6);
	assert_sound();
	close_store();
	remove_tree(other);
	store_config.dir = store_dir;
	store = original;
}

/* The claims of more owners than an index batch counts at a time, and behind them what is said again of the last of them. */
static void a_group_of_many_owners_counts_what_is_said_twice_once(void **state)
{
	(void)state;
	enum { FEW = 60, MANY = 70 };
	static uint8_t payloads[MANY + 1][CLAIM_RECORD_BYTES];
	struct journal_record records[MANY + 3];
	struct store_stats before, after;
	push_files(0, 1);
	struct claim_record claim = { .file = pushed[0].file, .claimed_ms = store_now_ms(), .length = files[0].length };
	for (size_t owners = FEW; owners <= MANY; owners++) {
		for (size_t i = 0; i < owners; i++) {
			memset(&claim.owner, 0, sizeof(claim.owner));
			snprintf((char *)claim.owner.bytes, ENTITY_ID_BYTES, "o%zu/%zu", owners, i);
			claim_record_encode(payloads[i], &claim);
			records[i] = (struct journal_record){ VOLUME_CLAIM, span_of(payloads[i], CLAIM_RECORD_BYTES) };
		}
		/* Claimed again, dropped, and claimed again. */
		struct drop_record drop = { .kind = VOLUME_CLAIM, .hash = claim.file, .owner = claim.owner };
		drop_record_encode(payloads[owners], &drop);
		records[owners] = records[owners + 2] = records[owners - 1];
		records[owners + 1] = (struct journal_record){ VOLUME_DROP, span_of(payloads[owners], DROP_RECORD_BYTES) };
		assert_int_equal(journal_commit(store->journal, records, owners + 3, &why), 0);
		assert_usage(&claim.owner, 1, files[0].length);
	}
	store_stats(store, &before);
	after = recount();
	assert_same_counts(&before, &after);
	assert_usage(&claim.owner, 1, files[0].length);
}

static void an_index_that_is_gone_is_made_again(void **state)
{
	(void)state;
	struct store_stats before, after;
	push_files(0, 6);
	store_stats(store, &before);
	after = recount();
	assert_same_counts(&before, &after);
	assert_files(0, 6);
	assert_sound();
}

static void an_index_that_cannot_be_opened_is_made_again(void **state)
{
	(void)state;
	char path[128];
	push_files(0, 3);
	close_store();
	snprintf(path, sizeof(path), "%s/index/CURRENT", store_dir);
	int fd = open(path, O_WRONLY | O_TRUNC);
	assert_true(fd >= 0 && write(fd, "nonsense\n", 9) == 9);
	close(fd);
	open_store();
	assert_files(0, 3);
}

/* The beginning of each large table of the index, where the entries are that sort first. */
static void flip_tables(void)
{
	char dir[128], path[512];
	snprintf(dir, sizeof(dir), "%s/index", store_dir);
	DIR *entries = opendir(dir);
	assert_non_null(entries);
	for (struct dirent *entry; (entry = readdir(entries));) {
		uint8_t byte;
		if (!strstr(entry->d_name, ".sst"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		int fd = open(path, O_RDWR);
		assert_true(fd >= 0 && pread(fd, &byte, 1, 100) == 1);
		byte ^= 0x10;
		if (lseek(fd, 0, SEEK_END) > 16 * KIB)
			assert_true(pwrite(fd, &byte, 1, 100) == 1);
		close(fd);
	}
	closedir(entries);
}

static void note_damage(void *context, const char *what)
{
	assert_non_null(strstr(what, "Corruption"));
	*(bool *)context = true;
}

static void a_damaged_index_is_noticed_when_it_is_read_and_made_again(void **state)
{
	(void)state;
	uint8_t key[4] = { 0 }, value[100];
	char path[128];
	struct buffer found;
	struct index *index;
	bool noticed = false;
	buffer_init(&found, 256);
	push_files(0, 3);
	for (uint32_t i = 0; i < 10000; i++) { /* entries of nobody that sort before all others, more than a block of them */
		le_write_u32(key, i);
		memset(value, (int)(i * 2654435761u >> 24), sizeof(value));
		assert_ok(index_put_raw(store->index, &(struct index_raw){ 'A', span_of(key, sizeof(key)), span_of(value, sizeof(value)) }, 1));
	}
	close_store();
	flip_tables();
	snprintf(path, sizeof(path), "%s/index", store_dir);
	assert_ok(index_open(&index, path, 1 << 20, &why));
	index_when_damaged(index, note_damage, &noticed);
	le_write_u32(key, 0);
	assert_int_equal(index_get_raw(index, 'A', span_of(key, sizeof(key)), &found), ERR_CORRUPT);
	assert_true(noticed);
	index_close(index);

	/* What a store leaves behind that has met such damage and stopped. */
	snprintf(path, sizeof(path), "%s/index-damaged", store_dir);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0 && close(fd) == 0);
	open_store();
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(index_get_raw(store->index, 'A', span_of(key, sizeof(key)), &found), ERR_NOT_FOUND);
	assert_files(0, 3);
	buffer_fini(&found);
}

static void an_index_of_another_version_is_made_again(void **state)
{
	(void)state;
	char dir[128];
	struct index *index;
	struct store_stats before, after;
	push_files(0, 3);
	store_stats(store, &before);
	close_store();
	snprintf(dir, sizeof(dir), "%s/index", store_dir);
	assert_ok(index_open(&index, dir, 1 << 20, &why));
	assert_int_equal(index_drop_raw(index, 'v', span_of(NULL, 0)), 0);
	index_close(index);
	open_store();
	assert_files(0, 3);
	store_stats(store, &after);
	assert_same_counts(&before, &after);
}

static void a_store_that_is_open_cannot_be_opened_again(void **state)
{
	(void)state;
	struct store *second = NULL;
	struct store_fsck_report report;
	assert_int_equal(store_open(&second, &store_config, &why), ERR_BUSY);
	assert_int_equal(store_fsck(&store_config, false, NULL, NULL, NULL, &report, &why), ERR_BUSY);
}

/* ------------------------------------------------------------------ torn tails */

static void garbage_behind_the_last_record_is_cut_off(void **state)
{
	(void)state;
	static const size_t lengths[] = { 1, 63, 64, 4096, 100000 };
	push_files(0, 3);
	close_store();
	struct bytes good = read_volume(1);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct bytes bad = bytes_random(good.length + lengths[i], i);
		memcpy(bad.data, good.data, good.length);
		write_volume(1, bad.data, bad.length);
		open_store();
		assert_files(0, 3);
		push_files(3, 1);
		assert_files(0, 4);
		assert_sound();
		close_store();
		write_volume(1, good.data, good.length);
		remove_index();
		free(bad.data);
		free(files[3].data);
		files[3].data = NULL;
	}
	open_store();
	assert_files(0, 3);
	free(good.data);
}

/* Cut anywhere in the group of the last push: all before is there; what is torn is not, or is whole. */
static void a_torn_last_group_takes_nothing_else_with_it(void **state)
{
	(void)state;
	push_files(0, 2);
	close_store();
	struct bytes before = read_volume(1);
	open_store();
	files[2] = bytes_random(2500, 77); /* tail fragment, xorb, file, claim */
	pushed[2] = push(&bob, &files[2]);
	close_store();
	struct bytes after = read_volume(1);
	assert_true(after.length > before.length);
	for (size_t cut = before.length; cut < after.length; cut += cut - before.length < 3000 ? 101 : 67) {
		write_volume(1, after.data, cut);
		remove_index();
		open_store();
		assert_files(0, 2);
		struct file_info info;
		if (store_file_info(store, &pushed[2].file, &info) == 0)
			assert_content(&pushed[2].file, &files[2]);
		close_store();
	}
	write_volume(1, after.data, after.length);
	remove_index();
	open_store();
	assert_files(0, 3);
	free(before.data);
	free(after.data);
}

/* What a later write needs to be found: a group behind one that never got to the disk. */
static void a_hole_of_zeros_hides_nothing_behind_it(void **state)
{
	(void)state;
	push_files(0, 1);
	close_store();
	struct bytes before = read_volume(1);
	open_store();
	push_files(1, 1);
	close_store();
	struct bytes middle = read_volume(1);
	open_store();
	push_files(2, 1);
	close_store();
	struct bytes after = read_volume(1);
	memset(after.data + before.length, 0, middle.length - before.length);
	write_volume(1, after.data, after.length);
	remove_index();
	open_store();
	struct file_info info;
	assert_files(0, 1);
	assert_files(2, 1);
	assert_int_equal(store_file_info(store, &pushed[1].file, &info), ERR_NOT_FOUND);
	free(before.data);
	free(middle.data);
	free(after.data);
}

static void a_volume_whose_making_was_cut_short_is_no_obstacle(void **state)
{
	(void)state;
	char path[128];
	push_files(0, 2);
	close_store();
	volume_path(path, 2);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	close(fd);
	open_store();
	assert_files(0, 2);
	push_files(2, 1);
	reopen_store();
	assert_files(0, 3);
	assert_sound();
}

/* ------------------------------------------------------------------ damage */

/* Where the bytes of a stored file of one fragment lie. */
static uint64_t some_chunk_byte(void)
{
	struct bytes volume = read_volume(1);
	struct volume_record record;
	uint64_t at = find_record(&volume, VOLUME_FRAGMENT, UINT64_MAX, &record);
	assert_true(at > 0);
	free(volume.data);
	return at + VOLUME_RECORD_HEADER_BYTES + 1000;
}

static void a_flipped_bit_is_never_handed_out(void **state)
{
	(void)state;
	char place[64];
	push_files(0, 2);
	close_store();
	uint64_t at = some_chunk_byte();
	flip_bit(1, at);
	open_store();
	assert_damaged(&pushed[1].file, files[1].length);
	snprintf(place, sizeof(place), "volume %08x at %llu", 1, (unsigned long long)(at - 1000));
	if (!strstr(why.text, place))
		fail_msg("\"%s\" does not name %s", why.text, place);
	assert_content(&pushed[0].file, &files[0]);
}

static void scrub_and_fsck_name_what_is_damaged(void **state)
{
	(void)state;
	struct store_scrub_report scrubbed;
	struct store_fsck_report checked;
	push_files(0, 2);
	findings_count = 0;
	assert_ok(store_scrub(store, NULL, on_finding, NULL, &scrubbed, &why));
	assert_true(findings_count == 0 && scrubbed.corrupt == 0 && scrubbed.records >= 8 && scrubbed.bytes > files[1].length);
	close_store();
	flip_bit(1, some_chunk_byte());
	open_store();
	assert_ok(store_scrub(store, NULL, on_finding, NULL, &scrubbed, &why));
	assert_int_equal(scrubbed.corrupt, 1);
	assert_int_equal(findings_count, 1);
	assert_non_null(strstr(finding_text, "volume 00000001 at "));
	assert_true(check_store(false, &checked) >= 1 && checked.corrupt >= 1);
	assert_non_null(strstr(finding_text, "volume 00000001 at "));
	assert_content(&pushed[0].file, &files[0]);
}

static void damage_the_second_file(void)
{
	push_files(0, 2);
	close_store();
	flip_bit(1, some_chunk_byte());
	open_store();
}

/* The first to notice is a reader or a scrub, or an earlier process that had noticed. */
static void what_is_damaged_is_whole_again_once_it_is_sent_again(void **state)
{
	(void)state;
	struct file_info info;
	struct store_scrub_report scrubbed;
	struct store_fsck_report checked;
	for (int way = 0; way < 3; way++) {
		if (way)
			tear_down_files(state), set_up(state);
		damage_the_second_file();
		if (way == 1)
			assert_ok(store_scrub(store, NULL, on_finding, NULL, &scrubbed, &why));
		else
			assert_damaged(&pushed[1].file, files[1].length);
		if (way == 2)
			reopen_store();
		assert_ok(store_file_by_sha256(store, &ada, &pushed[1].sha256, &info));
		assert_true(info.is_damaged);
		struct upload_result again = push(&bob, &files[1]);
		assert_true(hash_equal(&again.file, &pushed[1].file) && again.new_bytes == files[1].length);
		assert_ok(store_file_by_sha256(store, &ada, &pushed[1].sha256, &info));
		assert_false(info.is_damaged);
		assert_files(0, 2);
		reopen_store();
		assert_files(0, 2);
		assert_ok(store_scrub(store, NULL, on_finding, NULL, &scrubbed, &why));
		assert_int_equal(scrubbed.corrupt, 0);
		close_store();
		remove_index();
		open_store();
		assert_files(0, 2);
		assert_int_equal(push(&bob, &files[1]).new_bytes, 0);
		check_store(false, &checked);
		assert_int_equal(checked.missing, 0);
	}
}

static void a_damaged_record_is_named_and_loses_itself_alone(void **state)
{
	(void)state;
	struct volume_record record;
	struct store_fsck_report checked;
	push_files(0, 3);
	close_store();
	struct bytes volume = read_volume(1);
	uint64_t last = find_record(&volume, VOLUME_CLAIM, UINT64_MAX, &record), middle = find_record(&volume, VOLUME_CLAIM, last, &record);
	flip_bit(1, middle + VOLUME_RECORD_HEADER_BYTES + 3);
	remove_index();
	open_store();
	assert_files(0, 1);
	assert_files(2, 1);
	assert_int_equal(store_claim_check(store, &ada, &pushed[1].file), ERR_NOT_FOUND);
	assert_content(&pushed[1].file, &files[1]);
	assert_int_equal(check_store(false, &checked), 1);
	assert_non_null(strstr(finding_text, "volume 00000001 at "));
	free(volume.data);
}

static void a_xorb_whose_bytes_are_missing_is_left_out(void **state)
{
	(void)state;
	enum { LARGE = 9 }; /* its body goes to disk before its record */
	struct volume_record record;
	struct store_fsck_report checked;
	struct store_stats stats;
	push_files(0, 2);
	push_files(LARGE, 1);
	close_store();
	struct bytes volume = read_volume(1);
	uint64_t at = find_record(&volume, VOLUME_FRAGMENT, UINT64_MAX, &record);
	assert_true(record.payload_length > files[LARGE].length);
	memset(volume.data + at, 0, volume_record_bytes(record.payload_length)); /* written, never synced */
	write_volume(1, volume.data, volume.length);
	remove_index();
	open_store();
	store_stats(store, &stats);
	assert_int_equal(stats.xorbs, 2);
	assert_files(0, 2);
	assert_damaged(&pushed[LARGE].file, files[LARGE].length);
	assert_true(check_store(false, &checked) >= 1);
	assert_int_equal(checked.missing, 1);
	struct upload_result again = push(&ada, &files[LARGE]); /* it can be brought again */
	assert_int_equal(again.new_bytes, files[LARGE].length);
	assert_files(0, 2);
	assert_files(LARGE, 1);
	free(volume.data);
}

static bool is_asked_for(size_t file)
{
	struct file_info info;
	int err = store_file_by_sha256(store, NULL, &pushed[file].sha256, &info);
	assert_true(err == 0 || err == ERR_NOT_FOUND);
	return err == ERR_NOT_FOUND || info.is_damaged;
}

static void flip_in_newest_xorb_record(void)
{
	struct volume_record record;
	struct bytes volume = read_volume(1);
	uint64_t at = find_record(&volume, VOLUME_XORB, UINT64_MAX, &record);
	flip_bit(1, at + VOLUME_RECORD_HEADER_BYTES + record.payload_length / 2);
	free(volume.data);
}

/* The record of its file is whole. Whoever makes the index anew, the damage must not be forgotten. */
static void a_xorb_whose_record_is_lost_with_the_index_is_asked_for_again(void **state)
{
	(void)state;
	for (int by_fsck = 0; by_fsck < 2; by_fsck++) {
		struct store_fsck_report checked;
		size_t lost = 9 + (size_t)by_fsck;
		push_files(0, 2);
		push_files(lost, 1);
		close_store();
		flip_in_newest_xorb_record();
		if (!by_fsck)
			remove_index();
		open_store();
		if (by_fsck)
			assert_true(check_store(true, &checked) >= 1 && checked.missing >= 1);
		assert_ok(store_note_absent(store, &why));
		assert_true(is_asked_for(lost));
		assert_false(is_asked_for(0) || is_asked_for(1));
		reopen_store();
		assert_ok(store_note_absent(store, &why));
		assert_true(is_asked_for(lost));
		push(&ada, &files[lost]);
		assert_false(is_asked_for(lost));
		assert_files(0, 2);
		assert_files(lost, 1);
		for (size_t i = 0; i < FILES; i++)
			free(files[i].data), files[i].data = NULL;
	}
}

static void remove_volume(uint32_t id)
{
	char path[128];
	volume_path(path, id);
	assert_int_equal(unlink(path), 0);
}

/* A few files of one volume, whose successor has others: the index knows all of them. */
static void a_volume_that_is_not_there_is_missed(void **state)
{
	(void)state;
	struct store_scrub_report scrubbed;
	struct store_fsck_report checked;
	struct store_damage damage;
	push_files(0, 2);
	volumes_roll(store->volumes);
	push_files(2, 2);
	remove_volume(1);
	assert_true(check_store(false, &checked) >= 2);
	assert_true(checked.missing >= 2);
	assert_true(is_asked_for(0) && is_asked_for(1));
	assert_false(is_asked_for(2) || is_asked_for(3));
	assert_ok(store_scrub(store, NULL, NULL, NULL, &scrubbed, &why));
	assert_true(scrubbed.corrupt >= 4);       /* two records of files, two xorbs */
	assert_int_equal(scrubbed.repaired, 2);   /* those of files, from the index */
	store_damage(store, &damage);
	assert_true(damage.files == 0 && damage.xorbs == 2);
	for (size_t i = 0; i < 2; i++)
		push(i % 2 ? &ada : &bob, &files[i]);
	assert_files(0, 4);
	reopen_store(); /* nothing lies there any more */
	store_damage(store, &damage);
	assert_true(damage.files == 0 && damage.xorbs == 0);
	assert_ok(store_scrub(store, NULL, NULL, NULL, &scrubbed, &why));
	assert_int_equal(scrubbed.corrupt, 0);
	assert_sound();
}

static void a_scrub_finds_the_xorb_whose_record_is_damaged(void **state)
{
	(void)state;
	enum { LARGE = 9 };
	struct store_scrub_report scrubbed;
	push_files(0, 2);
	push_files(LARGE, 1);
	assert_files(LARGE, 1); /* what is remembered of the record does not hide it */
	close_store();
	flip_in_newest_xorb_record();
	open_store();
	assert_false(is_asked_for(LARGE)); /* nobody knows yet */
	findings_count = 0;
	assert_ok(store_scrub(store, NULL, on_finding, NULL, &scrubbed, &why));
	assert_int_equal(scrubbed.corrupt, 1); /* one place, though both the record and its xorb are named */
	assert_int_equal(findings_count, 2);
	assert_true(is_asked_for(LARGE));
	push(&ada, &files[LARGE]);
	assert_false(is_asked_for(LARGE));
	assert_files(0, 2);
	assert_files(LARGE, 1);
}

static void a_volume_with_a_broken_head_is_named(void **state)
{
	(void)state;
	struct store_fsck_report checked;
	push_files(0, 2);
	close_store();
	flip_bit(1, 20);
	open_store();
	uint8_t byte;
	assert_true(try_read(&pushed[0].file, 0, 1, &byte, 1, 1) < 0);
	assert_true(check_store(true, &checked) >= 1);
	files[2] = bytes_random(1000, 9);
	pushed[2] = push(&bob, &files[2]);
	reopen_store();
	assert_files(2, 1);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "push-and-crash") == 0)
		return push_and_crash(argv[2]);
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down_files)
		TEST(what_was_pushed_is_there_after_closing),
		TEST(opening_and_closing_changes_no_volume),
		TEST(what_was_acknowledged_survives_a_crash),
		TEST(a_copy_of_an_open_store_holds_all_that_was_acknowledged),
		TEST(a_group_of_many_owners_counts_what_is_said_twice_once),
		TEST(an_index_that_is_gone_is_made_again),
		TEST(an_index_that_cannot_be_opened_is_made_again),
		TEST(a_damaged_index_is_noticed_when_it_is_read_and_made_again),
		TEST(an_index_of_another_version_is_made_again),
		TEST(a_store_that_is_open_cannot_be_opened_again),
		TEST(garbage_behind_the_last_record_is_cut_off),
		TEST(a_torn_last_group_takes_nothing_else_with_it),
		TEST(a_hole_of_zeros_hides_nothing_behind_it),
		TEST(a_volume_whose_making_was_cut_short_is_no_obstacle),
		TEST(a_flipped_bit_is_never_handed_out),
		TEST(scrub_and_fsck_name_what_is_damaged),
		TEST(what_is_damaged_is_whole_again_once_it_is_sent_again),
		TEST(a_damaged_record_is_named_and_loses_itself_alone),
		TEST(a_xorb_whose_bytes_are_missing_is_left_out),
		TEST(a_xorb_whose_record_is_lost_with_the_index_is_asked_for_again),
		TEST(a_volume_that_is_not_there_is_missed),
		TEST(a_scrub_finds_the_xorb_whose_record_is_damaged),
		TEST(a_volume_with_a_broken_head_is_named),
	};
	return cmocka_run_group_tests_name("recovery", tests, NULL, NULL);
}
