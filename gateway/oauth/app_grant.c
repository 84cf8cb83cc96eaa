#include "gateway/oauth/app_grant.h"

#include <sodium.h>
#include <stdio.h>

#include "gateway/answer.h"
#include "gateway/auth/app_tokens.h"
#include "gateway/auth/oauth_scope.h"
#include "gateway/oauth/claims.h"
#include "gateway/oauth/client.h"
#include "gateway/oauth/oauth.h"
#include "gateway/process.h"
#include "schemas/json_writer.h"

enum {
	GRANT_ANSWER_BYTES_MAX = 64 << 10,
	VERIFIER_BYTES_MIN = 43,
	VERIFIER_BYTES_MAX = 128,
	APP_NAME_SHOWN_MAX = 70, /* so that what is added still fits a token's name */
};

static void fill_tokens(struct app_tokens *out, const struct app *app, const char *user, uint64_t scopes, const struct token_rights *rights)
{
	int64_t now_ms = unix_ms();
	memset(out, 0, sizeof(*out));
	out->rights = *rights;
	struct token *both[] = { &out->access, &out->refresh };
	for (size_t i = 0; i < 2; i++) {
		snprintf(both[i]->user, sizeof(both[i]->user), "%s", user);
		snprintf(both[i]->name, sizeof(both[i]->name), "%.*s (app%s)", APP_NAME_SHOWN_MAX, app->name, i ? ", renews" : "");
		both[i]->app = app->id;
		both[i]->scopes = scopes;
		both[i]->expires_ms = now_ms + (i ? OAUTH_REFRESH_MS : OAUTH_ACCESS_MS);
	}
}

static void reply_tokens(struct http_request *request, const struct app_tokens *tokens, struct span identity)
{
	char scopes[OAUTH_SCOPE_TEXT_BYTES_MAX];
	struct buffer body;
	struct json_writer json;
	oauth_scopes_write(tokens->access.scopes, scopes);
	buffer_init(&body, GRANT_ANSWER_BYTES_MAX);
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_text(&json, "access_token", tokens->access_text);
	json_text(&json, "token_type", "bearer");
	json_i64(&json, "expires_in", OAUTH_ACCESS_MS / 1000);
	json_text(&json, "refresh_token", tokens->refresh_text);
	json_text(&json, "scope", scopes);
	if (identity.length)
		json_span(&json, "id_token", identity);
	json_object_end(&json);
	http_add_header(request, "Cache-Control", "no-store");
	answer_json(request, 200, &body);
}

/* ------------------------------------------------------------------ codes */

