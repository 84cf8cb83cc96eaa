/* object_hash.h - the id of a git object: SHA-1 over its type, length and payload. Private to gateway/repo. */
#ifndef CAIRN_GATEWAY_REPO_OBJECT_HASH_H
#define CAIRN_GATEWAY_REPO_OBJECT_HASH_H

#include "schemas/git_object.h"

int object_hash(struct oid *out, enum git_type type, struct span payload); /* 0 or ERR_NO_MEMORY */

#endif
