/* Three-way merges: which paths come from which side, what is a conflict, and where histories meet. */
#include "gateway/repo/diff_text.h"
#include "gateway/repo/indexed_pack.h"
#include "gateway/repo/merge.h"
#include "gateway/repo/merge_base.h"
#include "gateway/repo/text_lines.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/cairn-merge-XXXXXX";
static struct gateway gateway;
static struct repo repo;
static struct oid first;
static int64_t clock_ms;

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
	(void)info;
	(void)kind;
	(void)ftw;
	return remove(path);
}

/* {path, text} pairs upon a branch's head; a NULL text deletes. */
struct file {
	const char *path, *text;
};

static struct oid commit_on(const char *ref, const struct file *files)
{
	struct commit_draft *draft;
	struct why why = { 0 };
	if (commit_draft_open(&draft, &gateway, &repo, ref, NULL, &why) != 0)
		fail_msg("%s", why.text);
	for (; files->path; files++) {
		if (!files->text) {
			assert_int_equal(commit_draft_delete(draft, span_text(files->path), &why), 0);
			continue;
		}
		struct upload *upload = commit_draft_upload(draft);
		struct upload_result result;
		size_t length = strlen(files->text);
		assert_int_equal(upload_file_begin(upload, length), 0);
		assert_int_equal(upload_want_git_oid(upload, length), 0);
		if (length)
			assert_int_equal(upload_file_write(upload, files->text, length, &why), 0);
		assert_int_equal(upload_file_end(upload, &result, &why), 0);
		assert_int_equal(commit_draft_file(draft, span_text(files->path), &result, &why), 0);
	}
	struct commit_author author = { .name = "ada", .email = "", .when_ms = clock_ms += 1000 };
	struct oid commit;
	if (commit_draft_finish(draft, "ada", &author, span_text("a commit"), span_text(""), &commit, &why) != 0)
		fail_msg("%s", why.text);
	commit_draft_close(draft);
	return commit;
}
#define COMMIT(ref, ...) commit_on(ref, (const struct file[]){ __VA_ARGS__, { NULL, NULL } })

static void branch(const char *ref, const struct oid *at)
{
	struct ref_update update = { .new_oid = *at };
	snprintf(update.name, sizeof(update.name), "%s", ref);
	assert_int_equal(refs_update(gateway.ns, "ada", &repo.id, &update, 1, NULL, NULL, NULL), 0);
}

