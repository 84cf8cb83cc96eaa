/* repo.c - repositories: a name and a record in group 0, a state in group 1.
 *
 * Creating one touches group 0 only: a repository without a state has version 0. Deleting one is three commands: group 0 drops the name and
 * leaves an intent, group 1 purges the content and leaves a tombstone (a push that was under way meets it and fails), group 0 drops the
 * intent. Whatever a crash leaves undone is done at the next start. */
#include "replication/namespace_state.h"

static const struct field repo_fields[] = {
	FIELD(struct repo, id, FIELD_BYTES, true),
	FIELD(struct repo, type, FIELD_ENUM, true),
	FIELD(struct repo, owner, FIELD_TEXT, true),
	FIELD(struct repo, name, FIELD_TEXT, true),
	FIELD(struct repo, private, FIELD_BOOL, false),
	FIELD(struct repo, gated, FIELD_ENUM, false),
	FIELD(struct repo, discussions_disabled, FIELD_BOOL, false),
	FIELD(struct repo, org_members_gated, FIELD_BOOL, false),
	FIELD(struct repo, gate_mails_daily, FIELD_BOOL, false),
	FIELD(struct repo, gate_email, FIELD_TEXT, false),
	FIELD(struct repo, discussions_sorting, FIELD_TEXT, false),
	FIELD(struct repo, sdk, FIELD_TEXT, false),
	FIELD(struct repo, creator, FIELD_TEXT, false),
	FIELD(struct repo, head, FIELD_TEXT, true),
	FIELD(struct repo, created_ms, FIELD_I64, false),
	FIELD(struct repo, lfs_locks, FIELD_BOOL, false),
};
const struct schema repo_schema = SCHEMA(1, repo_fields);

static const struct field repo_state_fields[] = {
	FIELD(struct repo_state, version, FIELD_U64, true),
	FIELD(struct repo_state, modified_ms, FIELD_I64, true),
	FIELD(struct repo_state, deleted, FIELD_BOOL, false),
	FIELD(struct repo_state, branch_rules, FIELD_U64, false),
	FIELD(struct repo_state, rewritten_version, FIELD_U64, false),
};
const struct schema repo_state_schema = SCHEMA(1, repo_state_fields);

