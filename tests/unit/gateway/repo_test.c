/* Repositories over a real store and a real namespace: commits, trees, walks, history, races, rebuilding - and git's own opinion of the result. */
#include "gateway/auth/auth.h"
#include "gateway/repo/object.h"
#include "gateway/repo/object_hash.h"
#include "gateway/repo/pack_file.h"
#include "gateway/repo/rebuild.h"

#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* ------------------------------------------------------------------ fixture */

static char dir[] = "/tmp/cairn-repo-XXXXXX";
static struct gateway gateway;
static struct repo repo;

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
	(void)info;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static void open_all(void)
{
	char path[64];
	struct why why = { 0 };
	snprintf(path, sizeof(path), "%s/store", dir);
	struct store_config config = { .dir = path, .volume_bytes_max = 64 << 20, .reserve_bytes = 1 << 20 };
	if (store_open(&gateway.store, &config, &why) != 0)
		fail_msg("%s", why.text);
	snprintf(path, sizeof(path), "%s/meta", dir);
	if (namespace_open(&gateway.ns, path, &why) != 0)
		fail_msg("%s", why.text);
	assert_int_equal(repo_cache_open(&gateway.trees, 32 << 20), 0);
}

static void close_all(void)
{
	repo_cache_close(gateway.trees);
	namespace_close(gateway.ns);
	store_close(gateway.store);
}

static struct repo make_repo(const char *name)
{
	struct repo wanted = { .type = REPO_MODEL }, made;
	strcpy(wanted.owner, "ada");
	snprintf(wanted.name, sizeof(wanted.name), "%s", name);
	struct entity_id id;
	struct why why = { 0 };
	if (repo_create(gateway.ns, "ada", &wanted, &id, &why) != 0)
		fail_msg("%s", why.text);
	assert_int_equal(repo_get(gateway.ns, NULL, &id, &made), 0);
	return made;
}

static int set_up(void **state)
{
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	open_all();
	struct user user = { 0 };
	strcpy(user.name, "ada");
	strcpy(user.email, "ada@example.org");
	user_create(gateway.ns, "", &user, NULL);
	repo = make_repo("first");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close_all();
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static int64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- drafts in one line ---- */

static struct commit_draft *draft_on(const struct repo *on, const char *ref, const struct oid *expected)
{
	struct commit_draft *draft;
	struct why why = { 0 };
	if (commit_draft_open(&draft, &gateway, on, ref, expected, &why) != 0)
		fail_msg("%s", why.text);
	return draft;
}

static struct upload_result upload_text(struct upload *upload, const char *text, size_t length)
{
	struct upload_result result;
	struct why why = { 0 };
	assert_int_equal(upload_file_begin(upload, length), 0);
	assert_int_equal(upload_want_git_oid(upload, length), 0);
	if (length)
		assert_int_equal(upload_file_write(upload, text, length, &why), 0);
	assert_int_equal(upload_file_end(upload, &result, &why), 0);
	return result;
}

static int try_put(struct commit_draft *draft, const char *path, const char *text, struct why *why)
{
	struct upload_result result = upload_text(commit_draft_upload(draft), text, strlen(text));
	return commit_draft_file(draft, span_text(path), &result, why);
}

static void put(struct commit_draft *draft, const char *path, const char *text)
{
	struct why why = { 0 };
	if (try_put(draft, path, text, &why) != 0)
		fail_msg("%s", why.text);
}

static void delete(struct commit_draft *draft, const char *path)
{
	struct why why = { 0 };
	if (commit_draft_delete(draft, span_text(path), &why) != 0)
		fail_msg("%s", why.text);
}

static int try_finish(struct commit_draft *draft, const char *title, struct oid *commit, struct why *why)
{
	struct commit_author author = { .name = "ada", .email = "ada@example.org", .when_ms = 1700000000000 };
	return commit_draft_finish(draft, "ada", &author, span_text(title), span_text(""), commit, why);
}

static struct oid finish(struct commit_draft *draft, const char *title)
{
	struct oid commit;
	struct why why = { 0 };
	int err = try_finish(draft, title, &commit, &why);
	if (err)
		fail_msg("%s: %s", err_name(err), why.text);
	commit_draft_close(draft);
	return commit;
}

static struct commit_draft *on_main(void)
{
	return draft_on(&repo, "refs/heads/main", NULL);
}

/* An LFS object as an LFS client brings it. */
static struct upload_result bring_lfs(const char *text)
{
	struct upload *upload;
	struct why why = { 0 };
	assert_int_equal(upload_open(&upload, gateway.store, &repo.id, &why), 0);
	struct upload_result result = upload_text(upload, text, strlen(text));
	assert_int_equal(upload_commit(upload, &why), 0);
	upload_close(upload);
	return result;
}

static void put_lfs(struct commit_draft *draft, const char *path, const char *text)
{
	struct upload_result content = bring_lfs(text);
	struct why why = { 0 };
	if (commit_draft_lfs(draft, span_text(path), &content.sha256, content.length, NULL, &why) != 0)
		fail_msg("%s", why.text);
}

/* ---- looking ---- */

static int entry_at(const struct oid *commit, const char *path, struct tree_entry *out)
{
	return repo_entry(&gateway, &repo, commit, span_text(path), REPO_MAY_WAIT, out);
}

static void assert_content(const struct oid *commit, const char *path, const char *text)
{
	struct tree_entry entry;
	struct buffer out;
	struct why why = { 0 };
	buffer_init(&out, 1 << 20);
	assert_int_equal(entry_at(commit, path, &entry), 0);
	assert_int_equal(repo_read_blob(&gateway, &repo, &entry, &out, &why), 0);
	if (!span_equal(buffer_span(&out), span_text(text)))
		fail_msg("%s holds \"%.*s\"", path, (int)out.length, (const char *)out.data);
	buffer_fini(&out);
}

struct listing {
	char text[1 << 16];
	size_t length;
	int count, stop_at;
};

static int list_one(void *context, const struct tree_entry *entry)
{
	struct listing *listing = context;
	if (listing->stop_at && listing->count == listing->stop_at)
		return 7;
	listing->count++;
	int used = snprintf(listing->text + listing->length, sizeof(listing->text) - listing->length, "%.*s%s\n", (int)entry->path.length,
		(const char *)entry->path.data, entry->is_directory ? "/" : "");
	listing->length += (size_t)used;
	assert_true(listing->length < sizeof(listing->text));
	return 0;
}

static struct listing *list(const struct oid *commit, const char *folder, bool recursive, const char *after, int stop_at, int *err)
{
	static struct listing listing;
	listing = (struct listing){ .stop_at = stop_at };
	*err = repo_walk(&gateway, &repo, commit, span_text(folder), recursive, span_text(after), REPO_MAY_WAIT, list_one, &listing);
	return &listing;
}

static void assert_list(const struct oid *commit, const char *folder, bool recursive, const char *after, const char *expected)
{
	int err;
	struct listing *listing = list(commit, folder, recursive, after, 0, &err);
	assert_int_equal(err, 0);
	assert_string_equal(listing->text, expected);
}

/* ---- git's own opinion ---- */

static void run(const char *format, ...)
{
	char command[2048];
	va_list list;
	va_start(list, format);
	vsnprintf(command, sizeof(command), format, list);
	va_end(list);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static char *output_of(const char *command)
{
	static char text[1 << 18];
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	text[fread(text, 1, sizeof(text) - 1, pipe)] = 0;
	assert_int_equal(pclose(pipe), 0);
	return text;
}

struct materialise {
	char git[128];
	int packs;
};

static int write_blob(void *context, const struct oid *oid, const struct git_object *object)
{
	struct materialise *target = context;
	if (pack_holds(object))
		return 0;
	struct buffer bytes;
	struct why why = { 0 };
	char command[256], text[OID_TEXT_BYTES], got[OID_TEXT_BYTES];
	buffer_init(&bytes, 64 << 20);
	if (object->length)
		assert_int_equal(store_file_read_all(gateway.store, &object->file, &bytes, &why), 0);
	assert_int_equal(bytes.length, object->length);
	snprintf(command, sizeof(command), "git -C %s hash-object -w --stdin >%s/oid", target->git, target->git);
	FILE *pipe = popen(command, "w");
	assert_non_null(pipe);
	fwrite(bytes.data, 1, bytes.length, pipe);
	assert_int_equal(pclose(pipe), 0);
	buffer_fini(&bytes);
	snprintf(command, sizeof(command), "%s/oid", target->git);
	FILE *file = fopen(command, "r");
	assert_int_equal(fread(got, 1, 40, file), 40);
	fclose(file);
	hex_encode(text, oid->bytes, OID_BYTES);
	assert_memory_equal(got, text, 40);
	return 0;
}

static int write_pack(void *context, const struct pack *pack)
{
	struct materialise *target = context;
	struct buffer bytes;
	struct why why = { 0 };
	char path[256];
	buffer_init(&bytes, 256 << 20);
	assert_int_equal(store_file_read_all(gateway.store, &pack->file, &bytes, &why), 0);
	snprintf(path, sizeof(path), "%s/objects/pack/%d.pack", target->git, target->packs++);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes.data, 1, pack->length, file), pack->length);
	fclose(file);
	assert_memory_equal(bytes.data + pack->length - OID_BYTES, pack->sha1.bytes, OID_BYTES);
	buffer_fini(&bytes);
	run("git -C %s index-pack %s >/dev/null", target->git, path);
	assert_int_equal(pack_file_read(&gateway, pack, write_blob, target, &why), 0);
	return 0;
}

