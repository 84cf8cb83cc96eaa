#include "gateway/hub/collections.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "gateway/hub/collection_call.h"
#include "gateway/auth/owner.h"

enum {
	LIST_LIMIT_MAX = 100,
	LIST_LIMIT_DEFAULT = 20,
	LIST_VISITED_MAX = 20000, /* collections looked at for one page */
	OWNERS_MAX = 16,
};

/* ------------------------------------------------------------------ listing */

struct ranked {
	struct entity_id id;
	int64_t updated_ms;
	uint64_t upvotes;
};
struct collection_list {
	struct call *call;
	const char *owners[OWNERS_MAX + 1], *query, *item;
	bool by_upvotes;
	uint64_t limit, start;
	struct ranked *found;
	size_t visited, count;
};

static bool is_of_owners(const struct collection_list *list, const struct collection *collection)
{
	for (int i = 0; list->owners[i]; i++)
		if (strcasecmp(list->owners[i], collection->owner) == 0)
			return true;
	return list->owners[0] == NULL;
}

static int visit(void *context, const struct entity_id *id)
{
	struct collection_list *list = context;
	struct collection collection;
	if (list->visited++ == LIST_VISITED_MAX)
		return 1;
	int err = collection_get(list->call->gateway->ns, id, &collection);
	if (err)
		return err == ERR_NOT_FOUND ? 0 : err;
	bool wanted = is_of_owners(list, &collection) && collection_visible(list->call, &collection) &&
		(!list->query || strcasestr(collection.title, list->query) || strcasestr(collection.description, list->query));
	if (wanted)
		list->found[list->count++] = (struct ranked){ .id = *id, .updated_ms = collection.updated_ms, .upvotes = collection.upvotes };
	return 0;
}

static int compare_ranks(const void *a, const void *b, void *context)
{
	const struct collection_list *list = context;
	const struct ranked *left = a, *right = b;
	if (list->by_upvotes && left->upvotes != right->upvotes)
		return left->upvotes > right->upvotes ? -1 : 1;
	if (left->updated_ms != right->updated_ms)
		return left->updated_ms > right->updated_ms ? -1 : 1;
	return memcmp(left->id.bytes, right->id.bytes, ENTITY_ID_BYTES);
}

/* "models/owner/name", "papers/2401.00001", ... */
static int find_holding(struct collection_list *list)
{
	const char *slash = strchr(list->item, '/');
	struct collection_item item;
	enum item_kind kind;
	char word[16];
	if (!slash || slash - list->item >= (int)sizeof(word))
		return ERR_INVALID;
	snprintf(word, sizeof(word), "%.*s", (int)(slash - list->item), list->item);
	size_t length = strlen(word);
	if (length && word[length - 1] == 's')
		word[length - 1] = 0;
	int err = item_kind_from(word, &kind);
	if (err == 0)
		err = item_resolve(list->call, kind, slash + 1, &item);
	if (err)
		return err == ERR_NOT_FOUND ? 0 : err;
	return collection_holding(list->call->gateway->ns, kind, &item.target, item.name, NULL, visit, list);
}

static void reply_list(struct http_request *request, struct collection_list *list)
{
	struct buffer body;
	struct json_writer json;
	struct call *call = list->call;
	qsort_r(list->found, list->count, sizeof(*list->found), compare_ranks, list);
	buffer_init(&body, ANSWER_BYTES_MAX);
	json_writer_init(&json, &body);
	json_array_begin(&json, NULL);
	int err = 0;
	uint64_t end = list->start + list->limit < list->count ? list->start + list->limit : list->count;
	for (uint64_t i = list->start; i < end && err == 0; i++) {
		struct collection collection;
		err = collection_get(call->gateway->ns, &list->found[i].id, &collection);
		if (err == 0)
			err = write_collection(request, call, &json, NULL, &collection, COLLECTION_LISTED_ITEMS, true);
		err = err == ERR_NOT_FOUND ? 0 : err;
	}
	json_array_end(&json);
	if (err) {
		buffer_fini(&body);
		answer_err(request, err, NULL);
		return;
	}
	if (end < list->count)
		add_next_link(request, "cursor", http_printf(request, "%llu", (unsigned long long)end));
	answer_json(request, 200, &body);
}