struct repo_update_body {
	struct entity_id id;
	struct repo_settings settings;
};
#define SETTING(member, kind) \
	{ "set_" #member, FIELD_BOOL, offsetof(struct repo_update_body, settings.set_##member), sizeof(bool), false }, \
	{ #member, kind, offsetof(struct repo_update_body, settings.member), sizeof(((struct repo_settings *)0)->member), false }
static const struct field repo_update_fields[] = {
	FIELD(struct repo_update_body, id, FIELD_BYTES, true),
	SETTING(private, FIELD_BOOL),
	SETTING(gated, FIELD_ENUM),
	SETTING(discussions_disabled, FIELD_BOOL),
	SETTING(org_members_gated, FIELD_BOOL),
	SETTING(gate_mails_daily, FIELD_BOOL),
	SETTING(gate_email, FIELD_TEXT),
	SETTING(discussions_sorting, FIELD_TEXT),
	SETTING(lfs_locks, FIELD_BOOL),
	SETTING(head, FIELD_TEXT),
	{ "old_head", FIELD_TEXT, offsetof(struct repo_update_body, settings.old_head), sizeof(((struct repo_settings *)0)->old_head), false },
};
static const struct schema repo_update_schema = SCHEMA(1, repo_update_fields);

static int check(const struct repo *repo, struct why *why)
{
	if (repo->type < REPO_MODEL || repo->type > REPO_BUCKET)
		return why_set(why, ERR_INVALID, "%u is not a repository type", (unsigned)repo->type);
	if (!name_valid(span_text(repo->owner)))
		return why_set(why, ERR_INVALID, "\"%s\" is not a name", repo->owner);
	if (!name_valid(span_text(repo->name)))
		return why_set(why, ERR_INVALID, "\"%s\" is not a repository name", repo->name);
	if (!ref_name_valid(span_text(repo->head)))
		return why_set(why, ERR_INVALID, "\"%s\" is not a ref name", repo->head);
	return 0;
}

static struct change change_of(const struct repo *repo)
{
	struct change change = { .repo = repo->id, .repo_type = repo->type, .action = repo->private };
	memcpy(change.owner, repo->owner, sizeof(change.owner));
	memcpy(change.name, repo->name, sizeof(change.name));
	return change;
}

/* ---- apply ---- */

int repo_create_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct repo repo;
	int err = body_decode(&repo, sizeof(repo), &repo_schema, command, why);
	if (err == 0)
		err = check(&repo, why);
	if (err)
		return err;
	struct key by_name, by_id;
	key_repo_name(&by_name, repo.type, span_text(repo.owner), span_text(repo.name));
	key_repo(&by_id, &repo.id);
	err = state_get(apply, &by_name, NULL, NULL, 0, why);
	if (err != ERR_NOT_FOUND)
		return err ? err : why_set(why, ERR_EXISTS, "the repository \"%s/%s\" exists", repo.owner, repo.name);
	err = alias_drop(apply, repo.type, repo.owner, repo.name, why); /* the name leads to the new one from here on */
	if (err)
		return err;
	repo.created_ms = apply->leader_ms;
	state_put_bytes(apply, &by_name, repo.id.bytes, ENTITY_ID_BYTES);
	state_put(apply, &by_id, &repo_schema, &repo);
	struct change change = change_of(&repo);
	return change_append(apply, command, &change, why);
}

static int load(const struct apply_context *apply, const struct entity_id *id, struct key *key, struct repo *repo, struct why *why)
{
	key_repo(key, id);
	int err = state_get(apply, key, &repo_schema, repo, sizeof(*repo), why);
	return err == ERR_NOT_FOUND ? why_set(why, err, "there is no such repository") : err;
}

int repo_update_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct repo_update_body body;
	struct repo repo;
	struct key key;
	int err = body_decode(&body, sizeof(body), &repo_update_schema, command, why);
	if (err == 0)
		err = load(apply, &body.id, &key, &repo, why);
	if (err)
		return err;
	const struct repo_settings *settings = &body.settings;
	if (settings->set_gated && settings->gated > REPO_GATE_MANUAL)
		return why_set(why, ERR_INVALID, "%u is not a gate", (unsigned)settings->gated);
	if (settings->set_private)
		repo.private = settings->private;
	if (settings->set_gated)
		repo.gated = settings->gated;
	if (settings->set_discussions_disabled)
		repo.discussions_disabled = settings->discussions_disabled;
	if (settings->set_org_members_gated)
		repo.org_members_gated = settings->org_members_gated;
	if (settings->set_gate_mails_daily)
		repo.gate_mails_daily = settings->gate_mails_daily;
	if (settings->set_gate_email)
		memcpy(repo.gate_email, settings->gate_email, sizeof(repo.gate_email));
	if (settings->set_discussions_sorting)
		memcpy(repo.discussions_sorting, settings->discussions_sorting, sizeof(repo.discussions_sorting));
	if (settings->set_head && !ref_name_valid(span_text(settings->head)))
		return why_set(why, ERR_INVALID, "\"%s\" is not a ref name", settings->head);
	if (settings->set_head && strcmp(repo.head, settings->old_head) != 0)
		return why_set(why, ERR_CONFLICT, "the default branch is %s meanwhile", repo.head);
	if (settings->set_head)
		memcpy(repo.head, settings->head, sizeof(repo.head));
	if (settings->set_lfs_locks)
		repo.lfs_locks = settings->lfs_locks;
	state_put(apply, &key, &repo_schema, &repo);
	struct change change = change_of(&repo);
	return change_append(apply, command, &change, why);
}

int repo_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct entity_body body;
	struct repo repo;
	struct key by_id, by_name, purge;
	int err = body_decode(&body, sizeof(body), &entity_body_schema, command, why);
	if (err == 0)
		err = load(apply, &body.id, &by_id, &repo, why);
	if (err)
		return err;
	key_repo_name(&by_name, repo.type, span_text(repo.owner), span_text(repo.name));
	key_repo_purge(&purge, &body.id);
	err = aliases_drop(apply, &body.id, why);
	if (err == 0)
		err = repo_copies_drop(apply, &body.id, why);
	if (err)
		return err;
	state_delete(apply, &by_name);
	state_delete(apply, &by_id);
	state_put_bytes(apply, &purge, "", 0);
	struct change change = change_of(&repo);
	return change_append(apply, command, &change, why);
}

