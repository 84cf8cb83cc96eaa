/* ref.c - refs, their log, and the one command that moves them.
 *
 * refs_update is all or nothing: every condition is evaluated at apply against the state at that place of the log, so two racing pushes
 * are decided by their order there. Names that would be a file and a folder at once ("refs/heads/a" and "refs/heads/a/b") are a conflict, as
 * in git. Each change leaves a reflog entry with actor and time. */
#include "replication/discussion.h"
#include "replication/namespace_state.h"

#include <stdlib.h>

static const struct field ref_fields[] = {
	FIELD(struct ref, name, FIELD_TEXT, true),
	FIELD(struct ref, oid, FIELD_BYTES, true),
	FIELD(struct ref, updated_ms, FIELD_I64, true),
};
static const struct schema ref_schema = SCHEMA(1, ref_fields);

static const struct field update_fields[] = {
	FIELD(struct ref_update, name, FIELD_TEXT, true),
	FIELD(struct ref_update, old_oid, FIELD_BYTES, true),
	FIELD(struct ref_update, new_oid, FIELD_BYTES, true),
	FIELD(struct ref_update, any_old, FIELD_BOOL, false),
	FIELD(struct ref_update, fast_forward, FIELD_BOOL, false),
	FIELD(struct ref_update, privileged, FIELD_BOOL, false),
};
static const struct schema update_schema = SCHEMA(1, update_fields);

static const struct field reflog_fields[] = {
	FIELD(struct reflog_entry, name, FIELD_TEXT, true),
	FIELD(struct reflog_entry, old_oid, FIELD_BYTES, true),
	FIELD(struct reflog_entry, new_oid, FIELD_BYTES, true),
	FIELD(struct reflog_entry, actor, FIELD_TEXT, true),
	FIELD(struct reflog_entry, when_ms, FIELD_I64, true),
	FIELD(struct reflog_entry, version, FIELD_U64, true),
};
static const struct schema reflog_schema = SCHEMA(1, reflog_fields);

static bool oid_is_zero(const struct oid *oid)
{
	static const struct oid zero;
	return memcmp(oid->bytes, zero.bytes, OID_BYTES) == 0;
}

/* ---- apply ---- */

struct batch {
	struct entity_id repo;
	struct ref_update *updates;
	struct ref *before;     /* the refs as they are; zero oid: absent */
	size_t count;
	bool has_pack;
	struct pack pack;
};

static void batch_fini(struct batch *batch)
{
	free(batch->updates);
	free(batch->before);
}

/* Body: [repository id, [update, ...], [] or [pack]]. */
static int batch_decode(struct batch *batch, const struct command *command, struct why *why)
{
	*batch = (struct batch){ 0 };
	struct cursor cursor = cursor_of(command->body);
	cursor_array(&cursor, 3);
	struct span id = cursor_bytes(&cursor, ENTITY_ID_BYTES);
	batch->count = cursor_array(&cursor, REFS_PER_COMMAND_MAX);
	int err = cursor.failed || id.length != ENTITY_ID_BYTES ? ERR_CORRUPT : 0;
	if (err == 0) {
		memcpy(batch->repo.bytes, id.data, ENTITY_ID_BYTES);
		batch->updates = calloc(batch->count + 1, sizeof(*batch->updates));
		batch->before = calloc(batch->count + 1, sizeof(*batch->before));
		if (!batch->updates || !batch->before)
			err = why_set(why, ERR_NO_MEMORY, "no memory for %zu refs", batch->count);
	}
	for (size_t i = 0; i < batch->count && err == 0; i++)
		err = record_decode_at(&cursor, &batch->updates[i], sizeof(batch->updates[i]), &update_schema);
	if (err == 0) {
		batch->has_pack = cursor_array(&cursor, 1) == 1;
		if (batch->has_pack)
			err = record_decode_at(&cursor, &batch->pack, sizeof(batch->pack), &pack_schema);
	}
	if (err == 0 && !cursor_done(&cursor))
		err = ERR_CORRUPT;
	return err == ERR_CORRUPT ? why_set(why, ERR_INVALID, "a change of refs does not parse") : err;
}

/* The update that touches `name`, or NULL. */
static const struct ref_update *batch_find(const struct batch *batch, struct span name)
{
	for (size_t i = 0; i < batch->count; i++)
		if (span_equal(span_text(batch->updates[i].name), name))
			return &batch->updates[i];
	return NULL;
}

