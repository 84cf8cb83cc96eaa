/* push_move.c - the refs of a push move.
 *
 * One command for all that is left, when it holds. When it does not, those that have moved meanwhile are told so and the rest is tried again; what still
 * does not go together (a name that would be a folder of another) is tried one by one. The pack is listed by the first command that holds, and by none
 * when all lose. A command whose outcome is unknown is proposed again under the same id: it is applied once. */
#include <stdlib.h>

#include "gateway/git/push.h"
#include "schemas/git_object.h"

enum { PROPOSALS_MAX = 3 };

static void describe_update(const struct push *push, size_t i, struct ref_update *out)
{
	const struct receive_command *command = &push->commands.commands[i];
	*out = (struct ref_update){ .old_oid = command->old_oid, .new_oid = command->new_oid, .fast_forward = push->refs[i].is_fast_forward };
	out->privileged = may(&push->actor, ACTION_ADMIN, &(struct resource){ .repo = &push->repo }) == 0;
	memcpy(out->name, command->name, sizeof(out->name));
}

static int propose(struct push *push, const struct ref_update *updates, size_t count, struct why *why)
{
	struct command_id id;
	const struct pack *pack = push->has_pack && !push->pack_listed ? &push->pack : NULL;
	command_id_make(&id);
	if (pack)
		received_pack_list_begin(&push->received);
	int err = ERR_UNKNOWN_OUTCOME;
	for (int i = 0; i < PROPOSALS_MAX && err == ERR_UNKNOWN_OUTCOME; i++)
		err = refs_update(push->gateway->ns, push->actor.name, &push->repo.id, updates, count, pack, &id, why);
	if (pack) {
		push->pack_listed = err == 0;
		received_pack_list_end(&push->received, push->pack_listed);
	}
	return err;
}

static bool is_left(const struct push *push, size_t i)
{
	return !push->refs[i].reason[0] && !push->refs[i].done;
}

/* Refs that are no longer where the client saw them get their reason; how many. */
static size_t refuse_moved(struct push *push)
{
	size_t count = 0;
	for (size_t i = 0; i < push->commands.count; i++) {
		const struct receive_command *command = &push->commands.commands[i];
		struct ref ref = { 0 };
		if (!is_left(push, i))
			continue;
		int err = ref_get(push->gateway->ns, NULL, &push->repo.id, command->name, &ref);
		if ((err && err != ERR_NOT_FOUND) || git_oid_equal(&ref.oid, &command->old_oid))
			continue;
		push_refuse(push, i, "%s", err == ERR_NOT_FOUND ? "it does not exist any more" : git_oid_is_zero(&command->old_oid) ? "already exists" : "fetch first");
		count++;
	}
	return count;
}

/* All that is left in one command. */
static int move_together(struct push *push, struct why *why)
{
	struct ref_update *updates = malloc((push->commands.count + 1) * sizeof(*updates));
	size_t count = 0;
	if (!updates)
		return why_set(why, ERR_NO_MEMORY, "no memory for the refs");
	for (size_t i = 0; i < push->commands.count; i++)
		if (is_left(push, i))
			describe_update(push, i, &updates[count++]);
	int err = propose(push, updates, count, why);
	for (size_t i = 0; i < push->commands.count && err == 0; i++)
		push->refs[i].done |= is_left(push, i);
	free(updates);
	return err;
}

static void move_one_by_one(struct push *push)
{
	for (size_t i = 0; i < push->commands.count; i++) {
		struct ref_update update;
		struct why why = { 0 };
		if (!is_left(push, i))
			continue;
		describe_update(push, i, &update);
		if (propose(push, &update, 1, &why) == 0)
			push->refs[i].done = true;
		else
			push_refuse(push, i, "%s", why.text);
	}
}

/* An empty repository shows the branch that it got first, whatever its name is. */
static void choose_head(struct push *push)
{
	const struct receive_command *first = NULL;
	struct ref ref;
	struct repo repo;
	for (size_t i = 0; i < push->commands.count && !first; i++)
		if (push->refs[i].done && strncmp(push->commands.commands[i].name, "refs/heads/", 11) == 0 && !git_oid_is_zero(&push->commands.commands[i].new_oid))
			first = &push->commands.commands[i];
	if (!first || repo_get(push->gateway->ns, NULL, &push->repo.id, &repo) != 0 ||
		ref_get(push->gateway->ns, NULL, &repo.id, repo.head, &ref) != ERR_NOT_FOUND)
		return;
	struct repo_settings settings = { .set_head = true };
	memcpy(settings.head, first->name, sizeof(settings.head));
	memcpy(settings.old_head, repo.head, sizeof(settings.old_head));
	if (repo_update(push->gateway->ns, push->actor.name, &repo.id, &settings, NULL) == 0)
		push_answer_sayf(push->answer, "the default branch is now %s\n", first->name + 11);
}

void push_move(struct push *push)
{
	struct why why = { 0 };
	int err = ERR_CONFLICT;
	if (!push_decide_rights(push))
		return;
	while (err == ERR_CONFLICT && push_any_left(push)) {
		err = move_together(push, &why);
		if (err != ERR_CONFLICT)
			break;
		if (push->commands.is_atomic) {
			refuse_moved(push);
			push_refuse_all(push, "atomic push failure");
		} else if (refuse_moved(push) == 0) {
			break; /* nothing has moved: names that do not go together */
		}
	}
	if ((err == ERR_CONFLICT || err == ERR_DENIED) && push_any_left(push) && !push->commands.is_atomic)
		move_one_by_one(push);
	if (err)
		push_refuse_all(push, why.text[0] ? why.text : "the refs cannot be changed");
	choose_head(push);
}
