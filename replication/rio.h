/* rio.h - all the driver sees of the world: time, chance, disk, peers and the state machine. Production fills it with libuv and RocksDB,
 * a simulator with virtual ones. Nothing below consensus.c asks the system for any of these directly. */
#ifndef CAIRN_REPLICATION_RIO_H
#define CAIRN_REPLICATION_RIO_H

#include "replication/log_store.h"
#include "replication/raft_engine.h"

struct rio {
	void *context;
	uint64_t (*now_ms)(void *context);       /* monotonic */
	int64_t (*wall_ms)(void *context);       /* since the epoch: only for the leader's time stamp of an entry */
	uint32_t (*random)(void *context);
	uint64_t (*room_bytes)(void *context);   /* free disk above the reserve */
	/* Durable on return. Elections are rare: the one synchronous write keeps "hard state before messages" true by construction. */
	void (*hard_put)(void *context, uint32_t group, uint64_t term, uint64_t voted_for);
	void (*log_put)(void *context, struct log_job *job);  /* takes the job; answered by driver_stored, in order */
	void (*apply)(void *context, uint32_t group, struct log_entry **entries, size_t count, uint64_t stored); /* takes array and references */
	/* May drop. An append's `entries` are borrowed; NULL with a count: they are in the log on disk, if anywhere. */
	void (*send)(void *context, uint32_t group, struct message *message, struct log_entry **entries);
	void (*timer)(void *context, uint32_t group, uint64_t at_ms);
	/* The log of this group is of no use any more: fetch the state of a peer that has applied at least `snapshot`, make it and the snapshot
	 * record durable in place of state and log, then call driver_installed. `snapshot` is borrowed. */
	void (*install)(void *context, uint32_t group, const struct snapshot_record *snapshot);
};

#endif
