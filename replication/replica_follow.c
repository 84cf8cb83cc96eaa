/* replica_follow.c - follows the records of one other node, on a thread of its own. */
#include <stdio.h>
#include <stdlib.h>

#include "replication/peer_calls.h"
#include "replication/replica_parts.h"
#include "schemas/volume_record.h"

static bool is_over(const struct peer *peer)
{
	return atomic_load(&peer->leave) || atomic_load(&peer->replica->stop);
}

static int send_pull(struct peer_stream *stream, const struct pull_call *call, struct why *why)
{
	struct buffer body;
	buffer_init(&body, 64);
	pull_call_encode(&body, call);
	int err = peer_stream_send(stream, FRAME_PULL, 0, buffer_span(&body), why);
	buffer_fini(&body);
	return err;
}

/* Of nodes that are reached; `gone_bytes` more were gone over. Under the lock. */
static void note_left(struct replica *replica, uint64_t gone_bytes)
{
	uint64_t left_bytes = 0;
	for (size_t i = 0; i < replica->peers_count; i++)
		if (replica->peers[i].member && replica->peers[i].connected)
			left_bytes += replica->peers[i].behind_bytes;
	backlog_note(&replica->catching_up, gone_bytes, left_bytes, replica_now_ms());
}

/* About what records take in the volumes of the node that sent them. */
static uint64_t run_bytes(struct span run)
{
	uint64_t bytes = run.length;
	struct store_record record;
	struct xorb_name name;
	while (records_next(&run, &record) == 1)
		if (record.kind == VOLUME_XORB && xorb_name_decode(&name, record.payload) == 0)
			bytes += name.body_length;
	return bytes;
}

static void note_batch(struct peer *peer, const struct records_end *end, struct span run)
{
	uint64_t bytes = run_bytes(run);
	pthread_mutex_lock(&peer->replica->lock);
	peer->batch_bytes = bytes;
	peer->behind_bytes = end->behind_bytes + bytes;
	note_left(peer->replica, 0);
	pthread_mutex_unlock(&peer->replica->lock);
}

void replica_note_received(struct peer *peer, uint64_t bytes)
{
	pthread_mutex_lock(&peer->replica->lock);
	uint64_t gone_bytes = bytes < peer->batch_bytes ? bytes : peer->batch_bytes;
	peer->batch_bytes -= gone_bytes;
	peer->behind_bytes -= gone_bytes;
	note_left(peer->replica, gone_bytes);
	pthread_mutex_unlock(&peer->replica->lock);
}

/* What is left of the batch was here already, or belongs elsewhere. */
static void note_progress(struct peer *peer, const struct records_end *end)
{
	pthread_mutex_lock(&peer->replica->lock);
	uint64_t gone_bytes = peer->batch_bytes;
	peer->batch_bytes = 0;
	peer->behind_bytes = end->behind_bytes;
	note_left(peer->replica, gone_bytes);
	peer->current = end->at_end;
	if (end->at_end) {
		peer->was_current = true;
		peer->current_at_ms = replica_now_ms();
	}
	peer->trouble[0] = 0;
	pthread_mutex_unlock(&peer->replica->lock);
}

static int follow(struct peer *peer, uint64_t node_id, struct peer_stream *stream, struct why *why)
{
	struct store *store = peer->replica->config.store;
	struct pull_call call = { .partial = true }; /* who knows what an earlier run has left to others */
	struct records_end end;
	struct take take;
	take_init(&take, peer->replica, peer, stream);
	int err = store_mark_get(store, node_id, &call.from);
	while (err == 0 && !is_over(peer)) {
		err = send_pull(stream, &call, why);
		if (err == 0)
			err = records_receive(stream, &take.run, &end, why);
		if (err)
			break;
		note_batch(peer, &end, buffer_span(&take.run));
		take.far_behind_bytes = end.behind_bytes;
		err = take_run(&take, why);
		bool moved = end.next.volume != call.from.volume || end.next.offset != call.from.offset;
		if (err == 0 && moved)
			err = store_mark_put(store, node_id, &end.next);
		if (err)
			break;
		call = (struct pull_call){ .from = end.next, .wait_ms = REPLICA_PULL_MS, .partial = take.partial };
		note_progress(peer, &end);
	}
	take_fini(&take);
	return err;
}

static void note_connected(struct peer *peer, int fd)
{
	pthread_mutex_lock(&peer->replica->lock);
	peer->fd = fd;
	peer->connected = fd >= 0;
	peer->current = peer->current && fd >= 0;
	peer->knows_ages = peer->knows_ages && fd >= 0; /* it may come back with an older program */
	note_left(peer->replica, 0);
	if (peer->connected)
		peer->shunned_until_ms = 0; /* it answers again */
	pthread_mutex_unlock(&peer->replica->lock);
}

/* Said once until it changes. */
static void note_trouble(struct peer *peer, uint64_t node_id, int err, const char *sentence)
{
	pthread_mutex_lock(&peer->replica->lock);
	bool is_new = strncmp(peer->trouble, sentence, sizeof(peer->trouble) - 1) != 0;
	snprintf(peer->trouble, sizeof(peer->trouble), "%.127s", sentence);
	pthread_mutex_unlock(&peer->replica->lock);
	if (is_new && err != ERR_CLOSED && !is_over(peer))
		fprintf(stderr, "cairn: replica: following node %016llx: %s\n", (unsigned long long)node_id, sentence[0] ? sentence : err_name(err));
}

static bool follow_once(struct peer *peer)
{
	struct peer_stream stream;
	struct cluster_node node;
	struct why why = { 0 };
	pthread_mutex_lock(&peer->replica->lock);
	node = peer->node;
	pthread_mutex_unlock(&peer->replica->lock);
	int err = consensus_call(peer->replica->config.consensus, &node, 0, &stream, &why);
	bool reached = err == 0;
	if (reached) {
		stream.wait_ms = REPLICA_STREAM_WAIT_MS;
		note_connected(peer, stream.fd);
		err = is_over(peer) ? 0 : follow(peer, node.node_id, &stream, &why);
		note_connected(peer, -1);
		peer_stream_close(&stream);
	}
	if (err)
		note_trouble(peer, node.node_id, err, why.text);
	return reached && err == ERR_CLOSED;
}

void *replica_follow(void *context)
{
	struct peer *peer = context;
	struct replica *replica = peer->replica;
	uint64_t retry_ms = REPLICA_RETRY_MS_MIN;
	while (!is_over(peer)) {
		uint64_t began_ms = replica_now_ms();
		bool cut = follow_once(peer);
		retry_ms = cut && replica_now_ms() - began_ms > REPLICA_RETRY_MS_MAX ? REPLICA_RETRY_MS_MIN : 2 * retry_ms;
		retry_ms = retry_ms < REPLICA_RETRY_MS_MAX ? retry_ms : REPLICA_RETRY_MS_MAX;
		struct timespec until = replica_in_ms(retry_ms);
		pthread_mutex_lock(&replica->lock);
		while (!is_over(peer) && pthread_cond_timedwait(&replica->wake, &replica->lock, &until) == 0)
			;
		pthread_mutex_unlock(&replica->lock);
	}
	return NULL;
}
