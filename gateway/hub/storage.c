#include "gateway/hub/storage.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/auth/owner.h"
#include "gateway/hub/body_call.h"
#include "gateway/repo/quota.h"
#include "schemas/json_writer.h"

enum { STORAGE_LIMIT_DEFAULT = 100, STORAGE_LIMIT_MAX = 500, AFTER_BYTES_MAX = REPO_ID_BYTES_MAX + 16 };

enum { STOP_PAGE_FULL = 1 };

struct storage_list {
	struct call *call;
	struct owner owner;
	enum repo_type type;          /* 0: all */
	const char *search;
	uint64_t limit, count, total_bytes;
	char after[AFTER_BYTES_MAX], last[AFTER_BYTES_MAX];
	struct json_writer json;
	struct buffer body;
};

static int write_repo(void *context, const struct repo *repo)
{
	struct storage_list *list = context;
	struct gateway *gateway = list->call->gateway;
	struct resource resource = { .repo = repo, .ns = gateway->ns };
	if ((list->search && !strcasestr(repo->name, list->search)) || may(&list->call->actor, ACTION_READ, &resource) != 0)
		return 0;
	if (list->count == list->limit)
		return STOP_PAGE_FULL;
	uint64_t files, bytes;
	char id[REPO_ID_BYTES_MAX];
	int err = store_owner_usage(gateway->store, &repo->id, &files, &bytes);
	if (err)
		return err;
	list->count++;
	snprintf(list->last, sizeof(list->last), "%s/%s/%s", type_singular(repo->type), repo->owner, repo->name);
	snprintf(id, sizeof(id), "%s/%s", repo->owner, repo->name);
	json_object_begin(&list->json, NULL);
	json_text(&list->json, "id", id);
	json_text(&list->json, "type", type_singular(repo->type));
	json_date(&list->json, "updatedAt", repo->modified_ms ? repo->modified_ms : repo->created_ms);
	json_text(&list->json, "visibility", repo->private ? "private" : "public");
	json_u64(&list->json, "storage", bytes);
	json_double(&list->json, "storagePercent", list->total_bytes ? 100.0 * (double)bytes / (double)list->total_bytes : 0);
	json_object_end(&list->json);
	return list->body.failed ? ERR_TOO_BIG : 0;
}

static int storage_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct storage_list *list = call->state;
	buffer_init(&list->body, ANSWER_BYTES_MAX);
	json_writer_init(&list->json, &list->body);
	json_array_begin(&list->json, NULL);
	int stop = quota_used(call->gateway, list->owner.name, &list->total_bytes);
	if (stop == 0)
		stop = repo_list(call->gateway->ns, list->type, list->owner.name, list->after[0] ? list->after : NULL, write_repo, list);
	json_array_end(&list->json);
	if (stop < 0) {
		buffer_fini(&list->body);
		answer_err(request, stop, NULL);
		return 0;
	}
	if (stop == STOP_PAGE_FULL) {
		char cursor[2 * AFTER_BYTES_MAX];
		sodium_bin2base64(cursor, sizeof(cursor), (const uint8_t *)list->last, strlen(list->last), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
		add_next_link(request, "cursor", cursor);
	}
	answer_json(request, 200, &list->body);
	return 0;
}

static int read_query(struct http_request *request, struct storage_list *list, struct why *why)
{
	const char *limit = http_query_value(request, "limit", 0), *type = http_query_value(request, "type", 0), *cursor = http_query_value(request, "cursor", 0);
	const char *sort = http_query_value(request, "sort", 0);
	size_t length = 0;
	list->search = http_query_value(request, "search", 0);
	list->limit = limit ? strtoull(limit, NULL, 10) : STORAGE_LIMIT_DEFAULT;
	if (list->limit == 0 || list->limit > STORAGE_LIMIT_MAX)
		list->limit = STORAGE_LIMIT_MAX;
	if (sort && *sort)
		return why_set(why, ERR_UNSUPPORTED, "Sorting by \"%.40s\": not implemented by this server", sort);
	if (type && *type && type_from_singular(type, &list->type) != 0)
		return why_set(why, ERR_INVALID, "\"%.40s\" is not a type of repositories", type);
	if (cursor && sodium_base642bin((uint8_t *)list->after, sizeof(list->after) - 1, cursor, strlen(cursor), NULL, &length, NULL,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
		return why_set(why, ERR_INVALID, "Invalid cursor");
	list->after[length] = 0;
	return 0;
}

static void start(struct http_request *request, const char *owner)
{
	struct call *call = call_open_user(request);
	if (!call)
		return;
	struct storage_list *list = http_alloc(request, sizeof(*list));
	struct why why = { 0 };
	list->call = call;
	int err = owner_find(call->gateway->ns, owner ? owner : call->actor.name, &list->owner);
	struct resource resource = { .owner = list->owner.name };
	if (err == 0 && owner)
		err = list->owner.is_org ? may(&call->actor, ACTION_ORG_READ, &resource) : ERR_NOT_FOUND;
	if (err == 0)
		err = read_query(request, list, &why);
	if (err) {
		answer_err(request, err, &why);
		return;
	}
	call->state = list;
	call_work(request, call, storage_run);
}

void storage_of_user(struct http_request *request, const struct route_match *match)
{
	(void)match;
	start(request, NULL);
}

void storage_of_org(struct http_request *request, const struct route_match *match)
{
	const char *name = http_decode(request, match->captures[0], false);
	start(request, name ? name : "");
}
