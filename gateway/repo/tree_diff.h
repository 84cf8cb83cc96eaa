/* tree_diff.h - which files differ between two trees. Private to gateway/repo.
 *
 * Only trees that differ are read, so the cost depends on what changed, not on the repository. */
#ifndef CAIRN_GATEWAY_REPO_TREE_DIFF_H
#define CAIRN_GATEWAY_REPO_TREE_DIFF_H

#include "gateway/repo/object.h"

enum { TREE_DIFF_ENTRIES_MAX = 2 << 20 };

/* A file on one side. */
struct tree_side {
	bool exists;
	uint32_t mode;
	struct oid oid;
};

/* `path` lives as long as the call. Non-zero stops and is returned. */
typedef int (*tree_diff_fn)(void *context, struct span path, const struct tree_side *old_side, const struct tree_side *new_side);

/* [blocks] Calls `each` for every file (or submodule) that is not the same in both root trees (zero: empty), in git's order. Folders are entered, never
 * reported; where a file became a folder the file is gone and the folder's files are new. ERR_TOO_BIG: more than TREE_DIFF_ENTRIES_MAX differ. */
int tree_diff(struct gateway *gateway, const struct entity_id *repo, const struct oid *old_tree, const struct oid *new_tree, tree_diff_fn each, void *context);

#endif
