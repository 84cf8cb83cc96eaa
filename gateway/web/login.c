/* login.c - a session is the cookie "token" with the pasted token in it: HttpOnly, SameSite=Lax, and worth as much as the token is. Nothing else is
 * kept, so a token that is revoked ends its sessions. Posts that another site makes a browser send are refused (gateway/auth/auth.c). */
#include "gateway/auth/openid_provider.h" /* jansson before json_writer.h */

#include "gateway/web/login.h"

#include "gateway/answer.h"
#include "gateway/process.h"
#include "gateway/web/html.h"

enum { LOGIN_BODY_BYTES_MAX = 16 << 10, SESSION_S_MAX = 30 * 24 * 3600, NEXT_BYTES_MAX = 4200 };

/* A path of this site to go on to: never another site, never anything a header may not hold. */
const char *login_next(const char *next)
{
	if (!next || next[0] != '/' || next[1] == '/' || next[1] == '\\' || strlen(next) > NEXT_BYTES_MAX)
		return "/";
	for (const char *p = next; *p; p++)
		if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f || *p == '\\')
			return "/";
	return next;
}

/* A path within a query within an attribute. */
static void append_next(struct buffer *out, const char *next)
{
	for (; *next; next++)
		buffer_printf(out, strchr("%&+#=?\"'<>", *next) ? "%%%02X" : "%c", (unsigned char)*next);
}

static void reply_form(struct http_request *request, int status, const char *next, const char *complaint)
{
	struct buffer page;
	buffer_init(&page, PAGE_BYTES_MAX);
	html_begin(&page, "Sign in");
	buffer_append_text(&page, "<h1>Sign in</h1>\n");
	if (complaint) {
		buffer_append_text(&page, "<p><strong>");
		html_escaped(&page, complaint);
		buffer_append_text(&page, "</strong></p>\n");
	}
	buffer_append_text(&page, "<form method=\"post\" action=\"/login\"><input type=\"hidden\" name=\"next\" value=\"");
	html_escaped(&page, next);
	buffer_append_text(&page, "\">\n<p><label>Access token<br><input type=\"password\" name=\"token\" size=\"44\" autocomplete=\"current-password\" required></label></p>\n"
		"<p><button>Sign in</button></p></form>\n<p>A token of yours, as an administrator of this hub gave it to you. It stays in a cookie of this browser.</p>\n");
	if (gateway_of(request)->openid_provider) {
		buffer_append_text(&page, "<p><a href=\"/login/openid?next=");
		append_next(&page, next);
		buffer_append_text(&page, "\">Sign in with ");
		html_escaped(&page, openid_provider_config(gateway_of(request)->openid_provider)->issuer);
		buffer_append_text(&page, "</a></p>\n");
	}
	html_reply(request, status, &page);
}

void login_page(struct http_request *request, const struct route_match *match)
{
	(void)match;
	reply_form(request, 200, login_next(http_query_value(request, "next", 0)), NULL);
}

void login_set_cookie(struct http_request *request, const char *token, int64_t seconds)
{
	bool secure = strncmp(http_base_url(request), "https:", 6) == 0;
	http_add_headerf(request, "Set-Cookie", "token=%s; Path=/; Max-Age=%lld; HttpOnly; SameSite=Lax%s", token, (long long)seconds, secure ? "; Secure" : "");
}

/* Pasted text has blanks around it. */
static struct span trimmed(const char *text)
{
	struct span span = span_text(text);
	while (span.length && (span.data[0] == ' ' || span.data[0] == '\t' || span.data[0] == '\r' || span.data[0] == '\n'))
		span = span_of(span.data + 1, span.length - 1);
	while (span.length && (span.data[span.length - 1] == ' ' || span.data[span.length - 1] == '\r' || span.data[span.length - 1] == '\n'))
		span.length--;
	return span;
}

static void login_body(struct http_request *request, struct span form, void *context)
{
	(void)context;
	const char *text = http_form_value(request, form, "token", 0), *next = login_next(http_form_value(request, form, "next", 0));
	struct actor actor;
	struct span token = trimmed(text ? text : "");
	if (token.length == 0 || auth_identify_text(request, token, &actor) != 0) {
		reply_form(request, 401, next, "This token is not valid, or no longer.");
		return;
	}
	int64_t left_s = actor.token.expires_ms ? (actor.token.expires_ms - unix_ms()) / 1000 : SESSION_S_MAX;
	login_set_cookie(request, http_strndup(request, token.data, token.length), left_s < SESSION_S_MAX ? left_s : SESSION_S_MAX);
	html_redirect(request, next);
}

void login_post(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (auth_is_forged(request))
		answer_err(request, ERR_DENIED, &(struct why){ "This form was sent by another site" });
	else
		http_collect(request, LOGIN_BODY_BYTES_MAX, login_body, NULL);
}

static void logout_body(struct http_request *request, struct span form, void *context)
{
	(void)form, (void)context;
	login_set_cookie(request, "", 0);
	html_redirect(request, "/");
}

void logout_post(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (auth_is_forged(request))
		answer_err(request, ERR_DENIED, &(struct why){ "This form was sent by another site" });
	else
		http_collect(request, LOGIN_BODY_BYTES_MAX, logout_body, NULL);
}
