/* standby_votes.h - votes of servers that do not know yet that they are voters: the Raft dissertation, section 4.2.2.
 *
 * DESIGN. A configuration holds for who has it in its log. One that has it may need the vote of a server that is a voter by it and does not know so yet: from
 * one voter to two, where both are needed, there may never be another way. The engine refuses; its refusal is turned into a vote where a voter would give
 * one, once in a term.
 *
 * Used by one thread at a time (the driver's). */
#ifndef CAIRN_REPLICATION_STANDBY_VOTES_H
#define CAIRN_REPLICATION_STANDBY_VOTES_H

#include "replication/rio.h"

struct standby_votes {
	uint32_t group;
	uint64_t self;
	struct raft_engine *engine;
	const struct rio *rio;
	/* all zero at first */
	const struct message *candidate; /* its request is being stepped, and this stand-by would vote for it */
	struct {
		uint64_t term, id;
	} voted;                         /* the last vote as a stand-by; the engine knows it in the next life only */
};

/* Where this server's log ends, and when it last heard of a leader, on the clock of rio. */
struct standby_log {
	uint64_t last_index, last_term, contact_ms;
};

/* True: the request must not be stepped, as another got this term's vote. It may have been a stand-by's, and this server a voter since. */
bool standby_has_voted_for_another(const struct standby_votes *votes, const struct message *request);
/* True: `request`, borrowed until standby_decided, gets a vote if the engine refuses it. */
bool standby_would_vote(struct standby_votes *votes, const struct message *request, const struct standby_log *log);
/* The engine's refusal, which becomes a vote if it answers the candidate's request; the vote is durable then. */
void standby_vote(struct standby_votes *votes, struct message *refusal);
void standby_decided(struct standby_votes *votes);

#endif
