/* membership.h - makes the configuration of a Raft group what the nodes' records want, one change at a time.
 *
 * Order: add as stand-by; once it has caught up, make it a voter; only then remove others. A leader that is to go hands leadership over first.
 * Stateless: looks at both, takes one step, looks again later. So it does not matter which leader does it, or how often it is interrupted. */
#ifndef CAIRN_REPLICATION_MEMBERSHIP_H
#define CAIRN_REPLICATION_MEMBERSHIP_H

#include "replication/cluster_view.h"
#include "replication/consensus.h"
#include "replication/driver.h"

/* Whether the nodes named can cease to be voters: one at a time, as each step needs a majority of the voters that are left, and only if such a majority is connected. A node
 * that is removed is hung up on at once and helps no more. By what this node knows of the configurations. 0; ERR_CONFLICT: not now, and why. */
int membership_may_leave(const struct cluster_status *status, const uint64_t *ids, size_t count, struct why *why);
void membership_step(struct driver *driver, const struct cluster_view *view, uint64_t self);

#endif
