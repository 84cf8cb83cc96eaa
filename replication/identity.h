/* identity.h - who this node is, kept in both of its stores.
 *
 * DESIGN. A node id is minted with an empty disk and never reused: a node that lost part of its disk and came back under its old id could vote
 * twice. So the same record {cluster id, node id} stands in the log and in the state, and a node that finds only one of them, or two
 * that differ, refuses to start. A first start writes the log's record as "founding", then the state's, then the log's as "founded": a crash
 * in between is a first start again, not a lost store. */
#ifndef CAIRN_REPLICATION_IDENTITY_H
#define CAIRN_REPLICATION_IDENTITY_H

#include "schemas/error.h"

#include <rocksdb/c.h>
#include <stdbool.h>
#include <stdint.h>

enum { CLUSTER_ID_BYTES = 16 };

struct identity {
	uint8_t cluster_id[CLUSTER_ID_BYTES];
	uint64_t node_id;
	uint64_t founded; /* 0 while the first start is not complete */
};

/* [blocks] Reads and compares both. *founding: this is a first start, `out` is new and stands in the log as founding; call identity_found when
 * the stores hold what a founded node has. */
int identity_open(struct identity *out, bool *founding, rocksdb_t *log, rocksdb_t *state, struct why *why);
int identity_found(const struct identity *identity, rocksdb_t *log, rocksdb_t *state, struct why *why);

#endif
