/* openid_login.c - signing in to the pages through another OpenID provider: /login/openid leads there, /login/openid/callback is where it leads back.
 *
 * DESIGN. What has to be remembered in between (state, nonce, verifier, where to go on) travels in a cookie that only this hub can read and write, so any node may
 * take the answer; it is good for PENDING_MS. Issuer and subject lead to an account (replication/outside_identity.h). Whoever comes for the first time gets a new user by the name that
 * the provider gives; a name that is taken is refused, since names prove nothing: an operator may link the two. A session is a write token of SESSION_MS. */
#include "gateway/auth/identity_token.h" /* jansson before json_writer.h */
#include "gateway/auth/openid_provider.h"

#include <sodium.h>
#include <stdio.h>

#include "gateway/answer.h"
#include "gateway/auth/app_tokens.h"
#include "gateway/process.h"
#include "gateway/web/html.h"
#include "gateway/web/login.h"
#include "replication/outside_identity.h"
#include "schemas/record.h"

enum {
	RANDOM_BYTES = 32,
	RANDOM_TEXT_BYTES = 44,
	NEXT_BYTES = 2048,           /* longer ones do not fit a cookie: then the front page */
	PENDING_BYTES_MAX = 2600,
	COOKIE_BYTES_MAX = 3900,
	PENDING_S = 600,
	ADDRESS_BYTES_MAX = 4096,
};
#define SESSION_MS ((int64_t)12 * 3600 * 1000)

struct pending {
	char state[RANDOM_TEXT_BYTES], nonce[RANDOM_TEXT_BYTES], verifier[RANDOM_TEXT_BYTES], next[NEXT_BYTES];
	int64_t expires_ms;
};
static const struct field pending_fields[] = {
	FIELD(struct pending, state, FIELD_TEXT, true),
	FIELD(struct pending, nonce, FIELD_TEXT, true),
	FIELD(struct pending, verifier, FIELD_TEXT, true),
	FIELD(struct pending, next, FIELD_TEXT, true),
	FIELD(struct pending, expires_ms, FIELD_I64, true),
};
static const struct schema pending_schema = SCHEMA(1, pending_fields);

static void refuse(struct http_request *request, int status, const char *text)
{
	struct buffer page;
	buffer_init(&page, PAGE_BYTES_MAX);
	html_begin(&page, "Not signed in");
	buffer_append_text(&page, "<h1>Not signed in</h1>\n<p>");
	html_escaped(&page, text);
	buffer_append_text(&page, "</p>\n<p><a href=\"/login\">Try again</a></p>\n");
	html_reply(request, status, &page);
}

static void refuse_err(struct http_request *request, int err, const struct why *why)
{
	int status = err == ERR_IO || err == ERR_DENIED ? 502 : answer_status(err);
	refuse(request, status, why->text[0] ? why->text : "Something failed here. Try again.");
}

static const char *callback_of(struct http_request *request)
{
	return http_printf(request, "%s/login/openid/callback", http_base_url(request));
}

