/* placement.h - which nodes hold which xorb: weighted rendezvous hashing, the same answer on every node that knows the same nodes.
 *
 * DESIGN. Every node draws a number for a xorb: -log2 of a hash of both, divided by the node's weight; the smallest draws win. So a node gets its share by weight,
 * a node that comes takes only what becomes its own, and of a node that goes only its xorbs move. Winners are of different failure domains as long as
 * there are enough; then the order goes on. Integers only: nodes of different machines must agree to the last bit.
 *
 * Thaler and Ravishankar, "Using name-based mappings to increase hit rates" (1998); the weights are Schindelhauer and Schomaker's logarithmic method (2005).
 *
 * An epoch numbers what the nodes, weights, domains and the factor were (replicated state). Pure; any thread. */
#ifndef CAIRN_REPLICATION_PLACEMENT_H
#define CAIRN_REPLICATION_PLACEMENT_H

#include "replication/cluster_view.h"
#include "schemas/hash.h"

struct placement_node {
	uint64_t id;
	uint64_t domain; /* equal: they fail together */
	uint32_t weight; /* 0: holds nothing, but may still have something */
};

struct placement {
	uint64_t epoch;
	unsigned copies;   /* wanted of each xorb: the replication factor */
	unsigned eligible; /* nodes with a weight */
	size_t count;
	struct placement_node nodes[CLUSTER_NODES_MAX];
};

/* Of the members of a view: drained nodes and those that are away weigh nothing. */
void placement_of_view(struct placement *out, const struct cluster_view *view);

/* All nodes in the order in which they should hold `xorb`; those without weight come last. *holders: how many of the first should: `copies`, or as many as are
 * eligible. Returns how many there are. */
size_t placement_order(const struct placement *placement, const struct hash *xorb, uint64_t out[CLUSTER_NODES_MAX], size_t *holders);
/* True when `node` should hold it. With nobody eligible everybody should. */
bool placement_holds(const struct placement *placement, const struct hash *xorb, uint64_t node);
/* True when `node` should hold every xorb. */
bool placement_holds_all(const struct placement *placement, uint64_t node);
/* Distinct failure domains of nodes, weighed or not. */
unsigned placement_domains(const struct placement *placement);

#endif
