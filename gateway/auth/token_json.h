/* token_json.h - what a fine-grained token may do, as the Hub writes it:
 * {"canReadGatedRepos": false, "global": ["discussion.write"], "scoped": [{"entity": {"_id", "type", "name"}, "permissions": ["repo.write"]}]}. */
#ifndef CAIRN_GATEWAY_AUTH_TOKEN_JSON_H
#define CAIRN_GATEWAY_AUTH_TOKEN_JSON_H

#include <jansson.h>

#include "replication/namespace.h"
#include "schemas/json_writer.h"

const char *token_role_name(enum token_role role); /* "read", "write", "fineGrained" */
/* 0: no such role. "fine-grained" is taken too. */
enum token_role token_role_named(const char *name);

/* Scopes whose entity is gone are left out. */
void token_rights_write(struct json_writer *json, const char *key, struct namespace *ns, const struct token *token);
/* The inverse, for a token of `user`. An entity is told by its name ("owner/name" for repositories), or by the `_id` of whoever has none. 0, ERR_INVALID,
 * ERR_NOT_FOUND with a sentence. Whether the user may see the entity does not matter: rights are looked at when the token is used. */
int token_rights_read(struct token_rights *out, struct namespace *ns, const json_t *value, struct why *why);

#endif
