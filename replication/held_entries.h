/* held_entries.h - the end of a group's log in memory, and how far the applier was given it.
 *
 * DESIGN. Three marks go along the log: up to `handed` the applier has it, up to `committed` it may have it, and behind `cached` its entries are here. What
 * is committed is given to the applier as far as it keeps up: `bytes_max` may wait for it. What more there is stays on the disk and is read back when there
 * is room again, so `handed` may lie before `cached`. Entries are here until they are committed and handed; when they take more than `bytes_max`, those on
 * the disk that nobody waits for are dropped.
 *
 * Used by one thread at a time (the driver's). */
#ifndef CAIRN_REPLICATION_HELD_ENTRIES_H
#define CAIRN_REPLICATION_HELD_ENTRIES_H

#include "replication/rio.h"

struct held_entries {
	uint32_t group;
	const struct rio *rio;
	struct log_entry **entries; /* (cached, last], by index - cached - 1 */
	size_t count, capacity, bytes;
	uint64_t handed;            /* last index given to the applier, or found applied */
	uint64_t cached;            /* not below it */
	uint64_t committed;         /* last index that is known to be committed, and was looked at as such; not below `handed` */
	struct log_entry **configurations; /* behind it, in order */
	size_t configurations_count;
	size_t in_flight;           /* entries that somebody waits for, and that are not committed */
	uint64_t bytes_max;         /* LOG_HELD_BYTES_MAX */
};

/* Takes over what is not applied. */
void held_open(struct held_entries *held, uint32_t group, const struct rio *rio, struct log_loaded *loaded, uint64_t applied);
void held_close(struct held_entries *held);

/* The next entry of the log, behind `handed`. Keeps a reference. */
void held_append(struct held_entries *held, struct log_entry *entry);
/* Entries from `from` on were replaced. What was replaced was never committed: its proposals go back to their queues, from where they reach the new leader. */
void held_truncate(struct held_entries *held, uint64_t from);
/* A state is to take the place of the log: what the applier was given nothing of yet it never gets. Proposals go back, too: the leader knows by their ids
 * that it has them. */
void held_drop(struct held_entries *held);
/* The state is in place, and ahead of the log perhaps. */
void held_installed(struct held_entries *held, uint64_t applied);

/* Notes that the log is committed up to `commit`, as far as it is here. The last configuration that came to be, a reference of the caller's; NULL: none did. */
struct log_entry *held_commit(struct held_entries *held, uint64_t commit);
/* Gives the applier what it has room for, and makes room here. `stored`: how far the log is on the disk. */
void held_hand(struct held_entries *held, uint64_t stored);
/* True: not all that is committed was given to the applier. */
bool held_is_behind(const struct held_entries *held);
/* The entries behind `previous`, which is not below `cached`, borrowed; NULL: fewer than `count` are here. */
struct log_entry **held_behind(const struct held_entries *held, uint64_t previous, size_t count);

#endif
