#include "ops/cairnd/bootstrap.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

static const char admin[] = "admin";

static int any_token(void *context, const struct token *token)
{
	(void)token;
	*(bool *)context = true;
	return 1;
}

static int sync_parent(const char *path)
{
	char copy[PATH_MAX + 16];
	snprintf(copy, sizeof(copy), "%s", path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int failed = fd < 0 || fsync(fd) != 0;
	if (fd >= 0)
		close(fd);
	return failed ? -1 : 0;
}

/* Written beside and renamed, so that a crash leaves either the old file or the whole new one. */
static int write_secret(const char *path, const char *text, struct why *why)
{
	char temporary[PATH_MAX + 32];
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	unlink(temporary);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return why_set(why, ERR_IO, "%s: %s", temporary, strerror(errno));
	size_t length = strlen(text);
	int failed = write(fd, text, length) != (ssize_t)length || write(fd, "\n", 1) != 1 || fsync(fd) != 0;
	failed |= close(fd) != 0;
	if (failed || rename(temporary, path) != 0 || sync_parent(path) != 0)
		return why_set(why, ERR_IO, "%s: %s", path, strerror(errno));
	return 0;
}

static int mint(struct namespace *ns, const char *token_file, struct why *why)
{
	struct token token = { .user = "admin", .name = "first token", .role = TOKEN_WRITE };
	char text[TOKEN_TEXT_BYTES_MAX];
	int err = token_create(ns, admin, &token, text, why);
	if (err == 0)
		err = write_secret(token_file, text, why);
	sodium_memzero(text, sizeof(text));
	return err;
}

int bootstrap_admin(struct namespace *ns, const char *token_file, bool new_token, bool *made, struct why *why)
{
	*made = false;
	struct user user;
	int err = user_find(ns, admin, &user);
	if (err == ERR_NOT_FOUND) {
		struct user first = { .name = "admin", .fullname = "Administrator", .admin = true };
		err = user_create(ns, "", &first, why);
	}
	if (err)
		return err;
	/* The file may have been moved away, which is the operator's choice; what is lost is replaced on demand only. */
	bool has_token = false;
	token_list(ns, admin, any_token, &has_token);
	if (has_token && !new_token)
		return 0;
	err = mint(ns, token_file, why);
	*made = err == 0;
	return err;
}
