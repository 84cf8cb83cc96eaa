/* backup_dir.c - a backup in a directory. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops/cairn/backup_target.h"
#include "ops/cairn/backup_volume.h"

struct backup_dir {
	struct backup_target base;
	int lock_fd; /* of the directory, while a backup goes into it; -1: none */
	char path[];
};

static int path_of(char out[PATH_MAX], struct backup_target *target, const char *name)
{
	const struct backup_dir *dir = (const struct backup_dir *)target;
	if (snprintf(out, PATH_MAX, "%s/%s", dir->path, name) < PATH_MAX)
		return 0;
	fprintf(stderr, "cairn: the path %s is too long\n", dir->path);
	return 1;
}

/* Where a file system knows no such locks, two backups at once are the operator's to avoid. */
static int take_lock(struct backup_dir *dir)
{
	dir->lock_fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir->lock_fd < 0 || flock(dir->lock_fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return 0;
	fprintf(stderr, "cairn: another backup goes into %s just now\n", dir->path);
	return 1;
}

static int prepare(struct backup_target *target)
{
	struct backup_dir *dir = (struct backup_dir *)target;
	char volumes[PATH_MAX], manifest[PATH_MAX];
	if (path_of(volumes, target, "volumes") != 0 || path_of(manifest, target, "manifest.json") != 0)
		return 1;
	if (!directory_is_empty(dir->path) && access(volumes, F_OK) != 0 && access(manifest, F_OK) != 0) {
		fprintf(stderr, "cairn: %s is not empty and holds no backup\n", dir->path);
		return 1;
	}
	return make_directory(dir->path) || take_lock(dir);
}

static int put_file(struct backup_target *target, const char *name, const char *from, uint64_t length, copy_step step, void *context)
{
	char path[PATH_MAX];
	return path_of(path, target, name) || make_parents(path, strlen(((struct backup_dir *)target)->path)) || copy_file(from, path, length, step, context);
}

static int put_text(struct backup_target *target, const char *name, const char *text)
{
	char path[PATH_MAX];
	return path_of(path, target, name) || write_file(path, text);
}

static int settle(struct backup_target *target)
{
	return sync_tree(((struct backup_dir *)target)->path);
}

static int get_file(struct backup_target *target, const char *name, const char *to, uint64_t length, copy_step step, void *context)
{
	char path[PATH_MAX];
	return path_of(path, target, name) || copy_file(path, to, length, step, context);
}

static int get_text(struct backup_target *target, const char *name, char **out)
{
	char path[PATH_MAX];
	*out = NULL;
	if (path_of(path, target, name) != 0)
		return 1;
	errno = 0;
	FILE *file = fopen(path, "re");
	struct stat info;
	if (!file && errno == ENOENT)
		return 0;
	bool is_read = file && fstat(fileno(file), &info) == 0 && info.st_size <= BACKUP_TEXT_BYTES_MAX && (*out = calloc(1, (size_t)info.st_size + 1)) &&
		fread(*out, 1, (size_t)info.st_size, file) == (size_t)info.st_size;
	if (!is_read) {
		fprintf(stderr, "cairn: cannot read %s: %s\n", path, errno ? strerror(errno) : "it is too long");
		free(*out);
		*out = NULL;
	}
	if (file)
		fclose(file);
	return is_read ? 0 : 1;
}

static bool has(struct backup_target *target, const char *name, uint64_t length)
{
	char path[PATH_MAX];
	struct stat info;
	return path_of(path, target, name) == 0 && stat(path, &info) == 0 && (uint64_t)info.st_size == length;
}

/* A directory goes with its last file. */
static void remove_name(struct backup_target *target, const char *name)
{
	char path[PATH_MAX];
	size_t root = strlen(((struct backup_dir *)target)->path);
	if (path_of(path, target, name) != 0 || unlink(path) != 0)
		return;
	for (char *slash = strrchr(path, '/'); slash && slash > path + root; slash = strrchr(path, '/')) {
		*slash = 0;
		if (rmdir(path) != 0)
			return;
	}
}

static void sweep(struct backup_target *target, const json_t *manifest)
{
	char path[PATH_MAX];
	DIR *dir = path_of(path, target, "volumes") == 0 ? opendir(path) : NULL;
	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir));)
		if (!backup_volume_file_is_named(manifest, entry->d_name))
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
}

static void close_dir(struct backup_target *target)
{
	struct backup_dir *dir = (struct backup_dir *)target;
	if (dir->lock_fd >= 0)
		close(dir->lock_fd);
	free(dir);
}

int backup_dir_open(struct backup_target **out, const char *path)
{
	size_t length = strlen(path);
	struct backup_dir *dir = calloc(1, sizeof(*dir) + length + 1);
	if (!dir) {
		fprintf(stderr, "cairn: no memory\n");
		return 1;
	}
	memcpy(dir->path, path, length + 1);
	dir->lock_fd = -1;
	dir->base = (struct backup_target){ prepare, put_file, put_text, settle, get_file, get_text, has, remove_name, sweep, close_dir };
	*out = &dir->base;
	return 0;
}

int backup_target_open(struct backup_target **out, const char *where)
{
	return strncmp(where, "s3://", 5) == 0 ? backup_s3_open(out, where) : backup_dir_open(out, where);
}

bool backup_name_is_plain(const char *name)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_/";
	size_t length = strspn(name, plain);
	return length > 0 && length < NAME_MAX && name[length] == 0 && name[0] != '/' && !strstr(name, "..") && !strstr(name, "//") && name[length - 1] != '/';
}
