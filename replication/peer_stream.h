/* peer_stream.h - a channel over a blocking socket, for what is long or rare: joining, copying a state. One thread at a time.
 *
 * Every wait is bounded by wait_ms without progress. */
#ifndef CAIRN_REPLICATION_PEER_STREAM_H
#define CAIRN_REPLICATION_PEER_STREAM_H

#include "replication/peer_channel.h"

enum { PEER_STREAM_WAIT_MS = 15 * 1000, PEER_STREAM_CONNECT_MS = 5 * 1000 };

struct peer_stream {
	int fd;
	uint64_t peer; /* node id */
	int wait_ms;   /* without progress; PEER_STREAM_WAIT_MS unless set */
	struct peer_channel channel;
	struct buffer out, in, plain, room; /* plain, room: of a cipher that does not work in place */
};

struct peer_call {
	const char *address; /* "host:port" */
	const uint8_t *cluster_id, *remote_key, *proof_secret;
	const struct peer_keys *own;
	struct peer_hello hello;
	int wait_ms; /* for the callee's part of the handshake; 0: PEER_STREAM_WAIT_MS */
};
/* [blocks] ERR_CLOSED (nobody there, or nobody that understands us), ERR_DENIED with the callee's reason in *status. */
int peer_stream_open(struct peer_stream *out, const struct peer_call *call, enum peer_status *status, struct why *why);
/* Takes over a connected socket whose handshake is done. */
void peer_stream_take(struct peer_stream *out, int fd, uint64_t peer, const struct peer_channel *channel);
void peer_stream_close(struct peer_stream *stream);
/* [blocks] */
int peer_stream_send(struct peer_stream *stream, uint8_t type, uint32_t group, struct span body, struct why *why);
/* [blocks] The frame's body is borrowed until the next call. */
int peer_stream_receive(struct peer_stream *stream, struct peer_frame *out, struct why *why);

#endif
