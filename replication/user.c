#include "replication/namespace_state.h"

static const struct field user_fields[] = {
	FIELD(struct user, id, FIELD_BYTES, true),
	FIELD(struct user, name, FIELD_TEXT, true),
	FIELD(struct user, fullname, FIELD_TEXT, false),
	FIELD(struct user, email, FIELD_TEXT, false),
	FIELD(struct user, admin, FIELD_BOOL, false),
	FIELD(struct user, created_ms, FIELD_I64, false),
};
static const struct schema user_schema = SCHEMA(1, user_fields);

int state_name_free(const struct apply_context *apply, const char *name, struct why *why)
{
	struct key keys[2];
	key_user(&keys[0], span_text(name));
	key_org(&keys[1], span_text(name));
	for (size_t i = 0; i < 2; i++) {
		int err = state_get(apply, &keys[i], NULL, NULL, 0, why);
		if (err != ERR_NOT_FOUND)
			return err ? err : why_set(why, ERR_EXISTS, "the name \"%s\" is taken", name);
	}
	return 0;
}

int state_user(const struct apply_context *apply, const char *name, struct user *out, struct why *why)
{
	struct key key;
	key_user(&key, span_text(name));
	int err = name[0] ? state_get(apply, &key, &user_schema, out, sizeof(*out), why) : ERR_NOT_FOUND;
	return err == ERR_NOT_FOUND ? why_set(why, err, "there is no user \"%s\"", name) : err;
}

int user_create_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct user user;
	int err = body_decode(&user, sizeof(user), &user_schema, command, why);
	if (err)
		return err;
	if (!name_valid(span_text(user.name)))
		return why_set(why, ERR_INVALID, "\"%s\" is not a name", user.name);
	err = state_name_free(apply, user.name, why);
	if (err)
		return err;
	struct key key;
	key_user(&key, span_text(user.name));
	user.created_ms = apply->leader_ms;
	state_put(apply, &key, &user_schema, &user);
	struct change change = { 0 };
	memcpy(change.owner, user.name, sizeof(change.owner));
	return change_append(apply, command, &change, why);
}

int user_create(struct namespace *ns, const char *actor, const struct user *user, struct why *why)
{
	if (!name_valid(span_text(user->name)))
		return why_set(why, ERR_INVALID, "\"%s\" is not a name", user->name);
	struct user made = *user;
	entity_id_make(&made.id);
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &user_schema, &made);
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_USER_CREATE, actor, &body, NULL, why);
}

int user_find(struct namespace *ns, const char *name, struct user *out)
{
	if (!name_valid(span_text(name)))
		return ERR_NOT_FOUND;
	struct key key;
	key_user(&key, span_text(name));
	return namespace_get(ns, NULL, &key, &user_schema, out, sizeof(*out));
}

struct listing {
	int (*each)(void *context, const struct user *user);
	void *context;
	const struct key *after;
};

static int list_one(void *context, struct span key, struct span value)
{
	struct listing *listing = context;
	if (listing->after && span_equal(key, span_of(listing->after->bytes, listing->after->length)))
		return 0;
	struct user user;
	int err = record_decode(&user, sizeof(user), &user_schema, value);
	return err ? err : listing->each(listing->context, &user);
}

int user_list(struct namespace *ns, const char *after, int (*each)(void *context, const struct user *user), void *context)
{
	struct key prefix, start;
	key_user(&prefix, (struct span){ 0 });
	if (after)
		key_user(&start, span_text(after));
	struct listing listing = { .each = each, .context = context, .after = after ? &start : NULL };
	return namespace_scan(ns, NULL, &prefix, listing.after, list_one, &listing);
}
