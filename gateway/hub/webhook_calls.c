#include "gateway/hub/webhook_calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "gateway/hub/body_call.h"
#include "gateway/webhooks/target.h"
#include "gateway/webhooks/webhooks.h"
#include "schemas/json_writer.h"

enum { WEBHOOK_BODY_BYTES_MAX = 128 << 10 };

static const char *const kinds[] = { [WATCHED_USER] = "user", [WATCHED_ORG] = "org", [WATCHED_MODEL] = "model", [WATCHED_DATASET] = "dataset",
	[WATCHED_SPACE] = "space", [WATCHED_KERNEL] = "kernel" };

/* ------------------------------------------------------------------ who */

/* A webhook and its secret are for whoever may change things as this user. */
static struct call *open_call(struct http_request *request, bool change)
{
	struct call *call = call_open_user(request);
	if (!call)
		return NULL;
	uint32_t wanted = change ? PERMISSION_WEBHOOKS_WRITE : PERMISSION_WEBHOOKS_READ | PERMISSION_WEBHOOKS_WRITE;
	if (call->actor.role == TOKEN_WRITE || (call->actor.role == TOKEN_FINE_GRAINED && (call->actor.token.rights.global & wanted)))
		return call;
	answer_err(request, ERR_DENIED, NULL);
	return NULL;
}

/* The caller's webhook that the first capture names, for free(). NULL: answered already. */
static struct webhook *find(struct http_request *request, struct call *call)
{
	struct entity_id id;
	struct webhook *hook = calloc(1, sizeof(*hook));
	struct span text = call->captures[0];
	int err = hook ? hex_decode(id.bytes, ENTITY_ID_BYTES, (const char *)text.data, text.length) : ERR_NO_MEMORY;
	if (err == 0)
		err = webhook_get(call->gateway->ns, &id, hook);
	if (err == 0 && strcasecmp(hook->owner, call->actor.name) != 0)
		err = ERR_NOT_FOUND;
	if (err == 0)
		return hook;
	free(hook);
	if (err == ERR_NOT_FOUND || err == ERR_INVALID)
		http_reply_error(request, 404, NULL, "Webhook not found");
	else
		answer_err(request, err, NULL);
	return NULL;
}

/* ------------------------------------------------------------------ writing */

static void write_webhook(struct json_writer *json, const char *key, const struct webhook *hook)
{
	char id[ENTITY_ID_TEXT_BYTES];
	hex_encode(id, hook->id.bytes, ENTITY_ID_BYTES);
	json_object_begin(json, key);
	json_text(json, "id", id);
	json_text(json, "_id", id);
	json_text(json, "url", hook->url);
	json_array_begin(json, "watched");
	for (uint32_t i = 0; i < hook->watched_count; i++) {
		json_object_begin(json, NULL);
		json_text(json, "type", kinds[hook->watched[i].kind]);
		json_text(json, "name", hook->watched[i].name);
		json_object_end(json);
	}
	json_array_end(json);
	json_array_begin(json, "domains");
	if (hook->domains & WEBHOOK_REPO)
		json_text(json, NULL, "repo");
	if (hook->domains & WEBHOOK_DISCUSSION)
		json_text(json, NULL, "discussion");
	json_array_end(json);
	json_text(json, "secret", hook->secret[0] ? hook->secret : NULL);
	json_bool(json, "disabled", hook->disabled);
	json_null_value(json, "job");
	json_object_end(json);
}

static int write_delivery(void *context, const struct webhook_delivery *delivery, struct span payload)
{
	struct json_writer *json = context;
	char number[32];
	snprintf(number, sizeof(number), "%llu", (unsigned long long)delivery->number);
	json_object_begin(json, NULL);
	json_text(json, "id", number);
	json_date(json, "createdAt", delivery->when_ms);
	json_bool(json, "success", delivery->delivered);
	json_u64(json, "status", delivery->status);
	json_u64(json, "attempts", delivery->attempts);
	json_bool(json, "replayed", delivery->replayed);
	if (delivery->error[0])
		json_text(json, "error", delivery->error);
	json_raw(json, "payload", payload);
	json_object_end(json);
	return 0;
}

/* {"webhook": ...}, with the newest deliveries when they are wanted. */
static void reply_webhook(struct http_request *request, struct call *call, const struct webhook *hook, bool deliveries)
{
	struct buffer body;
	struct json_writer json;
	buffer_init(&body, ANSWER_BYTES_MAX);
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	write_webhook(&json, "webhook", hook);
	if (deliveries) {
		json_array_begin(&json, "deliveries");
		webhook_log_list(call->gateway->ns, &hook->id, write_delivery, &json);
		json_array_end(&json);
	}
	json_object_end(&json);
	answer_json(request, 200, &body);
}

