/* secret.c - key material that all nodes share: minted once, by whoever asks first, and read by everyone. It lives in the log and the state
 * as it is: whoever can read the disk of a node can act as that node anyway. */
#include "replication/namespace_state.h"

#include <sodium.h>

enum { SECRET_BYTES_MAX = 64, SECRET_NAME_BYTES_MAX = 64 };

struct secret {
	char name[SECRET_NAME_BYTES_MAX + 1];
	uint64_t length; /* bytes in use */
	uint8_t value[SECRET_BYTES_MAX];
};

static const struct field secret_fields[] = {
	FIELD(struct secret, name, FIELD_TEXT, true),
	FIELD(struct secret, length, FIELD_U64, true),
	FIELD(struct secret, value, FIELD_BYTES, true),
};
static const struct schema secret_schema = SCHEMA(1, secret_fields);

int secret_create_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct secret secret;
	int err = body_decode(&secret, sizeof(secret), &secret_schema, command, why);
	if (err)
		return err;
	struct key key;
	key_secret(&key, span_text(secret.name));
	err = state_get(apply, &key, NULL, NULL, 0, why);
	if (err == ERR_NOT_FOUND)
		state_put(apply, &key, &secret_schema, &secret);
	else if (err)
		return err;
	return 0; /* somebody was first: theirs is the one */
}

void secret_replace(const struct apply_context *apply, const char *name, const uint8_t *value, size_t length)
{
	struct key key;
	struct secret secret = { .length = length };
	memcpy(secret.name, name, strlen(name));
	memcpy(secret.value, value, length);
	key_secret(&key, span_text(name));
	state_put(apply, &key, &secret_schema, &secret);
	sodium_memzero(&secret, sizeof(secret));
}

int secret_read(rocksdb_t *db, const char *name, uint8_t *out, size_t length)
{
	struct key key;
	struct secret secret;
	key_secret(&key, span_text(name));
	char *error = NULL;
	size_t value_length;
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	char *value = rocksdb_get(db, options, (const char *)key.bytes, key.length, &value_length, &error);
	rocksdb_readoptions_destroy(options);
	int err = error ? ERR_IO : value ? record_decode(&secret, sizeof(secret), &secret_schema, span_of(value, value_length)) : ERR_NOT_FOUND;
	if (err == 0 && secret.length == length)
		memcpy(out, secret.value, length);
	else if (err == 0)
		err = ERR_CORRUPT;
	rocksdb_free(error);
	rocksdb_free(value);
	sodium_memzero(&secret, sizeof(secret));
	return err;
}

int secret_get_or_create(struct namespace *ns, const char *name, uint8_t *out, size_t length, struct why *why)
{
	size_t name_length = strlen(name);
	if (length == 0 || length > SECRET_BYTES_MAX || name_length == 0 || name_length > SECRET_NAME_BYTES_MAX)
		return why_set(why, ERR_INVALID, "a secret has 1 to %d bytes and a name", SECRET_BYTES_MAX);
	struct key key;
	struct secret secret;
	key_secret(&key, span_text(name));
	int err = namespace_get(ns, NULL, &key, &secret_schema, &secret, sizeof(secret));
	if (err == ERR_NOT_FOUND) {
		secret = (struct secret){ .length = length };
		memcpy(secret.name, name, name_length);
		randombytes_buf(secret.value, length);
		struct buffer body;
		buffer_init(&body, COMMAND_BYTES_MAX);
		record_encode(&body, &secret_schema, &secret);
		err = namespace_propose(ns, GROUP_CLUSTER, COMMAND_SECRET_CREATE, NULL, &body, NULL, why);
		if (err == 0)
			err = namespace_get(ns, NULL, &key, &secret_schema, &secret, sizeof(secret));
	}
	if (err == 0 && secret.length != length)
		err = why_set(why, ERR_CONFLICT, "the secret \"%s\" has %llu bytes, not %zu", name, (unsigned long long)secret.length, length);
	if (err == 0)
		memcpy(out, secret.value, length);
	sodium_memzero(&secret, sizeof(secret));
	return err;
}