static int write_ref(void *context, const struct ref *ref)
{
	struct materialise *target = context;
	char text[OID_TEXT_BYTES];
	hex_encode(text, ref->oid.bytes, OID_BYTES);
	run("git -C %s update-ref %s %s", target->git, ref->name, text);
	return 0;
}

/* Everything of the repository as a real bare repository, checked by git fsck. */
static struct materialise materialise(void)
{
	struct materialise target = { 0 };
	snprintf(target.git, sizeof(target.git), "%s/bare.git", dir);
	run("rm -rf %s && git init -q --bare -b main %s", target.git, target.git);
	assert_int_equal(pack_list(gateway.ns, NULL, &repo.id, write_pack, &target), 0);
	assert_int_equal(ref_list(gateway.ns, NULL, &repo.id, "", write_ref, &target), 0);
	run("git -C %s fsck --strict --full 2>&1 | grep -v '^notice\\|^dangling\\|^Checking' >%s/fsck; test ! -s %s/fsck || { cat %s/fsck >&2; false; }", target.git,
		target.git, target.git, target.git);
	return target;
}

static char *git(const struct materialise *target, const char *arguments)
{
	char command[512];
	snprintf(command, sizeof(command), "git -C %s %s", target->git, arguments);
	return output_of(command);
}

/* ------------------------------------------------------------------ commits */

static void a_first_commit_makes_the_default_branch(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	put(draft, "README.md", "# hello\n");
	put(draft, "src/deep/er/x.py", "print(1)\n");
	put(draft, "empty", "");
	struct oid commit = finish(draft, "initial commit");

	struct oid head;
	char ref[REF_BYTES_MAX + 1];
	assert_int_equal(repo_resolve(&gateway, &repo, span_text("main"), REPO_MAY_WAIT, &head, ref), 0);
	assert_true(git_oid_equal(&head, &commit));
	assert_string_equal(ref, "refs/heads/main");
	assert_content(&commit, "README.md", "# hello\n");
	assert_content(&commit, "src/deep/er/x.py", "print(1)\n");
	assert_content(&commit, "empty", "");
	struct tree_entry entry;
	assert_int_equal(entry_at(&commit, "src/deep", &entry), 0);
	assert_true(entry.is_directory);
	assert_int_equal(entry_at(&commit, "", &entry), 0);
	assert_true(entry.is_directory);
	assert_int_equal(entry_at(&commit, "src/missing", &entry), ERR_NOT_FOUND);
	assert_int_equal(entry_at(&commit, "README.md/x", &entry), ERR_NOT_FOUND);
	assert_int_equal(entry_at(&commit, "src//deep", &entry), ERR_NOT_FOUND);
	assert_int_equal(entry_at(&commit, "src/", &entry), ERR_NOT_FOUND);
	assert_list(&commit, "", true, "", "README.md\nempty\nsrc/\nsrc/deep/\nsrc/deep/er/\nsrc/deep/er/x.py\n");
}

static void an_unknown_branch_is_not_found(void **state)
{
	(void)state;
	struct commit_draft *draft;
	struct why why = { 0 };
	assert_int_equal(commit_draft_open(&draft, &gateway, &repo, "refs/heads/other", NULL, &why), ERR_NOT_FOUND);
	struct oid oid;
	assert_int_equal(repo_resolve(&gateway, &repo, span_text("main"), REPO_MAY_WAIT, &oid, NULL), ERR_NOT_FOUND);
	assert_int_equal(repo_resolve(&gateway, &repo, span_text("HEAD"), REPO_MAY_WAIT, &oid, NULL), ERR_NOT_FOUND);
}

static void commits_follow_each_other(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	put(draft, "a", "1");
	put(draft, "dir/b", "1");
	struct oid first = finish(draft, "one");
	draft = on_main();
	put(draft, "a", "2");
	delete(draft, "dir/b");
	put(draft, "c/d/e", "3");
	struct oid second = finish(draft, "two");
	assert_content(&first, "a", "1");
	assert_content(&second, "a", "2");
	assert_list(&second, "", true, "", "a\nc/\nc/d/\nc/d/e\n");
	struct commit_info info;
	assert_int_equal(repo_commit_info(&gateway, &repo, &second, REPO_MAY_WAIT, &info), 0);
	assert_int_equal(info.parents_count, 1);
	assert_true(git_oid_equal(&info.parents[0], &first));
	assert_string_equal(info.title, "two");
	assert_string_equal(info.author, "ada");
	assert_string_equal(info.author_email, "ada@example.org");
	assert_int_equal(info.author_ms, 1700000000000);
	commit_info_fini(&info);
}

static void the_same_commit_has_the_same_id_everywhere(void **state)
{
	(void)state;
	struct repo first = repo;
	struct commit_draft *draft = on_main();
	put(draft, "x/y", "1");
	struct oid one = finish(draft, "t");
	repo = make_repo("second");
	draft = on_main();
	put(draft, "x/y", "1");
	struct oid two = finish(draft, "t");
	assert_true(git_oid_equal(&one, &two));
	repo = first;
}

static void titles_and_messages_become_one_text(void **state)
{
	(void)state;
	struct commit_author author = { .name = "Ada <L>", .email = "a@b", .when_ms = 5000 };
	struct commit_draft *draft = on_main();
	put(draft, "a", "1");
	struct oid commit;
	struct why why = { 0 };
	assert_int_equal(commit_draft_finish(draft, "ada", &author, span_text("two\nlines"), span_text("body\n\nmore\n\n"), &commit, &why), 0);
	commit_draft_close(draft);
	struct commit_info info;
	assert_int_equal(repo_commit_info(&gateway, &repo, &commit, REPO_MAY_WAIT, &info), 0);
	assert_string_equal(info.title, "two lines");
	assert_string_equal(info.message, "body\n\nmore");
	assert_string_equal(info.author, "Ada L");
	commit_info_fini(&info);
}

static void the_last_operation_on_a_path_wins(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	put(draft, "a", "1");
	put(draft, "a", "2");
	put(draft, "gone", "1");
	delete(draft, "gone");
	put(draft, "dir/x", "1");
	delete(draft, "dir");
	put(draft, "dir/y", "1");
	put(draft, "back", "1");
	delete(draft, "back");
	put(draft, "back", "2");
	struct oid commit = finish(draft, "t");
	assert_list(&commit, "", true, "", "a\nback\ndir/\ndir/y\n");
	assert_content(&commit, "a", "2");
	assert_content(&commit, "back", "2");
}

static void deleting_the_last_file_removes_the_folder(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	put(draft, "a/b/c/d", "1");
	put(draft, "a/x", "1");
	finish(draft, "t");
	draft = on_main();
	delete(draft, "a/b/c/d");
	struct oid commit = finish(draft, "u");
	assert_list(&commit, "", true, "", "a/\na/x\n");
	draft = on_main();
	delete(draft, "a/");
	commit = finish(draft, "v");
	assert_list(&commit, "", true, "", "");
	draft = on_main();
	put(draft, "a/x", "1");
	commit = finish(draft, "w");
	assert_list(&commit, "", true, "", "a/\na/x\n");
	materialise();
}

