#include "replication/gate.h"

#include "replication/community_keys.h"
#include "replication/namespace_state.h"

static const struct field request_fields[] = {
	FIELD(struct access_request, user, FIELD_TEXT, true),
	FIELD(struct access_request, status, FIELD_ENUM, true),
	FIELD(struct access_request, asked_ms, FIELD_I64, true),
	FIELD(struct access_request, decided_ms, FIELD_I64, false),
	FIELD(struct access_request, decided_by, FIELD_TEXT, false),
	FIELD(struct access_request, reason, FIELD_TEXT, false),
	FIELD(struct access_request, fields, FIELD_TEXT, false),
};
static const struct schema request_schema = SCHEMA(1, request_fields);

enum access_action { ACCESS_ASK = 1, ACCESS_DECIDE = 2, ACCESS_GRANT = 3, ACCESS_CANCEL = 4 };

struct access_body {
	struct entity_id repo;
	enum access_action action;
	char user[NAME_BYTES_MAX + 1];
	enum access_status status;
	char reason[ACCESS_REASON_BYTES_MAX + 1];
	char fields[ACCESS_FIELDS_BYTES_MAX + 1];
};
static const struct field body_fields[] = {
	FIELD(struct access_body, repo, FIELD_BYTES, true),
	FIELD(struct access_body, action, FIELD_ENUM, true),
	FIELD(struct access_body, user, FIELD_TEXT, true),
	FIELD(struct access_body, status, FIELD_ENUM, false),
	FIELD(struct access_body, reason, FIELD_TEXT, false),
	FIELD(struct access_body, fields, FIELD_TEXT, false),
};
static const struct schema body_schema = SCHEMA(1, body_fields);

/* ---- apply ---- */

/* What becomes of the request; the status 0 removes it. */
static int decide(const struct apply_context *apply, const struct access_body *body, struct span actor, bool exists, struct access_request *request, struct why *why)
{
	if (!exists && (body->action == ACCESS_DECIDE || body->action == ACCESS_CANCEL))
		return why_set(why, ERR_NOT_FOUND, "%s has not asked for access", body->user);
	if (exists && body->action == ACCESS_ASK)
		return why_set(why, ERR_EXISTS, "%s has asked for access already", body->user);
	if (exists && (body->action == ACCESS_DECIDE || body->action == ACCESS_GRANT) && request->status == body->status)
		return why_set(why, ERR_EXISTS, "the request of %s has this status already", body->user);
	if (body->action != ACCESS_CANCEL && (body->status < ACCESS_PENDING || body->status > ACCESS_REJECTED))
		return why_set(why, ERR_INVALID, "%u is not the status of a request", (unsigned)body->status);
	if (!exists) {
		*request = (struct access_request){ .asked_ms = apply->leader_ms };
		memcpy(request->user, body->user, sizeof(request->user));
		memcpy(request->fields, body->fields, sizeof(request->fields));
	}
	request->status = body->action == ACCESS_CANCEL ? (enum access_status)0 : body->status;
	bool decided = body->action != ACCESS_ASK && request->status != ACCESS_PENDING;
	request->decided_ms = decided ? apply->leader_ms : 0;
	memset(request->decided_by, 0, sizeof(request->decided_by));
	if (decided && actor.length)
		memcpy(request->decided_by, actor.data, actor.length < NAME_BYTES_MAX ? actor.length : NAME_BYTES_MAX);
	memcpy(request->reason, body->reason, sizeof(request->reason));
	return 0;
}

int access_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct access_body body;
	struct access_request request;
	struct repo_state state = { 0 };
	struct key by_user, by_status, key;
	int err = body_decode(&body, sizeof(body), &body_schema, command, why);
	if (err)
		return err;
	key_repo_state(&key, &body.repo);
	err = state_get(apply, &key, &repo_state_schema, &state, sizeof(state), why);
	if (err && err != ERR_NOT_FOUND)
		return err;
	if (state.deleted || !name_valid(span_text(body.user)))
		return why_set(why, ERR_NOT_FOUND, "there is no such repository or user");
	key_access(&by_user, &body.repo, span_text(body.user));
	err = state_get(apply, &by_user, &request_schema, &request, sizeof(request), why);
	if (err && err != ERR_NOT_FOUND)
		return err;
	bool exists = err == 0;
	if (exists)
		key_access_by_status(&by_status, &body.repo, request.status, request.asked_ms, span_text(body.user));
	err = decide(apply, &body, command->actor, exists, &request, why);
	if (err)
		return err;
	if (exists)
		state_delete(apply, &by_status);
	if (request.status == 0) {
		state_delete(apply, &by_user);
	} else {
		state_put(apply, &by_user, &request_schema, &request);
		key_access_by_status(&by_status, &body.repo, request.status, request.asked_ms, span_text(body.user));
		state_put_bytes(apply, &by_status, "", 0);
	}
	struct change change = { .repo = body.repo, .action = request.status };
	memcpy(change.owner, body.user, sizeof(change.owner));
	return change_append(apply, command, &change, why);
}

