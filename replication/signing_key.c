/* signing_key.c - private keys that all nodes share and that do not fit a secret: proposed by whoever needs one first, and the first one stays. They lie in
 * the log and the state as they are, like secrets (secret.c). */
#include "replication/app.h"
#include "replication/namespace_state.h"

enum { SIGNING_KEY_NAME_BYTES_MAX = 64 };

/* Body: [name, key]. */
int signing_key_create_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct cursor cursor = cursor_of(command->body);
	cursor_array(&cursor, 2);
	struct span name = cursor_text(&cursor, SIGNING_KEY_NAME_BYTES_MAX), bytes = cursor_bytes(&cursor, SIGNING_KEY_BYTES_MAX);
	if (!cursor_done(&cursor) || name.length == 0 || bytes.length == 0)
		return why_set(why, ERR_INVALID, "the body of a command of type %u does not parse", command->type);
	struct key key;
	key_signing_key(&key, name);
	int err = state_get(apply, &key, NULL, NULL, 0, why);
	if (err == ERR_NOT_FOUND)
		state_put_bytes(apply, &key, bytes.data, bytes.length);
	return err == ERR_NOT_FOUND ? 0 : err;
}

int signing_key_put(struct namespace *ns, const char *name, struct span bytes, struct why *why)
{
	if (bytes.length == 0 || bytes.length > SIGNING_KEY_BYTES_MAX || strlen(name) > SIGNING_KEY_NAME_BYTES_MAX)
		return why_set(why, ERR_INVALID, "a signing key has 1 to %d bytes", SIGNING_KEY_BYTES_MAX);
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	pack_array(&body, 2);
	pack_text(&body, span_text(name));
	pack_bytes(&body, bytes);
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_SIGNING_KEY_CREATE, NULL, &body, NULL, why);
}

int signing_key_get(struct namespace *ns, const char *name, uint8_t out[SIGNING_KEY_BYTES_MAX], size_t *length)
{
	struct key key;
	key_signing_key(&key, span_text(name));
	return namespace_get_some(ns, NULL, &key, out, SIGNING_KEY_BYTES_MAX, length);
}
