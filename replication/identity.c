#include "replication/identity.h"

#include "replication/cluster_node.h"
#include "replication/keys.h"
#include "schemas/record.h"

#include <sodium.h>

enum {
	GROUP_NONE = -1, /* 0xffffffff in a key: no Raft group has it */
	KIND_IDENTITY = 'i',
	KIND_KEYS = 'k',
	KIND_VIEW = 'v',
	VIEW_BYTES_MAX = 256 << 10,
};

static const struct field identity_fields[] = {
	FIELD(struct identity, cluster_id, FIELD_BYTES, true),
	FIELD(struct identity, node_id, FIELD_U64, true),
	FIELD(struct identity, founded, FIELD_U64, true),
};
static const struct schema identity_schema = SCHEMA(1, identity_fields);

static int get(struct identity *out, rocksdb_t *db, const char *name, struct why *why)
{
	struct key key;
	key_begin(&key, (uint32_t)GROUP_NONE, SLOT_CONSENSUS, KIND_IDENTITY);
	char *error = NULL;
	size_t length;
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	char *value = rocksdb_get(db, options, (const char *)key.bytes, key.length, &length, &error);
	rocksdb_readoptions_destroy(options);
	if (error) {
		int err = why_set(why, ERR_IO, "cannot read the %s: %s", name, error);
		rocksdb_free(error);
		return err;
	}
	if (!value)
		return ERR_NOT_FOUND;
	int err = record_decode(out, sizeof(*out), &identity_schema, span_of(value, length));
	rocksdb_free(value);
	if (err == ERR_UNSUPPORTED)
		return why_set(why, err, "the %s was written by a newer version of this program", name);
	return err ? why_set(why, err, "the identity record of the %s does not parse", name) : 0;
}

static int put_bytes(char kind, struct span value, rocksdb_t *db, const char *name, struct why *why)
{
	struct key key;
	key_begin(&key, (uint32_t)GROUP_NONE, SLOT_CONSENSUS, kind);
	rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(options, 1);
	char *error = NULL;
	rocksdb_put(db, options, (const char *)key.bytes, key.length, (const char *)value.data, value.length, &error);
	rocksdb_writeoptions_destroy(options);
	if (!error)
		return 0;
	int err = why_set(why, strstr(error, "No space") ? ERR_NO_SPACE : ERR_IO, "cannot write the %s: %s", name, error);
	rocksdb_free(error);
	return err;
}

static int put(const struct identity *identity, rocksdb_t *db, const char *name, struct why *why)
{
	struct buffer value;
	buffer_init(&value, 4096);
	record_encode(&value, &identity_schema, identity);
	int err = put_bytes(KIND_IDENTITY, buffer_span(&value), db, name, why);
	buffer_fini(&value);
	return err;
}

static void mint(struct identity *out)
{
	*out = (struct identity){ 0 };
	randombytes_buf(out->cluster_id, sizeof(out->cluster_id));
	while (out->node_id == 0)
		randombytes_buf(&out->node_id, sizeof(out->node_id));
}

int identity_open(struct identity *out, bool *founding, rocksdb_t *log, rocksdb_t *state, struct why *why)
{
	struct identity in_log, in_state;
	int log_err = get(&in_log, log, "log", why);
	int state_err = get(&in_state, state, "state", why);
	*founding = false;
	if ((log_err && log_err != ERR_NOT_FOUND) || (state_err && state_err != ERR_NOT_FOUND))
		return log_err && log_err != ERR_NOT_FOUND ? log_err : state_err;
	if (log_err == ERR_NOT_FOUND && state_err == ERR_NOT_FOUND) {
		mint(out);
		*founding = true;
		return put(out, log, "log", why);
	}
	if (log_err == ERR_NOT_FOUND)
		return why_set(why, ERR_CORRUPT, "the state is here but its log is gone: this disk must rejoin under a new id");
	*out = in_log;
	if (in_log.founded != IDENTITY_FOUNDED) {
		*founding = true;
		return 0;
	}
	if (state_err == ERR_NOT_FOUND)
		return why_set(why, ERR_CORRUPT, "the log is here but its state is gone: this disk must rejoin under a new id");
	if (in_log.node_id != in_state.node_id || memcmp(in_log.cluster_id, in_state.cluster_id, CLUSTER_ID_BYTES) != 0)
		return why_set(why, ERR_CORRUPT, "the log and the state belong to different nodes");
	return 0;
}

