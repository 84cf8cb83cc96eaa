/* attributes.h - the rules of a .gitattributes file, in order. Private to gateway/repo; attributes_lfs in repo.h is the public part.
 *
 * A rule is "pattern attribute...". A pattern without a slash is matched against the last component, one with a slash against the whole path; a
 * pattern that ends in a slash, a negated one and a macro ("[attr]...") match nothing. The last rule that says something about `filter` wins. */
#ifndef CAIRN_GATEWAY_REPO_ATTRIBUTES_H
#define CAIRN_GATEWAY_REPO_ATTRIBUTES_H

#include "gateway/repo/repo.h"

enum {
	ATTRIBUTES_LINE_BYTES_MAX = 2048,    /* git ignores longer lines, and its fsck refuses them */
	ATTRIBUTES_FILE_BYTES_MAX = 10 << 20,
};

/* The text of a rule that sends exactly this path through LFS, appended. Nothing when the line would be too long. */
int attributes_add_lfs(struct buffer *out, struct span path);

#endif
