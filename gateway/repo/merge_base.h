/* merge_base.h - the newest commit that two histories share. Shared by views. */
#ifndef CAIRN_GATEWAY_REPO_MERGE_BASE_H
#define CAIRN_GATEWAY_REPO_MERGE_BASE_H

#include "gateway/repo/repo.h"

enum { MERGE_BASE_COMMITS_MAX = 200 * 1000 }; /* looked at */

/* [blocks] ERR_NOT_FOUND: the histories share nothing; ERR_TOO_BIG: nothing found in as many commits as are looked at. */
int repo_merge_base(struct gateway *gateway, const struct repo *repo, const struct oid *a, const struct oid *b, struct oid *out, struct why *why);

#endif
