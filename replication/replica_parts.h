/* replica_parts.h - what the files of the replica share. */
#ifndef CAIRN_REPLICATION_REPLICA_PARTS_H
#define CAIRN_REPLICATION_REPLICA_PARTS_H

#include "replication/replica.h"
#include "replication/replica_wire.h"

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
	bool acked, caught_up;     /* caught_up: once, since the start */
	struct record_place acked_place;
	uint64_t lacks_bytes;      /* when it acknowledged last */
	unsigned streams;
	/* ---- this node follows it ---- */
	pthread_t thread;
	bool running;              /* the supervisor's */
	atomic_bool leave;
	bool connected, current, was_current, failed; /* from here: under the lock */
	int fd;                    /* of its stream, -1: none */
	uint64_t behind_bytes, current_at_ms;
	uint64_t taken_bytes, taken_xorbs, taken_records;
	char trouble[128];
	struct peer_stream *idle[IDLE_STREAMS_MAX]; /* for fetches */
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
	struct hash transfers[TRANSFERS_MAX]; /* xorbs that are being fetched */
	size_t transfers_count;
	unsigned fetches;
	int fetch_fds[FETCH_STREAMS_MAX];     /* of streams in use for fetches, -1: free */
	struct replica_status status;
	pthread_t supervisor, repairer;
	bool supervised, repairing;
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
/* Somebody else serves on a stream of its own: replica_serve.c. */
void replica_serve(void *replica, struct peer_stream *stream, const struct peer_frame *first);
/* Follows one other node until peer->leave: replica_follow.c. */
void *replica_follow(void *peer);

/* ---- taking what a stream brings: replica_take.c ---- */
struct take {
	struct replica *replica;
	struct peer *peer;         /* whose thread this is; NULL: a fetch */
	struct peer_stream *stream;
	struct buffer run;         /* the records of the last answer */
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
/* Registers a transfer; false: somebody else has it. With `wait` until it has not, at most REPLICA_FETCH_WAIT_MS; then look again what is here. */
bool transfer_begin(struct replica *replica, const struct hash *xorb, bool wait);
void transfer_end(struct replica *replica, const struct hash *xorb);

#endif
