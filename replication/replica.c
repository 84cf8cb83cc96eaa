#include "replication/replica_parts.h"

#include "replication/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { SUPERVISE_MS = 300 };

struct peer *replica_peer(struct replica *replica, uint64_t node_id)
{
	for (size_t i = 0; i < replica->peers_count; i++)
		if (replica->peers[i].node.node_id == node_id)
			return &replica->peers[i];
	if (replica->peers_count == CLUSTER_NODES_MAX)
		return NULL;
	struct peer *peer = &replica->peers[replica->peers_count++];
	*peer = (struct peer){ .replica = replica, .fd = -1, .node.node_id = node_id, .caught_up = store_was_level(replica->config.store, node_id) };
	return peer;
}

/* ---- waiting for copies ---- */

bool place_is_reached(const struct record_place *place, const struct record_place *wanted)
{
	return place->volume != wanted->volume ? place->volume > wanted->volume : place->offset >= wanted->offset;
}

/* A new node that takes what others have had for long is not waited for, or growing from one node to two would stop all writing until it has come to
 * the end. One that has had everything once is, also when this node was started again since: else fewer copies than are wanted would do. */
static bool is_refilling(const struct peer *peer)
{
	return peer->member && peer->streams > 0 && peer->acked && !peer->caught_up && peer->lacks_bytes > REPLICA_FAR_BEHIND_BYTES;
}

/* A node that is to hold nothing may go at any time: its copy does not count. */
bool replica_counts(const struct replica *replica, uint64_t node_id)
{
	bool weighs = false;
	for (size_t i = 0; i < replica->placement.count; i++)
		weighs = weighs || (replica->placement.nodes[i].id == node_id && replica->placement.nodes[i].weight > 0);
	return replica->placement.eligible == 0 || weighs;
}

