#include "replication/collection.h"

#include <stdlib.h>

#include "replication/community_keys.h"
#include "replication/namespace_state.h"

static const struct field collection_fields[] = {
	FIELD(struct collection, id, FIELD_BYTES, true),
	FIELD(struct collection, owner, FIELD_TEXT, true),
	FIELD(struct collection, title, FIELD_TEXT, true),
	FIELD(struct collection, description, FIELD_TEXT, false),
	FIELD(struct collection, theme, FIELD_TEXT, false),
	FIELD(struct collection, private, FIELD_BOOL, false),
	FIELD(struct collection, created_ms, FIELD_I64, false),
	FIELD(struct collection, updated_ms, FIELD_I64, false),
	FIELD(struct collection, position, FIELD_U64, false),
	FIELD(struct collection, upvotes, FIELD_U64, false),
	FIELD(struct collection, items_count, FIELD_U64, false),
};
static const struct schema collection_schema = SCHEMA(1, collection_fields);

static const struct field item_fields[] = {
	FIELD(struct collection_item, id, FIELD_BYTES, true),
	FIELD(struct collection_item, kind, FIELD_ENUM, true),
	FIELD(struct collection_item, target, FIELD_BYTES, false),
	FIELD(struct collection_item, name, FIELD_TEXT, true),
	FIELD(struct collection_item, position, FIELD_U64, false),
	FIELD(struct collection_item, added_ms, FIELD_I64, false),
	FIELD(struct collection_item, note, FIELD_TEXT, false),
};
static const struct schema item_schema = SCHEMA(1, item_fields);

struct put_body {
	bool create;
	struct collection collection;
};

/* Of ITEM_CHANGE and ITEM_REMOVE. */
struct change_body {
	struct entity_id collection, item;
	bool set_note, set_position;
	uint64_t position;
	char note[COLLECTION_NOTE_BYTES_MAX + 1];
};
static const struct field change_fields[] = {
	FIELD(struct change_body, collection, FIELD_BYTES, true),
	FIELD(struct change_body, item, FIELD_BYTES, true),
	FIELD(struct change_body, set_note, FIELD_BOOL, false),
	FIELD(struct change_body, set_position, FIELD_BOOL, false),
	FIELD(struct change_body, position, FIELD_U64, false),
	FIELD(struct change_body, note, FIELD_TEXT, false),
};
static const struct schema change_schema = SCHEMA(1, change_fields);

/* ---- apply: collections ---- */

static int load(const struct apply_context *apply, const struct entity_id *id, struct collection *out, struct why *why)
{
	struct key key;
	key_collection(&key, id);
	int err = state_get(apply, &key, &collection_schema, out, sizeof(*out), why);
	return err == ERR_NOT_FOUND ? why_set(why, err, "there is no such collection") : err;
}

static void store(const struct apply_context *apply, struct collection *collection)
{
	struct key key;
	collection->updated_ms = apply->leader_ms;
	key_collection(&key, &collection->id);
	state_put(apply, &key, &collection_schema, collection);
}

static bool count_key(void *context, struct span key)
{
	(void)key;
	return ++*(size_t *)context > COLLECTIONS_PER_OWNER_MAX;
}

/* ERR_EXISTS with the id of the one that has the title in `result`. */
static int check_title(const struct apply_context *apply, const struct collection *collection, struct buffer *result, struct why *why)
{
	struct entity_id other;
	struct key key;
	key_collection_title(&key, collection->owner, collection->title);
	int err = state_get_bytes(apply, &key, other.bytes, ENTITY_ID_BYTES, why);
	if (err == ERR_NOT_FOUND || (err == 0 && memcmp(other.bytes, collection->id.bytes, ENTITY_ID_BYTES) == 0))
		return 0;
	if (err)
		return err;
	pack_bytes(result, span_of(other.bytes, ENTITY_ID_BYTES));
	return why_set(why, ERR_EXISTS, "a collection of this title exists");
}

static int put(const struct apply_context *apply, const struct put_body *body, struct buffer *result, struct why *why)
{
	struct collection collection = body->collection, before = { 0 };
	struct key key;
	size_t count = 1;
	int err = body->create ? 0 : load(apply, &collection.id, &before, why);
	if (err)
		return err;
	if (!body->create)
		memcpy(collection.owner, before.owner, sizeof(collection.owner));
	if (!name_valid(span_text(collection.owner)) || collection.title[0] == 0)
		return why_set(why, ERR_INVALID, "a collection needs an owner and a title");
	err = check_title(apply, &collection, result, why);
	if (err)
		return err;
	key_collection_owner(&key, collection.owner, NULL);
	if (body->create && state_any(apply, &key, count_key, &count))
		return why_set(why, ERR_TOO_BIG, "%s has %d collections", collection.owner, COLLECTIONS_PER_OWNER_MAX);
	if (body->create) {
		collection.created_ms = apply->leader_ms;
		collection.upvotes = collection.items_count = 0;
		key_collection_owner(&key, collection.owner, &collection.id);
		state_put_bytes(apply, &key, "", 0);
	} else {
		collection.created_ms = before.created_ms;
		collection.upvotes = before.upvotes;
		collection.items_count = before.items_count;
		key_collection_title(&key, before.owner, before.title);
		state_delete(apply, &key);
	}
	key_collection_title(&key, collection.owner, collection.title);
	state_put_bytes(apply, &key, collection.id.bytes, ENTITY_ID_BYTES);
	store(apply, &collection);
	return 0;
}

