/* cluster_loop.h - what the meta loop does for other nodes: carries Raft messages, keeps the view of the cluster, serves bulk calls, installs states,
 * makes configurations what the nodes' records want. Private to the meta loop and consensus.c; on the loop's thread unless it says else. */
#ifndef CAIRN_REPLICATION_CLUSTER_LOOP_H
#define CAIRN_REPLICATION_CLUSTER_LOOP_H

#include "replication/meta_loop.h"

enum {
	CLUSTER_TICK_MS = 50,
	CLUSTER_STREAMS_MAX = 3 * CLUSTER_NODES_MAX, /* a feed and a stream of data for each other node, and what is rare */
	MEMBERSHIP_LAG_MAX = 1000, /* entries that a stand-by may miss when it becomes a voter */
};

/* Before the loop runs; with cluster.listen only. */
int cluster_loop_open(struct consensus *consensus, struct why *why);
/* Joins, on a first start with a join token. [blocks] */
int cluster_loop_join(struct consensus *consensus, struct why *why);
/* The first view, and the connections. Before the loop runs. */
int cluster_loop_begin(struct consensus *consensus, struct why *why);
void cluster_loop_stop(struct consensus *consensus);  /* on the loop: ends connections and streams */
void cluster_loop_end_streams(struct consensus *consensus); /* [blocks] until nobody is served any more; the loop has ended */
void cluster_loop_close(struct consensus *consensus); /* after the loop has run for the last time */

/* rio */
void cluster_send(void *context, uint32_t group, struct message *message, struct log_entry **entries);
void cluster_install(void *context, uint32_t group, const struct snapshot_record *snapshot);
void cluster_lost(void *context, uint32_t group, uint64_t peer, uint64_t last, uint64_t match);

/* The log has dropped everything for a state that is staged. */
void cluster_install_logged(struct consensus *consensus, uint32_t group);
/* Any thread: the applier has taken it over. */
void cluster_installed(void *context, uint32_t group);
/* Part of each turn of the loop. */
void cluster_turn(struct consensus *consensus);

void cluster_fill_status(struct consensus *consensus, struct cluster_status *out);

#endif