int repo_purge_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct entity_body body;
	int err = body_decode(&body, sizeof(body), &entity_body_schema, command, why);
	if (err)
		return err;
	struct key key;
	key_ref(&key, &body.id, (struct span){ 0 });
	err = state_delete_prefix(apply, &key, why);
	key_reflog_prefix(&key, &body.id, (struct span){ 0 });
	if (err == 0)
		err = state_delete_prefix(apply, &key, why);
	key_pack_prefix(&key, &body.id);
	if (err == 0)
		err = state_delete_prefix(apply, &key, why);
	bundles_purge(apply, &body.id);
	if (err == 0)
		err = locks_purge(apply, &body.id, why);
	if (err == 0)
		err = branch_rules_purge(apply, &body.id, why);
	if (err == 0)
		err = downloads_forget(apply, &body.id, why);
	if (err == 0)
		err = access_purge(apply, &body.id, why);
	if (err == 0)
		err = discussions_purge(apply, &body.id, why);
	if (err == 0)
		err = bucket_purge(apply, &body.id, why);
	if (err)
		return err;
	key_repo_state(&key, &body.id);
	state_put(apply, &key, &repo_state_schema, &(struct repo_state){ .deleted = true, .modified_ms = apply->leader_ms });
	return 0;
}

int repo_forget_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct entity_body body;
	int err = body_decode(&body, sizeof(body), &entity_body_schema, command, why);
	if (err)
		return err;
	struct key key;
	key_repo_purge(&key, &body.id);
	state_delete(apply, &key);
	return 0;
}

/* ---- changing ---- */

int repo_create(struct namespace *ns, const char *actor, const struct repo *repo, struct entity_id *id, struct why *why)
{
	struct repo made = *repo;
	if (made.head[0] == '\0')
		strcpy(made.head, "refs/heads/main");
	if (made.creator[0] == '\0' && actor)
		strncpy(made.creator, actor, sizeof(made.creator) - 1);
	int err = check(&made, why);
	if (err)
		return err;
	entity_id_make(&made.id);
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &repo_schema, &made);
	err = namespace_propose(ns, GROUP_CLUSTER, COMMAND_REPO_CREATE, actor, &body, NULL, why);
	if (err == 0 && id)
		*id = made.id;
	return err;
}

int repo_update(struct namespace *ns, const char *actor, const struct entity_id *id, const struct repo_settings *settings, struct why *why)
{
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	struct repo_update_body update = { .id = *id, .settings = *settings };
	record_encode(&body, &repo_update_schema, &update);
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_REPO_UPDATE, actor, &body, NULL, why);
}

static int propose_entity(struct namespace *ns, uint32_t group, enum command_type type, const char *actor, const struct entity_id *id, struct why *why)
{
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &entity_body_schema, &(struct entity_body){ .id = *id });
	return namespace_propose(ns, group, type, actor, &body, NULL, why);
}

/* After the name is gone. */
static int purge(struct namespace *ns, const char *actor, const struct entity_id *id, struct why *why)
{
	int err = propose_entity(ns, GROUP_REPOS, COMMAND_REPO_PURGE, actor, id, why);
	if (err == 0)
		err = likes_drop(ns, id, why);
	return err ? err : propose_entity(ns, GROUP_CLUSTER, COMMAND_REPO_FORGET, actor, id, why);
}

int repo_delete(struct namespace *ns, const char *actor, const struct entity_id *id, struct why *why)
{
	int err = propose_entity(ns, GROUP_CLUSTER, COMMAND_REPO_DELETE, actor, id, why);
	if (err)
		return err;
	/* From here on nobody finds it: a purge that fails now is repeated at the next start and is no failure of the deletion. */
	purge(ns, actor, id, NULL);
	return 0;
}

struct sweep {
	struct buffer ids; /* struct entity_id each */
};

static int sweep_one(void *context, struct span key, struct span value)
{
	(void)value;
	struct sweep *sweep = context;
	if (key.length != KEY_PREFIX_BYTES + ENTITY_ID_BYTES)
		return ERR_CORRUPT;
	return buffer_append(&sweep->ids, key.data + KEY_PREFIX_BYTES, ENTITY_ID_BYTES);
}

int repo_sweep(struct namespace *ns, struct why *why)
{
	struct sweep sweep;
	struct key prefix;
	buffer_init(&sweep.ids, SIZE_MAX);
	key_repo_purge(&prefix, NULL);
	int err = namespace_scan(ns, NULL, &prefix, NULL, sweep_one, &sweep);
	if (err)
		why_set(why, err, "cannot list deleted repositories");
	for (size_t offset = 0; offset < sweep.ids.length && err == 0; offset += ENTITY_ID_BYTES) {
		struct entity_id id;
		memcpy(id.bytes, sweep.ids.data + offset, ENTITY_ID_BYTES);
		err = purge(ns, NULL, &id, why);
	}
	buffer_fini(&sweep.ids);
	return err;
}

