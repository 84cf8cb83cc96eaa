#include "gateway/hub/repos.h"

#include <stdio.h>

#include "gateway/auth/owner.h"
#include "gateway/hub/call.h"
#include "gateway/hub/initial_commit.h"
#include "gateway/hub/json_body.h"
#include "gateway/hub/validate_yaml.h"
#include "gateway/hub/visibility.h"
#include "schemas/json_writer.h"

enum { DELETE_BODY_BYTES_MAX = 64 << 10 };

static int read_sdk(const json_t *body, struct repo *repo, struct why *why)
{
	static const char *const sdks[] = { "gradio", "docker", "static", "streamlit" };
	if (repo->type != REPO_SPACE)
		return 0;
	const char *sdk = json_body_text(body, "sdk", "");
	for (size_t i = 0; i < sizeof(sdks) / sizeof(sdks[0]); i++) {
		if (strcmp(sdk, sdks[i]) == 0) {
			snprintf(repo->sdk, sizeof(repo->sdk), "%s", sdk);
			return 0;
		}
	}
	return why_set(why, ERR_INVALID, "A Space needs an sdk: gradio, docker, static or streamlit");
}

/* Type, owner and name, as create, delete and move say them. */
static int read_name(const struct call *call, const json_t *body, struct repo *repo, struct why *why)
{
	const char *name, *organization = json_body_text(body, "organization", NULL);
	int err = json_body_needed_text(body, "name", &name, why);
	if (err)
		return err;
	if (type_from_singular(json_body_text(body, "type", NULL), &repo->type) != 0)
		return why_set(why, ERR_INVALID, "The type must be model, dataset, space or kernel");
	if (repo_name_split(name, organization && *organization ? organization : call->actor.name, repo->owner, repo->name) != 0)
		return why_set(why, ERR_INVALID, "\"%.100s\" is not a valid repository name: 1 to 96 letters, digits, '-', '_' and '.', without "
			"'--', '..', '-' or '.' at either end, or '.git' at the end", name);
	if (strcasecmp(repo->owner, call->actor.name) == 0)
		memcpy(repo->owner, call->actor.name, sizeof(repo->owner));
	return 0;
}

static void reply_url(struct http_request *request, const struct repo *repo, int status, const char *error)
{
	char id[ENTITY_ID_TEXT_BYTES];
	hex_encode(id, repo->id.bytes, ENTITY_ID_BYTES);
	struct buffer body;
	buffer_init(&body, ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	if (error) {
		json_text(&json, "error", error);
		http_add_header(request, "X-Error-Message", error);
	}
	json_text(&json, "url", repo_url(request, repo));
	json_text(&json, "name", http_printf(request, "%s/%s", repo->owner, repo->name));
	json_text(&json, "id", id);
	json_bool(&json, "private", repo->private);
	json_object_end(&json);
	answer_json(request, status, &body);
}

static void reply_exists(struct http_request *request, struct call *call, struct repo *repo)
{
	struct repo stored;
	if (repo_find(call->gateway->ns, NULL, repo->type, span_text(repo->owner), span_text(repo->name), &stored) == 0)
		*repo = stored;
	reply_url(request, repo, 409, http_printf(request, "You already created this %s repo: %s/%s", type_singular(repo->type),
		repo->owner, repo->name));
}

/* The first thing asked of a new Space that is not built, or NULL: it must not be taken for done. */
static const char *unbuilt_wish(const json_t *body)
{
	static const char *const wishes[] = { "hardware", "storageTier", "sleepTimeSeconds", "secrets", "variables", "volumes", "template",
		"resourceGroupId" };
	for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
		const json_t *value = json_object_get(body, wishes[i]);
		bool empty = json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0);
		if (value && !empty)
			return wishes[i];
	}
	return NULL;
}

/* The owner as it is spelled, and what it wants of repositories that say nothing of their visibility. */
static int read_owner(const struct call *call, struct repo *repo, bool visibility_given, struct why *why)
{
	struct owner owner;
	int err = owner_find(call->gateway->ns, repo->owner, &owner);
	if (err == ERR_NOT_FOUND && call->actor.admin)
		return why_set(why, err, "There is no user or organisation \"%s\"", repo->owner);
	if (err)
		return err == ERR_NOT_FOUND ? 0 : err; /* may() says no */
	memcpy(repo->owner, owner.name, sizeof(repo->owner));
	if (!visibility_given)
		repo->private = owner.private_by_default;
	return 0;
}