/* Each owner's collections lie together. */
static int find_owned(struct collection_list *list)
{
	struct namespace *ns = list->call->gateway->ns;
	if (!list->owners[0])
		return collection_list(ns, NULL, NULL, visit, list);
	int err = 0;
	for (int i = 0; list->owners[i] && err == 0; i++)
		if (name_valid(span_text(list->owners[i])))
			err = collection_list(ns, list->owners[i], NULL, visit, list);
	return err;
}

static int list_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct collection_list *list = call->state;
	list->found = malloc((LIST_VISITED_MAX + 1) * sizeof(*list->found));
	int err = !list->found ? ERR_NO_MEMORY : list->item ? find_holding(list) : find_owned(list);
	if (err < 0)
		answer_err(request, err, err == ERR_INVALID ? &(struct why){ "\"item\" must be like models/owner/name" } : NULL);
	else
		reply_list(request, list);
	free(list->found);
	return 0;
}

static const char *filled(const char *text)
{
	return text && *text ? text : NULL;
}

void collections_list(struct http_request *request, const struct route_match *match)
{
	struct call *call = collection_call_open(request, match, false);
	if (!call)
		return;
	struct collection_list *list = http_alloc(request, sizeof(*list));
	const char *limit = filled(http_query_value(request, "limit", 0)), *cursor = filled(http_query_value(request, "cursor", 0));
	const char *sort = filled(http_query_value(request, "sort", 0));
	list->call = call;
	for (int k = 0, count = 0; k < OWNERS_MAX; k++) {
		const char *owner = filled(http_query_value(request, "owner", k));
		if (owner)
			list->owners[count++] = owner;
	}
	list->query = filled(http_query_value(request, "q", 0));
	list->item = filled(http_query_value(request, "item", 0));
	list->limit = limit ? strtoull(limit, NULL, 10) : LIST_LIMIT_DEFAULT;
	if (list->limit == 0 || list->limit > LIST_LIMIT_MAX)
		list->limit = LIST_LIMIT_MAX;
	list->start = cursor ? strtoull(cursor, NULL, 10) : 0;
	list->by_upvotes = sort && strcmp(sort, "upvotes") == 0;
	call->state = list;
	if (list->start > LIST_VISITED_MAX || (sort && !list->by_upvotes && strcmp(sort, "lastModified") != 0 && strcmp(sort, "trending") != 0))
		http_reply_error(request, 400, NULL, "\"sort\" is lastModified, trending or upvotes");
	else
		call_work(request, call, list_run);
}

/* ------------------------------------------------------------------ creating and changing */

static bool known_theme(const char *theme)
{
	static const char *const themes[] = { "orange", "blue", "green", "purple", "pink", "indigo" };
	for (size_t i = 0; i < sizeof(themes) / sizeof(themes[0]); i++)
		if (strcmp(theme, themes[i]) == 0)
			return true;
	return false;
}

/* What the body says replaces what the collection has. False: answered already. */
static bool read_collection(struct http_request *request, const json_t *body, struct collection *collection)
{
	const char *description = json_body_text(body, "description", NULL), *theme = json_body_text(body, "theme", NULL);
	const json_t *position = json_object_get(body, "position");
	if (json_object_get(body, "title") || !collection->title[0]) {
		const char *title = body_text(request, body, "title", 1, COLLECTION_TITLE_BYTES_MAX);
		if (!title)
			return false;
		snprintf(collection->title, sizeof(collection->title), "%s", title);
	}
	if ((description && strlen(description) > COLLECTION_DESCRIPTION_BYTES_MAX) || (theme && !known_theme(theme)) ||
		(json_is_integer(position) && json_integer_value(position) < 0)) {
		http_reply_error(request, 400, NULL, "The description is too long, the theme is not known, or the position is negative");
		return false;
	}
	if (description)
		snprintf(collection->description, sizeof(collection->description), "%s", description);
	if (theme)
		snprintf(collection->theme, sizeof(collection->theme), "%s", theme);
	if (json_is_integer(position))
		collection->position = (uint64_t)json_integer_value(position);
	collection->private = json_body_bool(body, "private", collection->private);
	return true;
}

