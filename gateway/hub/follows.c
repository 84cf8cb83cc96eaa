#include "gateway/hub/follows.h"

#include <stdio.h>

#include "gateway/auth/owner.h"
#include "gateway/hub/body_call.h"
#include "gateway/hub/person.h"
#include "replication/follow.h"
#include "schemas/json_writer.h"

enum { FOLLOWS_PAGE = 100 };

struct follows {
	struct http_request *request;
	struct call *call;
	struct owner owner;
	bool followers; /* else: whom the owner follows */
	struct json_writer json;
	size_t count;
	bool more;
	char last[NAME_BYTES_MAX + 1];
};

static int write_one(void *context, const char *name)
{
	struct follows *follows = context;
	struct owner owner;
	if (follows->count == FOLLOWS_PAGE) {
		follows->more = true;
		return 1;
	}
	follows->count++;
	snprintf(follows->last, sizeof(follows->last), "%s", name);
	int err = owner_find(follows->call->gateway->ns, name, &owner);
	if (err)
		return err == ERR_NOT_FOUND ? 0 : err;
	char id[ENTITY_ID_TEXT_BYTES];
	hex_encode(id, owner.id.bytes, ENTITY_ID_BYTES);
	struct json_writer *json = &follows->json;
	const struct actor *actor = &follows->call->actor;
	json_object_begin(json, NULL);
	json_text(json, "_id", id);
	json_text(json, owner.is_org ? "name" : "user", owner.name);
	json_text(json, "fullname", owner.fullname);
	json_text(json, "avatarUrl", avatar_url(follows->request, owner.name));
	json_text(json, "type", owner.is_org ? "org" : "user");
	json_bool(json, "isPro", false);
	json_bool(json, "isFollowing", !actor->anonymous && follow_is(follows->call->gateway->ns, actor->name, owner.name));
	json_object_end(json);
	return 0;
}

static int list_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct follows *follows = call->state;
	struct buffer body;
	const char *after = http_query_value(request, "cursor", 0);
	if (after && !name_valid(span_text(after))) {
		answer_err(request, ERR_INVALID, &(struct why){ "Invalid cursor" });
		return 0;
	}
	buffer_init(&body, ANSWER_BYTES_MAX);
	json_writer_init(&follows->json, &body);
	json_array_begin(&follows->json, NULL);
	int err = (follows->followers ? follower_list : following_list)(call->gateway->ns, follows->owner.name, after, write_one, follows);
	if (err < 0) {
		buffer_fini(&body);
		answer_err(request, err, NULL);
		return 0;
	}
	json_array_end(&follows->json);
	if (follows->more)
		add_next_link(request, "cursor", follows->last);
	answer_json(request, 200, &body);
	return 0;
}

/* The user or organisation of the first capture. NULL: answered already. */
static struct call *open_owner(struct http_request *request, const struct route_match *match, bool user, struct owner *out)
{
	struct call *call = user ? call_open_user(request) : call_open(request);
	const char *name = call ? http_decode(request, match->captures[0], false) : NULL;
	if (!call)
		return NULL;
	int err = name ? owner_find(call->gateway->ns, name, out) : ERR_NOT_FOUND;
	if (err == 0)
		return call;
	answer_err(request, err, NULL);
	return NULL;
}

static void list_start(struct http_request *request, const struct route_match *match, bool followers)
{
	struct follows *follows = http_alloc(request, sizeof(*follows));
	struct call *call = open_owner(request, match, false, &follows->owner);
	if (!call)
		return;
	follows->request = request;
	follows->call = call;
	follows->followers = followers;
	call->state = follows;
	call_work(request, call, list_run);
}

void followers_list(struct http_request *request, const struct route_match *match)
{
	list_start(request, match, true);
}

void following_list_get(struct http_request *request, const struct route_match *match)
{
	list_start(request, match, false);
}

static int change_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	const struct owner *owner = call->state;
	struct why why = { 0 };
	int err = follow_set(call->gateway->ns, call->actor.name, owner->name, http_method(request) == HTTP_POST, &why);
	if (err == ERR_TOO_BIG)
		http_reply_error(request, 400, NULL, why.text);
	else if (err)
		answer_err(request, err, &why);
	else
		reply_success(request);
	return 0;
}

void follow_change(struct http_request *request, const struct route_match *match)
{
	struct owner *owner = http_alloc(request, sizeof(*owner));
	struct call *call = open_owner(request, match, true, owner);
	if (!call)
		return;
	call->state = owner;
	if (call->actor.role == TOKEN_WRITE)
		call_work(request, call, change_run);
	else
		answer_err(request, ERR_DENIED, NULL);
}
