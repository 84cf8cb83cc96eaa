/* grant_holder.h - who holds a verified grant, and whether they still may do what it says: a signature outlives neither the repository nor the
 * rights of its holder. */
#ifndef CAIRN_GATEWAY_AUTH_GRANT_HOLDER_H
#define CAIRN_GATEWAY_AUTH_GRANT_HOLDER_H

#include "gateway/auth/auth.h"
#include "gateway/auth/grant.h"

/* The repository of the grant and its holder, who must still be allowed `action` in it. 0, ERR_DENIED, ERR_IO. */
int grant_holder(struct gateway *gateway, const struct grant *grant, enum action action, struct actor *actor, struct repo *repo);

#endif
