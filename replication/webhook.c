#include "replication/webhook.h"

#include <stdlib.h>

#include "replication/community_keys.h"
#include "replication/namespace_state.h"

static const struct field hook_fields[] = {
	FIELD(struct webhook, id, FIELD_BYTES, true),
	FIELD(struct webhook, owner, FIELD_TEXT, true),
	FIELD(struct webhook, url, FIELD_TEXT, true),
	FIELD(struct webhook, secret, FIELD_TEXT, false),
	FIELD(struct webhook, base_url, FIELD_TEXT, false),
	FIELD(struct webhook, domains, FIELD_ENUM, true),
	FIELD(struct webhook, disabled, FIELD_BOOL, false),
	FIELD(struct webhook, created_ms, FIELD_I64, false),
	FIELD(struct webhook, since_ms, FIELD_I64, false),
	FIELD(struct webhook, failures, FIELD_U64, false),
	FIELD(struct webhook, told_cluster, FIELD_U64, false),
	FIELD(struct webhook, told_repos, FIELD_U64, false),
	FIELD(struct webhook, deliveries, FIELD_U64, false),
};
static const struct schema hook_schema = SCHEMA(1, hook_fields);

static const struct field delivery_fields[] = {
	FIELD(struct webhook_delivery, number, FIELD_U64, false),
	FIELD(struct webhook_delivery, when_ms, FIELD_I64, true),
	FIELD(struct webhook_delivery, status, FIELD_ENUM, true),
	FIELD(struct webhook_delivery, attempts, FIELD_ENUM, true),
	FIELD(struct webhook_delivery, delivered, FIELD_BOOL, false),
	FIELD(struct webhook_delivery, replayed, FIELD_BOOL, false),
	FIELD(struct webhook_delivery, group, FIELD_ENUM, false),
	FIELD(struct webhook_delivery, change, FIELD_U64, false),
	FIELD(struct webhook_delivery, error, FIELD_TEXT, false),
};
static const struct schema delivery_schema = SCHEMA(1, delivery_fields);

/* ---- [record, [[kind, name], ...]]: what is stored, and the body of WEBHOOK_PUT ---- */

static void encode(struct buffer *out, const struct webhook *hook)
{
	pack_array(out, 2);
	record_encode(out, &hook_schema, hook);
	pack_array(out, hook->watched_count);
	for (uint32_t i = 0; i < hook->watched_count; i++) {
		pack_array(out, 2);
		pack_u64(out, hook->watched[i].kind);
		pack_text(out, span_text(hook->watched[i].name));
	}
}

static int decode(struct span bytes, struct webhook *out)
{
	struct cursor cursor = cursor_of(bytes);
	memset(out, 0, sizeof(*out));
	cursor_array(&cursor, 2);
	int err = record_decode_at(&cursor, out, sizeof(*out), &hook_schema);
	if (err)
		return err;
	out->watched_count = cursor_array(&cursor, WEBHOOK_WATCHED_MAX);
	for (uint32_t i = 0; i < out->watched_count && !cursor.failed; i++) {
		cursor_array(&cursor, 2);
		out->watched[i].kind = (enum watched_kind)cursor_u64(&cursor);
		struct span name = cursor_text(&cursor, REPO_ID_BYTES_MAX - 1);
		if (name.length)
			memcpy(out->watched[i].name, name.data, name.length);
	}
	return cursor_done(&cursor) ? 0 : ERR_CORRUPT;
}

static int load(const struct apply_context *apply, const struct entity_id *id, struct webhook *out, struct why *why)
{
	struct buffer bytes;
	struct key key;
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	key_webhook(&key, id);
	int err = state_read(apply, &key, &bytes, why);
	if (err == 0)
		err = decode(buffer_span(&bytes), out) == 0 ? 0 : why_set(why, ERR_CORRUPT, "a webhook does not parse");
	buffer_fini(&bytes);
	return err == ERR_NOT_FOUND ? why_set(why, err, "there is no such webhook") : err;
}

