/* cluster_view.h - who belongs to the cluster, as a node knows it: what the transport and the membership rules need of the replicated state.
 *
 * Plain data. A new node gets its first view from the node that lets it in; later ones are read from the state machine (struct state_machine). */
#ifndef CAIRN_REPLICATION_CLUSTER_VIEW_H
#define CAIRN_REPLICATION_CLUSTER_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MEMBERS_MAX = 64,              /* removed ones included, until they are forgotten */
	MEMBER_ADDRESS_BYTES_MAX = 256, /* "host:port" */
	MEMBER_NAME_BYTES_MAX = 64,
	CLUSTER_SECRET_BYTES = 32,
	NODE_KEY_BYTES = 32,
};

enum member_role {
	MEMBER_LEARNER = 1, /* gets the log, does not vote */
	MEMBER_VOTER = 2,
	MEMBER_REMOVED = 3, /* its id is never let in again */
};

struct member {
	uint64_t node_id;
	uint8_t public_key[NODE_KEY_BYTES];
	char address[MEMBER_ADDRESS_BYTES_MAX]; /* of its port for peers */
	char name[MEMBER_NAME_BYTES_MAX];
	char url[MEMBER_ADDRESS_BYTES_MAX];     /* how clients reach it; "" when not told */
	enum member_role role;                  /* wanted; the groups' leaders make it so, one step at a time */
	int64_t joined_ms;
};

struct cluster_view {
	bool has_secret; /* false: this node never met another */
	uint8_t secret[CLUSTER_SECRET_BYTES];
	struct member members[MEMBERS_MAX];
	size_t count;
};

static inline const struct member *cluster_view_find(const struct cluster_view *view, uint64_t node_id)
{
	for (size_t i = 0; i < view->count; i++)
		if (view->members[i].node_id == node_id)
			return &view->members[i];
	return NULL;
}

#endif
