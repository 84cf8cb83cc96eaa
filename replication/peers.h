/* peers.h - the connections between this node and the other members, on the meta loop.
 *
 * DESIGN. Each pair of nodes has one connection per direction, opened by the sender, closed and opened again with back-off by it alone; what arrives
 * on it flows one way. Frames are queued per peer up to PEER_QUEUE_BYTES_MAX and dropped beyond, and whenever there is no
 * connection: everything that is sent here is repeated by who sends it. A connection on which nothing is acknowledged for PEER_DEAD_MS is given up.
 * Its other end may never hear of that: the first record of the next one closes it, and if none comes, TCP's keepalive finds it out.
 *
 * The first frame of a connection tells how its opener is reached, so a member that has moved, or that joined while this node was away, is called back
 * before its record has come.
 *
 * A stranger on the port costs at most one of PEER_GREETINGS_MAX places for PEER_GREETING_MS, a fixed number of bytes and two multiplications on a
 * curve, at most PEER_GREETINGS_PER_S a second, and gets no answer. Connections for bulk and for joining are handed out after
 * their handshake, as blocking streams, to threads of their own.
 *
 * Threads: everything on the loop's thread. */
#ifndef CAIRN_REPLICATION_PEERS_H
#define CAIRN_REPLICATION_PEERS_H

#include "replication/cluster_view.h"
#include "replication/peer_stream.h"

#include <uv.h>

enum {
	PEER_QUEUE_BYTES_MAX = 16 << 20,
	PEER_GREETINGS_MAX = 64,          /* connections whose handshake is not done */
	PEER_GREETINGS_PER_ADDRESS_MAX = 16,
	PEER_GREETINGS_PER_S = 200,
	PEER_GREETING_MS = 5 * 1000,
	PEER_INCOMING_MAX = 4 * CLUSTER_NODES_MAX,
	PEER_DEAD_MS = 5 * 1000,
	PEER_KEEPALIVE_S = 30,            /* of silence on an incoming connection until its other end is asked whether it still has it */
	PEER_TWIN_MS = 3 * 1000,          /* a node that spoke this recently is not replaced by another start of it */
	PEER_RETRY_MS_MIN = 50,
	PEER_RETRY_MS_MAX = 2 * 1000,
	PEER_TICK_MS = 200,
};

struct peers;

struct peers_calls {
	void *context;
	void (*frame)(void *context, uint64_t peer, const struct peer_frame *frame);
	/* A bulk or join connection. Takes the stream; must not block. */
	void (*stream)(void *context, struct peer_stream *stream, const struct peer_hello *hello);
	void (*removed)(void *context); /* another member says that this node was removed */
	/* What a join token's proof is made with. False: no such token. */
	bool (*token_secret)(void *context, const uint8_t token_id[PEER_TOKEN_ID_BYTES], uint8_t out[PEER_SECRET_BYTES]);
};
struct peers_config {
	const char *listen; /* "host:port", numeric */
	uint64_t node_id;
	uint8_t cluster_id[PEER_CLUSTER_ID_BYTES];
	struct peer_keys keys;
	uint32_t feature_level;     /* what this program knows */
	uint32_t feature_level_min; /* what the cluster is at */
	struct peers_calls calls;
};

/* Before the loop runs. */
int peers_open(struct peers **out, uv_loop_t *loop, const struct peers_config *config, struct why *why);
/* Closes all handles; the loop must run once more. Memory goes with peers_free, after that. */
void peers_close(struct peers *peers);
void peers_free(struct peers *peers);
/* Any thread, after open. */
unsigned peers_port(const struct peers *peers);

/* How this node is reached, "host:port"; before the first view. */
void peers_set_address(struct peers *peers, const char *address);
/* Who belongs to the cluster now; copied. */
void peers_set_view(struct peers *peers, const struct cluster_view *view);
/* The cluster is at that feature level now: callers that know less are refused. */
void peers_set_level(struct peers *peers, uint32_t feature_level);
/* Queues a frame; false: dropped. */
bool peers_send(struct peers *peers, uint64_t peer, uint8_t type, uint32_t group, struct span body);

struct peer_state {
	bool connected;
	uint32_t feature_level; /* what its program knows, as it said when it called; 0: it has not */
	char trouble[128];      /* why it is not connected, as far as known */
};
void peers_state(const struct peers *peers, uint64_t peer, struct peer_state *out);

#endif
