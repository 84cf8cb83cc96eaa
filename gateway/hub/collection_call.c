#include "gateway/hub/collection_call.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/auth/owner.h"
#include "gateway/hub/person.h"
#include "gateway/hub/repo_object.h"

enum { SLUG_TITLE_BYTES_MAX = 80 };

static const char *const kinds[] = { [ITEM_MODEL] = "model", [ITEM_DATASET] = "dataset", [ITEM_SPACE] = "space", [ITEM_PAPER] = "paper",
	[ITEM_COLLECTION] = "collection", [ITEM_BUCKET] = "bucket" };

int item_kind_from(const char *name, enum item_kind *out)
{
	for (int kind = ITEM_MODEL; kind <= ITEM_BUCKET; kind++) {
		if (strcmp(name, kinds[kind]) == 0) {
			*out = (enum item_kind)kind;
			return 0;
		}
	}
	return ERR_INVALID;
}

/* ------------------------------------------------------------------ addresses */

int collection_id_from(const char *text, struct entity_id *out)
{
	size_t length = strlen(text), digits = ENTITY_ID_TEXT_BYTES - 1;
	if (length < digits || hex_decode(out->bytes, ENTITY_ID_BYTES, text + length - digits, digits) != 0)
		return ERR_NOT_FOUND;
	return length == digits || text[length - digits - 1] == '-' ? 0 : ERR_NOT_FOUND;
}

const char *collection_slug(struct http_request *request, const struct collection *collection)
{
	char title[SLUG_TITLE_BYTES_MAX + 1], id[ENTITY_ID_TEXT_BYTES];
	size_t length = 0;
	for (const char *at = collection->title; *at && length < SLUG_TITLE_BYTES_MAX; at++) {
		if (isalnum((unsigned char)*at))
			title[length++] = (char)tolower((unsigned char)*at);
		else if (length && title[length - 1] != '-')
			title[length++] = '-';
	}
	while (length && title[length - 1] == '-')
		length--;
	title[length] = 0;
	hex_encode(id, collection->id.bytes, ENTITY_ID_BYTES);
	return http_printf(request, "%s/%s%s%s", collection->owner, title, length ? "-" : "", id);
}

/* ------------------------------------------------------------------ who */

struct call *collection_call_open(struct http_request *request, const struct route_match *match, bool user)
{
	struct call *call = user ? call_open_user(request) : call_open(request);
	for (size_t i = 0; call && i < match->count; i++)
		call->captures[i] = match->captures[i];
	return call;
}

bool collection_visible(const struct call *call, const struct collection *collection)
{
	struct resource resource = { .owner = collection->owner, .ns = call->gateway->ns };
	return !collection->private || may(&call->actor, ACTION_ORG_READ, &resource) == 0;
}

int collection_may_change(const struct call *call, const char *owner)
{
	struct resource resource = { .owner = owner, .ns = call->gateway->ns };
	return may(&call->actor, ACTION_CREATE, &resource);
}

int collection_call_find(struct http_request *request, struct call *call, bool change, struct collection *out)
{
	bool by_id_alone = call->captures[0].length == ENTITY_ID_TEXT_BYTES - 1 && !call->captures[1].data;
	const char *text = http_decode(request, call->captures[by_id_alone ? 0 : 1], false);
	struct entity_id id;
	int err = text ? collection_id_from(text, &id) : ERR_NOT_FOUND;
	if (err == 0)
		err = collection_get(call->gateway->ns, &id, out);
	if (err == 0 && !collection_visible(call, out))
		err = ERR_NOT_FOUND;
	if (err == 0 && change)
		err = collection_may_change(call, out->owner);
	if (err == ERR_NOT_FOUND)
		http_reply_error(request, 404, NULL, "Collection not found");
	else if (err)
		answer_err(request, err, NULL);
	return err;
}

/* ------------------------------------------------------------------ items */

static enum repo_type repo_type_of(enum item_kind kind)
{
	return kind == ITEM_DATASET ? REPO_DATASET : kind == ITEM_SPACE ? REPO_SPACE : REPO_MODEL;
}

