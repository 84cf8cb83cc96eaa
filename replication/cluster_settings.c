#include "replication/cluster_settings.h"

#include "replication/namespace_state.h"
#include "schemas/volume_record.h"

static const struct field settings_fields[] = {
	FIELD(struct cluster_settings, epoch, FIELD_U64, true),
	FIELD(struct cluster_settings, replication_factor, FIELD_ENUM, false),
	FIELD(struct cluster_settings, copies, FIELD_ENUM, false),
	FIELD(struct cluster_settings, grace_ms, FIELD_U64, false),
	FIELD(struct cluster_settings, walks, FIELD_U64, false),
	FIELD(struct cluster_settings, repos, FIELD_U64, false),
	FIELD(struct cluster_settings, erasure_data, FIELD_ENUM, false),
	FIELD(struct cluster_settings, erasure_parity, FIELD_ENUM, false),
	FIELD(struct cluster_settings, erasure_after_ms, FIELD_U64, false),
};
static const struct schema settings_schema = SCHEMA(1, settings_fields);

static const struct field change_fields[] = {
	FIELD(struct cluster_change, replication_factor, FIELD_ENUM, true),
	FIELD(struct cluster_change, copies, FIELD_ENUM, true),
	FIELD(struct cluster_change, grace_ms, FIELD_U64, true),
	FIELD(struct cluster_change, walk, FIELD_BOOL, false),
};
static const struct schema change_schema = SCHEMA(1, change_fields);

static const struct field erasure_fields[] = {
	FIELD(struct erasure_change, data, FIELD_ENUM, true),
	FIELD(struct erasure_change, parity, FIELD_ENUM, true),
	FIELD(struct erasure_change, after_ms, FIELD_U64, true),
};
static const struct schema erasure_schema = SCHEMA(1, erasure_fields);

static int read_settings(const struct apply_context *apply, struct cluster_settings *out, struct why *why)
{
	struct key key;
	key_cluster_settings(&key);
	int err = state_get(apply, &key, &settings_schema, out, sizeof(*out), why);
	if (err == ERR_NOT_FOUND)
		*out = (struct cluster_settings){ 0 };
	return err == ERR_NOT_FOUND ? 0 : err;
}

static void write_settings(const struct apply_context *apply, struct cluster_settings *settings)
{
	struct key key;
	settings->epoch++;
	atomic_store(apply->cluster_changed, apply->index);
	key_cluster_settings(&key);
	state_put(apply, &key, &settings_schema, settings);
}

int cluster_epoch_next(const struct apply_context *apply, struct why *why)
{
	struct cluster_settings settings;
	int err = read_settings(apply, &settings, why);
	if (err == 0)
		write_settings(apply, &settings);
	return err;
}

int cluster_repos_next(const struct apply_context *apply, int change, uint64_t max, struct why *why)
{
	struct cluster_settings settings;
	int err = read_settings(apply, &settings, why);
	if (err)
		return err;
	if (change > 0 && settings.repos >= max)
		return why_set(why, ERR_TOO_BIG, "%llu repositories have a number of copies of their own already", (unsigned long long)max);
	settings.repos += (uint64_t)(int64_t)change;
	write_settings(apply, &settings);
	return 0;
}

static int check(const struct cluster_settings *settings, unsigned domains, bool factor_set, struct why *why)
{
	unsigned factor = settings->replication_factor ? settings->replication_factor : REPLICATION_FACTOR_DEFAULT;
	if (factor > REPLICATION_FACTOR_MAX)
		return why_set(why, ERR_INVALID, "the replication factor is 1 to %d", REPLICATION_FACTOR_MAX);
	if (factor_set && factor > domains)
		return why_set(why, ERR_INVALID, "%u copies of everything cannot lie in different failure domains: there %s only %u", factor,
			domains == 1 ? "is" : "are", domains);
	if (settings->copies > factor)
		return why_set(why, ERR_INVALID, "%u copies cannot be waited for when only %u are made", settings->copies, factor);
	if (settings->grace_ms && settings->grace_ms < NODE_GRACE_MS_MIN)
		return why_set(why, ERR_INVALID, "the grace time is at least %d seconds", NODE_GRACE_MS_MIN / 1000);
	return 0;
}

