#include "gateway/admin/repo_care.h"

#include "gateway/admin/admin.h"
#include "gateway/admin/admin_body.h"
#include "gateway/admin/operator.h"
#include "gateway/answer.h"
#include "replication/repo_copies.h"

struct repo_call {
	struct actor *actor;
	struct repo repo;
};

static void usage_work(struct http_request *request, void *context)
{
	const struct repo *repo = context;
	uint64_t files = 0, bytes = 0;
	unsigned copies = 0;
	int err = store_owner_usage(gateway_of(request)->store, &repo->id, &files, &bytes);
	if (err == 0)
		err = repo_copies_get(gateway_of(request)->ns, &repo->id, &copies);
	if (err) {
		answer_err(request, err, NULL);
		return;
	}
	struct buffer body;
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_entity_id(&json, "id", &repo->id);
	json_u64(&json, "files", files);
	json_u64(&json, "bytes", bytes);
	json_u64(&json, "copies", copies);
	json_object_end(&json);
	answer_json(request, 200, &body);
}

void admin_repo_usage(struct http_request *request, const struct route_match *match)
{
	struct repo *repo = http_alloc(request, sizeof(*repo));
	if (operator_open(request) && operator_repo(request, match, repo))
		http_work(request, usage_work, repo);
}

static void settings_body(struct http_request *request, struct span text, void *context)
{
	struct repo_call *call = context;
	struct namespace *ns = gateway_of(request)->ns;
	struct why why = { 0 };
	struct admin_body *body = admin_body_parse(text);
	int err = body ? 0 : why_set(&why, ERR_INVALID, "The body must be a JSON object");
	struct repo_settings settings = { .set_lfs_locks = true };
	settings.lfs_locks = body && admin_body_bool(body, "lfs_locks", call->repo.lfs_locks, &err, &why);
	admin_body_free(body);
	if (err == 0)
		err = repo_update(ns, call->actor->name, &call->repo.id, &settings, &why);
	if (err) {
		answer_err(request, err, &why);
		return;
	}
	struct buffer out;
	struct json_writer json;
	buffer_init(&out, ADMIN_ANSWER_BYTES_MAX);
	json_writer_init(&json, &out);
	json_object_begin(&json, NULL);
	json_entity_id(&json, "id", &call->repo.id);
	json_bool(&json, "lfs_locks", settings.lfs_locks);
	json_object_end(&json);
	answer_json(request, 200, &out);
}

void admin_repo_settings(struct http_request *request, const struct route_match *match)
{
	struct repo_call *call = http_alloc(request, sizeof(*call));
	call->actor = operator_open(request);
	if (call->actor && operator_repo(request, match, &call->repo))
		http_collect(request, ADMIN_BODY_BYTES_MAX, settings_body, call);
}
