/* object.h - git objects of one repository: read from the store's table, kept in memory. Private to gateway/repo.
 *
 * An object that a ref or another object names but the table does not have is on its way into it (listing.h), or was lost with the table's last writes: then the
 * table is repaired from packs (rebuild.h) and asked again, once. */
#ifndef CAIRN_GATEWAY_REPO_OBJECT_H
#define CAIRN_GATEWAY_REPO_OBJECT_H

#include "gateway/repo/cache.h"
#include "schemas/git_object.h"

/* [blocks] An object that must be there: repairs the table when it is not. The payload is the caller's to free. ERR_CORRUPT: not in any pack. */
int object_get(struct gateway *gateway, const struct entity_id *repo, const struct oid *oid, enum git_type type, struct git_object *out);

/* A commit in memory. Release with cached_release(&commit->cached). */
struct commit {
	struct cached cached;
	struct oid oid, tree;
	size_t length;
	uint8_t payload[];
};
/* `must_exist`: something names it, so that its absence is worth a repair. ERR_NOT_FOUND, ERR_AGAIN, ERR_CORRUPT. */
int commit_load(struct gateway *gateway, const struct entity_id *repo, const struct oid *oid, enum repo_wait wait, bool must_exist, struct commit **out);
/* [blocks] The root tree of a commit that something names. */
int commit_tree(struct gateway *gateway, const struct entity_id *repo, const struct oid *commit, struct oid *tree);
/* The same for a ref's target, which may be an annotated tag. */
int commit_load_peeled(struct gateway *gateway, const struct entity_id *repo, const struct oid *oid, enum repo_wait wait, bool must_exist, struct commit **out);

#endif