struct list {
	struct call *call;
	struct webhook *hook; /* scratch */
	struct json_writer json;
};

static int write_one(void *context, const struct entity_id *id)
{
	struct list *list = context;
	int err = webhook_get(list->call->gateway->ns, id, list->hook);
	if (err == 0)
		write_webhook(&list->json, NULL, list->hook);
	return err == ERR_NOT_FOUND ? 0 : err;
}

static int list_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct list list = { .call = call, .hook = http_alloc(request, sizeof(*list.hook)) };
	struct buffer body;
	buffer_init(&body, ANSWER_BYTES_MAX);
	json_writer_init(&list.json, &body);
	json_array_begin(&list.json, NULL);
	int err = webhook_list(call->gateway->ns, call->actor.name, write_one, &list);
	if (err) {
		buffer_fini(&body);
		answer_err(request, err, NULL);
		return 0;
	}
	json_array_end(&list.json);
	answer_json(request, 200, &body);
	return 0;
}

void webhooks_list_get(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct call *call = open_call(request, false);
	if (call)
		call_work(request, call, list_run);
}

/* ------------------------------------------------------------------ reading a body */

static bool is_header_safe(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
			return false;
	return true;
}

static int read_watched(const json_t *list, struct webhook *hook, struct why *why)
{
	if (!json_is_array(list) || json_array_size(list) == 0)
		return 0; /* as it was */
	if (json_array_size(list) > WEBHOOK_WATCHED_MAX)
		return why_set(why, ERR_INVALID, "A webhook watches at most %d users, organisations and repositories", WEBHOOK_WATCHED_MAX);
	hook->watched_count = 0;
	size_t i;
	const json_t *item;
	json_array_foreach(list, i, item) {
		struct watched *watched = &hook->watched[hook->watched_count++];
		const char *type = json_body_text(item, "type", ""), *name = json_body_text(item, "name", "");
		char owner[NAME_BYTES_MAX + 1], last[NAME_BYTES_MAX + 1];
		*watched = (struct watched){ 0 };
		for (int kind = WATCHED_USER; kind <= WATCHED_KERNEL; kind++)
			if (strcmp(type, kinds[kind]) == 0)
				watched->kind = (enum watched_kind)kind;
		bool is_namespace = watched->kind == WATCHED_USER || watched->kind == WATCHED_ORG;
		bool valid = is_namespace ? name_valid(span_text(name)) : strchr(name, '/') && repo_name_split(name, "", owner, last) == 0;
		if (watched->kind == 0 || !valid)
			return why_set(why, ERR_INVALID, "\"watched\" holds a {type, name} of a user, org, model, dataset or space; not \"%.40s\" \"%.100s\"", type, name);
		snprintf(watched->name, sizeof(watched->name), "%s", name);
	}
	return 0;
}

static int read_domains(const json_t *list, struct webhook *hook, struct why *why)
{
	if (!json_is_array(list) || json_array_size(list) == 0)
		return 0;
	hook->domains = 0;
	size_t i;
	const json_t *item;
	json_array_foreach(list, i, item) {
		const char *name = json_is_string(item) ? json_string_value(item) : "";
		if (strcmp(name, "repo") == 0 || strcmp(name, "repos") == 0)
			hook->domains |= WEBHOOK_REPO;
		else if (strcmp(name, "discussion") == 0 || strcmp(name, "discussions") == 0)
			hook->domains |= WEBHOOK_DISCUSSION;
		else
			return why_set(why, ERR_INVALID, "\"domains\" are repo and discussion; not \"%.40s\"", name);
	}
	return 0;
}

/* What the body says replaces what `hook` has. */
static int read_webhook(struct http_request *request, const json_t *body, struct webhook *hook, struct why *why)
{
	const char *url = json_body_text(body, "url", NULL), *secret = json_body_text(body, "secret", NULL);
	const json_t *job = json_object_get(body, "job"), *source = json_object_get(body, "jobSourceId");
	if ((job && !json_is_null(job)) || (source && !json_is_null(source)))
		return why_set(why, ERR_UNSUPPORTED, "Webhooks that run jobs: not implemented by this server");
	if (url && strlen(url) > WEBHOOK_URL_BYTES_MAX)
		return why_set(why, ERR_INVALID, "The address of a webhook has at most %d bytes", WEBHOOK_URL_BYTES_MAX);
	if (secret && (strlen(secret) > WEBHOOK_SECRET_BYTES_MAX || !is_header_safe(secret)))
		return why_set(why, ERR_INVALID, "The secret of a webhook has at most %d printable characters", WEBHOOK_SECRET_BYTES_MAX);
	if (url)
		snprintf(hook->url, sizeof(hook->url), "%s", url);
	if (secret)
		snprintf(hook->secret, sizeof(hook->secret), "%s", secret);
	if (!hook->url[0])
		return why_set(why, ERR_INVALID, "A webhook needs an \"url\"");
	snprintf(hook->base_url, sizeof(hook->base_url), "%s", http_base_url(request));
	int err = target_url_check(hook->url, target_private_allowed(), why);
	if (err == 0)
		err = read_watched(json_object_get(body, "watched"), hook, why);
	if (err == 0)
		err = read_domains(json_object_get(body, "domains"), hook, why);
	if (err == 0 && hook->watched_count == 0)
		err = why_set(why, ERR_INVALID, "A webhook needs something to watch");
	return err;
}

