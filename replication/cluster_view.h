/* cluster_view.h - who belongs to the cluster, as a node knows it: what the transport and the membership rules need of the replicated state.
 *
 * Plain data. A new node gets its first view from the node that lets it in; later ones are read from the state machine (struct state_machine). */
#ifndef CAIRN_REPLICATION_CLUSTER_VIEW_H
#define CAIRN_REPLICATION_CLUSTER_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CLUSTER_NODES_MAX = 64,              /* removed ones included, until they are forgotten */
	NODE_ADDRESS_BYTES_MAX = 256, /* "host:port" */
	NODE_NAME_BYTES_MAX = 64,
	CLUSTER_SECRET_BYTES = 32,
	NODE_KEY_BYTES = 32,
};

enum node_role {
	NODE_LEARNER = 1, /* gets the log, does not vote */
	NODE_VOTER = 2,
	NODE_REMOVED = 3, /* its id is never let in again */
};

struct cluster_node {
	uint64_t node_id;
	uint8_t public_key[NODE_KEY_BYTES];
	char address[NODE_ADDRESS_BYTES_MAX]; /* of its port for peers */
	char name[NODE_NAME_BYTES_MAX];
	char url[NODE_ADDRESS_BYTES_MAX];     /* how clients reach it; "" when not told */
	enum node_role role;                  /* wanted; the groups' leaders make it so, one step at a time */
	int64_t joined_ms;
};

struct cluster_view {
	bool has_secret; /* false: this node never met another */
	uint8_t secret[CLUSTER_SECRET_BYTES];
	struct cluster_node nodes[CLUSTER_NODES_MAX];
	size_t count;
	uint64_t applied; /* index of GROUP_CLUSTER that it was read at */
};

static inline const struct cluster_node *cluster_view_find(const struct cluster_view *view, uint64_t node_id)
{
	for (size_t i = 0; i < view->count; i++)
		if (view->nodes[i].node_id == node_id)
			return &view->nodes[i];
	return NULL;
}

#endif
