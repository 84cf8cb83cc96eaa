#include "gateway/hub/refs.h"

#include <stdio.h>

#include "gateway/hub/call.h"
#include "gateway/hub/json_body.h"
#include "schemas/json_writer.h"

enum { REF_BODY_BYTES_MAX = 64 << 10, TAG_MESSAGE_BYTES_MAX = 32 << 10 };

/* ------------------------------------------------------------------ listing */

struct ref_list {
	struct json_writer json;
	struct buffer body;
	size_t prefix_length;
	struct call *call;
};

/* An annotated tag is an object that leads to a commit. One that leads to something else keeps its own id. */
static void peel(struct call *call, const struct ref *ref, struct oid *out)
{
	*out = ref->oid;
	if (strncmp(ref->name, "refs/tags/", strlen("refs/tags/")) == 0 &&
		repo_resolve(call->gateway, &call->repo, span_text(ref->name), REPO_MAY_WAIT, out, NULL) != 0)
		*out = ref->oid;
}

static int write_ref(void *context, const struct ref *ref)
{
	struct ref_list *list = context;
	struct oid commit;
	char oid[OID_TEXT_BYTES];
	peel(list->call, ref, &commit);
	hex_encode(oid, commit.bytes, OID_BYTES);
	json_object_begin(&list->json, NULL);
	json_text(&list->json, "name", ref->name + list->prefix_length);
	json_text(&list->json, "ref", ref->name);
	json_text(&list->json, "targetCommit", oid);
	json_object_end(&list->json);
	return list->body.failed ? ERR_TOO_BIG : 0;
}

static int write_refs(struct call *call, struct ref_list *list, const struct namespace_snapshot *snapshot, const char *key, const char *prefix)
{
	list->prefix_length = strlen(prefix);
	json_array_begin(&list->json, key);
	int err = ref_list(call->gateway->ns, snapshot, &call->repo.id, prefix, write_ref, list);
	if (err == 0)
		json_array_end(&list->json);
	return err;
}

static int list_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct ref_list list = { .call = call };
	buffer_init(&list.body, ANSWER_BYTES_MAX);
	json_writer_init(&list.json, &list.body);
	struct namespace_snapshot *snapshot = namespace_snapshot_open(call->gateway->ns);
	json_object_begin(&list.json, NULL);
	int err = write_refs(call, &list, snapshot, "branches", "refs/heads/");
	if (err == 0)
		err = write_refs(call, &list, snapshot, "tags", "refs/tags/");
	if (err == 0)
		err = write_refs(call, &list, snapshot, "converts", "refs/convert/");
	if (err == 0 && http_query_bool(request, "include_prs", false))
		err = write_refs(call, &list, snapshot, "pullRequests", "refs/pr/");
	namespace_snapshot_close(snapshot);
	if (err) {
		buffer_fini(&list.body);
		answer_err(request, err, NULL);
		return 0;
	}
	json_object_end(&list.json);
	answer_json(request, 200, &list.body);
	return 0;
}

void refs_list(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 0, ACTION_READ);
	if (call)
		call_work(request, call, list_run);
}

/* ------------------------------------------------------------------ changing */

/* The full name of a branch or tag in the rest of the path. NULL: answered already. */
static const char *ref_name_of(struct http_request *request, struct call *call, const char *prefix, struct span raw)
{
	const char *name = http_decode(request, raw, false);
	if (name && strncmp(name, prefix, strlen(prefix)) == 0)
		name += strlen(prefix);
	const char *full = name ? http_printf(request, "%s%s", prefix, name) : NULL;
	if (!full || !*name || strlen(full) > REF_BYTES_MAX || !ref_name_valid(span_text(full)) || !text_is_utf8(span_text(full))) {
		http_reply_error(request, 400, NULL, http_printf(request, "Invalid rev id: %s", name ? name : ""));
		return NULL;
	}
	call->state = (void *)full;
	return full;
}

/* True: answered, since a branch or tag of this name would be read where another ref is meant. */
static bool refuse_shadow(struct http_request *request, const char *full, const char *name)
{
	if (!ref_name_shadows(span_text(full)))
		return false;
	http_reply_error(request, 400, NULL, http_printf(request, "Invalid rev id: %s: a branch or tag cannot be named HEAD or refs/...", name));
	return true;
}

