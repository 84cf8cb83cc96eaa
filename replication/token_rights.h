/* token_rights.h - what a fine-grained token may do: permissions, each on one entity or everywhere.
 *
 * A scope names a user's or an organisation's namespace (then it holds for every repository in it) or one repository. Names of permissions
 * are the Hub's. Pure. */
#ifndef CAIRN_REPLICATION_TOKEN_RIGHTS_H
#define CAIRN_REPLICATION_TOKEN_RIGHTS_H

#include "schemas/hash.h"
#include "schemas/record.h"

enum { TOKEN_SCOPES_MAX = 32 };

enum permission {
	PERMISSION_REPO_READ = 1 << 0,        /* repo.content.read: files of private repositories */
	PERMISSION_REPO_WRITE = 1 << 1,       /* repo.write: content and settings; includes reading */
	PERMISSION_REPO_ACCESS_READ = 1 << 2, /* repo.access.read: access requests of gated repositories */
	PERMISSION_DISCUSSION_WRITE = 1 << 3,
	PERMISSION_COLLECTION_READ = 1 << 4,
	PERMISSION_COLLECTION_WRITE = 1 << 5,
	PERMISSION_WEBHOOKS_READ = 1 << 6,
	PERMISSION_WEBHOOKS_WRITE = 1 << 7,
	PERMISSION_ORG_READ = 1 << 8,
	PERMISSION_ORG_WRITE = 1 << 9,
	PERMISSION_INFERENCE = 1 << 10,
	PERMISSION_ENDPOINTS_INFER = 1 << 11,
	PERMISSION_ENDPOINTS_WRITE = 1 << 12,
	PERMISSION_BILLING_READ = 1 << 13,
	PERMISSION_JOB_WRITE = 1 << 14,
	PERMISSION_POST_WRITE = 1 << 15,
	PERMISSION_REPO_CONTENT_WRITE = 1 << 16, /* repo.content.write: files of repositories that are there; includes reading */
	PERMISSIONS_ALL = (1 << 17) - 1,
};

enum scope_kind { SCOPE_MODEL = 1, SCOPE_DATASET = 2, SCOPE_SPACE = 3, SCOPE_KERNEL = 4, SCOPE_USER = 5, SCOPE_ORG = 6 }; /* 1..4: enum repo_type */

struct token_scope {
	enum scope_kind kind;
	struct entity_id entity;
	uint32_t permissions;
};
struct token_rights {
	uint32_t global;          /* permissions that are bound to no entity */
	bool read_gated;          /* may read public gated repositories that its user was granted */
	uint32_t count;
	struct token_scope scopes[TOKEN_SCOPES_MAX];
};

/* "repo.write" and so on; NULL for anything but one bit. */
const char *permission_name(uint32_t permission);
/* 0: no such permission. */
uint32_t permission_named(struct span name);

bool token_rights_valid(const struct token_rights *rights);
/* True when one of `permissions` is given on `entity`. */
bool token_rights_on(const struct token_rights *rights, const struct entity_id *entity, uint32_t permissions);

/* One msgpack value: [1, global, read gated, [[kind, entity, permissions], ...]]. */
void token_rights_encode(struct buffer *out, const struct token_rights *rights);
int token_rights_decode(struct token_rights *out, struct span bytes); /* 0, ERR_CORRUPT, ERR_UNSUPPORTED */

#endif
