/* replica_loss.c - what would be lost if nodes went for good.
 *
 * All xorbs that files need are asked for at everybody else, by a placement in which those nodes weigh nothing: who says then that it has a copy gives it up only
 * when as many others as should hold it have theirs. Of what is coded (replica_coding.c) it is parts that are asked for: with k of them elsewhere it is safe. */
#include <stdlib.h>

#include "replication/replica_parts.h"

enum { LOSS_BATCH = 512, EPOCH_WAIT_MS = 15 * 1000, EPOCH_POLL_MS = 100, FILES_COUNTED_MAX = 1000 };

struct question {
	struct replica *replica;
	const uint64_t *going;
	size_t going_count;
	uint64_t epoch;
	struct replica_loss *out;
	size_t count;
	struct hash xorbs[LOSS_BATCH];
	bool settled[LOSS_BATCH]; /* somebody else has it, or it is counted */
	size_t places[LOSS_BATCH];
	struct keep_call call;
	struct kept kept;
};

static bool goes(const struct question *question, uint64_t node_id)
{
	bool goes = false;
	for (size_t i = 0; i < question->going_count; i++)
		goes = goes || question->going[i] == node_id;
	return goes;
}

static void nap(struct replica *replica)
{
	struct timespec until = replica_in_ms(EPOCH_POLL_MS);
	pthread_mutex_lock(&replica->lock);
	while (!atomic_load(&replica->stop) && pthread_cond_timedwait(&replica->wake, &replica->lock, &until) == 0)
		;
	pthread_mutex_unlock(&replica->lock);
}

/* Until a node that goes knows that it does, and everything that it acknowledged before is here: two answers that are its last since. */
static bool is_followed(struct question *question, uint64_t node_id, uint64_t until_ms)
{
	struct replica *replica = question->replica;
	struct replica_care care;
	uint64_t since_ms = 0, first_ms = 0;
	for (; replica_now_ms() < until_ms && !atomic_load(&replica->stop); nap(replica)) {
		bool connected = false;
		uint64_t current_at_ms = 0;
		pthread_mutex_lock(&replica->lock);
		for (size_t i = 0; i < replica->peers_count; i++)
			if (replica->peers[i].node.node_id == node_id && replica->peers[i].member && replica->peers[i].connected) {
				connected = true;
				current_at_ms = replica->peers[i].current_at_ms;
			}
		pthread_mutex_unlock(&replica->lock);
		if (!connected)
			return true; /* nothing more comes from it: what only it has is lost with it, or found when it is back */
		if (!since_ms && replica_care_of(replica, node_id, &care, NULL) == 0 && care.epoch >= question->epoch)
			since_ms = replica_now_ms();
		if (since_ms && !first_ms && current_at_ms > since_ms)
			first_ms = current_at_ms;
		if (first_ms && current_at_ms > first_ms)
			return true;
	}
	return false;
}

/* Until this node goes by the epoch, and has all records of those that go and can be reached. */
static int await_epoch(struct question *question, struct why *why)
{
	struct replica *replica = question->replica;
	uint64_t until_ms = replica_now_ms() + EPOCH_WAIT_MS;
	bool ready = false;
	for (; !ready && replica_now_ms() < until_ms && !atomic_load(&replica->stop); nap(replica)) {
		pthread_mutex_lock(&replica->lock);
		ready = replica->placement.epoch >= question->epoch;
		pthread_mutex_unlock(&replica->lock);
	}
	for (size_t i = 0; ready && i < question->going_count; i++)
		ready = question->going[i] == replica->node_id || is_followed(question, question->going[i], until_ms);
	return ready ? 0 : why_set(why, ERR_BUSY, "this node has not taken all of that node's records yet, so it cannot tell what would be lost; try again");
}

/* Asks one node about what is not settled. 0: it answered, kept->lengths say. */
static int ask_rest(struct question *question, uint64_t node_id, bool with_epoch)
{
	struct replica *replica = question->replica;
	int err = 0;
	question->call.count = 0;
	question->call.fetch = question->call.aged = false;
	for (size_t i = 0; i < question->count; i++)
		if (!question->settled[i]) {
			question->places[question->call.count] = i;
			question->call.xorbs[question->call.count++] = question->xorbs[i];
		}
	if (question->call.count == 0)
		return ERR_NOT_FOUND;
	for (uint64_t until_ms = replica_now_ms() + EPOCH_WAIT_MS;; nap(replica)) {
		err = replica_keep(replica, node_id, &question->call, REPLICA_FETCH_WAIT_MS, &question->kept, NULL);
		if (err || !with_epoch || question->kept.epoch >= question->epoch)
			return err;
		if (replica_now_ms() > until_ms || atomic_load(&replica->stop))
			return ERR_BUSY;
	}
}

static void ask_self(struct question *question)
{
	struct replica *replica = question->replica;
	if (goes(question, replica->node_id))
		return;
	pthread_rwlock_rdlock(&replica->placing);
	for (size_t i = 0; i < question->count; i++)
		question->settled[i] = store_has_xorb(replica->config.store, &question->xorbs[i]);
	pthread_rwlock_unlock(&replica->placing);
}

static void count_loss(struct question *question, size_t at, uint64_t bytes)
{
	question->settled[at] = true;
	question->out->xorbs++;
	question->out->bytes += bytes;
	question->out->files += store_files_of_xorb(question->replica->config.store, &question->xorbs[at], FILES_COUNTED_MAX);
}