/* RFC 7636, 4.6. A code that was asked for without a challenge takes no verifier: else whoever intercepts the question could leave the challenge out. */
static bool verifier_is(const struct app_code *code, const char *verifier)
{
	if (!code->challenge[0])
		return !verifier || !*verifier;
	size_t length = verifier ? strlen(verifier) : 0;
	if (length < VERIFIER_BYTES_MIN || length > VERIFIER_BYTES_MAX)
		return false;
	uint8_t digest[crypto_hash_sha256_BYTES];
	char challenge[APP_CHALLENGE_BYTES + 1];
	crypto_hash_sha256(digest, (const uint8_t *)verifier, length);
	sodium_bin2base64(challenge, sizeof(challenge), digest, sizeof(digest), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	return strlen(code->challenge) == APP_CHALLENGE_BYTES && sodium_memcmp(challenge, code->challenge, APP_CHALLENGE_BYTES) == 0;
}

/* A code that is shown again has been stolen by one of the two who showed it: what it was exchanged for is taken back (RFC 6749, 4.1.2), and what
 * that was renewed into. So this user's tokens of the app go that were made since the code was, whichever they came from. */
static void refuse_used(struct http_request *request, const struct app_code *code)
{
	struct namespace *ns = gateway_of(request)->ns;
	struct why why = { 0 };
	token_delete(ns, code->user, &code->access, NULL);
	token_delete(ns, code->user, &code->refresh, NULL);
	int err = app_tokens_revoke(ns, code->user, &code->app, code->expires_ms - OAUTH_CODE_MS, &why);
	if (err)
		answer_err(request, err, &why);
	else
		oauth_refuse(request, 400, "invalid_grant", "This code was used before; the tokens that it was exchanged for are revoked");
}

static void exchange(struct http_request *request, const struct app *app, const struct app_code *code, const char *text)
{
	struct namespace *ns = gateway_of(request)->ns;
	struct app_tokens *tokens = http_alloc(request, sizeof(*tokens));
	struct buffer identity;
	struct why why = { 0 };
	struct app_code *now = http_alloc(request, sizeof(*now));
	app_tokens_sweep(ns, code->user);
	fill_tokens(tokens, app, code->user, code->scopes, &code->rights);
	buffer_init(&identity, GRANT_ANSWER_BYTES_MAX);
	int err = app_code_take(ns, text, tokens, &why);
	if (err == 0 && (code->scopes & OAUTH_OPENID))
		err = identity_token(request, app, code, tokens->access_text, &identity, &why);
	if (err == 0)
		reply_tokens(request, tokens, buffer_span(&identity));
	else if (err == ERR_CONFLICT && app_code_find(ns, text, now) == 0 && now->used)
		refuse_used(request, now);
	else if (err == ERR_CONFLICT || err == ERR_NOT_FOUND)
		oauth_refuse(request, 400, "invalid_grant", "This code is not valid, or no longer");
	else
		answer_err(request, err, &why);
	buffer_fini(&identity);
}

void grant_code(struct http_request *request, struct span form)
{
	const char *text = http_form_value(request, form, "code", 0), *redirect_uri = http_form_value(request, form, "redirect_uri", 0);
	const char *verifier = http_form_value(request, form, "code_verifier", 0);
	struct app_code *code = http_alloc(request, sizeof(*code));
	struct app *app = http_alloc(request, sizeof(*app));
	int err = text ? app_code_find(gateway_of(request)->ns, text, code) : ERR_INVALID;
	if (err == ERR_INVALID)
		oauth_refuse(request, 400, "invalid_request", "\"code\" is missing");
	else if (err == ERR_NOT_FOUND)
		oauth_refuse(request, 400, "invalid_grant", "This code is not valid, or no longer");
	else if (err)
		answer_err(request, err, NULL);
	else if (!client_open(request, form, &code->app, app))
		return;
	else if (code->used)
		refuse_used(request, code);
	else if (code->expires_ms <= unix_ms())
		oauth_refuse(request, 400, "invalid_grant", "This code is not valid, or no longer");
	else if (!redirect_uri || strcmp(redirect_uri, code->redirect_uri) != 0)
		oauth_refuse(request, 400, "invalid_grant", "\"redirect_uri\" is not the one that the code was asked for with");
	else if (!verifier_is(code, verifier))
		oauth_refuse(request, 400, "invalid_grant", "\"code_verifier\" does not fit the challenge that the code was asked for with");
	else
		exchange(request, app, code, text);
}

/* ------------------------------------------------------------------ refresh tokens */

void grant_app_refresh(struct http_request *request, struct span form, const struct token *token)
{
	struct namespace *ns = gateway_of(request)->ns;
	const char *scope = http_form_value(request, form, "scope", 0);
	struct app *app = http_alloc(request, sizeof(*app));
	struct app_tokens *tokens = http_alloc(request, sizeof(*tokens));
	struct why why = { 0 };
	if (!client_open(request, form, &token->app, app))
		return;
	if (scope && oauth_scopes_read(span_text(scope)) != token->scopes) {
		oauth_refuse(request, 400, "invalid_scope", "A refresh token is exchanged for tokens of the same scopes");
		return;
	}
	app_tokens_sweep(ns, token->user);
	fill_tokens(tokens, app, token->user, token->scopes, &token->rights);
	int err = app_tokens_renew(ns, &token->id, tokens, &why);
	if (err == 0)
		reply_tokens(request, tokens, span_of(NULL, 0));
	else if (err == ERR_NOT_FOUND)
		oauth_refuse(request, 400, "invalid_grant", "This refresh token is not valid, or no longer");
	else
		answer_err(request, err, &why);
}

/* ------------------------------------------------------------------ revoking */

static void revoke_body(struct http_request *request, struct span form, void *context)
{
	(void)context;
	struct namespace *ns = gateway_of(request)->ns;
	const char *text = http_form_value(request, form, "token", 0);
	struct app *app = http_alloc(request, sizeof(*app));
	struct token token;
	struct why why = { 0 };
	int err = text ? token_find(ns, span_text(text), &token) : ERR_INVALID;
	if (err == ERR_INVALID) {
		oauth_refuse(request, 400, "invalid_request", "\"token\" is missing");
		return;
	}
	bool found = err == 0 && token_is_of_app(&token) && token.expires_ms > 1;
	if (found && !client_open(request, form, &token.app, app))
		return;
	if (found)
		err = token.role == TOKEN_REFRESH ? app_tokens_revoke(ns, token.user, &token.app, 0, &why) : token_delete(ns, token.user, &token.id, &why);
	if (err && err != ERR_NOT_FOUND)
		answer_err(request, err, &why);
	else
		http_reply(request, 200, "application/json; charset=utf-8", span_text("{}")); /* also for what is no token: there is nothing left to revoke */
}

void oauth_revoke(struct http_request *request, const struct route_match *match)
{
	(void)match;
	http_collect(request, OAUTH_BODY_BYTES_MAX, revoke_body, NULL);
}