/* A new ref is there, or is not: another one has its name, or is a folder of it. */
static void answer_made(struct http_request *request, struct call *call, const char *name, int err, const struct why *why)
{
	struct ref ref;
	bool exists = err == ERR_CONFLICT && ref_get(call->gateway->ns, NULL, &call->repo.id, name, &ref) == 0;
	if (err == ERR_CONFLICT)
		http_reply_error(request, 409, NULL, exists || !why->text[0] ? http_printf(request, "Reference %s already exists", name) : why->text);
	else if (err)
		answer_err(request, err, why);
	else
		http_reply(request, 200, "application/json; charset=utf-8", span_text("{\"success\":true}"));
}

/* One ref from old to new; answers. */
static void move_ref(struct http_request *request, struct call *call, const char *name, const struct oid *old_oid, const struct oid *new_oid)
{
	struct ref_update update = { 0 };
	snprintf(update.name, sizeof(update.name), "%s", name);
	if (old_oid)
		update.old_oid = *old_oid;
	if (new_oid)
		update.new_oid = *new_oid;
	struct why why = { 0 };
	update.privileged = may(&call->actor, ACTION_ADMIN, &(struct resource){ .repo = &call->repo }) == 0;
	int err = refs_update(call->gateway->ns, call->actor.name, &call->repo.id, &update, 1, NULL, NULL, &why);
	if (err && old_oid)
		answer_err(request, err, &why);
	else
		answer_made(request, call, name, err, &why);
}

/* 0 and *out, which is kept for who is naming; else answered. */
static int resolve_start(struct http_request *request, struct call *call, const char *revision, struct oid *out)
{
	int err = repo_resolve(call->gateway, &call->repo, span_text(revision), REPO_MAY_WAIT, out, NULL);
	struct why why = { 0 };
	if (err == ERR_NOT_FOUND || err == ERR_INVALID) {
		answer_revision_missing(request, revision);
		return err;
	}
	if (err == 0)
		err = repo_renew(call->gateway, &call->repo.id, out, &why);
	if (err == ERR_CONFLICT)
		http_reply_error(request, 409, NULL, why.text);
	else if (err)
		answer_err(request, err, &why);
	return err;
}

static struct commit_author author_of(struct call *call, struct user *user)
{
	bool has_user = user_find(call->gateway->ns, call->actor.name, user) == 0;
	return (struct commit_author){ .name = call->actor.name, .email = has_user ? user->email : "", .when_ms = unix_ms() };
}

static void create_empty(struct http_request *request, struct call *call, const char *name, const struct oid *old_oid)
{
	struct user user;
	struct why why = { 0 };
	struct commit_author author = author_of(call, &user);
	struct ref_update update = { .privileged = may(&call->actor, ACTION_ADMIN, &(struct resource){ .repo = &call->repo }) == 0 };
	snprintf(update.name, sizeof(update.name), "%s", name);
	if (old_oid)
		update.old_oid = *old_oid;
	answer_made(request, call, name, repo_branch_empty(call->gateway, &call->repo, call->actor.name, &update, &author, span_text("initial commit"), &why), &why);
}

static void branch_create_with(struct http_request *request, struct call *call, const json_t *body)
{
	const char *name = call->state;
	struct ref ref;
	int err = ref_get(call->gateway->ns, NULL, &call->repo.id, name, &ref);
	bool exists = err == 0;
	if (err && err != ERR_NOT_FOUND) {
		answer_err(request, err, NULL);
		return;
	}
	if (exists && !json_body_bool(body, "overwrite", false)) {
		http_reply_error(request, 409, NULL, http_printf(request, "Reference %s already exists", name));
		return;
	}
	if (json_body_bool(body, "emptyBranch", false)) {
		create_empty(request, call, name, exists ? &ref.oid : NULL);
		return;
	}
	struct oid start;
	const char *revision = http_printf(request, "%s", json_body_text(body, "startingPoint", call->repo.head));
	if (resolve_start(request, call, revision, &start) == 0)
		move_ref(request, call, name, exists ? &ref.oid : NULL, &start);
}

