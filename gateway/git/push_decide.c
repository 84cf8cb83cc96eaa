/* push_decide.c - which commands of a push may go on.
 *
 * What holds when the refs move is decided once more by the state machine (old ids, protected branches); what is refused here is refused earlier, or cannot be
 * known there: what an id is, and whether a change only adds to a branch. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/git/push.h"
#include "gateway/repo/branch_guard.h"
#include "gateway/repo/path_lock.h"
#include "replication/discussion.h"
#include "schemas/git_object.h"

void push_refuse(struct push *push, size_t i, const char *format, ...)
{
	va_list arguments;
	struct push_ref *ref = &push->refs[i];
	if (ref->reason[0] || ref->done)
		return;
	va_start(arguments, format);
	vsnprintf(ref->reason, sizeof(ref->reason), format, arguments);
	va_end(arguments);
	for (char *c = ref->reason; *c; c++)
		if (*c == '\n' || *c == '\r')
			*c = ' ';
}

void push_refuse_all(struct push *push, const char *reason)
{
	for (size_t i = 0; i < push->commands.count; i++)
		push_refuse(push, i, "%s", reason);
}

bool push_any_left(const struct push *push)
{
	for (size_t i = 0; i < push->commands.count; i++)
		if (!push->refs[i].reason[0] && !push->refs[i].done)
			return true;
	return false;
}

/* One refusal is a refusal of all, when the client asked for all or nothing. */
static bool go_on(struct push *push)
{
	bool any_refused = false;
	for (size_t i = 0; i < push->commands.count; i++)
		any_refused |= push->refs[i].reason[0] != 0;
	if (any_refused && push->commands.is_atomic)
		push_refuse_all(push, "atomic push failure");
	return push_any_left(push);
}

/* ------------------------------------------------------------------ by names */

static bool begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_branch(const char *name)
{
	return begins_with(name, "refs/heads/");
}

/* "refs/pr/17" */
static bool is_pull_request(const char *name)
{
	if (!begins_with(name, "refs/pr/"))
		return false;
	const char *number = name + strlen("refs/pr/");
	return strspn(number, "0123456789") == strlen(number) && number[0] && number[0] != '0';
}

static bool is_of_discussion(const struct push *push, const char *name)
{
	struct discussion discussion;
	uint64_t number = pull_request_of_ref(name);
	return number && discussion_get(push->gateway->ns, &push->repo.id, number, &discussion) == 0;
}

static void decide_rights(struct push *push, const struct repo *repo, size_t i)
{
	struct resource resource = { .repo = repo, .ns = push->gateway->ns };
	int err = push->refs[i].reason[0] || push->refs[i].done ? 0 : may_move_ref(&push->actor, &resource, push->commands.commands[i].name);
	if (err == ERR_CONFLICT)
		push_refuse(push, i, "the pull request is merged or closed");
	else if (err)
		push_refuse(push, i, "you may not write to it");
}

static void decide_name(struct push *push, size_t i)
{
	const struct receive_command *command = &push->commands.commands[i];
	const char *name = command->name;
	if (command->is_malformed)
		push_refuse(push, i, "not a valid ref name");
	else if (!git_oid_is_zero(&command->new_oid) && !text_is_utf8(span_text(name)))
		push_refuse(push, i, "its name is not UTF-8: push it under another one");
	else if (git_oid_is_zero(&command->old_oid) && ref_name_shadows(span_text(name)))
		push_refuse(push, i, "a branch or tag cannot be named HEAD or refs/...");
	else if (!is_branch(name) && !is_pull_request(name) && !begins_with(name, "refs/tags/") && !begins_with(name, "refs/notes/"))
		push_refuse(push, i, "only branches, tags, notes and refs/pr/NUMBER can be pushed");
	else if (git_oid_is_zero(&command->new_oid) && strcmp(name, push->repo.head) == 0)
		push_refuse(push, i, "the default branch cannot be deleted");
	else if (git_oid_is_zero(&command->new_oid) && is_of_discussion(push, name)) /* a push that mirrors another repository would delete them all */
		push_refuse(push, i, "a pull request is closed on the hub, not deleted by a push");
}

/* The ref as it is now; a client that saw another one has to look again. */
static void decide_old(struct push *push, size_t i)
{
	const struct receive_command *command = &push->commands.commands[i];
	struct ref ref = { 0 };
	int err = push->refs[i].reason[0] ? ERR_INVALID : ref_get(push->gateway->ns, NULL, &push->repo.id, command->name, &ref);
	if (err && err != ERR_NOT_FOUND)
		return;
	if (git_oid_equal(&ref.oid, &command->old_oid))
		push->refs[i].done = git_oid_equal(&command->old_oid, &command->new_oid);
	else if (err == ERR_NOT_FOUND)
		push_refuse(push, i, "it does not exist any more");
	else
		push_refuse(push, i, git_oid_is_zero(&command->old_oid) ? "already exists" : "fetch first");
}

bool push_decide_early(struct push *push)
{
	struct why why = { 0 };
	for (size_t i = 0; i < push->commands.count; i++) {
		decide_name(push, i);
		decide_rights(push, &push->repo, i);
		decide_old(push, i);
		const struct receive_command *command = &push->commands.commands[i];
		if (!push->refs[i].reason[0] && git_oid_is_zero(&command->new_oid) &&
			branch_guard_check(push->gateway, &push->repo, &push->actor, command->name, BRANCH_DELETE, &why) != 0)
			push_refuse(push, i, "%s", why.text);
	}
	return go_on(push);
}

