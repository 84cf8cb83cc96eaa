/* cluster_node.h - the nodes of the cluster and the tokens that let new ones in, as nouns of the state machine.
 *
 * DESIGN. A record says which role a node should have; the leaders of the Raft groups change their configurations one step at a time until that
 * is so (membership.h). Thus adding, promoting and removing are commands like all others, and a crash half-way loses nothing. A removed node's
 * record stays, so that its id is never let in again.
 *
 * A join token is good for one node and JOIN_TOKEN_MS. Its text holds what a new node needs to find and trust the cluster: the
 * cluster's id, addresses and public keys of nodes, and a secret, of which the state keeps a hash. */
#ifndef CAIRN_REPLICATION_CLUSTER_NODE_H
#define CAIRN_REPLICATION_CLUSTER_NODE_H

#include "replication/cluster_view.h"
#include "replication/namespace.h"

enum {
	JOIN_TOKEN_ID_BYTES = 16,
	JOIN_TOKEN_SECRET_BYTES = 32,
	JOIN_TOKEN_TEXT_BYTES_MAX = 4096,
	JOIN_TOKEN_NODES_MAX = 5,
	JOIN_TOKENS_MAX = 256,                   /* not used yet */
	JOIN_TOKEN_MS = 24 * 60 * 60 * 1000,
	JOIN_CLUSTER_ID_BYTES = 16,
};

/* [blocks] A node tells how it is reached. Its role is not touched; the first one of all becomes a voter. ERR_DENIED: it was removed. */
int cluster_node_announce(struct namespace *ns, const struct cluster_node *node, struct why *why);
/* [blocks] Tells at which URL clients reach a node, if that is not known yet; "": at none. A command of its own, so that a cluster in which nobody says it has nothing that an
 * older version does not know. ERR_INVALID, ERR_NOT_FOUND. */
int cluster_node_url(struct namespace *ns, uint64_t node_id, const char *url, struct why *why);
/* [blocks] Gives nodes another role, all or none. ERR_NOT_FOUND; ERR_CONFLICT when voters would leave that cannot (membership_may_leave), or a removed one would come back. */
int cluster_node_roles(struct namespace *ns, const char *actor, const uint64_t *ids, size_t count, enum node_role role, struct why *why);
enum node_place { NODE_DRAINED = 1, NODE_NOT_DRAINED = 2, NODE_AWAY = 3, NODE_BACK = 4 };
/* [blocks] Says whether nodes should hold bytes: what an operator wants (drained), and what is so (away). ERR_NOT_FOUND; ERR_CONFLICT: removed. */
int cluster_node_place(struct namespace *ns, const char *actor, const uint64_t *ids, size_t count, enum node_place place, struct why *why);
/* [blocks] `text` gets the token, and nothing else does. */
int join_token_create(struct namespace *ns, const char *actor, enum node_role role, char text[JOIN_TOKEN_TEXT_BYTES_MAX], struct why *why);

struct join_token {
	uint8_t cluster_id[JOIN_CLUSTER_ID_BYTES], id[JOIN_TOKEN_ID_BYTES], secret[JOIN_TOKEN_SECRET_BYTES];
	struct cluster_node nodes[JOIN_TOKEN_NODES_MAX]; /* id, key and address */
	size_t nodes_count;
};
int join_token_encode(char text[JOIN_TOKEN_TEXT_BYTES_MAX], const struct join_token *token);
/* 0, ERR_INVALID. Blanks around it are fine. */
int join_token_decode(struct join_token *out, const char *text);
/* What its owner proves to have, and what the state keeps. */
void join_token_proof(uint8_t out[JOIN_TOKEN_SECRET_BYTES], const uint8_t secret[JOIN_TOKEN_SECRET_BYTES]);

/* ---- what consensus asks the state machine for: see struct state_machine ---- */
int cluster_view_read(void *context, rocksdb_t *db, struct cluster_view *out);
bool join_token_find(void *context, rocksdb_t *db, const uint8_t *token_id, uint8_t proof[JOIN_TOKEN_SECRET_BYTES]);
int cluster_node_join_command(void *context, const struct cluster_node *node, const uint8_t *token_id, const struct command_id *id, struct buffer *out);

/* ---- recovery (recover.h): a node goes on without those that are lost ---- */
/* The command, for GROUP_CLUSTER: `node_id` becomes a voter and every other node a removed one; 0: all are forgotten, this is a copy in a cluster of its own.
 * The cluster gets another secret, and no join token made before is worth anything. */
int cluster_node_forsake_command(uint64_t node_id, const uint8_t secret[CLUSTER_SECRET_BYTES], const struct command_id *id, struct buffer *out);

/* ---- on the wire and in a node's own records ---- */
void cluster_node_pack(struct buffer *out, const struct cluster_node *node);
bool cluster_node_take(struct cursor *cursor, struct cluster_node *out);
void cluster_view_pack(struct buffer *out, const struct cluster_view *view);
bool cluster_view_take(struct cursor *cursor, struct cluster_view *out);

#endif