/* True for a ref that will be there after the batch. */
static bool survives(const struct batch *batch, struct span name)
{
	const struct ref_update *update = batch_find(batch, name);
	return !update || !oid_is_zero(&update->new_oid);
}

struct below {
	const struct batch *batch;
	size_t name_offset; /* of a ref's name in its key */
};

static bool below_survives(void *context, struct span key)
{
	const struct below *below = context;
	return survives(below->batch, span_of(key.data + below->name_offset, key.length - below->name_offset));
}

/* A new ref must not be a folder of another one, nor lie below one. */
static int check_folders(const struct apply_context *apply, const struct batch *batch, const struct ref_update *update, struct why *why)
{
	struct key key;
	size_t length = strlen(update->name);
	for (size_t i = sizeof("refs/") - 1; i < length; i++) {
		if (update->name[i] != '/')
			continue;
		struct span folder = span_of(update->name, i);
		const struct ref_update *other = batch_find(batch, folder);
		key_ref(&key, &batch->repo, folder);
		int err = other ? ERR_NOT_FOUND : state_get(apply, &key, NULL, NULL, 0, why);
		if (err && err != ERR_NOT_FOUND)
			return err;
		if (err == 0 || (other && !oid_is_zero(&other->new_oid)))
			return why_set(why, ERR_CONFLICT, "%s cannot be created while %.*s is there", update->name, (int)i, update->name);
	}
	char inside[REF_BYTES_MAX + 2];
	memcpy(inside, update->name, length);
	inside[length] = '/';
	key_ref(&key, &batch->repo, span_of(inside, length + 1));
	struct below below = { .batch = batch };
	struct key names;
	key_ref(&names, &batch->repo, (struct span){ 0 });
	below.name_offset = names.length;
	if (state_any(apply, &key, below_survives, &below))
		return why_set(why, ERR_CONFLICT, "%s cannot be created while refs below it are there", update->name);
	return 0;
}

static int check_update(const struct apply_context *apply, struct batch *batch, size_t i, bool has_rules, struct why *why)
{
	const struct ref_update *update = &batch->updates[i];
	if (!ref_name_valid(span_text(update->name)))
		return why_set(why, ERR_INVALID, "\"%s\" is not a ref name", update->name);
	struct key key;
	key_ref(&key, &batch->repo, span_text(update->name));
	int err = state_get(apply, &key, &ref_schema, &batch->before[i], sizeof(batch->before[i]), why);
	if (err && err != ERR_NOT_FOUND)
		return err;
	bool exists = err == 0;
	if (!exists)
		batch->before[i] = (struct ref){ 0 };
	if (!update->any_old && memcmp(update->old_oid.bytes, batch->before[i].oid.bytes, OID_BYTES) != 0)
		return why_set(why, ERR_CONFLICT, exists ? "%s has moved" : "%s does not exist", update->name);
	err = has_rules ? branch_rules_check(apply, &batch->repo, update, exists, oid_is_zero(&update->new_oid), why) : 0;
	if (err)
		return err;
	if (!exists && !oid_is_zero(&update->new_oid))
		return check_folders(apply, batch, update, why);
	return 0;
}

static void write_update(const struct apply_context *apply, const struct batch *batch, size_t i, uint64_t version, struct span actor)
{
	const struct ref_update *update = &batch->updates[i];
	struct key key;
	key_ref(&key, &batch->repo, span_text(update->name));
	if (oid_is_zero(&update->new_oid)) {
		state_delete(apply, &key);
	} else {
		struct ref ref = { .oid = update->new_oid, .updated_ms = apply->leader_ms };
		memcpy(ref.name, update->name, sizeof(ref.name));
		state_put(apply, &key, &ref_schema, &ref);
	}
	struct reflog_entry entry = { .old_oid = batch->before[i].oid, .new_oid = update->new_oid, .when_ms = apply->leader_ms, .version = version };
	memcpy(entry.name, update->name, sizeof(entry.name));
	if (actor.length)
		memcpy(entry.actor, actor.data, actor.length < NAME_BYTES_MAX ? actor.length : NAME_BYTES_MAX);
	key_reflog(&key, &batch->repo, span_text(update->name), version);
	state_put(apply, &key, &reflog_schema, &entry);
}

