/* peer_calls.h - the kinds of frames between nodes, and their bodies: msgpack, but for Raft messages (schemas/raft_message.h) and pairs of a state.
 *
 * A kind that a node does not know is ignored on a channel of messages and ends one of bulk: feature levels (members tell theirs in the
 * handshake) say what may be sent. */
#ifndef CAIRN_REPLICATION_PEER_CALLS_H
#define CAIRN_REPLICATION_PEER_CALLS_H

#include "schemas/command.h"

enum peer_frame_type {
	FRAME_RAFT = 1,
	FRAME_PROPOSE = 2,     /* [number, command]: to the leader */
	FRAME_PROPOSED = 3,    /* [number, error, index, result, sentence] */
	FRAME_READ = 4,        /* [number]: a linearizable read point is wanted */
	FRAME_READ_POINT = 5,  /* [number, error, index] */
	FRAME_LOST = 7,        /* [index]: the leader knows that the receiver has acknowledged entries up to there, and they are not in its log */
	FRAME_ADDRESS = 6,     /* text: how the sender is reached; the first frame of each connection, taken by peers.c */
	FRAME_STATE = 16,      /* bulk: [index]: the group's state, at that index or later */
	FRAME_STATE_PAIRS = 17, /* bulk: u32 key length, u32 value length, key, value; again and again */
	FRAME_STATE_END = 18,  /* bulk: [pairs, applied index] */
	FRAME_ERROR = 19,      /* bulk and joining: [error, sentence] */
	/* Bulk, about bytes (replica.h): any number of calls, one after the other. */
	FRAME_PULL = 32,       /* [volume, offset, wait ms] or [..., false]: records behind that place; all before it is durable at the caller, without false with all xorbs. Answer: FRAME_RECORDS, FRAME_RECORDS_END */
	FRAME_RECORDS = 33,    /* part of a run of {u8 kind, u8[3] 0, u32 length, payload}; of a xorb the payload is its hash and u32 body length */
	FRAME_RECORDS_END = 34, /* [records, volume, offset, at the end, bytes behind it] */
	FRAME_FIND = 35,       /* [0 file hash, 1 SHA-256, 2 xorb, 3 file hash or 4 range, hash]: records of files and their claims, how a xorb or those of a range were coded, or one file without its claims. Answered like FRAME_PULL */
	FRAME_XORB = 36,       /* [hash]. Answer: FRAME_XORB_BODY [length], FRAME_XORB_BYTES until it is there; or FRAME_ERROR */
	FRAME_XORB_BODY = 37,
	FRAME_XORB_BYTES = 38,
	/* [fetch, [hash, ...]] or [fetch, [hash, ...], [age ms, ...]]: which of these xorbs do you have? With fetch: get those that you lack first. With ages: keep
	 * each for as long as one that is so old. A node of an older version knows no ages, ends the stream at them, and is asked once more without. Answer: */
	FRAME_KEEP = 39,
	FRAME_KEPT = 40,       /* [epoch, [body length or 0, ...]] */
	FRAME_CARE = 41,       /* []: how is it with what you hold? [2 or more]: which version of the answer is known. Answer: */
	FRAME_CARED = 42,      /* [epoch, held, surplus, missing, surplus bytes/s, walking], of version 2 also lost, complete?, of version 3 more: replica_wire.c */
	/* Have I lost what you have? (replica_digest.c). A node that does not know these ends the stream. */
	FRAME_COMPARE = 48,    /* [1, first byte, seed]: digests of the 256 ranges of files and coded xorbs whose hashes begin with it (store.h). Answer: */
	FRAME_COMPARED = 49,   /* [1, 256 digests of 16 bytes] */
	FRAME_LIST = 50,       /* [1, 3 files or 4 claims, range, file or nothing, owner or nothing]: what is known of that range, behind that one. Answer: */
	FRAME_LISTED = 51,     /* [1, 3 or 4, more?, [hash, length, SHA-256 or nothing] ... or [hash, owner, claimed ms] ...] */
	FRAME_TABLE = 52,      /* [hash]: the chunks of a xorb. Answer: FRAME_TABLE_CHUNKS, all in one; or FRAME_ERROR */
	FRAME_TABLE_CHUNKS = 53, /* 40 bytes a chunk: hash, u32 end in the body, u32 end of what it holds */
	FRAME_CHUNKS = 54,     /* [hash, first, end]: chunks of a xorb as they are stored. Answered like FRAME_XORB, with whole chunks in each frame */
	FRAME_JOIN = 24,       /* [command id, node] */
	FRAME_JOINED = 25,     /* [cluster view] */
};

enum { STATE_PAIRS_BYTES_MAX = 512 << 10 }; /* of one frame, unless one pair is larger */

#endif
