#include "gateway/hub/buckets.h"

#include <stdio.h>
#include <strings.h>

#include "gateway/auth/owner.h"
#include "gateway/auth/xet_token.h"
#include "gateway/hub/bucket_call.h"
#include "gateway/hub/visibility.h"
#include "gateway/moved.h"

enum { BUCKET_BODY_BYTES_MAX = 64 << 10, BUCKETS_PAGE = 100, AFTER_BYTES_MAX = REPO_ID_BYTES_MAX + 4 };

const char *bucket_namespace(struct http_request *request, const struct call *call, struct span capture)
{
	const char *name = http_decode(request, capture, false);
	if (name && strcmp(name, "me") == 0 && !call->actor.anonymous)
		return call->actor.name;
	if (name && name_valid(span_text(name)))
		return name;
	answer_repo_missing(request, call->actor.anonymous);
	return NULL;
}

struct call *bucket_call_open(struct http_request *request, const struct route_match *match, enum action action)
{
	struct call *call = call_open(request);
	const char *owner = call ? bucket_namespace(request, call, match->captures[0]) : NULL;
	const char *name = owner ? http_decode(request, match->captures[1], false) : NULL;
	if (!owner)
		return NULL;
	int err = name ? repo_find(call->gateway->ns, NULL, REPO_BUCKET, span_text(owner), span_text(name), &call->repo) : ERR_NOT_FOUND;
	if (err == ERR_NOT_FOUND && answer_if_moved(request, &call->actor, REPO_BUCKET, match->captures[0], match->captures[1]))
		return NULL;
	if (err) {
		answer_repo_missing(request, call->actor.anonymous);
		return NULL;
	}
	for (size_t i = 2; i < match->count; i++)
		call->captures[i - 2] = match->captures[i];
	call->rest = match->rest;
	return call_may(request, call, action) ? call : NULL;
}

static void write_bucket(struct http_request *request, struct call *call, struct json_writer *json, const struct repo *bucket)
{
	struct bucket_totals totals;
	char id[ENTITY_ID_TEXT_BYTES];
	hex_encode(id, bucket->id.bytes, ENTITY_ID_BYTES);
	bucket_totals_get(call->gateway->ns, &bucket->id, &totals);
	json_object_begin(json, NULL);
	json_text(json, "_id", id);
	json_text(json, "id", http_printf(request, "%s/%s", bucket->owner, bucket->name));
	json_text(json, "author", bucket->owner);
	json_bool(json, "private", bucket->private);
	json_text(json, "visibility", bucket->private ? "private" : "public");
	json_date(json, "createdAt", bucket->created_ms);
	json_date(json, "updatedAt", bucket->modified_ms);
	json_u64(json, "size", totals.bytes);
	json_u64(json, "totalFiles", totals.files);
	json_object_end(json);
}

/* ------------------------------------------------------------------ listing */

struct bucket_list {
	struct http_request *request;
	struct call *call;
	const char *owner, *search;
	struct json_writer json;
	size_t count;
	char last[AFTER_BYTES_MAX];
};

static int list_one(void *context, const struct repo *bucket)
{
	struct bucket_list *list = context;
	struct resource resource = { .repo = bucket, .ns = list->call->gateway->ns };
	if ((list->search && !strcasestr(bucket->name, list->search)) || may(&list->call->actor, ACTION_READ, &resource) != 0)
		return 0;
	if (list->count == BUCKETS_PAGE)
		return 1;
	list->count++;
	snprintf(list->last, sizeof(list->last), "%s", bucket->name);
	write_bucket(list->request, list->call, &list->json, bucket);
	return 0;
}

static int list_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct bucket_list *list = call->state;
	struct buffer body;
	const char *cursor = http_query_value(request, "cursor", 0);
	if (cursor && !name_valid(span_text(cursor))) {
		answer_err(request, ERR_INVALID, &(struct why){ "Invalid cursor" });
		return 0;
	}
	buffer_init(&body, ANSWER_BYTES_MAX);
	json_writer_init(&list->json, &body);
	json_array_begin(&list->json, NULL);
	int stop = repo_list(call->gateway->ns, REPO_BUCKET, list->owner, cursor ? http_printf(request, "%d/%s/%s", REPO_BUCKET, list->owner, cursor) : NULL, list_one,
		list);
	json_array_end(&list->json);
	if (stop < 0) {
		buffer_fini(&body);
		answer_err(request, stop, NULL);
		return 0;
	}
	if (stop == 1)
		add_next_link(request, "cursor", list->last);
	answer_json(request, 200, &body);
	return 0;
}

void buckets_list(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open(request);
	if (!call)
		return;
	struct bucket_list *list = http_alloc(request, sizeof(*list));
	list->request = request;
	list->call = call;
	list->owner = bucket_namespace(request, call, match->captures[0]);
	list->search = http_query_value(request, "search", 0);
	call->state = list;
	if (list->owner)
		call_work(request, call, list_run);
}

/* ------------------------------------------------------------------ one bucket */

