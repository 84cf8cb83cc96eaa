/* blob.h - the bytes of a blob by its id. Private to gateway/repo. */
#ifndef CAIRN_GATEWAY_REPO_BLOB_H
#define CAIRN_GATEWAY_REPO_BLOB_H

#include "gateway/repo/object.h"

/* [blocks] What the table knows of a blob, its payload not included. ERR_CORRUPT: not in the table. */
int blob_facts(struct gateway *gateway, const struct entity_id *repo, const struct oid *oid, struct git_object *out);
/* [blocks] Appends the blob's bytes (of an LFS file: its pointer's). ERR_TOO_BIG: more than `out` may hold; then nothing is appended. */
int blob_read(struct gateway *gateway, const struct entity_id *repo, const struct oid *oid, struct buffer *out, struct why *why);
/* True for text as git tells it: no NUL in the first 8000 bytes. */
bool blob_is_text(struct span bytes);

#endif
