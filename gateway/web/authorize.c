/* authorize.c - where a signed-in user allows an app to act for them, or does not (RFC 6749 4.1.1, 4.1.2; OpenID Connect Core 3.1.2).
 *
 * DESIGN. The question is the query of the address, the same for the page and for its form. As long as the app or its redirect URI is not known for sure, what is wrong is told to
 * the person and nobody is sent anywhere; from then on it is told to the app. The page always shows: nothing is allowed by coming here. The post carries the
 * decision; one without a decision, which no browser can be made to send from elsewhere (gateway/auth/auth.c), is a yes. An app gets no more than it is
 * registered for, and no more than the session may pass on; a fine-grained token, such as those that apps hold, allows nothing. */
#include <stdio.h>

#include "gateway/answer.h"
#include "gateway/auth/app_tokens.h"
#include "gateway/auth/oauth_scope.h"
#include "gateway/auth/redirect_uri.h"
#include "gateway/process.h"
#include "gateway/web/html.h"
#include "gateway/web/login.h"

enum {
	AUTHORIZE_QUERY_BYTES_MAX = 4096,
	AUTHORIZE_BODY_BYTES_MAX = 16 << 10,
	AUTHORIZE_ADDRESS_BYTES_MAX = 32 << 10,
	AUTHORIZE_LOGIN_BYTES_MAX = 8000, /* what a browser is sent to must come back as a request line */
	ORGS_SHOWN_MAX = 50,
};

struct question {
	struct actor actor;
	struct app app;
	char client_id[ENTITY_ID_TEXT_BYTES];
	const char *redirect_uri, *state, *nonce, *challenge, *prompt;
	uint64_t scopes;
	const char *error, *description; /* to be told to the app; NULL: none */
};

/* ------------------------------------------------------------------ back to the app */

/* Everything but letters, digits and -._~ escaped. */
static void append_escaped(struct buffer *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
		if (plain)
			buffer_append_byte(out, c);
		else
			buffer_printf(out, "%%%02X", c);
	}
}

static void append_parameter(struct buffer *out, const char *key, const char *value)
{
	if (!value)
		return;
	buffer_append_byte(out, memchr(out->data, '?', out->length) ? '&' : '?');
	buffer_append_text(out, key);
	buffer_append_byte(out, '=');
	append_escaped(out, value);
}

static void send_back(struct http_request *request, const struct question *question, const char *key, const char *value, const char *description)
{
	struct buffer address;
	buffer_init(&address, AUTHORIZE_ADDRESS_BYTES_MAX);
	buffer_append_text(&address, question->redirect_uri);
	append_parameter(&address, key, value);
	append_parameter(&address, "error_description", description);
	append_parameter(&address, "state", question->state);
	append_parameter(&address, "iss", http_base_url(request));
	buffer_append_byte(&address, 0);
	const char *location = address.failed ? NULL : http_strndup(request, address.data, address.length);
	buffer_fini(&address);
	if (location)
		html_redirect(request, location);
	else
		answer_err(request, ERR_NO_MEMORY, NULL);
}

/* ------------------------------------------------------------------ the question */

static bool is_challenge(const char *text)
{
	return strlen(text) == APP_CHALLENGE_BYTES &&
		strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == APP_CHALLENGE_BYTES;
}

static void complain(struct question *question, const char *error, const char *description)
{
	if (question->error)
		return;
	question->error = error;
	question->description = description;
}

static void check(struct http_request *request, struct question *question)
{
	const char *type = http_query_value(request, "response_type", 0), *mode = http_query_value(request, "response_mode", 0);
	const char *method = http_query_value(request, "code_challenge_method", 0), *scope = http_query_value(request, "scope", 0);
	question->state = http_query_value(request, "state", 0);
	question->nonce = http_query_value(request, "nonce", 0);
	question->challenge = http_query_value(request, "code_challenge", 0);
	question->prompt = http_query_value(request, "prompt", 0);
	question->scopes = oauth_scopes_read(span_text(scope ? scope : "openid profile")) & question->app.scopes;
	if (!type || strcmp(type, "code") != 0)
		complain(question, "unsupported_response_type", "Only \"code\" is supported");
	if (mode && strcmp(mode, "query") != 0)
		complain(question, "invalid_request", "Only the response mode \"query\" is supported");
	if (http_query_value(request, "request", 0) || http_query_value(request, "request_uri", 0))
		complain(question, "request_not_supported", "Signed requests are not supported");
	if (!question->challenge && !question->app.has_secret)
		complain(question, "invalid_request", "\"code_challenge\" is missing: this app has no secret");
	if (question->challenge && (!method || strcmp(method, "S256") != 0 || !is_challenge(question->challenge)))
		complain(question, "invalid_request", "\"code_challenge\" must be 43 characters of base64url, by the method S256");
	if (question->nonce && strlen(question->nonce) > APP_NONCE_BYTES_MAX)
		complain(question, "invalid_request", "\"nonce\" is too long");
	if (question->scopes == 0)
		complain(question, "invalid_scope", "This app may ask for none of these scopes");
}

