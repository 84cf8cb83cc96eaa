/* entry.c - one path, and the entries of a folder, of a commit. */
#include <stdlib.h>

#include "gateway/repo/directory.h"
#include "gateway/repo/object.h"

static void fill(struct tree_entry *out, struct span path, const struct directory_entry *entry)
{
	*out = (struct tree_entry){
		.path = path,
		.is_directory = directory_entry_is_directory(entry),
		.is_executable = entry->mode == GIT_MODE_EXECUTABLE,
		.oid = entry->oid,
		.length = entry->length,
		.is_lfs = entry->is_lfs,
		.sha256 = entry->sha256,
		.pointer_length = entry->pointer_length,
		.file = entry->file,
		.has_file = entry->has_file,
		.is_unsettled = entry->is_unsettled,
	};
}

int repo_entry(struct gateway *gateway, const struct repo *repo, const struct oid *commit_oid, struct span path, enum repo_wait wait, struct tree_entry *out)
{
	struct commit *commit;
	int err = commit_load(gateway, &repo->id, commit_oid, wait, true, &commit);
	if (err)
		return err == ERR_CORRUPT ? ERR_NOT_FOUND : err; /* nothing vouches for the caller's commit id */
	struct oid tree = commit->tree;
	cached_release(&commit->cached);
	if (path.length == 0) {
		*out = (struct tree_entry){ .path = path, .is_directory = true, .oid = tree };
		return 0;
	}
	size_t folder_length = path.length;
	while (folder_length && path.data[folder_length - 1] != '/')
		folder_length--;
	struct span name = span_of(path.data + folder_length, path.length - folder_length);
	struct directory *directory;
	err = directory_descend(gateway, &repo->id, &tree, span_of(path.data, folder_length ? folder_length - 1 : 0), wait, &directory);
	if (err)
		return err;
	const struct directory_entry *entry = name.length ? directory_find(directory, name) : NULL;
	if (!entry || (entry->mode & GIT_MODE_KIND) == GIT_MODE_SUBMODULE)
		err = ERR_NOT_FOUND;
	else if (entry->is_missing)
		err = ERR_CORRUPT;
	else
		fill(out, path, entry);
	cached_release(&directory->cached);
	return err;
}

/* ------------------------------------------------------------------ walking */

struct walk {
	struct gateway *gateway;
	const struct entity_id *repo;
	enum repo_wait wait;
	bool recursive;
	int (*each)(void *context, const struct tree_entry *entry);
	void *context;
	char path[PATH_BYTES_MAX + 1];
	int depth;
	uint32_t visited;
};

static int walk_tree(struct walk *walk, const struct oid *tree, size_t path_length, struct span after);

/* The entry itself (unless `inside_only`), then what is below it. */
static int visit(struct walk *walk, const struct directory *directory, const struct directory_entry *entry, size_t path_length, bool inside_only,
	struct span after)
{
	struct span name = directory_entry_name(directory, entry);
	if (++walk->visited > TREE_WALK_ENTRIES_MAX)
		return ERR_TOO_BIG;
	if ((entry->mode & GIT_MODE_KIND) == GIT_MODE_SUBMODULE)
		return 0;
	if (path_length + name.length + 1 > PATH_BYTES_MAX)
		return ERR_TOO_BIG;
	memcpy(walk->path + path_length, name.data, name.length);
	path_length += name.length;
	int err = 0;
	if (!inside_only) {
		struct tree_entry out;
		fill(&out, span_of(walk->path, path_length), entry);
		err = walk->each(walk->context, &out);
	}
	if (err || !directory_entry_is_directory(entry) || !walk->recursive)
		return err;
	walk->path[path_length++] = '/';
	return walk_tree(walk, &entry->oid, path_length, after);
}

