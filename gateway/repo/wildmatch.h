/* wildmatch.h - git's path patterns: `*`, `?`, `[...]`, and `**` as a whole component. Private to gateway/repo.
 *
 * DESIGN. A pattern comes from outside, so matching must not blow up: components are matched by going back to the last `*` only, components against each
 * other by going back to the last `**` only (what an earlier star could have taken, the later one can take too). Time is at most the product
 * of the lengths. Pure. */
#ifndef CAIRN_GATEWAY_REPO_WILDMATCH_H
#define CAIRN_GATEWAY_REPO_WILDMATCH_H

#include "schemas/buffer.h"

/* One component (no '/' in either); `*` matches any run of bytes. */
bool wildmatch_name(struct span pattern, struct span name);
/* A pattern with slashes against a whole path, both relative to the same folder. */
bool wildmatch_path(struct span pattern, struct span path);

#endif