static void deleting_what_is_not_there_is_refused(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	put(draft, "a/b", "1");
	finish(draft, "t");
	draft = on_main();
	struct why why = { 0 };
	assert_int_equal(commit_draft_delete(draft, span_text("x"), &why), ERR_NOT_FOUND);
	assert_int_equal(commit_draft_delete(draft, span_text("a/c"), &why), ERR_NOT_FOUND);
	assert_int_equal(commit_draft_delete(draft, span_text("a/b/c"), &why), ERR_NOT_FOUND);
	delete(draft, "a");
	assert_int_equal(commit_draft_delete(draft, span_text("a"), &why), ERR_NOT_FOUND);
	assert_int_equal(commit_draft_delete(draft, span_text("a/b"), &why), ERR_NOT_FOUND);
	put(draft, "a/z", "1");
	delete(draft, "a");
	assert_int_equal(commit_draft_delete(draft, span_text("../a"), &why), ERR_INVALID);
	commit_draft_close(draft);
}

static void a_path_cannot_be_file_and_folder(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	put(draft, "file", "1");
	put(draft, "dir/x", "1");
	finish(draft, "t");
	struct oid commit;
	struct why why = { 0 };
	draft = on_main();
	put(draft, "file/x", "1");
	assert_int_equal(try_finish(draft, "u", &commit, &why), ERR_INVALID);
	assert_non_null(strstr(why.text, "\"file\""));
	commit_draft_close(draft);
	draft = on_main();
	put(draft, "dir", "1");
	assert_int_equal(try_finish(draft, "u", &commit, &why), ERR_INVALID);
	commit_draft_close(draft);
	draft = on_main();
	put(draft, "new/a", "1");
	put(draft, "new", "1");
	assert_int_equal(try_finish(draft, "u", &commit, &why), ERR_INVALID);
	commit_draft_close(draft);
	/* Each may become the other in one commit. */
	draft = on_main();
	put(draft, "dir", "1");
	delete(draft, "dir/x");
	delete(draft, "file");
	put(draft, "file/x", "1");
	commit = finish(draft, "v");
	assert_list(&commit, "", true, "", "dir\nfile/\nfile/x\n");
	materialise();
}

static void files_and_folders_are_copied(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	put(draft, "a", "1");
	put(draft, "dir/x", "2");
	put(draft, "dir/sub/y", "3");
	put_lfs(draft, "dir/model.bin", "large");
	struct oid first = finish(draft, "t");
	struct why why = { 0 };
	draft = on_main();
	assert_int_equal(commit_draft_copy(draft, span_text("b"), span_text("a"), &first, &why), 0);
	assert_int_equal(commit_draft_copy(draft, span_text("to/here"), span_text("dir"), &first, &why), 0);
	assert_int_equal(commit_draft_copy(draft, span_text("x"), span_text("missing"), &first, &why), ERR_NOT_FOUND);
	struct oid second = finish(draft, "u");
	assert_content(&second, "b", "1");
	assert_content(&second, "to/here/x", "2");
	assert_content(&second, "to/here/sub/y", "3");
	struct tree_entry one, two;
	assert_int_equal(entry_at(&second, "dir/model.bin", &one), 0);
	assert_int_equal(entry_at(&second, "to/here/model.bin", &two), 0);
	assert_true(two.is_lfs && git_oid_equal(&one.oid, &two.oid));
	materialise();
}

static void unsafe_paths_are_refused(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	struct why why = { 0 };
	assert_int_equal(try_put(draft, ".git/config", "x", &why), ERR_INVALID);
	assert_int_equal(try_put(draft, "a/../b", "x", &why), ERR_INVALID);
	assert_int_equal(try_put(draft, "/etc/passwd", "x", &why), ERR_INVALID);
	commit_draft_close(draft);
}

/* ------------------------------------------------------------------ LFS */

static void lfs_files_show_their_content_and_git_their_pointer(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	struct span defaults = attributes_default(REPO_MODEL);
	struct upload_result attributes = upload_text(commit_draft_upload(draft), (const char *)defaults.data, defaults.length);
	assert_int_equal(commit_draft_file(draft, span_text(".gitattributes"), &attributes, NULL), 0);
	put_lfs(draft, "model.bin", "large content");
	struct oid commit = finish(draft, "t");
	struct tree_entry entry;
	assert_int_equal(entry_at(&commit, "model.bin", &entry), 0);
	assert_true(entry.is_lfs && entry.has_file);
	assert_int_equal(entry.length, 13);
	struct file_info info;
	assert_int_equal(store_file_info(gateway.store, &entry.file, &info), 0);
	assert_int_equal(info.length, 13);
	assert_memory_equal(info.sha256.bytes, entry.sha256.bytes, HASH_BYTES);
	struct buffer pointer;
	buffer_init(&pointer, 1024);
	assert_int_equal(repo_read_blob(&gateway, &repo, &entry, &pointer, NULL), 0);
	assert_int_equal(pointer.length, entry.pointer_length);
	struct materialise target = materialise();
	assert_memory_equal(git(&target, "cat-file blob main:model.bin"), pointer.data, pointer.length);
	buffer_fini(&pointer);
	/* The rules cover it: .gitattributes stays as it is. */
	struct tree_entry rules;
	assert_int_equal(entry_at(&commit, ".gitattributes", &rules), 0);
	assert_int_equal(rules.length, defaults.length);
}

static void an_lfs_file_that_no_rule_covers_gets_one(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	put(draft, ".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text");
	put_lfs(draft, "a.bin", "1");
	put_lfs(draft, "data/b c.xyz", "2");
	struct oid commit = finish(draft, "t");
	assert_content(&commit, ".gitattributes",
		"*.bin filter=lfs diff=lfs merge=lfs -text\n\"data/b c.xyz\" filter=lfs diff=lfs merge=lfs -text\n");
	draft = on_main();
	put_lfs(draft, "data/b c.xyz", "3");
	put_lfs(draft, "d", "4");
	commit = finish(draft, "u");
	assert_content(&commit, ".gitattributes",
		"*.bin filter=lfs diff=lfs merge=lfs -text\n\"data/b c.xyz\" filter=lfs diff=lfs merge=lfs -text\nd filter=lfs diff=lfs merge=lfs -text\n");
	materialise();
}

static void an_lfs_object_must_be_this_repositorys_own(void **state)
{
	(void)state;
	struct upload_result content = bring_lfs("private to the first");
	struct repo first = repo;
	repo = make_repo("second");
	struct commit_draft *draft = on_main();
	struct why why = { 0 };
	assert_int_equal(commit_draft_lfs(draft, span_text("m.bin"), &content.sha256, content.length, NULL, &why), ERR_NOT_FOUND);
	assert_non_null(strstr(why.text, "m.bin"));
	commit_draft_close(draft);
	repo = first;
	draft = on_main();
	assert_int_equal(commit_draft_lfs(draft, span_text("m.bin"), &content.sha256, content.length + 1, NULL, &why), ERR_INVALID);
	assert_int_equal(commit_draft_lfs(draft, span_text("m.bin"), &content.sha256, UINT64_MAX, NULL, &why), 0);
	commit_draft_close(draft);
}

/* ------------------------------------------------------------------ conflicts and retries */

static void an_outdated_parent_is_a_conflict(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	put(draft, "a", "1");
	struct oid first = finish(draft, "one");
	struct commit_draft *early = draft_on(&repo, "refs/heads/main", &first);
	draft = on_main();
	put(draft, "a", "2");
	finish(draft, "two");
	/* Opened before the branch moved: */
	put(early, "b", "1");
	struct oid commit;
	struct why why = { 0 };
	assert_int_equal(try_finish(early, "three", &commit, &why), ERR_CONFLICT);
	commit_draft_close(early);
	/* and after it moved twice: */
	draft = on_main();
	put(draft, "a", "3");
	finish(draft, "four");
	assert_int_equal(commit_draft_open(&draft, &gateway, &repo, "refs/heads/main", &first, &why), ERR_CONFLICT);
}

