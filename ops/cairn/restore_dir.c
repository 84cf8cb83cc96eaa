#include "ops/cairn/restore_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "ops/cairn/copy.h"

static const char mark_name[] = "restoring";

static void path_of(char out[PATH_MAX], const struct restore_dir *dir, const char *name)
{
	snprintf(out, PATH_MAX, "%.4000s/%s", dir->path, name);
}

static bool has(const struct restore_dir *dir, const char *name)
{
	char path[PATH_MAX];
	path_of(path, dir, name);
	return access(path, F_OK) == 0;
}

static int failed(const char *what, const char *path)
{
	fprintf(stderr, "cairn: cannot %s %s: %s\n", what, path, strerror(errno));
	return 1;
}

/* Nothing but what a restore makes before its mark is there, and what a new file system has. */
static bool holds_nothing(const char *path)
{
	static const char *const passed[] = { ".", "..", "lost+found", "lock", "restoring.part" };
	DIR *entries = opendir(path);
	if (!entries)
		return errno == ENOENT;
	bool nothing = true;
	for (struct dirent *entry; nothing && (entry = readdir(entries));) {
		nothing = false;
		for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
			nothing = nothing || strcmp(entry->d_name, passed[i]) == 0;
	}
	closedir(entries);
	return nothing;
}

static int check_free(const struct restore_dir *dir)
{
	if (has(dir, mark_name) || holds_nothing(dir->path))
		return 0;
	fprintf(stderr, "cairn: %s is not empty: a backup is restored into a directory of its own\n", dir->path);
	return 1;
}

static int take_lock(struct restore_dir *dir)
{
	char path[PATH_MAX];
	path_of(path, dir, "lock");
	dir->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (dir->lock_fd < 0)
		return failed("open", path);
	if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	fprintf(stderr, "cairn: another process uses %s\n", dir->path);
	return 1;
}

static bool is_of(const struct restore_dir *dir, const char *backup)
{
	char path[PATH_MAX], line[256] = "";
	path_of(path, dir, mark_name);
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	bool same = fgets(line, sizeof(line), file) && strcmp(line, backup) == 0;
	fclose(file);
	return same;
}

/* The mark stays: what is half removed is still a half. */
static void remove_half(const struct restore_dir *dir)
{
	static const char *const names[] = { "store", "meta.part", "admin-token", "admin-token.part" };
	char path[PATH_MAX];
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		path_of(path, dir, names[i]);
		remove_directory(path);
	}
}

static int begin(struct restore_dir *dir, const char *backup)
{
	char path[PATH_MAX];
	path_of(path, dir, mark_name);
	if (!has(dir, mark_name))
		return write_file(path, backup) || sync_directory(dir->path);
	dir->goes_on = is_of(dir, backup);
	dir->is_whole = has(dir, "meta");
	if (dir->is_whole && !dir->goes_on) {
		fprintf(stderr, "cairn: %s holds another backup, which lacks only the end of its restore: restore that once more, or take another directory\n",
			dir->path);
		return 1;
	}
	fprintf(stderr, "cairn: a restore into %s did not end: %s\n", dir->path, dir->goes_on ? "going on with it" : "it was of another backup; beginning anew");
	if (dir->goes_on) {
		path_of(path, dir, "store/index"); /* that somebody made of the half */
		remove_directory(path);
		return 0;
	}
	remove_half(dir);
	return write_file(path, backup) || sync_directory(dir->path);
}

int restore_dir_open(struct restore_dir *out, const char *path, const char *backup)
{
	*out = (struct restore_dir){ .path = path, .lock_fd = -1 };
	/* Before anything is made in what may be somebody else's, and again when nobody else changes it. */
	if (check_free(out) || make_directory(path) || take_lock(out) || check_free(out) || begin(out, backup)) {
		restore_dir_close(out);
		return 1;
	}
	return 0;
}

int restore_dir_finish(struct restore_dir *dir)
{
	char path[PATH_MAX];
	path_of(path, dir, mark_name);
	if (sync_directory(dir->path) != 0)
		return 1;
	return unlink(path) == 0 ? sync_directory(dir->path) : failed("remove", path);
}

void restore_dir_close(struct restore_dir *dir)
{
	if (dir->lock_fd >= 0)
		close(dir->lock_fd);
	dir->lock_fd = -1;
}
