/* replica_fetch.c - what a reader misses is asked of the other members at once, on the reader's thread.
 *
 * Only members that this node follows right now are asked: nobody waits for one that is down. So "nobody has it" is said only when enough of them have
 * answered: else (a node that was just started reaches nobody yet) the reader hears that it is busy, and asks again. */
#include <stdio.h>
#include <stdlib.h>

#include "replication/peer_calls.h"
#include "replication/replica_parts.h"
#include "schemas/record.h"

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

static struct peer_stream *call(struct replica *replica, struct peer *peer, int wait_ms, struct why *why)
{
	struct peer_stream *stream = malloc(sizeof(*stream));
	struct cluster_node node;
	pthread_mutex_lock(&replica->lock);
	node = peer->node;
	pthread_mutex_unlock(&replica->lock);
	if (!stream || consensus_call(replica->config.consensus, &node, wait_ms, stream, why) != 0) {
		free(stream);
		return NULL;
	}
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
	const struct hash *xorb;      /* whole; or, with one of the next two, what that takes */
	struct table_taker *table;
	struct chunk_taker *chunks;   /* or */
	const struct keep_call *keep; /* with an answer in *kept, or */
	struct kept *kept;
	bool without_ages;
	struct replica_care *care;
	int wait_ms;                  /* for the answer; 0: REPLICA_FETCH_WAIT_MS */
};

static int ask_kept(struct peer_stream *stream, const struct keep_call *call, bool with_ages, struct kept *out, struct why *why)
{
	struct buffer body;
	struct peer_frame frame;
	buffer_init(&body, REPLICA_PART_BYTES);
	keep_call_encode(&body, call, with_ages);
	int err = call_exchange(stream, FRAME_KEEP, &body, FRAME_KEPT, &frame, why);
	buffer_fini(&body);
	if (err == 0 && (kept_decode(out, frame.body) != 0 || out->count != call->count))
		err = why_set(why, ERR_CORRUPT, "an answer about xorbs does not parse");
	return err;
}

static int ask_care(struct peer_stream *stream, struct replica_care *out, struct why *why)
{
	struct buffer body;
	struct peer_frame frame;
	buffer_init(&body, 16);
	care_call_encode(&body);
	int err = call_exchange(stream, FRAME_CARE, &body, FRAME_CARED, &frame, why);
	buffer_fini(&body);
	if (err == 0 && care_decode(out, frame.body) != 0)
		err = why_set(why, ERR_CORRUPT, "an answer about what is held does not parse");
	return err;
}

static int wait_of(const struct question *question)
{
	return question->wait_ms ? question->wait_ms : REPLICA_FETCH_WAIT_MS;
}

static int ask_on(struct replica *replica, struct peer_stream *stream, const struct question *question, bool *broken, struct why *why)
{
	struct take take;
	stream->wait_ms = wait_of(question);
	if (question->keep || question->care) {
		int answer = question->keep ? ask_kept(stream, question->keep, question->keep->aged && !question->without_ages, question->kept, why) :
			ask_care(stream, question->care, why);
		*broken = answer != 0;
		return answer;
	}
	if (question->table)
		return take_table(stream, question->xorb, question->table, broken, why);
	if (question->chunks)
		return take_chunks(stream, question->xorb, question->chunks, broken, why);
	take_init(&take, replica, NULL, stream);
	int err = question->find ? take_found(&take, question->find, why) : take_xorb(&take, question->xorb, broken, why);
	if (question->find)
		*broken = err != 0 && err != ERR_NOT_FOUND;
	take_fini(&take);
	return err;
}

/* An idle stream may have been given up by the other side: once more with a new one, unless all the time went by. */
static int ask(struct replica *replica, struct peer *peer, const struct question *question, struct why *why)
{
	bool broken = true;
	int err = ERR_CLOSED;
	struct peer_stream *stream = take_idle(replica, peer);
	uint64_t until_ms = replica_now_ms() + (uint64_t)wait_of(question);
	if (stream) {
		err = ask_on(replica, stream, question, &broken, why);
		give_back(replica, peer, stream, broken);
	}
	if (err != ERR_CLOSED || atomic_load(&replica->stop) || replica_now_ms() >= until_ms)
		return err;
	stream = call(replica, peer, wait_of(question), why);
	if (!stream)
		return ERR_CLOSED;
	err = ask_on(replica, stream, question, &broken, why);
	give_back(replica, peer, stream, broken);
	return err;
}

