#include "replication/join.h"

#include "replication/peer_calls.h"

#include <stdlib.h>
#include <time.h>

enum { JOIN_BODY_BYTES_MAX = 256 << 10, PROPOSE_MS = 20 * 1000, PAUSE_MS = 500 };

static int take_answer(struct cluster_view *out, const struct peer_frame *frame, struct why *why)
{
	struct cursor cursor = cursor_of(frame->body);
	if (frame->type == FRAME_JOINED)
		return cluster_view_take(&cursor, out) && cursor_done(&cursor) && out->has_secret ? 0 : why_set(why, ERR_CORRUPT, "the cluster's answer does not parse");
	if (frame->type != FRAME_ERROR)
		return why_set(why, ERR_CORRUPT, "the cluster's answer is none");
	cursor_array(&cursor, 2);
	int64_t err = cursor_i64(&cursor);
	struct span sentence = cursor_text(&cursor, WHY_BYTES_MAX - 1);
	return why_set(why, err < 0 && err > -64 ? (int)err : ERR_CORRUPT, "%.*s", (int)sentence.length, sentence.data ? (const char *)sentence.data : "");
}

static int ask_one(struct cluster_view *out, const struct cluster_node *node, const struct join_token *token, const struct peer_keys *keys,
	const struct cluster_node *self, uint32_t feature_level, struct why *why)
{
	uint8_t proof[PEER_SECRET_BYTES];
	struct peer_stream stream;
	enum peer_status status;
	struct peer_call call = { .address = node->address, .cluster_id = token->cluster_id, .remote_key = node->public_key, .proof_secret = proof,
		.own = keys, .hello = { .purpose = PEER_JOIN, .feature_level = feature_level, .from = self->node_id, .to = node->node_id } };
	join_token_proof(proof, token->secret);
	memcpy(call.hello.token_id, token->id, PEER_TOKEN_ID_BYTES);
	int err = peer_stream_open(&stream, &call, &status, why);
	sodium_memzero(proof, sizeof(proof));
	if (err)
		return err;
	struct command_id id;
	struct buffer body;
	struct peer_frame frame;
	command_id_make(&id);
	buffer_init(&body, JOIN_BODY_BYTES_MAX);
	pack_array(&body, 2);
	pack_bytes(&body, span_of(id.bytes, sizeof(id.bytes)));
	cluster_node_pack(&body, self);
	err = peer_stream_send(&stream, FRAME_JOIN, GROUP_CLUSTER, buffer_span(&body), why);
	if (err == 0)
		err = peer_stream_receive(&stream, &frame, why);
	if (err == 0)
		err = take_answer(out, &frame, why);
	buffer_fini(&body);
	peer_stream_close(&stream);
	return err;
}

int join_ask(struct cluster_view *out, const struct join_token *token, const struct peer_keys *keys, const struct cluster_node *self,
	uint32_t feature_level, const struct cluster_config *cluster, struct why *why)
{
	int err = ERR_CLOSED;
	for (int waited_ms = 0; waited_ms < JOIN_MS_MAX; waited_ms += PAUSE_MS) {
		for (size_t i = 0; i < token->nodes_count; i++) {
			err = ask_one(out, &token->nodes[i], token, keys, self, feature_level, why);
			/* A node that lags does not know a new token yet: its refusal is believed only after a while. */
			if (err == 0 || err == ERR_CONFLICT || err == ERR_INVALID || (err == ERR_DENIED && waited_ms > 10 * PAUSE_MS))
				return err;
		}
		if (cluster->give_up && cluster->give_up(cluster->give_up_context))
			return why_set(why, ERR_CLOSED, "told to stop before the cluster answered");
		nanosleep(&(struct timespec){ .tv_nsec = PAUSE_MS * 1000000L }, NULL);
	}
	return err;
}

/* ---- the other side ---- */

static int let_in(struct cluster_view *out, struct consensus *consensus, const struct state_machine *machine, const uint8_t *token_id,
	struct peer_stream *stream, struct why *why)
{
	struct peer_frame frame;
	struct cluster_node node;
	struct command_id id;
	int err = peer_stream_receive(stream, &frame, why);
	if (err)
		return err;
	struct cursor cursor = cursor_of(frame.body);
	cursor_array(&cursor, 2);
	struct span id_bytes = cursor_bytes(&cursor, sizeof(id.bytes));
	if (frame.type != FRAME_JOIN || id_bytes.length != sizeof(id.bytes) || !cluster_node_take(&cursor, &node) || !cursor_done(&cursor))
		return why_set(why, ERR_INVALID, "this is not how a node asks to join");
	memcpy(id.bytes, id_bytes.data, sizeof(id.bytes));
	if (node.node_id != stream->peer)
		return why_set(why, ERR_INVALID, "a node can ask for itself only");
	memcpy(node.public_key, stream->channel.remote_static, NODE_KEY_BYTES); /* the key that it has proven to own */
	struct buffer command;
	struct proposal_result result = { 0 };
	buffer_init(&command, COMMAND_BYTES_MAX);
	err = machine->join_command(machine->context, &node, token_id, &id, &command);
	if (err == 0)
		err = consensus_propose(consensus, GROUP_CLUSTER, &id, buffer_span(&command), PROPOSE_MS, &result, why);
	buffer_fini(&command);
	buffer_fini(&result.result);
	if (err == 0 && machine->cluster(machine->context, consensus_db(consensus), out) != 0)
		err = why_set(why, ERR_IO, "cannot read the nodes of the cluster");
	return err;
}

void join_serve(struct peer_stream *stream, struct consensus *consensus, const struct state_machine *machine, const uint8_t *token_id)
{
	struct why why = { 0 };
	struct buffer body;
	struct cluster_view *view = calloc(1, sizeof(*view));
	buffer_init(&body, JOIN_BODY_BYTES_MAX);
	int err = view ? let_in(view, consensus, machine, token_id, stream, &why) : ERR_NO_MEMORY;
	if (err == 0) {
		cluster_view_pack(&body, view);
		peer_stream_send(stream, FRAME_JOINED, GROUP_CLUSTER, buffer_span(&body), NULL);
	} else {
		pack_array(&body, 2);
		pack_i64(&body, err);
		pack_text(&body, span_text(why.text));
		peer_stream_send(stream, FRAME_ERROR, GROUP_CLUSTER, buffer_span(&body), NULL);
	}
	buffer_fini(&body);
	if (view)
		sodium_memzero(view, sizeof(*view));
	free(view);
}