static void a_retry_answers_the_commit_it_made(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	put(draft, "a", "1");
	struct oid first = finish(draft, "one");
	draft = draft_on(&repo, "refs/heads/main", &first);
	put(draft, "b", "1");
	put_lfs(draft, "c.weird", "large");
	struct oid second = finish(draft, "two");
	/* With the parent named, */
	draft = draft_on(&repo, "refs/heads/main", &first);
	put(draft, "b", "1");
	put_lfs(draft, "c.weird", "large");
	struct oid again = finish(draft, "two");
	assert_true(git_oid_equal(&second, &again));
	/* and without. */
	draft = on_main();
	put(draft, "b", "1");
	put_lfs(draft, "c.weird", "large");
	again = finish(draft, "two");
	assert_true(git_oid_equal(&second, &again));
	/* Another title is another commit; other content a conflict. */
	draft = on_main();
	put(draft, "b", "1");
	again = finish(draft, "three");
	assert_false(git_oid_equal(&second, &again));
	draft = draft_on(&repo, "refs/heads/main", &second);
	put(draft, "b", "2");
	struct why why = { 0 };
	assert_int_equal(try_finish(draft, "three", &again, &why), ERR_CONFLICT);
	commit_draft_close(draft);
}

static void a_commit_without_named_parent_is_made_on_the_new_head(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	put(draft, "a", "1");
	put(draft, "d/x", "1");
	finish(draft, "one");
	struct commit_draft *slow = on_main();
	put(slow, "b", "1");
	delete(slow, "d/x");
	put_lfs(slow, "w.weird", "x");
	draft = on_main();
	put(draft, "c", "1");
	delete(draft, "d");
	put(draft, ".gitattributes", "*.q text\n");
	finish(draft, "two");
	struct oid commit = finish(slow, "three");
	assert_list(&commit, "", true, "", ".gitattributes\na\nb\nc\nw.weird\n");
	assert_content(&commit, ".gitattributes", "*.q text\nw.weird filter=lfs diff=lfs merge=lfs -text\n");
	struct materialise target = materialise();
	assert_string_equal(git(&target, "log --format=%s main"), "three\ntwo\none\n");
}

static void a_clash_with_the_new_head_is_a_conflict(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	put(draft, "a", "1");
	finish(draft, "one");
	struct commit_draft *slow = on_main();
	put(slow, "b/x", "1");
	draft = on_main();
	put(draft, "b", "1");
	finish(draft, "two");
	struct oid commit;
	struct why why = { 0 };
	assert_int_equal(try_finish(slow, "three", &commit, &why), ERR_CONFLICT);
	commit_draft_close(slow);
}

enum { RACERS = 8, RACE_COMMITS = 5 };

static void *race(void *context)
{
	int racer = (int)(intptr_t)context;
	for (int i = 0; i < RACE_COMMITS; i++) {
		char path[32], title[32];
		struct commit_draft *draft = NULL;
		struct why why = { 0 };
		snprintf(path, sizeof(path), "dir%d/%d-%d", i, racer, i);
		snprintf(title, sizeof(title), "%d-%d", racer, i);
		struct oid commit;
		if (commit_draft_open(&draft, &gateway, &repo, "refs/heads/main", NULL, &why) != 0 || try_put(draft, path, title, &why) != 0 ||
			try_finish(draft, title, &commit, &why) != 0)
			return "failed";
		commit_draft_close(draft);
	}
	return NULL;
}

static int count_commit(void *context, const struct commit_info *info)
{
	(void)info;
	++*(int *)context;
	return 0;
}

static void racing_commits_on_one_branch_are_all_there(void **state)
{
	(void)state;
	pthread_t threads[RACERS];
	for (int i = 0; i < RACERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race, (void *)(intptr_t)i), 0);
	for (int i = 0; i < RACERS; i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	struct oid head;
	assert_int_equal(repo_resolve(&gateway, &repo, span_text("main"), REPO_MAY_WAIT, &head, NULL), 0);
	for (int racer = 0; racer < RACERS; racer++) {
		for (int i = 0; i < RACE_COMMITS; i++) {
			char path[32], text[32];
			snprintf(path, sizeof(path), "dir%d/%d-%d", i, racer, i);
			snprintf(text, sizeof(text), "%d-%d", racer, i);
			assert_content(&head, path, text);
		}
	}
	int count = 0;
	uint64_t total;
	assert_int_equal(repo_log(&gateway, &repo, &head, 0, 1000, &total, count_commit, &count, NULL), 0);
	assert_int_equal(count, RACERS * RACE_COMMITS);
	assert_int_equal(total, RACERS * RACE_COMMITS);
	materialise();
}

/* ------------------------------------------------------------------ walking */

static void every_cursor_continues_where_it_stopped(void **state)
{
	(void)state;
	static const char *const paths[] = { "a-b", "a/x", "a/y/1", "a/y/2", "a/z", "a.txt", "a0", "b", "c/d/e/f/g", "c/d0", "c/d-", "\xc3\xa4/\xc3\xb6", "z/1" };
	struct commit_draft *draft = on_main();
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		put(draft, paths[i], "1");
	struct oid commit = finish(draft, "t");
	static const char *const folders[] = { "", "a", "c", "c/d", "a/y" };
	for (size_t f = 0; f < sizeof(folders) / sizeof(folders[0]); f++) {
		for (int recursive = 0; recursive < 2; recursive++) {
			int err;
			struct listing *whole = malloc(sizeof(*whole));
			*whole = *list(&commit, folders[f], recursive, "", 0, &err);
			assert_int_equal(err, 0);
			/* After each entry, the rest; and pages of two, one after the other. */
			size_t line = 0;
			while (whole->text[line]) {
				size_t end = line + strcspn(whole->text + line, "\n");
				char after[256];
				snprintf(after, sizeof(after), "%.*s", (int)(end - line), whole->text + line);
				if (after[strlen(after) - 1] == '/')
					after[strlen(after) - 1] = 0;
				line = end + 1;
				assert_list(&commit, folders[f], recursive, after, whole->text + line);
				struct listing *page = list(&commit, folders[f], recursive, after, 2, &err);
				assert_true(err == 0 || err == 7);
				assert_memory_equal(page->text, whole->text + line, page->length);
			}
			free(whole);
		}
	}
	/* Cursors of entries that are not there. */
	assert_list(&commit, "a", true, "a/w", "a/x\na/y/\na/y/1\na/y/2\na/z\n");
	assert_list(&commit, "a", true, "a/y/15", "a/y/2\na/z\n");
	assert_list(&commit, "a", true, "a/q/15", "a/x\na/y/\na/y/1\na/y/2\na/z\n");
	assert_list(&commit, "a", true, "a", "a/x\na/y/\na/y/1\na/y/2\na/z\n");
	assert_list(&commit, "a", true, "b", "");
	assert_list(&commit, "z", true, "b", "z/1\n");
	int err;
	list(&commit, "missing", false, "", 0, &err);
	assert_int_equal(err, ERR_NOT_FOUND);
	list(&commit, "b", false, "", 0, &err);
	assert_int_equal(err, ERR_NOT_FOUND);
	struct materialise target = materialise();
	char *names = git(&target, "ls-tree -r -t --name-only -z main | tr '\\0' '\\n'");
	struct listing *all = list(&commit, "", true, "", 0, &err);
	for (char *slash = strstr(all->text, "/\n"); slash; slash = strstr(slash, "/\n"))
		memmove(slash, slash + 1, strlen(slash));
	assert_string_equal(all->text, names);
}

static void ten_thousand_files_are_one_quick_commit(void **state)
{
	(void)state;
	enum { FILES = 10000 };
	struct commit_draft *draft = on_main();
	struct upload_result result = upload_text(commit_draft_upload(draft), "x", 1);
	int64_t start = now_us();
	for (int i = 0; i < FILES; i++) {
		char path[64];
		snprintf(path, sizeof(path), i % 2 ? "flat/%05d.txt" : "many/%03d/%05d.txt", i % 2 ? (i * 7919) % FILES : i % 500, i);
		if (commit_draft_file(draft, span_text(path), &result, NULL) != 0)
			fail();
	}
	struct oid commit = finish(draft, "many");
	int64_t made = now_us();
	struct tree_entry entry;
	assert_int_equal(entry_at(&commit, "flat/00001.txt", &entry), 0);
	int64_t cold = now_us();
	int err;
	char after[32] = "";
	int pages = 0;
	int64_t slowest = 0;
	for (bool more = true; more; pages++) {
		int64_t begin = now_us();
		struct listing *page = list(&commit, "flat", false, after, 100, &err);
		slowest = now_us() - begin > slowest ? now_us() - begin : slowest;
		more = err == 7;
		assert_int_equal(page->count, 100);
		snprintf(after, sizeof(after), "%.14s", page->text + page->length - 15);
	}
	assert_int_equal(pages, FILES / 2 / 100);
	print_message("commit of %d files %ld us, first look-up %ld us, slowest page of 100 %ld us\n", FILES, (long)(made - start), (long)(cold - made), (long)slowest);
	assert_true(made - start < 20 * 1000 * 1000);
}

