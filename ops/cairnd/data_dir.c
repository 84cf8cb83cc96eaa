#include "ops/cairnd/data_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* mkdir -p; existing directories are left as they are. */
static int make_path(const char *path)
{
	char text[PATH_MAX];
	if ((size_t)snprintf(text, sizeof(text), "%s", path) >= sizeof(text)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	for (char *slash = strchr(text + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(text, 0700) != 0 && errno != EEXIST)
			return -1;
		*slash = '/';
	}
	return mkdir(text, 0700) == 0 || errno == EEXIST ? 0 : -1;
}

static int take_lock(struct data_dir *dir, struct why *why)
{
	char path[PATH_MAX + 16];
	snprintf(path, sizeof(path), "%s/lock", dir->path);
	dir->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (dir->lock_fd < 0)
		return why_set(why, ERR_IO, "%s: %s", path, strerror(errno));
	if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	close(dir->lock_fd);
	return why_set(why, ERR_BUSY, "another process uses %s", dir->path);
}

/* ops/cairn/restore_dir.h */
static int check_restored(const struct data_dir *dir, struct why *why)
{
	char path[PATH_MAX + 16];
	snprintf(path, sizeof(path), "%s/restoring", dir->path);
	if (access(path, F_OK) != 0)
		return 0;
	return why_set(why, ERR_CONFLICT, "a restore into %.300s did not end: give the same `cairn restore` again, which goes on from there", dir->path);
}

int data_dir_open(struct data_dir *out, const char *path, struct why *why)
{
	if (make_path(path) != 0 || !realpath(path, out->path))
		return why_set(why, ERR_IO, "%s: %s", path, strerror(errno));
	snprintf(out->meta, sizeof(out->meta), "%s/meta", out->path);
	snprintf(out->store, sizeof(out->store), "%s/store", out->path);
	snprintf(out->tmp, sizeof(out->tmp), "%s/tmp", out->path);
	snprintf(out->admin_token, sizeof(out->admin_token), "%s/admin-token", out->path);
	int err = take_lock(out, why);
	if (err)
		return err;
	err = check_restored(out, why);
	if (err) {
		data_dir_close(out);
		return err;
	}
	const char *const parts[] = { out->store, out->tmp };
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (mkdir(parts[i], 0700) != 0 && errno != EEXIST) {
			err = why_set(why, ERR_IO, "%s: %s", parts[i], strerror(errno));
			data_dir_close(out);
			return err;
		}
	return 0;
}

bool data_dir_has_bytes(const struct data_dir *dir)
{
	char path[PATH_MAX + 64];
	snprintf(path, sizeof(path), "%s/index/CURRENT", dir->store);
	if (access(path, F_OK) == 0)
		return true;
	snprintf(path, sizeof(path), "%s/volumes", dir->store);
	DIR *volumes = opendir(path);
	bool found = false;
	for (struct dirent *entry; volumes && !found && (entry = readdir(volumes));)
		found = strstr(entry->d_name, ".vol") != NULL;
	if (volumes)
		closedir(volumes);
	return found;
}

void data_dir_close(struct data_dir *dir)
{
	close(dir->lock_fd);
}
