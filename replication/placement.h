/* placement.h - which nodes hold which xorb: weighted rendezvous hashing, the same answer on every node that knows the same nodes.
 *
 * DESIGN. Every node draws a number for a xorb: -log2 of a hash of both, divided by the node's weight; the smallest draws win. So a node gets its share by weight,
 * a node that comes takes only what becomes its own, and of a node that goes only its xorbs move. Winners are of different failure domains as long as
 * there are enough; then the order goes on. Integers only: nodes of different machines must agree to the last bit.
 *
 * Thaler and Ravishankar, "Using name-based mappings to increase hit rates" (1998); the weights are Schindelhauer and Schomaker's logarithmic method (2005).
 *
 * The order is the same however many copies a xorb gets: who holds it of n copies holds it of n + 1. So what repositories want (repo_copies.h) only says where
 * the order is cut.
 *
 * An epoch numbers what the nodes, weights, domains and the numbers of copies were (replicated state). Pure; any thread. */
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
	unsigned copies;   /* wanted of a xorb of which no repository says anything: the replication factor */
	unsigned repos_least, repos_most; /* of what repositories say; 0: none says anything */
	unsigned eligible; /* nodes with a weight */
	unsigned erasure_data, erasure_parity; /* cold xorbs are cut into so many parts; 0: they are not */
	uint64_t erasure_after_ms;
	size_t count;
	struct placement_node nodes[CLUSTER_NODES_MAX];
};

/* Of the members of a view: drained nodes and those that are away weigh nothing. */
void placement_of_view(struct placement *out, const struct cluster_view *view);

/* The fewest and the most copies that any xorb gets. */
static inline unsigned placement_least(const struct placement *placement)
{
	return placement->repos_least && placement->repos_least < placement->copies ? placement->repos_least : placement->copies;
}
static inline unsigned placement_most(const struct placement *placement)
{
	return placement->repos_most > placement->copies ? placement->repos_most : placement->copies;
}

/* All nodes in the order in which they should hold `xorb`; those without weight come last. *holders: how many of the first should when it gets `copies`: as many, or
 * those that are eligible. Returns how many there are. */
size_t placement_order(const struct placement *placement, const struct hash *xorb, unsigned copies, uint64_t out[CLUSTER_NODES_MAX], size_t *holders);
/* True when `node` should hold it, of so many copies. With nobody eligible everybody should. */
bool placement_holds(const struct placement *placement, const struct hash *xorb, unsigned copies, uint64_t node);
/* From how many copies on `node` holds it; 0: in any case, UINT_MAX: never. */
unsigned placement_rank(const struct placement *placement, const struct hash *xorb, uint64_t node);
/* Which node should hold each part of a coded xorb (store/coded.h): every part goes to the first of its own order in the failure domain, and on the node, with the fewest parts before
 * it; where there are too few domains for at most `parity` parts in each, nodes come before domains. ERR_NOT_FOUND: nobody is eligible. */
int placement_parts(const struct placement *placement, const struct hash *parts, size_t count, unsigned parity, uint64_t *out);
/* True when `node` should hold every xorb. */
bool placement_holds_all(const struct placement *placement, uint64_t node);
/* Distinct failure domains of nodes, weighed or not. */
unsigned placement_domains(const struct placement *placement);

#endif
