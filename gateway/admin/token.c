/* token.c - tokens made, listed and revoked by an operator. */
#include "gateway/auth/token_json.h" /* jansson before json_writer.h */

#include <sodium.h>
#include <time.h>

#include "gateway/admin/admin.h"
#include "gateway/admin/admin_body.h"
#include "gateway/admin/operator.h"
#include "gateway/admin/people.h"
#include "gateway/answer.h"

struct listing {
	struct json_writer json;
	struct namespace *ns;
};

static void write_token_fields(struct json_writer *json, struct namespace *ns, const struct token *token)
{
	json_entity_id(json, "id", &token->id);
	json_text(json, "user", token->user);
	json_text(json, "name", token->name);
	json_text(json, "role", token_role_name(token->role));
	json_date(json, "created_at", token->created_ms);
	if (token->expires_ms)
		json_date(json, "expires_at", token->expires_ms);
	if (token->role == TOKEN_FINE_GRAINED)
		token_rights_write(json, "rights", ns, token);
}

static int each_token(void *context, const struct token *token)
{
	struct listing *listing = context;
	json_object_begin(&listing->json, NULL);
	write_token_fields(&listing->json, listing->ns, token);
	json_object_end(&listing->json);
	return 0;
}

static void tokens_work(struct http_request *request, void *context)
{
	struct buffer body;
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	struct listing listing = { .ns = gateway_of(request)->ns };
	json_writer_init(&listing.json, &body);
	json_array_begin(&listing.json, NULL);
	token_list(listing.ns, context, each_token, &listing);
	json_array_end(&listing.json);
	answer_json(request, 200, &body);
}

void admin_tokens_list(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (!operator_open(request))
		return;
	char *user = http_query_value(request, "user", 0);
	if (!user || !name_valid(span_text(user)))
		answer_err(request, ERR_INVALID, &(struct why){ "\"user\" must name a user" });
	else
		http_work(request, tokens_work, user);
}

static int read_token(struct namespace *ns, const struct admin_body *body, struct token *token, struct why *why)
{
	if (!body)
		return why_set(why, ERR_INVALID, "The body must be a JSON object");
	int err = 0;
	const char *user = admin_body_text(body, "user", "", &err, why);
	const char *name = admin_body_text(body, "name", "token", &err, why);
	const char *role = admin_body_text(body, "role", "read", &err, why);
	int64_t expires_in_s = admin_body_i64(body, "expires_in_s", 0, &err, why);
	token->role = token_role_named(role);
	if (err == 0 && !token->role)
		err = why_set(why, ERR_INVALID, "\"role\" must be \"read\", \"write\" or \"fineGrained\"");
	if (err == 0 && (expires_in_s < 0 || expires_in_s > INT64_C(100) * 366 * 24 * 3600))
		err = why_set(why, ERR_INVALID, "\"expires_in_s\" must be between 0 (never) and a hundred years");
	if (err == 0 && !name_valid(span_text(user)))
		err = why_set(why, ERR_INVALID, "\"user\" must name a user");
	if (err)
		return err;
	if (token->role == TOKEN_FINE_GRAINED)
		err = token_rights_read(&token->rights, ns, admin_body_value(body, "rights"), why);
	if (err)
		return err;
	token->expires_ms = expires_in_s ? ((int64_t)time(NULL) + expires_in_s) * 1000 : 0;
	memcpy(token->user, user, strlen(user) + 1);
	if (strlen(name) >= sizeof(token->name))
		return why_set(why, ERR_INVALID, "\"name\" is longer than %zu bytes", sizeof(token->name) - 1);
	memcpy(token->name, name, strlen(name) + 1);
	return 0;
}

static void reply_new_token(struct http_request *request, const struct token *token, const char *text)
{
	struct buffer out;
	buffer_init(&out, ADMIN_ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &out);
	json_object_begin(&json, NULL);
	write_token_fields(&json, gateway_of(request)->ns, token);
	json_text(&json, "token", text);
	json_object_end(&json);
	http_add_header(request, "Cache-Control", "no-store");
	answer_json(request, 200, &out);
}

static void tokens_create_body(struct http_request *request, struct span text, void *context)
{
	const struct actor *actor = context;
	struct namespace *ns = gateway_of(request)->ns;
	struct token token = { 0 };
	struct why why = { 0 };
	char minted[TOKEN_TEXT_BYTES_MAX];
	struct admin_body *body = admin_body_parse(text);
	int err = read_token(ns, body, &token, &why);
	admin_body_free(body);
	if (err == 0)
		err = token_create(ns, actor->name, &token, minted, &why);
	if (err == 0)
		err = token_find(ns, span_text(minted), &token);
	if (err)
		answer_err(request, err, &why);
	else
		reply_new_token(request, &token, minted);
	sodium_memzero(minted, sizeof(minted));
}

void admin_tokens_create(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct actor *actor = operator_open(request);
	if (actor)
		http_collect(request, ADMIN_BODY_BYTES_MAX, tokens_create_body, actor);
}

struct token_delete_call {
	struct actor *actor;
	struct entity_id id;
};

static void token_delete_work(struct http_request *request, void *context)
{
	const struct token_delete_call *call = context;
	struct why why = { 0 };
	int err = token_delete(gateway_of(request)->ns, call->actor->name, &call->id, &why);
	if (err)
		answer_err(request, err, &why);
	else
		http_reply(request, 200, "application/json; charset=utf-8", span_text("{}"));
}

void admin_tokens_delete(struct http_request *request, const struct route_match *match)
{
	struct token_delete_call *call = http_alloc(request, sizeof(*call));
	call->actor = operator_open(request);
	if (call->actor && operator_id(request, match->captures[0], &call->id))
		http_work(request, token_delete_work, call);
}