static void store(const struct apply_context *apply, const struct webhook *hook)
{
	struct buffer bytes;
	struct key key;
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	encode(&bytes, hook);
	key_webhook(&key, &hook->id);
	state_put_bytes(apply, &key, bytes.data, bytes.length);
	buffer_fini(&bytes);
}

/* ---- apply ---- */

static void index_watched(const struct apply_context *apply, const struct webhook *hook, bool add)
{
	for (uint32_t i = 0; i < hook->watched_count; i++) {
		struct key key;
		key_webhook_watching(&key, hook->watched[i].kind, hook->watched[i].name, &hook->id);
		if (add)
			state_put_bytes(apply, &key, "", 0);
		else
			state_delete(apply, &key);
	}
}

static int check(const struct webhook *hook, struct why *why)
{
	if (!name_valid(span_text(hook->owner)) || hook->url[0] == 0 || hook->domains == 0 || hook->domains > (WEBHOOK_REPO | WEBHOOK_DISCUSSION))
		return why_set(why, ERR_INVALID, "a webhook needs an owner, an address and a domain");
	for (uint32_t i = 0; i < hook->watched_count; i++)
		if (hook->watched[i].kind < WATCHED_USER || hook->watched[i].kind > WATCHED_KERNEL || hook->watched[i].name[0] == 0)
			return why_set(why, ERR_INVALID, "what a webhook watches has a type and a name");
	return 0;
}

static bool count_key(void *context, struct span key)
{
	(void)key;
	return ++*(size_t *)context > WEBHOOKS_PER_USER_MAX; /* stops there */
}

static int put_new(const struct apply_context *apply, struct webhook *hook, struct why *why)
{
	struct key prefix, key;
	size_t count = 1;
	key_webhook_owner(&prefix, hook->owner, NULL);
	if (state_any(apply, &prefix, count_key, &count))
		return why_set(why, ERR_TOO_BIG, "a user has at most %d webhooks", WEBHOOKS_PER_USER_MAX);
	hook->created_ms = hook->since_ms = apply->leader_ms;
	hook->failures = hook->told_cluster = hook->told_repos = hook->deliveries = 0;
	key_webhook_owner(&key, hook->owner, &hook->id);
	state_put_bytes(apply, &key, "", 0);
	return 0;
}

static int put_over(const struct apply_context *apply, const struct webhook *before, struct webhook *hook, struct why *why)
{
	if (strcmp(before->owner, hook->owner) != 0)
		return why_set(why, ERR_NOT_FOUND, "there is no such webhook");
	bool enabled = before->disabled && !hook->disabled;
	hook->created_ms = before->created_ms;
	hook->since_ms = enabled ? apply->leader_ms : before->since_ms;
	hook->failures = enabled ? 0 : before->failures;
	hook->told_cluster = before->told_cluster;
	hook->told_repos = before->told_repos;
	hook->deliveries = before->deliveries;
	index_watched(apply, before, false);
	return 0;
}

int webhook_put_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct webhook *hooks = calloc(2, sizeof(*hooks)); /* the new one and the one before: too large for a stack */
	if (!hooks)
		return why_set(why, ERR_NO_MEMORY, "no memory for a webhook");
	int err = decode(command->body, &hooks[0]);
	err = err == ERR_CORRUPT ? why_set(why, ERR_INVALID, "a webhook does not parse") : err;
	if (err == 0)
		err = check(&hooks[0], why);
	if (err == 0) {
		err = load(apply, &hooks[0].id, &hooks[1], why);
		err = err == ERR_NOT_FOUND ? put_new(apply, &hooks[0], why) : err ? err : put_over(apply, &hooks[1], &hooks[0], why);
	}
	if (err == 0) {
		index_watched(apply, &hooks[0], true);
		store(apply, &hooks[0]);
	}
	free(hooks);
	return err;
}

