#include "ops/cairn/mirror_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops/cairn/settings.h"

enum { WALK_FDS = 16 };

static int fail(const char *path)
{
	fprintf(stderr, "cairn: %s: %m\n", path);
	return EXIT_FAILED;
}

/* mkdir -p */
static int make_path(const char *path)
{
	char part[PATH_MAX];
	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(part, 0700) != 0 && errno != EEXIST)
			return fail(part);
		*slash = '/';
	}
	return mkdir(part, 0700) != 0 && errno != EEXIST ? fail(part) : 0;
}

static int choose_path(char out[PATH_MAX], const char *given, const char *name)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int length;
	if (given)
		length = snprintf(out, PATH_MAX, "%s", given);
	else if (cache && cache[0] == '/')
		length = snprintf(out, PATH_MAX, "%s/cairn/mirrors/%s.git", cache, name);
	else if (home && home[0] == '/')
		length = snprintf(out, PATH_MAX, "%s/.cache/cairn/mirrors/%s.git", home, name);
	else
		return usage_error("repo", "there is no home directory to keep the mirror in; name a folder with --work");
	return length < PATH_MAX ? make_path(out) : usage_error("repo", "the path of the mirror is too long");
}

static bool is_empty(const char *path)
{
	DIR *dir = opendir(path);
	size_t count = 0;
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	if (dir)
		closedir(dir);
	return dir && count == 0;
}

static int lock(struct mirror_dir *dir)
{
	char path[PATH_MAX + 16];
	snprintf(path, sizeof(path), "%s/cairn.lock", dir->path);
	dir->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (dir->lock_fd < 0)
		return fail(path);
	if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	fprintf(stderr, "cairn: another run is using %s\n", dir->path);
	return EXIT_FAILED;
}

/* True when the mark says `what`, or when there is none and it could be made. */
static int check_mark(const struct mirror_dir *dir, const char *what)
{
	char path[PATH_MAX + 32], found[GIT_RUN_TEXT_BYTES_MAX * 2] = "";
	snprintf(path, sizeof(path), "%s/cairn-mirror", dir->path);
	FILE *file = fopen(path, "re");
	if (file) {
		bool is_read = fgets(found, sizeof(found), file) != NULL;
		fclose(file);
		found[strcspn(found, "\n")] = 0;
		if (is_read && strcmp(found, what) == 0)
			return 0;
		fprintf(stderr, "cairn: %s is used for: %s\ncairn: name another folder with --work, or remove it\n", dir->path, found);
		return EXIT_FAILED;
	}
	file = fopen(path, "wxe");
	if (!file)
		return fail(path);
	fprintf(file, "%s\n", what);
	return fclose(file) == 0 ? 0 : fail(path);
}

/* Locks of gits that were killed, and packs that they did not finish: nobody else is here. */
static int remove_leftover(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	const char *name = path + walk->base;
	size_t length = strlen(name);
	(void)status;
	bool is_lock = length > 5 && strcmp(name + length - 5, ".lock") == 0 && strcmp(name, "cairn.lock") != 0;
	if (kind == FTW_F && (is_lock || strncmp(name, "tmp_", 4) == 0))
		unlink(path);
	return 0;
}

int mirror_dir_open(struct mirror_dir *out, const char *given, const char *name, const char *what)
{
	char chosen[PATH_MAX], head[PATH_MAX + 16];
	*out = (struct mirror_dir){ .lock_fd = -1 };
	int status = choose_path(chosen, given, name);
	if (status)
		return status;
	if (!realpath(chosen, out->path))
		return fail(chosen);
	snprintf(head, sizeof(head), "%s/cairn-mirror", out->path);
	if (access(head, F_OK) != 0 && !is_empty(out->path)) {
		fprintf(stderr, "cairn: %s is not empty and no mirror of ours; name another folder with --work\n", out->path);
		return EXIT_FAILED;
	}
	status = lock(out);
	if (status == 0)
		status = check_mark(out, what);
	if (status == 0) {
		nftw(out->path, remove_leftover, WALK_FDS, FTW_PHYS);
		struct git_settings none = { 0 };
		struct buffer said;
		buffer_init(&said, 1 << 16);
		status = git_run_words(&none, NULL, &said, "init", "--quiet", "--bare", "--template=", "--initial-branch=main", out->path, NULL) ? EXIT_FAILED : 0;
		buffer_fini(&said);
	}
	if (status)
		mirror_dir_close(out);
	return status;
}

void mirror_dir_close(struct mirror_dir *dir)
{
	if (dir->lock_fd >= 0)
		close(dir->lock_fd);
	dir->lock_fd = -1;
}

void mirror_dir_settings(struct git_settings *out)
{
	git_settings_config(out, "gc.auto", "0"); /* what a branch pointed to once tells its own commits from foreign ones */
	git_settings_config(out, "maintenance.auto", "false");
	git_settings_config(out, "core.hooksPath", "/dev/null");
	git_settings_config(out, "core.logAllRefUpdates", "false");
	git_settings_config(out, "lfs.allowincompletepush", "true"); /* the hub says what is missing, by path */
	git_settings_config(out, "lfs.locksverify", "false");
}

bool mirror_dir_has_lfs(const struct git_settings *settings)
{
	struct buffer said;
	buffer_init(&said, 1 << 16);
	bool has = git_run_words(settings, NULL, &said, "lfs", "version", NULL) == 0;
	buffer_fini(&said);
	if (!has)
		fprintf(stderr, "cairn: LFS objects need git-lfs, which is not installed\n");
	return has;
}

int mirror_dir_fetch(const struct mirror_dir *dir, const struct git_settings *settings, const char *remote)
{
	const char *progress = isatty(STDERR_FILENO) ? "--progress" : "--no-progress";
	int status = git_run_words(settings, dir->path, NULL, "fetch", "--prune", "--force", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
		progress, remote, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", NULL);
	if (status == 0)
		return 0;
	fprintf(stderr, "cairn: the repository could not be fetched; run this again to go on\n");
	return EXIT_FAILED;
}
