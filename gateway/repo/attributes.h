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
	ATTRIBUTES_GROWN_BYTES_MAX = 256 << 10, /* no rules are added beyond: every path of a commit is held against every rule */
};

/* The same answer as attributes_lfs for many paths: parsed once. Borrows `text`. NULL: no memory. */
struct attributes;
struct attributes *attributes_open(struct span text);
void attributes_close(struct attributes *attributes);
bool attributes_match(const struct attributes *attributes, struct span path);

/* The text of a rule that sends this path through LFS, appended. Nothing when the line would be too long; ERR_TOO_BIG: the buffer is full. */
int attributes_add_lfs(struct buffer *out, struct span path);

#endif