int access_purge(const struct apply_context *apply, const struct entity_id *repo, struct why *why)
{
	struct key key;
	key_access(&key, repo, (struct span){ 0 });
	int err = state_delete_prefix(apply, &key, why);
	key_access_status_prefix(&key, repo, 0);
	return err ? err : state_delete_prefix(apply, &key, why);
}

/* ---- changing ---- */

static int propose(struct namespace *ns, const char *actor, const struct entity_id *repo, const char *user, struct access_body *body, const char *reason,
	const char *fields, struct why *why)
{
	if (!name_valid(span_text(user)))
		return why_set(why, ERR_NOT_FOUND, "there is no such user");
	if (strlen(reason) > ACCESS_REASON_BYTES_MAX)
		return why_set(why, ERR_INVALID, "the reason is longer than %d bytes", ACCESS_REASON_BYTES_MAX);
	if (strlen(fields) > ACCESS_FIELDS_BYTES_MAX)
		return why_set(why, ERR_INVALID, "the fields are longer than %d bytes", ACCESS_FIELDS_BYTES_MAX);
	body->repo = *repo;
	strcpy(body->user, user);
	strcpy(body->reason, reason);
	strcpy(body->fields, fields);
	struct buffer bytes;
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	record_encode(&bytes, &body_schema, body);
	return namespace_propose(ns, GROUP_REPOS, COMMAND_ACCESS, actor, &bytes, NULL, why);
}

int access_ask(struct namespace *ns, const char *user, const struct entity_id *repo, bool accepted, const char *fields, struct why *why)
{
	struct access_body body = { .action = ACCESS_ASK, .status = accepted ? ACCESS_ACCEPTED : ACCESS_PENDING };
	return propose(ns, user, repo, user, &body, "", fields, why);
}

int access_decide(struct namespace *ns, const char *actor, const struct entity_id *repo, const char *user, enum access_status status, const char *reason,
	struct why *why)
{
	struct access_body body = { .action = ACCESS_DECIDE, .status = status };
	return propose(ns, actor, repo, user, &body, reason ? reason : "", "", why);
}

int access_grant(struct namespace *ns, const char *actor, const struct entity_id *repo, const char *user, struct why *why)
{
	struct access_body body = { .action = ACCESS_GRANT, .status = ACCESS_ACCEPTED };
	return propose(ns, actor, repo, user, &body, "", "", why);
}

int access_cancel(struct namespace *ns, const char *actor, const struct entity_id *repo, const char *user, struct why *why)
{
	struct access_body body = { .action = ACCESS_CANCEL };
	return propose(ns, actor, repo, user, &body, "", "", why);
}

/* ---- reading ---- */

int access_get(struct namespace *ns, const struct entity_id *repo, const char *user, struct access_request *out)
{
	struct key key;
	key_access(&key, repo, span_text(user));
	return namespace_get(ns, NULL, &key, &request_schema, out, sizeof(*out));
}

struct listing {
	struct namespace *ns;
	const struct entity_id *repo;
	const struct key *after;
	size_t name_offset; /* of the user in a key */
	int (*each)(void *context, const struct access_request *request);
	void *context;
};

static int list_one(void *context, struct span key, struct span value)
{
	(void)value;
	struct listing *listing = context;
	if (listing->after && span_equal(key, span_of(listing->after->bytes, listing->after->length)))
		return 0;
	if (key.length <= listing->name_offset || key.length - listing->name_offset > NAME_BYTES_MAX)
		return ERR_CORRUPT;
	char user[NAME_BYTES_MAX + 1] = { 0 };
	memcpy(user, key.data + listing->name_offset, key.length - listing->name_offset);
	struct access_request request;
	int err = access_get(listing->ns, listing->repo, user, &request);
	if (err == ERR_NOT_FOUND)
		return 0; /* cancelled since the scan began */
	return err ? err : listing->each(listing->context, &request);
}

int access_list(struct namespace *ns, const struct entity_id *repo, enum access_status status, int64_t asked_ms, const char *after,
	int (*each)(void *context, const struct access_request *request), void *context)
{
	struct key prefix, start;
	key_access_status_prefix(&prefix, repo, status);
	if (after)
		key_access_by_status(&start, repo, status, asked_ms, span_text(after));
	struct listing listing = { .ns = ns, .repo = repo, .after = after ? &start : NULL, .name_offset = prefix.length + 8, .each = each, .context = context };
	return namespace_scan(ns, NULL, &prefix, listing.after, list_one, &listing);
}
