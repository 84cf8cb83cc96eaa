/* device.c - where a signed-in user says yes or no to a device that shows a code. Yes is said to a code that they see, on a page that names who they are:
 * whoever was sent a link with a code in it is told what saying yes means. */
#include <stdio.h>

#include "gateway/answer.h"
#include "gateway/auth/device_login.h"
#include "gateway/process.h"
#include "gateway/web/html.h"
#include "gateway/web/login.h"

enum { DEVICE_BODY_BYTES_MAX = 16 << 10, SHOWN_CODE_BYTES_MAX = 32 };

static void reply_form(struct http_request *request, int status, const struct actor *actor, const char *code, const char *complaint)
{
	struct buffer page;
	buffer_init(&page, PAGE_BYTES_MAX);
	html_begin(&page, "Sign a device in");
	buffer_append_text(&page, "<h1>Sign a device in</h1>\n");
	if (complaint) {
		buffer_append_text(&page, "<p><strong>");
		html_escaped(&page, complaint);
		buffer_append_text(&page, "</strong></p>\n");
	}
	buffer_append_text(&page, "<p>You are <strong>");
	html_escaped(&page, actor->name);
	buffer_printf(&page, "</strong>. A device that shows this code will be able to %s in your name.\nAllow it only if you started the login there yourself.</p>\n",
		actor->role == TOKEN_WRITE ? "read and change everything that you can" : "read everything that you can");
	buffer_append_text(&page, "<form method=\"post\" action=\"/device\"><p><label>Code<br><input name=\"user_code\" size=\"12\" autocomplete=\"off\" autocapitalize=\"characters\" "
		"required value=\"");
	html_escaped(&page, code);
	buffer_append_text(&page, "\"></label></p>\n<p><button name=\"decision\" value=\"approve\">Allow</button><button name=\"decision\" value=\"deny\">Deny</button></p></form>\n"
		"<form method=\"post\" action=\"/logout\"><p>Somebody else? <button>Sign out</button></p></form>\n");
	html_reply(request, status, &page);
}

/* Somebody whose session may speak for them. False: answered already. */
static bool open_session(struct http_request *request, struct actor *actor)
{
	if (!html_visitor(request, actor))
		return false;
	if (!actor->anonymous && actor->role != TOKEN_WRITE && actor->role != TOKEN_READ) {
		html_reply_text(request, 403, "Not with this token", "A fine-grained token cannot sign devices in. Sign in with another one.");
		return false;
	}
	return true;
}

/* A code in a query: only what codes are made of. */
static const char *code_of(const char *text)
{
	if (!text || strlen(text) > SHOWN_CODE_BYTES_MAX)
		return "";
	for (const char *p = text; *p; p++)
		if (!((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || *p == '-'))
			return "";
	return text;
}

void device_page(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct actor actor;
	const char *code = code_of(http_query_value(request, "user_code", 0));
	if (!open_session(request, &actor))
		return;
	if (actor.anonymous)
		html_redirect(request, *code ? http_printf(request, "/login?next=/device%%3Fuser_code%%3D%s", code) : "/login?next=/device");
	else
		reply_form(request, 200, &actor, code, NULL);
}

static void device_body(struct http_request *request, struct span form, void *context)
{
	const struct actor *actor = context;
	const char *code = http_form_value(request, form, "user_code", 0), *decision = http_form_value(request, form, "decision", 0);
	bool approve = decision && strcmp(decision, "approve") == 0;
	if (!decision || (!approve && strcmp(decision, "deny") != 0))
		reply_form(request, 400, actor, code_of(code), "Allow or deny it.");
	else if (device_login_decide(gateway_of(request)->device_logins, code ? code : "", actor->name, actor->role, approve, unix_ms()) != 0)
		reply_form(request, 404, actor, "", "No device waits with this code. Codes are good for 15 minutes.");
	else
		html_reply_text(request, 200, approve ? "Allowed" : "Denied", approve ? "The device is signed in. You can close this page." : "The device was not signed in.");
}

void device_post(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct actor *actor = http_alloc(request, sizeof(*actor));
	if (auth_is_forged(request)) {
		answer_err(request, ERR_DENIED, &(struct why){ "This form was sent by another site" });
		return;
	}
	if (!open_session(request, actor))
		return;
	if (actor->anonymous)
		html_redirect(request, "/login?next=/device");
	else
		http_collect(request, DEVICE_BODY_BYTES_MAX, device_body, actor);
}