/* 409 with the address of the collection that is there: clients go on with it. */
static void reply_exists(struct http_request *request, struct call *call, const struct entity_id *id)
{
	struct collection there;
	struct buffer body;
	struct json_writer json;
	int err = collection_get(call->gateway->ns, id, &there);
	if (err) {
		answer_err(request, err == ERR_NOT_FOUND ? ERR_BUSY : err, NULL); /* deleted in between: try again */
		return;
	}
	const char *error = "A collection with this title exists already";
	buffer_init(&body, ANSWER_BYTES_MAX);
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_text(&json, "error", error);
	json_text(&json, "slug", collection_slug(request, &there));
	json_object_end(&json);
	http_add_header(request, "X-Error-Message", error);
	answer_json(request, 409, &body);
}

static void create(struct http_request *request, struct call *call, const json_t *body)
{
	struct collection collection = { 0 };
	struct why why = { 0 };
	struct owner owner;
	const char *namespace = json_body_text(body, "namespace", call->actor.name);
	int err = owner_find(call->gateway->ns, namespace, &owner);
	if (err == 0)
		err = collection_may_change(call, owner.name);
	if (err) {
		answer_err(request, err == ERR_NOT_FOUND ? ERR_DENIED : err, &(struct why){ "You don't have the rights to create a collection under this namespace" });
		return;
	}
	snprintf(collection.owner, sizeof(collection.owner), "%s", owner.name);
	if (!read_collection(request, body, &collection))
		return;
	struct collection_item item = { 0 };
	const json_t *wanted = json_object_get(body, "item");
	enum item_kind kind;
	if (json_is_object(wanted) && (item_kind_from(json_body_text(wanted, "type", ""), &kind) != 0 ||
		item_resolve(call, kind, json_body_text(wanted, "id", ""), &item) != 0)) {
		http_reply_error(request, 404, NULL, "The item does not exist");
		return;
	}
	struct entity_id id;
	err = collection_create(call->gateway->ns, call->actor.name, &collection, &id, &why);
	if (err == 0 && json_is_object(wanted))
		err = collection_add(call->gateway->ns, call->actor.name, &id, &item, &why);
	if (err == ERR_EXISTS)
		reply_exists(request, call, &id);
	else if (err)
		answer_err(request, err, &why);
	else
		reply_collection(request, call, &id);
}

void collections_create(struct http_request *request, const struct route_match *match)
{
	struct call *call = collection_call_open(request, match, true);
	if (call)
		body_call(request, call, COLLECTION_BODY_BYTES_MAX, create);
}

static int show_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct collection collection;
	if (collection_call_find(request, call, false, &collection) == 0)
		reply_collection(request, call, &collection.id);
	return 0;
}

void collection_show(struct http_request *request, const struct route_match *match)
{
	struct call *call = collection_call_open(request, match, false);
	if (call)
		call_work(request, call, show_run);
}

static void patch(struct http_request *request, struct call *call, const json_t *body)
{
	struct collection collection;
	struct why why = { 0 };
	if (collection_call_find(request, call, true, &collection) != 0 || !read_collection(request, body, &collection))
		return;
	int err = collection_update(call->gateway->ns, call->actor.name, &collection, &why);
	if (err == 0)
		err = collection_get(call->gateway->ns, &collection.id, &collection);
	if (err) {
		answer_err(request, err, &why);
		return;
	}
	struct buffer answer;
	struct json_writer json;
	buffer_init(&answer, ANSWER_BYTES_MAX);
	json_writer_init(&json, &answer);
	json_object_begin(&json, NULL);
	json_bool(&json, "success", true);
	err = write_collection(request, call, &json, "data", &collection, COLLECTION_ITEMS_MAX, false);
	json_object_end(&json);
	if (err) {
		buffer_fini(&answer);
		answer_err(request, err, NULL);
	} else {
		answer_json(request, 200, &answer);
	}
}

void collection_patch(struct http_request *request, const struct route_match *match)
{
	struct call *call = collection_call_open(request, match, true);
	if (call)
		body_call(request, call, COLLECTION_BODY_BYTES_MAX, patch);
}

static int remove_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct collection collection;
	struct why why = { 0 };
	if (collection_call_find(request, call, true, &collection) != 0)
		return 0;
	int err = collection_delete(call->gateway->ns, call->actor.name, &collection.id, &why);
	if (err)
		answer_err(request, err, &why);
	else
		reply_success(request);
	return 0;
}

void collection_remove_one(struct http_request *request, const struct route_match *match)
{
	struct call *call = collection_call_open(request, match, true);
	if (call)
		call_work(request, call, remove_run);
}
