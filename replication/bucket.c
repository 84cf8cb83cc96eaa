#include "replication/bucket.h"

#include <stdlib.h>

#include "replication/community_keys.h"
#include "replication/namespace_state.h"

static const struct field file_fields[] = {
	FIELD(struct bucket_file, path, FIELD_TEXT, true),
	FIELD(struct bucket_file, file, FIELD_BYTES, true),
	FIELD(struct bucket_file, length, FIELD_U64, true),
	FIELD(struct bucket_file, mtime_ms, FIELD_I64, false),
	FIELD(struct bucket_file, uploaded_ms, FIELD_I64, false),
	FIELD(struct bucket_file, content_type, FIELD_TEXT, false),
};
static const struct schema file_schema = SCHEMA(1, file_fields);

static const struct field totals_fields[] = {
	FIELD(struct bucket_totals, files, FIELD_U64, true),
	FIELD(struct bucket_totals, bytes, FIELD_U64, true),
};
static const struct schema totals_schema = SCHEMA(1, totals_fields);

/* ---- apply ---- */

static int load_totals(const struct apply_context *apply, const struct entity_id *bucket, struct bucket_totals *out, struct why *why)
{
	struct key key;
	*out = (struct bucket_totals){ 0 };
	key_bucket_totals(&key, bucket);
	int err = state_get(apply, &key, &totals_schema, out, sizeof(*out), why);
	return err == ERR_NOT_FOUND ? 0 : err;
}

static int apply_one(const struct apply_context *apply, const struct entity_id *bucket, struct bucket_totals *totals, bool remove, struct bucket_file *file,
	struct why *why)
{
	struct bucket_file before;
	struct key key;
	key_bucket_file(&key, bucket, file->path);
	int err = state_get(apply, &key, &file_schema, &before, sizeof(before), why);
	if (err && err != ERR_NOT_FOUND)
		return err;
	if (err == 0) {
		totals->files--;
		totals->bytes -= before.length;
	}
	if (remove) {
		state_delete(apply, &key);
		return 0;
	}
	file->uploaded_ms = apply->leader_ms;
	totals->files++;
	totals->bytes += file->length;
	state_put(apply, &key, &file_schema, file);
	return 0;
}

/* Body: [bucket id, [[remove, file], ...]]. Everything is parsed before anything is written. */
int bucket_change_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct entity_id bucket = { { 0 } };
	struct repo_state state = { 0 };
	struct bucket_totals totals;
	struct key state_key, key;
	struct cursor cursor = cursor_of(command->body);
	cursor_array(&cursor, 2);
	struct span id = cursor_bytes(&cursor, ENTITY_ID_BYTES);
	uint32_t count = cursor_array(&cursor, BUCKET_CHANGES_MAX);
	struct bucket_change *changes = calloc(count + 1, sizeof(*changes));
	if (!changes)
		return why_set(why, ERR_NO_MEMORY, "no memory for %u changes", count);
	int err = 0;
	for (uint32_t i = 0; i < count && err == 0; i++) {
		cursor_array(&cursor, 2);
		changes[i].remove = cursor_bool(&cursor);
		err = record_decode_at(&cursor, &changes[i].file, sizeof(changes[i].file), &file_schema);
	}
	if (err != ERR_UNSUPPORTED && (err || !cursor_done(&cursor) || id.length != ENTITY_ID_BYTES))
		err = why_set(why, ERR_INVALID, "a change of a bucket does not parse");
	if (err == 0) {
		memcpy(bucket.bytes, id.data, ENTITY_ID_BYTES);
		key_repo_state(&state_key, &bucket);
		err = state_get(apply, &state_key, &repo_state_schema, &state, sizeof(state), why);
		err = err == ERR_NOT_FOUND ? 0 : err;
	}
	if (err == 0 && state.deleted)
		err = why_set(why, ERR_NOT_FOUND, "the bucket was deleted");
	if (err == 0)
		err = load_totals(apply, &bucket, &totals, why);
	for (uint32_t i = 0; i < count && err == 0; i++)
		err = apply_one(apply, &bucket, &totals, changes[i].remove, &changes[i].file, why);
	free(changes);
	if (err)
		return err;
	state.version++;
	state.modified_ms = apply->leader_ms;
	state_put(apply, &state_key, &repo_state_schema, &state);
	key_bucket_totals(&key, &bucket);
	state_put(apply, &key, &totals_schema, &totals);
	struct change change = { .repo = bucket, .item = count };
	return change_append(apply, command, &change, why);
}

int bucket_purge(const struct apply_context *apply, const struct entity_id *bucket, struct why *why)
{
	struct key key;
	key_bucket_totals(&key, bucket);
	state_delete(apply, &key);
	key_bucket_file(&key, bucket, "");
	return state_delete_prefix(apply, &key, why);
}

/* ---- outside ---- */

int bucket_change(struct namespace *ns, const char *actor, const struct entity_id *bucket, const struct bucket_change *changes, size_t count, struct why *why)
{
	struct buffer bytes;
	if (count > BUCKET_CHANGES_MAX)
		return why_set(why, ERR_TOO_BIG, "%zu changes are more than the %d of one command", count, BUCKET_CHANGES_MAX);
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	pack_array(&bytes, 2);
	pack_bytes(&bytes, span_of(bucket->bytes, ENTITY_ID_BYTES));
	pack_array(&bytes, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		pack_array(&bytes, 2);
		pack_bool(&bytes, changes[i].remove);
		record_encode(&bytes, &file_schema, &changes[i].file);
	}
	return namespace_propose(ns, GROUP_REPOS, COMMAND_BUCKET_CHANGE, actor, &bytes, NULL, why);
}

int bucket_file_get(struct namespace *ns, const struct entity_id *bucket, const char *path, struct bucket_file *out)
{
	struct key key;
	if (!*path || strlen(path) > BUCKET_PATH_BYTES_MAX)
		return ERR_NOT_FOUND;
	key_bucket_file(&key, bucket, path);
	return namespace_get(ns, NULL, &key, &file_schema, out, sizeof(*out));
}

struct listing {
	int (*each)(void *context, const struct bucket_file *file);
	void *context;
};

static int list_one(void *context, struct span key, struct span value)
{
	(void)key;
	struct listing *listing = context;
	struct bucket_file file;
	int err = record_decode(&file, sizeof(file), &file_schema, value);
	return err ? err : listing->each(listing->context, &file);
}

int bucket_file_list(struct namespace *ns, const struct entity_id *bucket, const char *prefix, const char *start,
	int (*each)(void *context, const struct bucket_file *file), void *context)
{
	struct key key, from;
	if (strlen(prefix) > BUCKET_PATH_BYTES_MAX || (start && strlen(start) > BUCKET_PATH_BYTES_MAX))
		return 0;
	key_bucket_file(&key, bucket, prefix);
	if (start)
		key_bucket_file(&from, bucket, start);
	struct listing listing = { .each = each, .context = context };
	return namespace_scan(ns, NULL, &key, start ? &from : NULL, list_one, &listing);
}

int bucket_totals_get(struct namespace *ns, const struct entity_id *bucket, struct bucket_totals *out)
{
	struct key key;
	*out = (struct bucket_totals){ 0 };
	key_bucket_totals(&key, bucket);
	int err = namespace_get(ns, NULL, &key, &totals_schema, out, sizeof(*out));
	return err == ERR_NOT_FOUND ? 0 : err;
}
