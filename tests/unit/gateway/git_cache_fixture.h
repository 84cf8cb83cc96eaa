/* git_cache_fixture.h - a store, a namespace and a cache in a directory of their own, commits in a repository, and what git thinks of the cached one. */
#ifndef CAIRN_TESTS_GIT_CACHE_FIXTURE_H
#define CAIRN_TESTS_GIT_CACHE_FIXTURE_H

#include "gateway/git/cache.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/repo/repo.h"

static char dir[] = "/tmp/cairn-gitcache-XXXXXX";
static struct gateway gateway;
static struct repo repo;

static inline int remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
	(void)info;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static inline void open_cache(uint64_t bytes_max, uint64_t reserve_bytes)
{
	struct why why = { 0 };
	struct git_cache_config config = { .data_dir = dir, .bytes_max = bytes_max, .reserve_bytes = reserve_bytes };
	if (git_cache_open(&gateway.git_cache, &gateway, &config, &why) != 0)
		fail_msg("%s", why.text);
}

static inline void reopen_cache(uint64_t bytes_max, uint64_t reserve_bytes)
{
	git_cache_close(gateway.git_cache);
	open_cache(bytes_max, reserve_bytes);
}

static inline struct repo make_repo(const char *name)
{
	struct repo wanted = { .type = REPO_MODEL }, made;
	struct entity_id id;
	struct why why = { 0 };
	strcpy(wanted.owner, "ada");
	snprintf(wanted.name, sizeof(wanted.name), "%s", name);
	assert_int_equal(repo_create(gateway.ns, "ada", &wanted, &id, &why), 0);
	assert_int_equal(repo_get(gateway.ns, NULL, &id, &made), 0);
	return made;
}

static inline int set_up(void **state)
{
	(void)state;
	char path[64];
	struct why why = { 0 };
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/store", dir);
	struct store_config config = { .dir = path, .volume_bytes_max = 64 << 20, .reserve_bytes = 1 << 20 };
	assert_int_equal(store_open(&gateway.store, &config, &why), 0);
	snprintf(path, sizeof(path), "%s/meta", dir);
	assert_int_equal(namespace_open(&gateway.ns, path, &why), 0);
	assert_int_equal(repo_cache_open(&gateway.trees, 32 << 20), 0);
	open_cache(1 << 30, 1 << 20);
	struct user user = { .name = "ada", .email = "ada@example.org" };
	user_create(gateway.ns, "", &user, NULL);
	repo = make_repo("first");
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	git_cache_close(gateway.git_cache);
	repo_cache_close(gateway.trees);
	namespace_close(gateway.ns);
	store_close(gateway.store);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

/* ---- commits ---- */

static inline struct oid commit(const struct repo *on, const char *path, const char *text)
{
	struct commit_draft *draft;
	struct upload_result result;
	struct why why = { 0 };
	struct oid oid;
	struct commit_author author = { .name = "ada", .email = "ada@example.org", .when_ms = 1700000000000 };
	assert_int_equal(commit_draft_open(&draft, &gateway, on, "refs/heads/main", NULL, &why), 0);
	struct upload *upload = commit_draft_upload(draft);
	assert_int_equal(upload_file_begin(upload, strlen(text)), 0);
	assert_int_equal(upload_want_git_oid(upload, strlen(text)), 0);
	if (*text)
		assert_int_equal(upload_file_write(upload, text, strlen(text), &why), 0);
	assert_int_equal(upload_file_end(upload, &result, &why), 0);
	assert_int_equal(commit_draft_file(draft, span_text(path), &result, &why), 0);
	int err = commit_draft_finish(draft, "ada", &author, span_text(path), span_text(""), &oid, &why);
	if (err)
		fail_msg("%s: %s", err_name(err), why.text);
	commit_draft_close(draft);
	return oid;
}

static inline struct git_lease lease_of(struct repo *of)
{
	struct git_lease lease;
	struct why why = { 0 };
	assert_int_equal(repo_get(gateway.ns, NULL, &of->id, of), 0);
	int err = git_cache_lease(&gateway, of, &lease, &why);
	if (err)
		fail_msg("%s: %s", err_name(err), why.text);
	return lease;
}

static inline void release(struct git_lease *lease)
{
	git_cache_release(&gateway, lease);
}

static inline struct git_cache_stats stats(void)
{
	struct git_cache_stats out;
	git_cache_stats(gateway.git_cache, &out);
	return out;
}

/* ---- git's own opinion ---- */

static inline char *output_of(const char *format, ...)
{
	static char text[1 << 16];
	char command[PATH_MAX + 512];
	va_list list;
	va_start(list, format);
	vsnprintf(command, sizeof(command), format, list);
	va_end(list);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	text[fread(text, 1, sizeof(text) - 1, pipe)] = 0;
	if (pclose(pipe) != 0)
		fail_msg("failed: %s\n%s", command, text);
	return text;
}

static inline void assert_sound(const struct git_lease *lease, const struct oid *head)
{
	char hex[OID_TEXT_BYTES];
	hex_encode(hex, head->bytes, OID_BYTES);
	output_of("git -C %s fsck --full --strict 2>&1", lease->dir);
	assert_memory_equal(output_of("git -C %s rev-parse HEAD", lease->dir), hex, 40);
}

static inline int packs_in(const struct git_lease *lease)
{
	return atoi(output_of("ls %s/objects/pack/*.pack | wc -l", lease->dir));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