static void warm_look_ups_do_not_wait(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	for (int i = 0; i < 100; i++) {
		char path[32];
		snprintf(path, sizeof(path), "dir/sub/%d.txt", i);
		put(draft, path, "x");
	}
	struct oid commit = finish(draft, "t"), oid;
	struct tree_entry entry;
	/* Cold: not without waiting. */
	repo_cache_close(gateway.trees);
	assert_int_equal(repo_cache_open(&gateway.trees, 1 << 20), 0);
	assert_int_equal(repo_resolve(&gateway, &repo, span_text("main"), REPO_NO_WAIT, &oid, NULL), ERR_AGAIN);
	assert_int_equal(repo_entry(&gateway, &repo, &commit, span_text("dir/sub/7.txt"), REPO_NO_WAIT, &entry), ERR_AGAIN);
	assert_int_equal(repo_resolve(&gateway, &repo, span_text("main"), REPO_MAY_WAIT, &oid, NULL), 0);
	assert_int_equal(entry_at(&commit, "dir/sub/7.txt", &entry), 0);
	enum { ROUNDS = 100000 };
	char ref[REF_BYTES_MAX + 1];
	int64_t start = now_us();
	for (int i = 0; i < ROUNDS; i++)
		if (repo_resolve(&gateway, &repo, span_text("main"), REPO_NO_WAIT, &oid, ref) != 0 ||
			repo_entry(&gateway, &repo, &oid, span_text("dir/sub/7.txt"), REPO_NO_WAIT, &entry) != 0)
			fail();
	int64_t found = now_us();
	for (int i = 0; i < ROUNDS; i++)
		if (repo_entry(&gateway, &repo, &oid, span_text("dir/sub/absent"), REPO_NO_WAIT, &entry) != ERR_NOT_FOUND)
			fail();
	int64_t absent = now_us();
	print_message("resolve + entry %.2f us, absent entry %.2f us\n", (double)(found - start) / ROUNDS, (double)(absent - found) / ROUNDS);
}

static void a_small_cache_still_answers(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	for (int i = 0; i < 300; i++) {
		char path[64];
		snprintf(path, sizeof(path), "%d/%d/%d", i % 3, i % 50, i);
		put(draft, path, path);
	}
	struct oid commit = finish(draft, "t");
	repo_cache_close(gateway.trees);
	assert_int_equal(repo_cache_open(&gateway.trees, 4096), 0);
	for (int i = 0; i < 300; i++) {
		char path[64];
		snprintf(path, sizeof(path), "%d/%d/%d", i % 3, i % 50, i);
		assert_content(&commit, path, path);
	}
}

/* ------------------------------------------------------------------ revisions and history */

static void revisions_are_found_in_their_order(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	put(draft, "a", "1");
	struct oid first = finish(draft, "one");
	draft = on_main();
	put(draft, "a", "2");
	struct oid second = finish(draft, "two"), oid;
	struct ref_update updates[6] = { 0 };
	strcpy(updates[0].name, "refs/heads/dev");
	updates[0].new_oid = first;
	strcpy(updates[1].name, "refs/tags/dev");
	updates[1].new_oid = second;
	strcpy(updates[2].name, "refs/pr/1");
	updates[2].new_oid = first;
	/* Of an older hub: they stand before nothing, and are read by their full names. */
	strcpy(updates[3].name, "refs/heads/HEAD");
	updates[3].new_oid = first;
	strcpy(updates[4].name, "refs/heads/refs/pr/1");
	updates[4].new_oid = second;
	strcpy(updates[5].name, "refs/tags/refs/heads/main");
	updates[5].new_oid = first;
	assert_int_equal(refs_update(gateway.ns, "ada", &repo.id, updates, 6, NULL, NULL, NULL), 0);
	char text[OID_TEXT_BYTES], ref[REF_BYTES_MAX + 1];
	hex_encode(text, first.bytes, OID_BYTES);
	const struct {
		struct span text;
		const struct oid *commit;
		const char *ref;
	} cases[] = {
		{ span_text("main"), &second, "refs/heads/main" }, { span_text("dev"), &first, "refs/heads/dev" }, { span_text("refs/tags/dev"), &second, "refs/tags/dev" },
		{ span_text("refs/pr/1"), &first, "refs/pr/1" }, { span_text("HEAD"), &second, "refs/heads/main" }, { span_text(text), &first, "" },
		{ span_of(text, 10), &first, "" }, { span_of(text, 5), &first, "" },
		{ span_text("refs/heads/HEAD"), &first, "refs/heads/HEAD" }, { span_text("refs/heads/refs/pr/1"), &second, "refs/heads/refs/pr/1" },
		{ span_text("refs/heads/main"), &second, "refs/heads/main" },
	};
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			assert_int_equal(repo_resolve(&gateway, &repo, cases[i].text, REPO_MAY_WAIT, &oid, ref), 0);
			assert_true(git_oid_equal(&oid, cases[i].commit));
			assert_string_equal(ref, cases[i].ref);
		}
	}
	static const char *const unknown[] = { "", "nope", "refs/heads", "refs/pr/2", "0000000000000000000000000000000000000000", "fffff", "pr/1", "a b", "~^:", "..", "main/" };
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_int_equal(repo_resolve(&gateway, &repo, span_text(unknown[i]), REPO_MAY_WAIT, &oid, ref), ERR_NOT_FOUND);
	assert_int_equal(repo_resolve(&gateway, &repo, span_of(text, 4), REPO_MAY_WAIT, &oid, ref), ERR_NOT_FOUND);
	/* A tree is no commit. */
	struct tree_entry root;
	assert_int_equal(entry_at(&first, "", &root), 0);
	hex_encode(text, root.oid.bytes, OID_BYTES);
	assert_int_equal(repo_resolve(&gateway, &repo, span_text(text), REPO_MAY_WAIT, &oid, ref), ERR_NOT_FOUND);
}

static int note_title(void *context, const struct commit_info *info)
{
	char *out = context;
	strcat(out, info->title);
	strcat(out, " ");
	return strcmp(info->title, "stop") == 0 ? 9 : 0;
}

static void history_is_paged_and_counted(void **state)
{
	(void)state;
	struct oid head = { { 0 } };
	static const char *const titles[] = { "1", "2", "stop", "4", "5" };
	for (size_t i = 0; i < 5; i++) {
		struct commit_draft *draft = on_main();
		put(draft, titles[i], "x");
		head = finish(draft, titles[i]);
	}
	char out[64] = "";
	uint64_t total = 0;
	assert_int_equal(repo_log(&gateway, &repo, &head, 0, 2, &total, note_title, out, NULL), 0);
	assert_string_equal(out, "5 4 ");
	assert_int_equal(total, 5);
	out[0] = 0;
	assert_int_equal(repo_log(&gateway, &repo, &head, 1, 2, NULL, note_title, out, NULL), 9);
	assert_string_equal(out, "4 stop ");
	out[0] = 0;
	assert_int_equal(repo_log(&gateway, &repo, &head, 3, 10, &total, note_title, out, NULL), 0);
	assert_string_equal(out, "2 1 ");
	struct oid unknown = { { 1 } };
	assert_int_equal(repo_log(&gateway, &repo, &unknown, 0, 1, NULL, note_title, out, NULL), ERR_NOT_FOUND);
}

static void each_path_knows_its_last_commit(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	put(draft, "a", "1");
	put(draft, "d/x", "1");
	put(draft, "d/e/y", "1");
	finish(draft, "one");
	draft = on_main();
	put(draft, "d/e/y", "2");
	finish(draft, "two");
	draft = on_main();
	put(draft, "b", "1");
	struct oid head = finish(draft, "three");
	struct span paths[] = { span_text("a"), span_text("b"), span_text("d"), span_text("d/x"), span_text("d/e"), span_text("d/e/y"), span_text("missing"), span_text("a") };
	static const char *const titles[] = { "one", "three", "two", "one", "two", "two", NULL, "one" };
	struct commit_info infos[8];
	assert_int_equal(repo_last_commits(&gateway, &repo, &head, paths, 8, infos), 0);
	for (size_t i = 0; i < 8; i++) {
		if (titles[i])
			assert_string_equal(infos[i].title, titles[i]);
		else
			assert_null(infos[i].title);
		commit_info_fini(&infos[i]);
	}
}