/* Where to go on in a directory when `after` (relative to it) was given last. *inside: at entry *index, but only below it, behind *rest. */
static uint32_t start_after(const struct walk *walk, const struct directory *directory, struct span after, bool *inside, struct span *rest)
{
	*inside = false;
	*rest = span_of(NULL, 0);
	if (after.length == 0)
		return 0;
	const uint8_t *slash = memchr(after.data, '/', after.length);
	struct span name = span_of(after.data, slash ? (size_t)(slash - after.data) : after.length);
	const struct directory_entry *entry = slash ? directory_find_kind(directory, name, true) : directory_find(directory, name);
	if (!entry)
		return directory_lower_bound(directory, name, slash != NULL);
	uint32_t index = (uint32_t)(entry - directory->entries);
	if (!directory_entry_is_directory(entry) || !walk->recursive)
		return index + 1;
	*inside = true;
	if (slash)
		*rest = span_of(slash + 1, after.length - name.length - 1);
	return index;
}

static int walk_tree(struct walk *walk, const struct oid *tree, size_t path_length, struct span after)
{
	if (walk->depth == PATH_DEPTH_MAX)
		return ERR_TOO_BIG;
	struct directory *directory;
	int err = directory_load(walk->gateway, walk->repo, tree, walk->wait, &directory);
	if (err)
		return err;
	walk->depth++;
	bool inside;
	struct span rest;
	for (uint32_t i = start_after(walk, directory, after, &inside, &rest); i < directory->count && err == 0; i++) {
		err = visit(walk, directory, &directory->entries[i], path_length, inside, rest);
		inside = false;
		rest = span_of(NULL, 0);
	}
	walk->depth--;
	cached_release(&directory->cached);
	return err;
}

/* `after` as seen from inside `folder`: true with what is left of it, false when the whole folder lies before it. */
static bool relative_after(struct span folder, struct span after, struct span *out)
{
	*out = span_of(NULL, 0);
	if (folder.length == 0) {
		*out = after;
		return true;
	}
	if (after.length > folder.length && after.data[folder.length] == '/' && memcmp(after.data, folder.data, folder.length) == 0) {
		*out = span_of(after.data + folder.length + 1, after.length - folder.length - 1);
		return true;
	}
	return git_name_compare(folder, true, after, false) > 0 || span_equal(folder, after);
}

int repo_walk(struct gateway *gateway, const struct repo *repo, const struct oid *commit_oid, struct span folder, bool recursive, struct span after,
	enum repo_wait wait, int (*each)(void *context, const struct tree_entry *entry), void *context)
{
	struct span rest;
	struct tree_entry start;
	int err = repo_entry(gateway, repo, commit_oid, folder, wait, &start);
	if (err)
		return err;
	if (!start.is_directory)
		return ERR_NOT_FOUND;
	if (!relative_after(folder, after, &rest))
		return 0;
	if (folder.length + 1 > PATH_BYTES_MAX)
		return ERR_NOT_FOUND;
	struct walk walk = { .gateway = gateway, .repo = &repo->id, .wait = wait, .recursive = recursive, .each = each, .context = context };
	if (folder.length) {
		memcpy(walk.path, folder.data, folder.length);
		walk.path[folder.length] = '/';
	}
	return walk_tree(&walk, &start.oid, folder.length ? folder.length + 1 : 0, rest);
}

int repo_read_blob(struct gateway *gateway, const struct repo *repo, const struct tree_entry *entry, struct buffer *out, struct why *why)
{
	if (entry->is_directory)
		return why_set(why, ERR_INVALID, "a folder has no content");
	if (!entry->is_lfs) {
		if (!entry->has_file)
			return why_set(why, ERR_CORRUPT, "the content of the file is missing");
		return entry->length ? store_file_read_all(gateway->store, &entry->file, out, why) : 0;
	}
	struct git_object object;
	int err = object_get(gateway, &repo->id, &entry->oid, GIT_BLOB, &object);
	if (err)
		return why_set(why, err, "the pointer of the file is missing");
	err = buffer_append(out, object.payload.data, object.payload.length);
	free((void *)object.payload.data);
	return err;
}
