#include "gateway/hub/notifications.h"

#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "gateway/hub/body_call.h"
#include "gateway/hub/discussion_object.h"
#include "gateway/hub/person.h"
#include "replication/gate.h"
#include "replication/notification.h"

enum {
	NOTIFICATIONS_PAGE = 50,
	BODY_BYTES_MAX = 128 << 10,
	PARTICIPANTS_SHOWN = 8,
};

/* ------------------------------------------------------------------ who, and which */

/* An inbox is for whoever acts as this user: no token of an app, and none that is limited to some repositories. */
static struct call *open_call(struct http_request *request, bool change)
{
	struct call *call = call_open_user(request);
	if (!call)
		return NULL;
	bool whole = call->actor.role == TOKEN_WRITE || (call->actor.role == TOKEN_READ && !change);
	if (whole && !token_is_of_app(&call->actor.token))
		return call;
	answer_err(request, ERR_DENIED, NULL);
	return NULL;
}

struct filter {
	bool unread_only, mentions, participating, nothing;
	enum repo_type type;      /* 0: any */
	const char *name;         /* "owner/name"; NULL: any */
	int64_t until_ms;         /* 0: any time */
};

/* "2026-01-31T12:34:56.789Z" as milliseconds, rounded up to whole seconds; 0: it is not that. */
static int64_t date_ms(const char *text)
{
	struct tm date = { 0 };
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &date);
	bool fraction = rest && *rest == '.';
	rest = fraction ? rest + 1 + strspn(rest + 1, "0123456789") : rest;
	if (!rest || strcmp(rest, "Z") != 0)
		return 0;
	return (int64_t)timegm(&date) * 1000 + (fraction ? 1000 : 0);
}

/* False: answered 400. */
static bool read_filter(struct http_request *request, struct filter *filter)
{
	const char *status = http_query_value(request, "readStatus", 0), *mention = http_query_value(request, "mention", 0);
	const char *type = http_query_value(request, "repoType", 0), *until = http_query_value(request, "lastUpdate", 0);
	bool known = !status || !*status || strcmp(status, "all") == 0 || strcmp(status, "unread") == 0;
	filter->unread_only = status && strcmp(status, "unread") == 0;
	filter->mentions = mention && strcmp(mention, "mentions") == 0;
	filter->participating = mention && strcmp(mention, "participating") == 0;
	known = known && (!mention || !*mention || filter->mentions || filter->participating || strcmp(mention, "all") == 0);
	if (type && *type)
		known = type_from_singular(type, &filter->type) == 0 && known;
	filter->name = http_query_value(request, "repoName", 0);
	if (filter->name && !*filter->name)
		filter->name = NULL;
	if (until && *until) {
		filter->until_ms = date_ms(until);
		known = known && filter->until_ms;
	}
	static const char *const of_others[] = { "paperId", "postAuthor", "articleId" }; /* of which there are none here */
	for (size_t i = 0; i < sizeof(of_others) / sizeof(of_others[0]); i++)
		filter->nothing = filter->nothing || http_query_value(request, of_others[i], 0);
	if (!known)
		http_reply_error(request, 400, NULL, "\"readStatus\" is all or unread; \"mention\" is all, participating or mentions; \"repoType\" is a type; "
			"\"lastUpdate\" is a date");
	return known;
}

struct found {
	struct repo repo;
	struct discussion discussion; /* unless it is about access */
};

/* Whether the caller may know of this, now. */
static bool is_visible(struct call *call, const struct notification *notification, struct found *found)
{
	struct namespace *ns = call->gateway->ns;
	struct resource resource = { .repo = &found->repo, .ns = ns };
	if (repo_get_record(ns, NULL, &notification->repo, &found->repo) != 0 || may(&call->actor, ACTION_READ, &resource) != 0)
		return false;
	if (notification->discussion)
		return !found->repo.discussions_disabled && discussion_get(ns, &notification->repo, notification->discussion, &found->discussion) == 0;
	struct actor writer = call->actor;
	writer.role = TOKEN_WRITE; /* who asked is for those who decide, also when this token may only look */
	return strcasecmp(notification->actor, call->actor.name) == 0 || may(&writer, ACTION_ADMIN, &resource) == 0;
}

static bool matches(const struct filter *filter, const struct notification *notification, const struct repo *repo)
{
	char name[REPO_ID_BYTES_MAX];
	if (filter->nothing || (filter->unread_only && notification->read) || (filter->type && filter->type != repo->type))
		return false;
	if ((filter->mentions && !(notification->reasons & NOTIFIED_MENTIONED)) ||
		(filter->participating && !(notification->reasons & (NOTIFIED_PARTICIPATING | NOTIFIED_MENTIONED))))
		return false;
	snprintf(name, sizeof(name), "%s/%s", repo->owner, repo->name);
	return (!filter->name || strcasecmp(filter->name, name) == 0) && (!filter->until_ms || notification->updated_ms <= filter->until_ms);
}

