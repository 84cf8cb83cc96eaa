/* log_store.h - the Raft log of all groups in one RocksDB, `raftlog`. Every write is synchronous.
 *
 * Keys, big-endian: u32 group, then
 *   'h'            -> {u64 term, u64 voted_for}
 *   's'            -> snapshot record {u64 index, u64 term, u64 configuration_index, encoded configuration}
 *   'i'            -> install intent {u64 index}: the state of this snapshot is staged and must replace the group's (install.h)
 *   'e' u64 index  -> {u8 format, u8 type, u64 term, payload}
 * and one identity record (identity.h) under group 0xffffffff. Truncation and compaction are range deletions in the same batch as the
 * new entries or the snapshot record that justify them.
 *
 * RocksDB's recovery stops silently at the first bad record of its write-ahead log, that is, it may forget entries that were acknowledged. The
 * state machine's store therefore remembers a durable mark (applier.h) that the log is held against at start.
 *
 * Threads: loading happens before threads start; after that writes are serialised here. */
#ifndef CAIRN_REPLICATION_LOG_STORE_H
#define CAIRN_REPLICATION_LOG_STORE_H

#include "replication/log_entry.h"
#include "schemas/error.h"

#include <rocksdb/c.h>

struct log_store;

struct snapshot_record {
	uint64_t index, term, configuration_index;
	struct buffer configuration; /* encoded */
};

/* A unit of work for the disk. Parts that are absent are zero. */
struct log_job {
	struct log_job *next;
	uint32_t group;
	uint64_t generation;         /* of the driver when the job was made: completions of older ones are not reported */
	bool truncate;               /* first drop everything from first_index on */
	uint64_t first_index;
	struct log_entry **entries;  /* owned references */
	size_t entries_count;
	bool install;                /* the whole log gives way to `snapshot`, whose state is staged: see install.h */
	bool has_snapshot;
	struct snapshot_record snapshot;
	uint64_t compact_through;    /* drop entries up to here */
};
void log_job_free(struct log_job *job);

/* [blocks] */
int log_store_open(struct log_store **out, const char *dir, struct why *why);
void log_store_close(struct log_store *store);
rocksdb_t *log_store_db(struct log_store *store);

/* [blocks] One synchronous write of all jobs. ERR_NO_SPACE or ERR_IO: nothing may be assumed written, and the store cannot be used again. */
int log_store_write(struct log_store *store, const struct log_job *jobs, struct why *why);
/* [blocks] */
int log_store_put_hard_state(struct log_store *store, uint32_t group, uint64_t term, uint64_t voted_for, struct why *why);
/* Index of the oldest entry, UINT64_MAX when there is none. */
uint64_t log_store_first(struct log_store *store, uint32_t group);
uint64_t log_store_syncs(const struct log_store *store);
/* [blocks] Entries from `first` on, at most `count`, ending before `bytes_max` is passed but for the first. Returns how many; each is a reference of the
 * caller's. 0: they are not here. */
size_t log_store_read(struct log_store *store, uint32_t group, uint64_t first, size_t count, size_t bytes_max, struct log_entry **out);
/* [blocks] 1 when an installation was begun and not finished; 0; ERR_IO. */
int log_store_installing(struct log_store *store, uint32_t group, struct why *why);
int log_store_installed(struct log_store *store, uint32_t group, struct why *why);

/* What a group finds at start. */
struct log_loaded {
	bool found; /* has a hard state: this group was bootstrapped */
	uint64_t term, voted_for;
	struct snapshot_record snapshot;
	uint64_t first_index, last_index; /* last = first - 1: empty */
	uint64_t *terms;                  /* of every entry */
	uint32_t *lengths;                /* payload bytes of every entry */
	struct log_entry **configurations;
	size_t configurations_count;
	struct log_entry **pending;       /* entries above `applied`, with payload; the last ones, where they are more than LOG_HELD_BYTES_MAX */
	size_t pending_count, pending_bytes;
};
/* [blocks] ERR_CORRUPT names what is wrong: a hole, a record that does not parse. */
int log_store_load(struct log_store *store, uint32_t group, uint64_t applied, struct log_loaded *out, struct why *why);
void log_loaded_fini(struct log_loaded *loaded);

#endif
