#include "gateway/git/bundle_make.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/git/bundle_header.h"
#include "gateway/git/cache.h"
#include "gateway/git/cache_files.h"
#include "gateway/git/process.h"
#include "gateway/process.h"
#include "gateway/repo/scratch_dir.h"
#include "replication/bundle.h"

enum {
	LOOK_MS = 500,             /* between two looks at `stopping` */
	COPY_BYTES = 1 << 20,
	INCREMENTS_SHARE = 2,      /* of the full bundle, that all others together may have */
};

struct making {
	struct gateway *gateway;
	struct repo repo;
	const _Atomic bool *stopping;
	struct git_lease lease;
	struct scratch_dir dir;
	struct bundles bundles;
	size_t kept;               /* the first of them stay; the new one takes the place of the rest */
	struct why *why;
};

static bool is_stopping(const struct making *making)
{
	return making->stopping && *making->stopping;
}

/* ------------------------------------------------------------------ what is wanted */

static size_t count_kept(const struct bundles *bundles)
{
	uint64_t increments = 0;
	for (size_t i = 1; i < bundles->count; i++)
		increments += bundles->items[i].length;
	if (bundles->count == 0 || increments > bundles->items[0].length / INCREMENTS_SHARE)
		return 0;
	return bundles->count == BUNDLES_MAX ? 1 : bundles->count;
}

static bool is_wanted(const struct making *making, bool asked)
{
	const struct bundles *bundles = &making->bundles;
	if (bundles->count == 0)
		return true;
	const struct bundle *newest = &bundles->items[bundles->count - 1];
	return newest->version < making->repo.version && (asked || unix_ms() - newest->created_ms >= BUNDLE_PAUSE_MS);
}

/* ------------------------------------------------------------------ git */

/* A line "^TIP" for whatever the bundles that stay have already. */
static int write_known(struct making *making, int fd)
{
	struct buffer lines;
	buffer_init(&lines, 2 * BUNDLE_HEADER_BYTES_MAX);
	int err = 0;
	for (size_t i = 0; i < making->kept && err == 0; i++)
		err = bundle_header_tips(making->gateway->store, &making->bundles.items[i], &lines, making->why);
	if (err == 0)
		err = files_write_all(fd, lines.data, lines.length, making->why);
	buffer_fini(&lines);
	return err == 0 && lseek(fd, 0, SEEK_SET) != 0 ? files_error(making->why, "read", "a list of commits") : err;
}

static int run(struct making *making, const struct git_command *command)
{
	struct git_process *process;
	uint8_t dropped[4096];
	int64_t got = ERR_AGAIN;
	int err = git_process_start(&process, command, making->why);
	if (err)
		return err;
	while (err == 0 && got != 0) {
		got = git_process_read(process, dropped, sizeof(dropped), false, making->why);
		err = is_stopping(making) ? ERR_CLOSED : got < 0 && got != ERR_AGAIN ? (int)got : 0;
		if (err == 0 && got == ERR_AGAIN)
			err = git_process_wait(process, LOOK_MS, making->why);
	}
	if (err == 0)
		err = git_process_end(process, making->why);
	if (err == ERR_IO && strstr(git_process_said(process), "create empty bundle"))
		err = ERR_NOT_FOUND;
	else if (err == ERR_IO)
		git_cache_blame(making->gateway, &making->lease, git_process_said(process));
	git_process_close(process);
	return err;
}

