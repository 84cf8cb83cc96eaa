/* proposals.h - commands that wait: first for a place in a log entry, then for being applied.
 *
 * DESIGN. Group commit: at most PROPOSAL_ENTRIES_IN_FLIGHT_MAX entries of a group are under way; everything that arrives meanwhile gathers into the
 * next one, so the cost of a sync is shared by all who wait for it. A proposal is shared by its caller, who may give up at its
 * deadline, and by the log entry that carries it; whoever settles it first decides, later outcomes are dropped.
 *
 * Threads: any. */
#ifndef CAIRN_REPLICATION_PROPOSALS_H
#define CAIRN_REPLICATION_PROPOSALS_H

#include "schemas/command.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
	PROPOSAL_ENTRIES_IN_FLIGHT_MAX = 2,
	PROPOSAL_ENTRY_BYTES_MAX = 1 << 20, /* what an entry gathers; one command may fill it alone */
	PROPOSAL_RESULT_BYTES_MAX = 64 << 10,
	PROPOSALS_UNREPLICATED_BYTES_MAX = 32 << 20,
	PROPOSALS_UNAPPLIED_BYTES_MAX = 64 << 20,
	PROPOSALS_WAITING_MAX = 65536,
};

struct proposals;

struct proposal {
	struct proposal *next;
	atomic_int references;
	struct proposals *queue;   /* whose budget it counts against */
	bool releases;             /* may pass when the disk is short */
	pthread_mutex_t lock;
	pthread_cond_t settled_wake;
	bool settled;
	int err;
	uint64_t index;
	struct buffer result;
	struct why why;
	atomic_bool abandoned;     /* its caller has given up: not worth sending (again) */
	/* Of another node, which is told the outcome; peer 0: of this one. */
	uint64_t remote_peer, remote_number;
	void *remote_context;
	struct proposal *answer_next;
	size_t length;
	uint8_t command[];
};

/* One group's queue. */
struct proposals {
	pthread_mutex_t lock;
	struct proposal *head, **tail;
	size_t waiting_count;
	bool closed;
	atomic_uint_fast64_t unapplied_bytes;    /* of every proposal not settled yet, queued ones included */
	atomic_uint_fast64_t unreplicated_bytes; /* of those not committed yet */
};

void proposals_init(struct proposals *proposals);
void proposals_fini(struct proposals *proposals);

/* Queues a copy of `command`. 0 with one reference for the caller, ERR_BUSY over a budget, ERR_CLOSED. */
int proposals_add(struct proposals *proposals, struct span command, bool releases, struct proposal **out, struct why *why);
/* The same for another node: forward_settled is called with its outcome. */
int proposals_add_remote(struct proposals *proposals, struct span command, bool releases, void *context, uint64_t peer, uint64_t number,
	struct proposal **out);
/* Takes one off the queue, whose reference goes to the caller; NULL: none. Those whose callers have given up are let go. */
struct proposal *proposals_take(struct proposals *proposals);
/* [blocks] until settled or `deadline_ms` (monotonic). 0: settled, read its fields; ERR_UNKNOWN_OUTCOME. */
int proposal_wait(struct proposal *proposal, int64_t deadline_ms);
void proposal_settle(struct proposal *proposal, int err, uint64_t index, struct span result, const char *sentence);
void proposal_release(struct proposal *proposal);
/* Releases a whole list; those that nobody settled get ERR_UNKNOWN_OUTCOME. */
void proposals_release(struct proposal *list);

/* Puts a list that was taken back in front of its queue, to be proposed again with the same ids. NULL is fine. */
void proposals_return(struct proposal *list);

/* Takes the next entry's worth off the queue and writes its payload. NULL: nothing to take. `releases_only`: leave the others queued and
 * settle them with ERR_NO_SPACE. */
struct proposal *proposals_gather(struct proposals *proposals, int64_t leader_ms, bool releases_only, struct buffer *payload);
/* Settles everything queued with `err` and, if `close`, refuses what comes later. */
void proposals_refuse(struct proposals *proposals, int err, const char *sentence, bool close);
size_t proposals_waiting(struct proposals *proposals);

#endif
