/* replica_fetch.c - what a reader misses is asked of the other members at once, on the reader's thread.
 *
 * Only members that this node follows right now are asked: nobody waits for one that is down. */
#include <stdio.h>
#include <stdlib.h>

#include "replication/replica_parts.h"

/* ---- streams ---- */

static void note_fd(struct replica *replica, int from, int to)
{
	for (size_t i = 0; i < FETCH_STREAMS_MAX; i++)
		if (replica->fetch_fds[i] == from) {
			replica->fetch_fds[i] = to;
			return;
		}
}

static struct peer_stream *take_idle(struct replica *replica, struct peer *peer)
{
	struct peer_stream *stream = NULL;
	pthread_mutex_lock(&replica->lock);
	for (size_t i = 0; i < IDLE_STREAMS_MAX && !stream; i++) {
		stream = peer->idle[i];
		peer->idle[i] = NULL;
	}
	if (stream)
		note_fd(replica, -1, stream->fd);
	pthread_mutex_unlock(&replica->lock);
	return stream;
}

static struct peer_stream *call(struct replica *replica, struct peer *peer, struct why *why)
{
	struct peer_stream *stream = malloc(sizeof(*stream));
	struct cluster_node node;
	pthread_mutex_lock(&replica->lock);
	node = peer->node;
	pthread_mutex_unlock(&replica->lock);
	if (!stream || consensus_call(replica->config.consensus, &node, stream, why) != 0) {
		free(stream);
		return NULL;
	}
	stream->wait_ms = REPLICA_FETCH_WAIT_MS;
	pthread_mutex_lock(&replica->lock);
	note_fd(replica, -1, stream->fd);
	pthread_mutex_unlock(&replica->lock);
	return stream;
}

static void hang_up(struct peer_stream *stream)
{
	peer_stream_close(stream);
	free(stream);
}

static void give_back(struct replica *replica, struct peer *peer, struct peer_stream *stream, bool broken)
{
	pthread_mutex_lock(&replica->lock);
	note_fd(replica, stream->fd, -1);
	for (size_t i = 0; i < IDLE_STREAMS_MAX && stream && !broken && !atomic_load(&replica->stop); i++)
		if (!peer->idle[i]) {
			peer->idle[i] = stream;
			stream = NULL;
		}
	pthread_mutex_unlock(&replica->lock);
	if (stream)
		hang_up(stream);
}

/* ---- asking ---- */

struct question {
	const struct find_call *find; /* or */
	const struct hash *xorb;
};

static int ask_on(struct replica *replica, struct peer_stream *stream, const struct question *question, bool *broken, struct why *why)
{
	struct take take;
	take_init(&take, replica, NULL, stream);
	int err = question->find ? take_found(&take, question->find, why) : take_xorb(&take, question->xorb, broken, why);
	if (question->find)
		*broken = err != 0 && err != ERR_NOT_FOUND;
	take_fini(&take);
	return err;
}

/* An idle stream may have been given up by the other side: once more with a new one. */
static int ask(struct replica *replica, struct peer *peer, const struct question *question, struct why *why)
{
	bool broken = true;
	int err = ERR_CLOSED;
	struct peer_stream *stream = take_idle(replica, peer);
	if (stream) {
		err = ask_on(replica, stream, question, &broken, why);
		give_back(replica, peer, stream, broken);
	}
	if (err != ERR_CLOSED || atomic_load(&replica->stop))
		return err;
	stream = call(replica, peer, why);
	if (!stream)
		return ERR_CLOSED;
	err = ask_on(replica, stream, question, &broken, why);
	give_back(replica, peer, stream, broken);
	return err;
}

static bool is_askable(struct replica *replica, size_t i)
{
	pthread_mutex_lock(&replica->lock);
	bool askable = i < replica->peers_count && replica->peers[i].member && replica->peers[i].connected;
	pthread_mutex_unlock(&replica->lock);
	return askable;
}

static bool begin(struct replica *replica)
{
	struct timespec until = replica_in_ms(REPLICA_FETCH_WAIT_MS);
	pthread_mutex_lock(&replica->lock);
	while (replica->fetches >= REPLICA_FETCHES_MAX && !atomic_load(&replica->stop) &&
		pthread_cond_timedwait(&replica->landed, &replica->lock, &until) == 0)
		;
	bool ok = replica->fetches < REPLICA_FETCHES_MAX && !atomic_load(&replica->stop);
	replica->fetches += ok;
	pthread_mutex_unlock(&replica->lock);
	return ok;
}

static void end(struct replica *replica, uint64_t *counter, bool counts)
{
	pthread_mutex_lock(&replica->lock);
	replica->fetches--;
	*counter += counts;
	pthread_cond_broadcast(&replica->landed);
	pthread_mutex_unlock(&replica->lock);
}

/* One after the other until `enough`: all members, or the first that has it. */
static int ask_members(struct replica *replica, const struct question *question, bool all, struct why *why)
{
	int err = ERR_NOT_FOUND;
	for (size_t i = 0; i < CLUSTER_NODES_MAX; i++) {
		if (!is_askable(replica, i))
			continue;
		int answer = ask(replica, &replica->peers[i], question, why);
		err = answer == 0 ? 0 : err == ERR_NOT_FOUND ? answer : err;
		if (answer == 0 && !all)
			break;
	}
	return err;
}

static int find(struct replica *replica, unsigned what, const uint8_t *digest, struct why *why)
{
	struct find_call find_call = { .what = what };
	struct question question = { .find = &find_call };
	if (consensus_alone(replica->config.consensus))
		return ERR_NOT_FOUND;
	if (!begin(replica))
		return why_set(why, ERR_BUSY, "too much is being asked of the other nodes");
	memcpy(find_call.digest, digest, HASH_BYTES);
	int err = ask_members(replica, &question, true, why); /* claims differ */
	end(replica, &replica->status.fetched_files, err == 0);
	return err;
}

int replica_fetch_file(void *context, const struct hash *file, struct why *why)
{
	return find(context, FIND_FILE, file->bytes, why);
}

int replica_fetch_sha256(void *context, const struct sha256 *sha256, struct why *why)
{
	return find(context, FIND_SHA256, sha256->bytes, why);
}

static int fetch_xorb(struct replica *replica, const struct hash *xorb, struct why *why)
{
	struct xorb_info info;
	struct question question = { .xorb = xorb };
	bool known = store_xorb_info(replica->config.store, xorb, &info) == 0;
	if (!begin(replica))
		return why_set(why, ERR_BUSY, "too much is being asked of the other nodes");
	int err = ask_members(replica, &question, false, why);
	end(replica, known ? &replica->status.repaired_xorbs : &replica->status.fetched_xorbs, err == 0);
	return err;
}

int replica_fetch_xorb(void *context, const struct hash *xorb, struct why *why)
{
	struct replica *replica = context;
	if (consensus_alone(replica->config.consensus))
		return ERR_NOT_FOUND;
	uint64_t until_ms = replica_now_ms() + 2 * REPLICA_FETCH_WAIT_MS;
	while (replica_now_ms() < until_ms && !atomic_load(&replica->stop)) {
		if (!transfer_begin(replica, xorb, true)) {
			if (store_has_xorb(replica->config.store, xorb))
				return 0;
			continue;
		}
		int err = store_has_xorb(replica->config.store, xorb) ? 0 : fetch_xorb(replica, xorb, why);
		transfer_end(replica, xorb);
		return err;
	}
	return why_set(why, ERR_BUSY, "a xorb is being fetched from another node; try again");
}
