/* read_rounds.h - when a leader may read: ReadIndex of the Raft dissertation, section 6.4.
 *
 * DESIGN. A leader notes its commit index and asks all voters for their term; once a majority, itself included, answered with none later than its own, no later
 * leader had committed anything when the round began. One round serves all reads that came before it, and those that come meanwhile share the next one.
 * Rounds are numbered; a question that is lost is repeated until the round is done or leadership lost.
 *
 * Used by one thread at a time (the driver's). */
#ifndef CAIRN_REPLICATION_READ_ROUNDS_H
#define CAIRN_REPLICATION_READ_ROUNDS_H

#include "replication/rio.h"

struct read_rounds {
	uint32_t group;
	uint64_t self;
	struct raft_engine *engine;
	const struct rio *rio;
	/* all zero at first */
	uint64_t round, done, lost;  /* the last one begun; the last one that found a majority; up to here leadership was lost */
	uint64_t index, done_index;  /* committed when they began */
	bool asking, wanted;         /* a round is under way; somebody needs another behind it */
	uint64_t answered[SERVERS_MAX];
	size_t answered_count;
};

/* Leader: the number of the round that serves a read which comes now. */
uint64_t read_rounds_join(struct read_rounds *rounds);
/* 0 and the index that must be applied before reading, ERR_AGAIN: the round is under way, ERR_CLOSED: leadership was lost, ask again. */
int read_rounds_index(const struct read_rounds *rounds, uint64_t round, uint64_t *index);
/* A probe or its result: answers the one, counts the other. */
void read_rounds_receive(struct read_rounds *rounds, const struct message *message);
/* Other voters count from now on: one that has left answers no more. */
void read_rounds_recount(struct read_rounds *rounds);
/* Asks again what was not answered. */
void read_rounds_repeat(struct read_rounds *rounds);
/* This node leads no more. */
void read_rounds_lose(struct read_rounds *rounds);

#endif
