/* consensus.h - a replicated log of commands, applied in order to a state machine: the facade over the Raft engine.
 *
 * DESIGN. Only replication/raft_engine.c knows the engine. The driver owns its steps: hard state and entries are durable
 * in the `raftlog` RocksDB before any message or acknowledgement leaves, commits go to one applier thread, which writes a
 * batch of the state machine's changes together with the applied index into the `meta` RocksDB. A single node is a cluster of
 * one voter on the same path. Proposals of many threads share one log entry and one sync (group commit).
 *
 * Threads: consensus_propose and the reads may be called from any thread that may block; the state machine's apply runs on
 * the applier thread alone. */
#ifndef CAIRN_REPLICATION_CONSENSUS_H
#define CAIRN_REPLICATION_CONSENSUS_H

#include "replication/cluster_view.h"
#include "replication/state_batch.h"
#include "schemas/buffer.h"
#include "schemas/command.h"
#include "schemas/error.h"

#include <rocksdb/c.h>
#include <stdatomic.h>

struct consensus;

enum {
	GROUP_CLUSTER = 0, /* users, tokens, names -> repository id */
	GROUP_REPOS = 1,   /* what is inside repositories */
};

/* A new UUIDv7: made once per change by whoever first hears of it, kept for retries. */
void command_id_make(struct command_id *out);

/* What the applier hands to the state machine for each command. `leader_ms` is the only clock it may read. */
struct apply_context {
	uint32_t group;
	uint64_t index;
	int64_t leader_ms;
	struct state_batch *batch; /* for everything that is read and changed */
	atomic_uint_fast64_t *cluster_changed; /* to be set to `index` by whatever may change what state_machine.cluster reads */
};
struct state_machine {
	/* Applies one encoded command (schemas/command.h). Deterministic. Appends its msgpack result to `result`. Returns 0 or the ERR_* of a
	 * rejected precondition (part of the replicated result, with `why`), having then written nothing to the batch. ERR_IO, ERR_CORRUPT, ERR_NO_MEMORY and
	 * ERR_UNSUPPORTED (a type or version it does not know) stop the node. */
	int (*apply)(void *context, const struct apply_context *apply, struct span command, struct buffer *result, struct why *why);
	/* After the batch that holds index `applied` is written: wake caches. Applier thread. */
	void (*applied)(void *context, uint64_t applied);
	/* After a group's whole state was exchanged for that of another node, before `applied` tells of it; may be NULL. Applier thread. */
	void (*replaced)(void *context);
	/* `command` raised the feature level of the group: what else this changes goes into the batch. Returns as apply does; may be NULL. */
	int (*raised)(void *context, const struct apply_context *apply, const struct command *command, uint64_t level, struct why *why);
	void *context;
	/* ---- a machine that knows the nodes of a cluster; else NULL ---- */
	/* What the state in `db` says of the cluster. 0, ERR_IO, ERR_CORRUPT. Any thread. */
	int (*cluster)(void *context, rocksdb_t *db, struct cluster_view *out);
	/* What the owner of a join token proves to have; false: there is no such token. Any thread. */
	bool (*join_token)(void *context, rocksdb_t *db, const uint8_t *token_id, uint8_t proof[CLUSTER_SECRET_BYTES]);
	/* The command, for GROUP_CLUSTER, that lets a node in. */
	int (*join_command)(void *context, const struct cluster_node *node, const uint8_t *token_id, const struct command_id *id, struct buffer *out);
};

/* A node that may have others beside it. Texts are borrowed until consensus_open returns. */
struct cluster_config {
	const char *listen;     /* numeric "host:port" for the other nodes; NULL: this node is alone */
	const char *advertise;  /* "host:port" at which they reach it; NULL: as it listens */
	const char *name, *url; /* for people; may be NULL */
	const char *node_url;   /* at which clients reach this very node; NULL: they are not sent to it */
	const char *domain;     /* what fails together with this node; NULL: only itself */
	uint32_t weight;        /* its share of the bytes; 0: NODE_WEIGHT_DEFAULT */
	const char *join_token; /* for a data directory that is new: become a node of that cluster. Later starts do not need it */
	bool is_not_new;        /* there are bytes of a hub: names that are absent were lost, and none are founded in their place. Who joins may bring bytes */
	uint64_t trailing_bytes; /* of log kept behind a flush mark for nodes that were away; 0: 64 MiB; at least one entry is */
	bool (*give_up)(void *context); /* asked while nobody leads at the start; may be NULL */
	void *give_up_context;
};

struct consensus_config {
	const char *dir;           /* holds raftlog/ and meta/ */
	const struct state_machine *machine;
	uint64_t index_cache_bytes; /* block cache of the state; 0: 8 MiB */
	uint64_t reserve_bytes;    /* disk kept free: below it only deletions are accepted, below half of it nothing is written; 0: 256 MiB */
	/* Free bytes of the volume that holds `dir`; NULL: statvfs. Any thread. */
	uint64_t (*free_bytes)(void *context, const char *dir);
	void *free_bytes_context;
	uint64_t snapshot_bytes;   /* log bytes between flush marks; 0: 64 MiB */
	uint64_t snapshot_ms;      /* and time between them; 0: 5 minutes */
	struct cluster_config cluster;
};

