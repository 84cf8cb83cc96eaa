/* merge.h - three-way merges: what one history changed since the merge base, made upon another. Shared by views.
 *
 * A path that only one side changed is taken from that side. One that both changed is merged line by line when it is text; whatever else differs is a
 * conflict, and then nothing is merged. LFS files are never merged by line. */
#ifndef CAIRN_GATEWAY_REPO_MERGE_H
#define CAIRN_GATEWAY_REPO_MERGE_H

#include "gateway/repo/repo.h"

enum { MERGE_FILE_BYTES_MAX = 1 << 20, MERGE_CONFLICTS_MAX = 1000 };

struct merge_sides {
	struct oid base;           /* merge base */
	struct oid ours, theirs;   /* commits */
};

/* [blocks] Calls `each` for paths that cannot be merged, at most MERGE_CONFLICTS_MAX. Non-zero stops and is returned. */
int repo_merge_conflicts(struct gateway *gateway, const struct repo *repo, const struct merge_sides *sides, int (*each)(void *context, struct span path),
	void *context, struct why *why);

/* [blocks] Puts the merge into a draft opened at `ours`: its operations and its second parent. ERR_CONFLICT names a path. */
int repo_merge(struct commit_draft *draft, const struct merge_sides *sides, struct why *why);

#endif
