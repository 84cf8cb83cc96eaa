/* lfs_uses.h - where the LFS objects of a repository are used: a walk over everything that its refs reach.
 *
 * For people to read, not for deciding what may go: that is what the roots of a collection are for (roots.c). A tree or a pointer is looked at once, so an object
 * is told with the first path and ref at which it was met. */
#ifndef CAIRN_GATEWAY_REPO_LFS_USES_H
#define CAIRN_GATEWAY_REPO_LFS_USES_H

#include "gateway/repo/repo.h"

struct lfs_use {
	struct sha256 sha256;
	uint64_t length;
	struct oid pointer; /* git blob */
	const char *path, *ref;
};

/* [blocks] Each pointer blob that is reached, once; non-zero from `each` stops and is returned. ERR_TOO_BIG: more objects than can be looked at. */
int lfs_uses(struct gateway *gateway, const struct entity_id *repo, int (*each)(void *context, const struct lfs_use *use), void *context, struct why *why);

#endif