/* [blocks] Opens, joins, or bootstraps a cluster of one voter; replays what is not applied; returns when a leader has answered, this node or
 * another, so that what is read afterwards is not older than this call. ERR_CLOSED: told to give up. ERR_DENIED: not let in. ERR_CORRUPT with a sentence when
 * only one of the two stores is there, or none beside bytes, when they belong to different nodes, or when the log has lost entries that were acknowledged;
 * ERR_NO_SPACE. */
int consensus_open(struct consensus **out, const struct consensus_config *config, struct why *why);
/* Fails queued proposals with ERR_CLOSED, finishes those in the log, flushes, closes. */
void consensus_close(struct consensus *consensus);

struct proposal_result {
	uint64_t index;            /* log position: a read-your-writes token */
	struct buffer result;      /* msgpack, as apply wrote it; caller fini */
};
/* [blocks] Proposes one encoded command, whose id must be `id`, and waits until it is applied here. Returns what apply returned (for a retry: what it
 * returned the first time), or ERR_INVALID, ERR_TOO_BIG, ERR_BUSY (over budget), ERR_UNKNOWN_OUTCOME (deadline or lost leadership: may still happen; retry with the same id), ERR_NO_SPACE, ERR_CLOSED. */
int consensus_propose(struct consensus *consensus, uint32_t group, const struct command_id *id, struct span command,
	uint64_t timeout_ms, struct proposal_result *out, struct why *why);

/* Sum of the groups' applied indexes: grows with every change. Cheap: atomics. */
uint64_t consensus_applied(const struct consensus *consensus);
/* The state machine's database, for reads of any thread. */
rocksdb_t *consensus_db(struct consensus *consensus);
/* [blocks] Linearizable read point (ReadIndex): on return the local state holds everything acknowledged before the call. */
int consensus_read_barrier(struct consensus *consensus, uint32_t group, uint64_t timeout_ms, struct why *why);

/* [blocks] Takes a flush mark now: the state is on disk, the log is compacted up to it less what is kept for slow peers. */
int consensus_snapshot(struct consensus *consensus, struct why *why);

/* [blocks] Makes `dir` and in it copies of both stores that a node can be started from; links, as far as the file system has them. On error
 * what is there of it is left to the caller. ERR_BUSY: try again. */
int consensus_checkpoint(struct consensus *consensus, const char *dir, struct why *why);

/* A linearizable read point of all groups that does not block: `done` is called once, with 0, ERR_BUSY (no leader in time) or ERR_CLOSED, on the
 * thread of consensus, and must not block. In time: within timeout_ms, and before read points, whoever asked for them, have not come for silence_ms; when that was so
 * already, at once. */
void consensus_read(struct consensus *consensus, uint64_t timeout_ms, uint64_t silence_ms, void (*done)(void *context, int err), void *context);
/* True for a node that reads from its own state without asking: it is alone. Cheap. */
bool consensus_alone(const struct consensus *consensus);
/* How old what this node knows may be: milliseconds since the last moment of which it knows that all that had been acknowledged by then is applied
 * here, in every group; up to about a second when all is well, since it asks once a second when nobody reads. 0 when it is alone. Cheap. */
uint64_t consensus_lag_ms(struct consensus *consensus);

/* [blocks] Hands leadership of every group to others, if there are any: before a planned stop. */
void consensus_step_down(struct consensus *consensus, uint64_t timeout_ms);

void consensus_cluster_id(const struct consensus *consensus, uint8_t out[16]);
/* This node's id, key and address. */
void consensus_self(const struct consensus *consensus, struct cluster_node *out);

/* Who belongs to the cluster, as this node knows it; the secret left out. */
void consensus_view(struct consensus *consensus, struct cluster_view *out);
/* [blocks] Opens a stream to another node for a call of its own. `wait_ms`: for its part of the handshake; 0: PEER_STREAM_WAIT_MS. */
struct peer_stream;
struct peer_frame;
int consensus_call(struct consensus *consensus, const struct cluster_node *node, int wait_ms, struct peer_stream *out, struct why *why);
/* Who serves such streams of others: called with the first frame on a thread of the stream's own, which may block. NULL: nobody; returns when nobody is being
 * served any more. */
void consensus_on_bulk(struct consensus *consensus, void (*serve)(void *context, struct peer_stream *stream, const struct peer_frame *first), void *context);

struct group_status {
	uint64_t term, leader, committed, applied, last_index, snapshot_index;
	uint32_t feature_level;
	bool installing;
};
struct node_status {
	struct cluster_node node;
	bool self, connected;
	uint32_t feature_level;    /* what its program knows; 0: not known, as of one that is away */
	char trouble[128];
	enum node_role roles[2];   /* in the configuration of each group; 0: not in it */
	uint64_t match[2];         /* on a leader: up to where its log is like ours */
};
struct cluster_status {
	uint64_t node_id;
	bool listens;              /* may have other nodes at all */
	uint64_t lag_ms;
	struct group_status groups[2];
	struct node_status nodes[CLUSTER_NODES_MAX];
	size_t count;
};
/* [blocks] shortly: asks the loop. */
int consensus_cluster_status(struct consensus *consensus, struct cluster_status *out, struct why *why);

struct consensus_status {
	uint64_t node_id;
	uint64_t term;                             /* highest of the groups */
	uint64_t applied, committed, last_index;   /* sums over the groups */
	uint64_t log_syncs, commands;              /* since start */
	bool leader;                               /* of every group, and ready */
	bool removed;                              /* from the cluster, as far as this node has heard: it answers nothing */
	unsigned voters;
};
void consensus_status(struct consensus *consensus, struct consensus_status *out);

#endif
