#include "gateway/hub/subscriptions.h"

#include <strings.h>

#include "gateway/auth/owner.h"
#include "gateway/hub/body_call.h"
#include "gateway/hub/discussion_call.h"
#include "gateway/notifications/recipients.h"
#include "schemas/json_writer.h"

enum { BODY_BYTES_MAX = 64 << 10, WATCHES_PER_CALL_MAX = 100 };

/* Settings and watches are the user's own; what tells of them changes things, so they want a token that may. */
static struct call *open_call(struct http_request *request)
{
	struct call *call = call_open_user(request);
	if (!call)
		return NULL;
	bool change = http_method(request) != HTTP_GET;
	if (!token_is_of_app(&call->actor.token) && (call->actor.role == TOKEN_WRITE || (call->actor.role == TOKEN_READ && !change)))
		return call;
	answer_err(request, ERR_DENIED, NULL);
	return NULL;
}

/* ------------------------------------------------------------------ watching */

static const char *const watch_types[] = { [WATCH_USER] = "user", [WATCH_ORG] = "org", [WATCH_REPO] = "repo" };

struct watches {
	struct call *call;
	struct json_writer json;
};

static int write_watch(void *context, enum watch_kind kind, const struct entity_id *id, enum watch_state state)
{
	struct watches *watches = context;
	struct repo repo;
	struct resource resource = { .repo = &repo, .ns = watches->call->gateway->ns };
	char text[ENTITY_ID_TEXT_BYTES];
	if (kind < WATCH_USER || kind > WATCH_REPO)
		return ERR_CORRUPT;
	bool is_repo = kind == WATCH_REPO;
	if (is_repo && (repo_get_record(watches->call->gateway->ns, NULL, id, &repo) != 0 || may(&watches->call->actor, ACTION_READ, &resource) != 0))
		return 0;
	hex_encode(text, id->bytes, ENTITY_ID_BYTES);
	json_object_begin(&watches->json, NULL);
	json_text(&watches->json, "id", text);
	json_text(&watches->json, "type", watch_types[kind]);
	json_bool(&watches->json, "watching", state == WATCH_YES);
	json_object_end(&watches->json);
	return 0;
}

static int watches_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct watches watches = { .call = call };
	struct buffer body;
	buffer_init(&body, ANSWER_BYTES_MAX);
	json_writer_init(&watches.json, &body);
	json_array_begin(&watches.json, NULL);
	int err = watch_list(call->gateway->ns, call->actor.name, write_watch, &watches);
	json_array_end(&watches.json);
	if (err == 0) {
		answer_json(request, 200, &body);
		return 0;
	}
	buffer_fini(&body);
	answer_err(request, err, NULL);
	return 0;
}

struct watch {
	enum watch_kind kind;
	struct entity_id id;
};

/* 0; ERR_INVALID; ERR_NOT_FOUND: no such name, or a repository that the caller does not see. */
static int read_watch(struct call *call, const json_t *item, struct watch *out)
{
	const char *id = json_body_text(item, "id", ""), *type = json_body_text(item, "type", "");
	struct namespace *ns = call->gateway->ns;
	int kind = WATCH_REPO;
	while (kind >= WATCH_USER && strcmp(type, watch_types[kind]) != 0)
		kind--;
	out->kind = (enum watch_kind)kind;
	if (kind < WATCH_USER)
		return ERR_INVALID;
	bool by_id = hex_decode(out->id.bytes, ENTITY_ID_BYTES, id, strlen(id)) == 0;
	if (out->kind == WATCH_REPO) {
		struct repo repo;
		struct resource resource = { .repo = &repo, .ns = ns };
		int err = by_id ? repo_get_record(ns, NULL, &out->id, &repo) : ERR_INVALID;
		return err ? err : may(&call->actor, ACTION_READ, &resource);
	}
	struct owner owner;
	if (by_id || owner_find(ns, id, &owner) != 0)
		return by_id ? 0 : ERR_NOT_FOUND;
	out->id = owner.id;
	return owner.is_org == (out->kind == WATCH_ORG) ? 0 : ERR_NOT_FOUND;
}

/* What is watched unasked must be refused in so many words. */
static enum watch_state state_after_delete(struct call *call, const struct watch *watch)
{
	struct owner owner;
	bool unasked = watch->kind == WATCH_REPO || owner_by_id(call->gateway->ns, call->actor.name, &watch->id, &owner) == 0;
	return unasked ? WATCH_NO : WATCH_UNSAID;
}

/* Sets those of one list, or with `check` only looks whether they can be. False: answered. */
static bool set_watches(struct http_request *request, struct call *call, const json_t *list, bool adds, bool check)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct watch watch;
		struct why why = { 0 };
		int err = read_watch(call, json_array_get(list, i), &watch);
		if (err == 0 && !check)
			err = watch_set(call->gateway->ns, call->actor.name, watch.kind, &watch.id, adds ? WATCH_YES : state_after_delete(call, &watch), &why);
		if (err == 0)
			continue;
		if (err == ERR_INVALID || err == ERR_TOO_BIG)
			http_reply_error(request, 400, NULL, why.text[0] ? why.text : "What is watched has an \"id\" and the \"type\" user, org or repo");
		else
			answer_err(request, err, &(struct why){ "There is nothing of this id or name" });
		return false;
	}
	return true;
}