/* ------------------------------------------------------------------ reading */

/* All of an inbox, oldest first. */
struct inbox_copy {
	struct notification *list; /* NOTIFICATIONS_MAX, for free() */
	size_t count;
};

static int copy_one(void *context, const struct notification *notification)
{
	struct inbox_copy *copy = context;
	copy->list[copy->count++] = *notification;
	return copy->count == NOTIFICATIONS_MAX;
}

static int copy_inbox(struct call *call, struct inbox_copy *copy)
{
	*copy = (struct inbox_copy){ .list = calloc(NOTIFICATIONS_MAX, sizeof(*copy->list)) };
	int err = copy->list ? notification_list(call->gateway->ns, call->actor.name, copy_one, copy) : ERR_NO_MEMORY;
	return err < 0 ? err : 0;
}

struct participants {
	struct http_request *request;
	struct call *call;
	struct json_writer *json;
	size_t count;
};

static int write_participant(void *context, const char *name, enum subscription state)
{
	struct participants *participants = context;
	struct user user;
	if (state != SUBSCRIPTION_PARTICIPATES || user_find(participants->call->gateway->ns, name, &user) != 0)
		return 0;
	char id[ENTITY_ID_TEXT_BYTES];
	hex_encode(id, user.id.bytes, ENTITY_ID_BYTES);
	json_object_begin(participants->json, NULL);
	json_text(participants->json, "_id", id);
	json_text(participants->json, "user", user.name);
	json_text(participants->json, "avatar", avatar_url(participants->request, user.name));
	json_object_end(participants->json);
	return ++participants->count == PARTICIPANTS_SHOWN;
}

static void write_id(struct json_writer *json, const char *key, const struct entity_id *id)
{
	char text[ENTITY_ID_TEXT_BYTES];
	hex_encode(text, id->bytes, ENTITY_ID_BYTES);
	json_text(json, key, text);
}

static void write_discussion(struct http_request *request, struct call *call, struct json_writer *json, const struct notification *notification,
	const struct discussion *discussion)
{
	static const struct entity_id zero;
	struct participants participants = { .request = request, .call = call, .json = json };
	json_object_begin(json, "discussion");
	write_id(json, "id", &discussion->id);
	json_u64(json, "num", discussion->number);
	json_text(json, "title", discussion->title);
	json_text(json, "status", discussion_status_name(discussion->status));
	json_bool(json, "isPullRequest", discussion->is_pull_request);
	json_array_begin(json, "participating");
	subscription_list(call->gateway->ns, &notification->repo, notification->discussion, write_participant, &participants);
	json_array_end(json);
	json_object_end(json);
	if (memcmp(&notification->event_id, &zero, sizeof(zero)) != 0)
		write_id(json, "discussionEventId", &notification->event_id);
}

static void write_notification(struct http_request *request, struct call *call, struct json_writer *json, const struct notification *notification,
	const struct found *found)
{
	static const char *const statuses[] = { [ACCESS_PENDING] = "pending", [ACCESS_ACCEPTED] = "accepted", [ACCESS_REJECTED] = "rejected" };
	json_object_begin(json, NULL);
	json_text(json, "type", notification->discussion ? "repo" : "access-request");
	json_date(json, "updatedAt", notification->updated_ms);
	json_bool(json, "read", notification->read);
	json_object_begin(json, "repo");
	json_text(json, "name", http_printf(request, "%s/%s", found->repo.owner, found->repo.name));
	json_text(json, "type", type_singular(found->repo.type));
	json_object_end(json);
	if (notification->discussion) {
		write_discussion(request, call, json, notification, &found->discussion);
	} else {
		write_id(json, "id", &notification->subject);
		json_object_begin(json, "accessRequest");
		json_text(json, "user", notification->actor);
		json_text(json, "status", notification->access <= ACCESS_REJECTED ? statuses[notification->access] : NULL);
		json_object_end(json);
	}
	json_object_end(json);
}

struct counts {
	uint64_t view, unread, all;
};

