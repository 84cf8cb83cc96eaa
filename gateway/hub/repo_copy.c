/* repo_copy.c - POST {type}/{id}/duplicate: a repository of one's own with another one's whole history. */
#include "gateway/hub/rewrite.h"

#include <stdio.h>

#include "gateway/auth/owner.h"
#include "gateway/hub/body_call.h"
#include "gateway/hub/visibility.h"
#include "schemas/json_writer.h"

enum { COPY_BODY_BYTES_MAX = 256 << 10 };

static const char *unbuilt_wish(const json_t *body)
{
	static const char *const wishes[] = { "hardware", "storageTier", "sleepTimeSeconds", "secrets", "variables", "volumes", "resourceGroupId" };
	for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
		const json_t *value = json_object_get(body, wishes[i]);
		bool empty = !value || json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0);
		if (!empty)
			return wishes[i];
	}
	return NULL;
}

static int read_target(const struct call *call, const json_t *body, struct repo *target, struct why *why)
{
	const struct repo *source = &call->repo;
	const char *name = source->name, *wish = unbuilt_wish(body);
	struct owner owner;
	bool given;
	*target = (struct repo){ .type = source->type };
	if (wish)
		return why_set(why, ERR_UNSUPPORTED, "Duplicating a repository with \"%s\": not implemented by this server", wish);
	const json_t *given_name = json_object_get(body, "repository");
	int err = given_name && !json_is_null(given_name) ? json_body_needed_text(body, "repository", &name, why) : 0;
	if (err)
		return err;
	if (repo_name_split(name, call->actor.name, target->owner, target->name) != 0)
		return why_set(why, ERR_INVALID, "\"%.100s\" is not a valid repository name", name);
	err = owner_find(call->gateway->ns, target->owner, &owner);
	if (err)
		return why_set(why, err == ERR_NOT_FOUND ? ERR_DENIED : err, "There is no namespace \"%s\" that you may write to", target->owner);
	memcpy(target->owner, owner.name, sizeof(target->owner));
	err = visibility_read(body, &given, &target->private, why);
	if (!given)
		target->private = source->private;
	memcpy(target->sdk, source->sdk, sizeof(target->sdk));
	memcpy(target->head, source->head, sizeof(target->head));
	snprintf(target->creator, sizeof(target->creator), "%s", call->actor.name);
	return err;
}

static void reply_target(struct http_request *request, const struct repo *target, int status, const char *error)
{
	struct buffer body;
	buffer_init(&body, ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	if (error) {
		json_text(&json, "error", error);
		http_add_header(request, "X-Error-Message", error);
	}
	json_text(&json, "url", repo_url(request, target));
	json_text(&json, "name", http_printf(request, "%s/%s", target->owner, target->name));
	json_object_end(&json);
	answer_json(request, status, &body);
}

/* The repository with everything in it, or nothing. */
static int make(struct call *call, struct repo *target, struct why *why)
{
	struct namespace *ns = call->gateway->ns;
	struct entity_id id;
	bool private = target->private;
	target->private = true; /* nobody else looks while it is being filled */
	int err = repo_create(ns, call->actor.name, target, &id, why);
	if (err)
		return err;
	err = repo_get(ns, NULL, &id, target);
	if (err == 0)
		err = repo_copy(call->gateway, &call->repo, target, &call->actor, why);
	struct repo_settings settings = { .set_private = true, .private = private };
	if (err == 0 && !private)
		err = repo_update(ns, call->actor.name, &id, &settings, why);
	if (err)
		repo_delete(ns, call->actor.name, &id, NULL);
	return err;
}

static void duplicate_with(struct http_request *request, struct call *call, const json_t *body)
{
	struct repo target;
	struct why why = { 0 };
	int err = read_target(call, body, &target, &why);
	struct resource resource = { .owner = target.owner };
	if (err == 0 && may(&call->actor, ACTION_CREATE, &resource) != 0)
		err = why_set(&why, ERR_DENIED, "You don't have the rights to create a %s under the namespace \"%s\"", type_singular(target.type), target.owner);
	if (err == 0)
		err = make(call, &target, &why);
	if (err == ERR_EXISTS)
		reply_target(request, &target, 409, http_printf(request, "You already created this %s repo: %s/%s", type_singular(target.type), target.owner,
			target.name));
	else if (err)
		answer_err(request, err, &why);
	else
		reply_target(request, &target, 200, NULL);
}

void repos_duplicate(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 0, ACTION_READ_FILES);
	if (!call)
		return;
	if (call->actor.anonymous)
		answer_login(request);
	else
		body_call(request, call, COPY_BODY_BYTES_MAX, duplicate_with);
}
