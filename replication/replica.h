/* replica.h - the bytes of the store on the nodes of the cluster.
 *
 * DESIGN. Every node follows the records of every other member (store.h, "copies on other nodes"), voters and learners alike, and takes the xorbs that
 * placement.h gives it; with as many nodes as copies that is a full mirror. The follower asks for records behind a place (FRAME_PULL), fetches bodies of
 * xorbs that it lacks over the same stream, takes everything into its own store, durable, remembers the place, and asks again; that acknowledges. With
 * nothing new the other side holds the call for a while. What a node took from one it tells the next, who then know it already. A node that was away goes on
 * where it was, a new one begins at the beginning; forgetting the place costs work only.
 *
 * A record is taken with all that it needs: after a file's record its xorbs are looked for, after a claim its file, and fetched if they are not there. So
 * what a garbage collection of this node drops at that moment comes back before anything is acknowledged.
 *
 * Every acknowledgement to a client waits until `copies` nodes, this one included, hold all that was stored before (REPLICA_AWAIT_MS, then ERR_BUSY: it is
 * stored here, sending it again costs little). In a mirror the places that followers acknowledge tell; else nodes are asked for each xorb, in the order of
 * placement, and get it if they lack it (replica_settle.c). How many copies a xorb gets may be its repositories' to say (replica_copies.c). Alone there is no
 * wait. Copies that placement does not want here are given up once all who should have them say so, by the same epoch (replica_walk.c). What is asked for and
 * not here yet, or damaged here, is asked of the other members at once (fetch); one transfer of a xorb serves all who want it. Of what belongs elsewhere only
 * the chunks that are read come, and do not stay (store/remote_xorb.h).
 *
 * What a node has lost behind a place that it remembers nobody tells it again. So it compares from time to time what it knows with what each other node
 * knows, range by range, and takes what it lacks and should have (replica_digest.c).
 *
 * Bounds: a stream for following and a few for fetches per other node, a thread each where they arrive; frames of REPLICA_PART_BYTES; a batch ends behind
 * REPLICA_BATCH_BODY_BYTES of bodies. The sender's disk and the receiver's set the pace: nothing is queued in between.
 *
 * Threads: one for each other node, one that looks who they are; hooks and questions on any thread. */
#ifndef CAIRN_REPLICATION_REPLICA_H
#define CAIRN_REPLICATION_REPLICA_H

#include "replication/backlog.h"
#include "replication/consensus.h"
#include "store/store.h"

enum {
	REPLICA_COPIES_DEFAULT = 2,
	REPLICA_COPIES_MAX = 5,
	REPLICA_AWAIT_MS = 10 * 1000,
	REPLICA_AWAITING_MAX = 24,            /* callers who wait while no node takes copies: more are refused at once, other work needs threads */
	REPLICA_PULL_MS = 1000,               /* a call without news is held this long */
	REPLICA_STREAM_WAIT_MS = 60 * 1000,
	REPLICA_FETCH_WAIT_MS = 15 * 1000,
	REPLICA_READ_WAIT_MS = 4 * 1000,      /* for chunks of what belongs elsewhere, before the next node is asked */
	REPLICA_FETCHES_MAX = 16,             /* under way at once for readers; others wait in line */
	REPLICA_PART_BYTES = 512 << 10,
	REPLICA_BATCH_RECORDS = 1024,
	REPLICA_BATCH_BYTES = 4 << 20,        /* of records */
	REPLICA_BATCH_BODY_BYTES = 128 << 20, /* of bodies of xorbs that they name */
	REPLICA_RETRY_MS_MIN = 100,
	REPLICA_RETRY_MS_MAX = 5 * 1000,
	REPLICA_KEEP_WAIT_MS = 4 * 1000,      /* for the answer of a node before the next one is asked */
	REPLICA_CARE_WAIT_MS = 1000,          /* for what another node holds: whoever asks for the status waits for each that stands still */
	REPLICA_HOLDER_WAIT_MS = 1000,        /* for the answer of a node that clients might be sent to */
	REPLICA_SHUN_MS = 30 * 1000,          /* a node that did not answer is asked last */
	REPLICA_WALK_MS = 60 * 1000,          /* between two walks, and twenty times as long as one took */
	REPLICA_REPAIR_MS = 30 * 1000,        /* between two looks at what is known to be damaged */
	REPLICA_COMPARE_MS = 60 * 60 * 1000,  /* between two comparisons of what is known with another node, a quarter more or less */
	REPLICA_COMPARE_FIRST_MS = 30 * 1000, /* after the start: whoever starts may have lost something */
	REPLICA_NAMES_MS = 24 * 60 * 60 * 1000, /* between two comparisons that ask the names about what is old */
	REPLICA_FAR_BEHIND_BYTES = 256 << 20, /* bytes_per_s holds back only a node that is further behind */
};

