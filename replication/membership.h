/* membership.h - makes the configuration of a Raft group what the nodes' records want, one change at a time.
 *
 * Order: add as stand-by; once it has caught up, make it a voter; only then remove others. A leader that is to go hands leadership over first.
 * Stateless: looks at both, takes one step, looks again later. So it does not matter which leader does it, or how often it is interrupted. */
#ifndef CAIRN_REPLICATION_MEMBERSHIP_H
#define CAIRN_REPLICATION_MEMBERSHIP_H

#include "replication/cluster_view.h"
#include "replication/driver.h"

void membership_step(struct driver *driver, const struct cluster_view *view, uint64_t self);

#endif