/* Body: [create, record]. */
int collection_put_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	struct put_body body;
	struct cursor cursor = cursor_of(command->body);
	cursor_array(&cursor, 2);
	body.create = cursor_bool(&cursor);
	int err = record_decode_at(&cursor, &body.collection, sizeof(body.collection), &collection_schema);
	if (err || !cursor_done(&cursor))
		return err == ERR_UNSUPPORTED ? err : why_set(why, ERR_INVALID, "a collection does not parse");
	return put(apply, &body, result, why);
}

/* ---- apply: items ---- */

struct item_ids {
	struct entity_id ids[COLLECTION_ITEMS_MAX];
	size_t count, offset; /* offset of an id in its key */
};

static bool take_id(void *context, struct span key)
{
	struct item_ids *list = context;
	if (list->count < COLLECTION_ITEMS_MAX && key.length == list->offset + ENTITY_ID_BYTES)
		memcpy(list->ids[list->count++].bytes, key.data + list->offset, ENTITY_ID_BYTES);
	return false;
}

/* Calls `each` for every item; it may change or delete the one it is given. */
static int each_item(const struct apply_context *apply, const struct entity_id *id, int (*each)(const struct apply_context *apply, void *context,
	const struct key *key, struct collection_item *item, struct why *why), void *context, struct why *why)
{
	struct key prefix, key;
	struct item_ids *list = calloc(1, sizeof(*list));
	struct collection_item *item = calloc(1, sizeof(*item));
	int err = list && item ? 0 : why_set(why, ERR_NO_MEMORY, "no memory for a collection");
	if (err == 0) {
		key_collection_item(&prefix, id, NULL);
		list->offset = prefix.length;
		state_any(apply, &prefix, take_id, list);
	}
	for (size_t i = 0; err == 0 && i < list->count; i++) {
		key_collection_item(&key, id, &list->ids[i]);
		err = state_get(apply, &key, &item_schema, item, sizeof(*item), why);
		if (err == 0)
			err = each(apply, context, &key, item, why);
	}
	free(item);
	free(list);
	return err;
}

static int drop_item(const struct apply_context *apply, void *context, const struct key *key, struct collection_item *item, struct why *why)
{
	(void)why;
	struct key holding;
	key_collection_holding(&holding, item->kind, &item->target, item->name, context);
	state_delete(apply, &holding);
	state_delete(apply, key);
	return 0;
}

int collection_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct entity_body body;
	struct collection collection;
	struct key key;
	int err = body_decode(&body, sizeof(body), &entity_body_schema, command, why);
	if (err == 0)
		err = load(apply, &body.id, &collection, why);
	if (err == 0)
		err = each_item(apply, &body.id, drop_item, &body.id, why);
	if (err)
		return err;
	key_collection_owner(&key, collection.owner, &body.id);
	state_delete(apply, &key);
	key_collection_title(&key, collection.owner, collection.title);
	state_delete(apply, &key);
	key_collection(&key, &body.id);
	state_delete(apply, &key);
	return 0;
}

/* Body: [collection id, item]. */
int collection_add_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct collection collection;
	struct collection_item item;
	struct entity_id id;
	struct key key, holding;
	struct cursor cursor = cursor_of(command->body);
	cursor_array(&cursor, 2);
	struct span id_bytes = cursor_bytes(&cursor, ENTITY_ID_BYTES);
	int err = record_decode_at(&cursor, &item, sizeof(item), &item_schema);
	if (err || !cursor_done(&cursor) || id_bytes.length != ENTITY_ID_BYTES)
		return err == ERR_UNSUPPORTED ? err : why_set(why, ERR_INVALID, "an item does not parse");
	memcpy(id.bytes, id_bytes.data, ENTITY_ID_BYTES);
	err = load(apply, &id, &collection, why);
	if (err)
		return err;
	if (item.kind < ITEM_MODEL || item.kind > ITEM_BUCKET)
		return why_set(why, ERR_INVALID, "%u is no kind of item", (unsigned)item.kind);
	key_collection_holding(&holding, item.kind, &item.target, item.name, &id);
	err = state_get(apply, &holding, NULL, NULL, 0, why);
	if (err != ERR_NOT_FOUND)
		return err ? err : why_set(why, ERR_EXISTS, "the item is in the collection already");
	if (collection.items_count >= COLLECTION_ITEMS_MAX)
		return why_set(why, ERR_TOO_BIG, "a collection has at most %d items", COLLECTION_ITEMS_MAX);
	item.position = collection.items_count++;
	item.added_ms = apply->leader_ms;
	key_collection_item(&key, &id, &item.id);
	state_put(apply, &key, &item_schema, &item);
	state_put_bytes(apply, &holding, "", 0);
	store(apply, &collection);
	return 0;
}