int cluster_set_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct cluster_change change;
	struct cluster_settings settings;
	int err = body_decode(&change, sizeof(change), &change_schema, command, why);
	if (err == 0)
		err = read_settings(apply, &settings, why);
	if (err)
		return err;
	bool factor_set = change.replication_factor != (uint32_t)CLUSTER_LEAVE;
	if (factor_set)
		settings.replication_factor = change.replication_factor;
	if (change.copies != (uint32_t)CLUSTER_LEAVE)
		settings.copies = change.copies;
	if (change.grace_ms != UINT64_MAX)
		settings.grace_ms = change.grace_ms;
	settings.walks += change.walk;
	unsigned domains = cluster_domains_apply(apply, &err, why);
	if (err == 0)
		err = check(&settings, domains, factor_set, why);
	if (err == 0)
		write_settings(apply, &settings);
	return err;
}

static int check_erasure(const struct apply_context *apply, unsigned data, unsigned parity, struct why *why)
{
	int err = 0;
	if (data == 0 && parity == 0)
		return 0;
	if (data < CODED_DATA_MIN || data > CODED_DATA_MAX || parity < 1 || parity > CODED_PARITY_MAX)
		return why_set(why, ERR_INVALID, "erasure coding is %d to %d parts of data and 1 to %d of parity, or off", CODED_DATA_MIN, CODED_DATA_MAX, CODED_PARITY_MAX);
	unsigned members = cluster_members_apply(apply, &err, why);
	if (err == 0 && members < data + parity)
		return why_set(why, ERR_INVALID, "%u+%u parts cannot lie on different nodes: there %s only %u", data, parity, members == 1 ? "is" : "are", members);
	return err;
}

int cluster_erasure_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct erasure_change change;
	struct cluster_settings settings;
	int err = body_decode(&change, sizeof(change), &erasure_schema, command, why);
	if (err == 0)
		err = read_settings(apply, &settings, why);
	if (err)
		return err;
	bool was_on = settings.erasure_data > 0;
	if (change.data != (uint32_t)CLUSTER_LEAVE) {
		err = check_erasure(apply, change.data, change.parity, why);
		settings.erasure_data = change.data;
		settings.erasure_parity = change.data ? change.parity : 0;
	}
	if (change.after_ms != UINT64_MAX)
		settings.erasure_after_ms = change.after_ms;
	else if (!was_on)
		settings.erasure_after_ms = ERASURE_AFTER_MS_DEFAULT;
	if (err == 0 && change.after_ms != UINT64_MAX && settings.erasure_data == 0)
		err = why_set(why, ERR_INVALID, "erasure coding is off: say how many parts as well");
	if (err == 0)
		write_settings(apply, &settings);
	return err;
}

int cluster_set_erasure(struct namespace *ns, const char *actor, const struct erasure_change *change, struct why *why)
{
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &erasure_schema, change);
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_CLUSTER_ERASURE, actor, &body, NULL, why);
}

int cluster_set(struct namespace *ns, const char *actor, const struct cluster_change *change, struct why *why)
{
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &change_schema, change);
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_CLUSTER_SET, actor, &body, NULL, why);
}

int cluster_settings_get(struct namespace *ns, const struct namespace_snapshot *snapshot, struct cluster_settings *out)
{
	struct key key;
	key_cluster_settings(&key);
	int err = namespace_get(ns, snapshot, &key, &settings_schema, out, sizeof(*out));
	if (err)
		*out = (struct cluster_settings){ 0 };
	return err == ERR_NOT_FOUND ? 0 : err;
}

int cluster_settings_read(rocksdb_t *db, struct cluster_settings *out)
{
	struct key key;
	size_t length;
	char *error = NULL;
	*out = (struct cluster_settings){ 0 };
	key_cluster_settings(&key);
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	char *value = rocksdb_get(db, options, (const char *)key.bytes, key.length, &length, &error);
	rocksdb_readoptions_destroy(options);
	int err = error ? ERR_IO : value ? record_decode(out, sizeof(*out), &settings_schema, span_of(value, length)) : 0;
	rocksdb_free(error);
	rocksdb_free(value);
	return err;
}

void cluster_settings_pack(struct buffer *out, const struct cluster_settings *settings)
{
	record_encode(out, &settings_schema, settings);
}

bool cluster_settings_take(struct cursor *cursor, struct cluster_settings *out)
{
	return record_decode_at(cursor, out, sizeof(*out), &settings_schema) == 0 && !cursor->failed;
}
