/* Bitmaps of cached repositories: there when they are worth it, right while packs come and go, thrown away when they are not what they were. */
#include "git_cache_fixture.h"

#include <time.h>

#include "gateway/git/compaction.h"

enum { MANY = 2600, WAIT_S = 120 };

/* One commit of many files, whose paths begin with `prefix`. */
static struct oid commit_many(const char *prefix)
{
	struct commit_draft *draft;
	struct why why = { 0 };
	struct oid oid;
	struct commit_author author = { .name = "ada", .email = "ada@example.org", .when_ms = 1700000000000 };
	assert_int_equal(commit_draft_open(&draft, &gateway, &repo, "refs/heads/main", NULL, &why), 0);
	for (int i = 0; i < MANY; i++) {
		char path[64], text[64];
		struct upload_result result;
		snprintf(path, sizeof(path), "%s/%d/%d", prefix, i % 20, i);
		int length = snprintf(text, sizeof(text), "%s %d", prefix, i);
		struct upload *upload = commit_draft_upload(draft);
		assert_int_equal(upload_file_begin(upload, (uint64_t)length), 0);
		assert_int_equal(upload_want_git_oid(upload, (uint64_t)length), 0);
		assert_int_equal(upload_file_write(upload, text, (size_t)length, &why), 0);
		assert_int_equal(upload_file_end(upload, &result, &why), 0);
		assert_int_equal(commit_draft_file(draft, span_text(path), &result, &why), 0);
	}
	assert_int_equal(commit_draft_finish(draft, "ada", &author, span_text(prefix), span_text(""), &oid, &why), 0);
	commit_draft_close(draft);
	return oid;
}

static void wait_for_bitmaps(uint64_t count)
{
	for (int i = 0; i < WAIT_S * 20 && stats().bitmaps < count && stats().bitmaps_failed == 0; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 50 * 1000000L }, NULL);
	assert_int_equal(stats().bitmaps_failed, 0);
	assert_int_equal(stats().bitmaps, count);
}

/* git opens them, `covered` has one of its own, and what they say is what a walk finds. */
static void assert_bitmaps_are_right(const struct git_lease *lease, const char *covered)
{
	assert_non_null(strstr(output_of("git -C %s rev-list --test-bitmap %s 2>&1", lease->dir, covered), "OK!"));
	int walked = atoi(output_of("git -C %s rev-list --objects HEAD | cut -c 1-40 | sort -u | wc -l", lease->dir));
	int counted = atoi(output_of("git -C %s rev-list --objects --use-bitmap-index HEAD | cut -c 1-40 | sort -u | wc -l", lease->dir));
	assert_int_equal(walked, counted);
	assert_true(walked > MANY);
}

static int bitmap_files(const struct git_lease *lease)
{
	return atoi(output_of("ls %s/objects/pack | grep -c '^multi-pack-index' || true", lease->dir));
}

static void a_small_repository_has_none(void **state)
{
	(void)state;
	commit(&repo, "a", "1");
	struct git_lease lease = lease_of(&repo);
	release(&lease);
	nanosleep(&(struct timespec){ .tv_nsec = 300 * 1000000L }, NULL);
	assert_int_equal(stats().bitmaps, 0);
	assert_int_equal(bitmap_files(&lease), 0);
}

static void a_large_one_gets_them_and_they_stay_right_when_it_grows(void **state)
{
	(void)state;
	commit_many("first");
	struct git_lease lease = lease_of(&repo);
	release(&lease);
	wait_for_bitmaps(1);
	struct oid head = commit(&repo, "a", "later");
	lease = lease_of(&repo);
	assert_int_equal(bitmap_files(&lease), 2);
	assert_sound(&lease, &head);
	assert_bitmaps_are_right(&lease, "HEAD~1");
	release(&lease);
	head = commit_many("second"); /* twice as much: made anew */
	lease = lease_of(&repo);
	release(&lease);
	wait_for_bitmaps(2);
	lease = lease_of(&repo);
	assert_int_equal(bitmap_files(&lease), 2);
	assert_sound(&lease, &head);
	assert_bitmaps_are_right(&lease, "HEAD");
	assert_int_equal(stats().rebuilds, 0);
	assert_string_equal(output_of("ls %s/git | grep trash | cat", dir), "");
	release(&lease);
}

static void they_survive_a_restart(void **state)
{
	(void)state;
	struct oid head = commit_many("first");
	struct git_lease lease = lease_of(&repo);
	release(&lease);
	wait_for_bitmaps(1);
	reopen_cache(1 << 30, 1 << 20);
	lease = lease_of(&repo);
	assert_sound(&lease, &head);
	assert_bitmaps_are_right(&lease, "HEAD");
	assert_int_equal(stats().rebuilds, 0);
	release(&lease);
	nanosleep(&(struct timespec){ .tv_nsec = 300 * 1000000L }, NULL);
	assert_int_equal(stats().bitmaps, 0); /* not made again */
}

