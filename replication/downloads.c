#include "replication/downloads.h"

#include "replication/namespace_state.h"

/* A repository's counts: those of day_counts, and where it is filed. */
struct repo_downloads {
	struct day_counts counts;
	uint64_t index;
};
static const struct field repo_downloads_fields[] = {
	{ "total", FIELD_U64, offsetof(struct repo_downloads, counts.total), sizeof(uint64_t), true },
	{ "day", FIELD_U64, offsetof(struct repo_downloads, counts.day), sizeof(uint64_t), true },
	{ "recent", FIELD_BYTES, offsetof(struct repo_downloads, counts.recent), COUNTED_DAYS * DAY_COUNT_BYTES, true },
	FIELD(struct repo_downloads, index, FIELD_U64, true),
};
static const struct schema repo_downloads_schema = SCHEMA(1, repo_downloads_fields);

/* ---- apply ---- */

static int add_to_file(const struct apply_context *apply, const struct download_count *add, struct why *why)
{
	struct key key;
	uint8_t bytes[8] = { 0 };
	key_file_downloads(&key, &add->repo, add->path);
	int err = state_get_bytes(apply, &key, bytes, sizeof(bytes), why);
	if (err && err != ERR_NOT_FOUND)
		return err;
	put_big_endian(bytes, get_big_endian(bytes, 8) + add->count, 8);
	state_put_bytes(apply, &key, bytes, sizeof(bytes));
	return 0;
}

static int add_to_repo(const struct apply_context *apply, const struct download_count *add, struct why *why)
{
	struct repo_downloads downloads;
	struct key key, filed;
	key_repo_downloads(&key, &add->repo);
	int err = state_get(apply, &key, &repo_downloads_schema, &downloads, sizeof(downloads), why);
	if (err && err != ERR_NOT_FOUND)
		return err;
	if (err)
		downloads = (struct repo_downloads){ 0 };
	if (downloads.index) {
		key_downloads_changed(&filed, downloads.index, &add->repo);
		state_delete(apply, &filed);
	}
	downloads.index = apply->index;
	day_counts_add(&downloads.counts, day_of_ms(apply->leader_ms), add->count);
	state_put(apply, &key, &repo_downloads_schema, &downloads);
	key_downloads_changed(&filed, apply->index, &add->repo);
	state_put_bytes(apply, &filed, "", 0);
	return 0;
}

static int add_one(const struct apply_context *apply, const struct download_count *add, struct why *why)
{
	struct repo_state state = { 0 };
	struct key key;
	key_repo_state(&key, &add->repo);
	int err = state_get(apply, &key, &repo_state_schema, &state, sizeof(state), why);
	if (err == ERR_NOT_FOUND || (err == 0 && state.deleted))
		return 0; /* nothing was ever pushed there, or it is gone */
	if (err)
		return err;
	return add->path.length ? add_to_file(apply, add, why) : add_to_repo(apply, add, why);
}

/* Body: [[repository id, path, count], ...]. */
int downloads_add_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct cursor cursor = cursor_of(command->body);
	uint32_t count = cursor_array(&cursor, DOWNLOADS_PER_COMMAND_MAX);
	struct cursor whole = cursor; /* all of it parses, or none of it is applied */
	for (uint32_t i = 0; i < count && !whole.failed; i++)
		cursor_value(&whole);
	if (!cursor_done(&whole))
		return why_set(why, ERR_INVALID, "a list of downloads does not parse");
	int err = 0;
	for (uint32_t i = 0; i < count && err == 0; i++) {
		struct download_count add;
		cursor_array(&cursor, 3);
		struct span id = cursor_bytes(&cursor, ENTITY_ID_BYTES);
		add.path = cursor_text(&cursor, DOWNLOAD_PATH_BYTES_MAX);
		add.count = cursor_u64(&cursor);
		if (cursor.failed || id.length != ENTITY_ID_BYTES)
			break;
		memcpy(add.repo.bytes, id.data, ENTITY_ID_BYTES);
		err = add_one(apply, &add, why);
	}
	struct change change = { .item = apply->index };
	return err ? err : change_append(apply, command, &change, why);
}