static bool is_askable(struct replica *replica, size_t i, bool *is_member)
{
	pthread_mutex_lock(&replica->lock);
	*is_member = i < replica->peers_count && replica->peers[i].member;
	bool askable = *is_member && replica->peers[i].connected;
	pthread_mutex_unlock(&replica->lock);
	return askable;
}

/* NULL: not a member that this node reaches. */
static struct peer *askable_peer(struct replica *replica, uint64_t node_id)
{
	struct peer *peer = NULL;
	pthread_mutex_lock(&replica->lock);
	for (size_t i = 0; i < replica->peers_count; i++)
		if (replica->peers[i].node.node_id == node_id && replica->peers[i].member && replica->peers[i].connected)
			peer = &replica->peers[i];
	pthread_mutex_unlock(&replica->lock);
	return peer;
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

struct answers {
	bool found;
	bool failed;      /* an answer came, and this node could do nothing with it */
	unsigned silent;  /* members that did not answer */
};

/* All members, one after the other: claims differ. */
static void ask_members(struct replica *replica, const struct question *question, struct answers *out)
{
	bool is_member;
	*out = (struct answers){ 0 };
	for (size_t i = 0; i < CLUSTER_NODES_MAX; i++) {
		int err = is_askable(replica, i, &is_member) ? ask(replica, &replica->peers[i], question, NULL) : is_member ? ERR_CLOSED : ERR_NOT_FOUND;
		out->found = out->found || err == 0;
		out->silent += err == ERR_CLOSED;
		out->failed = out->failed || (err && err != ERR_CLOSED && err != ERR_NOT_FOUND);
	}
}

/* What was acknowledged is known to as many nodes as it is waited for: fewer that are silent cannot be all of them. */
static enum store_asked asked_by(struct replica *replica, const struct answers *answers)
{
	pthread_mutex_lock(&replica->lock);
	unsigned needed = replica_copies_needed(replica);
	pthread_mutex_unlock(&replica->lock);
	if (answers->failed)
		return STORE_ASKED_FEW;
	return answers->silent == 0 ? STORE_ASKED_ALL : answers->silent < needed ? STORE_ASKED_ENOUGH : STORE_ASKED_FEW;
}

static int find(struct replica *replica, unsigned what, const uint8_t *digest, enum store_asked *asked)
{
	struct find_call find_call = { .what = what };
	struct question question = { .find = &find_call };
	struct answers answers;
	*asked = consensus_alone(replica->config.consensus) ? STORE_ASKED_ALL : STORE_ASKED_FEW;
	if (*asked == STORE_ASKED_ALL)
		return ERR_NOT_FOUND;
	if (!begin(replica))
		return ERR_BUSY;
	memcpy(find_call.digest, digest, HASH_BYTES);
	ask_members(replica, &question, &answers);
	end(replica, &replica->status.fetched_files, answers.found);
	*asked = asked_by(replica, &answers);
	return answers.found ? 0 : *asked == STORE_ASKED_FEW ? ERR_BUSY : ERR_NOT_FOUND;
}

int replica_fetch_file(void *context, const struct hash *file, enum store_asked *asked)
{
	return find(context, FIND_FILE, file->bytes, asked);
}

int replica_fetch_sha256(void *context, const struct sha256 *sha256, enum store_asked *asked)
{
	return find(context, FIND_SHA256, sha256->bytes, asked);
}

static bool is_shunned(struct replica *replica, const struct peer *peer)
{
	pthread_mutex_lock(&replica->lock);
	bool shunned = peer->shunned_until_ms >= replica_now_ms();
	pthread_mutex_unlock(&replica->lock);
	return shunned;
}

static void shun(struct replica *replica, struct peer *peer)
{
	pthread_mutex_lock(&replica->lock);
	peer->shunned_until_ms = replica_now_ms() + REPLICA_SHUN_MS;
	pthread_mutex_unlock(&replica->lock);
}

/* Of `first`, then in the order of placement, those that should have it before those that might; who has not answered lately comes last. */
static int ask_holders(struct replica *replica, uint64_t first, const struct question *question, struct why *why)
{
	struct placement placement;
	uint64_t order[CLUSTER_NODES_MAX + 1] = { first };
	struct peer *late[CLUSTER_NODES_MAX + 1];
	size_t holders, late_count = 0;
	int err = ERR_NOT_FOUND;
	replica_placement(replica, &placement);
	size_t count = 1 + placement_order(&placement, question->xorb, placement.copies, order + 1, &holders);
	for (size_t i = 0; i < count + late_count; i++) {
		bool is_late = i >= count;
		struct peer *peer = is_late ? late[i - count] : i > 0 && order[i] == first ? NULL : askable_peer(replica, order[i]);
		if (!peer)
			continue;
		if (!is_late && is_shunned(replica, peer)) {
			late[late_count++] = peer;
			continue;
		}
		int answer = ask(replica, peer, question, why);
		if (answer == 0)
			return 0;
		if (answer == ERR_CLOSED)
			shun(replica, peer);
		err = err == ERR_NOT_FOUND ? answer : err;
	}
	return err;
}

static int ask_for_reader(struct replica *replica, uint64_t first, const struct question *question, uint64_t *counter, struct why *why)
{
	bool in_parts = question->table || question->chunks;
	struct question hasty = *question;
	if (!begin(replica))
		return why_set(why, ERR_BUSY, "too much is being asked of the other nodes");
	if (in_parts)
		hasty.wait_ms = REPLICA_READ_WAIT_MS;
	int err = ask_holders(replica, first, &hasty, why);
	/* It may have gone from one that was asked late to one that was asked early; or all are slow. */
	if (err == ERR_NOT_FOUND || (err == ERR_CLOSED && in_parts))
		err = ask_holders(replica, first, question, why);
	end(replica, counter, err == 0);
	return err;
}

static int fetch_xorb(struct replica *replica, uint64_t first, const struct hash *xorb, struct why *why)
{
	struct xorb_info info;
	struct question question = { .xorb = xorb };
	bool known = store_xorb_info(replica->config.store, xorb, &info) == 0;
	return ask_for_reader(replica, first, &question, known ? &replica->status.repaired_xorbs : &replica->status.fetched_xorbs, why);
}

bool replica_keeps(void *context, const struct hash *xorb)
{
	struct replica *replica = context;
	struct placement placement;
	struct coded_record codings[CODINGS_MAX];
	replica_placement(replica, &placement);
	return placement.epoch == 0 || replica_holds(replica, &placement, xorb, replica->node_id) ||
		store_codings(replica->config.store, xorb, codings) > 0; /* it is joined of its parts */
}

int replica_fetch_table(void *context, const struct hash *xorb, struct table_taker *taker, struct why *why)
{
	struct replica *replica = context;
	struct question question = { .xorb = xorb, .table = taker };
	return consensus_alone(replica->config.consensus) ? ERR_NOT_FOUND : ask_for_reader(replica, 0, &question, &replica->status.read_xorbs, why);
}

int replica_fetch_chunks(void *context, const struct hash *xorb, struct chunk_taker *taker, struct why *why)
{
	struct replica *replica = context;
	struct question question = { .xorb = xorb, .chunks = taker };
	return consensus_alone(replica->config.consensus) ? ERR_NOT_FOUND : ask_for_reader(replica, 0, &question, &replica->status.read_runs, why);
}

int replica_fetch_part(struct replica *replica, uint64_t holder, bool any, const struct hash *part, struct why *why)
{
	struct question question = { .xorb = part };
	struct peer *peer = askable_peer(replica, holder);
	int err = ERR_NOT_FOUND;
	if ((!peer && !any) || !transfer_begin(replica, part, any))
		return store_has_xorb(replica->config.store, part) ? 0 : ERR_NOT_FOUND;
	if (store_has_xorb(replica->config.store, part)) {
		err = 0;
	} else if (any) {
		err = fetch_xorb(replica, holder, part, why);
	} else if (begin(replica)) {
		err = ask(replica, peer, &question, why);
		end(replica, &replica->status.fetched_xorbs, err == 0);
	}
	transfer_end(replica, part);
	return err;
}

/* Of a xorb that is coded hardly anybody has the whole: its parts are looked for first. How it was coded may be known to others only. */
static int fetch_whole(struct replica *replica, uint64_t first, const struct hash *xorb, struct why *why)
{
	struct coded_record codings[CODINGS_MAX];
	enum store_asked asked;
	size_t known = store_codings(replica->config.store, xorb, codings);
	pthread_mutex_lock(&replica->lock);
	bool coding = replica->placement.erasure_data > 0;
	pthread_mutex_unlock(&replica->lock);
	if (known && replica_join_parts(replica, xorb, true, NULL) == 0)
		return 0;
	int err = fetch_xorb(replica, first, xorb, why);
	if (err && !known && coding)
		known = find(replica, FIND_CODED, xorb->bytes, &asked) == 0;
	return err && known && replica_join_parts(replica, xorb, false, why) == 0 ? 0 : err;
}

bool replica_reaches_all(struct replica *replica)
{
	bool all = true;
	pthread_mutex_lock(&replica->lock);
	for (size_t i = 0; i < replica->peers_count; i++)
		all = all && (!replica->peers[i].member || replica->peers[i].connected);
	pthread_mutex_unlock(&replica->lock);
	return all;
}

/* Of a xorb there may be a single copy, whatever is waited for: one node that is silent may have it. */
int replica_fetch_xorb(void *context, const struct hash *xorb, struct why *why)
{
	struct replica *replica = context;
	bool all = replica_reaches_all(replica);
	int err = replica_fetch_from(replica, 0, xorb, why);
	all = all && replica_reaches_all(replica);
	if (err != ERR_CLOSED && (all || (err != ERR_NOT_FOUND && err != ERR_CORRUPT)))
		return err;
	return why_set(why, ERR_BUSY, "a xorb is on none of the nodes that can be reached; try again");
}

int replica_fetch_from(struct replica *replica, uint64_t first, const struct hash *xorb, struct why *why)
{
	if (consensus_alone(replica->config.consensus))
		return ERR_NOT_FOUND;
	uint64_t until_ms = replica_now_ms() + 2 * REPLICA_FETCH_WAIT_MS;
	struct hash whole;
	bool is_part = store_xorb_of_part(replica->config.store, xorb, &whole) == 0;
	if (is_part && !first)
		first = replica_part_holder(replica, xorb);
	while (replica_now_ms() < until_ms && !atomic_load(&replica->stop)) {
		if (!transfer_begin(replica, xorb, true)) {
			if (store_has_xorb(replica->config.store, xorb))
				return 0;
			continue;
		}
		int err = store_has_xorb(replica->config.store, xorb) ? 0 : is_part ? fetch_xorb(replica, first, xorb, why) : fetch_whole(replica, first, xorb, why);
		transfer_end(replica, xorb); /* before a part is made again: that waits for its xorb, whose transfer waits for parts */
		return err && is_part ? replica_remake_part(replica, xorb, why) : err;
	}
	return why_set(why, ERR_BUSY, "a xorb is being fetched from another node; try again");
}

/* Whether it has answered one since it was reached. */
static bool knows_ages(struct replica *replica, struct peer *peer, bool answered)
{
	pthread_mutex_lock(&replica->lock);
	peer->knows_ages = peer->knows_ages || answered;
	bool knows = peer->knows_ages;
	pthread_mutex_unlock(&replica->lock);
	return knows;
}

int replica_keep(struct replica *replica, uint64_t node_id, const struct keep_call *call, int wait_ms, struct kept *out, struct why *why)
{
	struct question question = { .keep = call, .kept = out, .wait_ms = wait_ms };
	struct peer *peer = askable_peer(replica, node_id);
	uint64_t until_ms = replica_now_ms() + (uint64_t)wait_of(&question);
	int err = peer ? ask(replica, peer, &question, why) : ERR_CLOSED;
	if (!peer || !call->aged || knows_ages(replica, peer, err == 0) || err != ERR_CLOSED || replica_now_ms() >= until_ms)
		return err;
	question.without_ages = true; /* it may be of an older version, which ends the stream at them */
	return ask(replica, peer, &question, why);
}

int replica_care_of(struct replica *replica, uint64_t node_id, struct replica_care *out, struct why *why)
{
	struct question question = { .care = out, .wait_ms = REPLICA_CARE_WAIT_MS };
	struct peer *peer = askable_peer(replica, node_id);
	return peer ? ask(replica, peer, &question, why) : ERR_CLOSED;
}
