#include "gateway/admin/quota.h"

#include "gateway/admin/admin.h"
#include "gateway/admin/admin_body.h"
#include "gateway/admin/operator.h"
#include "gateway/answer.h"
#include "gateway/repo/quota.h"
#include "replication/org.h"
#include "replication/quota.h"

struct quota_call {
	struct actor *actor;
	char owner[NAME_BYTES_MAX + 1]; /* as its owner writes it */
};

/* The namespace in the path, which must be a user's or an organisation's. NULL: answered already. */
static struct quota_call *open_call(struct http_request *request, const struct route_match *match)
{
	struct quota_call *call = http_alloc(request, sizeof(*call));
	struct user user;
	struct org org;
	call->actor = operator_open(request);
	if (!call->actor)
		return NULL;
	struct namespace *ns = gateway_of(request)->ns;
	const char *name = http_decode(request, match->captures[0], false);
	if (name && user_find(ns, name, &user) == 0) {
		memcpy(call->owner, user.name, sizeof(call->owner));
		return call;
	}
	if (name && org_find(ns, name, &org) == 0) {
		memcpy(call->owner, org.name, sizeof(call->owner));
		return call;
	}
	answer_err(request, ERR_NOT_FOUND, &(struct why){ "There is no user or organisation of that name" });
	return NULL;
}

/* {owner, bytes (null: none), used} */
static void reply_quota(struct http_request *request, const struct quota_call *call)
{
	struct gateway *gateway = gateway_of(request);
	uint64_t bytes, used;
	int err = quota_get(gateway->ns, call->owner, &bytes);
	if (err == 0)
		err = quota_used(gateway, call->owner, &used);
	if (err) {
		answer_err(request, err, NULL);
		return;
	}
	struct buffer out;
	struct json_writer json;
	buffer_init(&out, ADMIN_ANSWER_BYTES_MAX);
	json_writer_init(&json, &out);
	json_object_begin(&json, NULL);
	json_text(&json, "owner", call->owner);
	if (bytes == QUOTA_NONE)
		json_null_value(&json, "bytes");
	else
		json_u64(&json, "bytes", bytes);
	json_u64(&json, "used", used);
	json_object_end(&json);
	answer_json(request, 200, &out);
}

static void get_work(struct http_request *request, void *context)
{
	reply_quota(request, context);
}

void admin_quota_get(struct http_request *request, const struct route_match *match)
{
	struct quota_call *call = open_call(request, match);
	if (call)
		http_work(request, get_work, call);
}

static void set_body(struct http_request *request, struct span text, void *context)
{
	struct quota_call *call = context;
	struct why why = { 0 };
	struct admin_body *body = admin_body_parse(text);
	int err = body ? 0 : why_set(&why, ERR_INVALID, "The body must be a JSON object");
	int64_t bytes = body ? admin_body_i64(body, "bytes", -1, &err, &why) : 0;
	bool none = body && admin_body_bool(body, "none", false, &err, &why);
	admin_body_free(body);
	if (err == 0 && none == (bytes >= 0))
		err = why_set(&why, ERR_INVALID, "Say either \"bytes\", a number that is not negative, or \"none\": true");
	if (err == 0)
		err = quota_set(gateway_of(request)->ns, call->actor->name, call->owner, none ? QUOTA_NONE : (uint64_t)bytes, &why);
	if (err)
		answer_err(request, err, &why);
	else
		reply_quota(request, call);
}

void admin_quota_set(struct http_request *request, const struct route_match *match)
{
	struct quota_call *call = open_call(request, match);
	if (call)
		http_collect(request, ADMIN_BODY_BYTES_MAX, set_body, call);
}
