#include "replication/namespace_state.h"

#include "replication/keys.h"

static const struct field pack_fields[] = {
	FIELD(struct pack, file, FIELD_BYTES, true),
	FIELD(struct pack, sha1, FIELD_BYTES, true),
	FIELD(struct pack, length, FIELD_U64, true),
	FIELD(struct pack, objects, FIELD_U64, true),
	FIELD(struct pack, class, FIELD_ENUM, true),
};
const struct schema pack_schema = SCHEMA(1, pack_fields);

/* ---- reading ---- */

struct listing {
	int (*each)(void *context, const struct pack *pack);
	void *context;
};

static int list_one(void *context, struct span key, struct span value)
{
	struct listing *listing = context;
	struct pack pack;
	int err = record_decode(&pack, sizeof(pack), &pack_schema, value);
	if (err == 0 && key.length < 8)
		err = ERR_CORRUPT;
	if (err)
		return err;
	pack.version = get_big_endian(key.data + key.length - 8, 8);
	return listing->each(listing->context, &pack);
}

int pack_list(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct entity_id *repo, int (*each)(void *context, const struct pack *pack),
	void *context)
{
	struct key prefix;
	key_pack_prefix(&prefix, repo);
	struct listing listing = { .each = each, .context = context };
	return namespace_scan(ns, snapshot, &prefix, NULL, list_one, &listing);
}

/* ---- replacing ---- */

/* Body: [repository id, [[version, store file], ...], pack]. */
struct replacement {
	struct entity_id repo;
	struct cursor replaced;
	uint32_t count;
	struct pack pack;
};

static int replacement_decode(struct replacement *out, const struct command *command, struct why *why)
{
	struct cursor cursor = cursor_of(command->body);
	cursor_array(&cursor, 3);
	struct span id = cursor_bytes(&cursor, ENTITY_ID_BYTES);
	struct cursor list = cursor_of(cursor_value(&cursor));
	int err = cursor.failed || id.length != ENTITY_ID_BYTES ? ERR_CORRUPT : record_decode_at(&cursor, &out->pack, sizeof(out->pack), &pack_schema);
	out->count = cursor_array(&list, PACKS_PER_COMMAND_MAX);
	if (err || list.failed || out->count == 0 || !cursor_done(&cursor))
		return why_set(why, err == ERR_UNSUPPORTED ? err : ERR_INVALID, "a replacement of packs does not parse");
	memcpy(out->repo.bytes, id.data, ENTITY_ID_BYTES);
	out->replaced = list;
	return 0;
}

/* The next of those that go. */
static uint64_t next_replaced(struct replacement *replacement, struct span *file)
{
	cursor_array(&replacement->replaced, 2);
	uint64_t version = cursor_u64(&replacement->replaced);
	*file = cursor_bytes(&replacement->replaced, HASH_BYTES);
	return version;
}

int packs_replace_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct replacement replacement;
	struct key key;
	struct span file;
	uint64_t newest = 0;
	int err = replacement_decode(&replacement, command, why);
	struct cursor start = replacement.replaced;
	for (uint32_t i = 0; i < replacement.count && err == 0; i++) {
		struct pack there;
		uint64_t version = next_replaced(&replacement, &file);
		key_pack(&key, &replacement.repo, version);
		err = state_get(apply, &key, &pack_schema, &there, sizeof(there), why);
		if (err == ERR_NOT_FOUND || (err == 0 && (file.length != HASH_BYTES || memcmp(there.file.bytes, file.data, HASH_BYTES) != 0)))
			err = why_set(why, ERR_CONFLICT, "the packs of the repository have changed");
		newest = version > newest ? version : newest;
	}
	if (err)
		return err;
	replacement.replaced = start;
	for (uint32_t i = 0; i < replacement.count; i++) {
		key_pack(&key, &replacement.repo, next_replaced(&replacement, &file));
		state_delete(apply, &key);
	}
	key_pack(&key, &replacement.repo, newest);
	state_put(apply, &key, &pack_schema, &replacement.pack);
	return 0;
}

int packs_replace(struct namespace *ns, const struct entity_id *repo, const struct pack *replaced, size_t count, const struct pack *pack, struct why *why)
{
	if (count == 0 || count > PACKS_PER_COMMAND_MAX)
		return why_set(why, ERR_TOO_BIG, "one change replaces 1 to %d packs", PACKS_PER_COMMAND_MAX);
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	pack_array(&body, 3);
	pack_bytes(&body, span_of(repo->bytes, ENTITY_ID_BYTES));
	pack_array(&body, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		pack_array(&body, 2);
		pack_u64(&body, replaced[i].version);
		pack_bytes(&body, span_of(replaced[i].file.bytes, HASH_BYTES));
	}
	record_encode(&body, &pack_schema, pack);
	return namespace_propose(ns, GROUP_REPOS, COMMAND_PACKS_REPLACE, NULL, &body, NULL, why);
}