struct replica;

struct replica_config {
	struct consensus *consensus;
	struct store *store;
	unsigned copies;        /* durable ones before an acknowledgement, at most one per member; 0: REPLICA_COPIES_DEFAULT */
	struct namespace *ns;   /* to say which nodes are away; NULL: nobody is said to be */
	uint64_t bytes_per_s;   /* that this node takes from each other one while it is far behind, and in walks; 0: no limit */
};
/* Before anybody else uses the store. */
int replica_open(struct replica **out, const struct replica_config *config, struct why *why);
/* Before the store is closed, after its users are. */
void replica_close(struct replica *replica);

/* ---- the store's hooks (struct store_copies); any thread; [block] ---- */
int replica_await(void *replica, const struct record_place *end, struct why *why);
int replica_fetch_file(void *replica, const struct hash *file, enum store_asked *asked);
int replica_fetch_sha256(void *replica, const struct sha256 *sha256, enum store_asked *asked);
int replica_fetch_xorb(void *replica, const struct hash *xorb, struct why *why);
bool replica_keeps(void *replica, const struct hash *xorb);
int replica_fetch_table(void *replica, const struct hash *xorb, struct table_taker *taker, struct why *why);
int replica_fetch_chunks(void *replica, const struct hash *xorb, struct chunk_taker *taker, struct why *why);

/* How the names are asked what they need (store_gc); NULL: not any more, and waits until nobody is asking. Who gives them lives until then. */
void replica_set_names(struct replica *replica, store_roots names, void *context);

enum replica_pass { PASS_NONE, PASS_COUNT, PASS_FETCH, PASS_OFFER, PASS_GIVE_UP }; /* of a walk over what is held and needed */

struct replica_care { /* of what a node holds: docs/cluster.md */
	uint64_t epoch;          /* that it goes by */
	uint64_t held_bytes;     /* bodies of xorbs that are here, now; of a node of an older version: at its last walk */
	uint64_t surplus_bytes;  /* of them, that should be elsewhere: counted by the last walk, as are the next two */
	uint64_t missing_xorbs;  /* that should be here and are not */
	uint64_t lost_xorbs;     /* besides: every other member has answered that it has none either */
	bool complete;           /* by this epoch: nothing is missing, and the others have what they should of what is here and in no file yet */
	uint64_t bytes_per_s;    /* at which surplus goes, or went last */
	bool walking;            /* it is being looked after right now */
	bool tells_progress;     /* the rest is known: nodes of an older version do not tell */
	uint64_t held_xorbs;     /* now */
	uint64_t part_bytes;     /* of held_bytes: parts of coded xorbs, counted by the last walk */
	uint64_t counted_ms;     /* since a walk counted; UINT64_MAX: never since the start */
	uint64_t repair;         /* how many of the operator's requests to look after everything (cluster_settings.walks) are done */
	enum replica_pass pass;  /* of the walk that is under way */
	unsigned pass_permille;  /* of it, gone over */
	struct backlog_status catching_up; /* records of the nodes that it follows: bytes of their volumes */
	struct backlog_status fetching;    /* what a walk found missing: left_bytes as far as nodes that answer know how long it is */
	struct backlog_status giving_up;   /* surplus */
	uint64_t walks, fetched_xorbs, fetched_bytes, coded_bytes, given_up_bytes; /* of walks of this node, since the start; others do not tell these */
};
void replica_care(struct replica *replica, struct replica_care *out);
/* [blocks] The same of another node: ERR_CLOSED when it does not answer. */
int replica_care_of(struct replica *replica, uint64_t node_id, struct replica_care *out, struct why *why);