/* Items between the old and the new place move by one. */
struct shift {
	uint64_t from, to; /* to UINT64_MAX: the item goes */
};

static int shift_item(const struct apply_context *apply, void *context, const struct key *key, struct collection_item *item, struct why *why)
{
	(void)why;
	const struct shift *shift = context;
	uint64_t place = item->position;
	if (place > shift->from && place <= shift->to)
		item->position--;
	else if (place < shift->from && place >= shift->to)
		item->position++;
	if (item->position != place)
		state_put(apply, key, &item_schema, item);
	return 0;
}

static int load_item(const struct apply_context *apply, const struct change_body *body, struct key *key, struct collection_item *item, struct why *why)
{
	key_collection_item(key, &body->collection, &body->item);
	int err = state_get(apply, key, &item_schema, item, sizeof(*item), why);
	return err == ERR_NOT_FOUND ? why_set(why, err, "there is no such item") : err;
}

int collection_item_change_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct change_body body;
	struct collection collection;
	struct collection_item item;
	struct key key;
	int err = body_decode(&body, sizeof(body), &change_schema, command, why);
	if (err == 0)
		err = load(apply, &body.collection, &collection, why);
	if (err == 0)
		err = load_item(apply, &body, &key, &item, why);
	if (err)
		return err;
	uint64_t last = collection.items_count ? collection.items_count - 1 : 0;
	struct shift shift = { .from = item.position, .to = body.position > last ? last : body.position };
	if (body.set_position)
		err = each_item(apply, &body.collection, shift_item, &shift, why);
	if (err)
		return err;
	if (body.set_position)
		item.position = shift.to;
	if (body.set_note)
		memcpy(item.note, body.note, sizeof(item.note));
	state_put(apply, &key, &item_schema, &item);
	store(apply, &collection);
	return 0;
}

int collection_item_remove_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct change_body body;
	struct collection collection;
	struct collection_item item;
	struct key key;
	int err = body_decode(&body, sizeof(body), &change_schema, command, why);
	if (err == 0)
		err = load(apply, &body.collection, &collection, why);
	if (err == 0)
		err = load_item(apply, &body, &key, &item, why);
	struct shift shift = { .from = item.position, .to = UINT64_MAX };
	if (err == 0)
		err = each_item(apply, &body.collection, shift_item, &shift, why);
	if (err)
		return err;
	drop_item(apply, &body.collection, &key, &item, why);
	collection.items_count -= collection.items_count > 0;
	store(apply, &collection);
	return 0;
}

/* ---- changing ---- */

static int propose_put(struct namespace *ns, const char *actor, bool create, const struct collection *collection, struct entity_id *other, struct why *why)
{
	struct buffer bytes, result;
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	buffer_init(&result, 256);
	pack_array(&bytes, 2);
	pack_bool(&bytes, create);
	record_encode(&bytes, &collection_schema, collection);
	int err = namespace_propose_result(ns, GROUP_CLUSTER, COMMAND_COLLECTION_PUT, actor, &bytes, NULL, &result, why);
	buffer_fini(&result);
	if (err != ERR_EXISTS || !other)
		return err;
	struct key key;
	key_collection_title(&key, collection->owner, collection->title);
	return namespace_get_bytes(ns, NULL, &key, other->bytes, ENTITY_ID_BYTES) == 0 ? ERR_EXISTS : ERR_CONFLICT;
}

int collection_create(struct namespace *ns, const char *actor, const struct collection *collection, struct entity_id *id, struct why *why)
{
	struct collection made = *collection;
	entity_id_make(&made.id);
	*id = made.id;
	return propose_put(ns, actor, true, &made, id, why);
}

int collection_update(struct namespace *ns, const char *actor, const struct collection *collection, struct why *why)
{
	return propose_put(ns, actor, false, collection, NULL, why);
}