int downloads_forget(const struct apply_context *apply, const struct entity_id *repo, struct why *why)
{
	struct repo_downloads downloads;
	struct key key, filed;
	key_repo_downloads(&key, repo);
	int err = state_get(apply, &key, &repo_downloads_schema, &downloads, sizeof(downloads), why);
	if (err)
		return err == ERR_NOT_FOUND ? 0 : err;
	key_downloads_changed(&filed, downloads.index, repo);
	state_delete(apply, &filed);
	state_delete(apply, &key);
	key_file_downloads(&key, repo, (struct span){ 0 });
	return state_delete_prefix(apply, &key, why);
}

/* ---- changing ---- */

int downloads_add(struct namespace *ns, const struct download_count *counts, size_t count, const struct command_id *id, struct why *why)
{
	if (count > DOWNLOADS_PER_COMMAND_MAX)
		return why_set(why, ERR_TOO_BIG, "%zu counts are more than the %d of one change", count, DOWNLOADS_PER_COMMAND_MAX);
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	pack_array(&body, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		pack_array(&body, 3);
		pack_bytes(&body, span_of(counts[i].repo.bytes, ENTITY_ID_BYTES));
		pack_text(&body, counts[i].path);
		pack_u64(&body, counts[i].count);
	}
	return namespace_propose(ns, GROUP_REPOS, COMMAND_DOWNLOADS_ADD, NULL, &body, id, why);
}

/* ---- reading ---- */

int downloads_of_repo(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct entity_id *repo, struct day_counts *out)
{
	struct key key;
	struct repo_downloads downloads;
	key_repo_downloads(&key, repo);
	int err = namespace_get(ns, snapshot, &key, &repo_downloads_schema, &downloads, sizeof(downloads));
	*out = err ? (struct day_counts){ 0 } : downloads.counts;
	return err == ERR_NOT_FOUND ? 0 : err;
}

int downloads_of_file(struct namespace *ns, const struct entity_id *repo, struct span path, uint64_t *out)
{
	struct key key;
	uint8_t bytes[8] = { 0 };
	key_file_downloads(&key, repo, path);
	int err = namespace_get_bytes(ns, NULL, &key, bytes, sizeof(bytes));
	*out = get_big_endian(bytes, 8);
	return err == ERR_NOT_FOUND ? 0 : err;
}

struct listing {
	const struct key *after;
	int (*each)(void *context, const struct entity_id *repo, uint64_t index);
	void *context;
};

static int list_one(void *context, struct span key, struct span value)
{
	(void)value;
	struct listing *listing = context;
	if (listing->after && span_equal(key, span_of(listing->after->bytes, listing->after->length)))
		return 0;
	struct entity_id repo;
	if (key.length != KEY_PREFIX_BYTES + 8 + ENTITY_ID_BYTES)
		return ERR_CORRUPT;
	memcpy(repo.bytes, key.data + KEY_PREFIX_BYTES + 8, ENTITY_ID_BYTES);
	return listing->each(listing->context, &repo, get_big_endian(key.data + KEY_PREFIX_BYTES, 8));
}

int downloads_changed(struct namespace *ns, uint64_t after, const struct entity_id *after_repo,
	int (*each)(void *context, const struct entity_id *repo, uint64_t index), void *context)
{
	struct key prefix, start;
	key_downloads_changed(&prefix, 0, NULL);
	key_downloads_changed(&start, after_repo ? after : after + 1, after_repo ? after_repo : &(struct entity_id){ 0 });
	struct listing listing = { .after = after_repo ? &start : NULL, .each = each, .context = context };
	return namespace_scan(ns, NULL, &prefix, &start, list_one, &listing);
}
