/* cluster_level.h - the feature level that a cluster is at: which one it may be raised to, and raising it.
 *
 * DESIGN. A level is what every program that takes part must know. Members tell what theirs knows when they call each other (peer_channel.h); the level
 * is raised by a command in every group, GROUP_CLUSTER first, and is part of the applied record (applier.h): for good.
 *
 * What members know is looked at before the command is proposed, and may be otherwise when it is applied: a node may be started with an older
 * program in that moment, or such a one may join. It does no harm: a program that knows less stops at the command, and does not start on a state
 * that is behind it; the others refuse its calls. It goes on when it is exchanged for a newer one.
 *
 * Whoever raised the level may die between two groups: the cluster is then at the level of the group that has come furthest, every node goes by that, and
 * asking again completes the others, whoever is away. */
#ifndef CAIRN_REPLICATION_CLUSTER_LEVEL_H
#define CAIRN_REPLICATION_CLUSTER_LEVEL_H

#include "replication/namespace.h"

/* What the cluster is at, by this status. */
uint32_t cluster_level(const struct cluster_status *status);
/* True: every group is at that level. */
bool cluster_level_everywhere(const struct cluster_status *status, uint32_t level);
/* The highest level that every member knows, or the cluster's own when no member knows a higher one, or when a group is not at it yet and a higher one is out
 * of reach. ERR_CONFLICT with a sentence that names the members that are in the way: away, or with a program that knows too little. */
int cluster_level_next(const struct cluster_status *status, uint32_t *level, struct why *why);
/* [blocks] Raises every group to that, as far as it is not there: applied here when it returns. *raised: something was to be done. ERR_CONFLICT as
 * above, and what consensus_propose returns. */
int cluster_level_raise(struct namespace *ns, const char *actor, uint32_t *level, bool *raised, struct why *why);

#endif
