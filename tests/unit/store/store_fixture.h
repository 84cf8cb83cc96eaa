/* store_fixture.h - a store in a directory of its own, and one-line pushes and reads, for the tests of the store.
 *
 * One store at a time, opened before each test and removed after it. Whatever fails in here fails the test. */
#ifndef CAIRN_TESTS_STORE_FIXTURE_H
#define CAIRN_TESTS_STORE_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/store.h"
#include "tests/unit/vectors.h"

#define assert_ok(call)                                                                                                          \
	do {                                                                                                                     \
		int ok_err = (call);                                                                                             \
		if (ok_err)                                                                                                      \
			fail_msg("%s: %s (%s)", #call, err_name(ok_err), why.text);                                              \
	} while (0)

static char store_dir[64];
static struct store *store;
static struct store_config store_config;
static struct why why; /* of the last call; one thread */

static const struct entity_id ada = { "ada" }, bob = { "bob" };

/* ------------------------------------------------------------------ the directory */

static inline int remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
	(void)info, (void)kind, (void)ftw;
	return remove(path);
}

static inline void remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void copy_tree(const char *from, const char *to)
{
	pid_t child = fork();
	if (child == 0) {
		execlp("cp", "cp", "-r", from, to, (char *)NULL);
		_exit(127);
	}
	int status;
	assert_true(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

static inline void open_store(void)
{
	assert_ok(store_open(&store, &store_config, &why));
}

static inline void close_store(void)
{
	store_close(store);
	store = NULL;
}

static inline void reopen_store(void)
{
	close_store();
	open_store();
}

static inline void remove_index(void)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/index", store_dir);
	remove_tree(path);
}

/* A small store in store_dir. */
static inline void configure_store(void)
{
	why.text[0] = 0;
	store_config = (struct store_config){ .dir = store_dir, .volume_bytes_max = 64 << 20, .reserve_bytes = 1 << 20,
		.buffer_bytes_max = 8 << 20, .index_cache_bytes = 2 << 20 };
	open_store();
}

static inline int set_up(void **state)
{
	(void)state;
	strcpy(store_dir, "/tmp/cairn-store-XXXXXX");
	if (!mkdtemp(store_dir))
		return 1;
	configure_store();
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	close_store();
	remove_tree(store_dir);
	return 0;
}

/* ------------------------------------------------------------------ pushing */

static inline struct upload *begin_upload(const struct entity_id *owner)
{
	struct upload *upload;
	assert_ok(upload_open(&upload, store, owner, &why));
	return upload;
}

/* In writes of `piece` bytes. */
static inline struct upload_result add_file_in(struct upload *upload, const struct bytes *bytes, size_t piece)
{
	struct upload_result out;
	assert_ok(upload_file_begin(upload, bytes->length));
	for (size_t at = 0; at < bytes->length; at += piece)
		assert_ok(upload_file_write(upload, bytes->data + at, piece < bytes->length - at ? piece : bytes->length - at, &why));
	assert_ok(upload_file_end(upload, &out, &why));
	assert_true(out.length == bytes->length);
	return out;
}

static inline struct upload_result add_file(struct upload *upload, const struct bytes *bytes)
{
	return add_file_in(upload, bytes, SIZE_MAX);
}

static inline void end_upload(struct upload *upload)
{
	assert_ok(upload_commit(upload, &why));
	upload_close(upload);
}

static inline struct upload_result push(const struct entity_id *owner, const struct bytes *bytes)
{
	struct upload *upload = begin_upload(owner);
	struct upload_result out = add_file(upload, bytes);
	end_upload(upload);
	return out;
}

/* ------------------------------------------------------------------ reading */

/* Bytes read into a buffer of that size, or the first error. */
static inline int64_t try_read(const struct hash *file, uint64_t start, uint64_t end, uint8_t *out, size_t capacity, size_t piece)
{
	struct file_reader *reader;
	int64_t total = 0, some = file_reader_open(&reader, store, file, start, end, &why);
	if (some)
		return some;
	while ((some = file_reader_read(reader, out + total, piece < capacity - (size_t)total ? piece : capacity - (size_t)total, true, &why)) > 0)
		total += some;
	file_reader_close(reader);
	return some < 0 ? some : total;
}

static inline void assert_range_in(const struct hash *file, const struct bytes *bytes, size_t start, size_t end, size_t piece)
{
	struct bytes got = bytes_make(end - start);
	int64_t length = try_read(file, start, end, got.data, got.length + 1, piece);
	if (length != (int64_t)got.length)
		fail_msg("[%zu, %zu): %lld (%s)", start, end, (long long)length, why.text);
	if (memcmp(got.data, bytes->data + start, got.length) != 0)
		fail_msg("[%zu, %zu) differs", start, end);
	free(got.data);
}

static inline void assert_content(const struct hash *file, const struct bytes *bytes)
{
	assert_range_in(file, bytes, 0, bytes->length, SIZE_MAX);
}

/* Reading it fails as damaged. */
static inline void assert_damaged(const struct hash *file, size_t length)
{
	struct bytes got = bytes_make(length);
	assert_int_equal(try_read(file, 0, UINT64_MAX, got.data, length + 1, SIZE_MAX), ERR_CORRUPT);
	free(got.data);
}

/* ------------------------------------------------------------------ counting */

/* Everything that volumes decide, the index made anew. */
static inline struct store_stats recount(void)
{
	struct store_stats out;
	close_store();
	remove_index();
	open_store();
	store_stats(store, &out);
	return out;
}

static inline void assert_same_counts(const struct store_stats *a, const struct store_stats *b)
{
	assert_int_equal(a->chunks, b->chunks);
	assert_int_equal(a->xorbs, b->xorbs);
	assert_int_equal(a->files, b->files);
	assert_int_equal(a->stored_bytes, b->stored_bytes);
	assert_int_equal(a->raw_bytes, b->raw_bytes);
	assert_int_equal(a->logical_bytes, b->logical_bytes);
}

static inline void assert_usage(const struct entity_id *owner, uint64_t files, uint64_t bytes)
{
	uint64_t has_files, has_bytes;
	assert_ok(store_owner_usage(store, owner, &has_files, &has_bytes));
	assert_int_equal(has_files, files);
	assert_int_equal(has_bytes, bytes);
}

/* What a check says, the last of it kept in `finding_text`. */
static char finding_text[1024];
static int findings_count;

static inline void on_finding(void *context, const char *what)
{
	(void)context;
	findings_count++;
	snprintf(finding_text, sizeof(finding_text), "%s", what);
}

/* Closes the store, checks it, opens it again. Returns how many things were wrong. */
static inline int check_store(bool rebuild, struct store_fsck_report *report)
{
	close_store();
	findings_count = 0;
	assert_ok(store_fsck(&store_config, rebuild, NULL, on_finding, NULL, report, &why));
	open_store();
	return findings_count;
}

static inline void assert_sound(void)
{
	struct store_fsck_report report;
	if (check_store(false, &report) != 0)
		fail_msg("%s", finding_text);
}

#endif
