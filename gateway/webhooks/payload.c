#include "gateway/webhooks/payload.h"

#include <stdio.h>

#include "gateway/repo/repo.h"
#include "replication/org.h"
#include "schemas/json_writer.h"

static const struct {
	const char *singular, *plural, *prefix;
} types[] = {
	[REPO_MODEL] = { "model", "models", "" },
	[REPO_DATASET] = { "dataset", "datasets", "datasets/" },
	[REPO_SPACE] = { "space", "spaces", "spaces/" },
	[REPO_KERNEL] = { "kernel", "kernels", "kernels/" },
};

static const char *const statuses[] = { [DISCUSSION_OPEN] = "open", [DISCUSSION_CLOSED] = "closed", [DISCUSSION_MERGED] = "merged",
	[DISCUSSION_DRAFT] = "draft" };

/* ------------------------------------------------------------------ reading what a change was about */

static void classify(struct hook_event *event, enum webhook_domain domain, const char *action, const char *scope)
{
	event->domain = domain;
	event->action = action;
	event->scope = scope;
}

static int take_event(void *context, const struct discussion_event *found, struct span text)
{
	struct hook_event *event = context;
	event->comment = *found;
	event->has_comment = found->kind == EVENT_COMMENT;
	buffer_append(&event->text, text.data, text.length);
	return 1;
}

static int load_discussion(struct gateway *gateway, struct hook_event *event)
{
	const struct change *change = event->change;
	if (change->type == COMMAND_DISCUSSION_DELETE) {
		event->discussion.number = change->item;
		snprintf(event->discussion.title, sizeof(event->discussion.title), "%s", change->name);
		event->discussion.status = DISCUSSION_CLOSED;
		event->has_discussion = true;
		return 1;
	}
	int err = discussion_get(gateway->ns, &event->repo.id, change->item, &event->discussion);
	if (err)
		return err == ERR_NOT_FOUND ? 0 : err;
	event->has_discussion = true;
	bool about_comment = change->type != COMMAND_DISCUSSION_UPDATE && change->type != COMMAND_PULL_REQUEST_MERGE;
	int found = about_comment ? discussion_events(gateway->ns, &event->repo.id, change->item, change->event - 1, take_event, event) : 1;
	return found < 0 ? found : 1;
}

static int load_repo(struct gateway *gateway, struct hook_event *event)
{
	const struct change *change = event->change;
	int err = repo_get(gateway->ns, NULL, &change->repo, &event->repo);
	if (change->repo_type == REPO_BUCKET || (err == 0 && event->repo.type == REPO_BUCKET))
		return 0;
	if (err == 0 || change->type != COMMAND_REPO_DELETE)
		return err == ERR_NOT_FOUND ? 0 : err ? err : 1;
	event->is_deleted = true;
	event->repo = (struct repo){ .id = change->repo, .type = (enum repo_type)change->repo_type, .private = change->action != 0 };
	memcpy(event->repo.owner, change->owner, sizeof(event->repo.owner));
	memcpy(event->repo.name, change->name, sizeof(event->repo.name));
	return 1;
}

int hook_event_load(struct gateway *gateway, const struct change *change, struct hook_event *out)
{
	*out = (struct hook_event){ .change = change };
	buffer_init(&out->text, COMMENT_BYTES_MAX);
	switch (change->type) {
	case COMMAND_REPO_CREATE: classify(out, WEBHOOK_REPO, "create", "repo"); break;
	case COMMAND_REPO_DELETE: classify(out, WEBHOOK_REPO, "delete", "repo"); break;
	case COMMAND_REPO_MOVE: classify(out, WEBHOOK_REPO, "move", "repo"); break;
	case COMMAND_REPO_UPDATE: classify(out, WEBHOOK_REPO, "update", "repo.config"); break;
	case COMMAND_REFS_UPDATE: classify(out, WEBHOOK_REPO, "update", "repo.content"); break;
	case COMMAND_DISCUSSION_OPEN: classify(out, WEBHOOK_DISCUSSION, "create", "discussion"); break;
	case COMMAND_DISCUSSION_COMMENT: classify(out, WEBHOOK_DISCUSSION, "create", "discussion.comment"); break;
	case COMMAND_DISCUSSION_EDIT: classify(out, WEBHOOK_DISCUSSION, "update", "discussion.comment"); break;
	case COMMAND_DISCUSSION_UPDATE:
	case COMMAND_PULL_REQUEST_MERGE: classify(out, WEBHOOK_DISCUSSION, "update", "discussion"); break;
	case COMMAND_DISCUSSION_DELETE: classify(out, WEBHOOK_DISCUSSION, "delete", "discussion"); break;
	default: return 0;
	}
	int found = load_repo(gateway, out);
	return found == 1 && out->domain == WEBHOOK_DISCUSSION ? load_discussion(gateway, out) : found;
}

void hook_event_fini(struct hook_event *event)
{
	buffer_fini(&event->text);
}

/* ------------------------------------------------------------------ writing */

static void write_id(struct json_writer *json, const char *key, const struct entity_id *id)
{
	char text[ENTITY_ID_TEXT_BYTES];
	hex_encode(text, id->bytes, ENTITY_ID_BYTES);
	json_text(json, key, text);
}

static void write_account(struct gateway *gateway, struct json_writer *json, const char *key, const char *name)
{
	struct user user;
	struct org org;
	json_object_begin(json, key);
	if (user_find(gateway->ns, name, &user) == 0)
		write_id(json, "id", &user.id);
	else if (org_find(gateway->ns, name, &org) == 0)
		write_id(json, "id", &org.id);
	else
		json_null_value(json, "id");
	json_object_end(json);
}