int webhook_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct entity_body body;
	struct key key;
	struct webhook *hook = calloc(1, sizeof(*hook));
	if (!hook)
		return why_set(why, ERR_NO_MEMORY, "no memory for a webhook");
	int err = body_decode(&body, sizeof(body), &entity_body_schema, command, why);
	if (err == 0)
		err = load(apply, &body.id, hook, why);
	if (err == 0) {
		index_watched(apply, hook, false);
		key_webhook_owner(&key, hook->owner, &hook->id);
		state_delete(apply, &key);
		key_webhook(&key, &hook->id);
		state_delete(apply, &key);
		key_webhook_log_prefix(&key, &hook->id);
		err = state_delete_prefix(apply, &key, why);
	}
	free(hook);
	return err;
}

static void note(struct webhook *hook, const struct webhook_delivery *delivery)
{
	if (delivery->replayed)
		return;
	hook->failures = delivery->delivered ? 0 : hook->failures + 1;
	hook->disabled |= hook->failures >= WEBHOOK_FAILURES_MAX;
	uint64_t *told = delivery->group == GROUP_CLUSTER ? &hook->told_cluster : &hook->told_repos;
	if (delivery->change > *told)
		*told = delivery->change;
}

/* Body: [webhook id, delivery, payload]. */
int webhook_log_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct entity_id id = { { 0 } };
	struct webhook_delivery delivery;
	struct cursor cursor = cursor_of(command->body);
	cursor_array(&cursor, 3);
	struct span id_bytes = cursor_bytes(&cursor, ENTITY_ID_BYTES);
	int err = record_decode_at(&cursor, &delivery, sizeof(delivery), &delivery_schema);
	struct span payload = cursor_bytes(&cursor, WEBHOOK_PAYLOAD_BYTES_MAX);
	if (err || !cursor_done(&cursor) || id_bytes.length != ENTITY_ID_BYTES)
		return err == ERR_UNSUPPORTED ? err : why_set(why, ERR_INVALID, "a delivery does not parse");
	memcpy(id.bytes, id_bytes.data, ENTITY_ID_BYTES);
	struct webhook *hook = calloc(1, sizeof(*hook));
	if (!hook)
		return why_set(why, ERR_NO_MEMORY, "no memory for a webhook");
	err = load(apply, &id, hook, why);
	if (err == 0) {
		struct key key;
		struct buffer value;
		note(hook, &delivery);
		delivery.number = ++hook->deliveries;
		store(apply, hook);
		buffer_init(&value, COMMAND_BYTES_MAX);
		pack_array(&value, 2);
		record_encode(&value, &delivery_schema, &delivery);
		pack_bytes(&value, payload);
		key_webhook_log(&key, &id, delivery.number);
		state_put_bytes(apply, &key, value.data, value.length);
		buffer_fini(&value);
		if (delivery.number > WEBHOOK_LOG_MAX) {
			key_webhook_log(&key, &id, delivery.number - WEBHOOK_LOG_MAX);
			state_delete(apply, &key);
		}
	}
	free(hook);
	return err;
}

/* ---- changing ---- */

int webhook_put(struct namespace *ns, const char *actor, struct webhook *hook, struct why *why)
{
	static const struct entity_id zero;
	int err = check(hook, why);
	if (err)
		return err;
	if (memcmp(hook->id.bytes, zero.bytes, ENTITY_ID_BYTES) == 0)
		entity_id_make(&hook->id);
	struct buffer bytes;
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	encode(&bytes, hook);
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_WEBHOOK_PUT, actor, &bytes, NULL, why);
}

int webhook_delete(struct namespace *ns, const char *actor, const struct entity_id *id, struct why *why)
{
	struct buffer bytes;
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	record_encode(&bytes, &entity_body_schema, &(struct entity_body){ .id = *id });
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_WEBHOOK_DELETE, actor, &bytes, NULL, why);
}

