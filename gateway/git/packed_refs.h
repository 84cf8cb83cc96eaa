/* packed_refs.h - the refs of a repository as git reads them from one file. Private to gateway/git.
 *
 * "OID NAME", sorted by name; below a tag "^OID" of what it leads to in the end, so that git lists tags without reading them. What tags lead to is in the
 * git object table, which is a view and may lack some: then the header does not promise it, and git looks for itself. */
#ifndef CAIRN_GATEWAY_GIT_PACKED_REFS_H
#define CAIRN_GATEWAY_GIT_PACKED_REFS_H

#include "gateway/gateway.h"

/* [blocks] Makes the file. ERR_CORRUPT, ERR_NO_SPACE, ERR_IO, ERR_NO_MEMORY. */
int packed_refs_write(struct gateway *gateway, struct namespace_snapshot *snapshot, const struct entity_id *repo, const char *path, struct why *why);

#endif