static unsigned min_of(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Not more than there are members, and nodes that may hold some. */
static unsigned possible_copies(const struct replica *replica, unsigned copies, unsigned members)
{
	return min_of(min_of(copies, replica->placement.eligible ? replica->placement.eligible : members), members);
}

unsigned replica_copies_needed(const struct replica *replica)
{
	unsigned members = replica->members, copies = replica->settings.copies ? replica->settings.copies : replica->config.copies;
	for (size_t i = 0; i < replica->peers_count; i++)
		members -= is_refilling(&replica->peers[i]);
	copies = min_of(copies, replica->placement.copies);
	return possible_copies(replica, copies, members);
}

/* True when that many others have all records before `end`. *followers: those that ask at all. Under the lock. */
static bool has_copies(const struct replica *replica, const struct record_place *end, unsigned *followers)
{
	unsigned copies = replica_counts(replica, replica->node_id);
	*followers = 0;
	for (size_t i = 0; i < replica->peers_count; i++) {
		const struct peer *peer = &replica->peers[i];
		copies += peer->member && peer->acked && place_is_reached(&peer->acked_place, end) && replica_counts(replica, peer->node.node_id);
		*followers += peer->member && peer->streams > 0;
	}
	return copies >= replica_copies_needed(replica);
}

/* Whether xorbs of records up to `end` have their copies, as far as acknowledged places tell: of nodes that have left none to others. Under the lock. */
static bool is_mirrored(const struct replica *replica, const struct record_place *end)
{
	unsigned copies = replica_counts(replica, replica->node_id);
	/* What was one too many may be gone again: a claim on it needs copies though its record is everywhere. */
	if (placement_least(&replica->placement) < replica_copies_needed(replica))
		return false;
	for (size_t i = 0; i < replica->peers_count; i++) {
		const struct peer *peer = &replica->peers[i];
		copies += peer->member && peer->acked && place_is_reached(&peer->acked_place, end) && place_is_reached(&replica->settled, &peer->partial_until) &&
			replica_counts(replica, peer->node.node_id);
	}
	return copies >= replica_copies_needed(replica);
}

/* Until enough nodes have the records. Under the lock. */
static bool await_records(struct replica *replica, const struct record_place *end, const struct timespec *until)
{
	unsigned followers;
	while (!has_copies(replica, end, &followers)) {
		if (atomic_load(&replica->stop) || (followers + 1 < replica_copies_needed(replica) && replica->status.awaiting > REPLICA_AWAITING_MAX))
			return false;
		if (pthread_cond_timedwait(&replica->acked, &replica->lock, until) != 0)
			return has_copies(replica, end, &followers);
	}
	return true;
}

/* Until their xorbs have enough copies: one caller asks for all. Under the lock. */
static bool await_xorbs(struct replica *replica, const struct record_place *end, uint64_t until_ms, const struct timespec *until)
{
	while (!place_is_reached(&replica->settled, end)) {
		if (atomic_load(&replica->stop))
			return false;
		if (is_mirrored(replica, end)) {
			replica->settled = *end;
			replica->remarked = true;
			break;
		}
		if (replica->settling) {
			if (pthread_cond_timedwait(&replica->acked, &replica->lock, until) != 0)
				return place_is_reached(&replica->settled, end);
			continue;
		}
		replica->settling = true;
		pthread_mutex_unlock(&replica->lock);
		int err = replica_settle(replica, end, until_ms, NULL);
		pthread_mutex_lock(&replica->lock);
		replica->settling = false;
		pthread_cond_broadcast(&replica->acked);
		if (err)
			return false;
	}
	return true;
}

int replica_await(void *context, const struct record_place *end, struct why *why)
{
	struct replica *replica = context;
	uint64_t until_ms = replica_now_ms() + REPLICA_AWAIT_MS;
	struct timespec until = replica_in_ms(REPLICA_AWAIT_MS);
	if (consensus_alone(replica->config.consensus))
		return 0;
	pthread_mutex_lock(&replica->lock);
	replica->status.awaiting++;
	replica->status.awaited++;
	bool ok = await_records(replica, end, &until) && await_xorbs(replica, end, until_ms, &until);
	replica->status.awaiting--;
	replica->status.refused += !ok;
	pthread_mutex_unlock(&replica->lock);
	return ok ? 0 : why_set(why, ERR_BUSY, "This is stored on one node, but not on enough others yet; send it again");
}

/* ---- who belongs here ---- */

static void stop_peer(struct peer *peer)
{
	struct replica *replica = peer->replica;
	atomic_store(&peer->leave, true);
	pthread_mutex_lock(&replica->lock);
	if (peer->fd >= 0)
		shutdown(peer->fd, SHUT_RDWR); /* wakes it from whatever it waits for */
	pthread_cond_broadcast(&replica->wake);
	pthread_mutex_unlock(&replica->lock);
	pthread_join(peer->thread, NULL);
	peer->running = false;
}

static void take_view(struct replica *replica, const struct cluster_view *view)
{
	unsigned members = 0;
	struct placement placement;
	placement_of_view(&placement, view);
	replica_take_repos(replica, &view->settings, &placement);
	pthread_rwlock_wrlock(&replica->placing);
	pthread_mutex_lock(&replica->lock);
	replica->placement = placement;
	replica->settings = view->settings;
	for (size_t i = 0; i < replica->peers_count; i++)
		replica->peers[i].member = false;
	for (size_t i = 0; i < view->count; i++) {
		const struct cluster_node *node = &view->nodes[i];
		members += node->role != NODE_REMOVED;
		struct peer *peer = node->node_id == replica->node_id || node->role == NODE_REMOVED ? NULL : replica_peer(replica, node->node_id);
		if (!peer)
			continue;
		peer->node = *node;
		peer->member = true;
		if (peer->connected || !peer->seen_at_ms)
			peer->seen_at_ms = replica_now_ms();
	}
	replica->members = members ? members : 1;
	pthread_cond_broadcast(&replica->acked);
	pthread_mutex_unlock(&replica->lock);
	pthread_rwlock_unlock(&replica->placing);
}

void replica_placement(struct replica *replica, struct placement *out)
{
	pthread_mutex_lock(&replica->lock);
	*out = replica->placement;
	pthread_mutex_unlock(&replica->lock);
}

void replica_settle_all(struct replica *replica, uint64_t wait_ms)
{
	struct record_place published;
	struct timespec until = replica_in_ms(wait_ms);
	store_position(replica->config.store, &published);
	pthread_mutex_lock(&replica->lock);
	await_xorbs(replica, &published, replica_now_ms() + wait_ms, &until);
	pthread_mutex_unlock(&replica->lock);
}

/* What a crash makes older costs nothing but questions. In a mirror the place goes on without any. */
static void remember_settled(struct replica *replica)
{
	struct record_place published;
	store_position(replica->config.store, &published);
	pthread_mutex_lock(&replica->lock);
	if (!replica->settling && !place_is_reached(&replica->settled, &published) && is_mirrored(replica, &published)) {
		replica->settled = published;
		replica->remarked = true;
	}
	struct record_place settled = replica->settled;
	bool moved = replica->remarked;
	replica->remarked = false;
	pthread_mutex_unlock(&replica->lock);
	if (moved)
		store_mark_put(replica->config.store, replica->node_id, &settled);
}

static void refresh(struct replica *replica, struct cluster_view *view)
{
	consensus_view(replica->config.consensus, view);
	take_view(replica, view);
	remember_settled(replica);
	for (size_t i = 0;; i++) {
		pthread_mutex_lock(&replica->lock);
		struct peer *peer = i < replica->peers_count ? &replica->peers[i] : NULL;
		bool member = peer && peer->member;
		pthread_mutex_unlock(&replica->lock);
		if (!peer)
			break;
		if (peer->running && !member)
			stop_peer(peer);
		else if (!peer->running && member && !atomic_load(&peer->leave))
			peer->running = pthread_create(&peer->thread, NULL, replica_follow, peer) == 0;
	}
}

static void *supervise(void *context)
{
	struct replica *replica = context;
	struct cluster_view *view = must_alloc(sizeof(*view));
	while (!atomic_load(&replica->stop)) {
		refresh(replica, view);
		store_tidy(replica->config.store);
		struct timespec until = replica_in_ms(SUPERVISE_MS);
		pthread_mutex_lock(&replica->lock);
		while (!atomic_load(&replica->stop) && pthread_cond_timedwait(&replica->wake, &replica->lock, &until) == 0)
			;
		pthread_mutex_unlock(&replica->lock);
	}
	free(view);
	return NULL;
}

/* Readers repair what they meet; this, what nobody reads. */
static void *repair(void *context)
{
	struct replica *replica = context;
	while (!atomic_load(&replica->stop)) {
		struct timespec until = replica_in_ms(REPLICA_REPAIR_MS);
		pthread_mutex_lock(&replica->lock);
		while (!atomic_load(&replica->stop) && pthread_cond_timedwait(&replica->wake, &replica->lock, &until) == 0)
			;
		pthread_mutex_unlock(&replica->lock);
		if (!atomic_load(&replica->stop))
			store_repair(replica->config.store, NULL);
	}
	return NULL;
}

/* ---- life ---- */

static void init(struct replica *replica, const struct replica_config *config)
{
	pthread_condattr_t attributes;
	replica->config = *config;
	if (!replica->config.copies)
		replica->config.copies = REPLICA_COPIES_DEFAULT;
	replica->members = 1;
	replica->compare_fd = -1;
	for (size_t i = 0; i < FETCH_STREAMS_MAX; i++)
		replica->fetch_fds[i] = -1;
	pthread_mutex_init(&replica->lock, NULL);
	pthread_rwlock_init(&replica->placing, NULL);
	pthread_rwlock_init(&replica->repos_lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&replica->acked, &attributes);
	pthread_cond_init(&replica->landed, &attributes);
	pthread_cond_init(&replica->wake, &attributes);
	pthread_condattr_destroy(&attributes);
}

int replica_open(struct replica **out, const struct replica_config *config, struct why *why)
{
	struct replica *replica = must_alloc(sizeof(*replica));
	struct cluster_view *view = must_alloc(sizeof(*view));
	struct cluster_node self;
	init(replica, config);
	consensus_self(config->consensus, &self);
	replica->node_id = self.node_id;
	struct record_place published;
	store_position(config->store, &published);
	if (store_mark_get(config->store, self.node_id, &replica->settled) != 0 || !place_is_reached(&published, &replica->settled))
		replica->settled = (struct record_place){ 0 }; /* of another life of this store */
	consensus_view(config->consensus, view);
	take_view(replica, view);
	free(view);
	store_set_copies(config->store, &(struct store_copies){ .context = replica, .await = replica_await,
		.settle = replica_settle_xorbs, .awaits = replica_awaits_xorb,
		.fetch_file = replica_fetch_file, .fetch_sha256 = replica_fetch_sha256, .fetch_xorb = replica_fetch_xorb, .keeps = replica_keeps,
		.fetch_table = replica_fetch_table, .fetch_chunks = replica_fetch_chunks });
	consensus_on_bulk(config->consensus, replica_serve, replica);
	replica->supervised = pthread_create(&replica->supervisor, NULL, supervise, replica) == 0;
	replica->repairing = replica->supervised && pthread_create(&replica->repairer, NULL, repair, replica) == 0;
	replica->walking = replica->repairing && pthread_create(&replica->walker, NULL, replica_walk, replica) == 0;
	replica->comparing = replica->walking && pthread_create(&replica->comparer, NULL, replica_compare, replica) == 0;
	if (!replica->comparing) {
		replica_close(replica);
		return why_set(why, ERR_NO_MEMORY, "cannot start to copy bytes between nodes");
	}
	*out = replica;
	return 0;
}

static void wake_all(struct replica *replica)
{
	atomic_store(&replica->stop, true);
	pthread_mutex_lock(&replica->lock);
	for (size_t i = 0; i < FETCH_STREAMS_MAX; i++)
		if (replica->fetch_fds[i] >= 0)
			shutdown(replica->fetch_fds[i], SHUT_RDWR);
	if (replica->compare_fd >= 0)
		shutdown(replica->compare_fd, SHUT_RDWR);
	for (size_t i = 0; i < replica->peers_count; i++)
		if (replica->peers[i].fd >= 0)
			shutdown(replica->peers[i].fd, SHUT_RDWR);
	pthread_cond_broadcast(&replica->acked);
	pthread_cond_broadcast(&replica->landed);
	pthread_cond_broadcast(&replica->wake);
	pthread_mutex_unlock(&replica->lock);
}

void replica_close(struct replica *replica)
{
	if (!replica)
		return;
	wake_all(replica);
	if (replica->supervised)
		pthread_join(replica->supervisor, NULL);
	if (replica->repairing)
		pthread_join(replica->repairer, NULL);
	if (replica->walking)
		pthread_join(replica->walker, NULL);
	if (replica->comparing)
		pthread_join(replica->comparer, NULL);
	for (size_t i = 0; i < replica->peers_count; i++)
		if (replica->peers[i].running)
			stop_peer(&replica->peers[i]);
	consensus_on_bulk(replica->config.consensus, NULL, NULL); /* waits for who is served */
	remember_settled(replica);
	store_set_copies(replica->config.store, &(struct store_copies){ 0 });
	for (size_t i = 0; i < replica->peers_count; i++)
		for (size_t k = 0; k < IDLE_STREAMS_MAX; k++)
			if (replica->peers[i].idle[k]) {
				peer_stream_close(replica->peers[i].idle[k]);
				free(replica->peers[i].idle[k]);
			}
	pthread_cond_destroy(&replica->acked);
	pthread_cond_destroy(&replica->landed);
	pthread_cond_destroy(&replica->wake);
	pthread_mutex_destroy(&replica->lock);
	pthread_rwlock_destroy(&replica->placing);
	pthread_rwlock_destroy(&replica->repos_lock);
	repo_copies_fini(&replica->repos);
	free(replica);
}

/* ---- questions ---- */

void replica_peer_status(struct replica *replica, uint64_t node_id, struct replica_peer_status *out)
{
	struct record_place published, acked = { 0 };
	bool has_acked = false;
	*out = (struct replica_peer_status){ .lacks_bytes = UINT64_MAX, .behind_ms = UINT64_MAX, .compared_ms = UINT64_MAX };
	store_position(replica->config.store, &published);
	pthread_mutex_lock(&replica->lock);
	for (size_t i = 0; i < replica->peers_count; i++) {
		const struct peer *peer = &replica->peers[i];
		if (peer->node.node_id != node_id)
			continue;
		has_acked = peer->acked;
		acked = peer->acked_place;
		out->follows = peer->streams > 0;
		out->followed = peer->connected;
		out->current = peer->current;
		out->behind_bytes = peer->behind_bytes;
		out->behind_ms = peer->current ? 0 : peer->was_current ? replica_now_ms() - peer->current_at_ms : UINT64_MAX;
		out->told_ms = peer->was_current ? peer->current_at_ms : 0;
		out->taken_bytes = peer->taken_bytes;
		out->taken_xorbs = peer->taken_xorbs;
		out->taken_records = peer->taken_records;
		out->compared_ms = peer->compared ? replica_now_ms() - peer->compared_at_ms : UINT64_MAX;
		out->compared_ranges = peer->compared_ranges;
		out->compared_taken = peer->compared_taken;
		out->compared_left = peer->compared_left;
		snprintf(out->trouble, sizeof(out->trouble), "%s", peer->trouble);
	}
	pthread_mutex_unlock(&replica->lock);
	if (has_acked)
		out->lacks_bytes = store_distance(replica->config.store, &acked, &published);
}

void replica_status(struct replica *replica, struct replica_status *out)
{
	pthread_mutex_lock(&replica->lock);
	*out = replica->status;
	out->copies = replica->settings.copies ? replica->settings.copies : replica->config.copies;
	out->replication_factor = possible_copies(replica, replica->placement.copies, replica->members);
	out->factor_set = replica->placement.copies;
	out->members = replica->members;
	out->copies_least = min_of(placement_least(&replica->placement), replica->members);
	out->copies_needed = replica_copies_needed(replica);
	out->limit_bytes_per_s = replica->config.bytes_per_s;
	out->erasure_data = replica->settings.erasure_data;
	out->erasure_parity = replica->settings.erasure_parity;
	out->erasure_after_ms = replica->settings.erasure_after_ms;
	pthread_mutex_unlock(&replica->lock);
}

void replica_care(struct replica *replica, struct replica_care *out)
{
	struct store_stats stats;
	uint64_t now_ms = replica_now_ms();
	store_stats(replica->config.store, &stats);
	pthread_mutex_lock(&replica->lock);
	*out = replica->care;
	bool nobody_walks = replica->members == 1 || replica->placement.epoch == 0;
	out->epoch = replica->placement.epoch;
	out->complete = nobody_walks || replica->complete_epoch == out->epoch;
	out->repair = nobody_walks ? replica->settings.walks : replica->repaired_number;
	out->held_bytes = stats.stored_bytes;
	out->held_xorbs = stats.xorbs;
	out->counted_ms = replica->counted_at_ms ? now_ms - replica->counted_at_ms : UINT64_MAX;
	out->tells_progress = true;
	backlog_status(&replica->catching_up, now_ms, &out->catching_up);
	backlog_status(&replica->fetching, now_ms, &out->fetching);
	backlog_status(&replica->giving_up, now_ms, &out->giving_up);
	pthread_mutex_unlock(&replica->lock);
}
