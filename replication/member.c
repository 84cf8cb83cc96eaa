/* member.c - keys: 'm' a member of an organisation, 'b' the same seen from the user. Both views of a membership change in one command. */
#include "replication/org_state.h"

static const struct field member_fields[] = {
	FIELD(struct member, org, FIELD_BYTES, true),
	FIELD(struct member, user, FIELD_TEXT, true),
	FIELD(struct member, role, FIELD_ENUM, true),
	FIELD(struct member, since_ms, FIELD_I64, false),
};
static const struct schema member_schema = SCHEMA(1, member_fields);

static const struct field member_body_fields[] = {
	FIELD(struct member_body, org, FIELD_TEXT, true),
	FIELD(struct member_body, user, FIELD_TEXT, false),
	FIELD(struct member_body, role, FIELD_ENUM, false),
};
const struct schema member_body_schema = SCHEMA(1, member_body_fields);

static const char *const role_names[] = { "", "read", "contributor", "write", "admin" };

const char *org_role_name(enum org_role role)
{
	return role >= ORG_ROLE_READ && role <= ORG_ROLE_ADMIN ? role_names[role] : "";
}

enum org_role org_role_named(const char *name)
{
	for (int i = ORG_ROLE_READ; i <= ORG_ROLE_ADMIN; i++)
		if (strcmp(name, role_names[i]) == 0)
			return (enum org_role)i;
	return ORG_ROLE_NONE;
}

/* ---- apply ---- */

static bool count_key(void *context, struct span key)
{
	(void)key;
	return ++*(unsigned *)context >= USER_ORGS_MAX;
}

int member_put(const struct apply_context *apply, struct org *org, const struct user *user, enum org_role role, struct why *why)
{
	struct key by_org, by_user, prefix;
	struct member member;
	key_member(&by_org, span_text(org->name), span_text(user->name));
	int err = state_get(apply, &by_org, &member_schema, &member, sizeof(member), why);
	if (err && err != ERR_NOT_FOUND)
		return err;
	bool is_new = err == ERR_NOT_FOUND, was_admin = !is_new && member.role == ORG_ROLE_ADMIN;
	if (was_admin && role != ORG_ROLE_ADMIN && org->admins == 1)
		return why_set(why, ERR_CONFLICT, "\"%s\" is the last admin of \"%s\"", user->name, org->name);
	unsigned count = 0;
	key_user_orgs(&prefix, span_text(user->name));
	if (is_new && state_any(apply, &prefix, count_key, &count))
		return why_set(why, ERR_TOO_BIG, "\"%s\" is in %d organisations already", user->name, USER_ORGS_MAX);
	if (is_new && org->members >= ORG_MEMBERS_MAX)
		return why_set(why, ERR_TOO_BIG, "\"%s\" has %d members already", org->name, ORG_MEMBERS_MAX);
	if (is_new)
		member = (struct member){ .since_ms = apply->leader_ms };
	member.org = org->id;
	member.role = role;
	memcpy(member.user, user->name, sizeof(member.user));
	org->members += is_new;
	org->admins = org->admins + (role == ORG_ROLE_ADMIN) - was_admin;
	state_put(apply, &by_org, &member_schema, &member);
	key_user_org(&by_user, span_text(user->name), span_text(org->name));
	state_put_bytes(apply, &by_user, "", 0);
	return 0;
}

struct member_keys {
	struct buffer users;  /* NUL-terminated, lower case */
	size_t prefix_length;
};

static bool collect_user(void *context, struct span key)
{
	struct member_keys *keys = context;
	buffer_append(&keys->users, key.data + keys->prefix_length, key.length - keys->prefix_length);
	buffer_append_byte(&keys->users, 0);
	return false;
}

int members_drop(const struct apply_context *apply, const struct org *org, struct why *why)
{
	struct key key;
	struct member_keys keys;
	buffer_init(&keys.users, SIZE_MAX);
	key_member(&key, span_text(org->name), (struct span){ 0 });
	keys.prefix_length = key.length;
	state_any(apply, &key, collect_user, &keys);
	bool failed = keys.users.failed;
	for (size_t at = 0; !failed && at < keys.users.length;) {
		struct span user = span_text((const char *)keys.users.data + at);
		key_member(&key, span_text(org->name), user);
		state_delete(apply, &key);
		key_user_org(&key, user, span_text(org->name));
		state_delete(apply, &key);
		at += user.length + 1;
	}
	buffer_fini(&keys.users);
	return failed ? why_set(why, ERR_NO_MEMORY, "no memory to delete an organisation") : 0;
}

int member_set_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct member_body body;
	struct org org;
	struct user user;
	int err = body_decode(&body, sizeof(body), &member_body_schema, command, why);
	if (err == 0 && (body.role < ORG_ROLE_READ || body.role > ORG_ROLE_ADMIN))
		err = why_set(why, ERR_INVALID, "a role is read, contributor, write or admin");
	if (err == 0)
		err = state_org(apply, body.org, &org, why);
	if (err == 0)
		err = state_user(apply, body.user, &user, why);
	if (err == 0)
		err = member_put(apply, &org, &user, body.role, why);
	if (err)
		return err;
	state_put_org(apply, &org);
	return org_tell(apply, command, org.name, user.name, body.role, why);
}