/* ERR_NOT_FOUND: it would be empty. */
static int create(struct making *making, char path[PATH_MAX])
{
	char git_dir[PATH_MAX + 16], list[PATH_MAX];
	snprintf(git_dir, sizeof(git_dir), "--git-dir=%s", making->lease.dir);
	int err = scratch_dir_file(&making->dir, "bundle", path, making->why);
	if (err == 0)
		err = scratch_dir_file(&making->dir, "known", list, making->why);
	if (err)
		return err;
	int fd = open(list, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return files_error(making->why, "write", list);
	const char *const arguments[] = { git_dir, "-c", "pack.threads=1", "bundle", "create", "-q", path, "--branches", "--tags", "--stdin", NULL };
	struct git_command command = { .arguments = arguments, .input = fd, .output = GIT_FD_PIPE, .wall_ms_max = BUNDLE_WALL_MS };
	err = write_known(making, fd);
	if (err == 0)
		err = run(making, &command);
	close(fd);
	return err;
}

/* ------------------------------------------------------------------ the store and the list */

static int copy(struct making *making, int fd, struct upload *upload)
{
	uint8_t *data = malloc(COPY_BYTES);
	int err = data ? 0 : ERR_NO_MEMORY;
	ssize_t got = 1;
	while (err == 0 && got > 0) {
		got = read(fd, data, COPY_BYTES);
		if (got < 0)
			err = files_error(making->why, "read", "a bundle");
		else if (is_stopping(making))
			err = ERR_CLOSED;
		else if (got > 0)
			err = upload_file_write(upload, data, (size_t)got, making->why);
	}
	free(data);
	return err;
}

static void add(struct making *making, const struct upload_result *stored)
{
	struct bundles *bundles = &making->bundles;
	uint64_t newest = bundles->count ? bundles->items[bundles->count - 1].token : 0, now_s = (uint64_t)unix_ms() / 1000;
	bool replaces = making->kept < bundles->count;
	bundles->items[making->kept] = (struct bundle){ .file = stored->file, .length = stored->length, .version = making->lease.version, .created_ms = unix_ms(),
		.token = replaces ? newest : now_s > newest ? now_s : newest + 1 };
	bundles->count = making->kept + 1;
}

static int store_and_list(struct making *making, int fd, uint64_t length)
{
	struct upload *upload;
	struct upload_result stored;
	int err = upload_open(&upload, making->gateway->store, &making->repo.id, making->why);
	if (err)
		return err;
	err = upload_file_begin(upload, length);
	if (err == 0)
		err = copy(making, fd, upload);
	if (err == 0)
		err = upload_file_end(upload, &stored, making->why);
	if (err == 0)
		err = upload_commit(upload, making->why);
	if (err == 0) {
		add(making, &stored);
		err = bundles_set(making->gateway->ns, &making->repo.id, &making->bundles, making->why);
	}
	upload_close(upload);
	return err;
}

static int make(struct making *making, bool asked, uint64_t *made)
{
	char path[PATH_MAX];
	struct stat info;
	if (!git_cache_has_room(making->gateway->git_cache, 2 * making->lease.bytes))
		return why_set(making->why, ERR_NO_SPACE, "the disk is too full for a bundle");
	int err = scratch_dir_make(&making->dir, making->gateway->data_dir, "bundle", making->why);
	if (err == 0)
		err = create(making, path);
	if (err)
		return err;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &info) != 0)
		err = files_error(making->why, "read", path);
	else if (asked || making->kept == 0 || info.st_size >= BUNDLE_INCREMENT_BYTES_MIN)
		err = store_and_list(making, fd, *made = (uint64_t)info.st_size);
	if (fd >= 0)
		close(fd);
	return err;
}

int repo_bundle(struct gateway *gateway, const struct entity_id *repo, bool asked, const _Atomic bool *stopping, struct bundle_report *out,
	struct why *why)
{
	struct making making = { .gateway = gateway, .stopping = stopping, .why = why };
	*out = (struct bundle_report){ 0 };
	int err = bundles_get(gateway->ns, NULL, repo, &making.bundles);
	if (err == 0)
		err = repo_get(gateway->ns, NULL, repo, &making.repo);
	if (err)
		return why_set(why, err, "the repository cannot be looked up");
	making.kept = count_kept(&making.bundles);
	if (is_wanted(&making, asked)) {
		err = git_cache_lease(gateway, &making.repo, &making.lease, why);
		if (err == 0 && (asked || making.lease.bytes >= BUNDLE_BYTES_MIN))
			err = make(&making, asked, &out->made);
		git_cache_release(gateway, &making.lease);
		scratch_dir_remove(&making.dir);
	}
	if (err == ERR_NOT_FOUND) /* no commit beside those that the bundles have */
		err = 0;
	out->count = making.bundles.count;
	for (size_t i = 0; i < making.bundles.count; i++)
		out->bytes += making.bundles.items[i].length;
	return err;
}
