/* rio.h - all the driver sees of the world: time, chance, disk, peers and the state machine. Production fills it with libuv and RocksDB,
 * a simulator with virtual ones. Nothing below consensus.c asks the system for any of these directly. */
#ifndef CAIRN_REPLICATION_RIO_H
#define CAIRN_REPLICATION_RIO_H

#include "replication/log_store.h"
#include "replication/raft_engine.h"

/* Rules of driver.h that a world may switch off, to see whether its checks notice. */
enum driver_rule {
	RULE_STALE_SENDERS = 1 << 0,
	RULE_VOTE_TERM = 1 << 1,
	RULE_CONFIGURATION_FIRST = 1 << 2,
	RULE_HOLD_WHILE_INSTALLING = 1 << 3,
	RULE_GENERATIONS = 1 << 4,
	RULE_OWN_BARRIER = 1 << 5,
	RULE_MAJORITY_ROUND = 1 << 6,
	RULE_OVERTAKEN = 1 << 7,
	RULE_BEHIND_SNAPSHOT = 1 << 8,
	RULE_VOTERS_READY = 1 << 9,
	RULE_LATE_CONFIGURATION = 1 << 10,
	RULE_COMMITTED_MARK = 1 << 11,
	RULE_HARD_STATE_FIRST = 1 << 12,
	RULE_STANDBY_VOTES = 1 << 13,
	RULE_ALONE_BY_ITSELF = 1 << 14,
	RULE_ALONE_STORED = 1 << 15,
};

struct rio {
	void *context;
	unsigned rules_off; /* enum driver_rule; 0 but in a simulator */
	uint64_t (*now_ms)(void *context);       /* monotonic */
	int64_t (*wall_ms)(void *context);       /* since the epoch: only for the leader's time stamp of an entry */
	uint32_t (*random)(void *context);
	uint64_t (*room_bytes)(void *context);   /* free disk above the reserve */
	/* Durable on return. Elections are rare: the one synchronous write keeps "hard state before messages" true by construction. */
	void (*hard_put)(void *context, uint32_t group, uint64_t term, uint64_t voted_for);
	void (*log_put)(void *context, struct log_job *job);  /* takes the job; answered by driver_stored, in order */
	void (*apply)(void *context, uint32_t group, struct log_entry **entries, size_t count, uint64_t stored); /* takes array and references */
	/* Bytes (log_entry_bytes) of entries given to `apply` that wait for it still. When they grow fewer driver_applied follows. */
	uint64_t (*apply_waiting)(void *context, uint32_t group);
	/* Entries that are on the disk, from `first` on: at most `count`, ending before `bytes_max` is passed but for the first. Returns how many; each is a reference
	 * of the caller's. */
	size_t (*log_read)(void *context, uint32_t group, uint64_t first, size_t count, size_t bytes_max, struct log_entry **out);
	/* May drop. An append's `entries` are borrowed; NULL with a count: they are in the log on disk, if anywhere. */
	void (*send)(void *context, uint32_t group, struct message *message, struct log_entry **entries);
	void (*timer)(void *context, uint32_t group, uint64_t at_ms);
	/* The log of this group is of no use any more: fetch the state of a peer that has applied at least `snapshot`, make it and the snapshot
	 * record durable in place of state and log, then call driver_installed. `snapshot` is borrowed. */
	void (*install)(void *context, uint32_t group, const struct snapshot_record *snapshot);
	/* On a leader: the log of `peer` ends at `last`, though it has acknowledged everything up to `match`. May be NULL. */
	void (*lost)(void *context, uint32_t group, uint64_t peer, uint64_t last, uint64_t match);
};

#endif