static int resolve_repo(struct call *call, enum item_kind kind, const char *name, struct collection_item *out)
{
	char owner[NAME_BYTES_MAX + 1], last[NAME_BYTES_MAX + 1];
	struct repo repo;
	if (!strchr(name, '/') || repo_name_split(name, "", owner, last) != 0)
		return ERR_NOT_FOUND;
	int err = repo_find(call->gateway->ns, NULL, repo_type_of(kind), span_text(owner), span_text(last), &repo);
	struct resource resource = { .repo = &repo, .ns = call->gateway->ns };
	if (err == 0 && may(&call->actor, ACTION_READ, &resource) != 0)
		err = ERR_NOT_FOUND;
	if (err)
		return err;
	out->target = repo.id;
	snprintf(out->name, sizeof(out->name), "%s/%s", repo.owner, repo.name);
	return 0;
}

int item_resolve(struct call *call, enum item_kind kind, const char *name, struct collection_item *out)
{
	struct collection collection;
	out->kind = kind;
	out->target = (struct entity_id){ { 0 } };
	if (strlen(name) > COLLECTION_ITEM_NAME_BYTES_MAX || !*name)
		return ERR_NOT_FOUND;
	snprintf(out->name, sizeof(out->name), "%s", name);
	if (kind == ITEM_MODEL || kind == ITEM_DATASET || kind == ITEM_SPACE)
		return resolve_repo(call, kind, name, out);
	if (kind != ITEM_COLLECTION)
		return 0;
	const char *last = strrchr(name, '/');
	int err = collection_id_from(last ? last + 1 : name, &out->target);
	if (err == 0)
		err = collection_get(call->gateway->ns, &out->target, &collection);
	return err == 0 && !collection_visible(call, &collection) ? ERR_NOT_FOUND : err;
}

static void write_note(struct json_writer *json, const char *note)
{
	struct buffer html;
	if (!*note)
		return;
	buffer_init(&html, 8 * COLLECTION_NOTE_BYTES_MAX);
	for (; *note; note++) {
		if (*note == '&' || *note == '<' || *note == '>')
			buffer_append_text(&html, *note == '&' ? "&amp;" : *note == '<' ? "&lt;" : "&gt;");
		else
			buffer_append_byte(&html, (uint8_t)*note);
	}
	json_span(json, "html", buffer_span(&html));
	buffer_fini(&html);
}

/* What the item is about. False: it is gone, or hidden from the caller. */
static bool write_target(struct http_request *request, struct call *call, struct json_writer *json, const struct collection_item *item, uint64_t position)
{
	struct repo repo;
	struct collection collection;
	bool is_repo = item->kind == ITEM_MODEL || item->kind == ITEM_DATASET || item->kind == ITEM_SPACE;
	struct resource resource = { .repo = &repo, .ns = call->gateway->ns };
	if (is_repo && (repo_get(call->gateway->ns, NULL, &item->target, &repo) != 0 || may(&call->actor, ACTION_READ, &resource) != 0))
		return false;
	if (item->kind == ITEM_COLLECTION &&
		(collection_get(call->gateway->ns, &item->target, &collection) != 0 || !collection_visible(call, &collection)))
		return false;
	char id[ENTITY_ID_TEXT_BYTES];
	hex_encode(id, item->id.bytes, ENTITY_ID_BYTES);
	json_object_begin(json, NULL);
	json_text(json, "_id", id);
	json_text(json, "type", kinds[item->kind]);
	json_u64(json, "position", position);
	if (is_repo) {
		json_text(json, "id", http_printf(request, "%s/%s", repo.owner, repo.name));
		json_text(json, "repoType", kinds[item->kind]);
		json_text(json, "author", repo.owner);
		json_bool(json, "private", repo.private);
		write_gate(json, repo.gated);
		json_date(json, "lastModified", repo.modified_ms);
	} else if (item->kind == ITEM_COLLECTION) {
		hex_encode(id, collection.id.bytes, ENTITY_ID_BYTES);
		json_text(json, "id", id);
		json_text(json, "slug", collection_slug(request, &collection));
		json_text(json, "title", collection.title);
		json_date(json, "lastUpdated", collection.updated_ms);
		json_u64(json, "numberItems", collection.items_count);
	} else {
		json_text(json, "id", item->name);
		if (item->kind == ITEM_PAPER)
			json_text(json, "title", item->name);
	}
	return true;
}