/* ------------------------------------------------------------------ the table, lost and found */

static void make_history(struct oid commits[3])
{
	for (int i = 0; i < 3; i++) {
		char text[16];
		snprintf(text, sizeof(text), "%d", i);
		struct commit_draft *draft = on_main();
		put(draft, "a", text);
		put(draft, text, "new");
		put(draft, "dir/same", "same");
		put_lfs(draft, "dir/model.bin", text);
		commits[i] = finish(draft, text);
	}
}

static void assert_history(const struct oid commits[3])
{
	for (int i = 0; i < 3; i++) {
		char text[16];
		snprintf(text, sizeof(text), "%d", i);
		assert_content(&commits[i], "a", text);
		assert_content(&commits[i], text, "new");
		assert_content(&commits[i], "dir/same", "same");
		struct tree_entry entry;
		assert_int_equal(entry_at(&commits[i], "dir/model.bin", &entry), 0);
		assert_true(entry.is_lfs && entry.has_file && entry.length == 1);
	}
}

static void fresh_cache(void)
{
	repo_cache_close(gateway.trees);
	assert_int_equal(repo_cache_open(&gateway.trees, 1 << 20), 0);
}

static void a_lost_table_comes_back_on_the_first_miss(void **state)
{
	(void)state;
	struct oid commits[3], oid;
	make_history(commits);
	assert_int_equal(store_git_drop(gateway.store, &repo.id), 0);
	fresh_cache();
	assert_int_equal(repo_resolve(&gateway, &repo, span_text("main"), REPO_MAY_WAIT, &oid, NULL), 0);
	assert_history(commits);
	/* Also when the first question is about a hash. */
	assert_int_equal(store_git_drop(gateway.store, &repo.id), 0);
	fresh_cache();
	char text[OID_TEXT_BYTES];
	hex_encode(text, commits[0].bytes, OID_BYTES);
	assert_int_equal(repo_resolve(&gateway, &repo, span_text(text), REPO_MAY_WAIT, &oid, NULL), 0);
	assert_true(git_oid_equal(&oid, &commits[0]));
	assert_history(commits);
}

static void a_rebuild_brings_everything_back(void **state)
{
	(void)state;
	struct oid commits[3];
	make_history(commits);
	assert_int_equal(store_git_drop(gateway.store, &repo.id), 0);
	fresh_cache();
	struct why why = { 0 };
	assert_int_equal(repo_rebuild(&gateway, &repo, &why), 0);
	assert_history(commits);
}

/* What happens between the command and the table. */
struct between {
	bool is_refused;
	struct oid commit, seen;
	pthread_t reader;
};

static void *read_main(void *context)
{
	struct between *between = context;
	return (void *)(intptr_t)repo_resolve(&gateway, &repo, span_text("main"), REPO_MAY_WAIT, &between->seen, NULL);
}

static int move_main(void *context, const struct oid *base, const struct oid *commit, const struct pack *pack, struct why *why)
{
	struct between *between = context;
	between->commit = *commit;
	if (between->is_refused)
		return why_set(why, ERR_DENIED, "refused");
	struct ref_update update = { .name = "refs/heads/main", .old_oid = *base, .new_oid = *commit };
	int err = refs_update(gateway.ns, "ada", &repo.id, &update, 1, pack, NULL, why);
	if (err == 0)
		assert_int_equal(pthread_create(&between->reader, NULL, read_main, between), 0);
	nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL); /* it reads while the table lacks the commit, as a rule */
	return err;
}

static void a_commit_is_found_as_soon_as_a_ref_leads_to_it(void **state)
{
	(void)state;
	struct oid commits[3];
	struct between between = { 0 };
	void *err;
	make_history(commits);
	assert_int_equal(store_git_drop(gateway.store, &repo.id), 0);
	fresh_cache();
	assert_history(commits); /* the table was repaired just now, and is not again for some seconds */
	struct commit_draft *draft = on_main();
	commit_draft_publish(draft, move_main, &between);
	put(draft, "b", "1");
	struct oid commit = finish(draft, "b");
	pthread_join(between.reader, &err);
	assert_null(err);
	assert_true(git_oid_equal(&between.seen, &commit));
	assert_content(&commit, "b", "1");
}

static void a_commit_that_was_refused_is_unknown(void **state)
{
	(void)state;
	struct oid commits[3], oid;
	struct between between = { .is_refused = true };
	struct why why = { 0 };
	make_history(commits);
	struct commit_draft *draft = on_main();
	commit_draft_publish(draft, move_main, &between);
	put(draft, "b", "1");
	assert_int_equal(try_finish(draft, "b", &oid, &why), ERR_DENIED);
	commit_draft_close(draft);
	char text[OID_TEXT_BYTES];
	hex_encode(text, between.commit.bytes, OID_BYTES);
	assert_int_equal(repo_resolve(&gateway, &repo, span_text(text), REPO_MAY_WAIT, &oid, NULL), ERR_NOT_FOUND);
	assert_int_equal(commit_draft_open_at(&draft, &gateway, &repo, &between.commit, &why), ERR_NOT_FOUND);
	/* The same commit, taken this time. */
	draft = on_main();
	put(draft, "b", "1");
	oid = finish(draft, "b");
	assert_true(git_oid_equal(&oid, &between.commit));
	assert_int_equal(repo_resolve(&gateway, &repo, span_text(text), REPO_MAY_WAIT, &oid, NULL), 0);
	assert_content(&oid, "b", "1");
	materialise();
}

static void everything_is_there_after_a_restart(void **state)
{
	(void)state;
	struct oid commits[3];
	make_history(commits);
	close_all();
	open_all();
	assert_history(commits);
	struct materialise target = materialise();
	assert_string_equal(git(&target, "log --format=%s main"), "2\n1\n0\n");
}

struct roots {
	struct hash files[64];
	size_t count;
};

static int add_root(void *gc, const struct entity_id *owner, const struct hash *file)
{
	struct roots *roots = gc;
	assert_memory_equal(owner->bytes, repo.id.bytes, ENTITY_ID_BYTES);
	for (size_t i = 0; i < roots->count; i++)
		if (hash_equal(&roots->files[i], file))
			return 0;
	assert_true(roots->count < 64);
	roots->files[roots->count++] = *file;
	return 0;
}

static bool is_root(const struct roots *roots, const struct oid *commit, const char *path)
{
	struct tree_entry entry;
	assert_int_equal(entry_at(commit, path, &entry), 0);
	for (size_t i = 0; i < roots->count; i++)
		if (hash_equal(&roots->files[i], &entry.file))
			return true;
	return false;
}

static void packs_with_their_files_and_what_refs_reach_is_kept(void **state)
{
	(void)state;
	struct oid commits[3];
	make_history(commits);
	struct commit_draft *draft = on_main();
	put_lfs(draft, "large.bin", "large");
	struct oid last = finish(draft, "large");
	struct roots roots = { 0 };
	struct why why = { 0 };
	assert_int_equal(repo_gc_roots(&gateway, add_root, &roots, &why), 0);
	/* 4 packs; "large"; "0" "1" "2" as regular content and LFS at once; "new", "same"; 1 .gitattributes is covered by no default: one more */
	for (int i = 0; i < 3; i++)
		assert_true(is_root(&roots, &commits[i], "a") && is_root(&roots, &commits[i], "dir/model.bin") && is_root(&roots, &commits[i], "dir/same"));
	assert_true(is_root(&roots, &last, "large.bin"));
	size_t all = roots.count;
	/* Back to the first commit: the LFS objects that only the others had are no roots any more, their packs and the regular files of these are. */
	struct ref_update update = { .old_oid = last, .new_oid = commits[0] };
	strcpy(update.name, "refs/heads/main");
	assert_int_equal(refs_update(gateway.ns, "ada", &repo.id, &update, 1, NULL, NULL, &why), 0);
	roots.count = 0;
	assert_int_equal(repo_gc_roots(&gateway, add_root, &roots, &why), 0);
	assert_true(is_root(&roots, &commits[0], "a") && is_root(&roots, &commits[2], "a"));
	assert_false(is_root(&roots, &last, "large.bin"));
	assert_int_equal(roots.count, all - 1);
}

/* ---- objects that are not here ---- */

static struct {
	struct hash has;   /* what another node has; zero: nothing */
	enum store_asked answered;
} others;

