/* applier.h - the one thread that changes the state machine's store, `meta`.
 *
 * DESIGN. The store runs without a write-ahead log of its own: the Raft log is one already. Every batch carries the changes of whole entries
 * and, per group, the applied record {index, term, leader time, durable mark}, so that after a crash the store is some prefix of the log and says
 * which; entries above it are applied again. The durable mark is the highest log index known to be synced when the batch was made: a
 * log that ends below it has lost acknowledged entries.
 *
 * An error of the store, an unreadable entry or a command this node does not know stops the node: skipping it would be divergence.
 *
 * Threads: applier_put from the meta loop; reads of the database from anywhere. */
#ifndef CAIRN_REPLICATION_APPLIER_H
#define CAIRN_REPLICATION_APPLIER_H

#include "replication/consensus.h"
#include "replication/keys.h"
#include "replication/log_store.h"

#ifndef CAIRN_FEATURE_LEVEL
#define CAIRN_FEATURE_LEVEL 1 /* tests make a program of the next one: cairnd_next in CMakeLists.txt */
#endif
enum {
	GROUPS_MAX = 2,
	FEATURE_LEVEL_KNOWN = CAIRN_FEATURE_LEVEL, /* the highest level whose commands this build can apply */
};

struct applied_record {
	uint64_t index, term;
	int64_t leader_ms;      /* never goes back */
	uint64_t durable_mark;
	uint64_t feature_level;
	uint64_t ids_dropped_hour;
};

/* Holds what is applied against the log that was found beside it. 0, ERR_CORRUPT with a sentence. */
int applied_record_check(const struct applied_record *record, uint32_t group, const struct log_loaded *loaded, struct why *why);

struct applier;

struct applier_calls {
	void *context;
	void (*advanced)(void *context); /* after each batch, on the applier's thread */
	bool (*has_room)(void *context); /* any thread */
	void (*installed)(void *context, uint32_t group); /* what applier_install asked for is done; applier thread */
};
/* [blocks] Opens the store and reads each group's record. */
int applier_open(struct applier **out, const char *dir, uint64_t cache_bytes, const struct state_machine *machine, const struct applier_calls *calls,
	struct why *why);
/* Starts applying. */
int applier_start(struct applier *applier, struct why *why);
/* Applies what is queued, flushes if there is room (else the log is applied again at the next start), closes. */
void applier_close(struct applier *applier);

/* Takes the array and the references. */
void applier_put(struct applier *applier, uint32_t group, struct log_entry **entries, size_t count, uint64_t stored);
/* Bytes (log_entry_bytes) of what was put and is not applied. Any thread; fewer before calls.advanced tells that more is applied. */
uint64_t applier_waiting(const struct applier *applier, uint32_t group);

/* Behind what is queued, replaces everything of a group by the table files in `dir` (install.h). They stay there. */
void applier_install(struct applier *applier, uint32_t group, const char *dir);
/* [blocks] The same before the applier is started. */
int applier_install_now(struct applier *applier, uint32_t group, const char *dir, struct why *why);
/* The key under which a group's record stands, and how a copied one is made this node's: its durable mark is what this node's log begins with. */
void applier_record_key(struct key *key, uint32_t group);
int applier_record_restate(struct span value, uint64_t durable_mark, struct buffer *out, uint64_t *applied);

rocksdb_t *applier_db(struct applier *applier);
/* As found at open. */
const struct applied_record *applier_record(const struct applier *applier, uint32_t group);
uint64_t applier_applied(const struct applier *applier, uint32_t group); /* atomic */
/* Of the last entry that may have changed what state_machine.cluster reads, 0: none since the start. Before applier_applied reaches it. Atomic. */
uint64_t applier_cluster_changed(const struct applier *applier);
uint64_t applier_commands(const struct applier *applier);
int64_t applier_leader_ms(const struct applier *applier, uint32_t group);  /* atomic */
uint64_t applier_ids_dropped_hour(const struct applier *applier, uint32_t group); /* atomic */
uint32_t applier_group_level(const struct applier *applier, uint32_t group); /* of one group; atomic */
uint32_t applier_feature_level(const struct applier *applier); /* what the cluster is at: that of the group that has come furthest. Atomic */
/* [blocks] Everything applied so far is on disk when it returns. ERR_NO_SPACE: not tried. Any thread. */
int applier_flush(struct applier *applier, struct why *why);

#endif
