#include "gateway/hub/discussions.h"

#include <stdlib.h>
#include <strings.h>

#include "gateway/hub/discussion_call.h"
#include "gateway/hub/discussion_object.h"
#include "gateway/hub/pull_request.h"

enum { DISCUSSIONS_PAGE = 50, DISCUSSIONS_PAGES_MAX = 100000 };

/* ------------------------------------------------------------------ listing */

struct discussion_list {
	struct call *call;
	bool discussions, pull_requests, open, closed;
	const char *author, *search;
	uint64_t start, count; /* of the page; that match in all */
	struct json_writer json;
};

static bool matches(const struct discussion_list *list, const struct discussion *discussion)
{
	bool is_open = discussion->status == DISCUSSION_OPEN || discussion->status == DISCUSSION_DRAFT;
	return (discussion->is_pull_request ? list->pull_requests : list->discussions) && (is_open ? list->open : list->closed) &&
		(!list->author || strcasecmp(list->author, discussion->author) == 0) && (!list->search || strcasestr(discussion->title, list->search));
}

static int list_one(void *context, const struct discussion *discussion)
{
	struct discussion_list *list = context;
	if (!matches(list, discussion))
		return 0;
	uint64_t place = list->count++;
	if (place < list->start || place >= list->start + DISCUSSIONS_PAGE)
		return 0;
	json_object_begin(&list->json, NULL);
	write_discussion_members(&list->json, &list->call->repo, discussion);
	json_object_end(&list->json);
	return 0;
}

static int list_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct discussion_list *list = call->state;
	struct buffer body;
	buffer_init(&body, ANSWER_BYTES_MAX);
	json_writer_init(&list->json, &body);
	json_object_begin(&list->json, NULL);
	json_array_begin(&list->json, "discussions");
	int err = discussion_list(call->gateway->ns, &call->repo.id, 0, list_one, list);
	if (err) {
		buffer_fini(&body);
		answer_err(request, err, NULL);
		return 0;
	}
	json_array_end(&list->json);
	json_u64(&list->json, "count", list->count);
	json_u64(&list->json, "start", list->start);
	json_object_end(&list->json);
	answer_json(request, 200, &body);
	return 0;
}

/* The query's filters. False: one has no meaning, answered. */
static bool read_filters(struct http_request *request, struct discussion_list *list)
{
	const char *type = http_query_value(request, "type", 0), *status = http_query_value(request, "status", 0);
	const char *page = http_query_value(request, "p", 0);
	unsigned long long number = page ? strtoull(page, NULL, 10) : 0;
	type = type && *type ? type : "all";
	status = status && *status ? status : "all";
	list->discussions = strcmp(type, "discussion") == 0 || strcmp(type, "all") == 0;
	list->pull_requests = strcmp(type, "pull_request") == 0 || strcmp(type, "all") == 0;
	list->open = strcmp(status, "open") == 0 || strcmp(status, "all") == 0;
	list->closed = strcmp(status, "closed") == 0 || strcmp(status, "all") == 0;
	list->author = http_query_value(request, "author", 0);
	list->search = http_query_value(request, "search", 0);
	if (list->author && !*list->author)
		list->author = NULL;
	list->start = (number > DISCUSSIONS_PAGES_MAX ? DISCUSSIONS_PAGES_MAX : number) * DISCUSSIONS_PAGE;
	if ((list->discussions || list->pull_requests) && (list->open || list->closed))
		return true;
	http_reply_error(request, 400, NULL, "\"type\" is discussion, pull_request or all; \"status\" is open, closed or all");
	return false;
}

void discussions_list(struct http_request *request, const struct route_match *match)
{
	struct call *call = discussion_call_open(request, match, 0, ACTION_READ);
	if (!call)
		return;
	struct discussion_list *list = http_alloc(request, sizeof(*list));
	list->call = call;
	call->state = list;
	if (read_filters(request, list))
		call_work(request, call, list_run);
}

/* ------------------------------------------------------------------ creating */

static int open_at_head(struct call *call, struct discussion_opening *opening, struct why *why)
{
	struct ref ref;
	int err = ref_get(call->gateway->ns, NULL, &call->repo.id, call->repo.head, &ref);
	if (err)
		return why_set(why, err == ERR_NOT_FOUND ? ERR_INVALID : err, "The repository has no commit to open a pull request against");
	opening->base = call->repo.head;
	opening->base_oid = opening->head = ref.oid;
	opening->status = DISCUSSION_DRAFT;
	return repo_renew(call->gateway, &call->repo.id, &ref.oid, why);
}

