/* forward.h - proposals and reads of a node that does not lead, taken to the one that does; and those of others, answered. Part of the meta loop.
 *
 * DESIGN. A proposal is sent to the leader and again whenever the leader changes or stays silent; its id makes that harmless. It is settled once
 * its outcome is known and what it did is applied here, so that its caller reads its own write on this node. Hop limit 1: a node
 * that is asked and does not lead says so at once.
 *
 * Questions and proposals are numbered from a random number on: an answer may come after a restart of this node, and must not settle what is asked then.
 *
 * Reads share rounds: one question to the leader answers every read that was queued before it was first sent. It keeps its number when it is sent again, to the
 * same leader or to another: whoever answers it confirmed that it leads after that, so an answer is good however late it comes. Reads that come
 * meanwhile are for the next question. A leader that is asked the same again goes on with the round that it has begun.
 *
 * Threads: the meta loop, but for forward_settled. */
#ifndef CAIRN_REPLICATION_FORWARD_H
#define CAIRN_REPLICATION_FORWARD_H

#include "replication/cluster_view.h"
#include "replication/proposals.h"

struct consensus;
struct group;
struct peer_frame;

enum {
	FORWARDED_MAX = 1024,       /* proposals of one group that are with the leader */
	FORWARD_REPEAT_MS = 2000,
	FORWARD_RETRY_MS = 60,      /* after a leader said that it is none */
	READ_REPEAT_MS = 300,
};

struct forwarded {
	struct forwarded *next;
	struct proposal *proposal; /* owned reference */
	uint64_t number, leader, sent_ms;
	bool answered;
	int err;
	uint64_t index;
	struct buffer result;
	struct why why;
};

/* One group's. */
struct forward {
	struct forwarded *list, **tail;
	size_t count;
	uint64_t numbers;
	struct {
		uint64_t round, done, index, leader, sent_ms;
		bool asking, wanted;
	} read;
	struct {
		bool used, asked;
		uint64_t peer, number, round;
	} asked[CLUSTER_NODES_MAX]; /* reads of others */
};

/* After sodium_init. */
void forward_init(struct forward *forward);
void forward_fini(struct forward *forward);

/* Not leading: sends what is queued to the leader, if there is one. */
void forward_pump(struct consensus *consensus, struct group *group, uint64_t leader);
/* Leading now: what nobody has answered goes back into the queue. */
void forward_take_back(struct group *group);
/* Settles, sends again, answers others. */
void forward_turn(struct consensus *consensus, struct group *group);
/* A read of this node: joins a round. */
uint64_t forward_read(struct consensus *consensus, struct group *group);
void forward_frame(struct consensus *consensus, struct group *group, uint64_t peer, const struct peer_frame *frame);
/* Any thread: a proposal of another node has its outcome. Holds a reference of its own meanwhile. */
void forward_settled(struct proposal *proposal);

#endif
