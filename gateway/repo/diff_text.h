/* diff_text.h - the difference of two commits as git shows it: unified diff. Shared by views.
 *
 * LFS files show as their pointers, as in git; files that are binary or larger than DIFF_FILE_BYTES_MAX are named, not shown. */
#ifndef CAIRN_GATEWAY_REPO_DIFF_TEXT_H
#define CAIRN_GATEWAY_REPO_DIFF_TEXT_H

#include "gateway/repo/repo.h"

enum {
	DIFF_FILE_BYTES_MAX = 1 << 20, /* of either side */
	DIFF_TEXT_BYTES_MAX = 8 << 20, /* of a whole diff: what does not fit is cut off after a whole file */
	DIFF_FILES_MAX = 10000,
};

/* [blocks] Appends the diff from one commit (NULL: from nothing) to another. *cut (may be NULL) tells that there was more. ERR_NOT_FOUND: no such commit. */
int repo_diff_text(struct gateway *gateway, const struct repo *repo, const struct oid *old_commit, const struct oid *new_commit, struct buffer *out, bool *cut,
	struct why *why);

#endif
