/* identity.h - who this node is, kept in both of its stores.
 *
 * DESIGN. A node id is minted with an empty disk and never reused: a node that lost part of its disk and came back under its old id could vote
 * twice. So the same record {cluster id, node id} stands in the log and in the state, and a node that finds only one of them, or two
 * that differ, refuses to start. A first start writes the log's record as "founding", then the state's, then the log's as "founded": a crash
 * in between is a first start again, not a lost store. */
#ifndef CAIRN_REPLICATION_IDENTITY_H
#define CAIRN_REPLICATION_IDENTITY_H

#include "replication/cluster_view.h"
#include "replication/peer_channel.h"

#include <rocksdb/c.h>

enum { CLUSTER_ID_BYTES = 16 };

struct identity {
	uint8_t cluster_id[CLUSTER_ID_BYTES];
	uint64_t node_id;
	uint64_t founded; /* enum identity_stage */
};
enum identity_stage { IDENTITY_FOUNDING = 0, IDENTITY_FOUNDED = 1, IDENTITY_JOINING = 2 }; /* the first start is not complete but for FOUNDED */

/* [blocks] Reads and compares both. *founding: this is a first start, `out` is new and stands in the log as founding; call identity_found when
 * the stores hold what a founded node has. */
int identity_open(struct identity *out, bool *founding, rocksdb_t *log, rocksdb_t *state, struct why *why);
/* [blocks] On a first start: this node becomes one of that cluster, and of no other from here on. */
int identity_join(struct identity *identity, const uint8_t cluster_id[CLUSTER_ID_BYTES], rocksdb_t *log, struct why *why);
/* [blocks] This node's key pair for its channels, made when there is none. It never leaves the log's store. */
int identity_keys(struct peer_keys *out, rocksdb_t *log, struct why *why);
/* [blocks] The newest view of the cluster that this node has seen. The state says the same, but what it was not flushed with comes back only once a
 * majority is found, and for that the others must be known. ERR_NOT_FOUND. */
int identity_view_put(const struct cluster_view *view, rocksdb_t *log, struct why *why);
int identity_view_get(struct cluster_view *out, rocksdb_t *log, struct why *why);
/* [blocks] This node becomes another one, in a cluster of its own: new ids, new keys. For a copy of a node's stores, before anybody may start from it: a crash
 * in between leaves two stores of different nodes. */
int identity_renew(struct identity *identity, rocksdb_t *log, rocksdb_t *state, struct why *why);
int identity_found(const struct identity *identity, rocksdb_t *log, rocksdb_t *state, struct why *why);

#endif
