/* bundle_header.h - the text at the beginning of a git bundle. Private to gateway/git.
 *
 *   # v2 git bundle
 *   -OID COMMENT            prerequisites: commits that whoever unpacks it must have
 *   OID REF                 what it brings
 *   (empty line)            then a pack */
#ifndef CAIRN_GATEWAY_GIT_BUNDLE_HEADER_H
#define CAIRN_GATEWAY_GIT_BUNDLE_HEADER_H

#include "replication/bundle.h"
#include "store/store.h"

/* Appends "^OID" and a newline for each ref of a header. Pure. 1: the header was whole; 0: `text` ends inside it; ERR_CORRUPT: this is none. On anything but 1
 * what was appended is of no use. */
int bundle_header_read(struct span text, struct buffer *out);
/* [blocks] The same for a stored bundle. ERR_CORRUPT, ERR_TOO_BIG (BUNDLE_HEADER_BYTES_MAX), ERR_IO, ... */
int bundle_header_tips(struct store *store, const struct bundle *bundle, struct buffer *out, struct why *why);

#endif