static int append_change(const struct apply_context *apply, const struct command *command, const struct batch *batch, size_t i, struct why *why)
{
	const struct ref_update *update = &batch->updates[i];
	struct change change = { .type = COMMAND_REFS_UPDATE, .repo = batch->repo, .old_oid = batch->before[i].oid, .new_oid = update->new_oid };
	memcpy(change.ref, update->name, sizeof(change.ref));
	uint64_t number = pull_request_of_ref(update->name);
	int err = number ? pull_request_moved(apply, command, &batch->repo, number, &change.old_oid, &change.new_oid, why) : 0;
	return err ? err : change_append(apply, command, &change, why);
}

/* What a branch or tag reached may be reached no more: bundles that have it are void (bundle.h). */
static bool may_lose_commits(const struct ref_update *update, const struct ref *before)
{
	bool is_bundled = strncmp(update->name, "refs/heads/", 11) == 0 || strncmp(update->name, "refs/tags/", 10) == 0;
	bool is_same = memcmp(before->oid.bytes, update->new_oid.bytes, OID_BYTES) == 0;
	return is_bundled && !is_same && !oid_is_zero(&before->oid) && (oid_is_zero(&update->new_oid) || !update->fast_forward);
}

static int apply_batch(const struct apply_context *apply, struct batch *batch, const struct command *command, struct buffer *result, struct why *why)
{
	struct repo_state state = { 0 };
	struct key state_key, key;
	key_repo_state(&state_key, &batch->repo);
	int err = state_get(apply, &state_key, &repo_state_schema, &state, sizeof(state), why);
	if (err && err != ERR_NOT_FOUND)
		return err;
	if (state.deleted)
		return why_set(why, ERR_NOT_FOUND, "the repository was deleted");
	for (size_t i = 0; i < batch->count; i++) {
		err = check_update(apply, batch, i, state.branch_rules > 0, why);
		if (err)
			return err;
	}
	err = 0;
	state.version++;
	state.modified_ms = apply->leader_ms;
	for (size_t i = 0; i < batch->count; i++)
		if (may_lose_commits(&batch->updates[i], &batch->before[i]))
			state.rewritten_version = state.version;
	for (size_t i = 0; i < batch->count; i++)
		write_update(apply, batch, i, state.version, command->actor);
	if (batch->has_pack) {
		key_pack(&key, &batch->repo, state.version);
		state_put(apply, &key, &pack_schema, &batch->pack);
	}
	state_put(apply, &state_key, &repo_state_schema, &state);
	for (size_t i = 0; i < batch->count && err == 0; i++)
		err = append_change(apply, command, batch, i, why);
	if (err == 0)
		pack_u64(result, state.version);
	return err;
}

int refs_apply(const struct apply_context *apply, const struct command *command, const struct entity_id *repo, const struct ref_update *updates, size_t count,
	const struct pack *pack, struct buffer *result, struct why *why)
{
	struct batch batch = { .repo = *repo, .count = count, .has_pack = pack != NULL };
	batch.updates = calloc(count + 1, sizeof(*batch.updates));
	batch.before = calloc(count + 1, sizeof(*batch.before));
	int err = batch.updates && batch.before ? 0 : why_set(why, ERR_NO_MEMORY, "no memory for %zu refs", count);
	if (pack)
		batch.pack = *pack;
	if (err == 0) {
		memcpy(batch.updates, updates, count * sizeof(*updates));
		err = apply_batch(apply, &batch, command, result, why);
	}
	batch_fini(&batch);
	return err;
}

int refs_check(const struct apply_context *apply, const struct entity_id *repo, const struct ref_update *update, struct why *why)
{
	struct key key;
	struct ref ref = { 0 };
	key_ref(&key, repo, span_text(update->name));
	int err = state_get(apply, &key, &ref_schema, &ref, sizeof(ref), why);
	if (err && err != ERR_NOT_FOUND)
		return err;
	return memcmp(ref.oid.bytes, update->old_oid.bytes, OID_BYTES) == 0 ? 0 : why_set(why, ERR_CONFLICT, "%s has moved", update->name);
}

int refs_update_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	struct batch batch;
	int err = batch_decode(&batch, command, why);
	if (err == 0)
		err = apply_batch(apply, &batch, command, result, why);
	batch_fini(&batch);
	return err;
}

