#include "gateway/auth/token_json.h" /* jansson before json_writer.h */

#include "gateway/audit/entry.h"

#include <stdio.h>

#include "replication/org.h"
#include "schemas/command.h"
#include "schemas/json_writer.h"

enum { ENTRY_REPO_BYTES_MAX = 2 * NAME_BYTES_MAX + 2 };

static const struct {
	uint32_t type;
	const char *event;
} events[] = {
	{ COMMAND_USER_CREATE, "user-create" }, { COMMAND_TOKEN_CREATE, "token-create" }, { COMMAND_TOKEN_CREATE_FINE, "token-create" },
	{ COMMAND_TOKEN_DELETE, "token-delete" }, { COMMAND_APP_CREATE, "app-create" },
	{ COMMAND_APP_DELETE, "app-delete" }, { COMMAND_IDENTITY_LINK, "identity-link" }, { COMMAND_REPO_CREATE, "repo-create" }, { COMMAND_REPO_UPDATE, "repo-settings" },
	{ COMMAND_REPO_COPIES, "repo-copies" },
	{ COMMAND_REPO_DELETE, "repo-delete" }, { COMMAND_REPO_MOVE, "repo-move" }, { COMMAND_REFS_UPDATE, "ref-update" },
	{ COMMAND_QUOTA_SET, "quota-set" }, { COMMAND_SSH_KEY_CREATE, "ssh-key-create" }, { COMMAND_SSH_KEY_DELETE, "ssh-key-delete" },
	{ COMMAND_BRANCH_RULE_SET, "branch-rule-set" }, { COMMAND_BRANCH_RULE_DELETE, "branch-rule-delete" }, { COMMAND_ORG_CREATE, "org-create" },
	{ COMMAND_ORG_UPDATE, "org-update" }, { COMMAND_ORG_DELETE, "org-delete" }, { COMMAND_MEMBER_SET, "member-set" },
	{ COMMAND_MEMBER_DELETE, "member-delete" }, { COMMAND_DISCUSSION_OPEN, "discussion-open" }, { COMMAND_DISCUSSION_COMMENT, "discussion-comment" },
	{ COMMAND_DISCUSSION_EDIT, "discussion-edit" }, { COMMAND_DISCUSSION_UPDATE, "discussion-update" }, { COMMAND_DISCUSSION_DELETE, "discussion-delete" },
	{ COMMAND_PULL_REQUEST_MERGE, "pull-request-merge" }, { COMMAND_ACCESS, "access-request" },
	{ COMMAND_FEATURE_LEVEL, "cluster-upgrade" },
};

static const struct {
	const char *noun;
	uint32_t type;
} nouns[] = {
	{ "model", REPO_MODEL }, { "dataset", REPO_DATASET }, { "space", REPO_SPACE }, { "kernel", REPO_KERNEL }, { "bucket", REPO_BUCKET },
};

bool audit_wants(const struct change *change)
{
	switch (change->type) {
	case COMMAND_REPO_LIKE:
	case COMMAND_REPO_UNLIKE:
	case COMMAND_LIKES_DROP:
	case COMMAND_DOWNLOADS_ADD:
	case COMMAND_CHANGES_POSITION:
		return false;
	}
	return true;
}

static const char *event_of(uint32_t type, char fallback[24])
{
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (events[i].type == type)
			return events[i].event;
	snprintf(fallback, 24, "command-%u", type);
	return fallback;
}

static const char *type_word(uint32_t type)
{
	for (size_t i = 0; i < sizeof(nouns) / sizeof(nouns[0]); i++)
		if (nouns[i].type == type)
			return nouns[i].noun;
	return NULL;
}

static bool is_zero(const void *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (((const uint8_t *)bytes)[i])
			return false;
	return true;
}

/* Changes inside a repository carry its id alone: its name is looked up, as it is now. */
static void write_repo(struct json_writer *json, const struct change *change, struct namespace *ns)
{
	char id[ENTITY_ID_TEXT_BYTES], name[ENTRY_REPO_BYTES_MAX] = "";
	uint32_t type = change->repo_type;
	struct repo repo;
	if (change->name[0]) {
		snprintf(name, sizeof(name), "%s/%s", change->owner, change->name);
	} else if (ns && repo_get(ns, NULL, &change->repo, &repo) == 0) {
		snprintf(name, sizeof(name), "%s/%s", repo.owner, repo.name);
		type = repo.type;
	}
	hex_encode(id, change->repo.bytes, ENTITY_ID_BYTES);
	json_object_begin(json, "repo");
	json_text(json, "id", id);
	if (type_word(type))
		json_text(json, "type", type_word(type));
	if (name[0])
		json_text(json, "name", name);
	json_object_end(json);
	if (change->old_name[0]) {
		snprintf(name, sizeof(name), "%s/%s", change->old_owner, change->old_name);
		json_text(json, "old_name", name);
	}
}

static void write_oid(struct json_writer *json, const char *key, const struct oid *oid)
{
	char text[OID_TEXT_BYTES];
	hex_encode(text, oid->bytes, OID_BYTES);
	json_text(json, key, is_zero(oid, sizeof(*oid)) ? NULL : text);
}

static void write_action(struct json_writer *json, const struct change *change)
{
	bool of_member = change->type == COMMAND_MEMBER_SET || change->type == COMMAND_ORG_CREATE;
	bool of_token = change->type == COMMAND_TOKEN_CREATE || change->type == COMMAND_TOKEN_CREATE_FINE || change->type == COMMAND_TOKEN_DELETE;
	if (of_member)
		json_text(json, "role", org_role_name((enum org_role)change->action));
	else if (of_token)
		json_text(json, "role", token_role_name((enum token_role)change->action));
	else if (change->type == COMMAND_FEATURE_LEVEL)
		json_u64(json, "feature_level", change->action);
	else if (change->action)
		json_u64(json, "action", change->action);
}

void audit_write_change(struct buffer *out, uint32_t group, const struct change *change, struct namespace *ns)
{
	struct json_writer json;
	char fallback[24];
	json_writer_init(&json, out);
	json_object_begin(&json, NULL);
	json_date(&json, "time", change->when_ms);
	json_text(&json, "event", event_of(change->type, fallback));
	json_text(&json, "actor", change->actor);
	if (!is_zero(&change->repo, sizeof(change->repo))) {
		write_repo(&json, change, ns);
	} else {
		json_text(&json, "owner", change->owner);
		if (change->name[0])
			json_text(&json, "name", change->name);
	}
	if (change->ref[0]) {
		json_text(&json, "ref", change->ref);
		write_oid(&json, "old", &change->old_oid);
		write_oid(&json, "new", &change->new_oid);
	}
	if (change->item)
		json_u64(&json, "item", change->item);
	write_action(&json, change);
	json_u64(&json, "group", group);
	json_u64(&json, "number", change->number);
	json_object_end(&json);
	buffer_append_byte(out, '\n');
}

void audit_write_gap(struct buffer *out, uint32_t group, uint64_t first, uint64_t last, int64_t now_ms)
{
	struct json_writer json;
	json_writer_init(&json, out);
	json_object_begin(&json, NULL);
	json_date(&json, "time", now_ms);
	json_text(&json, "event", "gap");
	json_u64(&json, "missing", last - first + 1);
	json_u64(&json, "group", group);
	json_u64(&json, "number", last);
	json_object_end(&json);
	buffer_append_byte(out, '\n');
}
