/* org.h - organisations: a namespace that several users share, each with a role.
 *
 * Users and organisations have one space of names. An organisation always has an admin: the last one can be neither removed nor given another
 * role. Deleting one wants its namespace empty. Everything is in group 0. */
#ifndef CAIRN_REPLICATION_ORG_H
#define CAIRN_REPLICATION_ORG_H

#include "replication/namespace.h"

enum {
	ORG_MEMBERS_MAX = 100000,
	USER_ORGS_MAX = 1000, /* organisations of one user */
};

enum org_role { ORG_ROLE_NONE = 0, ORG_ROLE_READ = 1, ORG_ROLE_CONTRIBUTOR = 2, ORG_ROLE_WRITE = 3, ORG_ROLE_ADMIN = 4 };
const char *org_role_name(enum org_role role);
enum org_role org_role_named(const char *name); /* ORG_ROLE_NONE: no such role */

struct org {
	struct entity_id id;
	char name[NAME_BYTES_MAX + 1];
	char fullname[NAME_BYTES_MAX + 1];
	char email[EMAIL_BYTES_MAX + 1];
	bool private_by_default;  /* new repositories that say nothing of their visibility */
	int64_t created_ms;
	uint64_t members, admins; /* kept by the state machine */
};
/* `first_admin` becomes its first member. id, created_ms and counts are made. ERR_EXISTS: a user or an organisation has the name. ERR_NOT_FOUND: no such user. */
int org_create(struct namespace *ns, const char *actor, const struct org *org, const char *first_admin, struct why *why);
int org_update(struct namespace *ns, const char *actor, const struct org *org, struct why *why); /* full name, email and default, by name */
int org_delete(struct namespace *ns, const char *actor, const char *name, struct why *why); /* ERR_CONFLICT: it has repositories */
int org_find(struct namespace *ns, const char *name, struct org *out); /* any case; 0, ERR_NOT_FOUND */
int org_list(struct namespace *ns, const char *after, int (*each)(void *context, const struct org *org), void *context);

struct member {
	struct entity_id org;
	char user[NAME_BYTES_MAX + 1]; /* stored case */
	enum org_role role;
	int64_t since_ms;
};
/* Adds a member, or gives one another role. ERR_NOT_FOUND: no such organisation or user; ERR_CONFLICT: it would have no admin. */
int member_set(struct namespace *ns, const char *actor, const char *org, const char *user, enum org_role role, struct why *why);
int member_delete(struct namespace *ns, const char *actor, const char *org, const char *user, struct why *why);
int member_find(struct namespace *ns, const char *org, const char *user, struct member *out); /* any case; from memory almost always */
/* In name order from `after` (exclusive, NULL: start); non-zero stops. */
int member_list(struct namespace *ns, const char *org, const char *after, int (*each)(void *context, const struct member *member), void *context);
/* Organisations of a user, in name order. */
int member_orgs(struct namespace *ns, const char *user, int (*each)(void *context, const struct org *org, const struct member *member), void *context);

#endif