/* The app and where it may have people sent. False: answered already. */
static bool find_app(struct http_request *request, struct question *question)
{
	const char *client = http_query_value(request, "client_id", 0);
	struct entity_id id;
	question->redirect_uri = http_query_value(request, "redirect_uri", 0);
	if (client && strstr(client, "://")) {
		answer_unbuilt(request, "Client ids that are addresses of metadata documents");
		return false;
	}
	if (!client || hex_decode(id.bytes, ENTITY_ID_BYTES, client, strlen(client)) != 0 ||
		app_get(gateway_of(request)->ns, &id, &question->app) != 0) {
		html_reply_text(request, 400, "No such app", "The app that sent you here is not registered with this hub, or no longer.");
		return false;
	}
	hex_encode(question->client_id, id.bytes, ENTITY_ID_BYTES);
	if (!question->redirect_uri || !redirect_uri_allowed(&question->app, question->redirect_uri)) {
		html_reply_text(request, 400, "Not an address of this app", "The app that sent you here wants you to be sent back to an address that it is not registered for.");
		return false;
	}
	return true;
}

/* The query without "prompt": what is to be asked after signing in. */
static void append_query(struct buffer *out, struct span query)
{
	for (size_t at = 0; at < query.length;) {
		const uint8_t *end = memchr(query.data + at, '&', query.length - at);
		size_t length = (end ? (size_t)(end - query.data) : query.length) - at;
		bool is_prompt = length >= 7 && memcmp(query.data + at, "prompt=", 7) == 0;
		if (!is_prompt && length) {
			buffer_append_byte(out, out->length ? '&' : '?');
			buffer_append(out, query.data + at, length);
		}
		at += length + 1;
	}
	buffer_append_byte(out, 0);
}

static void go_and_sign_in(struct http_request *request)
{
	struct buffer query, next;
	buffer_init(&query, AUTHORIZE_QUERY_BYTES_MAX + 2);
	buffer_init(&next, AUTHORIZE_LOGIN_BYTES_MAX);
	append_query(&query, http_query(request));
	buffer_append_text(&next, "/login?next=/oauth/authorize");
	if (!query.failed)
		append_escaped(&next, (const char *)query.data);
	buffer_append_byte(&next, 0);
	const char *location = query.failed || next.failed ? NULL : http_strndup(request, next.data, next.length);
	buffer_fini(&query);
	buffer_fini(&next);
	if (location)
		html_redirect(request, location);
	else
		html_reply_text(request, 400, "Sign in first", "What this app asks for is too long to be kept while you sign in. Sign in, and try again.");
}

/* Who asks what. NULL: answered already, or sent to sign in. */
static struct question *open_question(struct http_request *request)
{
	struct question *question = http_alloc(request, sizeof(*question));
	if (http_query(request).length > AUTHORIZE_QUERY_BYTES_MAX) {
		html_reply_text(request, 400, "Too long", "What this app asks for is too long.");
		return NULL;
	}
	if (!html_visitor(request, &question->actor) || !find_app(request, question))
		return NULL;
	check(request, question);
	bool quiet = question->prompt && strcmp(question->prompt, "none") == 0;
	if (question->actor.anonymous && quiet)
		complain(question, "login_required", "Nobody is signed in");
	if (quiet)
		complain(question, "consent_required", "People are always asked");
	if (question->error) {
		send_back(request, question, "error", question->error, question->description);
		return NULL;
	}
	if (question->actor.anonymous || (http_method(request) != HTTP_POST && question->prompt && strcmp(question->prompt, "login") == 0)) {
		go_and_sign_in(request);
		return NULL;
	}
	if (question->actor.role != TOKEN_WRITE && question->actor.role != TOKEN_READ) {
		html_reply_text(request, 403, "Not with this token", "A fine-grained token cannot let apps in. Sign in with another one.");
		return NULL;
	}
	if (question->actor.role == TOKEN_READ)
		question->scopes &= OAUTH_SCOPES_READING;
	if (question->scopes)
		return question;
	html_reply_text(request, 403, "Not with this token", "Your session may only read, and this app wants to change something. Sign in with another token.");
	return NULL;
}

/* ------------------------------------------------------------------ the page */

struct org_boxes {
	struct buffer *page;
	int count;
};

static int write_org_box(void *context, const struct org *org, const struct member *member)
{
	(void)member;
	struct org_boxes *boxes = context;
	if (boxes->count++ == 0)
		buffer_append_text(boxes->page, "<p>Also in these organisations of yours:<br>\n");
	buffer_append_text(boxes->page, "<label><input type=\"checkbox\" name=\"org\" value=\"");
	html_escaped(boxes->page, org->name);
	buffer_append_text(boxes->page, "\"> ");
	html_escaped(boxes->page, org->name);
	buffer_append_text(boxes->page, "</label><br>\n");
	return boxes->count == ORGS_SHOWN_MAX;
}

