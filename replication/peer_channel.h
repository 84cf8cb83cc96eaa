/* peer_channel.h - an authenticated, encrypted channel between two nodes, as bytes in and bytes out. No I/O.
 *
 * DESIGN. The handshake is the pattern IK of the Noise framework over libsodium (X25519, ChaCha20-Poly1305, BLAKE2b): the caller knows the
 * callee's static key, the callee learns the caller's from the first message, both prove theirs, and keys are fresh for every connection.
 * The cluster id is mixed in first, so nodes of two clusters do not understand each other. Inside the first message the caller proves that it
 * knows a secret of the cluster: the cluster secret (a member), or that of a join token (a node that wants to become one).
 *
 *   caller -> callee   u8 1, e, encrypted(s), encrypted(hello)     PEER_HELLO_BYTES
 *   callee -> caller   e, encrypted(welcome)                       PEER_WELCOME_BYTES
 *   both directions    a header (24 bytes), then records: u32 length (little-endian), then that many bytes sealed by the cipher that both ends
 *                      know best (peer_cipher.h), whose plain text is a frame {u8 version, u8 type, u16 0, u32 group, body}
 *
 * hello       u8 1, u8 purpose, u8 ciphers offered, u8 0, u32 feature level, u64 from, u64 to, token id (16), proof (32), u64 instance
 * welcome     u8 1, u8 status, u8 cipher, u8 0, u32 0, u64 node id, zeros (16)
 *
 * A program that knows no other cipher than XChaCha20-Poly1305 offers 0 and answers 0. Nobody in between can choose for the two: offer and answer are
 * sealed, and the key of a direction is made of the name of its cipher.
 *
 * Who does not know the callee's public key and a secret gets no byte in answer. A recorded hello that is played again gets a welcome it
 * cannot read and no further: nothing is done for a caller before its first record opens. A changed, dropped or reordered record ends the
 * channel. The tag of each record also guards against corruption, so frames carry no checksum of their own.
 *
 * A channel belongs to one thread at a time. */
#ifndef CAIRN_REPLICATION_PEER_CHANNEL_H
#define CAIRN_REPLICATION_PEER_CHANNEL_H

#include "replication/peer_cipher.h"

enum {
	PEER_PROTOCOL = 1,
	PEER_KEY_BYTES = 32,
	PEER_SECRET_BYTES = 32,
	PEER_CLUSTER_ID_BYTES = 16,
	PEER_TOKEN_ID_BYTES = 16,
	PEER_HELLO_PLAIN_BYTES = 80,
	PEER_HELLO_BYTES = 1 + 32 + (32 + 16) + (PEER_HELLO_PLAIN_BYTES + 16),
	PEER_WELCOME_PLAIN_BYTES = 32,
	PEER_WELCOME_BYTES = 32 + PEER_WELCOME_PLAIN_BYTES + 16,
	PEER_FRAME_VERSION = 1,
	PEER_FRAME_HEADER_BYTES = 8,
	PEER_FRAME_BYTES_MAX = 8 << 20,
	PEER_RECORD_OVERHEAD_BYTES = 4 + PEER_SEAL_BYTES_MAX,
};

enum peer_purpose {
	PEER_MESSAGES = 1, /* one way: Raft messages and calls of a member */
	PEER_BULK,         /* one call and its answer, of any length */
	PEER_JOIN,         /* a node that is no member yet, with a join token */
};
/* What the callee says to a caller that has proven itself. */
enum peer_status {
	PEER_ACCEPTED = 0,
	PEER_REMOVED,      /* this node id was removed from the cluster */
	PEER_KEY_CHANGED,  /* this node id belongs to another key: two nodes with one id */
	PEER_NOT_ME,       /* another node than the one that was called */
	PEER_BAD_TOKEN,    /* the join token is unknown, used or too old */
	PEER_TOO_OLD,      /* the caller does not know the feature level that the cluster is at */
	PEER_FULL,
};
const char *peer_status_sentence(enum peer_status status);