bool push_decide_rights(struct push *push)
{
	struct repo now;
	if (auth_renew(push->gateway->ns, &push->actor) != 0)
		push_refuse_all(push, "the token or key of this push was revoked, or has expired");
	else if (repo_get(push->gateway->ns, NULL, &push->repo.id, &now) != 0)
		push_refuse_all(push, "the repository was deleted");
	else
		for (size_t i = 0; i < push->commands.count; i++)
			decide_rights(push, &now, i);
	return go_on(push);
}

/* ------------------------------------------------------------------ by objects */

static void decide_type(struct push *push, size_t i)
{
	const struct receive_command *command = &push->commands.commands[i];
	unsigned type;
	int err = received_pack_type(&push->received, &command->new_oid, &type);
	if (err)
		push_refuse(push, i, err == ERR_NOT_FOUND ? "missing necessary objects" : "the object it shall point to cannot be read");
	else if (type != GIT_COMMIT && !begins_with(command->name, "refs/tags/"))
		push_refuse(push, i, "it must point to a commit");
}

static int read_commit(void *context, const struct oid *oid, struct span *payload)
{
	unsigned type;
	int err = received_pack_read(context, oid, &type, payload);
	return err == 0 && type != GIT_COMMIT ? ERR_CORRUPT : err;
}

static void decide_history(struct push *push, size_t i)
{
	const struct receive_command *command = &push->commands.commands[i];
	struct why why = { 0 };
	if (!is_branch(command->name))
		return;
	enum branch_change change = git_oid_is_zero(&command->old_oid) ? BRANCH_CREATE : BRANCH_ADVANCE;
	int err = 0;
	if (change == BRANCH_ADVANCE && branch_guard_any(push->gateway, &push->repo, command->name)) {
		bool is_descendant = false;
		err = branch_descends(read_commit, &push->received, &command->new_oid, &command->old_oid, &is_descendant);
		change = is_descendant ? BRANCH_ADVANCE : BRANCH_REWRITE;
		push->refs[i].is_fast_forward = is_descendant;
	}
	if (err == 0)
		err = branch_guard_check(push->gateway, &push->repo, &push->actor, command->name, change, &why);
	if (err)
		push_refuse(push, i, "%s", why.text[0] ? why.text : "its history cannot be read");
}

/* ------------------------------------------------------------------ by locks */

struct two_trees {
	struct push *push;
	struct oid before, after; /* root trees */
};

static int tree_of(struct push *push, const struct oid *commit, struct oid *tree)
{
	struct span payload;
	int err = read_commit(&push->received, commit, &payload);
	return err ? err : git_commit_root(payload, tree);
}

/* The id at a path; zero when there is nothing. */
static int entry_at(struct push *push, const struct oid *root, struct span path, struct oid *out)
{
	struct oid at = *root;
	*out = (struct oid){ { 0 } };
	while (path.length) {
		const uint8_t *slash = memchr(path.data, '/', path.length);
		struct span name = span_of(path.data, slash ? (size_t)(slash - path.data) : path.length), payload;
		struct git_tree_entry entry;
		unsigned type;
		int err = received_pack_read(&push->received, &at, &type, &payload), got = 0;
		if (err || type != GIT_TREE)
			return err;
		while ((got = git_tree_next(&payload, &entry)) > 0 && !span_equal(entry.name, name))
			continue;
		if (got <= 0)
			return got;
		path = span_of(path.data + name.length + (slash != NULL), path.length - name.length - (slash != NULL));
		at = entry.oid;
	}
	*out = at;
	return 0;
}

/* What cannot be read counts as touched: a lock is not passed by accident. */
static bool touches(void *context, struct span path)
{
	struct two_trees *trees = context;
	struct oid before, after;
	if (git_oid_equal(&trees->before, &trees->after))
		return false;
	if (entry_at(trees->push, &trees->before, path, &before) != 0 || entry_at(trees->push, &trees->after, path, &after) != 0)
		return true;
	return !git_oid_equal(&before, &after);
}

static void decide_locks(struct push *push, size_t i, const struct path_locks *locks)
{
	const struct receive_command *command = &push->commands.commands[i];
	struct two_trees trees = { .push = push };
	struct why why = { 0 };
	if (!locks->any || !is_branch(command->name) || git_oid_is_zero(&command->old_oid))
		return;
	int err = tree_of(push, &command->old_oid, &trees.before);
	if (err == 0)
		err = tree_of(push, &command->new_oid, &trees.after);
	if (err == 0)
		err = path_locks_find(locks, touches, &trees, &why);
	if (err)
		push_refuse(push, i, "%s", why.text[0] ? why.text : "its files cannot be compared with the locks");
}

bool push_decide_objects(struct push *push)
{
	struct path_locks locks;
	if (path_locks_open(&locks, push->gateway, &push->repo, push->actor.name) != 0) {
		push_refuse_all(push, "the locks of the repository cannot be read");
		return false;
	}
	for (size_t i = 0; i < push->commands.count; i++) {
		if (push->refs[i].reason[0] || push->refs[i].done || git_oid_is_zero(&push->commands.commands[i].new_oid))
			continue;
		decide_type(push, i);
		if (!push->refs[i].reason[0])
			decide_history(push, i);
		if (!push->refs[i].reason[0])
			decide_locks(push, i, &locks);
	}
	return go_on(push);
}
