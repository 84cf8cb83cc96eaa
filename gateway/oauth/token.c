/* token.c - POST /oauth/token: grants in exchange for tokens. Declared in oauth.h. */
#include "gateway/oauth/oauth.h"

#include <sodium.h>
#include <stdio.h>

#include "gateway/answer.h"
#include "gateway/auth/app_tokens.h"
#include "gateway/auth/device_login.h"
#include "gateway/oauth/app_grant.h"
#include "gateway/process.h"
#include "schemas/json_writer.h"

enum { TOKEN_ANSWER_BYTES_MAX = 4096 };

static const char access_name[] = "hf auth login", refresh_read_name[] = "hf auth login (renews read)", refresh_write_name[] = "hf auth login (renews write)";

/* RFC 6749, 5.2. */
void oauth_refuse(struct http_request *request, int status, const char *error, const char *description)
{
	struct buffer body;
	buffer_init(&body, TOKEN_ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_text(&json, "error", error);
	json_text(&json, "error_description", description);
	json_object_end(&json);
	http_add_header(request, "Cache-Control", "no-store");
	answer_json(request, status, &body);
}

static void reply_tokens(struct http_request *request, const char *access, const char *refresh)
{
	struct buffer body;
	buffer_init(&body, TOKEN_ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_text(&json, "access_token", access);
	json_text(&json, "refresh_token", refresh);
	json_text(&json, "token_type", "bearer");
	json_i64(&json, "expires_in", OAUTH_ACCESS_MS / 1000);
	json_object_end(&json);
	http_add_header(request, "Cache-Control", "no-store");
	answer_json(request, 200, &body);
}

/* ------------------------------------------------------------------ minting */

static int mint(struct namespace *ns, const char *user, enum token_role role, const char *name, int64_t lives_ms, char text[TOKEN_TEXT_BYTES_MAX], struct why *why)
{
	struct token token = { .role = role, .expires_ms = unix_ms() + lives_ms };
	snprintf(token.user, sizeof(token.user), "%s", user);
	snprintf(token.name, sizeof(token.name), "%s", name);
	return token_create(ns, user, &token, text, why);
}

/* ------------------------------------------------------------------ grants */

static void grant_device(struct http_request *request, const char *code)
{
	struct gateway *gateway = gateway_of(request);
	char user[NAME_BYTES_MAX + 1], access[TOKEN_TEXT_BYTES_MAX], refresh[TOKEN_TEXT_BYTES_MAX];
	enum token_role role = TOKEN_READ;
	struct why why = { 0 };
	switch (device_login_poll(gateway->device_logins, code, unix_ms(), user, &role)) {
	case DEVICE_PENDING: oauth_refuse(request, 400, "authorization_pending", "Nobody has decided about this login yet"); return;
	case DEVICE_SLOW_DOWN: oauth_refuse(request, 400, "slow_down", "Ask less often"); return;
	case DEVICE_EXPIRED: oauth_refuse(request, 400, "expired_token", "This device code is not valid, or no longer"); return;
	case DEVICE_DENIED: oauth_refuse(request, 400, "access_denied", "The login was denied"); return;
	case DEVICE_APPROVED: break;
	}
	app_tokens_sweep(gateway->ns, user);
	int err = mint(gateway->ns, user, role, access_name, OAUTH_ACCESS_MS, access, &why);
	if (err == 0)
		err = mint(gateway->ns, user, TOKEN_REFRESH, role == TOKEN_WRITE ? refresh_write_name : refresh_read_name, OAUTH_REFRESH_MS, refresh, &why);
	if (err)
		answer_err(request, err, &why);
	else
		reply_tokens(request, access, refresh);
	sodium_memzero(access, sizeof(access));
	sodium_memzero(refresh, sizeof(refresh));
}

static void grant_refresh(struct http_request *request, struct span form, const char *text)
{
	struct gateway *gateway = gateway_of(request);
	struct token token;
	struct why why = { 0 };
	char access[TOKEN_TEXT_BYTES_MAX];
	int err = token_find(gateway->ns, span_text(text), &token);
	if (err == ERR_NOT_FOUND || (err == 0 && (token.role != TOKEN_REFRESH || token.expires_ms <= unix_ms()))) {
		oauth_refuse(request, 400, "invalid_grant", "This refresh token is not valid, or no longer");
		return;
	}
	if (err == 0 && token_is_of_app(&token)) {
		grant_app_refresh(request, form, &token);
		return;
	}
	if (err == 0) {
		app_tokens_sweep(gateway->ns, token.user);
		err = mint(gateway->ns, token.user, strcmp(token.name, refresh_write_name) == 0 ? TOKEN_WRITE : TOKEN_READ, access_name, OAUTH_ACCESS_MS, access, &why);
	}
	if (err)
		answer_err(request, err, &why);
	else
		reply_tokens(request, access, text);
	sodium_memzero(access, sizeof(access));
}

static void token_body(struct http_request *request, struct span form, void *context)
{
	(void)context;
	if (form.length && form.data[0] == '{' && memmem(form.data, form.length, "token-exchange", 14)) { /* the one grant that comes as JSON */
		answer_unbuilt(request, "Exchanging identity tokens");
		return;
	}
	const char *grant = http_form_value(request, form, "grant_type", 0);
	const char *device = http_form_value(request, form, "device_code", 0), *refresh = http_form_value(request, form, "refresh_token", 0);
	if (!grant)
		oauth_refuse(request, 400, "invalid_request", "\"grant_type\" is missing");
	else if (strcmp(grant, "urn:ietf:params:oauth:grant-type:device_code") == 0 && device)
		grant_device(request, device);
	else if (strcmp(grant, "refresh_token") == 0 && refresh)
		grant_refresh(request, form, refresh);
	else if (strcmp(grant, "authorization_code") == 0)
		grant_code(request, form);
	else if (strcmp(grant, "urn:ietf:params:oauth:grant-type:token-exchange") == 0)
		answer_unbuilt(request, "This grant");
	else
		oauth_refuse(request, 400, "unsupported_grant_type", "Only codes, device codes and refresh tokens are taken here");
}

void oauth_token(struct http_request *request, const struct route_match *match)
{
	(void)match;
	http_collect(request, OAUTH_BODY_BYTES_MAX, token_body, NULL);
}
