#include <jansson.h> /* before json_writer.h */

#include "gateway/admin/apps.h"

#include <sodium.h>
#include <stdio.h>

#include "gateway/admin/admin.h"
#include "gateway/admin/admin_body.h"
#include "gateway/admin/operator.h"
#include "gateway/answer.h"
#include "gateway/auth/oauth_scope.h"
#include "gateway/auth/redirect_uri.h"

enum {
	APP_NAME_BYTES_MAX = 70,
	SECRET_RANDOM_BYTES = 32,
	SECRET_TEXT_BYTES = 64, /* "oauth_", base64url, NUL */
};

/* ------------------------------------------------------------------ list */

static void write_app_fields(struct json_writer *json, const struct app *app)
{
	char scopes[OAUTH_SCOPE_TEXT_BYTES_MAX];
	oauth_scopes_write(app->scopes, scopes);
	json_entity_id(json, "client_id", &app->id);
	json_text(json, "name", app->name);
	json_text(json, "owner", app->owner);
	json_bool(json, "has_secret", app->has_secret);
	json_text(json, "id_token_signed_response_alg", app->eddsa ? "EdDSA" : "RS256");
	json_text(json, "scopes", scopes);
	json_date(json, "created_at", app->created_ms);
	json_array_begin(json, "redirect_uris");
	for (uint32_t i = 0; i < app->uris_count; i++)
		json_text(json, NULL, app->uris[i]);
	json_array_end(json);
}

static int each_app(void *context, const struct app *app)
{
	struct json_writer *json = context;
	json_object_begin(json, NULL);
	write_app_fields(json, app);
	json_object_end(json);
	return 0;
}

static void list_work(struct http_request *request, void *context)
{
	(void)context;
	struct buffer body;
	struct json_writer json;
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	json_writer_init(&json, &body);
	json_array_begin(&json, NULL);
	app_list(gateway_of(request)->ns, each_app, &json);
	json_array_end(&json);
	answer_json(request, 200, &body);
}

void admin_apps_list(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (operator_open(request))
		http_work(request, list_work, NULL);
}

/* ------------------------------------------------------------------ create */

static int read_uris(const json_t *list, struct app *app, struct why *why)
{
	size_t i;
	const json_t *item;
	if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > APP_URIS_MAX)
		return why_set(why, ERR_INVALID, "\"redirect_uris\" is a list of 1 to %d addresses", APP_URIS_MAX);
	json_array_foreach(list, i, item) {
		const char *uri = json_string_value(item);
		int err = redirect_uri_check(uri ? uri : "", why);
		if (err)
			return err;
		snprintf(app->uris[app->uris_count++], sizeof(app->uris[0]), "%s", uri);
	}
	return 0;
}

static int read_scopes(const char *text, uint64_t *out, struct why *why)
{
	*out = text ? oauth_scopes_read(span_text(text)) : OAUTH_SCOPES_ALL;
	for (const char *at = text ? text : ""; *at;) {
		size_t length = strcspn(at, " ");
		if (length && oauth_scopes_read(span_of(at, length)) == 0)
			return why_set(why, ERR_INVALID, "\"%.*s\" is not a scope of this hub", length < 60 ? (int)length : 60, at);
		at += length + (at[length] == ' ');
	}
	return *out ? 0 : why_set(why, ERR_INVALID, "An app needs a scope");
}

static int read_app(const struct admin_body *body, struct app *app, struct why *why)
{
	if (!body)
		return why_set(why, ERR_INVALID, "The body must be a JSON object");
	int err = 0;
	const char *name = admin_body_text(body, "name", "", &err, why), *owner = admin_body_text(body, "owner", "", &err, why);
	const char *scopes = admin_body_text(body, "scopes", NULL, &err, why);
	app->has_secret = admin_body_bool(body, "secret", false, &err, why);
	app->eddsa = admin_body_bool(body, "eddsa", false, &err, why);
	if (err)
		return err;
	if (!*name || strlen(name) > APP_NAME_BYTES_MAX)
		return why_set(why, ERR_INVALID, "\"name\" has 1 to %d bytes", APP_NAME_BYTES_MAX);
	if (!name_valid(span_text(owner)))
		return why_set(why, ERR_INVALID, "\"owner\" must name a user");
	memcpy(app->name, name, strlen(name) + 1);
	memcpy(app->owner, owner, strlen(owner) + 1);
	err = read_scopes(scopes, &app->scopes, why);
	return err ? err : read_uris(admin_body_value(body, "redirect_uris"), app, why);
}

static void make_secret(char out[SECRET_TEXT_BYTES], struct hash *digest)
{
	uint8_t bytes[SECRET_RANDOM_BYTES];
	randombytes_buf(bytes, sizeof(bytes));
	memcpy(out, "oauth_", 6);
	sodium_bin2base64(out + 6, SECRET_TEXT_BYTES - 6, bytes, sizeof(bytes), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	crypto_generichash(digest->bytes, HASH_BYTES, (const uint8_t *)out, strlen(out), NULL, 0);
	sodium_memzero(bytes, sizeof(bytes));
}

static void reply_new_app(struct http_request *request, const struct app *app, const char *secret)
{
	struct buffer out;
	struct json_writer json;
	buffer_init(&out, ADMIN_ANSWER_BYTES_MAX);
	json_writer_init(&json, &out);
	json_object_begin(&json, NULL);
	write_app_fields(&json, app);
	if (app->has_secret)
		json_text(&json, "client_secret", secret);
	json_object_end(&json);
	http_add_header(request, "Cache-Control", "no-store");
	answer_json(request, 200, &out);
}

static void create_body(struct http_request *request, struct span text, void *context)
{
	const struct actor *actor = context;
	struct namespace *ns = gateway_of(request)->ns;
	struct app *app = http_alloc(request, sizeof(*app));
	struct entity_id id;
	struct why why = { 0 };
	char secret[SECRET_TEXT_BYTES] = "";
	struct admin_body *body = admin_body_parse(text);
	int err = read_app(body, app, &why);
	admin_body_free(body);
	if (err == 0 && app->has_secret)
		make_secret(secret, &app->secret_digest);
	if (err == 0)
		err = app_create(ns, actor->name, app, &id, &why);
	if (err == 0)
		err = app_get(ns, &id, app);
	if (err)
		answer_err(request, err, &why);
	else
		reply_new_app(request, app, secret);
	sodium_memzero(secret, sizeof(secret));
}

void admin_apps_create(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct actor *actor = operator_open(request);
	if (actor)
		http_collect(request, ADMIN_BODY_BYTES_MAX, create_body, actor);
}

/* ------------------------------------------------------------------ delete */

struct delete_call {
	struct actor *actor;
	struct entity_id id;
};

static void delete_work(struct http_request *request, void *context)
{
	const struct delete_call *call = context;
	struct why why = { 0 };
	int err = app_delete(gateway_of(request)->ns, call->actor->name, &call->id, &why);
	if (err)
		answer_err(request, err, &why);
	else
		http_reply(request, 200, "application/json; charset=utf-8", span_text("{}"));
}

void admin_apps_delete(struct http_request *request, const struct route_match *match)
{
	struct delete_call *call = http_alloc(request, sizeof(*call));
	call->actor = operator_open(request);
	if (call->actor && operator_id(request, match->captures[0], &call->id))
		http_work(request, delete_work, call);
}