/* The items of one collection, by their place. */
struct places {
	struct collection_item *items;
	size_t count;
};

static int take_item(void *context, const struct collection_item *item)
{
	struct places *places = context;
	if (places->count < COLLECTION_ITEMS_MAX)
		places->items[places->count++] = *item;
	return 0;
}

static int compare_places(const void *a, const void *b)
{
	const struct collection_item *left = a, *right = b;
	return left->position < right->position ? -1 : left->position > right->position;
}

static int write_items(struct http_request *request, struct call *call, struct json_writer *json, const struct entity_id *id, size_t items_max)
{
	struct places places = { .items = calloc(COLLECTION_ITEMS_MAX, sizeof(*places.items)) };
	if (!places.items)
		return ERR_NO_MEMORY;
	int err = collection_items(call->gateway->ns, id, take_item, &places);
	qsort(places.items, places.count, sizeof(*places.items), compare_places);
	json_array_begin(json, "items");
	uint64_t position = 0;
	for (size_t i = 0; i < places.count && err == 0 && position < items_max; i++) {
		const struct collection_item *item = &places.items[i];
		if (!write_target(request, call, json, item, position))
			continue;
		if (item->note[0]) {
			json_object_begin(json, "note");
			write_note(json, item->note);
			json_text(json, "text", item->note);
			json_object_end(json);
		}
		json_object_end(json);
		position++;
	}
	json_array_end(json);
	free(places.items);
	return err;
}

/* ------------------------------------------------------------------ a collection */

static void write_owner(struct http_request *request, struct call *call, struct json_writer *json, const char *name)
{
	struct owner owner;
	json_object_begin(json, "owner");
	if (owner_find(call->gateway->ns, name, &owner) == 0) {
		char id[ENTITY_ID_TEXT_BYTES];
		hex_encode(id, owner.id.bytes, ENTITY_ID_BYTES);
		json_text(json, "_id", id);
		json_text(json, "fullname", owner.fullname);
		json_text(json, "type", owner.is_org ? "org" : "user");
	}
	json_text(json, "name", name);
	json_text(json, "avatarUrl", avatar_url(request, name));
	json_object_end(json);
}

int write_collection(struct http_request *request, struct call *call, struct json_writer *json, const char *key, const struct collection *collection,
	size_t items_max, bool listed)
{
	const char *slug = collection_slug(request, collection);
	char id[ENTITY_ID_TEXT_BYTES];
	hex_encode(id, collection->id.bytes, ENTITY_ID_BYTES);
	json_object_begin(json, key);
	json_text(json, "_id", id);
	json_text(json, "slug", slug);
	json_text(json, "title", collection->title);
	if (collection->description[0])
		json_text(json, "description", collection->description);
	json_bool(json, "gating", false);
	json_date(json, "lastUpdated", collection->updated_ms);
	write_owner(request, call, json, collection->owner);
	int err = write_items(request, call, json, &collection->id, items_max);
	if (!listed)
		json_u64(json, "position", collection->position);
	json_text(json, "theme", collection->theme[0] ? collection->theme : "orange");
	json_bool(json, "private", collection->private);
	json_u64(json, "upvotes", collection->upvotes);
	json_bool(json, "isUpvotedByUser", false);
	json_text(json, "shareUrl", http_printf(request, "%s/collections/%s", http_base_url(request), slug));
	json_object_end(json);
	return err;
}

void reply_collection(struct http_request *request, struct call *call, const struct entity_id *id)
{
	struct collection collection;
	struct buffer body;
	struct json_writer json;
	buffer_init(&body, ANSWER_BYTES_MAX);
	json_writer_init(&json, &body);
	int err = collection_get(call->gateway->ns, id, &collection);
	if (err == 0)
		err = write_collection(request, call, &json, NULL, &collection, COLLECTION_ITEMS_MAX, false);
	if (err == 0) {
		answer_json(request, 200, &body);
		return;
	}
	buffer_fini(&body);
	answer_err(request, err, NULL);
}
