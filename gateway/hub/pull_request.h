/* pull_request.h - where a pull request stands against its branch. */
#ifndef CAIRN_GATEWAY_HUB_PULL_REQUEST_H
#define CAIRN_GATEWAY_HUB_PULL_REQUEST_H

#include "gateway/hub/call.h"
#include "gateway/repo/merge.h"
#include "replication/discussion.h"
#include "schemas/json_writer.h"

enum { MERGE_COMMENT_BYTES_MAX = COMMENT_BYTES_MAX };

/* [blocks] `ours` is the branch's head, `theirs` the pull request's; of a merged one, what they were. ERR_NOT_FOUND with a sentence: one of them is gone, or
 * they share nothing. */
int pull_request_sides(struct gateway *gateway, const struct repo *repo, const struct discussion *discussion, struct merge_sides *out, struct why *why);

/* [blocks] The members that details have of pull requests: changes, filesWithConflicts and, with `diff`, the unified diff. */
int write_pull_request(struct gateway *gateway, const struct repo *repo, const struct discussion *discussion, bool diff, struct json_writer *json);

#endif
