#include "gateway/repo/scratch_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 4 };

static const char prefix[] = "scratch-";

int scratch_dir_make(struct scratch_dir *out, const char *data_dir, const char *what, struct why *why)
{
	if ((size_t)snprintf(out->path, sizeof(out->path), "%s/tmp/%s%s-XXXXXX", data_dir, prefix, what) >= sizeof(out->path)) {
		out->path[0] = 0;
		return why_set(why, ERR_TOO_BIG, "the path of the data directory is too long");
	}
	if (mkdtemp(out->path))
		return 0;
	int err = errno == ENOSPC ? ERR_NO_SPACE : ERR_IO;
	why_set(why, err, "a directory below DIR/tmp cannot be made: %s", strerror(errno)); /* clients may see it: no paths of this machine */
	out->path[0] = 0;
	return err;
}

/* Removes what is in the directory `fd`, which is closed. */
static void empty(int fd, const char *only_prefix, int depth)
{
	DIR *dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return;
	}
	for (struct dirent *entry; (entry = readdir(dir));) {
		const char *name = entry->d_name;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strncmp(name, only_prefix, strlen(only_prefix)) != 0)
			continue;
		if (unlinkat(dirfd(dir), name, 0) == 0 || depth == DEPTH_MAX)
			continue;
		int inside = openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (inside < 0)
			continue;
		empty(inside, "", depth + 1);
		unlinkat(dirfd(dir), name, AT_REMOVEDIR);
	}
	closedir(dir);
}

void scratch_dir_remove(struct scratch_dir *dir)
{
	if (!dir->path[0])
		return;
	int fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		empty(fd, "", 0);
	rmdir(dir->path);
	dir->path[0] = 0;
}

void scratch_dir_sweep(const char *data_dir)
{
	char path[PATH_MAX];
	if ((size_t)snprintf(path, sizeof(path), "%s/tmp", data_dir) >= sizeof(path))
		return;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		empty(fd, prefix, 0);
}

int scratch_dir_file(const struct scratch_dir *dir, const char *name, char out[PATH_MAX], struct why *why)
{
	if ((size_t)snprintf(out, PATH_MAX, "%s/%s", dir->path, name) < PATH_MAX)
		return 0;
	return why_set(why, ERR_TOO_BIG, "the path of the data directory is too long");
}