struct peer_keys {
	uint8_t public_key[PEER_KEY_BYTES], secret_key[PEER_KEY_BYTES];
};
void peer_keys_make(struct peer_keys *out);

struct peer_hello {
	uint8_t purpose;
	uint32_t feature_level;
	uint64_t from, to;                     /* node ids; to 0: whoever has that key */
	uint64_t instance;                     /* made at each start of the caller: two nodes with one id show */
	uint8_t token_id[PEER_TOKEN_ID_BYTES]; /* joining */
};

struct peer_channel {
	uint8_t hash[32], chaining[32], key[32]; /* of the handshake; wiped at its end */
	uint8_t proven_hash[32];                 /* what the caller's proof is about */
	uint8_t ephemeral_secret[32], ephemeral_public[32];
	uint8_t remote_static[PEER_KEY_BYTES], remote_ephemeral[32];
	uint8_t send_key[32], receive_key[32];
	uint8_t offered; /* ciphers; of the caller */
	enum peer_cipher cipher;
	bool sending, receiving;
	struct peer_seal out, in;
};

/* ---- the caller ---- */
/* Writes PEER_HELLO_BYTES. `proof_secret`: the cluster secret, or the hash of the join token's. ERR_INVALID: a bad key. */
int peer_channel_call(struct peer_channel *channel, const uint8_t cluster_id[PEER_CLUSTER_ID_BYTES], const struct peer_keys *own,
	const uint8_t remote[PEER_KEY_BYTES], const struct peer_hello *hello, const uint8_t proof_secret[PEER_SECRET_BYTES], uint8_t *out);
/* Reads PEER_WELCOME_BYTES; *node_id is the callee's. ERR_CORRUPT: not from who was called; ERR_UNSUPPORTED: it answers what this
 * program does not know. */
int peer_channel_called(struct peer_channel *channel, const struct peer_keys *own, const uint8_t *welcome, enum peer_status *status, uint64_t *node_id);

/* ---- the callee ---- */
/* Reads PEER_HELLO_BYTES; the caller's static key is in remote_static. `proof` is to be checked with peer_channel_proven. ERR_CORRUPT: say nothing, hang up. */
int peer_channel_answer(struct peer_channel *channel, const uint8_t cluster_id[PEER_CLUSTER_ID_BYTES], const struct peer_keys *own, const uint8_t *hello_bytes,
	struct peer_hello *hello, uint8_t proof[32]);
bool peer_channel_proven(const struct peer_channel *channel, const uint8_t proof[32], const uint8_t secret[PEER_SECRET_BYTES]);
/* Writes PEER_WELCOME_BYTES. */
int peer_channel_welcome(struct peer_channel *channel, enum peer_status status, uint64_t node_id, uint8_t *out);

/* ---- records ---- */
/* Appends a record that holds the frame, behind the stream header if it is the first. `room` is overwritten. */
int peer_channel_seal(struct peer_channel *channel, struct buffer *out, uint8_t type, uint32_t group, struct span body, struct buffer *room);
/* The peer's stream header. */
int peer_channel_begin(struct peer_channel *channel, const uint8_t header[PEER_STREAM_HEADER_BYTES]);
/* Bytes that follow a record's length, or 0: not a length that is accepted. */
size_t peer_record_length(const uint8_t length[4]);
struct peer_frame {
	uint8_t type;
	uint32_t group;
	struct span body; /* borrows the record, or `room` */
};
/* Opens what follows the length, there or in `room`; the record's bytes are overwritten. ERR_CORRUPT, ERR_NO_MEMORY, ERR_UNSUPPORTED (a frame version of
 * tomorrow): end the channel. */
int peer_channel_open(struct peer_channel *channel, uint8_t *record, size_t length, struct buffer *room, struct peer_frame *out);
void peer_channel_wipe(struct peer_channel *channel);

#endif
