#include "gateway/admin/people.h"

#include <stdio.h>
#include <strings.h>

#include "gateway/admin/admin.h"
#include "gateway/admin/admin_body.h"
#include "gateway/admin/operator.h"
#include "gateway/answer.h"

bool user_name_reserved(const char *name)
{
	static const char *const names[] = {
		"api", "v1", "v2", "xet", "xorb", "xorbs", "shard", "shards", "chunk", "chunks", "reconstruction", "reconstructions", "models",
		"datasets", "spaces", "kernels", "buckets", "collections", "papers", "avatars", "oauth", "settings", "login", "logout", "join", "lfs",
		"docs", "healthz", "readyz", "metrics", "new", "me", "resolve", "static", "assets", "organizations", "users", "s3", "robots.txt",
		"favicon.ico", "device",
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(names[i], name) == 0)
			return true;
	return false;
}

static int copy_text(char *out, size_t size, const char *text, const char *key, struct why *why)
{
	if (strlen(text) >= size)
		return why_set(why, ERR_INVALID, "\"%s\" is longer than %zu bytes", key, size - 1);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

/* ------------------------------------------------------------------ users */

static void write_user(struct json_writer *json, const struct user *user)
{
	json_object_begin(json, NULL);
	json_entity_id(json, "id", &user->id);
	json_text(json, "name", user->name);
	json_text(json, "fullname", user->fullname);
	json_text(json, "email", user->email);
	json_bool(json, "admin", user->admin);
	json_date(json, "created_at", user->created_ms);
	json_object_end(json);
}

static int each_user(void *context, const struct user *user)
{
	write_user(context, user);
	return 0;
}

static void users_work(struct http_request *request, void *context)
{
	(void)context;
	struct buffer body;
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_array_begin(&json, NULL);
	user_list(gateway_of(request)->ns, NULL, each_user, &json);
	json_array_end(&json);
	answer_json(request, 200, &body);
}

void admin_users_list(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (operator_open(request))
		http_work(request, users_work, NULL);
}

static int read_user(const struct admin_body *body, struct user *user, struct why *why)
{
	if (!body)
		return why_set(why, ERR_INVALID, "The body must be a JSON object");
	int err = 0;
	const char *name = admin_body_text(body, "name", "", &err, why);
	const char *fullname = admin_body_text(body, "fullname", "", &err, why);
	const char *email = admin_body_text(body, "email", "", &err, why);
	user->admin = admin_body_bool(body, "admin", false, &err, why);
	if (err == 0 && !name_valid(span_text(name)))
		err = why_set(why, ERR_INVALID, "\"name\" must be 1 to 96 of [A-Za-z0-9_.-], and begin and end with a letter, digit or _");
	if (err == 0 && user_name_reserved(name))
		err = why_set(why, ERR_INVALID, "The name \"%s\" is reserved", name);
	if (err == 0)
		err = copy_text(user->name, sizeof(user->name), name, "name", why);
	if (err == 0)
		err = copy_text(user->fullname, sizeof(user->fullname), fullname, "fullname", why);
	return err ? err : copy_text(user->email, sizeof(user->email), email, "email", why);
}

static void users_create_body(struct http_request *request, struct span text, void *context)
{
	const struct actor *actor = context;
	struct namespace *ns = gateway_of(request)->ns;
	struct user user = { 0 };
	struct why why = { 0 };
	struct admin_body *body = admin_body_parse(text);
	int err = read_user(body, &user, &why);
	admin_body_free(body);
	if (err == 0)
		err = user_create(ns, actor->name, &user, &why);
	if (err == 0)
		err = user_find(ns, user.name, &user);
	if (err) {
		answer_err(request, err, &why);
		return;
	}
	struct buffer out;
	buffer_init(&out, ADMIN_ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &out);
	write_user(&json, &user);
	answer_json(request, 200, &out);
}

void admin_users_create(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct actor *actor = operator_open(request);
	if (actor)
		http_collect(request, ADMIN_BODY_BYTES_MAX, users_create_body, actor);
}
