/* size.c - how many bytes the files of a commit have together, from what is known of another one. Declared in repo.h. */
#include "gateway/repo/blob.h"
#include "gateway/repo/repo.h"
#include "gateway/repo/tree_diff.h"

struct sizes {
	struct gateway *gateway;
	const struct entity_id *repo;
	uint64_t added, removed;
};

/* As its content counts: of an LFS file the object's length, not the pointer's. Submodules have none. */
static int add_side(const struct sizes *sizes, const struct tree_side *side, uint64_t *total)
{
	struct git_object blob;
	if (!side->exists || (side->mode & GIT_MODE_KIND) == GIT_MODE_SUBMODULE)
		return 0;
	int err = blob_facts(sizes->gateway, sizes->repo, &side->oid, &blob);
	if (err == 0)
		*total += blob.is_lfs_pointer ? blob.lfs_length : blob.length;
	return err;
}

static int add_file(void *context, struct span path, const struct tree_side *old_side, const struct tree_side *new_side)
{
	struct sizes *sizes = context;
	(void)path;
	int err = add_side(sizes, old_side, &sizes->removed);
	return err ? err : add_side(sizes, new_side, &sizes->added);
}

int repo_size(struct gateway *gateway, const struct repo *repo, const struct oid *known, uint64_t known_bytes, const struct oid *commit, uint64_t *bytes)
{
	struct oid old_tree = { { 0 } }, new_tree;
	struct sizes sizes = { .gateway = gateway, .repo = &repo->id };
	int err = known ? commit_tree(gateway, &repo->id, known, &old_tree) : 0;
	if (err == 0)
		err = commit_tree(gateway, &repo->id, commit, &new_tree);
	if (err == 0)
		err = tree_diff(gateway, &repo->id, &old_tree, &new_tree, add_file, &sizes);
	if (err == 0 && known && known_bytes + sizes.added < sizes.removed)
		err = ERR_CORRUPT;
	if (err == 0)
		*bytes = (known ? known_bytes : 0) + sizes.added - sizes.removed;
	return err;
}
