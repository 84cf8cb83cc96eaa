#include "replication/outside_identity.h"

#include "replication/namespace_state.h"

#include <sodium.h>

struct identity {
	struct hash digest; /* BLAKE2b-256 of issuer, 00, subject */
	char user[NAME_BYTES_MAX + 1];
};
static const struct field identity_fields[] = {
	FIELD(struct identity, digest, FIELD_BYTES, true),
	FIELD(struct identity, user, FIELD_TEXT, true),
};
static const struct schema identity_schema = SCHEMA(1, identity_fields);

static void digest_of(struct hash *out, const char *issuer, const char *subject)
{
	crypto_generichash_state state;
	crypto_generichash_init(&state, NULL, 0, HASH_BYTES);
	crypto_generichash_update(&state, (const uint8_t *)issuer, strlen(issuer) + 1);
	crypto_generichash_update(&state, (const uint8_t *)subject, strlen(subject));
	crypto_generichash_final(&state, out->bytes, HASH_BYTES);
}

int outside_identity_link_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct identity identity;
	struct user user;
	struct key key;
	int err = body_decode(&identity, sizeof(identity), &identity_schema, command, why);
	if (err == 0)
		err = state_user(apply, identity.user, &user, why);
	if (err)
		return err;
	key_outside_identity(&key, &identity.digest);
	err = state_get(apply, &key, NULL, NULL, 0, why);
	if (err != ERR_NOT_FOUND)
		return err ? err : why_set(why, ERR_EXISTS, "this identity belongs to a user already");
	memcpy(identity.user, user.name, sizeof(identity.user));
	state_put(apply, &key, &identity_schema, &identity);
	struct change change = { 0 };
	memcpy(change.owner, user.name, sizeof(change.owner));
	return change_append(apply, command, &change, why);
}

int outside_identity_find(struct namespace *ns, const char *issuer, const char *subject, char user[NAME_BYTES_MAX + 1])
{
	struct identity identity;
	struct key key;
	digest_of(&identity.digest, issuer, subject);
	key_outside_identity(&key, &identity.digest);
	int err = namespace_get(ns, NULL, &key, &identity_schema, &identity, sizeof(identity));
	if (err == 0)
		memcpy(user, identity.user, NAME_BYTES_MAX + 1);
	return err;
}

int outside_identity_link(struct namespace *ns, const char *actor, const char *issuer, const char *subject, const char *user, struct why *why)
{
	struct identity identity = { 0 };
	size_t length = strlen(user);
	if (!*subject || strlen(subject) > SUBJECT_BYTES_MAX || !*issuer || strlen(issuer) > ISSUER_BYTES_MAX || !name_valid(span_text(user)) || length > NAME_BYTES_MAX)
		return why_set(why, ERR_INVALID, "an identity elsewhere has an issuer and a subject, and here a user");
	digest_of(&identity.digest, issuer, subject);
	memcpy(identity.user, user, length);
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &identity_schema, &identity);
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_IDENTITY_LINK, actor, &body, NULL, why);
}
