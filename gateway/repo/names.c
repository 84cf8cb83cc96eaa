/* names.c - tree objects read as they are: names, kinds, ids. */
#include <stdlib.h>

#include "gateway/repo/object.h"

static int tree_of(struct gateway *gateway, const struct repo *repo, const struct oid *commit, struct oid *tree)
{
	struct commit *loaded;
	int err = commit_load_peeled(gateway, &repo->id, commit, REPO_MAY_WAIT, true, &loaded);
	if (err)
		return err;
	*tree = loaded->tree;
	cached_release(&loaded->cached);
	return 0;
}

/* The folder of this name in a tree. */
static int step_into(struct gateway *gateway, const struct repo *repo, struct span name, struct oid *tree)
{
	struct git_object object;
	struct git_tree_entry entry;
	int err = object_get(gateway, &repo->id, tree, GIT_TREE, &object);
	if (err)
		return err;
	struct span rest = object.payload;
	int got;
	err = ERR_NOT_FOUND;
	while (err == ERR_NOT_FOUND && (got = git_tree_next(&rest, &entry)) > 0) {
		if (!git_mode_is_directory(entry.mode) || !span_equal(entry.name, name))
			continue;
		*tree = entry.oid;
		err = 0;
	}
	free((void *)object.payload.data);
	return err;
}

int repo_names(struct gateway *gateway, const struct repo *repo, const struct oid *commit, struct span folder,
	int (*each)(void *context, struct span name, bool is_directory, const struct oid *oid), void *context)
{
	struct oid tree;
	struct git_object object;
	struct git_tree_entry entry;
	int err = tree_of(gateway, repo, commit, &tree);
	while (err == 0 && folder.length) {
		const uint8_t *slash = memchr(folder.data, '/', folder.length);
		size_t length = slash ? (size_t)(slash - folder.data) : folder.length;
		err = step_into(gateway, repo, span_of(folder.data, length), &tree);
		folder = span_of(folder.data + length + (slash != NULL), folder.length - length - (slash != NULL));
	}
	if (err == 0)
		err = object_get(gateway, &repo->id, &tree, GIT_TREE, &object);
	if (err)
		return err;
	struct span rest = object.payload;
	int got = 0;
	while (err == 0 && (got = git_tree_next(&rest, &entry)) > 0)
		err = each(context, entry.name, git_mode_is_directory(entry.mode), &entry.oid);
	free((void *)object.payload.data);
	return err ? err : got;
}