/* ---- changing ---- */

static int compare_names(const void *a, const void *b)
{
	const struct ref_update *const *left = a, *const *right = b;
	return strcmp((*left)->name, (*right)->name);
}

static int check_updates(const struct ref_update *updates, size_t count, struct why *why)
{
	const struct ref_update **sorted = malloc((count + 1) * sizeof(*sorted));
	if (!sorted)
		return why_set(why, ERR_NO_MEMORY, "no memory for %zu refs", count);
	int err = 0;
	for (size_t i = 0; i < count && err == 0; i++) {
		sorted[i] = &updates[i];
		if (!ref_name_valid(span_text(updates[i].name)))
			err = why_set(why, ERR_INVALID, "\"%s\" is not a ref name", updates[i].name);
	}
	if (err == 0) {
		qsort(sorted, count, sizeof(*sorted), compare_names);
		for (size_t i = 1; i < count && err == 0; i++)
			if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
				err = why_set(why, ERR_INVALID, "%s is named twice", sorted[i]->name);
	}
	free(sorted);
	return err;
}

int refs_update(struct namespace *ns, const char *actor, const struct entity_id *repo, const struct ref_update *updates, size_t count,
	const struct pack *pack, const struct command_id *id, struct why *why)
{
	if (count > REFS_PER_COMMAND_MAX)
		return why_set(why, ERR_TOO_BIG, "%zu refs are more than the %d one change may touch", count, REFS_PER_COMMAND_MAX);
	if (count == 0 && !pack)
		return why_set(why, ERR_INVALID, "a change of refs changes nothing");
	int err = check_updates(updates, count, why);
	if (err)
		return err;
	struct repo found;
	err = repo_get(ns, NULL, repo, &found);
	if (err)
		return why_set(why, err, "there is no such repository");
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	pack_array(&body, 3);
	pack_bytes(&body, span_of(repo->bytes, ENTITY_ID_BYTES));
	pack_array(&body, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		record_encode(&body, &update_schema, &updates[i]);
	pack_array(&body, pack ? 1 : 0);
	if (pack)
		record_encode(&body, &pack_schema, pack);
	return namespace_propose(ns, GROUP_REPOS, COMMAND_REFS_UPDATE, actor, &body, id, why);
}

/* ---- reading ---- */

int ref_get(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct entity_id *repo, const char *name, struct ref *out)
{
	if (!ref_name_valid(span_text(name)))
		return ERR_NOT_FOUND;
	struct key key;
	key_ref(&key, repo, span_text(name));
	return namespace_get(ns, snapshot, &key, &ref_schema, out, sizeof(*out));
}

struct listing {
	int (*each)(void *context, const struct ref *ref);
	int (*each_entry)(void *context, const struct reflog_entry *entry);
	void *context;
};

static int list_ref(void *context, struct span key, struct span value)
{
	(void)key;
	struct listing *listing = context;
	struct ref ref;
	int err = record_decode(&ref, sizeof(ref), &ref_schema, value);
	return err ? err : listing->each(listing->context, &ref);
}

int ref_list(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct entity_id *repo, const char *prefix,
	int (*each)(void *context, const struct ref *ref), void *context)
{
	struct span text = span_text(prefix ? prefix : "");
	if (text.length > REF_BYTES_MAX)
		return 0;
	struct key key;
	key_ref(&key, repo, text);
	struct listing listing = { .each = each, .context = context };
	return namespace_scan(ns, snapshot, &key, NULL, list_ref, &listing);
}

static int list_entry(void *context, struct span key, struct span value)
{
	(void)key;
	struct listing *listing = context;
	struct reflog_entry entry;
	int err = record_decode(&entry, sizeof(entry), &reflog_schema, value);
	return err ? err : listing->each_entry(listing->context, &entry);
}

int reflog_list(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct entity_id *repo, const char *ref,
	int (*each)(void *context, const struct reflog_entry *entry), void *context)
{
	if (!ref_name_valid(span_text(ref)))
		return 0;
	struct key key;
	key_reflog_prefix(&key, repo, span_text(ref));
	struct listing listing = { .each_entry = each, .context = context };
	return namespace_scan(ns, snapshot, &key, NULL, list_entry, &listing);
}
