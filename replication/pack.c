#include "replication/namespace_state.h"

static const struct field pack_fields[] = {
	FIELD(struct pack, file, FIELD_BYTES, true),
	FIELD(struct pack, sha1, FIELD_BYTES, true),
	FIELD(struct pack, length, FIELD_U64, true),
	FIELD(struct pack, objects, FIELD_U64, true),
	FIELD(struct pack, class, FIELD_ENUM, true),
};
const struct schema pack_schema = SCHEMA(1, pack_fields);

struct listing {
	int (*each)(void *context, const struct pack *pack);
	void *context;
};

static int list_one(void *context, struct span key, struct span value)
{
	(void)key;
	struct listing *listing = context;
	struct pack pack;
	int err = record_decode(&pack, sizeof(pack), &pack_schema, value);
	return err ? err : listing->each(listing->context, &pack);
}

int pack_list(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct entity_id *repo, int (*each)(void *context, const struct pack *pack),
	void *context)
{
	struct key prefix;
	key_pack_prefix(&prefix, repo);
	struct listing listing = { .each = each, .context = context };
	return namespace_scan(ns, snapshot, &prefix, NULL, list_one, &listing);
}
