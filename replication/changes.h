/* changes.h - what was applied, in order, for those who follow it: webhooks, notifications, derived facts.
 *
 * DESIGN. Each group keeps a stream of small records, numbered from 1 without gaps. An apply function appends to it in the batch of the change itself, so
 * the stream is exactly what happened. A follower remembers, per group, the number of the last change it is done with, here or in a store of
 * its own, and reads on from there: at least once, in order, over restarts and from any node.
 *
 * The newest CHANGES_KEPT of each group stay. Who fell behind further is told so (ERR_RANGE) and begins again from the state itself. What a change was about
 * may be gone or different by the time it is read: a follower looks at the state as it is.
 *
 * Threads: any; nothing here waits but changes_wait and changes_position_put. */
#ifndef CAIRN_REPLICATION_CHANGES_H
#define CAIRN_REPLICATION_CHANGES_H

#include "replication/namespace.h"

enum { CHANGES_KEPT = 1 << 18, FOLLOWER_NAME_BYTES_MAX = 32 };

struct change {
	uint64_t number;               /* place in the stream of its group */
	uint32_t type;                 /* enum command_type: what happened */
	int64_t when_ms;
	char actor[NAME_BYTES_MAX + 1];
	struct entity_id repo;         /* zero: of no repository */
	uint32_t repo_type;            /* with `owner` and `name`: of what has a name in group 0, as it was named then */
	char owner[NAME_BYTES_MAX + 1], name[NAME_BYTES_MAX + 1];
	char old_owner[NAME_BYTES_MAX + 1], old_name[NAME_BYTES_MAX + 1]; /* of what moved: its former name */
	char ref[REF_BYTES_MAX + 1];   /* refs: one change for each ref of a batch */
	struct oid old_oid, new_oid;   /* zero: absent */
	uint64_t item, event;          /* by type: numbers within the repository, such as discussion and event */
	uint32_t action;               /* by type */
};

/* Calls `each` for the changes of a group behind number `after`, in order; non-zero stops and is returned. ERR_RANGE: the next one is no longer kept. */
int changes_read(struct namespace *ns, uint32_t group, uint64_t after, int (*each)(void *context, const struct change *change), void *context);
/* Number of the newest change; 0: none yet. */
int changes_last(struct namespace *ns, uint32_t group, uint64_t *number);

/* [blocks] until namespace_version(ns) is not `version`, changes_wake, or `timeout_ms`. Read the version before the changes. */
void changes_wait(struct namespace *ns, uint64_t version, int64_t timeout_ms);
/* Wakes whoever waits: how a follower is told to stop. */
void changes_wake(struct namespace *ns);

/* Positions of a follower that has no store of its own, one number per group; zeros when it is new. */
struct changes_position {
	uint64_t cluster, repos;       /* GROUP_CLUSTER, GROUP_REPOS */
};
int changes_position_get(struct namespace *ns, const char *follower, struct changes_position *out);
/* [blocks] A change itself, but none that is seen in the stream. */
int changes_position_put(struct namespace *ns, const char *follower, const struct changes_position *position, struct why *why);

#endif
