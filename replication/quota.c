#include "replication/quota.h"

#include "replication/namespace_state.h"

struct quota {
	char owner[NAME_BYTES_MAX + 1];
	uint64_t bytes;
	int64_t set_ms;
};
static const struct field quota_fields[] = {
	FIELD(struct quota, owner, FIELD_TEXT, true),
	FIELD(struct quota, bytes, FIELD_U64, true),
	FIELD(struct quota, set_ms, FIELD_I64, false),
};
static const struct schema quota_schema = SCHEMA(1, quota_fields);

int quota_set_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct quota quota;
	struct key key;
	int err = body_decode(&quota, sizeof(quota), &quota_schema, command, why);
	if (err)
		return err;
	if (!name_valid(span_text(quota.owner)))
		return why_set(why, ERR_INVALID, "\"%s\" is not a name", quota.owner);
	key_quota(&key, span_text(quota.owner));
	quota.set_ms = apply->leader_ms;
	if (quota.bytes == QUOTA_NONE)
		state_delete(apply, &key);
	else
		state_put(apply, &key, &quota_schema, &quota);
	struct change change = { 0 };
	memcpy(change.owner, quota.owner, sizeof(change.owner));
	return change_append(apply, command, &change, why);
}

int quota_set(struct namespace *ns, const char *actor, const char *owner, uint64_t bytes, struct why *why)
{
	struct quota quota = { .bytes = bytes };
	struct buffer body;
	if (!name_valid(span_text(owner)))
		return why_set(why, ERR_INVALID, "\"%s\" is not a name", owner);
	strcpy(quota.owner, owner);
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &quota_schema, &quota);
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_QUOTA_SET, actor, &body, NULL, why);
}

int quota_get(struct namespace *ns, const char *owner, uint64_t *bytes)
{
	struct quota quota;
	struct key key;
	*bytes = QUOTA_NONE;
	if (!name_valid(span_text(owner)))
		return 0;
	key_quota(&key, span_text(owner));
	int err = namespace_get(ns, NULL, &key, &quota_schema, &quota, sizeof(quota));
	if (err == 0)
		*bytes = quota.bytes;
	return err == ERR_NOT_FOUND ? 0 : err;
}
