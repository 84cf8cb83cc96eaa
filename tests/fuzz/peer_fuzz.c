/* What a peer, or a stranger on the peers' port, may send: a hello, a record of a channel, a Raft message. Decoding never reads outside the bytes;
 * what decodes encodes to the same bytes of meaning. */
#include "replication/peer_channel.h"
#include "schemas/raft_message.h"

#include <assert.h>
#include <stdlib.h>

static void check_message(struct span bytes)
{
	static struct wire_entry entries[RAFT_ENTRIES_MAX], again[RAFT_ENTRIES_MAX];
	struct message message, second;
	if (raft_message_decode(&message, entries, bytes) != 0)
		return;
	struct buffer out;
	buffer_init(&out, RAFT_MESSAGE_BYTES_MAX);
	assert(raft_message_encode(&out, &message, entries) == 0);
	assert(raft_message_decode(&second, again, buffer_span(&out)) == 0);
	assert(second.type == message.type && second.term == message.term);
	for (size_t i = 0; message.type == MESSAGE_APPEND && i < message.append.count; i++)
		assert(entries[i].index == again[i].index && entries[i].term == again[i].term && span_equal(entries[i].payload, again[i].payload));
	buffer_fini(&out);
}

static void check_hello(struct span bytes)
{
	static const uint8_t cluster[PEER_CLUSTER_ID_BYTES];
	static struct peer_keys keys;
	struct peer_channel channel;
	struct peer_hello hello;
	uint8_t proof[32], padded[PEER_HELLO_BYTES] = { 0 };
	if (keys.public_key[0] == 0)
		peer_keys_make(&keys);
	memcpy(padded, bytes.data, bytes.length < sizeof(padded) ? bytes.length : sizeof(padded));
	assert(peer_channel_answer(&channel, cluster, &keys, padded, &hello, proof) != 0); /* nobody guesses */
}

static void check_record(struct span bytes, enum peer_cipher cipher)
{
	struct peer_channel channel = { .cipher = cipher };
	struct peer_frame frame;
	struct buffer room;
	if (bytes.length < PEER_STREAM_HEADER_BYTES + 4 || peer_channel_begin(&channel, bytes.data) != 0)
		return;
	size_t length = peer_record_length(bytes.data + PEER_STREAM_HEADER_BYTES);
	if (length == 0 || length > bytes.length - PEER_STREAM_HEADER_BYTES - 4)
		return;
	uint8_t *record = malloc(length);
	memcpy(record, bytes.data + PEER_STREAM_HEADER_BYTES + 4, length);
	buffer_init(&room, PEER_FRAME_BYTES_MAX + 4096);
	assert(peer_channel_open(&channel, record, length, &room, &frame) != 0); /* nobody guesses */
	buffer_fini(&room);
	free(record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	if (sodium_init() < 0 || length == 0)
		return 0;
	struct span rest = span_of(data + 1, length - 1);
	if (data[0] == 0)
		check_hello(rest);
	else if (data[0] == 1)
		check_record(rest, PEER_XCHACHA20_POLY1305);
	else if (data[0] == 2 && peer_ciphers())
		check_record(rest, PEER_AES_256_GCM);
	else
		check_message(span_of(data, length));
	return 0;
}