struct replica_loss { /* what would go with a node */
	uint64_t xorbs, bytes, files; /* bytes: as far as the node tells; files: that name them, some counted more than once */
	bool is_told;                 /* the node could be asked */
};
/* [blocks] Which xorbs that files need does nobody hold but these nodes? They must weigh nothing by a placement of `epoch`: then nobody gives up a copy
 * because they have one. ERR_BUSY: not all of their records are here yet, or a node does not know that epoch. */
int replica_last_copies(struct replica *replica, const uint64_t *node_ids, size_t count, uint64_t epoch, struct replica_loss *out, struct why *why);

/* ---- whom clients are sent to for bytes that are not here: replica_holders.c; docs/cluster.md ---- */
/* Does any other node that is reached tell a URL at which clients reach it? Cheap. */
bool replica_has_urls(struct replica *replica);
/* That URL; false, and "": there is none, or the node is not reached any more. */
bool replica_node_url(struct replica *replica, uint64_t node_id, char out[NODE_ADDRESS_BYTES_MAX]);
/* [blocks] For each of these xorbs that is not here a node that has it and has a URL, or 0. */
void replica_holders(struct replica *replica, const struct hash *xorbs, size_t count, uint64_t *holders);
/* [blocks] One that has them all, 0: none is known. */
uint64_t replica_holder_of_all(struct replica *replica, const struct hash *xorbs, size_t count);

struct replica_peer_status { /* of one other node */
	bool follows;            /* it asks for what is here */
	uint64_t lacks_bytes;    /* of this node's volumes that it has not acknowledged; UINT64_MAX: never heard of it */
	bool followed;           /* it is asked for what is there */
	bool current;            /* and all of it was here at the last answer */
	uint64_t behind_bytes;   /* of its volumes that are not here yet */
	uint64_t behind_ms;      /* since all of it was here; UINT64_MAX: never since the start */
	uint64_t told_ms;        /* when it last answered that all of it is here, by the monotonic clock; 0: never since the start */
	uint64_t taken_bytes, taken_xorbs, taken_records; /* since the start */
	uint64_t compared_ms;    /* since what is known there and here was compared last; UINT64_MAX: never since the start */
	uint64_t compared_ranges; /* of 65,536, that differed then */
	uint64_t compared_taken; /* records that were lost here and taken again, since the start */
	uint64_t compared_left;  /* at the last time: claims that it has and this node does not want: garbage, or not asked about yet */
	char trouble[128];       /* why not, as far as known */
};
void replica_peer_status(struct replica *replica, uint64_t node_id, struct replica_peer_status *out);

struct replica_status {
	unsigned copies;         /* as configured */
	unsigned copies_needed;  /* now: not more than members */
	unsigned members;        /* this node included */
	unsigned replication_factor; /* copies that each xorb should have, not more than there are nodes that may hold some */
	unsigned factor_set;         /* that an operator wants */
	unsigned copies_least;   /* the fewest that any xorb may have: repositories may want fewer */
	uint64_t awaiting;       /* callers who wait for copies now */
	uint64_t awaited, refused; /* since the start: waits for copies, and those that were in vain */
	uint64_t fetched_files, fetched_xorbs; /* for readers, since the start */
	uint64_t read_xorbs, read_runs; /* of xorbs that belong elsewhere, for readers: tables, and runs of chunks */
	uint64_t linked_files, linked_xorbs; /* that are not here, for which clients were sent to another node */
	uint64_t repaired_xorbs; /* damaged ones that were replaced, since the start */
	uint64_t received_xorbs, received_bytes; /* whole ones, from other nodes, for whatever reason, since the start */
	uint64_t limit_bytes_per_s; /* as configured; 0: none */
	uint64_t coded_xorbs;    /* that this node has cut into parts, since the start */
	unsigned erasure_data, erasure_parity; /* as set; 0: off */
	uint64_t erasure_after_ms;
	uint64_t rounds, rounds_failed; /* comparisons with another node that came to their end, or did not, since the start */
	uint64_t ranges_differed, records_taken; /* what they found */
};
void replica_status(struct replica *replica, struct replica_status *out);

#endif
