/* damage.h - what is known to be damaged gets no further name: who has it sends it again first. */
#ifndef CAIRN_GATEWAY_REPO_DAMAGE_H
#define CAIRN_GATEWAY_REPO_DAMAGE_H

#include "store/store.h"

/* 0, or ERR_CORRUPT with a sentence: `file`, as it was found, is damaged. `sha256`: that it was named by; NULL: by its Xet hash. `path`: that it was to
 * get; may be empty. */
int damage_check(const struct file_info *file, const struct sha256 *sha256, struct span path, struct why *why);

#endif