static int read_create(const struct call *call, const json_t *body, struct repo *repo, struct why *why)
{
	bool given;
	int err = read_name(call, body, repo, why);
	if (err == 0 && repo->type == REPO_BUCKET)
		err = why_set(why, ERR_INVALID, "The type must be model, dataset, space or kernel");
	if (err == 0)
		err = visibility_read(body, &given, &repo->private, why);
	if (err == 0)
		err = read_owner(call, repo, given, why);
	if (err == 0)
		err = read_sdk(body, repo, why);
	const char *wish = unbuilt_wish(body);
	if (err == 0 && wish)
		err = why_set(why, ERR_UNSUPPORTED, "Creating a repository with \"%s\": not implemented by this server", wish);
	const char *license = json_body_text(body, "license", NULL);
	if (err == 0 && license && !license_known(license))
		err = why_set(why, ERR_INVALID, "\"%.60s\" is not a known license", license);
	snprintf(repo->creator, sizeof(repo->creator), "%s", call->actor.name);
	snprintf(repo->head, sizeof(repo->head), "refs/heads/main");
	return err;
}

/* The repository and its first commit: both, or neither. "empty" (ours, not the Hub's) makes one without a commit, for a history that is pushed. */
static int create(struct call *call, struct repo *repo, const json_t *body, struct why *why)
{
	struct namespace *ns = call->gateway->ns;
	struct entity_id id;
	int err = repo_create(ns, call->actor.name, repo, &id, why);
	if (err)
		return err;
	struct user user;
	bool has_user = user_find(ns, call->actor.name, &user) == 0;
	err = repo_get(ns, NULL, &id, repo);
	if (err == 0 && !json_body_bool(body, "empty", false))
		err = initial_commit(call->gateway, repo, &call->actor, has_user ? user.email : "", body, why);
	if (err)
		repo_delete(ns, call->actor.name, &id, NULL);
	return err;
}

static void create_from(struct http_request *request, struct call *call, const json_t *body)
{
	struct repo repo = { 0 };
	struct why why = { 0 };
	int err = read_create(call, body, &repo, &why);
	struct resource resource = { .owner = repo.owner };
	if (err == 0 && call->actor.anonymous) {
		answer_login(request);
		return;
	}
	if (err == 0)
		err = may(&call->actor, ACTION_CREATE, &resource);
	if (err == ERR_DENIED)
		why_set(&why, err, "You don't have the rights to create a %s under the namespace \"%s\"", type_singular(repo.type), repo.owner);
	if (err == 0)
		err = create(call, &repo, body, &why);
	if (err == ERR_EXISTS)
		reply_exists(request, call, &repo);
	else if (err)
		answer_err(request, err, &why);
	else
		reply_url(request, &repo, 200, NULL);
}

static void create_body(struct http_request *request, struct span text, void *context)
{
	struct why why = { 0 };
	json_t *body = json_body_parse(text, &why);
	if (body)
		create_from(request, context, body);
	else
		answer_err(request, ERR_INVALID, &why);
	json_decref(body);
}

/* Collects the body of a call that only somebody who is signed in may make. */
static void open_signed_in(struct http_request *request, size_t bytes_max, http_body_fn fn)
{
	struct call *call = call_open(request);
	if (!call)
		return;
	if (call->actor.anonymous)
		answer_login(request);
	else
		http_collect(request, bytes_max, fn, call);
}

void repos_create(struct http_request *request, const struct route_match *match)
{
	(void)match;
	open_signed_in(request, HTTP_COLLECT_BYTES_MAX, create_body);
}

/* ------------------------------------------------------------------ delete */

static void delete_from(struct http_request *request, struct call *call, const json_t *body)
{
	struct repo wanted = { 0 };
	struct why why = { 0 };
	int err = read_name(call, body, &wanted, &why);
	if (err) {
		answer_err(request, err, &why);
		return;
	}
	err = repo_find(call->gateway->ns, NULL, wanted.type, span_text(wanted.owner), span_text(wanted.name), &call->repo);
	struct resource resource = { .repo = &call->repo };
	if (err == 0)
		err = may(&call->actor, ACTION_ADMIN, &resource);
	if (err == 0)
		err = repo_delete(call->gateway->ns, call->actor.name, &call->repo.id, &why);
	if (err == ERR_NOT_FOUND || err == ERR_UNAUTHENTICATED)
		answer_repo_missing(request, call->actor.anonymous);
	else if (err)
		answer_err(request, err, &why);
	else
		http_reply(request, 200, "application/json; charset=utf-8", span_text("{\"success\":true}"));
}

static void delete_body(struct http_request *request, struct span text, void *context)
{
	struct why why = { 0 };
	json_t *body = json_body_parse(text, &why);
	if (body)
		delete_from(request, context, body);
	else
		answer_err(request, ERR_INVALID, &why);
	json_decref(body);
}

void repos_delete(struct http_request *request, const struct route_match *match)
{
	(void)match;
	open_signed_in(request, DELETE_BODY_BYTES_MAX, delete_body);
}
