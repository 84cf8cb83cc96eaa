/* state_digest.h - one number for a group's state: equal on two nodes that have applied the same log to it. For tests and for operators in doubt. */
#ifndef CAIRN_REPLICATION_STATE_DIGEST_H
#define CAIRN_REPLICATION_STATE_DIGEST_H

#include "replication/namespace.h"

struct state_digest {
	uint64_t applied, pairs;
	uint8_t digest[16]; /* XXH3-128 of every key and value but the group's own record, in order */
};
/* [blocks] for as long as reading the state takes. 0, ERR_IO, ERR_CORRUPT (of the group's own record), ERR_NO_MEMORY; like every read of names it stops a node
 * of several that is damaged. */
int state_digest(struct namespace *ns, uint32_t group, struct state_digest *out);

#endif
