#include "gateway/repo/path_lock.h"

#include <stdlib.h>

#include "replication/lock.h"

enum { PATH_SHOWN_BYTES_MAX = 200 };

int path_locks_open(struct path_locks *out, struct gateway *gateway, const struct repo *repo, const char *actor)
{
	uint64_t count = 0;
	*out = (struct path_locks){ .ns = gateway->ns, .repo = repo->id };
	strncpy(out->actor, actor, sizeof(out->actor) - 1);
	int err = repo->lfs_locks ? lock_count(gateway->ns, &repo->id, &count) : 0;
	out->any = count > 0;
	return err;
}

static int refuse(const struct lock *lock, char owner[NAME_BYTES_MAX + 1], struct why *why)
{
	if (owner)
		memcpy(owner, lock->owner, sizeof(lock->owner));
	return why_set(why, ERR_DENIED, "\"%.*s\" is locked by %s: ask them to unlock it (git lfs unlock)", PATH_SHOWN_BYTES_MAX, lock->path, lock->owner);
}

int path_locks_check(const struct path_locks *locks, struct span path, char owner[NAME_BYTES_MAX + 1], struct why *why)
{
	if (!locks->any)
		return 0;
	struct lock lock;
	int err = lock_of_path(locks->ns, &locks->repo, path, &lock);
	if (err)
		return err == ERR_NOT_FOUND ? 0 : why_set(why, err, "the locks of the repository cannot be read");
	return strcmp(lock.owner, locks->actor) == 0 ? 0 : refuse(&lock, owner, why);
}

struct search {
	const struct path_locks *locks;
	bool (*touches)(void *context, struct span path);
	void *context;
	struct why *why;
};

static int look(void *context, const struct lock *lock)
{
	const struct search *search = context;
	if (strcmp(lock->owner, search->locks->actor) == 0 || !search->touches(search->context, span_text(lock->path)))
		return 0;
	return refuse(lock, NULL, search->why);
}

int path_locks_find(const struct path_locks *locks, bool (*touches)(void *context, struct span path), void *context, struct why *why)
{
	struct search search = { locks, touches, context, why };
	if (!locks->any)
		return 0;
	int err = lock_list(locks->ns, &locks->repo, NULL, look, &search);
	return err && err != ERR_DENIED ? why_set(why, err, "the locks of the repository cannot be read") : err;
}

struct two_commits {
	struct gateway *gateway;
	const struct repo *repo;
	const struct oid *before, *after;
};

/* What cannot be read counts as different: a lock is not passed by accident. */
static bool differs(void *context, struct span path)
{
	const struct two_commits *commits = context;
	struct tree_entry before = { 0 }, after = { 0 };
	int had = repo_entry(commits->gateway, commits->repo, commits->before, path, REPO_MAY_WAIT, &before);
	int has = repo_entry(commits->gateway, commits->repo, commits->after, path, REPO_MAY_WAIT, &after);
	if (had == ERR_NOT_FOUND && has == ERR_NOT_FOUND)
		return false;
	return had || has || memcmp(before.oid.bytes, after.oid.bytes, OID_BYTES) != 0;
}

int path_locks_between(struct gateway *gateway, const struct repo *repo, const char *actor, const struct oid *before, const struct oid *after, struct why *why)
{
	struct path_locks locks;
	struct two_commits commits = { gateway, repo, before, after };
	int err = path_locks_open(&locks, gateway, repo, actor);
	return err ? why_set(why, err, "the locks of the repository cannot be read") : path_locks_find(&locks, differs, &commits, why);
}
