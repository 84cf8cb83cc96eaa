#include "gateway/repo/tree_diff.h"

#include <stdlib.h>

struct walk {
	struct gateway *gateway;
	const struct entity_id *repo;
	tree_diff_fn each;
	void *context;
	char path[PATH_BYTES_MAX + 1];
	int depth;
	uint32_t visited;
};

/* One tree, entry by entry. */
struct side {
	void *payload;
	struct span rest;
	struct git_tree_entry entry;
	bool has_entry;
};

static int side_next(struct side *side)
{
	int got = git_tree_next(&side->rest, &side->entry);
	side->has_entry = got > 0;
	return got < 0 ? got : 0;
}

static int side_open(struct walk *walk, struct side *side, const struct oid *tree)
{
	*side = (struct side){ 0 };
	if (git_oid_is_zero(tree))
		return 0;
	struct git_object object;
	int err = object_get(walk->gateway, walk->repo, tree, GIT_TREE, &object);
	if (err)
		return err;
	side->payload = (void *)object.payload.data;
	side->rest = object.payload;
	return side_next(side);
}

static int walk_trees(struct walk *walk, const struct oid *old_tree, const struct oid *new_tree, size_t path_length);

/* Entries of one name and kind; NULL: absent on that side. */
static int visit(struct walk *walk, const struct git_tree_entry *old_entry, const struct git_tree_entry *new_entry, size_t path_length)
{
	const struct git_tree_entry *any = old_entry ? old_entry : new_entry;
	if (old_entry && new_entry && old_entry->mode == new_entry->mode && git_oid_equal(&old_entry->oid, &new_entry->oid))
		return 0;
	if (++walk->visited > TREE_DIFF_ENTRIES_MAX)
		return ERR_TOO_BIG;
	if (path_length + any->name.length + 1 > PATH_BYTES_MAX)
		return ERR_TOO_BIG;
	memcpy(walk->path + path_length, any->name.data, any->name.length);
	path_length += any->name.length;
	static const struct oid zero;
	if (git_mode_is_directory(any->mode)) {
		walk->path[path_length++] = '/';
		return walk_trees(walk, old_entry ? &old_entry->oid : &zero, new_entry ? &new_entry->oid : &zero, path_length);
	}
	struct tree_side old_side = { 0 }, new_side = { 0 };
	if (old_entry)
		old_side = (struct tree_side){ .exists = true, .mode = old_entry->mode, .oid = old_entry->oid };
	if (new_entry)
		new_side = (struct tree_side){ .exists = true, .mode = new_entry->mode, .oid = new_entry->oid };
	return walk->each(walk->context, span_of(walk->path, path_length), &old_side, &new_side);
}

static int walk_sides(struct walk *walk, struct side *old_side, struct side *new_side, size_t path_length)
{
	int err = 0;
	while (err == 0 && (old_side->has_entry || new_side->has_entry)) {
		int order = !old_side->has_entry ? 1 : !new_side->has_entry ? -1 :
			git_name_compare(old_side->entry.name, git_mode_is_directory(old_side->entry.mode), new_side->entry.name,
				git_mode_is_directory(new_side->entry.mode));
		err = visit(walk, order <= 0 ? &old_side->entry : NULL, order >= 0 ? &new_side->entry : NULL, path_length);
		if (err == 0 && order <= 0)
			err = side_next(old_side);
		if (err == 0 && order >= 0)
			err = side_next(new_side);
	}
	return err;
}

static int walk_trees(struct walk *walk, const struct oid *old_tree, const struct oid *new_tree, size_t path_length)
{
	if (git_oid_equal(old_tree, new_tree))
		return 0;
	if (walk->depth == PATH_DEPTH_MAX)
		return ERR_TOO_BIG;
	struct side old_side, new_side = { 0 };
	int err = side_open(walk, &old_side, old_tree);
	if (err == 0)
		err = side_open(walk, &new_side, new_tree);
	walk->depth++;
	if (err == 0)
		err = walk_sides(walk, &old_side, &new_side, path_length);
	walk->depth--;
	free(old_side.payload);
	free(new_side.payload);
	return err;
}

int tree_diff(struct gateway *gateway, const struct entity_id *repo, const struct oid *old_tree, const struct oid *new_tree, tree_diff_fn each, void *context)
{
	struct walk walk = { .gateway = gateway, .repo = repo, .each = each, .context = context };
	return walk_trees(&walk, old_tree, new_tree, 0);
}
