/* oauth_scope.h - what apps ask for by name, and the rights of a token that this comes to.
 *
 * A scope is about the user and their namespace, and about those of their organisations that they chose when they allowed the app. Scopes of which no
 * right exists here (contribute-repos, read-endpoints) and unknown ones are left out: the answer to the app says which ones it was given. */
#ifndef CAIRN_GATEWAY_AUTH_OAUTH_SCOPE_H
#define CAIRN_GATEWAY_AUTH_OAUTH_SCOPE_H

#include "replication/org.h"

enum oauth_scope { /* stored: never reuse a bit */
	OAUTH_OPENID = 1 << 0,
	OAUTH_PROFILE = 1 << 1,
	OAUTH_EMAIL = 1 << 2,
	OAUTH_READ_BILLING = 1 << 3,
	OAUTH_READ_MEMBERSHIPS = 1 << 4,
	OAUTH_READ_REPOS = 1 << 5,
	OAUTH_GATED_REPOS = 1 << 6,
	OAUTH_WRITE_REPOS = 1 << 7,   /* files; no repositories made, deleted or given other settings */
	OAUTH_MANAGE_REPOS = 1 << 8,  /* that too */
	OAUTH_READ_COLLECTIONS = 1 << 9,
	OAUTH_WRITE_COLLECTIONS = 1 << 10,
	OAUTH_INFERENCE_API = 1 << 11,
	OAUTH_WRITE_ENDPOINTS = 1 << 12,
	OAUTH_JOBS = 1 << 13,
	OAUTH_WEBHOOKS = 1 << 14,
	OAUTH_WRITE_DISCUSSIONS = 1 << 15,

	OAUTH_SCOPES_COUNT = 16,
	OAUTH_SCOPES_ALL = (1 << OAUTH_SCOPES_COUNT) - 1,
	/* what somebody whose session may only read can pass on */
	OAUTH_SCOPES_READING = OAUTH_OPENID | OAUTH_PROFILE | OAUTH_EMAIL | OAUTH_READ_BILLING | OAUTH_READ_MEMBERSHIPS | OAUTH_READ_REPOS | OAUTH_GATED_REPOS |
		OAUTH_READ_COLLECTIONS,
	/* what reaches into organisations */
	OAUTH_SCOPES_OF_ORGS = OAUTH_READ_MEMBERSHIPS | OAUTH_READ_REPOS | OAUTH_WRITE_REPOS | OAUTH_MANAGE_REPOS | OAUTH_READ_COLLECTIONS | OAUTH_WRITE_COLLECTIONS |
		OAUTH_WRITE_ENDPOINTS | OAUTH_JOBS,
	OAUTH_SCOPE_TEXT_BYTES_MAX = 320,
};

/* The k-th scope, from 0: its name, and what it lets an app do, as a person is told. NULL behind the last. */
const char *oauth_scope_name(unsigned k);
const char *oauth_scope_meaning(unsigned k);
/* Names between blanks; others are left out. */
uint64_t oauth_scopes_read(struct span text);
void oauth_scopes_write(uint64_t scopes, char out[OAUTH_SCOPE_TEXT_BYTES_MAX]);
/* The rights on a user's namespace, to which oauth_rights_add_org adds what the scopes mean in an organisation. ERR_TOO_BIG: no room for another one. */
void oauth_rights(struct token_rights *out, uint64_t scopes, const struct entity_id *user);
int oauth_rights_add_org(struct token_rights *rights, uint64_t scopes, const struct entity_id *org);

#endif
