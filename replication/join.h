/* join.h - a new node becomes one of a cluster: asks with a join token, is told the cluster's secret and nodes.
 *
 * Repeating is harmless: a node that is one already gets the same answer again. */
#ifndef CAIRN_REPLICATION_JOIN_H
#define CAIRN_REPLICATION_JOIN_H

#include "replication/cluster_node.h"
#include "replication/peer_stream.h"

enum { JOIN_MS_MAX = 60 * 1000 };

/* [blocks] Asks each node that the token names until one answers. ERR_DENIED with the cluster's reason; ERR_CLOSED: nobody answers. */
int join_ask(struct cluster_view *out, const struct join_token *token, const struct peer_keys *keys, const struct cluster_node *self,
	uint32_t feature_level, const struct cluster_config *cluster, struct why *why);
/* [blocks] Answers one node that has a join token. */
void join_serve(struct peer_stream *stream, struct consensus *consensus, const struct state_machine *machine, const uint8_t *token_id);

#endif
