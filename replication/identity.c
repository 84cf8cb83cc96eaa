#include "replication/identity.h"

#include "replication/keys.h"
#include "schemas/record.h"

#include <sodium.h>

enum {
	GROUP_NONE = -1, /* 0xffffffff in a key: no Raft group has it */
	KIND_IDENTITY = 'i',
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

static int put(const struct identity *identity, rocksdb_t *db, const char *name, struct why *why)
{
	struct key key;
	key_begin(&key, (uint32_t)GROUP_NONE, SLOT_CONSENSUS, KIND_IDENTITY);
	struct buffer value;
	buffer_init(&value, 4096);
	record_encode(&value, &identity_schema, identity);
	rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(options, 1);
	char *error = NULL;
	rocksdb_put(db, options, (const char *)key.bytes, key.length, (const char *)value.data, value.length, &error);
	rocksdb_writeoptions_destroy(options);
	buffer_fini(&value);
	if (!error)
		return 0;
	int err = why_set(why, strstr(error, "No space") ? ERR_NO_SPACE : ERR_IO, "cannot write the %s: %s", name, error);
	rocksdb_free(error);
	return err;
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
		*out = (struct identity){ 0 };
		randombytes_buf(out->cluster_id, sizeof(out->cluster_id));
		while (out->node_id == 0)
			randombytes_buf(&out->node_id, sizeof(out->node_id));
		*founding = true;
		return put(out, log, "log", why);
	}
	if (log_err == ERR_NOT_FOUND)
		return why_set(why, ERR_CORRUPT, "the state is here but its log is gone: this disk must rejoin under a new id");
	*out = in_log;
	if (!in_log.founded) {
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
	founded.founded = 1;
	int err = put(&founded, state, "state", why);
	return err ? err : put(&founded, log, "log", why);
}