/* ---- reading ---- */

int repo_get_record(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct entity_id *id, struct repo *out)
{
	struct key key;
	key_repo(&key, id);
	return namespace_get(ns, snapshot, &key, &repo_schema, out, sizeof(*out));
}

int repo_get(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct entity_id *id, struct repo *out)
{
	struct key key;
	key_repo(&key, id);
	int err = namespace_get(ns, snapshot, &key, &repo_schema, out, sizeof(*out));
	if (err)
		return err;
	struct repo_state state;
	key_repo_state(&key, id);
	err = namespace_get(ns, snapshot, &key, &repo_state_schema, &state, sizeof(state));
	out->version = err ? 0 : state.version;
	out->modified_ms = err || state.modified_ms == 0 ? out->created_ms : state.modified_ms;
	return err == ERR_NOT_FOUND ? 0 : err;
}

int repo_find(struct namespace *ns, const struct namespace_snapshot *snapshot, enum repo_type type, struct span owner, struct span name, struct repo *out)
{
	if (!name_valid(owner) || !name_valid(name))
		return ERR_NOT_FOUND;
	struct key key;
	struct entity_id id;
	key_repo_name(&key, type, owner, name);
	int err = namespace_get_bytes(ns, snapshot, &key, id.bytes, ENTITY_ID_BYTES);
	return err ? err : repo_get(ns, snapshot, &id, out);
}

struct listing {
	struct namespace *ns;
	int (*each)(void *context, const struct repo *repo);
	void *context;
	const struct key *after;
};

static int list_one(void *context, struct span key, struct span value)
{
	struct listing *listing = context;
	if (listing->after && span_equal(key, span_of(listing->after->bytes, listing->after->length)))
		return 0;
	if (value.length != ENTITY_ID_BYTES)
		return ERR_CORRUPT;
	struct entity_id id;
	memcpy(id.bytes, value.data, ENTITY_ID_BYTES);
	struct repo repo;
	int err = repo_get(listing->ns, NULL, &id, &repo);
	if (err == ERR_NOT_FOUND)
		return 0; /* deleted since the scan began */
	return err ? err : listing->each(listing->context, &repo);
}

/* "type/owner/name", the type as a word ("model", "models") or a number. */
static int parse_after(const char *after, struct key *out)
{
	static const char initials[] = "?mdskb";
	const char *owner = strchr(after, '/');
	const char *name = owner ? strchr(owner + 1, '/') : NULL;
	const char *initial = strchr(initials, after[0]);
	int type = after[0] >= '1' && after[0] <= '5' ? after[0] - '0' : initial && *initial ? (int)(initial - initials) : 0;
	if (!name || type == 0)
		return ERR_INVALID;
	key_repo_name(out, (enum repo_type)type, span_of(owner + 1, (size_t)(name - owner - 1)), span_text(name + 1));
	return 0;
}

int repo_list(struct namespace *ns, enum repo_type type, const char *owner, const char *after, int (*each)(void *context, const struct repo *repo),
	void *context)
{
	struct key prefix, start;
	struct listing listing = { .ns = ns, .each = each, .context = context };
	if (after && parse_after(after, &start) != 0)
		return ERR_INVALID;
	if (owner && !name_valid(span_text(owner)))
		return 0;
	bool every_type = type == 0 && owner != NULL; /* an owner's repositories lie together per type */
	enum repo_type first = every_type ? REPO_MODEL : type, last = every_type ? REPO_BUCKET : type;
	int err = 0;
	for (enum repo_type t = first; t <= last && err == 0; t++) {
		key_repo_name(&prefix, t, span_text(owner ? owner : ""), (struct span){ 0 });
		bool inside = after && start.length >= prefix.length && memcmp(start.bytes, prefix.bytes, prefix.length) == 0;
		bool behind = after && !inside && memcmp(start.bytes, prefix.bytes, start.length < prefix.length ? start.length : prefix.length) > 0;
		if (behind)
			continue;
		listing.after = inside ? &start : NULL;
		err = namespace_scan(ns, NULL, &prefix, listing.after, list_one, &listing);
	}
	return err;
}
