/* ssh_key.c - public keys with which people prove over SSH who they are. A key belongs to one user: its fingerprint is its name. */
#include "replication/namespace_state.h"

static const struct field ssh_key_fields[] = {
	FIELD(struct ssh_key, id, FIELD_BYTES, true),
	FIELD(struct ssh_key, fingerprint, FIELD_BYTES, true),
	FIELD(struct ssh_key, user, FIELD_TEXT, true),
	FIELD(struct ssh_key, title, FIELD_TEXT, false),
	FIELD(struct ssh_key, type, FIELD_TEXT, true),
	FIELD(struct ssh_key, base64, FIELD_TEXT, true),
	FIELD(struct ssh_key, created_ms, FIELD_I64, false),
};
static const struct schema ssh_key_schema = SCHEMA(1, ssh_key_fields);

struct ssh_key_delete_body {
	struct hash fingerprint;
	char user[NAME_BYTES_MAX + 1]; /* whose it must be; "": anybody's */
};
static const struct field delete_fields[] = {
	FIELD(struct ssh_key_delete_body, fingerprint, FIELD_BYTES, true),
	FIELD(struct ssh_key_delete_body, user, FIELD_TEXT, false),
};
static const struct schema delete_schema = SCHEMA(1, delete_fields);

static bool count_one(void *context, struct span key)
{
	(void)key;
	return ++*(size_t *)context >= SSH_KEYS_PER_USER_MAX;
}

/* In the stream of changes: whose it is as owner, its title as name. */
static int tell(const struct apply_context *apply, const struct command *command, const struct ssh_key *ssh_key, struct why *why)
{
	struct change change = { 0 };
	size_t length = strnlen(ssh_key->title, NAME_BYTES_MAX);
	memcpy(change.owner, ssh_key->user, sizeof(change.owner));
	memcpy(change.name, ssh_key->title, length);
	return change_append(apply, command, &change, why);
}

int ssh_key_create_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct ssh_key ssh_key;
	int err = body_decode(&ssh_key, sizeof(ssh_key), &ssh_key_schema, command, why);
	if (err)
		return err;
	struct key key, by_user;
	key_user(&key, span_text(ssh_key.user));
	err = state_get(apply, &key, NULL, NULL, 0, why);
	if (err)
		return err == ERR_NOT_FOUND ? why_set(why, err, "there is no user \"%s\"", ssh_key.user) : err;
	key_ssh_key(&key, &ssh_key.fingerprint);
	err = state_get(apply, &key, NULL, NULL, 0, why);
	if (err != ERR_NOT_FOUND) /* not whose: that is nobody else's business */
		return err ? err : why_set(why, ERR_EXISTS, "this key is in use already; a key belongs to one user");
	size_t count = 0;
	key_user_ssh_key(&by_user, span_text(ssh_key.user), NULL);
	if (state_any(apply, &by_user, count_one, &count))
		return why_set(why, ERR_INVALID, "a user has at most %d keys", SSH_KEYS_PER_USER_MAX);
	ssh_key.created_ms = apply->leader_ms;
	state_put(apply, &key, &ssh_key_schema, &ssh_key);
	key_user_ssh_key(&by_user, span_text(ssh_key.user), &ssh_key.fingerprint);
	state_put_bytes(apply, &by_user, "", 0);
	return tell(apply, command, &ssh_key, why);
}

/* Names differ in case only by who typed them. */
static bool same_user(const char *a, const char *b)
{
	struct key first, second;
	key_user(&first, span_text(a));
	key_user(&second, span_text(b));
	return span_equal(span_of(first.bytes, first.length), span_of(second.bytes, second.length));
}

int ssh_key_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct ssh_key_delete_body body;
	struct ssh_key ssh_key;
	struct key key, by_user;
	int err = body_decode(&body, sizeof(body), &delete_schema, command, why);
	if (err)
		return err;
	key_ssh_key(&key, &body.fingerprint);
	err = state_get(apply, &key, &ssh_key_schema, &ssh_key, sizeof(ssh_key), why);
	if (err == ERR_NOT_FOUND || (err == 0 && body.user[0] && !same_user(body.user, ssh_key.user)))
		return why_set(why, ERR_NOT_FOUND, "there is no such key");
	if (err)
		return err;
	key_user_ssh_key(&by_user, span_text(ssh_key.user), &ssh_key.fingerprint);
	state_delete(apply, &key);
	state_delete(apply, &by_user);
	return tell(apply, command, &ssh_key, why);
}

int ssh_key_create(struct namespace *ns, const char *actor, const struct ssh_key *ssh_key, struct why *why)
{
	if (!name_valid(span_text(ssh_key->user)) || !ssh_key->type[0] || !ssh_key->base64[0])
		return why_set(why, ERR_INVALID, "an SSH key needs a user and a public key");
	struct ssh_key made = *ssh_key;
	entity_id_make(&made.id);
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &ssh_key_schema, &made);
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_SSH_KEY_CREATE, actor, &body, NULL, why);
}

int ssh_key_delete(struct namespace *ns, const char *actor, const struct hash *fingerprint, const char *user, struct why *why)
{
	struct ssh_key_delete_body record = { .fingerprint = *fingerprint };
	size_t length = user ? strlen(user) : 0;
	if (length > NAME_BYTES_MAX)
		return why_set(why, ERR_NOT_FOUND, "there is no such key");
	if (length)
		memcpy(record.user, user, length);
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &delete_schema, &record);
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_SSH_KEY_DELETE, actor, &body, NULL, why);
}

int ssh_key_find(struct namespace *ns, const struct hash *fingerprint, struct ssh_key *out)
{
	struct key key;
	key_ssh_key(&key, fingerprint);
	return namespace_get(ns, NULL, &key, &ssh_key_schema, out, sizeof(*out));
}

struct listing {
	struct namespace *ns;
	size_t prefix_length;
	int (*each)(void *context, const struct ssh_key *ssh_key);
	void *context;
};

static int list_of_user(void *context, struct span key, struct span value)
{
	(void)value;
	struct listing *listing = context;
	struct hash fingerprint;
	if (key.length != listing->prefix_length + HASH_BYTES)
		return ERR_CORRUPT;
	memcpy(fingerprint.bytes, key.data + listing->prefix_length, HASH_BYTES);
	struct ssh_key ssh_key;
	int err = ssh_key_find(listing->ns, &fingerprint, &ssh_key);
	if (err == ERR_NOT_FOUND)
		return 0; /* deleted since the scan began */
	return err ? err : listing->each(listing->context, &ssh_key);
}

static int list_one(void *context, struct span key, struct span value)
{
	(void)key;
	struct listing *listing = context;
	struct ssh_key ssh_key;
	int err = record_decode(&ssh_key, sizeof(ssh_key), &ssh_key_schema, value);
	return err ? err : listing->each(listing->context, &ssh_key);
}

int ssh_key_list(struct namespace *ns, const char *user, int (*each)(void *context, const struct ssh_key *ssh_key), void *context)
{
	struct key prefix;
	struct listing listing = { .ns = ns, .each = each, .context = context };
	if (!user) {
		key_ssh_key(&prefix, NULL);
		return namespace_scan(ns, NULL, &prefix, NULL, list_one, &listing);
	}
	if (!name_valid(span_text(user)))
		return 0;
	key_user_ssh_key(&prefix, span_text(user), NULL);
	listing.prefix_length = prefix.length;
	return namespace_scan(ns, NULL, &prefix, NULL, list_of_user, &listing);
}
