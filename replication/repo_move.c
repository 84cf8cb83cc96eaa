/* repo_move.c - a repository under another name, and the names it had before.
 *
 * Everything inside a repository hangs on its id, so a move changes names only. A name that was left becomes an alias: it leads to the repository until
 * somebody creates one of that name, and dies with the repository. */
#include "replication/namespace_state.h"

enum { ALIASES_MAX = 100 }; /* of one repository */

struct move_body {
	struct entity_id id;
	char owner[NAME_BYTES_MAX + 1], name[NAME_BYTES_MAX + 1];
};
static const struct field move_fields[] = {
	FIELD(struct move_body, id, FIELD_BYTES, true),
	FIELD(struct move_body, owner, FIELD_TEXT, true),
	FIELD(struct move_body, name, FIELD_TEXT, true),
};
static const struct schema move_schema = SCHEMA(1, move_fields);

/* ---- apply ---- */

int alias_drop(const struct apply_context *apply, enum repo_type type, const char *owner, const char *name, struct why *why)
{
	struct key alias, of;
	struct entity_id repo;
	key_repo_alias(&alias, type, span_text(owner), span_text(name));
	int err = state_get_bytes(apply, &alias, repo.bytes, ENTITY_ID_BYTES, why);
	if (err)
		return err == ERR_NOT_FOUND ? 0 : err;
	key_alias_of(&of, &repo, type, span_text(owner), span_text(name));
	state_delete(apply, &alias);
	state_delete(apply, &of);
	return 0;
}

struct alias_keys {
	struct key keys[ALIASES_MAX];
	size_t count;
};

/* What follows the repository's id is what follows the kind in the alias. */
static bool collect_alias(void *context, struct span key)
{
	struct alias_keys *aliases = context;
	if (aliases->count == ALIASES_MAX)
		return true;
	struct key *alias = &aliases->keys[aliases->count++];
	size_t skipped = KEY_PREFIX_BYTES + ENTITY_ID_BYTES;
	key_begin(alias, GROUP_CLUSTER, 0, 'a');
	key_add(alias, key.data + skipped, key.length - skipped);
	return false;
}

int aliases_drop(const struct apply_context *apply, const struct entity_id *repo, struct why *why)
{
	struct key prefix;
	struct alias_keys aliases = { 0 };
	key_aliases_of(&prefix, repo);
	state_any(apply, &prefix, collect_alias, &aliases);
	for (size_t i = 0; i < aliases.count; i++)
		state_delete(apply, &aliases.keys[i]);
	return aliases.count ? state_delete_prefix(apply, &prefix, why) : 0;
}

static int owner_exists(const struct apply_context *apply, const char *owner, struct why *why)
{
	int err = state_name_free(apply, owner, NULL);
	if (err == ERR_EXISTS)
		return 0;
	return err ? err : why_set(why, ERR_NOT_FOUND, "there is no user or organisation \"%s\"", owner);
}

static bool count_alias(void *context, struct span key)
{
	(void)key;
	return ++*(size_t *)context >= ALIASES_MAX;
}

int repo_move_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct move_body body;
	struct repo repo;
	struct entity_id taken;
	struct key by_id, old_name, new_name, alias, of;
	int err = body_decode(&body, sizeof(body), &move_schema, command, why);
	if (err)
		return err;
	key_repo(&by_id, &body.id);
	err = state_get(apply, &by_id, &repo_schema, &repo, sizeof(repo), why);
	if (err)
		return err == ERR_NOT_FOUND ? why_set(why, err, "there is no such repository") : err;
	if (!name_valid(span_text(body.owner)) || !name_valid(span_text(body.name)))
		return why_set(why, ERR_INVALID, "\"%s/%s\" is not a repository name", body.owner, body.name);
	err = owner_exists(apply, body.owner, why);
	if (err)
		return err;
	key_repo_name(&old_name, repo.type, span_text(repo.owner), span_text(repo.name));
	key_repo_name(&new_name, repo.type, span_text(body.owner), span_text(body.name));
	bool same = old_name.length == new_name.length && memcmp(old_name.bytes, new_name.bytes, new_name.length) == 0; /* another case at most */
	err = state_get_bytes(apply, &new_name, taken.bytes, ENTITY_ID_BYTES, why);
	if (!same && err != ERR_NOT_FOUND)
		return err ? err : why_set(why, ERR_EXISTS, "the repository \"%s/%s\" exists", body.owner, body.name);
	size_t count = 0;
	key_aliases_of(&of, &body.id);
	if (!same && state_any(apply, &of, count_alias, &count))
		return why_set(why, ERR_TOO_BIG, "the repository has had %d names already", ALIASES_MAX);
	err = alias_drop(apply, repo.type, body.owner, body.name, why);
	if (err)
		return err;
	if (!same) {
		key_repo_alias(&alias, repo.type, span_text(repo.owner), span_text(repo.name));
		key_alias_of(&of, &repo.id, repo.type, span_text(repo.owner), span_text(repo.name));
		state_put_bytes(apply, &alias, repo.id.bytes, ENTITY_ID_BYTES);
		state_put_bytes(apply, &of, "", 0);
		state_delete(apply, &old_name);
		state_put_bytes(apply, &new_name, repo.id.bytes, ENTITY_ID_BYTES);
	}
	struct change change = { .repo = repo.id, .repo_type = repo.type };
	memcpy(change.old_owner, repo.owner, sizeof(repo.owner));
	memcpy(change.old_name, repo.name, sizeof(repo.name));
	memcpy(change.owner, body.owner, sizeof(body.owner));
	memcpy(change.name, body.name, sizeof(body.name));
	memcpy(repo.owner, body.owner, sizeof(repo.owner));
	memcpy(repo.name, body.name, sizeof(repo.name));
	state_put(apply, &by_id, &repo_schema, &repo);
	return change_append(apply, command, &change, why);
}

/* ---- outside ---- */

int repo_move(struct namespace *ns, const char *actor, const struct entity_id *id, const char *owner, const char *name, struct why *why)
{
	struct move_body move = { .id = *id };
	if (!name_valid(span_text(owner)) || !name_valid(span_text(name)))
		return why_set(why, ERR_INVALID, "\"%.100s/%.100s\" is not a repository name", owner, name);
	memcpy(move.owner, owner, strlen(owner) + 1);
	memcpy(move.name, name, strlen(name) + 1);
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &move_schema, &move);
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_REPO_MOVE, actor, &body, NULL, why);
}

int repo_find_moved(struct namespace *ns, enum repo_type type, struct span owner, struct span name, struct repo *out)
{
	if (!name_valid(owner) || !name_valid(name))
		return ERR_NOT_FOUND;
	struct key key;
	struct entity_id id;
	key_repo_alias(&key, type, owner, name);
	int err = namespace_get_bytes(ns, NULL, &key, id.bytes, ENTITY_ID_BYTES);
	return err ? err : repo_get(ns, NULL, &id, out);
}