static int ask_others(void *context, const struct sha256 *sha256, enum store_asked *asked)
{
	(void)context, (void)sha256;
	*asked = others.answered;
	return hash_is_zero(&others.has) ? ERR_NOT_FOUND : store_claim(gateway.store, &repo.id, &others.has, NULL);
}

static int no_roots(void *context, int (*emit)(void *gc, const struct entity_id *owner, const struct hash *file), void *gc, struct why *why)
{
	(void)context, (void)emit, (void)gc, (void)why;
	return 0;
}

static int drop_it(void *context, const struct file_info *file, int64_t claimed_ms)
{
	(void)claimed_ms;
	return hash_equal(context, &file->file) ? 0 : 1;
}

/* main has large.bin, which is of this repository no more as far as this node knows. */
static struct upload_result forget_object(void)
{
	struct commit_draft *draft = on_main();
	struct store_owner_gc_report report = { 0 };
	struct why why = { 0 };
	struct upload_result object = bring_lfs("large");
	put(draft, "small", "1");
	assert_int_equal(commit_draft_lfs(draft, span_text("large.bin"), &object.sha256, object.length, NULL, &why), 0);
	finish(draft, "t");
	int err = store_gc_owner(gateway.store, &repo.id, no_roots, NULL, 0, false, drop_it, &object.file, NULL, &report, &why);
	if (err || report.claims_dropped != 1)
		fail_msg("%s: %llu dropped", why.text, (unsigned long long)report.claims_dropped);
	others.has = (struct hash){ 0 };
	store_set_copies(gateway.store, &(struct store_copies){ .fetch_sha256 = ask_others });
	return object;
}

static int copy_to(const struct repo *target, struct why *why)
{
	struct actor actor = { 0 };
	strcpy(actor.name, "ada");
	return repo_copy(&gateway, &repo, target, &actor, why);
}

static void a_copy_waits_for_objects_that_another_node_may_have(void **state)
{
	(void)state;
	struct file_info info;
	struct ref ref;
	struct why why = { 0 };
	struct upload_result object = forget_object();
	struct repo first = make_repo("copy"), second = make_repo("copy-again");
	others.answered = STORE_ASKED_ENOUGH;
	assert_int_equal(copy_to(&first, &why), ERR_BUSY);
	assert_non_null(strstr(why.text, "is not known here yet, and not every other node can be asked for it"));
	assert_int_equal(ref_get(gateway.ns, NULL, &first.id, "refs/heads/main", &ref), ERR_NOT_FOUND);
	others.has = object.file;
	assert_int_equal(copy_to(&second, &why), 0);
	assert_int_equal(store_file_by_sha256(gateway.store, &second.id, &object.sha256, &info), 0);
}

static void a_copy_lacks_what_no_node_has(void **state)
{
	(void)state;
	struct file_info info;
	struct ref ref;
	struct why why = { 0 };
	struct upload_result object = forget_object();
	struct repo target = make_repo("copy");
	others.answered = STORE_ASKED_ALL;
	assert_int_equal(copy_to(&target, &why), 0);
	assert_int_equal(ref_get(gateway.ns, NULL, &target.id, "refs/heads/main", &ref), 0);
	assert_int_equal(store_file_by_sha256(gateway.store, &target.id, &object.sha256, &info), ERR_NOT_FOUND);
}

static void content_that_cannot_be_asked_for_is_not_called_missing(void **state)
{
	(void)state;
	struct ref head;
	struct tree_entry entry;
	struct why why = { 0 };
	struct upload_result object = forget_object();
	assert_int_equal(ref_get(gateway.ns, NULL, &repo.id, "refs/heads/main", &head), 0);
	others.answered = STORE_ASKED_FEW;
	assert_int_equal(entry_at(&head.oid, "large.bin", &entry), 0);
	assert_true(entry.is_lfs && !entry.has_file && entry.is_unsettled);
	struct commit_draft *draft = on_main();
	assert_int_equal(commit_draft_lfs(draft, span_text("again.bin"), &object.sha256, object.length, NULL, &why), ERR_BUSY);
	assert_int_equal(commit_draft_copy(draft, span_text("copy.bin"), span_text("large.bin"), &head.oid, &why), ERR_BUSY);
	commit_draft_close(draft);
	others.answered = STORE_ASKED_ALL;
	draft = on_main();
	assert_int_equal(commit_draft_lfs(draft, span_text("again.bin"), &object.sha256, object.length, NULL, &why), ERR_NOT_FOUND);
	commit_draft_close(draft);
}

static void git_itself_agrees_with_a_mixed_history(void **state)
{
	(void)state;
	srand(1);
	for (int i = 0; i < 12; i++) {
		struct commit_draft *draft = on_main();
		for (int k = 0; k < 10; k++) {
			char path[64], text[32];
			snprintf(path, sizeof(path), "d%d/e%d/f%d", rand() % 3, rand() % 3, rand() % 20);
			snprintf(text, sizeof(text), "%d", rand() % 5);
			if (rand() % 4 == 0)
				commit_draft_delete(draft, span_text(path), NULL);
			else if (rand() % 4 == 0)
				put_lfs(draft, path, text);
			else
				put(draft, path, text);
		}
		char title[16];
		snprintf(title, sizeof(title), "c%d", i);
		finish(draft, title);
	}
	struct materialise target = materialise();
	struct oid head;
	assert_int_equal(repo_resolve(&gateway, &repo, span_text("main"), REPO_MAY_WAIT, &head, NULL), 0);
	char text[OID_TEXT_BYTES];
	hex_encode(text, head.bytes, OID_BYTES);
	assert_memory_equal(git(&target, "rev-parse main"), text, 40);
	assert_int_equal(atoi(git(&target, "rev-list --count main")), 12);
	/* Git writes the same trees from the same files. */
	char tree[64], again[64];
	snprintf(tree, sizeof(tree), "%.40s", git(&target, "rev-parse main^{tree}"));
	run("GIT_INDEX_FILE=%s/index git -C %s read-tree --empty && git -C %s ls-tree -r main | GIT_INDEX_FILE=%s/index git -C %s update-index --index-info", target.git,
		target.git, target.git, target.git, target.git);
	char command[512];
	snprintf(command, sizeof(command), "GIT_INDEX_FILE=%s/index git -C %s write-tree", target.git, target.git);
	snprintf(again, sizeof(again), "%.40s", output_of(command));
	assert_string_equal(tree, again);
}

/* ------------------------------------------------------------------ what only git makes */

/* Puts an object as a push would, without a pack. */
static struct oid inject(enum git_type type, struct span payload)
{
	struct oid oid;
	assert_int_equal(object_hash(&oid, type, payload), 0);
	struct git_object object = { .type = (uint8_t)type, .length = payload.length, .payload = payload };
	assert_int_equal(store_git_put(gateway.store, &repo.id, &oid, &object, 1), 0);
	return oid;
}

static void set_ref(const char *name, const struct oid *oid)
{
	struct ref_update update = { .new_oid = *oid, .any_old = true };
	strcpy(update.name, name);
	assert_int_equal(refs_update(gateway.ns, "ada", &repo.id, &update, 1, NULL, NULL, NULL), 0);
}

static void an_annotated_tag_leads_to_its_commit(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	put(draft, "a", "1");
	struct oid commit = finish(draft, "t"), found;
	char text[512], hex[OID_TEXT_BYTES];
	hex_encode(hex, commit.bytes, OID_BYTES);
	snprintf(text, sizeof(text), "object %s\ntype commit\ntag v1\ntagger A <a> 1 +0000\n\nx\n", hex);
	struct oid tag = inject(GIT_TAG, span_text(text));
	hex_encode(hex, tag.bytes, OID_BYTES);
	snprintf(text, sizeof(text), "object %s\ntype tag\ntag v2\ntagger A <a> 1 +0000\n\nx\n", hex);
	struct oid outer = inject(GIT_TAG, span_text(text));
	set_ref("refs/tags/v2", &outer);
	char ref[REF_BYTES_MAX + 1];
	assert_int_equal(repo_resolve(&gateway, &repo, span_text("v2"), REPO_MAY_WAIT, &found, ref), 0);
	assert_true(git_oid_equal(&found, &commit));
	assert_string_equal(ref, "refs/tags/v2");
	/* A tag of a tree is no revision. */
	struct tree_entry root;
	assert_int_equal(entry_at(&commit, "", &root), 0);
	hex_encode(hex, root.oid.bytes, OID_BYTES);
	snprintf(text, sizeof(text), "object %s\ntype tree\ntag v3\ntagger A <a> 1 +0000\n\nx\n", hex);
	tag = inject(GIT_TAG, span_text(text));
	set_ref("refs/tags/v3", &tag);
	assert_int_equal(repo_resolve(&gateway, &repo, span_text("v3"), REPO_MAY_WAIT, &found, ref), ERR_NOT_FOUND);
}