static void make_random(char out[RANDOM_TEXT_BYTES])
{
	uint8_t bytes[RANDOM_BYTES];
	randombytes_buf(bytes, sizeof(bytes));
	sodium_bin2base64(out, RANDOM_TEXT_BYTES, bytes, sizeof(bytes), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* ------------------------------------------------------------------ the cookie */

static void set_pending_cookie(struct http_request *request, const char *value, int seconds)
{
	bool secure = strncmp(http_base_url(request), "https:", 6) == 0;
	http_add_headerf(request, "Set-Cookie", "openid_login=%s; Path=/login/openid; Max-Age=%d; HttpOnly; SameSite=Lax%s", value, seconds, secure ? "; Secure" : "");
}

static int key_of(struct http_request *request, uint8_t key[crypto_secretbox_KEYBYTES], struct why *why)
{
	return secret_get_or_create(gateway_of(request)->ns, "openid-login", key, crypto_secretbox_KEYBYTES, why);
}

/* Sealed for this hub alone, into request memory. */
static int seal(struct http_request *request, const struct pending *pending, char **out, struct why *why)
{
	uint8_t key[crypto_secretbox_KEYBYTES], box[crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + PENDING_BYTES_MAX];
	struct buffer record;
	int err = key_of(request, key, why);
	buffer_init(&record, PENDING_BYTES_MAX);
	record_encode(&record, &pending_schema, pending);
	if (err == 0 && record.failed)
		err = why_set(why, ERR_NO_MEMORY, "no memory");
	if (err == 0) {
		randombytes_buf(box, crypto_secretbox_NONCEBYTES);
		crypto_secretbox_easy(box + crypto_secretbox_NONCEBYTES, record.data, record.length, box, key);
		*out = http_alloc(request, COOKIE_BYTES_MAX);
		sodium_bin2base64(*out, COOKIE_BYTES_MAX, box, crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + record.length,
			sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	}
	buffer_fini(&record);
	sodium_memzero(key, sizeof(key));
	return err;
}

static int unseal(struct http_request *request, struct pending *out)
{
	uint8_t key[crypto_secretbox_KEYBYTES], box[crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + PENDING_BYTES_MAX], record[PENDING_BYTES_MAX];
	struct span text = auth_cookie(http_header(request, "Cookie"), "openid_login");
	size_t length = 0, head = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;
	if (text.length == 0 || sodium_base642bin(box, sizeof(box), (const char *)text.data, text.length, NULL, &length, NULL,
		    sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 || length <= head || key_of(request, key, NULL) != 0)
		return ERR_DENIED;
	int failed = crypto_secretbox_open_easy(record, box + crypto_secretbox_NONCEBYTES, length - crypto_secretbox_NONCEBYTES, box, key);
	sodium_memzero(key, sizeof(key));
	if (failed || record_decode(out, sizeof(*out), &pending_schema, span_of(record, length - head)) != 0)
		return ERR_DENIED;
	return out->expires_ms > unix_ms() ? 0 : ERR_DENIED;
}

/* ------------------------------------------------------------------ there */

static void append_parameter(struct buffer *out, const char *key, const char *value)
{
	buffer_append_byte(out, memchr(out->data, '?', out->length) ? '&' : '?');
	buffer_printf(out, "%s=", key);
	for (; *value; value++) {
		bool plain = (*value >= 'A' && *value <= 'Z') || (*value >= 'a' && *value <= 'z') || (*value >= '0' && *value <= '9') || strchr("-._~", *value);
		buffer_printf(out, plain ? "%c" : "%%%02X", (unsigned char)*value);
	}
}

static int make_question(struct http_request *request, const struct openid_addresses *addresses, const struct pending *pending, const char **out)
{
	char challenge[RANDOM_TEXT_BYTES];
	uint8_t digest[crypto_hash_sha256_BYTES];
	struct buffer address;
	crypto_hash_sha256(digest, (const uint8_t *)pending->verifier, strlen(pending->verifier));
	sodium_bin2base64(challenge, sizeof(challenge), digest, sizeof(digest), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	buffer_init(&address, ADDRESS_BYTES_MAX);
	buffer_append_text(&address, addresses->authorization);
	append_parameter(&address, "response_type", "code");
	append_parameter(&address, "client_id", openid_provider_config(gateway_of(request)->openid_provider)->client_id);
	append_parameter(&address, "redirect_uri", callback_of(request));
	append_parameter(&address, "scope", "openid profile email");
	append_parameter(&address, "state", pending->state);
	append_parameter(&address, "nonce", pending->nonce);
	append_parameter(&address, "code_challenge", challenge);
	append_parameter(&address, "code_challenge_method", "S256");
	buffer_append_byte(&address, 0);
	if (!address.failed)
		*out = http_strndup(request, address.data, address.length);
	int err = address.failed ? ERR_TOO_BIG : 0;
	buffer_fini(&address);
	return err;
}

static void start_work(struct http_request *request, void *context)
{
	(void)context;
	struct openid_addresses *addresses = http_alloc(request, sizeof(*addresses));
	struct pending *pending = http_alloc(request, sizeof(*pending));
	const char *next = login_next(http_query_value(request, "next", 0)), *question = NULL;
	char *cookie = NULL;
	struct why why = { 0 };
	make_random(pending->state);
	make_random(pending->nonce);
	make_random(pending->verifier);
	snprintf(pending->next, sizeof(pending->next), "%s", strlen(next) < NEXT_BYTES ? next : "/");
	pending->expires_ms = unix_ms() + (int64_t)PENDING_S * 1000;
	int err = openid_provider_addresses(gateway_of(request)->openid_provider, addresses, &why);
	if (err == 0)
		err = make_question(request, addresses, pending, &question);
	if (err == 0)
		err = seal(request, pending, &cookie, &why);
	if (err) {
		refuse_err(request, err, &why);
		return;
	}
	set_pending_cookie(request, cookie, PENDING_S);
	html_redirect(request, question);
}

/* ------------------------------------------------------------------ and back */

/* The user of these claims, made if need be. */
static int find_user(struct namespace *ns, const struct openid_provider_config *config, const json_t *claims, char name[NAME_BYTES_MAX + 1], struct why *why)
{
	const char *subject = json_string_value(json_object_get(claims, "sub")), *wanted = json_string_value(json_object_get(claims, config->name_claim));
	const char *fullname = json_string_value(json_object_get(claims, "name")), *email = json_string_value(json_object_get(claims, "email"));
	struct user user = { 0 };
	int err = outside_identity_find(ns, config->issuer, subject, name);
	if (err != ERR_NOT_FOUND)
		return err;
	if (!wanted || !name_valid(span_text(wanted)))
		return why_set(why, ERR_INVALID, "The provider gives you no name that a user of this hub can have. Ask an operator of this hub for an account.");
	snprintf(user.name, sizeof(user.name), "%s", wanted);
	if (fullname && strlen(fullname) <= NAME_BYTES_MAX)
		snprintf(user.fullname, sizeof(user.fullname), "%s", fullname);
	if (email && strlen(email) <= EMAIL_BYTES_MAX && json_is_true(json_object_get(claims, "email_verified")))
		snprintf(user.email, sizeof(user.email), "%s", email);
	err = user_create(ns, "", &user, why);
	if (err == ERR_EXISTS)
		return why_set(why, err, "The name \"%s\" is taken here. If it is you, ask an operator of this hub to link your account.", user.name);
	if (err == 0)
		err = outside_identity_link(ns, "", config->issuer, subject, user.name, why);
	snprintf(name, NAME_BYTES_MAX + 1, "%s", user.name);
	return err;
}

static int check_answer(struct http_request *request, const struct pending *pending, const char *code, json_t **claims, struct why *why)
{
	struct openid_provider *provider = gateway_of(request)->openid_provider;
	const struct openid_provider_config *config = openid_provider_config(provider);
	struct openid_addresses *addresses = http_alloc(request, sizeof(*addresses));
	json_t *answer = NULL, *keys = NULL;
	*claims = NULL;
	int err = openid_provider_addresses(provider, addresses, why);
	if (err == 0)
		err = openid_provider_exchange(provider, addresses, code, callback_of(request), pending->verifier, &answer, why);
	if (err == 0)
		err = openid_provider_keys(provider, addresses, &keys, why);
	const char *token = json_string_value(json_object_get(answer, "id_token"));
	struct identity_expected expected = { .issuer = config->issuer, .audience = config->client_id, .nonce = pending->nonce, .now_s = unix_ms() / 1000 };
	if (err == 0)
		err = token ? identity_token_check(claims, span_text(token), keys, &expected, why) : why_set(why, ERR_DENIED, "The provider gave no identity token");
	json_decref(answer);
	json_decref(keys);
	return err;
}

static void begin_session(struct http_request *request, const char *user, const char *next)
{
	struct namespace *ns = gateway_of(request)->ns;
	struct token token = { .role = TOKEN_WRITE, .expires_ms = unix_ms() + SESSION_MS };
	struct why why = { 0 };
	char text[TOKEN_TEXT_BYTES_MAX];
	snprintf(token.user, sizeof(token.user), "%s", user);
	snprintf(token.name, sizeof(token.name), "signed in from elsewhere");
	app_tokens_sweep(ns, user);
	int err = token_create(ns, user, &token, text, &why);
	if (err) {
		refuse_err(request, err, &why);
		return;
	}
	login_set_cookie(request, text, SESSION_MS / 1000);
	sodium_memzero(text, sizeof(text));
	html_redirect(request, next);
}

static void back_work(struct http_request *request, void *context)
{
	(void)context;
	const struct openid_provider_config *config = openid_provider_config(gateway_of(request)->openid_provider);
	struct pending *pending = http_alloc(request, sizeof(*pending));
	const char *state = http_query_value(request, "state", 0), *code = http_query_value(request, "code", 0), *issuer = http_query_value(request, "iss", 0);
	char user[NAME_BYTES_MAX + 1];
	json_t *claims = NULL;
	struct why why = { 0 };
	if (unseal(request, pending) != 0 || !state || strlen(state) != strlen(pending->state) || sodium_memcmp(state, pending->state, strlen(state)) != 0) {
		refuse(request, 400, "This answer belongs to no sign-in of this browser, or it took too long.");
		return;
	}
	set_pending_cookie(request, "", 0);
	if (issuer && strcmp(issuer, config->issuer) != 0) {
		refuse(request, 400, "This answer comes from another provider.");
		return;
	}
	if (!code) {
		refuse(request, 403, "The provider did not sign you in.");
		return;
	}
	int err = check_answer(request, pending, code, &claims, &why);
	if (err == 0) {
		err = find_user(gateway_of(request)->ns, config, claims, user, &why);
		json_decref(claims);
		if (err == ERR_EXISTS || err == ERR_INVALID) {
			refuse(request, 403, why.text);
			return;
		}
	}
	if (err)
		refuse_err(request, err, &why);
	else
		begin_session(request, user, login_next(pending->next));
}

static bool is_on(struct http_request *request)
{
	if (gateway_of(request)->openid_provider)
		return true;
	http_reply_error(request, 404, NULL, "Signing in through another provider is not set up on this hub");
	return false;
}

void openid_login_start(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (is_on(request))
		http_work(request, start_work, NULL);
}

void openid_login_back(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (is_on(request))
		http_work(request, back_work, NULL);
}
