/* initial_commit.h - what a new repository holds: .gitattributes, and what the creator asked for. */
#ifndef CAIRN_GATEWAY_HUB_INITIAL_COMMIT_H
#define CAIRN_GATEWAY_HUB_INITIAL_COMMIT_H

#include <jansson.h>

#include "gateway/auth/auth.h"
#include "gateway/repo/repo.h"

/* [blocks] `body` is the create call's JSON: license, license_name, license_link, short_description, files[{path, content, encoding}]. Given files
 * replace defaults of the same name. ERR_INVALID with a sentence when one of them is not acceptable; ERR_NO_SPACE: the owner has no room for them. */
int initial_commit(struct gateway *gateway, const struct repo *repo, const struct actor *actor, const char *email, const json_t *body, struct why *why);

#endif
