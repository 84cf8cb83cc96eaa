/* collection_items.c - adding, changing and removing the items of a collection. Handlers declared in collections.h. */
#include "gateway/hub/collections.h"

#include <stdio.h>

#include "gateway/hub/collection_call.h"

enum { BATCH_ITEMS_MAX = 100 };

/* A note may come as text or as {"text": ...}. NULL: none given. False: too long, answered. */
static bool read_note(struct http_request *request, const json_t *body, const char **out)
{
	const json_t *note = json_object_get(body, "note");
	*out = json_is_object(note) ? json_body_text(note, "text", NULL) : json_body_text(body, "note", NULL);
	if (!*out || strlen(*out) <= COLLECTION_NOTE_BYTES_MAX)
		return true;
	http_reply_error(request, 400, NULL, http_printf(request, "A note has at most %d bytes", COLLECTION_NOTE_BYTES_MAX));
	return false;
}

static void add(struct http_request *request, struct call *call, const json_t *body)
{
	struct collection collection;
	struct collection_item item = { 0 };
	struct why why = { 0 };
	enum item_kind kind;
	const json_t *wanted = json_object_get(body, "item");
	const char *note, *name = json_body_text(wanted, "id", "");
	if (!read_note(request, body, &note) || collection_call_find(request, call, true, &collection) != 0)
		return;
	if (item_kind_from(json_body_text(wanted, "type", ""), &kind) != 0) {
		http_reply_error(request, 400, NULL, "The type of an item is model, dataset, space, paper, collection or bucket");
		return;
	}
	int err = item_resolve(call, kind, name, &item);
	if (err == ERR_NOT_FOUND) {
		http_reply_error(request, 404, NULL, http_printf(request, "\"%.200s\" does not exist", name));
		return;
	}
	if (note)
		snprintf(item.note, sizeof(item.note), "%s", note);
	if (err == 0)
		err = collection_add(call->gateway->ns, call->actor.name, &collection.id, &item, &why);
	if (err == ERR_TOO_BIG)
		http_reply_error(request, 400, NULL, why.text);
	else if (err)
		answer_err(request, err, &why);
	else
		reply_collection(request, call, &collection.id);
}

void collection_item_post(struct http_request *request, const struct route_match *match)
{
	struct call *call = collection_call_open(request, match, true);
	if (call)
		body_call(request, call, COLLECTION_BODY_BYTES_MAX, add);
}

/* ------------------------------------------------------------------ one item */

/* The last capture. 0; else answered already. */
static int item_id(struct http_request *request, struct call *call, struct entity_id *out)
{
	struct span text = call->captures[2];
	if (hex_decode(out->bytes, ENTITY_ID_BYTES, (const char *)text.data, text.length) == 0)
		return 0;
	http_reply_error(request, 404, NULL, "Item not found");
	return ERR_NOT_FOUND;
}

static void change(struct http_request *request, struct call *call, const json_t *body)
{
	struct collection collection;
	struct entity_id item;
	struct why why = { 0 };
	const char *note;
	const json_t *position = json_object_get(body, "position");
	if (!read_note(request, body, &note) || collection_call_find(request, call, true, &collection) != 0 || item_id(request, call, &item) != 0)
		return;
	if (position && (!json_is_integer(position) || json_integer_value(position) < 0)) {
		http_reply_error(request, 400, NULL, "\"position\" is a number from 0");
		return;
	}
	int err = collection_change_item(call->gateway->ns, call->actor.name, &collection.id, &item, note,
		position ? (uint64_t)json_integer_value(position) : UINT64_MAX, &why);
	if (err)
		answer_err(request, err, &why);
	else
		reply_success(request);
}

void collection_item_patch(struct http_request *request, const struct route_match *match)
{
	struct call *call = collection_call_open(request, match, true);
	if (call)
		body_call(request, call, COLLECTION_BODY_BYTES_MAX, change);
}

static int delete_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct collection collection;
	struct entity_id item;
	struct why why = { 0 };
	if (collection_call_find(request, call, true, &collection) != 0 || item_id(request, call, &item) != 0)
		return 0;
	int err = collection_remove(call->gateway->ns, call->actor.name, &collection.id, &item, &why);
	if (err)
		answer_err(request, err, &why);
	else
		reply_success(request);
	return 0;
}

void collection_item_delete(struct http_request *request, const struct route_match *match)
{
	struct call *call = collection_call_open(request, match, true);
	if (call)
		call_work(request, call, delete_run);
}

/* ------------------------------------------------------------------ several places and notes at once */

static int change_one(struct call *call, const struct collection *collection, const json_t *action, struct why *why)
{
	const char *text = json_body_text(action, "_id", ""), *kind = json_body_text(action, "action", "update");
	const json_t *data = json_object_get(action, "data"), *position = json_object_get(data, "position");
	const char *note = json_is_object(json_object_get(data, "note")) ? json_body_text(json_object_get(data, "note"), "text", NULL) :
		json_body_text(data, "note", NULL);
	struct entity_id item;
	if (strcmp(kind, "update") != 0)
		return why_set(why, ERR_UNSUPPORTED, "The action \"%.40s\" on items: not implemented by this server", kind);
	if (hex_decode(item.bytes, ENTITY_ID_BYTES, text, strlen(text)) != 0)
		return why_set(why, ERR_NOT_FOUND, "there is no item \"%.40s\"", text);
	return collection_change_item(call->gateway->ns, call->actor.name, &collection->id, &item, note,
		json_is_integer(position) && json_integer_value(position) >= 0 ? (uint64_t)json_integer_value(position) : UINT64_MAX, why);
}

static void batch(struct http_request *request, struct call *call, const json_t *body)
{
	struct collection collection;
	struct why why = { 0 };
	const json_t *actions = json_object_get(body, "actions"), *action;
	if (collection_call_find(request, call, true, &collection) != 0)
		return;
	if (!json_is_array(actions) || json_array_size(actions) > BATCH_ITEMS_MAX) {
		http_reply_error(request, 400, NULL, http_printf(request, "\"actions\" is a list of at most %d", BATCH_ITEMS_MAX));
		return;
	}
	size_t i;
	int err = 0;
	json_array_foreach(actions, i, action)
		if (err == 0)
			err = change_one(call, &collection, action, &why);
	if (err)
		answer_err(request, err, &why);
	else
		reply_success(request);
}

void collection_items_batch(struct http_request *request, const struct route_match *match)
{
	struct call *call = collection_call_open(request, match, true);
	if (call)
		body_call(request, call, COLLECTION_BODY_BYTES_MAX, batch);
}
