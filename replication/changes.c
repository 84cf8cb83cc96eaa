#include "replication/changes.h"

#include "replication/namespace_state.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

static const struct field change_fields[] = {
	FIELD(struct change, type, FIELD_ENUM, true),
	FIELD(struct change, when_ms, FIELD_I64, true),
	FIELD(struct change, actor, FIELD_TEXT, false),
	FIELD(struct change, repo, FIELD_BYTES, false),
	FIELD(struct change, repo_type, FIELD_ENUM, false),
	FIELD(struct change, owner, FIELD_TEXT, false),
	FIELD(struct change, name, FIELD_TEXT, false),
	FIELD(struct change, old_owner, FIELD_TEXT, false),
	FIELD(struct change, old_name, FIELD_TEXT, false),
	FIELD(struct change, ref, FIELD_TEXT, false),
	FIELD(struct change, old_oid, FIELD_BYTES, false),
	FIELD(struct change, new_oid, FIELD_BYTES, false),
	FIELD(struct change, item, FIELD_U64, false),
	FIELD(struct change, event, FIELD_U64, false),
	FIELD(struct change, action, FIELD_ENUM, false),
};
static const struct schema change_schema = SCHEMA(1, change_fields);

static const struct field position_fields[] = {
	FIELD(struct changes_position, cluster, FIELD_U64, true),
	FIELD(struct changes_position, repos, FIELD_U64, true),
};
static const struct schema position_schema = SCHEMA(1, position_fields);

struct position_body {
	char follower[FOLLOWER_NAME_BYTES_MAX + 1];
	uint64_t cluster, repos;
};
static const struct field position_body_fields[] = {
	FIELD(struct position_body, follower, FIELD_TEXT, true),
	FIELD(struct position_body, cluster, FIELD_U64, true),
	FIELD(struct position_body, repos, FIELD_U64, true),
};
static const struct schema position_body_schema = SCHEMA(1, position_body_fields);

/* ---- apply ---- */

int change_append(const struct apply_context *apply, const struct command *command, struct change *change, struct why *why)
{
	uint8_t last[8] = { 0 };
	struct key counter, key;
	key_changes_last(&counter, apply->group);
	int err = state_get_bytes(apply, &counter, last, sizeof(last), why);
	if (err && err != ERR_NOT_FOUND)
		return err;
	change->number = get_big_endian(last, sizeof(last)) + 1;
	change->type = change->type ? change->type : command->type;
	change->when_ms = apply->leader_ms;
	size_t length = command->actor.length < NAME_BYTES_MAX ? command->actor.length : NAME_BYTES_MAX;
	memset(change->actor, 0, sizeof(change->actor));
	if (length)
		memcpy(change->actor, command->actor.data, length);
	put_big_endian(last, change->number, sizeof(last));
	state_put_bytes(apply, &counter, last, sizeof(last));
	key_change(&key, apply->group, change->number);
	state_put(apply, &key, &change_schema, change);
	if (change->number > CHANGES_KEPT) {
		key_change(&key, apply->group, change->number - CHANGES_KEPT);
		state_delete(apply, &key);
	}
	return 0;
}

int changes_position_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct position_body body;
	int err = body_decode(&body, sizeof(body), &position_body_schema, command, why);
	if (err)
		return err;
	struct key key;
	key_changes_position(&key, body.follower);
	state_put(apply, &key, &position_schema, &(struct changes_position){ .cluster = body.cluster, .repos = body.repos });
	return 0;
}

/* ---- reading ---- */

int changes_last(struct namespace *ns, uint32_t group, uint64_t *number)
{
	uint8_t last[8] = { 0 };
	struct key key;
	key_changes_last(&key, group);
	int err = namespace_get_bytes(ns, NULL, &key, last, sizeof(last));
	*number = get_big_endian(last, sizeof(last));
	return err == ERR_NOT_FOUND ? 0 : err;
}

struct listing {
	uint64_t expected;
	int (*each)(void *context, const struct change *change);
	void *context;
};

static int read_one(void *context, struct span key, struct span value)
{
	struct listing *listing = context;
	struct change change;
	if (key.length != KEY_PREFIX_BYTES + 8)
		return ERR_CORRUPT;
	int err = record_decode(&change, sizeof(change), &change_schema, value);
	if (err)
		return err;
	change.number = get_big_endian(key.data + KEY_PREFIX_BYTES, 8);
	if (change.number != listing->expected)
		return ERR_RANGE;
	listing->expected++;
	return listing->each(listing->context, &change);
}

int changes_read(struct namespace *ns, uint32_t group, uint64_t after, int (*each)(void *context, const struct change *change), void *context)
{
	uint64_t last;
	int err = changes_last(ns, group, &last);
	if (err || after == last)
		return err;
	if (after > last)
		return ERR_RANGE; /* a position of another state */
	struct key prefix, start;
	key_change_prefix(&prefix, group);
	key_change(&start, group, after + 1);
	struct listing listing = { .expected = after + 1, .each = each, .context = context };
	return namespace_scan(ns, NULL, &prefix, &start, read_one, &listing);
}

int changes_position_get(struct namespace *ns, const char *follower, struct changes_position *out)
{
	struct key key;
	key_changes_position(&key, follower);
	*out = (struct changes_position){ 0 };
	int err = namespace_get(ns, NULL, &key, &position_schema, out, sizeof(*out));
	return err == ERR_NOT_FOUND ? 0 : err;
}

int changes_position_put(struct namespace *ns, const char *follower, const struct changes_position *position, struct why *why)
{
	struct position_body body = { .cluster = position->cluster, .repos = position->repos };
	if (strlen(follower) > FOLLOWER_NAME_BYTES_MAX)
		return why_set(why, ERR_INVALID, "the name of a follower is too long");
	strcpy(body.follower, follower);
	struct buffer bytes;
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	record_encode(&bytes, &position_body_schema, &body);
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_CHANGES_POSITION, NULL, &bytes, NULL, why);
}

/* ---- waiting ---- */

void change_signal_init(struct change_signal *signal)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&signal->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&signal->lock, NULL);
}

void change_signal_fini(struct change_signal *signal)
{
	pthread_cond_destroy(&signal->changed);
	pthread_mutex_destroy(&signal->lock);
}

void change_signal_raise(struct change_signal *signal)
{
	pthread_mutex_lock(&signal->lock);
	signal->raised++;
	pthread_cond_broadcast(&signal->changed);
	pthread_mutex_unlock(&signal->lock);
}

void changes_wait(struct namespace *ns, uint64_t version, int64_t timeout_ms)
{
	struct change_signal *signal = namespace_signal(ns);
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += timeout_ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&signal->lock);
	uint64_t raised = signal->raised;
	while (signal->raised == raised && namespace_version(ns) == version)
		if (pthread_cond_timedwait(&signal->changed, &signal->lock, &until) == ETIMEDOUT)
			break;
	pthread_mutex_unlock(&signal->lock);
}

void changes_wake(struct namespace *ns)
{
	change_signal_raise(namespace_signal(ns));
}