int identity_found(const struct identity *identity, rocksdb_t *log, rocksdb_t *state, struct why *why)
{
	struct identity founded = *identity;
	founded.founded = IDENTITY_FOUNDED;
	int err = put(&founded, state, "state", why);
	return err ? err : put(&founded, log, "log", why);
}

int identity_renew(struct identity *identity, rocksdb_t *log, rocksdb_t *state, struct why *why)
{
	struct peer_keys keys;
	mint(identity);
	peer_keys_make(&keys);
	int err = put_bytes(KIND_KEYS, span_of(&keys, sizeof(keys)), log, "log", why);
	sodium_memzero(&keys, sizeof(keys));
	return err ? err : identity_found(identity, log, state, why);
}

int identity_join(struct identity *identity, const uint8_t cluster_id[CLUSTER_ID_BYTES], rocksdb_t *log, struct why *why)
{
	memcpy(identity->cluster_id, cluster_id, CLUSTER_ID_BYTES);
	identity->founded = IDENTITY_JOINING;
	return put(identity, log, "log", why);
}

/* 0 and a value to be freed, ERR_NOT_FOUND, ERR_IO. */
static int get_bytes(char kind, rocksdb_t *db, char **value, size_t *length, struct why *why)
{
	struct key key;
	char *error = NULL;
	key_begin(&key, (uint32_t)GROUP_NONE, SLOT_CONSENSUS, kind);
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	*value = rocksdb_get(db, options, (const char *)key.bytes, key.length, length, &error);
	rocksdb_readoptions_destroy(options);
	if (!error)
		return *value ? 0 : ERR_NOT_FOUND;
	int err = why_set(why, ERR_IO, "cannot read the log: %s", error);
	rocksdb_free(error);
	return err;
}

int identity_keys(struct peer_keys *out, rocksdb_t *log, struct why *why)
{
	char *value;
	size_t length;
	int err = get_bytes(KIND_KEYS, log, &value, &length, why);
	if (err == ERR_NOT_FOUND) {
		peer_keys_make(out);
		return put_bytes(KIND_KEYS, span_of(out, sizeof(*out)), log, "log", why);
	}
	if (err)
		return err;
	if (length == sizeof(*out))
		memcpy(out, value, sizeof(*out));
	else
		err = why_set(why, ERR_CORRUPT, "the keys of this node have %zu bytes", length);
	sodium_memzero(value, length);
	rocksdb_free(value);
	return err;
}

int identity_view_put(const struct cluster_view *view, rocksdb_t *log, struct why *why)
{
	struct buffer value;
	buffer_init(&value, VIEW_BYTES_MAX);
	cluster_view_pack(&value, view);
	int err = value.failed ? why_set(why, ERR_TOO_BIG, "too many nodes") : put_bytes(KIND_VIEW, buffer_span(&value), log, "log", why);
	buffer_fini(&value);
	return err;
}

int identity_view_get(struct cluster_view *out, rocksdb_t *log, struct why *why)
{
	char *value;
	size_t length;
	int err = get_bytes(KIND_VIEW, log, &value, &length, why);
	if (err)
		return err;
	struct cursor cursor = cursor_of(span_of(value, length));
	if (!cluster_view_take(&cursor, out) || !cursor_done(&cursor))
		err = why_set(why, ERR_CORRUPT, "what this node was told of its cluster does not parse");
	rocksdb_free(value);
	return err;
}