/* What those that go have, of what nobody else has; what none of them has either is lost already, and no reason to keep them. */
static void ask_going(struct question *question)
{
	struct replica *replica = question->replica;
	for (size_t k = 0; k < question->going_count; k++) {
		if (question->going[k] == replica->node_id) {
			for (size_t i = 0; i < question->count; i++) {
				struct xorb_info info;
				if (!question->settled[i] && store_has_xorb(replica->config.store, &question->xorbs[i]) &&
					store_xorb_info(replica->config.store, &question->xorbs[i], &info) == 0)
					count_loss(question, i, info.body_length);
			}
			continue;
		}
		int err = ask_rest(question, question->going[k], false);
		if (err == ERR_NOT_FOUND)
			return;
		if (err) { /* it may have them: nobody knows */
			question->out->is_told = false;
			for (size_t i = 0; i < question->call.count; i++)
				count_loss(question, question->places[i], 0);
			return;
		}
		for (size_t i = 0; i < question->call.count; i++)
			if (question->kept.lengths[i])
				count_loss(question, question->places[i], question->kept.lengths[i]);
	}
}

/* ---- what is coded ---- */

struct coded_question {
	size_t at;                 /* of the xorb in the batch */
	struct coded_record coded;
	uint16_t stay, go;         /* parts that are on nodes that stay; on those that go */
};

/* Which parts one node has, of codings that are not safe yet. */
static void ask_parts(struct question *question, uint64_t node_id, struct coded_question *codings, size_t count)
{
	struct replica *replica = question->replica;
	bool self = node_id == replica->node_id, going = goes(question, node_id);
	for (size_t at = 0; at < count;) {
		size_t from = at;
		question->call.count = 0;
		question->call.fetch = question->call.aged = false;
		for (; at < count && question->call.count + CODED_PARTS_MAX <= KEEP_XORBS_MAX; at++)
			for (unsigned i = 0; i < (unsigned)(codings[at].coded.k + codings[at].coded.m); i++)
				question->call.xorbs[question->call.count++] = codings[at].coded.parts[i];
		if (!self && replica_keep(replica, node_id, &question->call, REPLICA_FETCH_WAIT_MS, &question->kept, NULL) != 0)
			return;
		size_t part = 0;
		for (size_t k = from; k < at; k++)
			for (unsigned i = 0; i < (unsigned)(codings[k].coded.k + codings[k].coded.m); i++, part++) {
				bool has = self ? store_has_xorb(replica->config.store, &question->call.xorbs[part]) : question->kept.lengths[part] > 0;
				uint16_t bit = (uint16_t)(has << i);
				codings[k].stay |= going ? 0 : bit;
				codings[k].go |= going ? bit : 0;
			}
	}
}

/* Settles what k parts elsewhere bring back, and what they would not without those that go. What too few parts are left of, however many go, is lost already. */
static void settle_coded(struct question *question, const struct placement *placement)
{
	struct store *store = question->replica->config.store;
	struct coded_record known[CODINGS_MAX];
	struct coded_question *codings = store_has_coded(store) ? malloc(LOSS_BATCH * CODINGS_MAX * sizeof(*codings)) : NULL;
	size_t count = 0;
	for (size_t i = 0; codings && i < question->count; i++) {
		size_t has = question->settled[i] ? 0 : store_codings(store, &question->xorbs[i], known);
		for (size_t k = 0; k < has; k++)
			codings[count++] = (struct coded_question){ .at = i, .coded = known[k] };
	}
	for (size_t i = 0; i < placement->count && count > 0; i++)
		ask_parts(question, placement->nodes[i].id, codings, count);
	for (size_t i = 0; i < count; i++)
		question->settled[codings[i].at] = question->settled[codings[i].at] || __builtin_popcount(codings[i].stay) >= codings[i].coded.k;
	for (size_t i = 0; i < count; i++)
		if (!question->settled[codings[i].at] && __builtin_popcount(codings[i].stay | codings[i].go) >= codings[i].coded.k)
			count_loss(question, codings[i].at, codings[i].coded.body_length);
	free(codings);
}

static void ask_batch(struct question *question, const struct placement *placement)
{
	memset(question->settled, 0, sizeof(question->settled));
	ask_self(question);
	for (size_t i = 0; i < placement->count; i++) {
		uint64_t node_id = placement->nodes[i].id;
		if (node_id == question->replica->node_id || goes(question, node_id) || ask_rest(question, node_id, true) != 0)
			continue;
		for (size_t k = 0; k < question->call.count; k++)
			question->settled[question->places[k]] = question->kept.lengths[k] > 0;
	}
	settle_coded(question, placement);
	ask_going(question);
}

int replica_last_copies(struct replica *replica, const uint64_t *node_ids, size_t count, uint64_t epoch, struct replica_loss *out, struct why *why)
{
	struct placement placement;
	struct hash after;
	struct question *question = malloc(sizeof(*question));
	*out = (struct replica_loss){ .is_told = true };
	if (!question)
		return why_set(why, ERR_NO_MEMORY, "no memory to ask for copies");
	*question = (struct question){ .replica = replica, .going = node_ids, .going_count = count, .epoch = epoch, .out = out };
	int err = await_epoch(question, why);
	replica_placement(replica, &placement);
	if (err == 0)
		question->count = store_needed_xorbs(replica->config.store, NULL, question->xorbs, LOSS_BATCH);
	while (err == 0 && question->count > 0) {
		ask_batch(question, &placement);
		after = question->xorbs[question->count - 1];
		question->count = store_needed_xorbs(replica->config.store, &after, question->xorbs, LOSS_BATCH);
		err = atomic_load(&replica->stop) ? ERR_CLOSED : 0;
	}
	free(question);
	return err;
}
