/* recover.h - makes a node that is stopped the only voter of its cluster, after a majority of the voters is lost for good.
 *
 * DESIGN. Raft gives no way to go on without a majority: what the others acknowledged and this node never heard of is lost. An operator decides that, on the
 * survivor that has come furthest. Recovery keeps every entry that this node has, committed or not, for each of them may have been acknowledged, and appends in
 * a later term to each group a configuration with this node as its only voter and, to GROUP_CLUSTER, a command that removes every other node and replaces
 * the cluster's secret. Both are entries like others, so nodes that join later have them too. A lost node that comes back is told that it was removed, by its key; it
 * does not know the new secret.
 *
 * A copy of a node's stores (a backup) becomes a node with ids and keys of its own in a cluster of its own instead, which knows no other nodes.
 *
 * All that decides is one synchronous write of the log: a crash before it leaves the node as it was, and recovery is tried again. */
#ifndef CAIRN_REPLICATION_RECOVER_H
#define CAIRN_REPLICATION_RECOVER_H

#include "replication/cluster_view.h"
#include "schemas/error.h"

enum recover_mode {
	RECOVER_LOOK,  /* changes nothing */
	RECOVER_ALONE, /* this node goes on without the others */
	RECOVER_COPY,  /* this copy becomes a cluster of its own */
};

struct recover_group {
	uint64_t term, last_index; /* compare survivors: the highest term, then the highest index has come furthest */
	uint64_t applied;          /* in the state on disk: what is above was heard of, and may or may not have been acknowledged */
	int64_t newest_ms;         /* when the newest change that is here was made; 0: unknown */
};
struct recover_report {
	uint64_t node_id;
	bool alone;                /* the only voter already */
	struct recover_group groups[2];
	struct cluster_node others[CLUSTER_NODES_MAX]; /* that were not removed before */
	size_t others_count;
};
/* [blocks] `dir` holds raftlog/ and meta/ of a node that does not run. 0, ERR_CONFLICT (it is alone already, was removed, or has no state to go on with), ERR_BUSY
 * (a copied state was not put in place yet), or what opening the stores gives. `out` is filled as far as it came. */
int consensus_recover(const char *dir, enum recover_mode mode, struct recover_report *out, struct why *why);

#endif
