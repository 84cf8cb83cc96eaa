#include "ops/cairn/copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 8 << 20, DESCRIPTORS = 16 };

static int failed(const char *what, const char *path)
{
	fprintf(stderr, "cairn: cannot %s %s: %s\n", what, path, strerror(errno));
	return 1;
}

int sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0) {
		int status = failed("sync", path);
		if (fd >= 0)
			close(fd);
		return status;
	}
	close(fd);
	return 0;
}

static int sync_one(const char *path, const struct stat *status, int flag, struct FTW *where)
{
	(void)status, (void)where;
	return flag == FTW_D ? sync_directory(path) : 0;
}

int sync_tree(const char *path)
{
	return nftw(path, sync_one, DESCRIPTORS, FTW_PHYS) == 0 ? 0 : 1;
}

int make_directory(const char *path)
{
	return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : failed("make", path);
}

int make_parents(char *path, size_t root_length)
{
	int status = 0;
	for (char *slash = strchr(path + root_length + 1, '/'); slash && status == 0; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		status = make_directory(path);
		*slash = '/';
	}
	return status;
}

bool directory_is_empty(const char *path)
{
	DIR *dir = opendir(path);
	if (!dir)
		return errno == ENOENT;
	bool empty = true;
	for (struct dirent *entry; empty && (entry = readdir(dir));)
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	closedir(dir);
	return empty;
}

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *where)
{
	(void)status, (void)flag, (void)where;
	remove(path);
	return 0;
}

void remove_directory(const char *path)
{
	nftw(path, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
}

/* The kernel copies (or shares blocks, where the file system can) as long as it knows how to between these two. */
static ssize_t copy_piece(int in, int out, size_t length, char *buffer)
{
	ssize_t done = copy_file_range(in, NULL, out, NULL, length, 0);
	if (done >= 0 || (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP))
		return done;
	done = read(in, buffer, length < PIECE_BYTES ? length : PIECE_BYTES);
	for (ssize_t at = 0; at < done;) {
		ssize_t some = write(out, buffer + at, (size_t)(done - at));
		if (some < 0)
			return some;
		at += some;
	}
	return done;
}

static int copy_bytes(int in, int out, const char *from, const char *to, uint64_t length, copy_step step, void *context)
{
	char *buffer = malloc(PIECE_BYTES);
	int status = buffer ? 0 : failed("copy", from);
	for (uint64_t left = length; left > 0 && status == 0;) {
		ssize_t done = copy_piece(in, out, left < PIECE_BYTES ? (size_t)left : PIECE_BYTES, buffer);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			status = failed("write", to);
		if (done == 0 && length != UINT64_MAX) {
			fprintf(stderr, "cairn: %s is shorter than it should be\n", from);
			status = 1;
		}
		if (done <= 0)
			break;
		left -= (uint64_t)done;
		if (step && !step(context, (uint64_t)done))
			status = 1;
	}
	free(buffer);
	return status;
}

/* Gives a file that was written whole its name. */
static int finish(int fd, const char *temporary, const char *to, int status)
{
	if (status == 0 && fsync(fd) != 0)
		status = failed("sync", to);
	close(fd);
	if (status == 0 && rename(temporary, to) != 0)
		status = failed("rename", temporary);
	if (status)
		unlink(temporary);
	return status;
}

static int open_temporary(const char *to, char temporary[PATH_MAX])
{
	if (snprintf(temporary, PATH_MAX, "%s.part", to) >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

int copy_file(const char *from, const char *to, uint64_t length, copy_step step, void *context)
{
	char temporary[PATH_MAX];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return failed("read", from);
	int out = open_temporary(to, temporary);
	int status = out < 0 ? failed("write", to) : finish(out, temporary, to, copy_bytes(in, out, from, to, length, step, context));
	close(in);
	return status;
}

int make_file(const char *to, int (*fill)(void *context, int fd), void *context)
{
	char temporary[PATH_MAX];
	int fd = open_temporary(to, temporary);
	return fd < 0 ? failed("write", to) : finish(fd, temporary, to, fill(context, fd));
}

struct text_file {
	const char *path, *text;
};

static int fill_text(void *context, int fd)
{
	const struct text_file *file = context;
	size_t length = strlen(file->text);
	return write(fd, file->text, length) == (ssize_t)length ? 0 : failed("write", file->path);
}

int write_file(const char *path, const char *text)
{
	struct text_file file = { path, text };
	return make_file(path, fill_text, &file);
}

static int each_file_of(const char *dir, const char *inside, int (*each)(void *context, const char *path, const char *name), void *context)
{
	DIR *entries = opendir(dir);
	int status = entries ? 0 : failed("read", dir);
	for (struct dirent *entry; status == 0 && (entry = readdir(entries));) {
		char path[PATH_MAX], name[PATH_MAX];
		struct stat info;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || strcmp(entry->d_name, "LOCK") == 0)
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name) >= PATH_MAX ||
			snprintf(name, sizeof(name), "%s%s%s", inside, *inside ? "/" : "", entry->d_name) >= PATH_MAX || lstat(path, &info) != 0)
			status = failed("read", path);
		else
			status = S_ISDIR(info.st_mode) ? each_file_of(path, name, each, context) : each(context, path, name);
	}
	if (entries)
		closedir(entries);
	return status;
}

int each_file(const char *dir, int (*each)(void *context, const char *path, const char *name), void *context)
{
	return each_file_of(dir, "", each, context);
}

struct directory_copy {
	const char *to;
	copy_step step;
	void *context;
};

static int copy_one(void *context, const char *path, const char *name)
{
	const struct directory_copy *copy = context;
	char to[PATH_MAX];
	if (snprintf(to, sizeof(to), "%s/%s", copy->to, name) >= PATH_MAX)
		return failed("write", copy->to);
	return make_parents(to, strlen(copy->to)) || copy_file(path, to, UINT64_MAX, copy->step, copy->context);
}

int copy_directory(const char *from, const char *to, copy_step step, void *context)
{
	struct directory_copy copy = { to, step, context };
	if (mkdir(to, 0700) != 0)
		return failed("make", to);
	return each_file(from, copy_one, &copy) || sync_tree(to);
}