/* Whoever makes a ref is naming meanwhile what it leads to. */
static void with_json(struct http_request *request, struct span text, struct call *call,
	void (*run)(struct http_request *, struct call *, const json_t *))
{
	struct why why = { 0 };
	json_t *body = json_body_parse(text.length ? text : span_text("{}"), &why);
	if (!body) {
		answer_err(request, ERR_INVALID, &why);
		return;
	}
	struct store *store = call->gateway->store; /* the call is gone with its answer */
	struct upload_entry naming;
	store_naming_begin(store, &naming);
	run(request, call, body);
	store_naming_end(store, &naming);
	json_decref(body);
}

static void branch_create_body(struct http_request *request, struct span text, void *context)
{
	with_json(request, text, context, branch_create_with);
}

void branch_create(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 0, ACTION_WRITE);
	const char *full = call ? ref_name_of(request, call, "refs/heads/", call->rest) : NULL;
	if (full && !refuse_shadow(request, full, full + strlen("refs/heads/")))
		http_collect(request, REF_BODY_BYTES_MAX, branch_create_body, call);
}

static int delete_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	const char *name = call->state;
	struct ref ref;
	int err = ref_get(call->gateway->ns, NULL, &call->repo.id, name, &ref);
	if (err == ERR_NOT_FOUND)
		answer_revision_missing(request, strchr(name + strlen("refs/"), '/') + 1);
	else if (err)
		answer_err(request, err, NULL);
	else
		move_ref(request, call, name, &ref.oid, NULL);
	return 0;
}

void branch_delete(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 0, ACTION_WRITE);
	const char *name = call ? ref_name_of(request, call, "refs/heads/", call->rest) : NULL;
	if (!name)
		return;
	if (strcmp(name, call->repo.head) == 0 || strcmp(name, "refs/heads/main") == 0)
		http_reply_error(request, 403, NULL, http_printf(request, "Cannot delete %s", name));
	else
		call_work(request, call, delete_run);
}

static void create_annotated(struct http_request *request, struct call *call, const char *name, const struct oid *target, const char *message)
{
	struct user user;
	struct why why = { 0 };
	struct commit_author author = author_of(call, &user);
	answer_made(request, call, name, repo_tag_annotated(call->gateway, &call->repo, call->actor.name, name, target, &author, span_text(message), &why), &why);
}

static void tag_create_with(struct http_request *request, struct call *call, const json_t *body)
{
	const char *tag, *message = json_body_text(body, "message", "");
	struct why why = { 0 };
	int err = json_body_needed_text(body, "tag", &tag, &why);
	if (err) {
		answer_err(request, err, &why);
		return;
	}
	if (strlen(message) > TAG_MESSAGE_BYTES_MAX) {
		http_reply_error(request, 400, NULL, "The tag message is too long");
		return;
	}
	const char *full = http_printf(request, "refs/tags/%s", tag);
	if (!*tag || strlen(full) > REF_BYTES_MAX || !ref_name_valid(span_text(full))) {
		http_reply_error(request, 400, NULL, http_printf(request, "Invalid rev id: %s", tag));
		return;
	}
	if (refuse_shadow(request, full, tag))
		return;
	const char *revision = http_decode(request, call->rest.length ? call->rest : span_text(call->repo.head), false);
	struct oid target;
	if (!revision)
		call_refuse_address(request);
	else if (resolve_start(request, call, revision, &target) != 0)
		return;
	else if (*message)
		create_annotated(request, call, full, &target, message);
	else
		move_ref(request, call, full, NULL, &target);
}

static void tag_create_body(struct http_request *request, struct span text, void *context)
{
	with_json(request, text, context, tag_create_with);
}

void tag_create(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 0, ACTION_WRITE);
	if (call)
		http_collect(request, REF_BODY_BYTES_MAX, tag_create_body, call);
}

void tag_delete(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 0, ACTION_WRITE);
	if (call && ref_name_of(request, call, "refs/tags/", call->rest))
		call_work(request, call, delete_run);
}