/* Stores what a call made of a webhook, and answers. */
static void put(struct http_request *request, struct call *call, struct webhook *hook)
{
	struct why why = { 0 };
	int err = webhook_put(call->gateway->ns, call->actor.name, hook, &why);
	if (err == ERR_TOO_BIG)
		http_reply_error(request, 400, NULL, why.text);
	else if (err)
		answer_err(request, err, &why);
	else
		reply_webhook(request, call, hook, false);
}

static void create(struct http_request *request, struct call *call, const json_t *body)
{
	struct webhook *hook = http_alloc(request, sizeof(*hook));
	struct why why = { 0 };
	snprintf(hook->owner, sizeof(hook->owner), "%s", call->actor.name);
	hook->domains = WEBHOOK_REPO | WEBHOOK_DISCUSSION;
	int err = read_webhook(request, body, hook, &why);
	if (err)
		answer_err(request, err, &why);
	else
		put(request, call, hook);
}

void webhooks_create_post(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct call *call = open_call(request, true);
	if (call)
		body_call(request, call, WEBHOOK_BODY_BYTES_MAX, create);
}

static void update(struct http_request *request, struct call *call, const json_t *body)
{
	struct webhook *hook = find(request, call);
	struct why why = { 0 };
	if (!hook)
		return;
	int err = read_webhook(request, body, hook, &why);
	if (err)
		answer_err(request, err, &why);
	else
		put(request, call, hook);
	free(hook);
}

/* ------------------------------------------------------------------ one webhook */

static struct call *open_one(struct http_request *request, const struct route_match *match, bool change)
{
	struct call *call = open_call(request, change);
	for (size_t i = 0; call && i < match->count; i++)
		call->captures[i] = match->captures[i];
	return call;
}

void webhook_update_post(struct http_request *request, const struct route_match *match)
{
	struct call *call = open_one(request, match, true);
	if (call)
		body_call(request, call, WEBHOOK_BODY_BYTES_MAX, update);
}

static int get_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct webhook *hook = find(request, call);
	if (hook)
		reply_webhook(request, call, hook, true);
	free(hook);
	return 0;
}

void webhook_get_one(struct http_request *request, const struct route_match *match)
{
	struct call *call = open_one(request, match, false);
	if (call)
		call_work(request, call, get_run);
}

static int delete_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct why why = { 0 };
	struct webhook *hook = find(request, call);
	if (!hook)
		return 0;
	int err = webhook_delete(call->gateway->ns, call->actor.name, &hook->id, &why);
	if (err)
		answer_err(request, err, &why);
	else
		reply_success(request);
	free(hook);
	return 0;
}

void webhook_delete_one(struct http_request *request, const struct route_match *match)
{
	struct call *call = open_one(request, match, true);
	if (call)
		call_work(request, call, delete_run);
}

static int switch_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct webhook *hook = find(request, call);
	if (!hook)
		return 0;
	hook->disabled = span_equal(call->captures[1], span_text("disable"));
	put(request, call, hook);
	free(hook);
	return 0;
}

void webhook_switch_post(struct http_request *request, const struct route_match *match)
{
	struct call *call = open_one(request, match, true);
	if (call)
		call_work(request, call, switch_run);
}

static int replay_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct why why = { 0 };
	struct webhook *hook = find(request, call);
	const char *text = hook ? http_decode(request, call->captures[1], false) : NULL;
	if (hook) {
		unsigned long long number = text ? strtoull(text, NULL, 10) : 0;
		int err = call->gateway->webhooks ? webhooks_replay(call->gateway->webhooks, &hook->id, number, &why) : ERR_CLOSED;
		if (err)
			answer_err(request, err, &why);
		else
			reply_success(request);
	}
	free(hook);
	return 0;
}

void webhook_replay_post(struct http_request *request, const struct route_match *match)
{
	struct call *call = open_one(request, match, true);
	if (call)
		call_work(request, call, replay_run);
}
