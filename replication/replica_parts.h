/* replica_parts.h - what the files of the replica share. */
#ifndef CAIRN_REPLICATION_REPLICA_PARTS_H
#define CAIRN_REPLICATION_REPLICA_PARTS_H

#include "replication/placement.h"
#include "replication/repo_copies.h"
#include "replication/replica.h"
#include "replication/replica_wire.h"
#include "store/coded.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { TRANSFERS_MAX = 256, IDLE_STREAMS_MAX = 2, FETCH_STREAMS_MAX = CLUSTER_NODES_MAX + REPLICA_FETCHES_MAX };

/* One other node; slots are given once and stay. */
struct peer {
	struct replica *replica;
	struct cluster_node node;  /* under the lock */
	bool member;               /* it belongs to the cluster now */
	/* ---- it follows this node: under the lock ---- */
	bool acked, caught_up;     /* caught_up: once, in this life of this node or an earlier one */
	struct record_place acked_place;
	uint64_t lacks_bytes;      /* when it acknowledged last */
	unsigned streams;
	struct record_place partial_until; /* before it, xorbs were left to others */
	uint64_t seen_at_ms;       /* that it was reached */
	bool knows_ages;           /* it has answered a question about xorbs with ages since it was reached */
	uint64_t shunned_until_ms; /* it did not answer a question about xorbs in time */
	/* ---- this node follows it ---- */
	pthread_t thread;
	bool running;              /* the supervisor's */
	atomic_bool leave;
	bool connected, current, was_current, failed; /* from here: under the lock */
	int fd;                    /* of its stream, -1: none */
	uint64_t behind_bytes, current_at_ms;
	uint64_t batch_bytes;      /* of behind_bytes: of the answer that is being taken */
	uint64_t taken_bytes, taken_xorbs, taken_records;
	char trouble[128];
	struct peer_stream *idle[IDLE_STREAMS_MAX]; /* for fetches */
	/* ---- rounds with it (replica_digest.c): under the lock ---- */
	bool compares;             /* the three below are set */
	uint64_t compare_at_ms, names_at_ms; /* when the next one is due, and the next one that asks the names */
	uint64_t compare_number;   /* of the operator's request that was heeded last */
	uint8_t compare_from;      /* where it begins: an earlier one may not have come to the end */
	bool compared;             /* once, since the start */
	uint64_t compared_at_ms, compared_ranges, compared_taken, compared_left;
};

struct replica {
	struct replica_config config;
	uint64_t node_id;
	atomic_bool stop;
	pthread_mutex_t lock;
	pthread_cond_t acked;      /* somebody acknowledged, or who belongs here has changed */
	pthread_cond_t landed;     /* a transfer has ended */
	pthread_cond_t wake;       /* sleepers: something is to stop */
	struct peer peers[CLUSTER_NODES_MAX];
	size_t peers_count;
	unsigned members;          /* this node included */
	pthread_rwlock_t placing;  /* for reading: somebody is told what is here; for writing: a copy is given up, or the placement changes. Before the lock */
	struct placement placement;
	struct cluster_settings settings;
	pthread_rwlock_t repos_lock; /* innermost */
	struct repo_copies_table repos; /* what repositories want: replica_copies.c */
	struct record_place settled; /* all xorbs of this node's records before it have their copies: replica_settle.c */
	bool settling;
	bool remarked;             /* `settled` has moved since it was remembered */
	struct replica_care care;  /* as the walker tells it */
	struct backlog catching_up, fetching, giving_up;
	uint64_t counted_at_ms;    /* when the walker counted last; 0: never */
	uint64_t repaired_number;  /* of the operator's request that the last whole walk did */
	uint64_t complete_epoch;   /* of the last walk that left nothing to do; 0: none did */
	uint64_t walk_epoch, walk_number, walked_at_ms; /* of the last walk: its thread's own */
	struct hash transfers[TRANSFERS_MAX]; /* xorbs that are being fetched */
	size_t transfers_count;
	unsigned fetches;
	int fetch_fds[FETCH_STREAMS_MAX];     /* of streams in use for fetches, -1: free */
	struct replica_status status;
	int compare_fd;                       /* of the stream of a round, -1: none */
	store_roots names;                    /* NULL: cannot be asked */
	void *names_context;
	bool asking_names;
	atomic_bool names_leave;
	pthread_t supervisor, repairer, walker, comparer;
	bool supervised, repairing, walking, comparing;
};

