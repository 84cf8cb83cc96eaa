/* replica_settle.c - an acknowledgement waits until xorbs have enough copies, where not every node takes all of them.
 *
 * The records of this node's log behind `settled` are read again for the xorbs that they name; the nodes that should have each are asked, and get it if they lack it
 * (FRAME_KEEP). A node that does not answer in time is passed over for the next in the order of placement: its copy is one too many once the others have theirs, and
 * goes (replica_walk.c). So an upload needs as many nodes as wanted copies, whichever they are. One thread at a time. */
#include <stdlib.h>

#include "replication/replica_parts.h"
#include "schemas/volume_record.h"

enum { SETTLE_XORBS_MAX = 256, SETTLE_BYTES_MAX = 128 << 20, BATCH_FULL = 2 };

struct unsettled {
	struct hash xorb;
	unsigned copies;  /* found so far */
	size_t asked;     /* of the order, how many */
	uint64_t asks;    /* of whom it is to be asked now; 0: of nobody */
};

struct settle {
	struct replica *replica;
	struct placement placement;
	unsigned needed, self; /* self: copies that this node's own counts for */
	size_t count;
	uint64_t bytes;
	struct unsettled xorbs[SETTLE_XORBS_MAX];
	struct keep_call call;
	struct kept kept;
	size_t places[KEEP_XORBS_MAX]; /* of the xorbs of the call */
};

static int gather(void *context, uint8_t kind, struct span payload)
{
	struct settle *settle = context;
	struct xorb_record record;
	if (kind != VOLUME_XORB || xorb_record_decode(&record, payload) != 0 || !store_has_xorb(settle->replica->config.store, &record.xorb))
		return 0; /* or it was given up, or collected */
	if (settle->count == SETTLE_XORBS_MAX || (settle->count > 0 && settle->bytes + record.body_length > SETTLE_BYTES_MAX))
		return BATCH_FULL;
	settle->xorbs[settle->count++] = (struct unsettled){ .xorb = record.xorb, .copies = settle->self };
	settle->bytes += record.body_length;
	return 0;
}

/* 0: this node does not ask it now. */
static bool may_ask(struct replica *replica, uint64_t node_id, bool shunned_too)
{
	bool may = false;
	pthread_mutex_lock(&replica->lock);
	for (size_t i = 0; i < replica->peers_count; i++) {
		const struct peer *peer = &replica->peers[i];
		if (peer->node.node_id == node_id)
			may = peer->member && peer->connected && (shunned_too || peer->shunned_until_ms < replica_now_ms());
	}
	pthread_mutex_unlock(&replica->lock);
	return may;
}

static void shun(struct replica *replica, uint64_t node_id)
{
	pthread_mutex_lock(&replica->lock);
	for (size_t i = 0; i < replica->peers_count; i++)
		if (replica->peers[i].node.node_id == node_id)
			replica->peers[i].shunned_until_ms = replica_now_ms() + REPLICA_SHUN_MS;
	pthread_mutex_unlock(&replica->lock);
}

/* Chooses whom to ask next of one xorb. False: there is nobody left. */
static bool choose(struct settle *settle, struct unsettled *xorb, bool shunned_too)
{
	uint64_t order[CLUSTER_NODES_MAX];
	size_t holders, count = placement_order(&settle->placement, &xorb->xorb, order, &holders);
	if (settle->placement.eligible)
		count = settle->placement.eligible;
	while (xorb->asked < count) {
		uint64_t node_id = order[xorb->asked++];
		if (node_id == settle->replica->node_id || !may_ask(settle->replica, node_id, shunned_too))
			continue;
		xorb->asks = node_id;
		return true;
	}
	return false;
}

static void ask_node(struct settle *settle, uint64_t node_id)
{
	settle->call.count = 0;
	settle->call.fetch = true;
	for (size_t i = 0; i < settle->count; i++)
		if (settle->xorbs[i].asks == node_id) {
			settle->places[settle->call.count] = i;
			settle->call.xorbs[settle->call.count++] = settle->xorbs[i].xorb;
			settle->xorbs[i].asks = 0;
		}
	if (replica_keep(settle->replica, node_id, &settle->call, REPLICA_KEEP_WAIT_MS, &settle->kept, NULL) != 0) {
		shun(settle->replica, node_id);
		return;
	}
	for (size_t i = 0; i < settle->call.count; i++)
		settle->xorbs[settle->places[i]].copies += settle->kept.lengths[i] > 0;
}

/* One more node for each xorb that needs one. False: all have enough, or nobody is left for those that have not. */
static bool ask_round(struct settle *settle, bool shunned_too)
{
	bool any = false;
	for (size_t i = 0; i < settle->count; i++)
		if (settle->xorbs[i].copies < settle->needed)
			any = choose(settle, &settle->xorbs[i], shunned_too) || any;
	for (size_t i = 0; i < settle->count; i++)
		if (settle->xorbs[i].asks)
			ask_node(settle, settle->xorbs[i].asks);
	return any;
}

static int settle_batch(struct settle *settle, uint64_t until_ms)
{
	struct replica *replica = settle->replica;
	for (int shunned_too = 0; shunned_too < 2; shunned_too++) {
		while (replica_now_ms() < until_ms && !atomic_load(&replica->stop) && ask_round(settle, shunned_too))
			;
		for (size_t i = 0; i < settle->count; i++)
			if (settle->xorbs[i].copies < settle->needed)
				settle->xorbs[i].asked = 0, settle->xorbs[i].copies = settle->self;
	}
	for (size_t i = 0; i < settle->count; i++)
		if (settle->xorbs[i].copies < settle->needed)
			return ERR_BUSY;
	return 0;
}

int replica_settle(struct replica *replica, const struct record_place *end, uint64_t until_ms, struct why *why)
{
	struct settle *settle = malloc(sizeof(*settle));
	if (!settle)
		return why_set(why, ERR_NO_MEMORY, "no memory to ask for copies");
	settle->replica = replica;
	pthread_mutex_lock(&replica->lock);
	struct record_place place = replica->settled;
	pthread_mutex_unlock(&replica->lock);
	int err = 0;
	while (err == 0 && !place_is_reached(&place, end)) {
		bool at_end;
		settle->count = 0;
		settle->bytes = 0;
		pthread_mutex_lock(&replica->lock);
		settle->placement = replica->placement;
		settle->needed = replica_copies_needed(replica);
		settle->self = replica_counts(replica, replica->node_id);
		pthread_mutex_unlock(&replica->lock);
		err = store_read_records(replica->config.store, &place, REPLICA_BATCH_RECORDS, REPLICA_BATCH_BYTES, gather, settle, &at_end, why);
		if (err == BATCH_FULL)
			err = 0;
		if (err == 0)
			err = settle_batch(settle, until_ms);
		if (err)
			break;
		pthread_mutex_lock(&replica->lock);
		if (place_is_reached(&place, &replica->settled))
			replica->settled = place;
		replica->remarked = true;
		pthread_cond_broadcast(&replica->acked);
		pthread_mutex_unlock(&replica->lock);
	}
	free(settle);
	return err;
}