static void create(struct http_request *request, struct call *call, const json_t *body)
{
	struct repo bucket = { .type = REPO_BUCKET };
	struct why why = { 0 };
	struct owner owner;
	bool given;
	const json_t *group = json_object_get(body, "resourceGroupId");
	const char *namespace = bucket_namespace(request, call, call->captures[0]), *name = namespace ? call_text(request, call, 1) : NULL;
	if (!name)
		return;
	int err = visibility_read(body, &given, &bucket.private, &why);
	if (err == 0 && group && !json_is_null(group))
		err = why_set(&why, ERR_UNSUPPORTED, "Resource groups: not implemented by this server");
	if (err == 0 && !name_valid(span_text(name)))
		err = why_set(&why, ERR_INVALID, "\"%.100s\" is not a valid name for a bucket", name);
	if (err == 0 && owner_find(call->gateway->ns, namespace, &owner) != 0)
		err = ERR_DENIED;
	struct resource resource = { .owner = namespace, .ns = call->gateway->ns };
	if (err == 0)
		err = may(&call->actor, ACTION_CREATE, &resource) == 0 ? 0 : ERR_DENIED;
	if (err) {
		answer_err(request, err, err == ERR_DENIED ? &(struct why){ "You don't have the rights to create a bucket under this namespace" } : &why);
		return;
	}
	snprintf(bucket.owner, sizeof(bucket.owner), "%s", owner.name);
	snprintf(bucket.name, sizeof(bucket.name), "%s", name);
	bucket.private |= !given && owner.private_by_default;
	struct entity_id id;
	err = repo_create(call->gateway->ns, call->actor.name, &bucket, &id, &why);
	if (err && err != ERR_EXISTS) {
		answer_err(request, err, &why);
		return;
	}
	struct buffer answer;
	struct json_writer json;
	buffer_init(&answer, ANSWER_BYTES_MAX);
	json_writer_init(&json, &answer);
	json_object_begin(&json, NULL);
	if (err == ERR_EXISTS) {
		json_text(&json, "error", "You already created this bucket");
		http_add_header(request, "X-Error-Message", "You already created this bucket");
	}
	json_text(&json, "url", repo_url(request, &bucket));
	json_text(&json, "name", http_printf(request, "%s/%s", bucket.owner, bucket.name));
	json_object_end(&json);
	answer_json(request, err == ERR_EXISTS ? 409 : 200, &answer);
}

void bucket_create(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_user(request);
	if (!call)
		return;
	call->captures[0] = match->captures[0];
	call->captures[1] = match->captures[1];
	body_call(request, call, BUCKET_BODY_BYTES_MAX, create);
}

static int info_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct buffer body;
	struct json_writer json;
	buffer_init(&body, ANSWER_BYTES_MAX);
	json_writer_init(&json, &body);
	write_bucket(request, call, &json, &call->repo);
	answer_json(request, 200, &body);
	return 0;
}

void bucket_info(struct http_request *request, const struct route_match *match)
{
	struct call *call = bucket_call_open(request, match, ACTION_READ);
	if (call)
		call_work(request, call, info_run);
}

static int remove_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct why why = { 0 };
	int err = repo_delete(call->gateway->ns, call->actor.name, &call->repo.id, &why);
	if (err == ERR_NOT_FOUND)
		answer_repo_missing(request, false);
	else if (err)
		answer_err(request, err, &why);
	else
		reply_success(request);
	return 0;
}

void bucket_remove(struct http_request *request, const struct route_match *match)
{
	struct call *call = bucket_call_open(request, match, ACTION_ADMIN);
	if (call)
		call_work(request, call, remove_run);
}

static void set(struct http_request *request, struct call *call, const json_t *body)
{
	struct repo_settings settings = { 0 };
	struct why why = { 0 };
	int err = visibility_read(body, &settings.set_private, &settings.private, &why);
	if (err == 0 && settings.set_private)
		err = repo_update(call->gateway->ns, call->actor.name, &call->repo.id, &settings, &why);
	if (err == 0)
		err = repo_get(call->gateway->ns, NULL, &call->repo.id, &call->repo);
	if (err)
		answer_err(request, err, &why);
	else
		info_run(request, call, REPO_MAY_WAIT);
}

void bucket_settings(struct http_request *request, const struct route_match *match)
{
	struct call *call = bucket_call_open(request, match, ACTION_ADMIN);
	if (call)
		body_call(request, call, BUCKET_BODY_BYTES_MAX, set);
}

void bucket_xet_token(struct http_request *request, const struct route_match *match)
{
	bool write = span_equal(match->captures[2], span_text("xet-write-token"));
	struct call *call = bucket_call_open(request, match, write ? ACTION_WRITE : ACTION_READ_FILES);
	struct xet_token token;
	if (!call)
		return;
	int err = xet_token_issue(request, &call->repo, &call->actor, write, &token);
	if (err)
		answer_err(request, err, NULL);
	else
		xet_token_reply(request, &token);
}
