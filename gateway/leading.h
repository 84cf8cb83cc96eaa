/* leading.h - whether this node does what only one node of a cluster does, such as telling what changed: the leader of group 0. */
#ifndef CAIRN_GATEWAY_LEADING_H
#define CAIRN_GATEWAY_LEADING_H

#include "replication/namespace.h"

/* Of one thread. */
struct leading {
	struct cluster_status *status; /* scratch, owned */
	bool leads;
	int64_t looked_ms;
};

int leading_init(struct leading *leading); /* ERR_NO_MEMORY */
void leading_fini(struct leading *leading);
/* [blocks] What was so at most half a second ago. With the first true one the state here is not older than what was acknowledged before. */
bool leading_now(struct leading *leading, struct namespace *ns);

#endif
