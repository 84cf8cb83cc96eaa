#include "gateway/repo/merge.h"

#include <stdlib.h>

#include "gateway/repo/blob.h"
#include "gateway/repo/directory.h"
#include "gateway/repo/draft.h"
#include "gateway/repo/indexed_pack.h"
#include "gateway/repo/text_lines.h"
#include "gateway/repo/tree_diff.h"

enum { STOP_ENOUGH = 1 };

struct merge {
	struct gateway *gateway;
	const struct repo *repo;
	struct oid ours_tree;
	struct commit_draft *draft; /* NULL: conflicts are only listed */
	int (*each)(void *context, struct span path);
	void *context;
	size_t conflicts_count;
	struct why *why;
};

static int tree_of(struct gateway *gateway, const struct entity_id *repo, const struct oid *oid, struct oid *tree)
{
	struct commit *commit;
	int err = commit_load(gateway, repo, oid, REPO_MAY_WAIT, true, &commit);
	if (err)
		return err;
	*tree = commit->tree;
	cached_release(&commit->cached);
	return 0;
}

/* What our side has at a path: a file or a folder (then *is_directory), or nothing. */
static int find_ours(const struct merge *merge, struct span path, struct tree_side *out, bool *is_directory)
{
	*out = (struct tree_side){ 0 };
	*is_directory = false;
	size_t folder = path.length;
	while (folder && path.data[folder - 1] != '/')
		folder--;
	struct directory *directory;
	int err = directory_descend(merge->gateway, &merge->repo->id, &merge->ours_tree, span_of(path.data, folder ? folder - 1 : 0), REPO_MAY_WAIT, &directory);
	if (err)
		return err == ERR_NOT_FOUND ? 0 : err;
	const struct directory_entry *entry = directory_find(directory, span_of(path.data + folder, path.length - folder));
	if (entry) {
		*is_directory = git_mode_is_directory(entry->mode);
		*out = (struct tree_side){ .exists = true, .mode = entry->mode, .oid = entry->oid };
	}
	cached_release(&directory->cached);
	return 0;
}

static bool same(const struct tree_side *a, const struct tree_side *b)
{
	return a->exists == b->exists && (!a->exists || (a->mode == b->mode && git_oid_equal(&a->oid, &b->oid)));
}

static int conflict(struct merge *merge, struct span path)
{
	if (merge->draft)
		return why_set(merge->why, ERR_CONFLICT, "\"%.*s\" was changed on both sides", PATH_SHOWN(path));
	if (merge->conflicts_count++ == MERGE_CONFLICTS_MAX)
		return STOP_ENOUGH;
	return merge->each(merge->context, path);
}

/* ------------------------------------------------------------------ taking their side */

static int take_theirs(struct merge *merge, struct span path, const struct tree_side *theirs)
{
	if (!merge->draft)
		return 0;
	if (!theirs->exists)
		return commit_draft_delete(merge->draft, path, merge->why);
	if ((theirs->mode & GIT_MODE_KIND) == GIT_MODE_SUBMODULE)
		return conflict(merge, path);
	struct git_object object;
	int err = object_get(merge->gateway, &merge->repo->id, &theirs->oid, GIT_BLOB, &object);
	if (err)
		return why_set(merge->why, err, "\"%.*s\" of the other side is missing", PATH_SHOWN(path));
	struct draft_file file = { .oid = theirs->oid, .mode = theirs->mode, .is_pointer = object.is_lfs_pointer, .length = object.length, .file = object.file,
		.sha256 = object.sha256, .lfs_length = object.lfs_length, .payload = object.is_lfs_pointer ? object.payload : (struct span){ 0 } };
	err = draft_set_object(merge->draft, path, &file, merge->why);
	free((void *)object.payload.data);
	return err;
}

/* ------------------------------------------------------------------ both sides */

/* Text of one version. ERR_CONFLICT: not one that can be merged by line. */
static int read_text(const struct merge *merge, const struct tree_side *side, struct buffer *out)
{
	if ((side->mode & GIT_MODE_KIND) != (GIT_MODE_FILE & GIT_MODE_KIND))
		return ERR_CONFLICT;
	struct git_object facts;
	int err = blob_facts(merge->gateway, &merge->repo->id, &side->oid, &facts);
	if (err == 0 && (facts.is_lfs_pointer || facts.length > MERGE_FILE_BYTES_MAX))
		err = ERR_CONFLICT;
	if (err == 0)
		err = blob_read(merge->gateway, &merge->repo->id, &side->oid, out, merge->why);
	return err == 0 && !blob_is_text(buffer_span(out)) ? ERR_CONFLICT : err;
}

