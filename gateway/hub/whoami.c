#include "gateway/hub/whoami.h"

#include "gateway/hub/call.h"
#include "schemas/json_writer.h"

static void write_token(struct json_writer *json, const struct actor *actor)
{
	json_object_begin(json, "auth");
	json_text(json, "type", "access_token");
	if (actor->token.expires_ms)
		json_date(json, "expiresAt", actor->token.expires_ms);
	json_object_begin(json, "accessToken");
	json_text(json, "displayName", actor->token.name);
	json_text(json, "role", actor->role == TOKEN_WRITE ? "write" : "read");
	json_date(json, "createdAt", actor->token.created_ms);
	json_object_end(json);
	json_object_end(json);
}

static void write_user(struct json_writer *json, const struct actor *actor, const struct user *user, const char *avatar_url)
{
	char id[ENTITY_ID_TEXT_BYTES];
	hex_encode(id, user->id.bytes, ENTITY_ID_BYTES);
	json_object_begin(json, NULL);
	json_text(json, "type", "user");
	json_text(json, "id", id);
	json_text(json, "name", user->name);
	json_text(json, "fullname", user->fullname[0] ? user->fullname : user->name);
	json_text(json, "email", user->email[0] ? user->email : NULL);
	json_bool(json, "emailVerified", user->email[0] != 0);
	json_bool(json, "canPay", false);
	json_text(json, "billingMode", "prepaid");
	json_null(json, "periodEnd");
	json_bool(json, "isPro", false);
	json_text(json, "avatarUrl", avatar_url);
	json_array_begin(json, "orgs");
	json_array_end(json);
	write_token(json, actor);
	json_object_end(json);
}

void whoami(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct call *call = call_open(request);
	if (!call)
		return;
	struct user user;
	if (call->actor.anonymous) {
		answer_login(request);
	} else if (user_find(call->gateway->ns, call->actor.name, &user) != 0) {
		answer_bad_token(request);
	} else {
		struct buffer body;
		buffer_init(&body, ANSWER_BYTES_MAX);
		struct json_writer json;
		json_writer_init(&json, &body);
		write_user(&json, &call->actor, &user, http_printf(request, "%s/avatars/%s.svg", http_base_url(request), user.name));
		answer_json(request, 200, &body);
	}
}