static void write_urls(struct json_writer *json, const char *web, const char *api)
{
	json_object_begin(json, "url");
	json_text(json, "web", web);
	json_text(json, "api", api);
	json_object_end(json);
}

static void write_oid(struct json_writer *json, const char *key, const struct oid *oid)
{
	static const struct oid zero;
	char text[OID_TEXT_BYTES];
	hex_encode(text, oid->bytes, OID_BYTES);
	json_text(json, key, memcmp(oid->bytes, zero.bytes, OID_BYTES) == 0 ? NULL : text);
}

static void write_repo(struct gateway *gateway, struct json_writer *json, const struct hook_event *event, const struct webhook *hook)
{
	const struct repo *repo = &event->repo;
	char name[REPO_ID_BYTES_MAX], web[1024], api[1024];
	bool moved = event->change->type == COMMAND_REPO_MOVE; /* then it is named as it was, and movedTo says the rest */
	snprintf(name, sizeof(name), "%s/%s", moved ? event->change->old_owner : repo->owner, moved ? event->change->old_name : repo->name);
	snprintf(web, sizeof(web), "%s/%s%s", hook->base_url, types[repo->type].prefix, name);
	snprintf(api, sizeof(api), "%s/api/%s/%s", hook->base_url, types[repo->type].plural, name);
	json_object_begin(json, "repo");
	json_text(json, "type", types[repo->type].singular);
	json_text(json, "name", name);
	write_id(json, "id", &repo->id);
	json_bool(json, "private", repo->private);
	write_urls(json, web, api);
	write_account(gateway, json, "owner", repo->owner);
	struct ref head;
	if (!event->is_deleted && ref_get(gateway->ns, NULL, &repo->id, repo->head, &head) == 0)
		write_oid(json, "headSha", &head.oid);
	json_object_end(json);
}

static void write_discussion(struct gateway *gateway, struct json_writer *json, const struct hook_event *event, const struct webhook *hook)
{
	const struct discussion *discussion = &event->discussion;
	const struct repo *repo = &event->repo;
	char web[1024], api[1024];
	unsigned long long number = discussion->number;
	snprintf(web, sizeof(web), "%s/%s%s/%s/discussions/%llu", hook->base_url, types[repo->type].prefix, repo->owner, repo->name, number);
	snprintf(api, sizeof(api), "%s/api/%s/%s/%s/discussions/%llu", hook->base_url, types[repo->type].plural, repo->owner, repo->name, number);
	json_object_begin(json, "discussion");
	write_id(json, "id", &discussion->id);
	json_text(json, "title", discussion->title);
	write_urls(json, web, api);
	json_text(json, "status", statuses[discussion->status]);
	write_account(gateway, json, "author", discussion->author);
	json_u64(json, "num", discussion->number);
	json_bool(json, "isPullRequest", discussion->is_pull_request);
	if (discussion->is_pull_request) {
		json_object_begin(json, "changes");
		json_text(json, "base", discussion->base);
		if (discussion->status == DISCUSSION_MERGED)
			write_oid(json, "mergeCommitId", &discussion->merge_commit);
		json_object_end(json);
	}
	json_object_end(json);
	if (!event->has_comment)
		return;
	json_object_begin(json, "comment");
	write_id(json, "id", &event->comment.id);
	write_account(gateway, json, "author", event->comment.author);
	if (!event->comment.hidden)
		json_span(json, "content", buffer_span(&event->text));
	json_bool(json, "hidden", event->comment.hidden);
	write_urls(json, web, api);
	json_object_end(json);
}

static void write_changed(struct gateway *gateway, struct json_writer *json, const struct hook_event *event)
{
	const struct change *change = event->change;
	if (change->type == COMMAND_REFS_UPDATE) {
		json_array_begin(json, "updatedRefs");
		json_object_begin(json, NULL);
		json_text(json, "ref", change->ref);
		write_oid(json, "oldSha", &change->old_oid);
		write_oid(json, "newSha", &change->new_oid);
		json_object_end(json);
		json_array_end(json);
	}
	if (change->type == COMMAND_REPO_UPDATE) {
		json_object_begin(json, "updatedConfig");
		json_bool(json, "private", event->repo.private);
		json_object_end(json);
	}
	if (change->type == COMMAND_REPO_MOVE) {
		char name[REPO_ID_BYTES_MAX];
		snprintf(name, sizeof(name), "%s/%s", change->owner, change->name);
		json_object_begin(json, "movedTo");
		json_text(json, "name", name);
		write_account(gateway, json, "owner", change->owner);
		json_object_end(json);
	}
}

int hook_event_write(struct gateway *gateway, const struct hook_event *event, const struct webhook *hook, struct buffer *out)
{
	struct json_writer json;
	json_writer_init(&json, out);
	json_object_begin(&json, NULL);
	json_object_begin(&json, "event");
	json_text(&json, "action", event->action);
	json_text(&json, "scope", event->scope);
	json_object_end(&json);
	write_repo(gateway, &json, event, hook);
	if (event->has_discussion)
		write_discussion(gateway, &json, event, hook);
	write_changed(gateway, &json, event);
	json_object_begin(&json, "webhook");
	write_id(&json, "id", &hook->id);
	json_i64(&json, "version", 3);
	json_object_end(&json);
	json_object_end(&json);
	return out->failed ? ERR_TOO_BIG : 0;
}
