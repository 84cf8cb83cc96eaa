#include "gateway/repo/diff_text.h"

#include "gateway/repo/blob.h"
#include "gateway/repo/indexed_pack.h"
#include "gateway/repo/text_lines.h"
#include "gateway/repo/tree_diff.h"

enum { STOP_CUT = 1 };

struct diff {
	struct gateway *gateway;
	const struct entity_id *repo;
	struct buffer *out;
	size_t files_count;
	struct why *why;
};

/* 0 with the bytes; ERR_TOO_BIG: too large to show. */
static int read_side(const struct diff *diff, const struct tree_side *side, struct buffer *out)
{
	buffer_init(out, DIFF_FILE_BYTES_MAX);
	if (!side->exists || (side->mode & GIT_MODE_KIND) == GIT_MODE_SUBMODULE)
		return 0;
	return blob_read(diff->gateway, diff->repo, &side->oid, out, diff->why);
}

static void write_header(struct buffer *out, struct span path, const struct tree_side *old_side, const struct tree_side *new_side)
{
	char old_oid[OID_TEXT_BYTES], new_oid[OID_TEXT_BYTES];
	hex_encode(old_oid, old_side->oid.bytes, OID_BYTES);
	hex_encode(new_oid, new_side->oid.bytes, OID_BYTES);
	int length = (int)path.length;
	const char *text = (const char *)path.data;
	buffer_printf(out, "diff --git a/%.*s b/%.*s\n", length, text, length, text);
	if (!old_side->exists)
		buffer_printf(out, "new file mode %06o\n", new_side->mode);
	else if (!new_side->exists)
		buffer_printf(out, "deleted file mode %06o\n", old_side->mode);
	else if (old_side->mode != new_side->mode)
		buffer_printf(out, "old mode %06o\nnew mode %06o\n", old_side->mode, new_side->mode);
	if (old_side->exists && new_side->exists && git_oid_equal(&old_side->oid, &new_side->oid))
		return;
	if (old_side->exists && new_side->exists && old_side->mode == new_side->mode)
		buffer_printf(out, "index %s..%s %06o\n", old_oid, new_oid, new_side->mode);
	else
		buffer_printf(out, "index %s..%s\n", old_oid, new_oid);
}

static int write_content(struct diff *diff, struct span path, const struct tree_side *old_side, const struct tree_side *new_side)
{
	struct buffer old_text, new_text;
	int length = (int)path.length;
	const char *name = (const char *)path.data;
	int err = read_side(diff, old_side, &old_text);
	int err_new = read_side(diff, new_side, &new_text);
	bool shown = err == 0 && err_new == 0 && blob_is_text(buffer_span(&old_text)) && blob_is_text(buffer_span(&new_text));
	if ((err && err != ERR_TOO_BIG) || (err_new && err_new != ERR_TOO_BIG)) {
		err = err && err != ERR_TOO_BIG ? err : err_new;
	} else if (!shown) {
		err = 0;
		buffer_printf(diff->out, "Binary files %s%.*s and %s%.*s differ\n", old_side->exists ? "a/" : "", old_side->exists ? length : 9,
			old_side->exists ? name : "/dev/null", new_side->exists ? "b/" : "", new_side->exists ? length : 9, new_side->exists ? name : "/dev/null");
	} else if (old_text.length || new_text.length) {
		buffer_printf(diff->out, old_side->exists ? "--- a/%.*s\n" : "--- /dev/null\n", length, name);
		buffer_printf(diff->out, new_side->exists ? "+++ b/%.*s\n" : "+++ /dev/null\n", length, name);
		err = text_lines_diff(diff->out, buffer_span(&old_text), buffer_span(&new_text));
	}
	buffer_fini(&old_text);
	buffer_fini(&new_text);
	return err;
}

static int write_file(void *context, struct span path, const struct tree_side *old_side, const struct tree_side *new_side)
{
	struct diff *diff = context;
	if (diff->files_count++ == DIFF_FILES_MAX)
		return STOP_CUT;
	size_t before = diff->out->length;
	bool same_bytes = old_side->exists && new_side->exists && git_oid_equal(&old_side->oid, &new_side->oid);
	write_header(diff->out, path, old_side, new_side);
	int err = same_bytes ? 0 : write_content(diff, path, old_side, new_side);
	if (err)
		return err;
	if (!diff->out->failed && diff->out->length <= DIFF_TEXT_BYTES_MAX)
		return 0;
	diff->out->length = before;
	diff->out->failed = false;
	return STOP_CUT;
}

/* NULL: nothing. A commit id that a caller brought may be of anything. */
static int root_tree(struct gateway *gateway, const struct entity_id *repo, const struct oid *commit_oid, struct oid *tree)
{
	*tree = (struct oid){ { 0 } };
	int err = commit_oid ? commit_tree(gateway, repo, commit_oid, tree) : 0;
	return err == ERR_CORRUPT ? ERR_NOT_FOUND : err;
}

int repo_diff_text(struct gateway *gateway, const struct repo *repo, const struct oid *old_commit, const struct oid *new_commit, struct buffer *out, bool *cut,
	struct why *why)
{
	struct oid old_tree, new_tree;
	int err = root_tree(gateway, &repo->id, old_commit, &old_tree);
	if (err == 0)
		err = root_tree(gateway, &repo->id, new_commit, &new_tree);
	if (err)
		return why_set(why, err, "a commit to compare is missing");
	libgit2_begin();
	struct diff diff = { .gateway = gateway, .repo = &repo->id, .out = out, .why = why };
	err = tree_diff(gateway, &repo->id, &old_tree, &new_tree, write_file, &diff);
	if (cut)
		*cut = err == STOP_CUT;
	return err == STOP_CUT ? 0 : err;
}
