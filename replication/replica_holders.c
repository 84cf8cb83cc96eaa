/* replica_holders.c - which node clients are sent to for bytes that are not here.
 *
 * Nobody keeps a list of what others hold: nodes that should have a xorb by placement, are reached and have a URL are asked (FRAME_KEEP, without fetching), so whoever is
 * named answered just now. One that does not answer in time is shunned, and nothing is asked of it for a while. */
#include <stdio.h>
#include <stdlib.h>

#include "replication/replica_parts.h"

/* Under the lock. NULL: nobody is sent there. */
static const struct peer *usable_peer(const struct replica *replica, uint64_t node_id)
{
	for (size_t i = 0; i < replica->peers_count; i++) {
		const struct peer *peer = &replica->peers[i];
		if (peer->node.node_id == node_id && peer->member && peer->connected && peer->node.node_url[0] && peer->shunned_until_ms < replica_now_ms())
			return peer;
	}
	return NULL;
}

static bool is_usable(struct replica *replica, uint64_t node_id)
{
	pthread_mutex_lock(&replica->lock);
	bool usable = usable_peer(replica, node_id) != NULL;
	pthread_mutex_unlock(&replica->lock);
	return usable;
}

bool replica_node_url(struct replica *replica, uint64_t node_id, char out[NODE_ADDRESS_BYTES_MAX])
{
	pthread_mutex_lock(&replica->lock);
	const struct peer *peer = usable_peer(replica, node_id);
	snprintf(out, NODE_ADDRESS_BYTES_MAX, "%s", peer ? peer->node.node_url : "");
	pthread_mutex_unlock(&replica->lock);
	return out[0] != 0;
}

bool replica_has_urls(struct replica *replica)
{
	bool has = false;
	pthread_mutex_lock(&replica->lock);
	for (size_t i = 0; i < replica->peers_count && !has; i++)
		has = usable_peer(replica, replica->peers[i].node.node_id) != NULL;
	pthread_mutex_unlock(&replica->lock);
	return has;
}

struct asking {
	struct replica *replica;
	struct placement placement;
	struct keep_call call;
	struct kept kept;
	size_t places[KEEP_XORBS_MAX]; /* of call.xorbs among those that are looked for */
};

/* NULL: no memory. */
static struct asking *asking_open(struct replica *replica)
{
	struct asking *asking = malloc(sizeof(*asking));
	if (!asking)
		return NULL;
	asking->replica = replica;
	asking->call.fetch = asking->call.aged = false;
	asking->call.count = 0;
	replica_placement(replica, &asking->placement);
	return asking;
}

/* Asks a node about the xorbs of the call. False: it did not answer. */
static bool ask(struct asking *asking, uint64_t node_id)
{
	if (replica_keep(asking->replica, node_id, &asking->call, REPLICA_HOLDER_WAIT_MS, &asking->kept, NULL) == 0)
		return true;
	replica_shun(asking->replica, node_id);
	return false;
}

/* The k-th node that should have a xorb; 0: there are not so many, or it is no use. */
static uint64_t candidate(const struct asking *asking, const struct hash *xorb, size_t k)
{
	uint64_t order[CLUSTER_NODES_MAX];
	size_t holders;
	placement_order(&asking->placement, xorb, placement_most(&asking->placement), order, &holders);
	if (k >= holders || order[k] == asking->replica->node_id || !is_usable(asking->replica, order[k]))
		return 0;
	return order[k];
}

/* Asks `node_id` about all xorbs from `first` on that are to be asked of it. */
static void ask_one(struct asking *asking, uint64_t node_id, const struct hash *xorbs, uint64_t *asks, size_t first, size_t count, uint64_t *holders)
{
	for (size_t at = first; at < count;) {
		asking->call.count = 0;
		for (; at < count && asking->call.count < KEEP_XORBS_MAX; at++)
			if (asks[at] == node_id) {
				asks[at] = 0;
				asking->places[asking->call.count] = at;
				asking->call.xorbs[asking->call.count++] = xorbs[at];
			}
		bool answers = asking->call.count > 0 && is_usable(asking->replica, node_id) && ask(asking, node_id);
		for (size_t i = 0; answers && i < asking->call.count; i++)
			if (asking->kept.lengths[i] > 0)
				holders[asking->places[i]] = node_id;
	}
}

void replica_holders(struct replica *replica, const struct hash *xorbs, size_t count, uint64_t *holders)
{
	struct asking *asking = asking_open(replica);
	uint64_t *asks = calloc(count ? count : 1, sizeof(*asks));
	size_t found = 0;
	memset(holders, 0, count * sizeof(*holders));
	for (size_t k = 0; asking && asks && k < placement_most(&asking->placement); k++) {
		for (size_t i = 0; i < count; i++)
			asks[i] = holders[i] || store_has_xorb(replica->config.store, &xorbs[i]) ? 0 : candidate(asking, &xorbs[i], k);
		for (size_t i = 0; i < count; i++)
			if (asks[i])
				ask_one(asking, asks[i], xorbs, asks, i, count, holders);
	}
	free(asks);
	free(asking);
	for (size_t i = 0; i < count; i++)
		found += holders[i] != 0;
	pthread_mutex_lock(&replica->lock);
	replica->status.linked_xorbs += found;
	pthread_mutex_unlock(&replica->lock);
}

static bool should_have_all(const struct asking *asking, uint64_t node_id, const struct hash *xorbs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!placement_holds(&asking->placement, &xorbs[i], placement_most(&asking->placement), node_id))
			return false;
	return true;
}

static bool has_all(struct asking *asking, uint64_t node_id, const struct hash *xorbs, size_t count)
{
	asking->call.count = count;
	memcpy(asking->call.xorbs, xorbs, count * sizeof(*xorbs));
	if (!ask(asking, node_id))
		return false;
	for (size_t i = 0; i < count; i++)
		if (asking->kept.lengths[i] == 0)
			return false;
	return true;
}

uint64_t replica_holder_of_all(struct replica *replica, const struct hash *xorbs, size_t count)
{
	uint64_t found = 0;
	struct asking *asking = count > 0 && count <= KEEP_XORBS_MAX ? asking_open(replica) : NULL;
	for (size_t k = 0; asking && !found && k < placement_most(&asking->placement); k++) {
		uint64_t node_id = candidate(asking, &xorbs[0], k);
		if (node_id && should_have_all(asking, node_id, xorbs, count) && has_all(asking, node_id, xorbs, count))
			found = node_id;
	}
	free(asking);
	pthread_mutex_lock(&replica->lock);
	replica->status.linked_files += found != 0;
	pthread_mutex_unlock(&replica->lock);
	return found;
}