static void what_a_crash_left_of_making_them_is_removed(void **state)
{
	(void)state;
	struct oid head = commit_many("first");
	struct git_lease lease = lease_of(&repo);
	release(&lease);
	wait_for_bitmaps(1);
	/* As if the server had died between the two renames, and while git worked. */
	output_of("cp %s/objects/pack/multi-pack-index-*.bitmap %s/objects/pack/multi-pack-index-0000000000000000000000000000000000000000.bitmap", lease.dir, lease.dir);
	output_of("mkdir -p %s/git/trash-9/objects/pack && cp -l %s/objects/pack/*.pack %s/git/trash-9/objects/pack", dir, lease.dir, dir);
	reopen_cache(1 << 30, 1 << 20);
	lease = lease_of(&repo);
	assert_sound(&lease, &head);
	assert_bitmaps_are_right(&lease, "HEAD");
	assert_int_equal(bitmap_files(&lease), 2);
	assert_int_equal(stats().rebuilds, 0);
	assert_string_equal(output_of("ls %s/git | grep trash | cat", dir), "");
	release(&lease);
}

static void damaged_ones_are_thrown_away_and_made_anew(void **state)
{
	(void)state;
	static const char *const damages[] = { "truncate -s -100 *.bitmap", "printf xxxx | dd of=$(ls *.bitmap) bs=1 seek=200 conv=notrunc 2>/dev/null",
		"rm *.bitmap", "rm multi-pack-index", "truncate -s 50 multi-pack-index" };
	struct oid head = commit_many("first");
	struct git_lease lease = lease_of(&repo);
	release(&lease);
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		wait_for_bitmaps(1 + i);
		output_of("cd %s/objects/pack && chmod u+w multi* && %s", lease.dir, damages[i]);
		lease = lease_of(&repo);
		assert_sound(&lease, &head);
		release(&lease);
		assert_int_equal(stats().rebuilds, 1 + i);
	}
	wait_for_bitmaps(1 + sizeof(damages) / sizeof(damages[0]));
	lease = lease_of(&repo);
	assert_bitmaps_are_right(&lease, "HEAD");
	release(&lease);
}

static void they_hold_while_packs_are_combined(void **state)
{
	(void)state;
	struct oid head = commit_many("first");
	struct git_lease lease = lease_of(&repo);
	release(&lease);
	wait_for_bitmaps(1);
	for (int i = 0; i < GIT_CACHE_PACKS_MAX + 5; i++) {
		char text[16];
		snprintf(text, sizeof(text), "%d", i);
		head = commit(&repo, "counter", text);
		lease = lease_of(&repo);
		assert_true(packs_in(&lease) <= GIT_CACHE_PACKS_MAX);
		release(&lease);
	}
	lease = lease_of(&repo);
	assert_sound(&lease, &head);
	assert_int_equal(stats().rebuilds, 0);
	assert_true(bitmap_files(&lease) == 0 || bitmap_files(&lease) == 2);
	release(&lease);
	commit_many("second");
	lease = lease_of(&repo);
	release(&lease);
	for (int i = 0; i < WAIT_S && strstr(output_of("git -C %s rev-list --test-bitmap HEAD 2>&1 || true", lease.dir), "OK!") == NULL; i++)
		nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
	lease = lease_of(&repo);
	assert_bitmaps_are_right(&lease, "HEAD");
	release(&lease);
}

static void a_merge_of_packs_brings_no_more_than_what_was_merged(void **state)
{
	(void)state;
	struct compaction_report report;
	struct why why = { 0 };
	commit_many("first");
	struct oid head = { { 0 } };
	struct git_lease lease;
	for (int i = 0; i < 10; i++) {
		char text[16];
		snprintf(text, sizeof(text), "%d", i);
		head = commit(&repo, "counter", text);
		lease = lease_of(&repo);
		release(&lease);
	}
	char *largest = strdup(output_of("cd %s/objects/pack && stat -c '%%i %%n' $(ls -S *.pack | head -1)", lease.dir));
	assert_int_equal(repo_compact(&gateway, &repo.id, 2, &report, &why), 0);
	assert_true(report.after < report.before);
	commit(&repo, "counter", "after");
	lease = lease_of(&repo);
	assert_int_equal(stats().rebuilds, 0);
	assert_string_equal(output_of("cd %s/objects/pack && stat -c '%%i %%n' $(ls -S *.pack | head -1)", lease.dir), largest);
	output_of("git -C %s fsck --full --strict 2>&1", lease.dir);
	release(&lease);
	free(largest);
	(void)head;
}

static void what_merges_left_behind_goes_when_it_is_half_of_all(void **state)
{
	(void)state;
	struct oid head = { { 0 } };
	struct compaction_report report;
	struct why why = { 0 };
	for (int round = 0; round < 30 && stats().rebuilds == 0; round++) {
		for (int i = 0; i < 2; i++) {
			char text[32];
			snprintf(text, sizeof(text), "%d of %d", i, round);
			head = commit(&repo, "counter", text);
			struct git_lease lease = lease_of(&repo);
			release(&lease);
		}
		assert_int_equal(repo_compact(&gateway, &repo.id, 2, &report, &why), 0);
	}
	assert_true(stats().rebuilds > 0);
	struct git_lease lease = lease_of(&repo);
	assert_sound(&lease, &head);
	release(&lease);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_small_repository_has_none),
		TEST(a_large_one_gets_them_and_they_stay_right_when_it_grows),
		TEST(they_survive_a_restart),
		TEST(what_a_crash_left_of_making_them_is_removed),
		TEST(damaged_ones_are_thrown_away_and_made_anew),
		TEST(they_hold_while_packs_are_combined),
		TEST(a_merge_of_packs_brings_no_more_than_what_was_merged),
		TEST(what_merges_left_behind_goes_when_it_is_half_of_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
