/* caller.h - who calls the CAS: the holder of a Xet token, in the one repository that the token names.
 *
 * The token is checked once, at the start of a request: a transfer that outlives its token is finished. Rights are looked up anew, so a
 * token dies with its repository and with the rights of its holder. */
#ifndef CAIRN_GATEWAY_XET_CALLER_H
#define CAIRN_GATEWAY_XET_CALLER_H

#include "gateway/auth/grant_holder.h"

enum xet_scope { XET_READ, XET_WRITE };

struct xet_caller {
	struct gateway *gateway;
	struct actor actor;
	struct repo repo;
};

/* NULL: answered already (401 no or bad token, 403 wrong scope or lost rights). */
struct xet_caller *xet_caller_open(struct http_request *request, enum xet_scope scope);

/* What a client is told of a full quota: 403. On 507, which is right elsewhere, it would try for minutes before it says so. */
static inline int xet_quota_error(int err)
{
	return err == ERR_NO_SPACE ? ERR_DENIED : err;
}

/* store_owner_filter of a struct xet_caller: the token's repository, and what else its holder may read. */
bool xet_may_see(void *caller, const struct entity_id *owner);

/* A hash in a path. False: answered already (400). */
bool xet_hash_capture(struct http_request *request, struct span capture, struct hash *out);

#endif
