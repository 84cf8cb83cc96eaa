/* replica_wire.h - the frames about bytes (peer_calls.h), read and written. Nothing here is shared between threads. */
#ifndef CAIRN_REPLICATION_REPLICA_WIRE_H
#define CAIRN_REPLICATION_REPLICA_WIRE_H

#include "replication/peer_stream.h"
#include "replication/replica.h"
#include "store/store.h"

enum {
	RECORD_HEAD_BYTES = 8,
	RECORDS_BYTES_MAX = (96 << 20) + (16 << 20), /* of one answer: a batch and one record of any size */
	RECORDS_MAX = 8192,                          /* of one answer */
	XORB_NAME_BYTES = HASH_BYTES + 4,
	KEEP_XORBS_MAX = 1024,
	FIND_FILE = 0,
	FIND_SHA256 = 1,
	FIND_CODED = 2, /* how a xorb was coded */
	FIND_RECORD = 3, /* only asked of who has answered FRAME_COMPARE */
	FIND_RANGE_CODED = 4, /* how the xorbs of a range were coded, RANGE_CODED_MAX of them: the digest begins with the range */
	LIST_ITEMS_MAX = 512,
	RANGE_CODED_MAX = RECORDS_MAX / 4, /* CODINGS_MAX each */
};

struct pull_call {
	struct record_place from;
	uint32_t wait_ms;
	bool partial; /* some xorbs before it belong to other nodes, and were not taken */
};
void pull_call_encode(struct buffer *out, const struct pull_call *call);
int pull_call_decode(struct pull_call *out, struct span body);

#define KEEP_ANY_AGE_MS UINT64_MAX
struct keep_call {
	bool fetch;
	bool aged;                        /* each is to be kept for as long as one of that age; of any, if it is KEEP_ANY_AGE_MS */
	size_t count;
	struct hash xorbs[KEEP_XORBS_MAX];
	uint64_t ages_ms[KEEP_XORBS_MAX];
};
/* A node of an older version does not know ages, and ends the stream. */
void keep_call_encode(struct buffer *out, const struct keep_call *call, bool with_ages);
int keep_call_decode(struct keep_call *out, struct span body);

struct kept {
	uint64_t epoch;                  /* of the placement that the node goes by */
	size_t count;
	uint32_t lengths[KEEP_XORBS_MAX]; /* of the bodies that it has; 0: it has not */
};
void kept_encode(struct buffer *out, const struct kept *kept);
int kept_decode(struct kept *out, struct span body);

/* How it is with what a node holds. The caller says which version of the answer it knows; nodes answer with one that both know. */
enum { CARE_VERSION = 3 };
void care_call_encode(struct buffer *out);
unsigned care_call_decode(struct span body);
void care_encode(struct buffer *out, unsigned version, const struct replica_care *care);
int care_decode(struct replica_care *out, struct span body);

struct find_call {
	unsigned what;
	uint8_t digest[HASH_BYTES];
};
void find_call_encode(struct buffer *out, const struct find_call *call);
int find_call_decode(struct find_call *out, struct span body);

struct compare_call {
	uint8_t first;
	uint64_t seed;
};
void compare_call_encode(struct buffer *out, const struct compare_call *call);
int compare_call_decode(struct compare_call *out, struct span body);

struct compared {
	struct range_digest ranges[STORE_RANGES];
};
void compared_encode(struct buffer *out, const struct compared *compared);
int compared_decode(struct compared *out, struct span body);

struct list_call {
	uint8_t kind; /* VOLUME_FILE or VOLUME_CLAIM */
	uint16_t range;
	bool is_next; /* behind `after`, of which files have no owner */
	struct known_claim after;
};
void list_call_encode(struct buffer *out, const struct list_call *call);
int list_call_decode(struct list_call *out, struct span body);

struct listed {
	uint8_t kind;
	bool more;
	size_t count;
	union {
		struct known_file files[LIST_ITEMS_MAX];
		struct known_claim claims[LIST_ITEMS_MAX];
	};
};
void listed_encode(struct buffer *out, const struct listed *listed);
int listed_decode(struct listed *out, struct span body);

struct chunks_call {
	struct hash xorb;
	uint32_t first, end;
};
void chunks_call_encode(struct buffer *out, const struct chunks_call *call);
int chunks_call_decode(struct chunks_call *out, struct span body);

enum { TABLE_CHUNK_BYTES = HASH_BYTES + 8 };
void table_chunks_encode(struct buffer *out, const struct xorb_chunk *chunks, uint32_t count);
/* How many there are, XORB_CHUNKS_MAX at most; nothing is said of their sense. 0: it does not parse. */
uint32_t table_chunks_decode(struct xorb_chunk *out, struct span body);

struct records_end {
	uint32_t records;
	struct record_place next;
	bool at_end;
	uint64_t behind_bytes; /* what is left behind `next` */
};
void records_end_encode(struct buffer *out, const struct records_end *end);
int records_end_decode(struct records_end *out, struct span body);

struct xorb_name {
	struct hash xorb;
	uint32_t body_length;
};
void xorb_name_encode(uint8_t out[XORB_NAME_BYTES], const struct xorb_name *name);
int xorb_name_decode(struct xorb_name *out, struct span payload);

/* The next record of a run: 1 and *out, which borrows; 0 at the end; ERR_CORRUPT. */
int records_next(struct span *run, struct store_record *out);

/* Appends one. ERR_NO_MEMORY. */
int records_add(struct buffer *run, uint8_t kind, struct span payload);

/* ---- over a stream; all [block] ---- */

/* Sends records in parts of REPLICA_PART_BYTES. */
struct records_out {
	struct peer_stream *stream;
	struct buffer part;
	uint32_t count;
};
void records_out_init(struct records_out *out, struct peer_stream *stream);
void records_out_fini(struct records_out *out);
int records_out_add(struct records_out *out, uint8_t kind, struct span payload, struct why *why);
int records_out_end(struct records_out *out, const struct records_end *end, struct why *why);

/* Receives an answer whole: the run into `run` (cleared before), what is said behind it into *end. A refusal is the result. */
int records_receive(struct peer_stream *stream, struct buffer *run, struct records_end *end, struct why *why);

/* One call and its answer; a refusal is the result. */
int call_exchange(struct peer_stream *stream, uint8_t type, const struct buffer *body, uint8_t answer_type, struct peer_frame *out, struct why *why);
int error_send(struct peer_stream *stream, int err, const char *sentence);
/* The error that a frame carries; ERR_CORRUPT when it is not one of errors. */
int error_of(const struct peer_frame *frame, struct why *why);

#endif