static void create(struct http_request *request, struct call *call, const json_t *body)
{
	struct why why = { 0 };
	const char *text = json_body_text(body, "description", "");
	const char *title = body_text(request, body, "title", DISCUSSION_TITLE_BYTES_MIN, DISCUSSION_TITLE_BYTES_MAX);
	if (!title)
		return;
	struct discussion_opening opening = { .title = title, .text = span_text(text), .is_pull_request = json_body_bool(body, "pullRequest", false),
		.status = DISCUSSION_OPEN };
	struct resource resource = { .repo = &call->repo, .ns = call->gateway->ns };
	int err = opening.is_pull_request ? may(&call->actor, ACTION_PROPOSE, &resource) : 0;
	if (err == ERR_GATED) {
		answer_gated(request, call);
		return;
	}
	struct upload_entry naming;
	store_naming_begin(call->gateway->store, &naming);
	if (err == 0 && opening.is_pull_request)
		err = open_at_head(call, &opening, &why);
	uint64_t number = 0;
	if (err == 0)
		err = discussion_open(call->gateway->ns, call->actor.name, &call->repo.id, &opening, &number, &why);
	store_naming_end(call->gateway->store, &naming);
	if (err) {
		answer_err(request, err, &why);
		return;
	}
	struct buffer answer;
	struct json_writer json;
	buffer_init(&answer, ANSWER_BYTES_MAX);
	json_writer_init(&json, &answer);
	json_object_begin(&json, NULL);
	json_u64(&json, "num", number);
	json_text(&json, "url", discussion_url(request, &call->repo, number));
	json_bool(&json, "pullRequest", opening.is_pull_request);
	json_object_end(&json);
	answer_json(request, 200, &answer);
}

void discussions_create(struct http_request *request, const struct route_match *match)
{
	struct call *call = discussion_call_open(request, match, 0, ACTION_DISCUSS);
	if (call)
		body_call(request, call, DISCUSSION_BODY_BYTES_MAX, create);
}

/* ------------------------------------------------------------------ details */

struct details {
	struct call *call;
	uint64_t number;
	struct json_writer json;
	struct buffer body;
};

static int write_event(void *context, const struct discussion_event *event, struct span text)
{
	struct details *details = context;
	int err = write_discussion_event(details->call->gateway, &details->call->repo, details->number, &details->json, NULL, event, text);
	return err ? err : details->body.failed ? ERR_TOO_BIG : 0;
}

static int show_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct discussion discussion;
	if (discussion_call_find(request, call, &discussion) != 0)
		return 0;
	/* A diff is made of files: it stays behind the gate. */
	struct resource resource = { .repo = &call->repo, .ns = call->gateway->ns };
	bool diff = http_query_bool(request, "diff", false) && may(&call->actor, ACTION_READ_FILES, &resource) == 0;
	struct details details = { .call = call, .number = discussion.number };
	buffer_init(&details.body, ANSWER_BYTES_MAX);
	json_writer_init(&details.json, &details.body);
	json_object_begin(&details.json, NULL);
	write_discussion_members(&details.json, &call->repo, &discussion);
	json_array_begin(&details.json, "events");
	int err = discussion_events(call->gateway->ns, &call->repo.id, discussion.number, 0, write_event, &details);
	json_array_end(&details.json);
	if (err == 0 && discussion.is_pull_request)
		err = write_pull_request(call->gateway, &call->repo, &discussion, diff, &details.json);
	if (err) {
		buffer_fini(&details.body);
		answer_err(request, err, NULL);
		return 0;
	}
	json_object_end(&details.json);
	answer_json(request, 200, &details.body);
	return 0;
}

void discussion_show(struct http_request *request, const struct route_match *match)
{
	struct call *call = discussion_call_open(request, match, 1, ACTION_READ);
	if (call)
		call_work(request, call, show_run);
}

static int remove_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct discussion discussion;
	struct why why = { 0 };
	if (discussion_call_find(request, call, &discussion) != 0)
		return 0;
	int err = discussion_delete(call->gateway->ns, call->actor.name, &call->repo.id, discussion.number, &why);
	if (err)
		answer_err(request, err, &why);
	else
		reply_success(request);
	return 0;
}

void discussion_remove(struct http_request *request, const struct route_match *match)
{
	struct call *call = discussion_call_open(request, match, 1, ACTION_ADMIN);
	if (call)
		call_work(request, call, remove_run);
}