static int set_up(void **state)
{
	(void)state;
	char path[64];
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/store", dir);
	struct store_config config = { .dir = path, .volume_bytes_max = 64 << 20, .reserve_bytes = 1 << 20 };
	assert_int_equal(store_open(&gateway.store, &config, NULL), 0);
	snprintf(path, sizeof(path), "%s/meta", dir);
	assert_int_equal(namespace_open(&gateway.ns, path, NULL), 0);
	assert_int_equal(repo_cache_open(&gateway.trees, 32 << 20), 0);
	struct repo wanted = { .type = REPO_MODEL, .owner = "ada", .name = "merged" };
	struct entity_id id;
	assert_int_equal(repo_create(gateway.ns, "ada", &wanted, &id, NULL), 0);
	assert_int_equal(repo_get(gateway.ns, NULL, &id, &repo), 0);
	clock_ms = 1700000000000;
	first = COMMIT("refs/heads/main", { "same.txt", "same\n" }, { "lines.txt", "1\n2\n3\n4\n5\n6\n7\n8\n9\n" }, { "dir/a.txt", "a\n" }, { "gone.txt", "gone\n" });
	branch("refs/heads/theirs", &first);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	repo_cache_close(gateway.trees);
	namespace_close(gateway.ns);
	store_close(gateway.store);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static struct merge_sides sides_of(const struct oid *ours, const struct oid *theirs)
{
	struct merge_sides sides = { .ours = *ours, .theirs = *theirs };
	struct why why = { 0 };
	if (repo_merge_base(&gateway, &repo, ours, theirs, &sides.base, &why) != 0)
		fail_msg("%s", why.text);
	return sides;
}

static int note_conflict(void *context, struct span path)
{
	snprintf((char *)context + strlen(context), 64, "%.*s ", (int)path.length, (const char *)path.data);
	return 0;
}

static void assert_conflicts(const struct merge_sides *sides, const char *expected)
{
	char paths[512] = "";
	struct why why = { 0 };
	assert_int_equal(repo_merge_conflicts(&gateway, &repo, sides, note_conflict, paths, &why), 0);
	assert_string_equal(paths, expected);
}

static struct oid merge(const struct merge_sides *sides)
{
	struct commit_draft *draft;
	struct why why = { 0 };
	struct oid commit;
	assert_int_equal(commit_draft_open(&draft, &gateway, &repo, "refs/heads/main", &sides->ours, &why), 0);
	if (repo_merge(draft, sides, &why) != 0)
		fail_msg("%s", why.text);
	struct commit_author author = { .name = "ada", .email = "", .when_ms = clock_ms += 1000 };
	if (commit_draft_finish(draft, "ada", &author, span_text("merged"), span_text(""), &commit, &why) != 0)
		fail_msg("%s", why.text);
	commit_draft_close(draft);
	return commit;
}

static void assert_file(const struct oid *commit, const char *path, const char *text)
{
	struct tree_entry entry;
	struct buffer out;
	int err = repo_entry(&gateway, &repo, commit, span_text(path), REPO_MAY_WAIT, &entry);
	if (!text) {
		assert_int_equal(err, ERR_NOT_FOUND);
		return;
	}
	assert_int_equal(err, 0);
	buffer_init(&out, 1 << 20);
	assert_int_equal(repo_read_blob(&gateway, &repo, &entry, &out, NULL), 0);
	if (!span_equal(buffer_span(&out), span_text(text)))
		fail_msg("%s holds \"%.*s\"", path, (int)out.length, (const char *)out.data);
	buffer_fini(&out);
}

static bool is_same(const struct oid *a, const struct oid *b)
{
	return memcmp(a->bytes, b->bytes, OID_BYTES) == 0;
}

static void each_path_comes_from_the_side_that_changed_it(void **state)
{
	(void)state;
	struct oid ours = COMMIT("refs/heads/main", { "ours.txt", "ours\n" }, { "dir/a.txt", "changed here\n" });
	struct oid theirs = COMMIT("refs/heads/theirs", { "theirs.txt", "theirs\n" }, { "gone.txt", NULL }, { "dir/b.txt", "b\n" });
	struct merge_sides sides = sides_of(&ours, &theirs);
	assert_true(is_same(&sides.base, &first));
	assert_conflicts(&sides, "");
	struct oid merged = merge(&sides);
	assert_file(&merged, "ours.txt", "ours\n");
	assert_file(&merged, "theirs.txt", "theirs\n");
	assert_file(&merged, "dir/a.txt", "changed here\n");
	assert_file(&merged, "dir/b.txt", "b\n");
	assert_file(&merged, "gone.txt", NULL);
	assert_file(&merged, "same.txt", "same\n");
	struct commit_info info;
	assert_int_equal(repo_commit_info(&gateway, &repo, &merged, REPO_MAY_WAIT, &info), 0);
	assert_int_equal(info.parents_count, 2);
	assert_true(is_same(&info.parents[0], &ours) && is_same(&info.parents[1], &theirs));
	commit_info_fini(&info);
}

static void lines_that_do_not_touch_are_merged(void **state)
{
	(void)state;
	struct oid ours = COMMIT("refs/heads/main", { "lines.txt", "one\n2\n3\n4\n5\n6\n7\n8\n9\n" });
	struct oid theirs = COMMIT("refs/heads/theirs", { "lines.txt", "1\n2\n3\n4\n5\n6\n7\n8\nnine\n" });
	struct merge_sides sides = sides_of(&ours, &theirs);
	assert_conflicts(&sides, "");
	struct oid merged = merge(&sides);
	assert_file(&merged, "lines.txt", "one\n2\n3\n4\n5\n6\n7\n8\nnine\n");
}

static void the_same_change_on_both_sides_is_no_conflict(void **state)
{
	(void)state;
	struct oid ours = COMMIT("refs/heads/main", { "lines.txt", "x\n" }, { "gone.txt", NULL }, { "new.txt", "new\n" });
	struct oid theirs = COMMIT("refs/heads/theirs", { "lines.txt", "x\n" }, { "gone.txt", NULL }, { "new.txt", "new\n" }, { "more.txt", "more\n" });
	struct merge_sides sides = sides_of(&ours, &theirs);
	assert_conflicts(&sides, "");
	struct oid merged = merge(&sides);
	assert_file(&merged, "lines.txt", "x\n");
	assert_file(&merged, "more.txt", "more\n");
}

static void what_both_sides_changed_differently_is_a_conflict(void **state)
{
	(void)state;
	struct oid ours = COMMIT("refs/heads/main", { "lines.txt", "ours\n" }, { "gone.txt", "changed\n" }, { "new.txt", "ours\n" }, { "same.txt", NULL },
		{ "dir/a.txt", "\x01\x02 a\n" });
	struct oid theirs = COMMIT("refs/heads/theirs", { "lines.txt", "theirs\n" }, { "gone.txt", NULL }, { "new.txt", "theirs\n" }, { "same.txt", "changed\n" });
	struct merge_sides sides = sides_of(&ours, &theirs);
	assert_conflicts(&sides, "gone.txt lines.txt new.txt same.txt ");
	struct commit_draft *draft;
	struct why why = { 0 };
	assert_int_equal(commit_draft_open(&draft, &gateway, &repo, "refs/heads/main", &ours, &why), 0);
	assert_int_equal(repo_merge(draft, &sides, &why), ERR_CONFLICT);
	assert_non_null(strstr(why.text, "gone.txt"));
	commit_draft_close(draft);
}

static void a_file_where_the_other_side_has_a_folder_is_a_conflict(void **state)
{
	(void)state;
	struct oid ours = COMMIT("refs/heads/main", { "place/file.txt", "ours\n" });
	struct oid theirs = COMMIT("refs/heads/theirs", { "place", "theirs\n" });
	struct merge_sides sides = sides_of(&ours, &theirs);
	assert_conflicts(&sides, "place ");
	sides = sides_of(&theirs, &ours); /* the other way round it shows when the trees are made */
	struct commit_draft *draft;
	struct why why = { 0 };
	struct oid commit;
	assert_int_equal(commit_draft_open(&draft, &gateway, &repo, "refs/heads/theirs", &theirs, &why), 0);
	int err = repo_merge(draft, &sides, &why);
	struct commit_author author = { .name = "ada", .email = "", .when_ms = clock_ms };
	if (err == 0)
		err = commit_draft_finish(draft, "ada", &author, span_text("merged"), span_text(""), &commit, &why);
	assert_true(err == ERR_CONFLICT || err == ERR_INVALID);
	commit_draft_close(draft);
}

static void a_merge_is_where_later_histories_meet(void **state)
{
	(void)state;
	struct oid ours = COMMIT("refs/heads/main", { "ours.txt", "1\n" });
	struct oid theirs = COMMIT("refs/heads/theirs", { "theirs.txt", "1\n" });
	struct merge_sides sides = sides_of(&ours, &theirs);
	struct oid merged = merge(&sides);
	struct oid later = COMMIT("refs/heads/theirs", { "theirs.txt", "2\n" });
	sides = sides_of(&merged, &later);
	assert_true(is_same(&sides.base, &theirs));
	assert_conflicts(&sides, "");
	struct oid again = merge(&sides);
	assert_file(&again, "theirs.txt", "2\n");
	sides = sides_of(&again, &later);
	assert_true(is_same(&sides.base, &later));
}

static void histories_without_a_common_commit_have_no_base(void **state)
{
	(void)state;
	struct repo wanted = { .type = REPO_MODEL, .owner = "ada", .name = "other" }, before = repo;
	struct entity_id id;
	struct oid base, ours = first;
	assert_int_equal(repo_create(gateway.ns, "ada", &wanted, &id, NULL), 0);
	assert_int_equal(repo_get(gateway.ns, NULL, &id, &repo), 0);
	struct oid one = COMMIT("refs/heads/main", { "a.txt", "a\n" });
	assert_int_equal(repo_merge_base(&gateway, &repo, &one, &ours, &base, NULL), ERR_CORRUPT); /* not even here */
	assert_int_equal(repo_merge_base(&gateway, &repo, &one, &one, &base, NULL), 0);
	assert_true(is_same(&base, &one));
	repo = before;
}

static void a_diff_shows_lines_names_and_ends(void **state)
{
	(void)state;
	struct oid next = COMMIT("refs/heads/main", { "same.txt", "same\nmore\n" }, { "gone.txt", NULL }, { "new.txt", "no newline" });
	struct buffer out;
	struct why why = { 0 };
	bool cut = true;
	buffer_init(&out, 1 << 20);
	assert_int_equal(repo_diff_text(&gateway, &repo, &first, &next, &out, &cut, &why), 0);
	buffer_append_byte(&out, 0);
	assert_false(cut);
	const char *text = (const char *)out.data;
	assert_non_null(strstr(text, "diff --git a/gone.txt b/gone.txt\ndeleted file mode 100644\n"));
	assert_non_null(strstr(text, "--- a/gone.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n"));
	assert_non_null(strstr(text, "--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1 @@\n+no newline\n\\ No newline at end of file\n"));
	assert_non_null(strstr(text, "@@ -1 +1,2 @@\n same\n+more\n"));
	buffer_fini(&out);
}

static void lines_are_merged_or_refused(void **state)
{
	(void)state;
	struct buffer out;
	libgit2_begin();
	buffer_init(&out, 4096);
	assert_int_equal(text_lines_merge(&out, span_text("a\nb\nc\nd\n"), span_text("A\nb\nc\nd\n"), span_text("a\nb\nc\nD\n")), 0);
	assert_true(span_equal(buffer_span(&out), span_text("A\nb\nc\nD\n")));
	buffer_clear(&out);
	assert_int_equal(text_lines_merge(&out, span_text("a\n"), span_text("b\n"), span_text("c\n")), ERR_CONFLICT);
	assert_int_equal(out.length, 0);
	assert_int_equal(text_lines_merge(&out, span_text(""), span_text(""), span_text("c\n")), 0);
	assert_true(span_equal(buffer_span(&out), span_text("c\n")));
	buffer_fini(&out);
	buffer_init(&out, 2);
	assert_int_equal(text_lines_merge(&out, span_text("a\nb\nc\n"), span_text("a\nb\nc\n"), span_text("a\nb\nc\nd\n")), ERR_TOO_BIG);
	buffer_fini(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_path_comes_from_the_side_that_changed_it), TEST(lines_that_do_not_touch_are_merged), TEST(the_same_change_on_both_sides_is_no_conflict),
		TEST(what_both_sides_changed_differently_is_a_conflict), TEST(a_file_where_the_other_side_has_a_folder_is_a_conflict),
		TEST(a_merge_is_where_later_histories_meet), TEST(histories_without_a_common_commit_have_no_base), TEST(a_diff_shows_lines_names_and_ends),
		cmocka_unit_test(lines_are_merged_or_refused),
	};
	return cmocka_run_group_tests_name("merge", tests, NULL, NULL);
}
