#include "replication/org_state.h"

static const struct field org_fields[] = {
	FIELD(struct org, id, FIELD_BYTES, true),
	FIELD(struct org, name, FIELD_TEXT, true),
	FIELD(struct org, fullname, FIELD_TEXT, false),
	FIELD(struct org, email, FIELD_TEXT, false),
	FIELD(struct org, private_by_default, FIELD_BOOL, false),
	FIELD(struct org, created_ms, FIELD_I64, false),
	FIELD(struct org, members, FIELD_U64, false),
	FIELD(struct org, admins, FIELD_U64, false),
};
static const struct schema org_schema = SCHEMA(1, org_fields);

/* ---- apply ---- */

int state_org(const struct apply_context *apply, const char *name, struct org *org, struct why *why)
{
	struct key key;
	key_org(&key, span_text(name));
	int err = state_get(apply, &key, &org_schema, org, sizeof(*org), why);
	return err == ERR_NOT_FOUND ? why_set(why, err, "there is no organisation \"%s\"", name) : err;
}

void state_put_org(const struct apply_context *apply, const struct org *org)
{
	struct key key;
	key_org(&key, span_text(org->name));
	state_put(apply, &key, &org_schema, org);
}

int org_tell(const struct apply_context *apply, const struct command *command, const char *org, const char *user, enum org_role role, struct why *why)
{
	struct change change = { .action = role };
	memcpy(change.owner, org, strlen(org) + 1);
	memcpy(change.name, user, strlen(user) + 1);
	return change_append(apply, command, &change, why);
}

/* Body: [organisation, member body]. */
int org_create_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct org org;
	struct member_body first;
	struct user user;
	struct cursor cursor = cursor_of(command->body);
	cursor_array(&cursor, 2);
	if (record_decode_at(&cursor, &org, sizeof(org), &org_schema) != 0 ||
		record_decode_at(&cursor, &first, sizeof(first), &member_body_schema) != 0 || !cursor_done(&cursor))
		return why_set(why, ERR_INVALID, "the body of a command of type %u does not parse", command->type);
	if (!name_valid(span_text(org.name)))
		return why_set(why, ERR_INVALID, "\"%s\" is not a name", org.name);
	int err = state_name_free(apply, org.name, why);
	if (err == 0)
		err = state_user(apply, first.user, &user, why);
	if (err)
		return err;
	org.created_ms = apply->leader_ms;
	org.members = org.admins = 0;
	err = member_put(apply, &org, &user, ORG_ROLE_ADMIN, why);
	if (err)
		return err;
	state_put_org(apply, &org);
	return org_tell(apply, command, org.name, user.name, ORG_ROLE_ADMIN, why);
}

int org_update_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct org wanted, org;
	int err = body_decode(&wanted, sizeof(wanted), &org_schema, command, why);
	if (err == 0)
		err = state_org(apply, wanted.name, &org, why);
	if (err)
		return err;
	memcpy(org.fullname, wanted.fullname, sizeof(org.fullname));
	memcpy(org.email, wanted.email, sizeof(org.email));
	org.private_by_default = wanted.private_by_default;
	state_put_org(apply, &org);
	return org_tell(apply, command, org.name, "", ORG_ROLE_NONE, why);
}

int org_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct member_body body;
	struct org org;
	struct key key;
	int err = body_decode(&body, sizeof(body), &member_body_schema, command, why);
	if (err == 0)
		err = state_org(apply, body.org, &org, why);
	if (err)
		return err;
	for (enum repo_type type = REPO_MODEL; type <= REPO_BUCKET; type++) {
		key_repo_name(&key, type, span_text(org.name), (struct span){ 0 });
		if (state_any(apply, &key, NULL, NULL))
			return why_set(why, ERR_CONFLICT, "\"%s\" still has repositories", org.name);
	}
	err = members_drop(apply, &org, why);
	if (err)
		return err;
	key_org(&key, span_text(org.name));
	state_delete(apply, &key);
	return org_tell(apply, command, org.name, "", ORG_ROLE_NONE, why);
}

/* ---- changing ---- */

int org_copy_name(char *out, const char *name, struct why *why)
{
	if (!name_valid(span_text(name)))
		return why_set(why, ERR_INVALID, "\"%.100s\" is not a name", name);
	memcpy(out, name, strlen(name) + 1);
	return 0;
}

int org_create(struct namespace *ns, const char *actor, const struct org *org, const char *first_admin, struct why *why)
{
	struct org made = *org;
	struct member_body first = { .role = ORG_ROLE_ADMIN };
	int err = org_copy_name(first.org, org->name, why);
	if (err == 0)
		err = org_copy_name(first.user, first_admin, why);
	if (err)
		return err;
	entity_id_make(&made.id);
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	pack_array(&body, 2);
	record_encode(&body, &org_schema, &made);
	record_encode(&body, &member_body_schema, &first);
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_ORG_CREATE, actor, &body, NULL, why);
}

int org_update(struct namespace *ns, const char *actor, const struct org *org, struct why *why)
{
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &org_schema, org);
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_ORG_UPDATE, actor, &body, NULL, why);
}

int org_delete(struct namespace *ns, const char *actor, const char *name, struct why *why)
{
	return member_propose(ns, COMMAND_ORG_DELETE, actor, name, NULL, ORG_ROLE_NONE, why);
}

/* ---- reading ---- */

int org_find(struct namespace *ns, const char *name, struct org *out)
{
	if (!name_valid(span_text(name)))
		return ERR_NOT_FOUND;
	struct key key;
	key_org(&key, span_text(name));
	return namespace_get(ns, NULL, &key, &org_schema, out, sizeof(*out));
}

struct listing {
	const struct key *after;
	int (*each)(void *context, const struct org *org);
	void *context;
};

static int list_org(void *context, struct span key, struct span value)
{
	struct listing *listing = context;
	struct org org;
	if (listing->after && span_equal(key, span_of(listing->after->bytes, listing->after->length)))
		return 0;
	int err = record_decode(&org, sizeof(org), &org_schema, value);
	return err ? err : listing->each(listing->context, &org);
}

int org_list(struct namespace *ns, const char *after, int (*each)(void *context, const struct org *org), void *context)
{
	struct key prefix, start;
	key_org(&prefix, (struct span){ 0 });
	if (after)
		key_org(&start, span_text(after));
	struct listing listing = { .each = each, .context = context, .after = after ? &start : NULL };
	return namespace_scan(ns, NULL, &prefix, listing.after, list_org, &listing);
}
