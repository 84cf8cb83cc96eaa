/* tokens.c - a session is worth a token, so this page makes none: whoever found a token could otherwise make it outlive itself. It takes back: that is what
 * the owner of a lost one needs at once. */
#include "gateway/auth/token_json.h" /* jansson before json_writer.h */

#include "gateway/answer.h"
#include "gateway/process.h"
#include "gateway/web/html.h"
#include "gateway/web/tokens.h"

enum { TOKENS_BODY_BYTES_MAX = 16 << 10, TOKENS_SHOWN_MAX = 1000, DATE_BYTES = 10 };

struct tokens_list {
	struct buffer page;
	const struct actor *actor;
	int64_t now_ms;
	unsigned count;
};

/* The day of a date: what people look for. */
static void write_day(struct buffer *out, int64_t ms)
{
	struct buffer date;
	struct json_writer json;
	buffer_init(&date, 64);
	json_writer_init(&json, &date);
	json_date(&json, NULL, ms);
	if (date.length > DATE_BYTES + 1) /* behind its quote */
		buffer_append(out, date.data + 1, DATE_BYTES);
	buffer_fini(&date);
}

static int write_token(void *context, const struct token *token)
{
	struct tokens_list *list = context;
	char id[ENTITY_ID_TEXT_BYTES];
	hex_encode(id, token->id.bytes, ENTITY_ID_BYTES);
	buffer_append_text(&list->page, "<tr><td>");
	html_escaped(&list->page, token->name);
	if (memcmp(token->id.bytes, list->actor->token_id.bytes, ENTITY_ID_BYTES) == 0)
		buffer_append_text(&list->page, " (this browser)");
	buffer_printf(&list->page, "</td><td>%s</td><td>", token_role_name(token->role));
	write_day(&list->page, token->created_ms);
	buffer_append_text(&list->page, "</td><td>");
	if (token->expires_ms && token->expires_ms <= list->now_ms)
		buffer_append_text(&list->page, "has run out");
	else if (token->expires_ms)
		write_day(&list->page, token->expires_ms);
	else
		buffer_append_text(&list->page, "never");
	buffer_printf(&list->page, "</td><td><form method=\"post\" action=\"/settings/tokens\"><button name=\"id\" value=\"%s\">Revoke</button></form></td></tr>\n", id);
	return ++list->count == TOKENS_SHOWN_MAX;
}

static void page_work(struct http_request *request, void *context)
{
	struct tokens_list list = { .actor = context, .now_ms = unix_ms() };
	buffer_init(&list.page, PAGE_BYTES_MAX);
	html_begin(&list.page, "Tokens");
	buffer_append_text(&list.page, "<h1>Your tokens</h1>\n<table>\n<tr><th>Name</th><th>Role</th><th>Made</th><th>Ends</th><th></th></tr>\n");
	token_list(gateway_of(request)->ns, list.actor->name, write_token, &list);
	buffer_append_text(&list.page, "</table>\n<p>A revoked token stops working at once, with everything that was asked for with it.</p>\n");
	html_reply(request, 200, &list.page);
}

/* Somebody whose session may change things. NULL: answered already. */
static struct actor *open_session(struct http_request *request)
{
	struct actor *actor = http_alloc(request, sizeof(*actor));
	if (!html_visitor(request, actor))
		return NULL;
	if (actor->anonymous)
		html_redirect(request, "/login?next=/settings/tokens");
	else if (actor->role != TOKEN_WRITE)
		answer_err(request, ERR_DENIED, &(struct why){ "Sign in with a write token to see and revoke your tokens" });
	else
		return actor;
	return NULL;
}

void tokens_page(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct actor *actor = open_session(request);
	if (actor)
		http_work(request, page_work, actor);
}

static void revoke_body(struct http_request *request, struct span form, void *context)
{
	const struct actor *actor = context;
	struct namespace *ns = gateway_of(request)->ns;
	const char *text = http_form_value(request, form, "id", 0);
	struct entity_id id;
	struct token token;
	struct why why = { 0 };
	int err = text && hex_decode(id.bytes, ENTITY_ID_BYTES, text, strlen(text)) == 0 ? token_get(ns, &id, &token) : ERR_NOT_FOUND;
	if (err == 0 && strcmp(token.user, actor->name) != 0)
		err = ERR_NOT_FOUND;
	if (err == 0)
		err = token_delete(ns, actor->name, &id, &why);
	if (err)
		answer_err(request, err, err == ERR_NOT_FOUND ? &(struct why){ "You have no such token" } : &why);
	else
		html_redirect(request, "/settings/tokens");
}

void tokens_post(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (auth_is_forged(request)) {
		answer_err(request, ERR_DENIED, &(struct why){ "This form was sent by another site" });
		return;
	}
	struct actor *actor = open_session(request);
	if (actor)
		http_collect(request, TOKENS_BODY_BYTES_MAX, revoke_body, actor);
}
