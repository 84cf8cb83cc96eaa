/* quota.h - how many bytes the repositories of one owner may hold together. Only the number lives here; gateway/repo/quota.h compares it with
 * what is stored. */
#ifndef CAIRN_REPLICATION_QUOTA_H
#define CAIRN_REPLICATION_QUOTA_H

#include "replication/namespace.h"

#define QUOTA_NONE UINT64_MAX

/* [blocks] QUOTA_NONE takes the limit away. `owner` in any case; that it exists is the caller's to check. */
int quota_set(struct namespace *ns, const char *actor, const char *owner, uint64_t bytes, struct why *why);
/* QUOTA_NONE when there is no limit. 0 or ERR_IO. */
int quota_get(struct namespace *ns, const char *owner, uint64_t *bytes);

#endif