static void patch_watches(struct http_request *request, struct call *call, const json_t *body)
{
	const json_t *added = json_object_get(body, "add"), *deleted = json_object_get(body, "delete");
	if ((added && !json_is_array(added)) || (deleted && !json_is_array(deleted)) ||
		json_array_size(added) + json_array_size(deleted) > WATCHES_PER_CALL_MAX) {
		http_reply_error(request, 400, NULL, http_printf(request, "\"add\" and \"delete\" are lists, of at most %d together", WATCHES_PER_CALL_MAX));
		return;
	}
	if (set_watches(request, call, added, true, true) && set_watches(request, call, deleted, false, true) &&
		set_watches(request, call, added, true, false) && set_watches(request, call, deleted, false, false))
		watches_run(request, call, REPO_MAY_WAIT);
}

void watch_settings(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct call *call = open_call(request);
	if (call && http_method(request) == HTTP_PATCH)
		body_call(request, call, BODY_BYTES_MAX, patch_watches);
	else if (call)
		call_work(request, call, watches_run);
}

/* ------------------------------------------------------------------ kinds of messages */

/* By the bit that says that a kind is not wanted. The first three decide what comes into an inbox; the others are about mail and things that this hub does not send. */
static const char *const kinds[] = { "web_discussions_participating", "web_discussions_watched", "gated_user_access_request",
	[MESSAGES_OTHER] = "announcements", "arxiv_paper_activity", "daily_papers_digest", "discussions_participating", "discussions_watched",
	"inference_endpoint_status", "launch_autonlp", "launch_prepaid_credits", "launch_spaces", "launch_training_cluster", "org_request",
	"org_suggestions", "org_suggestions_to_create", "org_verified_suggestions", "posts_participating", "secret_detected", "user_follows", "web_posts_participating" };
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static int settings_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	uint64_t off;
	struct buffer body;
	struct json_writer json;
	int err = notification_settings_get(call->gateway->ns, call->actor.name, &off);
	if (err) {
		answer_err(request, err, NULL);
		return 0;
	}
	buffer_init(&body, ANSWER_BYTES_MAX);
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_object_begin(&json, "notifications");
	for (size_t i = 0; i < KINDS; i++)
		json_bool(&json, kinds[i], !(off >> i & 1));
	json_object_end(&json);
	json_object_end(&json);
	answer_json(request, 200, &body);
	return 0;
}

/* False: a name that is not known, or a value that is neither true nor false. */
static bool read_kinds(const json_t *wanted, uint64_t *off)
{
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)wanted, name, value)
	{
		size_t i = 0;
		while (i < KINDS && strcmp(kinds[i], name) != 0)
			i++;
		if (i == KINDS || !json_is_boolean(value))
			return false;
		*off = json_is_true(value) ? *off & ~(UINT64_C(1) << i) : *off | UINT64_C(1) << i;
	}
	return true;
}

static void patch_settings(struct http_request *request, struct call *call, const json_t *body)
{
	const json_t *wanted = json_object_get(body, "notifications");
	struct why why = { 0 };
	uint64_t off;
	int err = notification_settings_get(call->gateway->ns, call->actor.name, &off);
	if (err == 0 && (!json_is_object(wanted) || !read_kinds(wanted, &off))) {
		http_reply_error(request, 400, NULL, "\"notifications\" must be an object of kinds of messages, each true or false");
		return;
	}
	if (err == 0)
		err = notification_settings_set(call->gateway->ns, call->actor.name, off, &why);
	if (err)
		answer_err(request, err, &why);
	else
		settings_run(request, call, REPO_MAY_WAIT);
}

void notification_settings(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct call *call = open_call(request);
	if (call && http_method(request) == HTTP_PATCH)
		body_call(request, call, BODY_BYTES_MAX, patch_settings);
	else if (call)
		call_work(request, call, settings_run);
}

/* ------------------------------------------------------------------ one discussion */

static int subscription_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	static const char *const states[] = { [SUBSCRIPTION_NONE] = "none", [SUBSCRIPTION_PARTICIPATES] = "participating", [SUBSCRIPTION_WANTED] = "subscribed",
		[SUBSCRIPTION_MUTED] = "muted" };
	(void)wait;
	struct discussion discussion;
	struct why why = { 0 };
	struct namespace *ns = call->gateway->ns;
	if (discussion_call_find(request, call, &discussion) != 0)
		return 0;
	int err = http_method(request) == HTTP_GET ? 0 : subscription_set(ns, call->actor.name, &call->repo.id, discussion.number,
		http_method(request) == HTTP_POST ? SUBSCRIPTION_WANTED : SUBSCRIPTION_MUTED, &why);
	enum subscription state = subscription_get(ns, call->actor.name, &call->repo.id, discussion.number);
	if (err == ERR_TOO_BIG)
		http_reply_error(request, 400, NULL, why.text);
	else if (err)
		answer_err(request, err, &why);
	else
		http_reply(request, 200, "application/json; charset=utf-8", span_text(http_printf(request, "{\"subscription\":\"%s\"}", states[state & 3])));
	return 0;
}

void discussion_subscription(struct http_request *request, const struct route_match *match)
{
	struct call *call = discussion_call_open(request, match, 1, http_method(request) == HTTP_GET ? ACTION_READ : ACTION_DISCUSS);
	if (call && call->actor.anonymous)
		answer_login(request);
	else if (call)
		call_work(request, call, subscription_run);
}
