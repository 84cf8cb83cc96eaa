/* meta_loop.h - the thread that owns all groups' drivers. Private to consensus.c and meta_loop.c.
 *
 * A libuv loop. Others reach it through one inbox (completed log jobs, read barriers, snapshot requests, closing) and one async handle; proposals have
 * queues of their own. It never waits for the disk, but for the rare write of a term or vote. Flushing the state for a flush mark runs on
 * libuv's pool. */
#ifndef CAIRN_REPLICATION_META_LOOP_H
#define CAIRN_REPLICATION_META_LOOP_H

#include "replication/applier.h"
#include "replication/driver.h"
#include "replication/forward.h"
#include "schemas/gather.h"
#include "replication/identity.h"
#include "replication/log_writer.h"
#include "replication/peers.h"
#include "replication/proposals.h"

#include <pthread.h>
#include <uv.h>

/* Somebody who waits until the meta loop has done something. Lives on the waiter's stack until `settled`; with `done` it is whose that takes it. */
struct request {
	struct request *next;
	enum { REQUEST_READ, REQUEST_SNAPSHOT, REQUEST_STEP_DOWN, REQUEST_STATUS } kind;
	uint32_t group;
	uint64_t index;       /* read: applied must reach it, 0 until noted; snapshot: 1 once a flush for it has begun */
	uint64_t round;       /* read: of the driver when leading, of the leader's answers else; 0: none joined */
	uint64_t asked_ms;    /* read: when it joined that round; what was acknowledged before is there once it is settled */
	bool round_is_own;
	uint64_t deadline_ms;
	uint64_t silence_ms;  /* read: not waited for when no read point has come for so long; 0: is waited for all the same */
	struct cluster_status *status;
	void (*done)(struct request *request); /* on the loop; NULL: somebody blocks */
	bool settled;
	int err;
	struct why why;
};

struct silence {
	uint64_t since_ms;      /* 0: every question for a read point was answered, or a later one */
	struct request request; /* asked in vain; goes on when those who waited have given up */
};

struct group {
	struct consensus *consensus;
	uint32_t number;
	struct driver *driver;
	struct proposals proposals;
	uv_timer_t timer;
	struct gather gather;
	uv_timer_t gather_timer;   /* active while an entry waits for more proposals */
	uv_timer_t tell_timer;     /* active while another node does not know how far the log is committed */
	uint64_t snapshot_at_ms;
	uint64_t ids_hour_proposed;
	uint64_t flushed;          /* applied when the flush that runs began: on disk when it ends */
	bool snapshot_running;     /* its job is with the log writer */
	struct forward forward;
	struct silence silence;
	struct request confirm;    /* a read point that nobody waits for, so that it is known how old the state is when nobody reads */
	bool confirming;           /* it is with those that wait */
	atomic_uint_fast64_t confirmed_ms; /* all that was acknowledged before is applied here; 0: not known since the start */
	atomic_uint_fast64_t pin;  /* a peer copies the state: the log is kept from here on */
	uint64_t membership_at_ms;
};

struct consensus {
	char *dir;
	struct consensus_config config;
	struct identity identity;
	struct log_store *store;
	struct log_writer *writer;
	struct applier *applier;
	struct rio rio;
	struct group groups[GROUPS_MAX];
	uv_loop_t loop;
	uv_async_t wake;
	uv_check_t turn;           /* behind each round of events */
	bool turn_due;             /* the loop's own */
	uv_timer_t housekeeping;
	pthread_t thread;
	bool thread_started;
	uint64_t room_bytes, room_checked_ms;

	/* Other nodes: cluster_loop.h. */
	struct peers *peers;       /* NULL: this node does not listen for any */
	struct peer_keys keys;
	struct cluster_view view;  /* as the state has it */
	uint64_t leaving;          /* nodes of it that are removed and still peers, a bit each */
	char address[NODE_ADDRESS_BYTES_MAX];
	uint64_t view_applied;
	uint64_t changed_seen;     /* of applier_cluster_changed; the applier's thread's own */
	uv_timer_t tick;
	atomic_bool alone, streams_stop;
	atomic_int streams;
	unsigned installs_running;
	bool removed;              /* this node is not one of the cluster any more: nothing is answered */
	bool loop_closed;

	pthread_mutex_t lock; /* the inbox and everything below */
	pthread_cond_t settled_wake;
	struct log_job *stored, **stored_tail;
	struct request *requests;        /* new ones */
	struct proposal *answers;        /* of proposals of other nodes */
	struct cluster_view public_view; /* `view`, for other threads */
	void (*bulk)(void *context, struct peer_stream *stream, const struct peer_frame *first);
	void *bulk_context;
	unsigned bulk_running;
	int *stream_fds;                 /* of streams that are served, -1: free; CLUSTER_STREAMS_MAX */
	unsigned installed;              /* groups whose state the applier has taken over, bits */
	bool closing;
	struct consensus_status status;  /* refreshed by the loop */
	/* The loop's own. */
	struct request *waiting;
	uint64_t served_ms; /* when it was last looked at what waits */
	bool stopping;
	uint64_t stop_at_ms;
	uv_work_t flush;
	bool flush_running;
	struct why flush_why;
	int flush_err;
	atomic_bool applied_wanted; /* the loop has something that waits for the applier */
};

/* The driver's world in production asks the system for these. */
bool meta_loop_has_room(void *context);
uint64_t monotonic_ms(void *context);
int64_t wall_ms(void *context);

void meta_loop_open(struct consensus *consensus);
int meta_loop_start(struct consensus *consensus, struct why *why);
/* Ends the thread: queued proposals are refused, those in the log finished. */
void meta_loop_stop(struct consensus *consensus);
/* After the writer and the applier have ended. */
void meta_loop_close(struct consensus *consensus);

/* Called on the writer's and the applier's threads. */
void meta_loop_stored(void *context, struct log_job *jobs);
void meta_loop_applied(void *context);
/* Hands a list of requests in; `done` is called for each, also when the node is closing. */
void meta_loop_hand_in(struct consensus *consensus, struct request *first, struct request *last);
/* [blocks] Hands a request in and waits until it is settled. */
int meta_loop_ask(struct consensus *consensus, struct request *request, struct why *why);

#endif
