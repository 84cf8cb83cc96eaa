/* raft_message.h - what Raft peers say to each other, in memory and on the wire.
 *
 * On the wire a message is one msgpack array [type, term, ...fields of the type]; entries of an append are [type, index, term, payload]. An
 * append between peers is cut into pieces of RAFT_APPEND_BYTES_MAX, each a message of its own, so that a follower far behind never makes anyone
 * hold more. Decoding borrows the caller's bytes, allocates nothing and checks every length against what is left. Pure. */
#ifndef CAIRN_SCHEMAS_RAFT_MESSAGE_H
#define CAIRN_SCHEMAS_RAFT_MESSAGE_H

#include "schemas/record.h"

enum {
	RAFT_ENTRIES_MAX = 64,               /* of one append */
	RAFT_ENTRY_BYTES_MAX = 2 << 20,      /* one payload: a full entry of commands and a single large command fit */
	RAFT_APPEND_BYTES_MAX = 1 << 20,     /* payloads of one append, unless one entry alone is larger */
	RAFT_CONFIGURATION_BYTES_MAX = 16 << 10,
	RAFT_MESSAGE_BYTES_MAX = RAFT_ENTRY_BYTES_MAX + RAFT_APPEND_BYTES_MAX + (64 << 10),
};

enum message_type {
	MESSAGE_APPEND = 1,
	MESSAGE_APPEND_RESULT,
	MESSAGE_VOTE,
	MESSAGE_VOTE_RESULT,
	MESSAGE_INSTALL,
	MESSAGE_TIMEOUT_NOW,
	MESSAGE_PROBE,        /* does anyone know of a later term? Asked before a read is answered */
	MESSAGE_PROBE_RESULT,
};

struct log_entry;
/* A message between peers. An outgoing append carries a count only: the driver adds the entries; an outgoing install
 * carries indexes only. */
struct message {
	enum message_type type;
	uint64_t peer; /* where to, or where from: not on the wire, the channel knows */
	uint64_t term;
	union {
		struct {
			uint64_t previous_index, previous_term, commit;
			struct log_entry **entries; /* received: borrowed; outgoing: NULL */
			size_t count;
		} append;
		struct {
			uint64_t rejected, last_index;
			uint16_t features, capacity;
		} append_result;
		struct {
			uint64_t last_index, last_term;
			bool disrupt_leader, pre_vote;
		} vote;
		struct {
			bool granted, pre_vote;
			uint16_t features, capacity;
		} vote_result;
		struct {
			uint64_t last_index, last_term, configuration_index;
			struct span configuration; /* borrowed */
		} install;
		struct {
			uint64_t last_index, last_term;
		} timeout_now;
		struct {
			uint64_t round;
			uint64_t asker_term; /* of a result: the term of the question, so that an answer to an earlier life is told apart */
		} probe; /* and its result */
	};
};

struct wire_entry {
	uint8_t type;
	uint64_t index, term;
	struct span payload;
};

/* Appends. `entries`: message->append.count of them for an append. ERR_TOO_BIG, ERR_NO_MEMORY. */
int raft_message_encode(struct buffer *out, const struct message *message, const struct wire_entry *entries);
/* 0, ERR_CORRUPT, or ERR_UNSUPPORTED for a type of tomorrow. append.count entries go to `entries` (RAFT_ENTRIES_MAX of room); append.entries stays NULL. */
int raft_message_decode(struct message *out, struct wire_entry *entries, struct span bytes);

#endif
