/* discussion_change.c - calls that change a discussion: comments, edits, status and title. Handlers declared in discussions.h. */
#include "gateway/hub/discussions.h"

#include <strings.h>

#include "gateway/hub/discussion_call.h"
#include "gateway/hub/discussion_object.h"

/* ERR_CONFLICT is what a status or a hidden comment does not allow: the caller's mistake, not a race. */
static void answer_change(struct http_request *request, int err, const struct why *why)
{
	if (err == ERR_CONFLICT)
		http_reply_error(request, 400, NULL, why->text);
	else
		answer_err(request, err, why);
}

static void start(struct http_request *request, const struct route_match *match, size_t after, body_call_fn run)
{
	struct call *call = discussion_call_open(request, match, after, ACTION_DISCUSS);
	if (call)
		body_call(request, call, DISCUSSION_BODY_BYTES_MAX, run);
}

static void post_comment(struct http_request *request, struct call *call, const json_t *body)
{
	struct discussion discussion;
	struct why why = { 0 };
	const char *text = body_text(request, body, "comment", 1, COMMENT_BYTES_MAX);
	if (!text || discussion_call_find(request, call, &discussion) != 0)
		return;
	uint64_t event;
	int err = discussion_comment(call->gateway->ns, call->actor.name, &call->repo.id, discussion.number, span_text(text), &event, &why);
	if (err)
		answer_change(request, err, &why);
	else
		reply_discussion_event(request, call, discussion.number, event, "newMessage");
}

void discussion_comment_post(struct http_request *request, const struct route_match *match)
{
	start(request, match, 1, post_comment);
}

static void edit_comment(struct http_request *request, struct call *call, const json_t *body)
{
	struct discussion discussion;
	struct discussion_event event;
	struct why why = { 0 };
	const char *text = body_text(request, body, "content", 1, COMMENT_BYTES_MAX);
	if (!text || discussion_call_find(request, call, &discussion) != 0 ||
		discussion_call_find_comment(request, call, discussion.number, &event) != 0)
		return;
	if (strcasecmp(event.author, call->actor.name) != 0) {
		http_reply_error(request, 403, NULL, "Only its author can edit a comment");
		return;
	}
	int err = discussion_edit(call->gateway->ns, call->actor.name, &call->repo.id, discussion.number, event.number, false, span_text(text), &why);
	if (err)
		answer_change(request, err, &why);
	else
		reply_discussion_event(request, call, discussion.number, event.number, "updatedComment");
}

void discussion_comment_edit(struct http_request *request, const struct route_match *match)
{
	start(request, match, 2, edit_comment);
}

static void hide_comment(struct http_request *request, struct call *call, const json_t *body)
{
	(void)body;
	struct discussion discussion;
	struct discussion_event event;
	struct why why = { 0 };
	if (discussion_call_find(request, call, &discussion) != 0 || discussion_call_find_comment(request, call, discussion.number, &event) != 0 ||
		!discussion_call_owns(request, call, event.author))
		return;
	int err = discussion_edit(call->gateway->ns, call->actor.name, &call->repo.id, discussion.number, event.number, true, (struct span){ 0 }, &why);
	if (err)
		answer_change(request, err, &why);
	else
		reply_discussion_event(request, call, discussion.number, event.number, "updatedComment");
}

void discussion_comment_hide(struct http_request *request, const struct route_match *match)
{
	start(request, match, 2, hide_comment);
}

static void set_title(struct http_request *request, struct call *call, const json_t *body)
{
	struct discussion discussion;
	struct why why = { 0 };
	const char *title = body_text(request, body, "title", DISCUSSION_TITLE_BYTES_MIN, DISCUSSION_TITLE_BYTES_MAX);
	if (!title || discussion_call_find(request, call, &discussion) != 0 || !discussion_call_owns(request, call, discussion.author))
		return;
	uint64_t event;
	int err = discussion_set_title(call->gateway->ns, call->actor.name, &call->repo.id, discussion.number, title, &event, &why);
	if (err)
		answer_change(request, err, &why);
	else
		reply_discussion_event(request, call, discussion.number, event, "newTitle");
}

void discussion_title_post(struct http_request *request, const struct route_match *match)
{
	start(request, match, 1, set_title);
}

static void set_status(struct http_request *request, struct call *call, const json_t *body)
{
	struct discussion discussion;
	struct why why = { 0 };
	const char *name = json_body_text(body, "status", ""), *comment = json_body_text(body, "comment", "");
	enum discussion_status status = strcmp(name, "open") == 0 ? DISCUSSION_OPEN : strcmp(name, "closed") == 0 ? DISCUSSION_CLOSED :
		strcmp(name, "draft") == 0 ? DISCUSSION_DRAFT : 0;
	if (status == 0 || strlen(comment) > COMMENT_BYTES_MAX) {
		http_reply_error(request, 400, NULL, status ? "The comment is too long" : "\"status\" must be open, closed or draft");
		return;
	}
	if (discussion_call_find(request, call, &discussion) != 0 || !discussion_call_owns(request, call, discussion.author))
		return;
	uint64_t event;
	int err = discussion_set_status(call->gateway->ns, call->actor.name, &call->repo.id, discussion.number, status, &event, &why);
	if (err == 0 && *comment)
		err = discussion_comment(call->gateway->ns, call->actor.name, &call->repo.id, discussion.number, span_text(comment), NULL, &why);
	if (err)
		answer_change(request, err, &why);
	else
		reply_discussion_event(request, call, discussion.number, event, "newStatus");
}

void discussion_status_post(struct http_request *request, const struct route_match *match)
{
	start(request, match, 1, set_status);
}

static void set_pinned(struct http_request *request, struct call *call, const json_t *body)
{
	struct discussion discussion;
	struct why why = { 0 };
	bool pinned = json_body_bool(body, "pinned", true);
	if (discussion_call_find(request, call, &discussion) != 0)
		return;
	int err = discussion.pinned == pinned ? 0 :
		discussion_set_pinned(call->gateway->ns, call->actor.name, &call->repo.id, discussion.number, pinned, NULL, &why);
	if (err)
		answer_change(request, err, &why);
	else
		reply_success(request);
}

void discussion_pin_post(struct http_request *request, const struct route_match *match)
{
	struct call *call = discussion_call_open(request, match, 1, ACTION_WRITE);
	if (call)
		body_call(request, call, DISCUSSION_BODY_BYTES_MAX, set_pinned);
}
