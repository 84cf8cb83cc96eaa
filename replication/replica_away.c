/* replica_away.c - says which nodes are away: the leader does, when there are more nodes than copies. Then others take over what such a node should hold. */
#include <stdio.h>
#include <stdlib.h>

#include "replication/cluster_node.h"
#include "replication/replica_parts.h"

static bool leads(struct replica *replica)
{
	struct cluster_status *status = malloc(sizeof(*status));
	bool leads = status && consensus_cluster_status(replica->config.consensus, status, NULL) == 0 &&
		status->groups[0].leader == replica->node_id;
	free(status);
	return leads;
}

void replica_say_who_is_away(struct replica *replica)
{
	uint64_t away = 0, back = 0, now = replica_now_ms();
	pthread_mutex_lock(&replica->lock);
	uint64_t grace_ms = replica->settings.grace_ms ? replica->settings.grace_ms : NODE_GRACE_MS_DEFAULT;
	for (size_t i = 0; i < replica->peers_count; i++) {
		const struct peer *peer = &replica->peers[i];
		if (peer->member && peer->connected && peer->node.away)
			back = peer->node.node_id;
		else if (peer->member && !peer->connected && !peer->node.away && now - peer->seen_at_ms > grace_ms && replica->members > placement_least(&replica->placement))
			away = peer->node.node_id;
	}
	pthread_mutex_unlock(&replica->lock);
	if ((!away && !back) || !replica->config.ns || !leads(replica))
		return;
	if (away && cluster_node_place(replica->config.ns, "", &away, 1, NODE_AWAY, NULL) == 0)
		fprintf(stderr, "cairn: replica: node %016llx is away for long: others take over what it held\n", (unsigned long long)away);
	if (back)
		cluster_node_place(replica->config.ns, "", &back, 1, NODE_BACK, NULL);
}
