/* connected.c - the apps that a signed-in user let in, and taking that back: /settings/connected-applications. */
#include "gateway/answer.h"
#include "gateway/auth/app_tokens.h"
#include "gateway/auth/oauth_scope.h"
#include "gateway/process.h"
#include "gateway/web/html.h"
#include "gateway/web/login.h"
#include "replication/app.h"

enum { CONNECTED_BODY_BYTES_MAX = 4096, CONNECTED_MAX = 100 };

struct connected {
	struct entity_id apps[CONNECTED_MAX];
	uint64_t scopes[CONNECTED_MAX];
	size_t count;
};

static int note_token(void *context, const struct token *token)
{
	struct connected *connected = context;
	if (!token_is_of_app(token) || token->expires_ms <= unix_ms())
		return 0;
	size_t i = 0;
	while (i < connected->count && memcmp(&connected->apps[i], &token->app, ENTITY_ID_BYTES) != 0)
		i++;
	if (i == CONNECTED_MAX)
		return 1;
	if (i == connected->count) {
		connected->apps[connected->count++] = token->app;
		connected->scopes[i] = 0;
	}
	connected->scopes[i] |= token->scopes;
	return 0;
}

static void write_app(struct buffer *page, struct namespace *ns, const struct entity_id *id, uint64_t scopes)
{
	struct app app;
	char client[ENTITY_ID_TEXT_BYTES], text[OAUTH_SCOPE_TEXT_BYTES_MAX];
	if (app_get(ns, id, &app) != 0)
		return;
	hex_encode(client, id->bytes, ENTITY_ID_BYTES);
	oauth_scopes_write(scopes, text);
	buffer_append_text(page, "<li><form class=\"inline\" method=\"post\" action=\"/settings/connected-applications\"><strong>");
	html_escaped(page, app.name);
	buffer_append_text(page, "</strong>, of ");
	html_escaped(page, app.owner);
	buffer_printf(page, ": %s <button name=\"client_id\" value=\"%s\">Revoke</button></form></li>\n", text, client);
}

static void page_work(struct http_request *request, void *context)
{
	const struct actor *actor = context;
	struct namespace *ns = gateway_of(request)->ns;
	struct connected *connected = http_alloc(request, sizeof(*connected));
	struct buffer page;
	token_list(ns, actor->name, note_token, connected);
	buffer_init(&page, PAGE_BYTES_MAX);
	html_begin(&page, "Connected apps");
	buffer_append_text(&page, "<h1>Connected apps</h1>\n<p>These hold tokens of yours:</p>\n<ul>\n");
	for (size_t i = 0; i < connected->count; i++)
		write_app(&page, ns, &connected->apps[i], connected->scopes[i]);
	buffer_append_text(&page, connected->count ? "</ul>\n" : "<li>none</li></ul>\n");
	html_reply(request, 200, &page);
}

/* Somebody who may change their account. NULL: answered already. */
static struct actor *open_session(struct http_request *request)
{
	struct actor *actor = http_alloc(request, sizeof(*actor));
	if (!html_visitor(request, actor))
		return NULL;
	if (actor->anonymous)
		html_redirect(request, "/login?next=/settings/connected-applications");
	else if (actor->role != TOKEN_WRITE && actor->role != TOKEN_READ)
		answer_err(request, ERR_DENIED, NULL);
	else
		return actor;
	return NULL;
}

void connected_page(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct actor *actor = open_session(request);
	if (actor)
		http_work(request, page_work, actor);
}

static void revoke_body(struct http_request *request, struct span form, void *context)
{
	const struct actor *actor = context;
	const char *client = http_form_value(request, form, "client_id", 0);
	struct entity_id id;
	struct why why = { 0 };
	bool valid = client && hex_decode(id.bytes, ENTITY_ID_BYTES, client, strlen(client)) == 0;
	int err = valid ? app_tokens_revoke(gateway_of(request)->ns, actor->name, &id, 0, &why) : ERR_INVALID;
	if (err)
		answer_err(request, err, &why);
	else
		html_redirect(request, "/settings/connected-applications");
}

void connected_post(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (auth_is_forged(request)) {
		answer_err(request, ERR_DENIED, &(struct why){ "This form was sent by another site" });
		return;
	}
	struct actor *actor = open_session(request);
	if (actor)
		http_collect(request, CONNECTED_BODY_BYTES_MAX, revoke_body, actor);
}