int webhook_log(struct namespace *ns, const struct entity_id *id, const struct webhook_delivery *delivery, struct span payload, struct why *why)
{
	struct buffer bytes;
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	pack_array(&bytes, 3);
	pack_bytes(&bytes, span_of(id->bytes, ENTITY_ID_BYTES));
	record_encode(&bytes, &delivery_schema, delivery);
	pack_bytes(&bytes, payload);
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_WEBHOOK_LOG, NULL, &bytes, NULL, why);
}

/* ---- reading ---- */

struct listing {
	struct webhook *hook;
	size_t id_offset;
	int (*each)(void *context, const struct entity_id *id);
	int (*each_delivery)(void *context, const struct webhook_delivery *delivery, struct span payload);
	void *context;
};

static int take_one(void *context, struct span key, struct span value)
{
	(void)key;
	struct listing *listing = context;
	int err = decode(value, listing->hook);
	return err ? err : 1;
}

int webhook_get(struct namespace *ns, const struct entity_id *id, struct webhook *out)
{
	struct key key;
	key_webhook(&key, id);
	struct listing listing = { .hook = out };
	int found = namespace_scan(ns, NULL, &key, NULL, take_one, &listing);
	return found == 1 ? 0 : found == 0 ? ERR_NOT_FOUND : found;
}

static int list_id(void *context, struct span key, struct span value)
{
	(void)value;
	struct listing *listing = context;
	struct entity_id id;
	if (key.length != listing->id_offset + ENTITY_ID_BYTES)
		return ERR_CORRUPT;
	memcpy(id.bytes, key.data + listing->id_offset, ENTITY_ID_BYTES);
	return listing->each(listing->context, &id);
}

static int list_ids(struct namespace *ns, const struct key *prefix, int (*each)(void *context, const struct entity_id *id), void *context)
{
	struct listing listing = { .id_offset = prefix->length, .each = each, .context = context };
	return namespace_scan(ns, NULL, prefix, NULL, list_id, &listing);
}

int webhook_list(struct namespace *ns, const char *owner, int (*each)(void *context, const struct entity_id *id), void *context)
{
	struct key prefix;
	key_webhook_owner(&prefix, owner, NULL);
	return list_ids(ns, &prefix, each, context);
}

int webhook_watching(struct namespace *ns, enum watched_kind kind, const char *name, int (*each)(void *context, const struct entity_id *id), void *context)
{
	struct key prefix;
	key_webhook_watching(&prefix, kind, name, NULL);
	return list_ids(ns, &prefix, each, context);
}

static int list_delivery(void *context, struct span key, struct span value)
{
	(void)key;
	struct listing *listing = context;
	struct webhook_delivery delivery;
	struct cursor cursor = cursor_of(value);
	cursor_array(&cursor, 2);
	int err = record_decode_at(&cursor, &delivery, sizeof(delivery), &delivery_schema);
	struct span payload = cursor_bytes(&cursor, WEBHOOK_PAYLOAD_BYTES_MAX);
	if (err || !cursor_done(&cursor))
		return err ? err : ERR_CORRUPT;
	return listing->each_delivery(listing->context, &delivery, payload);
}

int webhook_log_list(struct namespace *ns, const struct entity_id *id, int (*each)(void *context, const struct webhook_delivery *delivery, struct span payload),
	void *context)
{
	struct key prefix;
	key_webhook_log_prefix(&prefix, id);
	struct listing listing = { .each_delivery = each, .context = context };
	return namespace_scan(ns, NULL, &prefix, NULL, list_delivery, &listing);
}

static int any_key(void *context, struct span key, struct span value)
{
	(void)context;
	(void)key;
	(void)value;
	return 1;
}

bool webhook_any(struct namespace *ns)
{
	struct key prefix;
	key_webhook(&prefix, NULL);
	return namespace_scan(ns, NULL, &prefix, NULL, any_key, NULL) == 1;
}