int member_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct member_body body;
	struct org org;
	struct member member;
	struct key by_org, by_user;
	int err = body_decode(&body, sizeof(body), &member_body_schema, command, why);
	if (err == 0)
		err = state_org(apply, body.org, &org, why);
	if (err)
		return err;
	key_member(&by_org, span_text(org.name), span_text(body.user));
	err = body.user[0] ? state_get(apply, &by_org, &member_schema, &member, sizeof(member), why) : ERR_NOT_FOUND;
	if (err)
		return err == ERR_NOT_FOUND ? why_set(why, err, "\"%s\" is not a member of \"%s\"", body.user, org.name) : err;
	if (member.role == ORG_ROLE_ADMIN && org.admins == 1)
		return why_set(why, ERR_CONFLICT, "\"%s\" is the last admin of \"%s\"", member.user, org.name);
	key_user_org(&by_user, span_text(member.user), span_text(org.name));
	state_delete(apply, &by_org);
	state_delete(apply, &by_user);
	org.members--;
	org.admins -= member.role == ORG_ROLE_ADMIN;
	state_put_org(apply, &org);
	return org_tell(apply, command, org.name, member.user, ORG_ROLE_NONE, why);
}

/* ---- changing ---- */

int member_propose(struct namespace *ns, enum command_type type, const char *actor, const char *org, const char *user, enum org_role role,
	struct why *why)
{
	struct member_body member = { .role = role };
	int err = org_copy_name(member.org, org, why);
	if (err == 0 && user)
		err = org_copy_name(member.user, user, why);
	if (err)
		return err;
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &member_body_schema, &member);
	return namespace_propose(ns, GROUP_CLUSTER, type, actor, &body, NULL, why);
}

int member_set(struct namespace *ns, const char *actor, const char *org, const char *user, enum org_role role, struct why *why)
{
	return member_propose(ns, COMMAND_MEMBER_SET, actor, org, user, role, why);
}

int member_delete(struct namespace *ns, const char *actor, const char *org, const char *user, struct why *why)
{
	return member_propose(ns, COMMAND_MEMBER_DELETE, actor, org, user, ORG_ROLE_NONE, why);
}

/* ---- reading ---- */

int member_find(struct namespace *ns, const char *org, const char *user, struct member *out)
{
	if (!name_valid(span_text(org)) || !name_valid(span_text(user)))
		return ERR_NOT_FOUND;
	struct key key;
	key_member(&key, span_text(org), span_text(user));
	return namespace_get(ns, NULL, &key, &member_schema, out, sizeof(*out));
}

struct listing {
	struct namespace *ns;
	const struct key *after;
	size_t prefix_length;
	const char *user;
	int (*each)(void *context, const struct member *member);
	int (*each_org)(void *context, const struct org *org, const struct member *member);
	void *context;
};

static int list_member(void *context, struct span key, struct span value)
{
	struct listing *listing = context;
	struct member member;
	if (listing->after && span_equal(key, span_of(listing->after->bytes, listing->after->length)))
		return 0;
	int err = record_decode(&member, sizeof(member), &member_schema, value);
	return err ? err : listing->each(listing->context, &member);
}

int member_list(struct namespace *ns, const char *org, const char *after, int (*each)(void *context, const struct member *member), void *context)
{
	if (!name_valid(span_text(org)))
		return 0;
	struct key prefix, start;
	key_member(&prefix, span_text(org), (struct span){ 0 });
	if (after)
		key_member(&start, span_text(org), span_text(after));
	struct listing listing = { .each = each, .context = context, .after = after ? &start : NULL };
	return namespace_scan(ns, NULL, &prefix, listing.after, list_member, &listing);
}

static int list_both(void *context, struct span key, struct span value)
{
	(void)value;
	struct listing *listing = context;
	struct org org;
	struct member member;
	char name[NAME_BYTES_MAX + 1];
	size_t length = key.length - listing->prefix_length;
	if (length > NAME_BYTES_MAX)
		return ERR_CORRUPT;
	memcpy(name, key.data + listing->prefix_length, length);
	name[length] = 0;
	int err = org_find(listing->ns, name, &org);
	if (err == 0)
		err = member_find(listing->ns, name, listing->user, &member);
	if (err == ERR_NOT_FOUND)
		return 0; /* gone since the scan began */
	return err ? err : listing->each_org(listing->context, &org, &member);
}

int member_orgs(struct namespace *ns, const char *user, int (*each)(void *context, const struct org *org, const struct member *member), void *context)
{
	if (!name_valid(span_text(user)))
		return 0;
	struct key prefix;
	key_user_orgs(&prefix, span_text(user));
	struct listing listing = { .ns = ns, .each_org = each, .context = context, .user = user, .prefix_length = prefix.length };
	return namespace_scan(ns, NULL, &prefix, NULL, list_both, &listing);
}
