/* text_lines.h - texts compared and merged line by line. Private to gateway/repo; the only user of libgit2's diff. Pure, thread-safe; call libgit2_begin
 * (indexed_pack.h) before. */
#ifndef CAIRN_GATEWAY_REPO_TEXT_LINES_H
#define CAIRN_GATEWAY_REPO_TEXT_LINES_H

#include "schemas/buffer.h"
#include "schemas/error.h"

/* Appends the hunks of a unified diff. 0 or ERR_NO_MEMORY. */
int text_lines_diff(struct buffer *out, struct span old_text, struct span new_text);
/* Appends what becomes of `base` when both changes are made. ERR_CONFLICT: they touch the same lines; ERR_NO_MEMORY, ERR_TOO_BIG. */
int text_lines_merge(struct buffer *out, struct span base, struct span ours, struct span theirs);

#endif