static void write_page(struct http_request *request, struct call *call, const struct inbox_copy *copy, const struct filter *filter, uint64_t start)
{
	struct buffer body;
	struct json_writer json;
	struct counts counts = { 0 };
	struct found found;
	buffer_init(&body, ANSWER_BYTES_MAX);
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_array_begin(&json, "notifications");
	for (size_t i = copy->count; i-- > 0;) {
		const struct notification *notification = &copy->list[i];
		if (!is_visible(call, notification, &found))
			continue;
		counts.all++;
		counts.unread += !notification->read;
		if (!matches(filter, notification, &found.repo))
			continue;
		if (counts.view >= start && counts.view < start + NOTIFICATIONS_PAGE)
			write_notification(request, call, &json, notification, &found);
		counts.view++;
	}
	json_array_end(&json);
	json_object_begin(&json, "count");
	json_u64(&json, "view", counts.view);
	json_u64(&json, "unread", counts.unread);
	json_u64(&json, "all", counts.all);
	json_object_end(&json);
	json_u64(&json, "start", start);
	json_object_end(&json);
	answer_json(request, 200, &body);
}

static int get_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct inbox_copy copy;
	const char *page = http_query_value(request, "p", 0);
	unsigned long long number = page ? strtoull(page, NULL, 10) : 0;
	uint64_t start = number > NOTIFICATIONS_MAX ? NOTIFICATIONS_MAX : number * NOTIFICATIONS_PAGE;
	int err = copy_inbox(call, &copy);
	if (err)
		answer_err(request, err, NULL);
	else
		write_page(request, call, &copy, call->state, start);
	free(copy.list);
	return 0;
}

void notifications_get(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct call *call = open_call(request, false);
	struct filter *filter = call ? http_alloc(request, sizeof(*filter)) : NULL;
	if (!call || !read_filter(request, filter))
		return;
	call->state = filter;
	call_work(request, call, get_run);
}

/* ------------------------------------------------------------------ changing */

static bool is_named(const json_t *ids, const struct entity_id *subject)
{
	char text[ENTITY_ID_TEXT_BYTES];
	hex_encode(text, subject->bytes, ENTITY_ID_BYTES);
	for (size_t i = 0; i < json_array_size(ids); i++) {
		const char *id = json_string_value(json_array_get(ids, i));
		if (id && strcasecmp(id, text) == 0)
			return true;
	}
	return false;
}

/* `ids` NULL: all that the filter selects. */
static int change(struct call *call, const struct filter *filter, const json_t *ids, enum notification_action action, struct why *why)
{
	struct inbox_copy copy;
	struct found found;
	int err = copy_inbox(call, &copy);
	uint64_t *places = err ? NULL : calloc(NOTIFICATIONS_MAX, sizeof(*places));
	size_t count = 0;
	for (size_t i = 0; places && i < copy.count; i++) {
		const struct notification *notification = &copy.list[i];
		bool chosen = ids ? is_named(ids, &notification->subject) :
			is_visible(call, notification, &found) && matches(filter, notification, &found.repo);
		if (chosen)
			places[count++] = notification->place;
	}
	if (err == 0)
		err = places ? 0 : ERR_NO_MEMORY;
	if (err == 0 && count)
		err = notifications_change(call->gateway->ns, call->actor.name, action, places, count, why);
	free(places);
	free(copy.list);
	return err;
}

static void change_answered(struct http_request *request, struct call *call, const json_t *body, enum notification_action action)
{
	struct filter filter = { 0 };
	struct why why = { 0 };
	const json_t *ids = json_object_get(body, "discussionIds");
	bool all = http_query_bool(request, "applyToAll", false);
	if (!read_filter(request, &filter))
		return;
	if (!all && (!json_is_array(ids) || json_array_size(ids) > NOTIFICATIONS_MAX)) {
		http_reply_error(request, 400, NULL, http_printf(request, "\"discussionIds\" must be a list of at most %d ids, unless applyToAll is set", NOTIFICATIONS_MAX));
		return;
	}
	int err = change(call, &filter, all ? NULL : ids, action, &why);
	if (err)
		answer_err(request, err, &why);
	else
		reply_success(request);
}

static void mark(struct http_request *request, struct call *call, const json_t *body)
{
	change_answered(request, call, body, json_body_bool(body, "read", true) ? NOTIFICATION_READ : NOTIFICATION_UNREAD);
}

void notifications_mark(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct call *call = open_call(request, true);
	if (call)
		body_call(request, call, BODY_BYTES_MAX, mark);
}

static void delete(struct http_request *request, struct call *call, const json_t *body)
{
	change_answered(request, call, body, NOTIFICATION_DELETE);
}

void notifications_delete(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct call *call = open_call(request, true);
	if (call)
		body_call(request, call, BODY_BYTES_MAX, delete);
}
