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
	NODE_DOMAIN_BYTES_MAX = 64,
	NODE_WEIGHT_DEFAULT = 100,
	NODE_WEIGHT_MAX = 1000000,
	REPLICATION_FACTOR_DEFAULT = 3,
	REPLICATION_FACTOR_MAX = 5,
	NODE_GRACE_MS_DEFAULT = 15 * 60 * 1000,
	NODE_GRACE_MS_MIN = 5 * 1000,
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
	char url[NODE_ADDRESS_BYTES_MAX];     /* how clients reach the hub, as far as it knows; for people. "" when not told */
	char node_url[NODE_ADDRESS_BYTES_MAX]; /* how clients reach this very node, as its operator says; "": not said, nobody is sent there */
	enum node_role role;                  /* wanted; the groups' leaders make it so, one step at a time */
	int64_t joined_ms;
	/* ---- what placement.h asks ---- */
	char domain[NODE_DOMAIN_BYTES_MAX]; /* what fails with it; "": only itself */
	uint32_t weight;                    /* share of the bytes; 0: NODE_WEIGHT_DEFAULT */
	bool drained;                       /* an operator wants it to hold nothing */
	bool away;                          /* it was not reached for longer than the grace time */
};

struct cluster_settings { /* 0 of each: the default */
	uint64_t epoch;              /* grows with whatever changes who should hold what */
	uint32_t replication_factor;
	uint32_t copies;             /* durable ones before an acknowledgement; 0: as each node was told */
	uint64_t grace_ms;           /* a node that is gone for longer is away */
	uint64_t walks;              /* how often an operator asked all nodes to look after their copies now */
	uint64_t repos;              /* repositories that want another number of copies: repo_copies.h */
	uint32_t erasure_data, erasure_parity; /* cold xorbs are cut into so many parts: replica_coding.c. 0: they are not */
	uint64_t erasure_after_ms;   /* a xorb is cold when it is older */
};

struct cluster_view {
	bool has_secret; /* false: this node never met another */
	uint8_t secret[CLUSTER_SECRET_BYTES];
	struct cluster_node nodes[CLUSTER_NODES_MAX];
	size_t count;
	struct cluster_settings settings;
	uint64_t applied; /* index of GROUP_CLUSTER that it was read at */
};

static inline const struct cluster_node *cluster_view_find(const struct cluster_view *view, uint64_t node_id)
{
	for (size_t i = 0; i < view->count; i++)
		if (view->nodes[i].node_id == node_id)
			return &view->nodes[i];
	return NULL;
}

static inline bool node_is_named(const struct cluster_node *node, const uint64_t *ids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (ids[i] == node->node_id)
			return true;
	return false;
}

#endif