static void write_scopes(struct buffer *page, uint64_t scopes)
{
	buffer_append_text(page, "<ul>\n");
	for (unsigned k = 0; oauth_scope_name(k); k++)
		if (scopes >> k & 1)
			buffer_printf(page, "<li>%s</li>\n", oauth_scope_meaning(k));
	buffer_append_text(page, "</ul>\n");
}

static void page_work(struct http_request *request, void *context)
{
	(void)context;
	struct question *question = open_question(request);
	if (!question)
		return;
	struct buffer page;
	buffer_init(&page, PAGE_BYTES_MAX);
	struct span origin = redirect_uri_origin(question->redirect_uri), query = http_query(request);
	const char *origin_text = http_strndup(request, origin.data, origin.length);
	html_begin(&page, "Let an app in");
	buffer_append_text(&page, "<h1>Let an app in</h1>\n<p><strong>");
	html_escaped(&page, question->app.name);
	buffer_append_text(&page, "</strong>, an app of ");
	html_escaped(&page, question->app.owner);
	buffer_append_text(&page, ", wants to act for you, <strong>");
	html_escaped(&page, question->actor.name);
	buffer_append_text(&page, "</strong>. It would be able to:</p>\n");
	write_scopes(&page, question->scopes);
	buffer_append_text(&page, "<form method=\"post\" action=\"/oauth/authorize?");
	html_escaped(&page, http_strndup(request, query.data, query.length));
	buffer_append_text(&page, "\">\n");
	struct org_boxes boxes = { .page = &page };
	if (question->scopes & OAUTH_SCOPES_OF_ORGS)
		member_orgs(gateway_of(request)->ns, question->actor.name, write_org_box, &boxes);
	buffer_append_text(&page, boxes.count ? "</p>\n" : "");
	buffer_append_text(&page, "<p>You will be sent on to <code>");
	html_escaped(&page, origin_text);
	buffer_append_text(&page, "</code>. Allow it only if you came here from there.</p>\n"
		"<p><button name=\"decision\" value=\"allow\">Allow</button><button name=\"decision\" value=\"deny\">Deny</button></p></form>\n"
		"<form method=\"post\" action=\"/logout\"><p>Somebody else? <button>Sign out</button></p></form>\n");
	html_reply_to(request, 200, &page, origin_text);
}

void authorize_page(struct http_request *request, const struct route_match *match)
{
	(void)match;
	http_work(request, page_work, NULL);
}

/* ------------------------------------------------------------------ the decision */

/* The organisations that were ticked, of which the user is a member. */
static int add_orgs(struct http_request *request, const struct question *question, struct span form, struct token_rights *rights)
{
	struct namespace *ns = gateway_of(request)->ns;
	const char *name;
	for (int k = 0; k < TOKEN_SCOPES_MAX && (name = http_form_value(request, form, "org", k)) != NULL; k++) {
		struct member member;
		if (!name_valid(span_text(name)) || member_find(ns, name, question->actor.name, &member) != 0)
			continue;
		int err = oauth_rights_add_org(rights, question->scopes, &member.org);
		if (err)
			return err;
	}
	return 0;
}

static void allow(struct http_request *request, struct question *question, struct span form)
{
	struct app_code *code = http_alloc(request, sizeof(*code));
	char text[APP_CODE_TEXT_BYTES_MAX];
	struct why why = { 0 };
	code->app = question->app.id;
	code->scopes = question->scopes;
	code->expires_ms = unix_ms() + OAUTH_CODE_MS;
	snprintf(code->user, sizeof(code->user), "%s", question->actor.name);
	snprintf(code->redirect_uri, sizeof(code->redirect_uri), "%s", question->redirect_uri);
	snprintf(code->challenge, sizeof(code->challenge), "%s", question->challenge ? question->challenge : "");
	snprintf(code->nonce, sizeof(code->nonce), "%s", question->nonce ? question->nonce : "");
	oauth_rights(&code->rights, question->scopes, &question->actor.user_id);
	int err = add_orgs(request, question, form, &code->rights);
	if (err == 0)
		err = app_code_create(gateway_of(request)->ns, question->actor.name, code, text, &why);
	if (err)
		answer_err(request, err, &why);
	else
		send_back(request, question, "code", text, NULL);
}

static void decide_body(struct http_request *request, struct span form, void *context)
{
	(void)context;
	struct question *question = open_question(request);
	if (!question)
		return;
	const char *decision = http_form_value(request, form, "decision", 0);
	if (!decision || strcmp(decision, "allow") == 0)
		allow(request, question, form);
	else
		send_back(request, question, "error", "access_denied", "The user said no");
}

void authorize_post(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (auth_is_forged(request))
		answer_err(request, ERR_DENIED, &(struct why){ "This form was sent by another site" });
	else
		http_collect(request, AUTHORIZE_BODY_BYTES_MAX, decide_body, NULL);
}
