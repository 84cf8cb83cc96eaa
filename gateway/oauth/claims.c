#include "gateway/oauth/claims.h"

#include "gateway/answer.h"
#include "gateway/auth/auth.h"
#include "gateway/auth/oauth_scope.h"
#include "gateway/oauth/keys.h"
#include "gateway/oauth/oauth.h"
#include "gateway/process.h"

enum { CLAIMS_BYTES_MAX = 1 << 20 };

struct orgs {
	struct http_request *request;
	struct json_writer *json;
	uint64_t scopes;
	unsigned left;
};

static int write_org(void *context, const struct org *org, const struct member *member)
{
	struct orgs *orgs = context;
	struct json_writer *json = orgs->json;
	char id[ENTITY_ID_TEXT_BYTES];
	hex_encode(id, org->id.bytes, ENTITY_ID_BYTES);
	json_object_begin(json, NULL);
	json_text(json, "sub", id);
	json_text(json, "name", org->fullname[0] ? org->fullname : org->name);
	json_text(json, "preferred_username", org->name);
	json_text(json, "picture", http_printf(orgs->request, "%s/avatars/%s.svg", http_base_url(orgs->request), org->name));
	json_bool(json, "isEnterprise", false);
	if (orgs->scopes & OAUTH_READ_BILLING)
		json_bool(json, "canPay", false);
	if (orgs->scopes & OAUTH_READ_MEMBERSHIPS)
		json_text(json, "roleInOrg", org_role_name(member->role));
	json_object_end(json);
	return json->out->failed ? ERR_TOO_BIG : --orgs->left == 0;
}

static void write_profile(struct http_request *request, struct json_writer *json, const struct user *user)
{
	const char *base = http_base_url(request);
	json_text(json, "name", user->fullname[0] ? user->fullname : user->name);
	json_text(json, "preferred_username", user->name);
	json_text(json, "profile", http_printf(request, "%s/%s", base, user->name));
	json_text(json, "picture", http_printf(request, "%s/avatars/%s.svg", base, user->name));
	json_bool(json, "isPro", false);
}

void claims_write(struct http_request *request, struct json_writer *json, const struct user *user, uint64_t scopes, unsigned orgs_max)
{
	char id[ENTITY_ID_TEXT_BYTES];
	hex_encode(id, user->id.bytes, ENTITY_ID_BYTES);
	json_text(json, "sub", id);
	if (scopes & OAUTH_PROFILE)
		write_profile(request, json, user);
	if ((scopes & OAUTH_EMAIL) && user->email[0]) {
		json_text(json, "email", user->email);
		json_bool(json, "email_verified", true);
	}
	if (scopes & OAUTH_READ_BILLING)
		json_bool(json, "canPay", false);
	if (!(scopes & (OAUTH_PROFILE | OAUTH_READ_MEMBERSHIPS)))
		return;
	struct orgs orgs = { .request = request, .json = json, .scopes = scopes, .left = orgs_max };
	json_array_begin(json, "orgs");
	member_orgs(gateway_of(request)->ns, user->name, write_org, &orgs);
	json_array_end(json);
}

int identity_token(struct http_request *request, const struct app *app, const struct app_code *code, const char *access_token, struct buffer *out, struct why *why)
{
	struct gateway *gateway = gateway_of(request);
	struct user user;
	struct buffer claims;
	struct json_writer json;
	char client[ENTITY_ID_TEXT_BYTES], at_hash[AT_HASH_BYTES_MAX];
	int64_t now_s = unix_ms() / 1000;
	int err = user_find(gateway->ns, code->user, &user);
	if (err)
		return err;
	hex_encode(client, app->id.bytes, ENTITY_ID_BYTES);
	openid_at_hash(app->eddsa, access_token, at_hash);
	buffer_init(&claims, CLAIMS_BYTES_MAX);
	json_writer_init(&json, &claims);
	json_object_begin(&json, NULL);
	json_text(&json, "iss", http_base_url(request));
	json_text(&json, "aud", client);
	json_i64(&json, "iat", now_s);
	json_i64(&json, "exp", now_s + OAUTH_IDENTITY_S);
	json_text(&json, "at_hash", at_hash);
	if (code->nonce[0])
		json_text(&json, "nonce", code->nonce);
	claims_write(request, &json, &user, code->scopes, IDENTITY_ORGS_MAX);
	json_object_end(&json);
	err = claims.failed ? ERR_TOO_BIG : openid_sign(gateway, app->eddsa, buffer_span(&claims), out, why);
	buffer_fini(&claims);
	return err;
}

/* ------------------------------------------------------------------ /oauth/userinfo */

static void refuse(struct http_request *request, int status, const char *error, const char *text)
{
	http_add_headerf(request, "WWW-Authenticate", "Bearer error=\"%s\"", error);
	http_reply_error(request, status, NULL, text);
}

static void userinfo_work(struct http_request *request, void *context)
{
	const struct actor *actor = context;
	/* a token that no app was given speaks for its owner, as far as it may read their account */
	uint64_t scopes = token_is_of_app(&actor->token) ? actor->token.scopes : actor->role == TOKEN_FINE_GRAINED ? OAUTH_OPENID | OAUTH_PROFILE : OAUTH_SCOPES_ALL;
	struct user user;
	struct buffer body;
	struct json_writer json;
	if (!(scopes & OAUTH_OPENID)) {
		refuse(request, 403, "insufficient_scope", "This token was not given the scope \"openid\"");
		return;
	}
	if (user_find(gateway_of(request)->ns, actor->name, &user) != 0) {
		refuse(request, 401, "invalid_token", "This token is not valid, or no longer");
		return;
	}
	buffer_init(&body, CLAIMS_BYTES_MAX);
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	claims_write(request, &json, &user, scopes, USER_ORGS_MAX);
	json_object_end(&json);
	http_add_header(request, "Cache-Control", "no-store");
	answer_json(request, 200, &body);
}

void oauth_userinfo(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct actor *actor = http_alloc(request, sizeof(*actor));
	if (auth_identify(request, actor) != 0 || actor->anonymous)
		refuse(request, 401, "invalid_token", "A valid access token is wanted");
	else
		http_work(request, userinfo_work, actor);
}
