#include "gateway/auth/token_json.h" /* jansson before json_writer.h */

#include "gateway/auth/oauth_scope.h"
#include "gateway/hub/call.h"
#include "gateway/hub/person.h"
#include "gateway/hub/whoami.h"
#include "replication/org.h"

static void write_token(struct json_writer *json, struct namespace *ns, const struct actor *actor)
{
	json_object_begin(json, "auth");
	json_text(json, "type", "access_token");
	if (actor->token.expires_ms)
		json_date(json, "expiresAt", actor->token.expires_ms);
	json_object_begin(json, "accessToken");
	json_text(json, "displayName", actor->token.name);
	json_text(json, "role", token_role_name(actor->role));
	json_date(json, "createdAt", actor->token.created_ms);
	if (actor->role == TOKEN_FINE_GRAINED)
		token_rights_write(json, "fineGrained", ns, &actor->token);
	json_object_end(json);
	json_object_end(json);
}

struct whoami {
	struct http_request *request;
	struct json_writer json;
	struct buffer body;
	bool shows_roles; /* apps are told only when they were given the scope */
};

static int write_org(void *context, const struct org *org, const struct member *member)
{
	struct whoami *answer = context;
	struct json_writer *json = &answer->json;
	char id[ENTITY_ID_TEXT_BYTES];
	hex_encode(id, org->id.bytes, ENTITY_ID_BYTES);
	json_object_begin(json, NULL);
	json_text(json, "type", "org");
	json_text(json, "id", id);
	json_text(json, "name", org->name);
	json_text(json, "fullname", org->fullname[0] ? org->fullname : org->name);
	json_text(json, "email", answer->shows_roles && org->email[0] ? org->email : NULL);
	json_bool(json, "canPay", false);
	json_text(json, "billingMode", "prepaid");
	json_null_value(json, "periodEnd");
	json_text(json, "avatarUrl", avatar_url(answer->request, org->name));
	json_bool(json, "isEnterprise", false);
	if (answer->shows_roles)
		json_text(json, "roleInOrg", org_role_name(member->role));
	json_array_begin(json, "securityRestrictions");
	json_array_end(json);
	json_array_begin(json, "resourceGroups");
	json_array_end(json);
	json_object_end(json);
	return answer->body.failed ? ERR_TOO_BIG : 0;
}

static void write_user(struct whoami *answer, const struct call *call, const struct user *user)
{
	struct json_writer *json = &answer->json;
	char id[ENTITY_ID_TEXT_BYTES];
	hex_encode(id, user->id.bytes, ENTITY_ID_BYTES);
	json_object_begin(json, NULL);
	json_text(json, "type", "user");
	json_text(json, "id", id);
	json_text(json, "name", user->name);
	json_text(json, "fullname", user->fullname[0] ? user->fullname : user->name);
	bool shows_email = user->email[0] && (!token_is_of_app(&call->actor.token) || (call->actor.token.scopes & OAUTH_EMAIL));
	json_text(json, "email", shows_email ? user->email : NULL);
	json_bool(json, "emailVerified", shows_email);
	json_bool(json, "canPay", false);
	json_text(json, "billingMode", "prepaid");
	json_null_value(json, "periodEnd");
	json_bool(json, "isPro", false);
	json_text(json, "avatarUrl", avatar_url(answer->request, user->name));
	json_array_begin(json, "orgs");
	member_orgs(call->gateway->ns, user->name, write_org, answer);
	json_array_end(json);
	write_token(json, call->gateway->ns, &call->actor);
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
		const struct token *token = &call->actor.token;
		struct whoami answer = { .request = request, .shows_roles = !token_is_of_app(token) || (token->scopes & OAUTH_READ_MEMBERSHIPS) };
		buffer_init(&answer.body, ANSWER_BYTES_MAX);
		json_writer_init(&answer.json, &answer.body);
		write_user(&answer, call, &user);
		answer_json(request, 200, &answer.body);
	}
}