int collection_delete(struct namespace *ns, const char *actor, const struct entity_id *id, struct why *why)
{
	struct buffer bytes;
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	record_encode(&bytes, &entity_body_schema, &(struct entity_body){ .id = *id });
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_COLLECTION_DELETE, actor, &bytes, NULL, why);
}

int collection_add(struct namespace *ns, const char *actor, const struct entity_id *id, struct collection_item *item, struct why *why)
{
	struct buffer bytes;
	entity_id_make(&item->id);
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	pack_array(&bytes, 2);
	pack_bytes(&bytes, span_of(id->bytes, ENTITY_ID_BYTES));
	record_encode(&bytes, &item_schema, item);
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_COLLECTION_ADD, actor, &bytes, NULL, why);
}

static int propose_change(struct namespace *ns, enum command_type type, const char *actor, const struct change_body *body, struct why *why)
{
	struct buffer bytes;
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	record_encode(&bytes, &change_schema, body);
	return namespace_propose(ns, GROUP_CLUSTER, type, actor, &bytes, NULL, why);
}

int collection_change_item(struct namespace *ns, const char *actor, const struct entity_id *id, const struct entity_id *item, const char *note,
	uint64_t position, struct why *why)
{
	struct change_body body = { .collection = *id, .item = *item, .set_note = note != NULL, .set_position = position != UINT64_MAX, .position = position };
	if (note && strlen(note) > COLLECTION_NOTE_BYTES_MAX)
		return why_set(why, ERR_INVALID, "A note has at most %d bytes", COLLECTION_NOTE_BYTES_MAX);
	if (note)
		strcpy(body.note, note);
	return propose_change(ns, COMMAND_COLLECTION_ITEM_CHANGE, actor, &body, why);
}

int collection_remove(struct namespace *ns, const char *actor, const struct entity_id *id, const struct entity_id *item, struct why *why)
{
	struct change_body body = { .collection = *id, .item = *item };
	return propose_change(ns, COMMAND_COLLECTION_ITEM_REMOVE, actor, &body, why);
}

/* ---- reading ---- */

int collection_get(struct namespace *ns, const struct entity_id *id, struct collection *out)
{
	struct key key;
	key_collection(&key, id);
	return namespace_get(ns, NULL, &key, &collection_schema, out, sizeof(*out));
}

struct listing {
	size_t id_offset;
	const struct key *after;
	int (*each)(void *context, const struct entity_id *id);
	int (*each_item)(void *context, const struct collection_item *item);
	void *context;
};

static int list_id(void *context, struct span key, struct span value)
{
	(void)value;
	struct listing *listing = context;
	struct entity_id id;
	if (key.length != listing->id_offset + ENTITY_ID_BYTES)
		return ERR_CORRUPT;
	if (listing->after && span_equal(key, span_of(listing->after->bytes, listing->after->length)))
		return 0;
	memcpy(id.bytes, key.data + listing->id_offset, ENTITY_ID_BYTES);
	return listing->each(listing->context, &id);
}

static int list_ids(struct namespace *ns, const struct key *prefix, const struct entity_id *after, int (*each)(void *context, const struct entity_id *id),
	void *context)
{
	struct key start = *prefix;
	if (after)
		key_add(&start, after->bytes, ENTITY_ID_BYTES);
	struct listing listing = { .id_offset = prefix->length, .after = after ? &start : NULL, .each = each, .context = context };
	return namespace_scan(ns, NULL, prefix, after ? &start : NULL, list_id, &listing);
}

int collection_list(struct namespace *ns, const char *owner, const struct entity_id *after, int (*each)(void *context, const struct entity_id *id), void *context)
{
	struct key prefix;
	if (owner)
		key_collection_owner(&prefix, owner, NULL);
	else
		key_collection(&prefix, NULL);
	return list_ids(ns, &prefix, after, each, context);
}

int collection_holding(struct namespace *ns, enum item_kind kind, const struct entity_id *target, const char *name, const struct entity_id *after,
	int (*each)(void *context, const struct entity_id *id), void *context)
{
	struct key prefix;
	key_collection_holding(&prefix, kind, target, name, NULL);
	return list_ids(ns, &prefix, after, each, context);
}

static int list_item(void *context, struct span key, struct span value)
{
	(void)key;
	struct listing *listing = context;
	struct collection_item item;
	int err = record_decode(&item, sizeof(item), &item_schema, value);
	return err ? err : listing->each_item(listing->context, &item);
}

int collection_items(struct namespace *ns, const struct entity_id *id, int (*each)(void *context, const struct collection_item *item), void *context)
{
	struct key prefix;
	key_collection_item(&prefix, id, NULL);
	struct listing listing = { .each_item = each, .context = context };
	return namespace_scan(ns, NULL, &prefix, NULL, list_item, &listing);
}
