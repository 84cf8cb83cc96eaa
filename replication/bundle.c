#include "replication/bundle.h"

#include "replication/namespace_state.h"

enum { LIST_BYTES_MAX = 4096 }; /* of BUNDLES_MAX records */

static const struct field bundle_fields[] = {
	FIELD(struct bundle, file, FIELD_BYTES, true),
	FIELD(struct bundle, length, FIELD_U64, true),
	FIELD(struct bundle, token, FIELD_U64, true),
	FIELD(struct bundle, version, FIELD_U64, true),
	FIELD(struct bundle, created_ms, FIELD_I64, true),
};
static const struct schema bundle_schema = SCHEMA(1, bundle_fields);

static void key_bundles(struct key *key, const struct entity_id *repo)
{
	key_begin_repo(key, repo, 'c');
}

static void list_encode(struct buffer *out, const struct bundles *bundles)
{
	pack_array(out, (uint32_t)bundles->count);
	for (size_t i = 0; i < bundles->count; i++)
		record_encode(out, &bundle_schema, &bundles->items[i]);
}

static int list_decode_at(struct cursor *cursor, struct bundles *out)
{
	int err = 0;
	out->count = cursor_array(cursor, BUNDLES_MAX);
	for (size_t i = 0; i < out->count && err == 0; i++)
		err = record_decode_at(cursor, &out->items[i], sizeof(out->items[i]), &bundle_schema);
	return err ? err : cursor->failed ? ERR_CORRUPT : 0;
}

static int list_decode(struct span bytes, struct bundles *out)
{
	struct cursor cursor = cursor_of(bytes);
	*out = (struct bundles){ 0 };
	int err = list_decode_at(&cursor, out);
	if (err == 0 && !cursor_done(&cursor))
		err = ERR_CORRUPT;
	if (err == 0 && out->count)
		out->last = out->items[out->count - 1].file;
	return err;
}

static bool is_void(const struct bundles *bundles, const struct repo_state *state)
{
	for (size_t i = 0; i < bundles->count; i++)
		if (bundles->items[i].version < state->rewritten_version)
			return true;
	return state->deleted;
}

/* ---- in apply ---- */

static int read_list(const struct apply_context *apply, const struct key *key, struct bundles *out, struct why *why)
{
	struct buffer value;
	buffer_init(&value, LIST_BYTES_MAX);
	*out = (struct bundles){ 0 };
	int err = state_read(apply, key, &value, why);
	if (err == 0)
		err = list_decode(buffer_span(&value), out);
	buffer_fini(&value);
	return err == ERR_NOT_FOUND ? 0 : err;
}

/* Body: [repository id, store file of the newest that is there, [bundle, ...]]. */
int bundles_set_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct cursor cursor = cursor_of(command->body);
	struct bundles wanted = { 0 }, there;
	struct entity_id repo;
	struct repo_state state = { 0 };
	struct key key;
	cursor_array(&cursor, 3);
	struct span id = cursor_bytes(&cursor, ENTITY_ID_BYTES), last = cursor_bytes(&cursor, HASH_BYTES);
	int err = cursor.failed || id.length != ENTITY_ID_BYTES || last.length != HASH_BYTES ? ERR_CORRUPT : list_decode_at(&cursor, &wanted);
	if (err || !cursor_done(&cursor))
		return why_set(why, err == ERR_UNSUPPORTED ? err : ERR_INVALID, "a list of bundles does not parse");
	memcpy(repo.bytes, id.data, ENTITY_ID_BYTES);
	key_repo_state(&key, &repo);
	err = state_get(apply, &key, &repo_state_schema, &state, sizeof(state), why);
	if (err)
		return err == ERR_NOT_FOUND ? why_set(why, err, "there is no such repository") : err;
	if (state.deleted)
		return why_set(why, ERR_NOT_FOUND, "the repository was deleted");
	key_bundles(&key, &repo);
	err = read_list(apply, &key, &there, why);
	if (err)
		return err;
	if (memcmp(there.last.bytes, last.data, HASH_BYTES) != 0 || is_void(&wanted, &state))
		return why_set(why, ERR_CONFLICT, "the bundles or refs of the repository have changed");
	struct buffer value;
	buffer_init(&value, LIST_BYTES_MAX);
	list_encode(&value, &wanted);
	if (!value.failed)
		state_put_bytes(apply, &key, value.data, value.length);
	err = value.failed ? why_set(why, ERR_NO_MEMORY, "no memory for a list of bundles") : 0;
	buffer_fini(&value);
	return err;
}

void bundles_purge(const struct apply_context *apply, const struct entity_id *repo)
{
	struct key key;
	key_bundles(&key, repo);
	state_delete(apply, &key);
}

/* ---- outside ---- */

int bundles_get(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct entity_id *repo, struct bundles *out)
{
	uint8_t value[LIST_BYTES_MAX];
	size_t length = 0;
	struct repo_state state = { 0 };
	struct key key;
	*out = (struct bundles){ 0 };
	key_bundles(&key, repo);
	int err = namespace_get_some(ns, snapshot, &key, value, sizeof(value), &length);
	if (err == ERR_NOT_FOUND)
		return 0;
	if (err == 0)
		err = list_decode(span_of(value, length), out);
	/* Read later than the list: a rewrite between the two makes the list void, never the other way round. */
	key_repo_state(&key, repo);
	if (err == 0)
		err = namespace_get(ns, snapshot, &key, &repo_state_schema, &state, sizeof(state));
	if (err == ERR_NOT_FOUND || (err == 0 && is_void(out, &state)))
		out->count = 0;
	return err == ERR_NOT_FOUND ? 0 : err;
}

int bundles_set(struct namespace *ns, const struct entity_id *repo, const struct bundles *bundles, struct why *why)
{
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	pack_array(&body, 3);
	pack_bytes(&body, span_of(repo->bytes, ENTITY_ID_BYTES));
	pack_bytes(&body, span_of(bundles->last.bytes, HASH_BYTES));
	list_encode(&body, bundles);
	return namespace_propose(ns, GROUP_REPOS, COMMAND_BUNDLES_SET, NULL, &body, NULL, why);
}