static void modes_that_only_git_sets_survive_a_commit(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	put(draft, "x", "1");
	struct oid first = finish(draft, "t");
	struct tree_entry x;
	assert_int_equal(entry_at(&first, "x", &x), 0);
	struct buffer tree;
	buffer_init(&tree, 4096);
	const struct git_tree_entry entries[] = { { GIT_MODE_SYMLINK, span_text("link"), x.oid }, { GIT_MODE_EXECUTABLE, span_text("run"), x.oid },
		{ GIT_MODE_SUBMODULE, span_text("sub"), first }, { GIT_MODE_FILE, span_text("x"), x.oid } };
	for (size_t i = 0; i < 4; i++)
		git_tree_append(&tree, &entries[i]);
	struct oid root = inject(GIT_TREE, buffer_span(&tree));
	char text[512], hex[OID_TEXT_BYTES];
	hex_encode(hex, root.bytes, OID_BYTES);
	snprintf(text, sizeof(text), "tree %s\nauthor A <a> 1 +0000\ncommitter A <a> 1 +0000\n\nmodes\n", hex);
	struct oid pushed = inject(GIT_COMMIT, span_text(text));
	set_ref("refs/heads/main", &pushed);
	draft = on_main();
	put(draft, "run", "2");
	put(draft, "x", "2");
	struct oid commit = finish(draft, "u");
	assert_list(&commit, "", true, "", "link\nrun\nx\n"); /* a submodule has no content here */
	struct tree_entry entry;
	assert_int_equal(entry_at(&commit, "run", &entry), 0);
	assert_true(entry.is_executable);
	assert_int_equal(entry_at(&commit, "sub", &entry), ERR_NOT_FOUND);
	assert_int_equal(entry_at(&commit, "", &entry), 0);
	struct git_object object;
	assert_int_equal(object_get(&gateway, &repo.id, &entry.oid, GIT_TREE, &object), 0);
	struct span rest = object.payload;
	struct git_tree_entry got;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(git_tree_next(&rest, &got), 1);
		assert_int_equal(got.mode, entries[i].mode);
		assert_true(span_equal(got.name, entries[i].name));
	}
	free((void *)object.payload.data);
	buffer_fini(&tree);
}

static int keep_pack(void *context, const struct pack *pack)
{
	*(struct pack *)context = *pack;
	return 0;
}

static int ignore_object(void *context, const struct oid *oid, const struct git_object *object)
{
	(void)context;
	(void)oid;
	(void)object;
	return 0;
}

static void a_pack_that_does_not_fit_its_record_is_corrupt(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	put(draft, "a", "1");
	finish(draft, "t");
	struct pack pack;
	struct why why = { 0 };
	assert_int_equal(pack_list(gateway.ns, NULL, &repo.id, keep_pack, &pack), 0);
	assert_int_equal(pack.objects, 2);
	assert_int_equal(pack_file_read(&gateway, &pack, ignore_object, NULL, &why), 0);
	uint64_t length = pack.length;
	static const int64_t off[] = { 1, -1, 20, -20, -60, 1000000, 10 };
	for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
		pack.length = length + (uint64_t)off[i];
		assert_int_equal(pack_file_read(&gateway, &pack, ignore_object, NULL, &why), ERR_CORRUPT);
	}
	pack.length = 0;
	assert_int_equal(pack_file_read(&gateway, &pack, ignore_object, NULL, &why), ERR_CORRUPT);
	memset(pack.file.bytes, 7, HASH_BYTES);
	assert_int_equal(pack_file_read(&gateway, &pack, ignore_object, NULL, &why), ERR_CORRUPT);
}

/* ------------------------------------------------------------------ readers beside writers */

static atomic_bool stop_reading;

static void *read_along(void *context)
{
	(void)context;
	while (!atomic_load(&stop_reading)) {
		struct oid commit;
		struct tree_entry entry;
		struct listing *listing = calloc(1, sizeof(*listing));
		struct commit_info info;
		if (!listing || repo_resolve(&gateway, &repo, span_text("main"), REPO_MAY_WAIT, &commit, NULL) != 0 ||
			repo_entry(&gateway, &repo, &commit, span_text("first"), REPO_MAY_WAIT, &entry) != 0 ||
			repo_walk(&gateway, &repo, &commit, span_text(""), true, span_text(""), REPO_MAY_WAIT, list_one, listing) != 0 ||
			repo_commit_info(&gateway, &repo, &commit, REPO_MAY_WAIT, &info) != 0)
			return "failed";
		commit_info_fini(&info);
		free(listing);
	}
	return NULL;
}

static void readers_see_whole_commits_while_others_write(void **state)
{
	(void)state;
	struct commit_draft *draft = on_main();
	put(draft, "first", "1");
	finish(draft, "t");
	repo_cache_close(gateway.trees);
	assert_int_equal(repo_cache_open(&gateway.trees, 64 << 10), 0); /* small: eviction beside reading */
	pthread_t threads[4];
	void *failed;
	atomic_store(&stop_reading, false);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, i < 2 ? read_along : race, (void *)(intptr_t)i), 0);
	for (int i = 3; i >= 0; i--) {
		if (i < 2)
			atomic_store(&stop_reading, true);
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

int main(void)
{
#define REPO_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		REPO_TEST(a_first_commit_makes_the_default_branch),
		REPO_TEST(an_unknown_branch_is_not_found),
		REPO_TEST(commits_follow_each_other),
		REPO_TEST(the_same_commit_has_the_same_id_everywhere),
		REPO_TEST(titles_and_messages_become_one_text),
		REPO_TEST(the_last_operation_on_a_path_wins),
		REPO_TEST(deleting_the_last_file_removes_the_folder),
		REPO_TEST(deleting_what_is_not_there_is_refused),
		REPO_TEST(a_path_cannot_be_file_and_folder),
		REPO_TEST(files_and_folders_are_copied),
		REPO_TEST(unsafe_paths_are_refused),
		REPO_TEST(lfs_files_show_their_content_and_git_their_pointer),
		REPO_TEST(an_lfs_file_that_no_rule_covers_gets_one),
		REPO_TEST(an_lfs_object_must_be_this_repositorys_own),
		REPO_TEST(an_outdated_parent_is_a_conflict),
		REPO_TEST(a_retry_answers_the_commit_it_made),
		REPO_TEST(a_commit_without_named_parent_is_made_on_the_new_head),
		REPO_TEST(a_clash_with_the_new_head_is_a_conflict),
		REPO_TEST(racing_commits_on_one_branch_are_all_there),
		REPO_TEST(every_cursor_continues_where_it_stopped),
		REPO_TEST(ten_thousand_files_are_one_quick_commit),
		REPO_TEST(warm_look_ups_do_not_wait),
		REPO_TEST(a_small_cache_still_answers),
		REPO_TEST(revisions_are_found_in_their_order),
		REPO_TEST(history_is_paged_and_counted),
		REPO_TEST(each_path_knows_its_last_commit),
		REPO_TEST(a_lost_table_comes_back_on_the_first_miss),
		REPO_TEST(a_rebuild_brings_everything_back),
		REPO_TEST(a_commit_is_found_as_soon_as_a_ref_leads_to_it),
		REPO_TEST(a_commit_that_was_refused_is_unknown),
		REPO_TEST(everything_is_there_after_a_restart),
		REPO_TEST(packs_with_their_files_and_what_refs_reach_is_kept),
		REPO_TEST(a_copy_waits_for_objects_that_another_node_may_have),
		REPO_TEST(a_copy_lacks_what_no_node_has),
		REPO_TEST(content_that_cannot_be_asked_for_is_not_called_missing),
		REPO_TEST(git_itself_agrees_with_a_mixed_history),
		REPO_TEST(an_annotated_tag_leads_to_its_commit),
		REPO_TEST(modes_that_only_git_sets_survive_a_commit),
		REPO_TEST(a_pack_that_does_not_fit_its_record_is_corrupt),
		REPO_TEST(readers_see_whole_commits_while_others_write),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
