/* replica_chunks.c - chunks of xorbs that this node does not keep, as readers need them. Who takes them checks each by its hash. */
#include <stdlib.h>

#include "replication/peer_calls.h"
#include "replication/replica_parts.h"
#include "schemas/record.h"

static int send_call(struct peer_stream *stream, uint8_t type, const struct buffer *body, struct why *why)
{
	return body->failed ? ERR_NO_MEMORY : peer_stream_send(stream, type, 0, buffer_span(body), why);
}

int take_table(struct peer_stream *stream, const struct hash *xorb, struct table_taker *taker, bool *broken, struct why *why)
{
	struct buffer body;
	struct peer_frame frame;
	struct xorb_chunk *chunks = malloc(XORB_CHUNKS_MAX * sizeof(*chunks));
	buffer_init(&body, 64);
	pack_array(&body, 1);
	pack_bytes(&body, span_of(xorb->bytes, HASH_BYTES));
	int err = chunks ? send_call(stream, FRAME_TABLE, &body, why) : why_set(why, ERR_NO_MEMORY, "no memory for a chunk table");
	*broken = err != 0;
	buffer_fini(&body);
	if (err == 0) {
		err = peer_stream_receive(stream, &frame, why);
		*broken = err != 0 || (frame.type != FRAME_TABLE_CHUNKS && frame.type != FRAME_ERROR);
	}
	if (err == 0 && frame.type != FRAME_TABLE_CHUNKS) {
		err = error_of(&frame, why);
	} else if (err == 0) {
		uint32_t count = table_chunks_decode(chunks, frame.body);
		err = count ? taker->take(taker, chunks, count, why) : why_set(why, ERR_CORRUPT, "a chunk table does not parse");
	}
	free(chunks);
	return err;
}

static int receive_chunks(struct peer_stream *stream, struct chunk_taker *taker, uint64_t length, bool *broken, struct why *why)
{
	int err = 0;
	*broken = true; /* unless it comes to its end */
	for (uint64_t received = 0; err == 0 && received < length;) {
		struct peer_frame frame;
		err = peer_stream_receive(stream, &frame, why);
		if (err == 0 && frame.type != FRAME_XORB_BYTES) {
			*broken = frame.type != FRAME_ERROR;
			return error_of(&frame, why);
		}
		if (err == 0 && (frame.body.length == 0 || frame.body.length > length - received))
			err = why_set(why, ERR_CORRUPT, "another node sends other bytes than it has announced");
		if (err == 0)
			err = taker->take(taker, frame.body, why);
		received += err == 0 ? frame.body.length : 0;
	}
	*broken = err != 0;
	return err == 0 && taker->next != taker->end ? why_set(why, ERR_CORRUPT, "another node sends less than it was asked for") : err;
}

int take_chunks(struct peer_stream *stream, const struct hash *xorb, struct chunk_taker *taker, bool *broken, struct why *why)
{
	struct buffer body;
	uint64_t length = 0;
	buffer_init(&body, 64);
	chunks_call_encode(&body, &(struct chunks_call){ .xorb = *xorb, .first = taker->next, .end = taker->end });
	int err = send_call(stream, FRAME_CHUNKS, &body, why);
	*broken = err != 0;
	buffer_fini(&body);
	if (err == 0)
		err = receive_length(stream, &length, broken, why);
	return err ? err : receive_chunks(stream, taker, length, broken, why);
}