static inline uint64_t replica_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
static inline struct timespec replica_in_ms(uint64_t ms)
{
	uint64_t at = replica_now_ms() + ms;
	return (struct timespec){ .tv_sec = (time_t)(at / 1000), .tv_nsec = (long)(at % 1000) * 1000000 };
}

/* The slot of a node, made if there is none; NULL: too many. Under the lock. */
struct peer *replica_peer(struct replica *replica, uint64_t node_id);
/* Reads what repositories want when it is of another epoch, and tells `placement` the bounds; placement->epoch is 0 when it could not be read yet. The
 * supervisor's. replica_copies.c */
void replica_take_repos(struct replica *replica, const struct cluster_settings *settings, struct placement *placement);
/* Copies that a xorb gets. A few index reads, none where no repository says anything. */
unsigned replica_wanted(struct replica *replica, const struct placement *placement, const struct hash *xorb);
/* placement_holds of as many. */
bool replica_holds(struct replica *replica, const struct placement *placement, const struct hash *xorb, uint64_t node_id);
/* ---- coded xorbs: replica_coding.c ---- */
/* True when a coding decides, and not the number of copies, whether a node should hold a xorb: a part, or what was cut into parts. */
bool replica_coding_decides(struct replica *replica, const struct placement *placement, const struct hash *xorb, uint64_t node_id, bool *holds);
enum { KEEPERS_MAX = CODED_PARTS_MAX, WANTS_MAX = 1 + CODINGS_MAX * CODED_PARTS_MAX };
struct keeper {
	struct hash xorb;
	uint64_t node_id;
};
/* The length of the body of a xorb that was coded, or of a part of it, as its coding says; 0: it does not. */
uint32_t replica_coded_length(struct replica *replica, const struct hash *whole, const struct hash *xorb);
/* Who has to have what before a copy of a xorb is given up here; 0: that cannot be said. */
size_t replica_keepers(struct replica *replica, const struct placement *placement, const struct hash *xorb, struct keeper out[KEEPERS_MAX]);
/* What this node should have for a xorb that files need, and lacks: the xorb, or parts of it. */
size_t replica_wants(struct replica *replica, const struct placement *placement, const struct hash *xorb, struct hash out[WANTS_MAX]);
/* What lies here for a xorb that was coded and belongs elsewhere. */
size_t replica_leftovers(struct replica *replica, const struct placement *placement, const struct hash *xorb, struct hash out[WANTS_MAX]);
/* True when it is this node's turn to cut it into parts. */
bool replica_is_cold(struct replica *replica, const struct placement *placement, const struct hash *xorb);
/* [blocks] */
int replica_code(struct replica *replica, const struct placement *placement, const struct hash *xorb, uint64_t *bytes, struct why *why);
/* [blocks] Makes a xorb of parts that members have. With `stays` only when it should be there as parts now. ERR_NOT_FOUND: there are not enough. */
int replica_join_parts(struct replica *replica, const struct hash *xorb, bool stays, struct why *why);
/* [blocks] Makes a part that no member has, if it should be here. */
int replica_remake_part(struct replica *replica, const struct hash *part, struct why *why);
/* The node that should have a part; 0: none, or it is no part. */
uint64_t replica_part_holder(struct replica *replica, const struct hash *part);
/* [blocks] True when enough parts of a coded xorb are there, and kept for as long as one that is so old, that `losses` nodes may go. */
bool replica_parts_are_safe(struct replica *replica, const struct placement *placement, const struct hash *xorb, uint64_t age_ms, unsigned losses);
/* [blocks] One part as it is on the node that should have it, or else on any; nothing is made. replica_fetch.c */
int replica_fetch_part(struct replica *replica, uint64_t holder, bool any, const struct hash *part, struct why *why);

/* Copies that what a repository claims gets at least. */
unsigned replica_repo_wants(struct replica *replica, const struct placement *placement, const struct entity_id *repo);
/* As it is now. */
void replica_placement(struct replica *replica, struct placement *out);
/* True when a copy on that node counts among those that are waited for. Under the lock. */
bool replica_counts(const struct replica *replica, uint64_t node_id);
/* Copies that a xorb needs before it is acknowledged. Under the lock. */
unsigned replica_copies_needed(const struct replica *replica);
/* [blocks] Until a node has the records of this one before `end`, at most so long. replica_settle.c */
bool replica_has_records(struct replica *replica, uint64_t node_id, const struct record_place *end, uint64_t wait_ms);
bool place_is_reached(const struct record_place *place, const struct record_place *wanted);
/* [blocks] Makes sure that xorbs of records before `end` have their copies: asks who should have them, and whoever comes next in order if one does not answer.
 * ERR_BUSY: there are not enough. replica_settle.c */
