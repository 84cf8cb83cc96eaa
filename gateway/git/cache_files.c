#include "gateway/git/cache_files.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

int files_error(struct why *why, const char *what, const char *path)
{
	int failed = errno;
	int err = failed == ENOSPC || failed == EDQUOT || failed == EFBIG ? ERR_NO_SPACE : ERR_IO;
	const char *name = strrchr(path, '/');
	return why_set(why, err, "the git cache cannot %s %s: %s", what, name ? name + 1 : path, strerror(failed));
}

int files_make_directory(const char *path)
{
	return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : -1;
}

int files_remove(const char *path)
{
	char *const paths[] = { (char *)(uintptr_t)path, NULL };
	FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	if (!walk)
		return ERR_IO;
	int err = 0;
	for (FTSENT *entry; (entry = fts_read(walk));) {
		if (entry->fts_info == FTS_D)
			continue;
		if (entry->fts_info == FTS_NS && entry->fts_level == FTS_ROOTLEVEL && entry->fts_errno == ENOENT)
			break;
		if (remove(entry->fts_accpath) != 0 && errno != ENOENT)
			err = ERR_IO;
	}
	fts_close(walk);
	return err;
}

uint64_t files_bytes(const char *path)
{
	char *const paths[] = { (char *)(uintptr_t)path, NULL };
	uint64_t bytes = 0;
	FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	if (!walk)
		return 0;
	for (FTSENT *entry; (entry = fts_read(walk));)
		if (entry->fts_info == FTS_F)
			bytes += (uint64_t)entry->fts_statp->st_size;
	fts_close(walk);
	return bytes;
}

int files_write_all(int fd, const void *data, size_t length, struct why *why)
{
	const uint8_t *at = data;
	while (length > 0) {
		ssize_t written = write(fd, at, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return files_error(why, "write", "a file");
		at += written;
		length -= (size_t)written;
	}
	return 0;
}

int files_replace(const char *path, const char *temporary, struct span content, struct why *why)
{
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return files_error(why, "write", path);
	int err = files_write_all(fd, content.data, content.length, why);
	close(fd);
	if (err == 0 && rename(temporary, path) != 0)
		err = files_error(why, "rename", path);
	if (err)
		unlink(temporary);
	return err;
}

int files_read(const char *path, struct buffer *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
	int err = 0;
	while (err == 0) {
		uint8_t data[16384];
		ssize_t got = read(fd, data, sizeof(data));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			err = ERR_IO;
		if (got <= 0)
			break;
		err = buffer_append(out, data, (size_t)got);
	}
	close(fd);
	return err;
}

void files_space(const char *path, uint64_t *free_bytes, uint64_t *total_bytes)
{
	struct statvfs info;
	bool known = statvfs(path, &info) == 0;
	*free_bytes = known ? (uint64_t)info.f_bavail * info.f_frsize : 0;
	*total_bytes = known ? (uint64_t)info.f_blocks * info.f_frsize : 0;
}
