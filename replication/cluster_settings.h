/* cluster_settings.h - what an operator sets for all nodes at once, and the epoch of placement (placement.h), as a noun of the state machine. */
#ifndef CAIRN_REPLICATION_CLUSTER_SETTINGS_H
#define CAIRN_REPLICATION_CLUSTER_SETTINGS_H

#include "replication/cluster_view.h"
#include "replication/namespace.h"
#include "schemas/record.h"

enum { CLUSTER_LEAVE = UINT32_MAX }; /* of a setting that stays as it is */

struct cluster_change {
	uint32_t replication_factor, copies; /* CLUSTER_LEAVE; copies 0: as each node was told */
	uint64_t grace_ms;                   /* UINT64_MAX: stays */
	bool walk;                           /* all nodes look after their copies now */
};
/* [blocks] ERR_INVALID with a sentence: more copies than failure domains, more to wait for than there are. */
int cluster_set(struct namespace *ns, const char *actor, const struct cluster_change *change, struct why *why);

enum { ERASURE_AFTER_MS_DEFAULT = 7 * 24 * 3600 * 1000 };
struct erasure_change {
	uint32_t data, parity; /* CLUSTER_LEAVE; 0: off */
	uint64_t after_ms;     /* UINT64_MAX: stays, or the default when it is turned on */
};
/* [blocks] ERR_INVALID with a sentence: no such code, or more parts than nodes. */
int cluster_set_erasure(struct namespace *ns, const char *actor, const struct erasure_change *change, struct why *why);

/* On the wire and in a node's own records. */
void cluster_settings_pack(struct buffer *out, const struct cluster_settings *settings);
bool cluster_settings_take(struct cursor *cursor, struct cluster_settings *out);

/* Zeros when nothing was set. */
int cluster_settings_get(struct namespace *ns, const struct namespace_snapshot *snapshot, struct cluster_settings *out);
int cluster_settings_read(rocksdb_t *db, struct cluster_settings *out);

#endif
