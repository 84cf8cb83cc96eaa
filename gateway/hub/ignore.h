/* ignore.h - .gitignore rules of a repository's root, applied to file paths.
 *
 * The last rule that matches a path, or one of the folders above it, decides; "!" takes back. Patterns: "*", "?", "[...]", "**", a leading
 * or inner slash anchors to the root, a trailing one matches folders only. A file below an ignored folder stays ignored. */
#ifndef CAIRN_GATEWAY_HUB_IGNORE_H
#define CAIRN_GATEWAY_HUB_IGNORE_H

#include "schemas/buffer.h"

enum { IGNORE_BYTES_MAX = 256 << 10, IGNORE_STEPS_MAX = 100000 };

bool ignore_matches(struct span rules, struct span path);

#endif
