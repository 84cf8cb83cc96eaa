/* oid_set.h - a bounded set of object ids, for walks that must not go the same way twice. For gateway/repo and gateway/git.
 *
 * Open addressing on the ids' own bytes: they are hashes already. Grows up to its bound. One thread. */
#ifndef CAIRN_GATEWAY_REPO_OID_SET_H
#define CAIRN_GATEWAY_REPO_OID_SET_H

#include <stddef.h>

#include "schemas/hash.h"

struct oid_set {
	struct oid *slots; /* all-zero: free */
	size_t capacity;   /* a power of two, or 0 */
	size_t count, count_max;
	bool has_zero;     /* the all-zero id is a member */
};

void oid_set_init(struct oid_set *set, size_t count_max);
void oid_set_fini(struct oid_set *set);
/* 1 added, 0 was there, ERR_TOO_BIG (full), ERR_NO_MEMORY. */
int oid_set_add(struct oid_set *set, const struct oid *oid);

#endif