int replica_settle(struct replica *replica, const struct record_place *end, uint64_t until_ms, struct why *why);
/* store_copies.settle; `context` is the replica. */
int replica_settle_xorbs(void *context, const struct hash *xorbs, size_t count, struct why *why);
/* store_copies.awaits */
bool replica_awaits_xorb(void *context, const struct record_place *place);
/* [blocks] The same up to now, so that little is left to ask when an upload waits for it. */
void replica_settle_all(struct replica *replica, uint64_t wait_ms);
/* [blocks] Asks one node which xorbs it has. */
int replica_keep(struct replica *replica, uint64_t node_id, const struct keep_call *call, int wait_ms, struct kept *out, struct why *why);
/* It has not answered in time: others are asked before it for REPLICA_SHUN_MS. */
void replica_shun(struct replica *replica, uint64_t node_id);
/* [blocks] Fetches a xorb, from `first` if it has it. ERR_NOT_FOUND: none of those that this node reaches has it. */
int replica_fetch_from(struct replica *replica, uint64_t first, const struct hash *xorb, struct why *why);
/* All members can be asked, so what none of them has is nowhere. */
bool replica_reaches_all(struct replica *replica);
/* What a placement wants is done, what it does not want goes: replica_walk.c. A thread. */
void *replica_walk(void *replica);
/* Looks from time to time whether this node has lost records that others have: replica_digest.c. A thread. */
void *replica_compare(void *replica);
int replica_serve_compare(struct replica *replica, struct peer_stream *stream, struct span body, struct why *why);
int replica_serve_list(struct replica *replica, struct peer_stream *stream, struct span body, struct why *why);
/* [blocks] Puts into the state who has not been reached for longer than the grace time, and who is back: replica_away.c */
void replica_say_who_is_away(struct replica *replica);
/* Somebody else serves on a stream of its own: replica_serve.c. */
void replica_serve(void *replica, struct peer_stream *stream, const struct peer_frame *first);
/* Follows one other node until peer->leave: replica_follow.c. */
void *replica_follow(void *peer);
/* So much of the answer that is being taken has come. */
void replica_note_received(struct peer *peer, uint64_t bytes);

/* ---- taking what a stream brings: replica_take.c ---- */
struct take {
	struct replica *replica;
	struct peer *peer;         /* whose thread this is; NULL: a fetch */
	struct peer_stream *stream;
	struct buffer run;         /* the records of the last answer */
	struct placement placement; /* by which they are taken */
	bool partial;              /* xorbs of it were left to others */
	uint64_t far_behind_bytes; /* what is left, for the limit of speed */
	uint64_t began_ms, bytes;  /* of the limit */
};
void take_init(struct take *take, struct replica *replica, struct peer *peer, struct peer_stream *stream);
void take_fini(struct take *take);
/* Takes the records of take->run with all that they need. ERR_CLOSED and others: the stream is of no use any more. */
int take_run(struct take *take, struct why *why);
/* Asks for records by a digest, and takes them. ERR_NOT_FOUND: there are none. */
int take_found(struct take *take, const struct find_call *call, struct why *why);
/* Fetches one xorb unless it is here. ERR_NOT_FOUND, ERR_CORRUPT as the other node says; *broken: the stream is of no use any more. */
int take_xorb(struct take *take, const struct hash *xorb, bool *broken, struct why *why);
/* Asks for the table of a xorb, or for chunks of it, and hands on what comes: replica_chunks.c. As with take_xorb. */
int take_table(struct peer_stream *stream, const struct hash *xorb, struct table_taker *taker, bool *broken, struct why *why);
int take_chunks(struct peer_stream *stream, const struct hash *xorb, struct chunk_taker *taker, bool *broken, struct why *why);
/* The length in the answer to a call for bytes. */
int receive_length(struct peer_stream *stream, uint64_t *length, bool *broken, struct why *why);
/* Registers a transfer; false: somebody else has it. With `wait` until it has not, at most REPLICA_FETCH_WAIT_MS; then look again what is here. */
bool transfer_begin(struct replica *replica, const struct hash *xorb, bool wait);
void transfer_end(struct replica *replica, const struct hash *xorb);

#endif
