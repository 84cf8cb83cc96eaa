/* org_state.h - what organisations and their members share in the state machine. Private to replication/. */
#ifndef CAIRN_REPLICATION_ORG_STATE_H
#define CAIRN_REPLICATION_ORG_STATE_H

#include "replication/namespace_state.h"
#include "replication/org.h"

/* What commands on a membership say: names, since that is what people type. ORG_CREATE: the first admin. */
struct member_body {
	char org[NAME_BYTES_MAX + 1];
	char user[NAME_BYTES_MAX + 1];
	enum org_role role; /* ORG_ROLE_NONE: goes */
};
extern const struct schema member_body_schema;

/* ---- in apply ---- */
int state_org(const struct apply_context *apply, const char *name, struct org *org, struct why *why); /* 0, ERR_NOT_FOUND with a sentence */
void state_put_org(const struct apply_context *apply, const struct org *org);
/* Both keys of a membership, and the counts of its organisation, which the caller stores. */
int member_put(const struct apply_context *apply, struct org *org, const struct user *user, enum org_role role, struct why *why);
int members_drop(const struct apply_context *apply, const struct org *org, struct why *why);
/* In the stream of changes: the organisation as owner, the member as name, the role as action. */
int org_tell(const struct apply_context *apply, const struct command *command, const char *org, const char *user, enum org_role role, struct why *why);

/* ---- outside ---- */
/* Into char[NAME_BYTES_MAX + 1]: 0, ERR_INVALID with a sentence. */
int org_copy_name(char *out, const char *name, struct why *why);
/* [blocks] A command with a member body. `user` may be NULL. */
int member_propose(struct namespace *ns, enum command_type type, const char *actor, const char *org, const char *user, enum org_role role, struct why *why);

#endif