static int store_merged(struct merge *merge, struct span path, struct span text, uint32_t mode)
{
	struct upload *upload = commit_draft_upload(merge->draft);
	struct upload_result result;
	int err = upload_file_begin(upload, text.length);
	if (err)
		return err;
	err = upload_want_git_oid(upload, text.length);
	if (err == 0 && text.length)
		err = upload_file_write(upload, text.data, text.length, merge->why);
	if (err) {
		upload_file_abort(upload);
		return err;
	}
	err = upload_file_end(upload, &result, merge->why);
	struct draft_file file = { .oid = result.git_oid, .mode = mode, .length = result.length, .file = result.file };
	return err ? err : draft_set_object(merge->draft, path, &file, merge->why);
}

static int merge_lines(struct merge *merge, struct span path, const struct tree_side *base, const struct tree_side *ours, const struct tree_side *theirs)
{
	const struct tree_side *sides[3] = { base, ours, theirs };
	struct buffer texts[3], merged;
	int err = 0;
	for (int i = 0; i < 3; i++)
		buffer_init(&texts[i], MERGE_FILE_BYTES_MAX);
	buffer_init(&merged, 2 * MERGE_FILE_BYTES_MAX);
	for (int i = 0; i < 3 && err == 0; i++)
		err = read_text(merge, sides[i], &texts[i]);
	if (err == 0)
		err = text_lines_merge(&merged, buffer_span(&texts[0]), buffer_span(&texts[1]), buffer_span(&texts[2]));
	if (err == 0 && merge->draft)
		err = store_merged(merge, path, buffer_span(&merged), theirs->mode != base->mode ? theirs->mode : ours->mode);
	buffer_fini(&merged);
	for (int i = 0; i < 3; i++)
		buffer_fini(&texts[i]);
	return err == ERR_CONFLICT ? conflict(merge, path) : err;
}

/* One path that they changed. */
static int merge_path(void *context, struct span path, const struct tree_side *base, const struct tree_side *theirs)
{
	struct merge *merge = context;
	struct tree_side ours;
	bool is_directory;
	int err = find_ours(merge, path, &ours, &is_directory);
	if (err)
		return why_set(merge->why, err, "\"%.*s\" cannot be read", PATH_SHOWN(path));
	if (is_directory)
		return theirs->exists ? conflict(merge, path) : 0; /* they removed a file that became a folder here */
	if (same(&ours, theirs))
		return 0;
	if (same(&ours, base))
		return take_theirs(merge, path, theirs);
	return base->exists && ours.exists && theirs->exists ? merge_lines(merge, path, base, &ours, theirs) : conflict(merge, path);
}

static int run(struct merge *merge, const struct merge_sides *sides)
{
	const struct entity_id *repo = &merge->repo->id;
	struct oid base_tree, theirs_tree;
	int err = tree_of(merge->gateway, repo, &sides->base, &base_tree);
	if (err == 0)
		err = tree_of(merge->gateway, repo, &sides->ours, &merge->ours_tree);
	if (err == 0)
		err = tree_of(merge->gateway, repo, &sides->theirs, &theirs_tree);
	if (err)
		return why_set(merge->why, err, "a commit to merge cannot be read");
	libgit2_begin();
	err = tree_diff(merge->gateway, repo, &base_tree, &theirs_tree, merge_path, merge);
	return err == STOP_ENOUGH ? 0 : err;
}

int repo_merge_conflicts(struct gateway *gateway, const struct repo *repo, const struct merge_sides *sides, int (*each)(void *context, struct span path),
	void *context, struct why *why)
{
	struct merge merge = { .gateway = gateway, .repo = repo, .each = each, .context = context, .why = why };
	return run(&merge, sides);
}

int repo_merge(struct commit_draft *draft, const struct merge_sides *sides, struct why *why)
{
	struct merge merge = { .gateway = draft->gateway, .repo = &draft->repo, .draft = draft, .why = why };
	draft->has_second_parent = true;
	draft->second_parent = sides->theirs;
	return run(&merge, sides);
}
