/* state_digest.h - one number for a group's state: equal on two nodes that have applied the same log to it. For tests and for operators in doubt. */
#ifndef CAIRN_REPLICATION_STATE_DIGEST_H
#define CAIRN_REPLICATION_STATE_DIGEST_H

#include "schemas/error.h"

#include <rocksdb/c.h>
#include <stdint.h>

struct state_digest {
	uint64_t applied, pairs;
	uint8_t digest[16]; /* XXH3-128 of every key and value but the group's own record, in order */
};
/* [blocks] for as long as reading the state takes. ERR_IO. */
int state_digest(rocksdb_t *db, uint32_t group, struct state_digest *out);

#endif
