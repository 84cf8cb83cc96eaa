#include "replication/cluster_loop.h"

#include "replication/install.h"
#include "replication/join.h"
#include "replication/membership.h"
#include "replication/node.h"
#include "replication/peer_calls.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

/* ---- Raft messages ---- */

static void send_message(struct consensus *c, uint32_t group, const struct message *message, const struct wire_entry *entries)
{
	struct buffer body;
	buffer_init(&body, RAFT_MESSAGE_BYTES_MAX);
	if (raft_message_encode(&body, message, entries) == 0)
		peers_send(c->peers, message->peer, FRAME_RAFT, group, buffer_span(&body));
	buffer_fini(&body);
}

/* In pieces, so that no frame is larger than a piece or one entry. */
static void send_append(struct consensus *c, uint32_t group, struct message *message, struct log_entry **entries, size_t count)
{
	struct wire_entry wire[RAFT_ENTRIES_MAX];
	size_t at = 0;
	do {
		size_t n = 0, bytes = 0;
		while (at + n < count && n < RAFT_ENTRIES_MAX && (n == 0 || bytes + entries[at + n]->length <= RAFT_APPEND_BYTES_MAX)) {
			const struct log_entry *entry = entries[at + n];
			wire[n++] = (struct wire_entry){ entry->type, entry->index, entry->term, span_of(entry->payload, entry->length) };
			bytes += entry->length;
		}
		message->append.count = n;
		send_message(c, group, message, wire);
		if (n > 0) {
			message->append.previous_index = entries[at + n - 1]->index;
			message->append.previous_term = entries[at + n - 1]->term;
		}
		at += n;
	} while (at < count);
}

void cluster_send(void *context, uint32_t group, struct message *message, struct log_entry **entries)
{
	struct consensus *c = context;
	if (!c->peers)
		return;
	if (message->type != MESSAGE_APPEND) {
		send_message(c, group, message, NULL);
	} else if (entries || message->append.count == 0) {
		send_append(c, group, message, entries, message->append.count);
	} else {
		struct log_entry *read[RAFT_ENTRIES_MAX];
		size_t wanted = message->append.count < RAFT_ENTRIES_MAX ? message->append.count : RAFT_ENTRIES_MAX;
		size_t count = log_store_read(c->store, group, message->append.previous_index + 1, wanted, 4 * RAFT_APPEND_BYTES_MAX, read);
		if (count > 0) /* else not on disk yet, or not any more: the engine finds out */
			send_append(c, group, message, read, count);
		for (size_t i = 0; i < count; i++)
			log_entry_release(read[i]);
	}
}

static void take_message(struct group *group, uint64_t peer, struct span body)
{
	struct wire_entry wire[RAFT_ENTRIES_MAX];
	struct log_entry *entries[RAFT_ENTRIES_MAX];
	struct message message;
	if (raft_message_decode(&message, wire, body) != 0)
		return;
	message.peer = peer;
	size_t count = message.type == MESSAGE_APPEND ? message.append.count : 0;
	for (size_t i = 0; i < count; i++)
		entries[i] = log_entry_make(wire[i].type, wire[i].index, wire[i].term, wire[i].payload);
	if (message.type == MESSAGE_APPEND)
		message.append.entries = entries;
	driver_receive(group->driver, &message);
	for (size_t i = 0; i < count; i++)
		log_entry_release(entries[i]);
}

void cluster_lost(void *context, uint32_t group, uint64_t peer, uint64_t last, uint64_t match)
{
	struct consensus *c = context;
	struct buffer body;
	if (!c->peers)
		return;
	fprintf(stderr, "cairn: cluster: the log of group %u of node %016llx ends at %llu, though it acknowledged %llu: its disk has lost entries\n", group,
		(unsigned long long)peer, (unsigned long long)last, (unsigned long long)match);
	buffer_init(&body, 64);
	pack_array(&body, 1);
	pack_u64(&body, match);
	peers_send(c->peers, peer, FRAME_LOST, group, buffer_span(&body));
	buffer_fini(&body);
}

/* What this node promised is not on its disk: it might vote for one that does not have it either. */
static void take_lost(struct group *group, uint64_t peer, struct span body)
{
	struct driver_status status;
	struct cursor cursor = cursor_of(body);
	cursor_array(&cursor, 1);
	uint64_t match = cursor_u64(&cursor);
	driver_status(group->driver, &status);
	if (cursor_done(&cursor) && status.leader == peer && status.last_index < match)
		node_stop("the log of group %u ends at %llu, but %llu was acknowledged to the leader: acknowledged entries are lost, this disk must rejoin under a new id",
			group->number, (unsigned long long)status.last_index, (unsigned long long)match);
}

static void on_frame(void *context, uint64_t peer, const struct peer_frame *frame)
{
	struct consensus *c = context;
	if (frame->group >= GROUPS_MAX || c->stopping)
		return;
	struct group *group = &c->groups[frame->group];
	if (frame->type == FRAME_RAFT)
		take_message(group, peer, frame->body);
	else if (frame->type == FRAME_LOST)
		take_lost(group, peer, frame->body);
	else
		forward_frame(c, group, peer, frame);
	c->turn_due = true;
}

/* ---- bulk calls and joining: a thread each ---- */

/* Whoever stops wakes those who wait for the other side. */
static void stream_fd_change(struct consensus *c, int from, int to)
{
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < CLUSTER_STREAMS_MAX; i++)
		if (c->stream_fds[i] == from) {
			c->stream_fds[i] = to;
			break;
		}
	pthread_mutex_unlock(&c->lock);
}

/* Under the lock. */
static void shut_streams(struct consensus *c)
{
	for (size_t i = 0; i < CLUSTER_STREAMS_MAX; i++)
		if (c->stream_fds && c->stream_fds[i] >= 0)
			shutdown(c->stream_fds[i], SHUT_RDWR);
}

struct stream_job {
	struct consensus *consensus;
	struct peer_stream *stream;
	struct peer_hello hello;
};

static void serve_state(struct consensus *c, struct peer_stream *stream, const struct peer_frame *frame)
{
	struct why why = { 0 };
	struct cursor cursor = cursor_of(frame->body);
	cursor_array(&cursor, 1);
	uint64_t index = cursor_u64(&cursor);
	uint32_t group = frame->group;
	if (!cursor_done(&cursor) || group >= GROUPS_MAX)
		return;
	/* The log behind the copy stays as long as it takes. The last of several begins the lowest: good enough, a copy may begin anew. */
	atomic_store(&c->groups[group].pin, index);
	if (install_serve(stream, applier_db(c->applier), group, index, &c->streams_stop, &why) != 0 && why.text[0])
		fprintf(stderr, "cairn: cluster: copying the state of group %u to node %016llx: %s\n", group, (unsigned long long)stream->peer, why.text);
	atomic_store(&c->groups[group].pin, 0);
}

static void serve_bulk(struct consensus *c, struct peer_stream *stream)
{
	struct peer_frame frame;
	if (peer_stream_receive(stream, &frame, NULL) != 0)
		return;
	if (frame.type == FRAME_STATE) {
		serve_state(c, stream, &frame);
		return;
	}
	pthread_mutex_lock(&c->lock);
	void (*bulk)(void *context, struct peer_stream *stream, const struct peer_frame *first) = c->bulk;
	void *context = c->bulk_context;
	c->bulk_running += bulk != NULL;
	pthread_mutex_unlock(&c->lock);
	if (!bulk)
		return;
	bulk(context, stream, &frame);
	pthread_mutex_lock(&c->lock);
	c->bulk_running--;
	pthread_cond_broadcast(&c->settled_wake);
	pthread_mutex_unlock(&c->lock);
}

static void *serve_stream(void *context)
{
	struct stream_job *job = context;
	struct consensus *c = job->consensus;
	stream_fd_change(c, -1, job->stream->fd);
	if (job->hello.purpose == PEER_JOIN)
		join_serve(job->stream, c, c->config.machine, job->hello.token_id);
	else
		serve_bulk(c, job->stream);
	stream_fd_change(c, job->stream->fd, -1);
	peer_stream_close(job->stream);
	free(job->stream);
	free(job);
	atomic_fetch_sub(&c->streams, 1);
	return NULL;
}

static void on_stream(void *context, struct peer_stream *stream, const struct peer_hello *hello)
{
	struct consensus *c = context;
	pthread_t thread;
	struct stream_job *job = must_alloc(sizeof(*job));
	*job = (struct stream_job){ .consensus = c, .stream = stream, .hello = *hello };
	bool begun = atomic_fetch_add(&c->streams, 1) < CLUSTER_STREAMS_MAX && !c->stopping && pthread_create(&thread, NULL, serve_stream, job) == 0;
	if (begun) {
		pthread_detach(thread);
		return;
	}
	atomic_fetch_sub(&c->streams, 1);
	peer_stream_close(stream);
	free(stream);
	free(job);
}

static void on_removed(void *context)
{
	((struct consensus *)context)->removed = true;
}

static bool on_token(void *context, const uint8_t token_id[PEER_TOKEN_ID_BYTES], uint8_t out[PEER_SECRET_BYTES])
{
	struct consensus *c = context;
	const struct state_machine *machine = c->config.machine;
	return machine->join_token && machine->join_token(machine->context, applier_db(c->applier), token_id, out);
}

/* ---- installing a state ---- */

struct install_job {
	uv_work_t work;
	struct consensus *consensus;
	uint32_t group;
	uint64_t index, leader;
	struct snapshot_record snapshot;
	struct cluster_view view;
	int err;
	struct why why;
};

static int fetch_from(struct install_job *job, const struct cluster_node *node)
{
	struct consensus *c = job->consensus;
	struct peer_stream stream;
	int err = consensus_call(c, node, 0, &stream, &job->why);
	if (err)
		return err;
	err = install_fetch(&stream, c->dir, job->group, job->index, &c->streams_stop, &job->why);
	peer_stream_close(&stream);
	return err;
}

static void install_work(uv_work_t *work)
{
	struct install_job *job = work->data;
	struct consensus *c = job->consensus;
	job->err = ERR_CLOSED;
	for (unsigned round = 0; job->err && !atomic_load(&c->streams_stop); round++) {
		for (int leader_first = 1; leader_first >= 0 && job->err; leader_first--)
			for (size_t i = 0; i < job->view.count && job->err && !atomic_load(&c->streams_stop); i++) {
				const struct cluster_node *node = &job->view.nodes[i];
				if (node->node_id != c->identity.node_id && node->role != NODE_REMOVED && (node->node_id == job->leader) == (leader_first == 1))
					job->err = fetch_from(job, node);
			}
		if (job->err == 0 || job->err == ERR_IO)
			break;
		if (round % 30 == 0)
			fprintf(stderr, "cairn: cluster: no node gives the state of group %u yet: %s\n", job->group, job->why.text);
		nanosleep(&(struct timespec){ .tv_nsec = 500 * 1000000L }, NULL);
	}
}

static void install_fetched(uv_work_t *work, int status)
{
	struct install_job *job = work->data;
	struct consensus *c = job->consensus;
	(void)status;
	c->installs_running--;
	if (job->err == ERR_IO || job->err == ERR_UNSUPPORTED)
		node_stop("%s", job->why.text);
	if (job->err == 0 && !c->stopping) {
		struct log_job *put = must_alloc(sizeof(*put));
		put->group = job->group;
		put->install = put->has_snapshot = true;
		put->snapshot = job->snapshot;
		job->snapshot = (struct snapshot_record){ 0 };
		log_writer_put(c->writer, put);
	}
	buffer_fini(&job->snapshot.configuration);
	sodium_memzero(&job->view, sizeof(job->view));
	free(job);
}

void cluster_install(void *context, uint32_t group, const struct snapshot_record *snapshot)
{
	struct consensus *c = context;
	struct install_job *job = must_alloc(sizeof(*job));
	struct driver_status status;
	driver_status(c->groups[group].driver, &status);
	job->work.data = job;
	job->consensus = c;
	job->group = group;
	job->index = snapshot->index;
	job->leader = status.leader;
	job->view = c->view;
	job->snapshot = *snapshot;
	buffer_init(&job->snapshot.configuration, 1 << 20);
	buffer_append(&job->snapshot.configuration, snapshot->configuration.data, snapshot->configuration.length);
	fprintf(stderr, "cairn: cluster: the log of group %u begins behind what this node has: copying the state at %llu\n", group,
		(unsigned long long)snapshot->index);
	c->installs_running++;
	if (uv_queue_work(&c->loop, &job->work, install_work, install_fetched) != 0)
		node_stop("cannot start to copy a state");
}

void cluster_install_logged(struct consensus *c, uint32_t group)
{
	char dir[PATH_MAX];
	install_dir(dir, c->dir, group);
	applier_install(c->applier, group, dir);
}

void cluster_installed(void *context, uint32_t group)
{
	struct consensus *c = context;
	pthread_mutex_lock(&c->lock);
	c->installed |= 1u << group;
	pthread_mutex_unlock(&c->lock);
	uv_async_send(&c->wake);
}

static void finish_installs(struct consensus *c)
{
	pthread_mutex_lock(&c->lock);
	unsigned installed = c->installed;
	c->installed = 0;
	pthread_mutex_unlock(&c->lock);
	for (uint32_t group = 0; group < GROUPS_MAX; group++) {
		struct why why = { 0 };
		if (!(installed & 1u << group))
			continue;
		if (log_store_installed(c->store, group, &why) != 0)
			node_stop("%s", why.text);
		install_discard(c->dir, group);
		driver_installed(c->groups[group].driver, applier_applied(c->applier, group));
		fprintf(stderr, "cairn: cluster: group %u has the state at %llu\n", group, (unsigned long long)applier_applied(c->applier, group));
	}
}

/* ---- the view ---- */

/* Which nodes of the view are removed and still in the configuration of a group, a bit each. */
static uint64_t nodes_leaving(const struct consensus *c)
{
	static_assert(CLUSTER_NODES_MAX <= 64, "a bit for each node");
	uint64_t leaving = 0;
	for (uint32_t group = 0; group < GROUPS_MAX; group++) {
		struct server servers[SERVERS_MAX];
		size_t count = c->groups[group].driver ? driver_servers(c->groups[group].driver, servers) : 0; /* none before the loop runs */
		for (size_t i = 0; i < count; i++) {
			const struct cluster_node *node = cluster_view_find(&c->view, servers[i].id);
			if (node && node->role == NODE_REMOVED)
				leaving |= (uint64_t)1 << (node - c->view.nodes);
		}
	}
	return leaving;
}

/* Who is removed is a peer until no group has it in its configuration: it may lead the group, and its vote may be needed for another leader. */
static void tell_peers(struct consensus *c)
{
	struct cluster_view *view = must_alloc(sizeof(*view));
	*view = c->view;
	c->leaving = nodes_leaving(c);
	for (size_t i = 0; i < view->count; i++)
		if (c->leaving & (uint64_t)1 << i)
			view->nodes[i].role = NODE_LEARNER;
	peers_set_view(c->peers, view);
	sodium_memzero(view, sizeof(*view));
	free(view);
}

static void take_view(struct consensus *c, const struct cluster_view *view)
{
	pthread_mutex_lock(&c->lock);
	c->public_view = *view;
	pthread_mutex_unlock(&c->lock);
	c->view = *view;
	tell_peers(c);
}

void consensus_view(struct consensus *c, struct cluster_view *out)
{
	pthread_mutex_lock(&c->lock);
	*out = c->public_view;
	pthread_mutex_unlock(&c->lock);
	sodium_memzero(out->secret, sizeof(out->secret));
}

int consensus_call(struct consensus *c, const struct cluster_node *node, int wait_ms, struct peer_stream *out, struct why *why)
{
	uint8_t secret[CLUSTER_SECRET_BYTES];
	enum peer_status status;
	pthread_mutex_lock(&c->lock);
	memcpy(secret, c->public_view.secret, sizeof(secret));
	pthread_mutex_unlock(&c->lock);
	struct peer_call call = { .address = node->address, .cluster_id = c->identity.cluster_id, .remote_key = node->public_key,
		.proof_secret = secret, .own = &c->keys, .wait_ms = wait_ms,
		.hello = { .purpose = PEER_BULK, .feature_level = FEATURE_LEVEL_KNOWN, .from = c->identity.node_id, .to = node->node_id } };
	int err = peer_stream_open(out, &call, &status, why);
	sodium_memzero(secret, sizeof(secret));
	return err;
}

void consensus_on_bulk(struct consensus *c, void (*serve)(void *context, struct peer_stream *stream, const struct peer_frame *first), void *context)
{
	pthread_mutex_lock(&c->lock);
	c->bulk = serve;
	c->bulk_context = context;
	if (!serve)
		shut_streams(c);
	while (!serve && c->bulk_running > 0)
		pthread_cond_wait(&c->settled_wake, &c->lock);
	pthread_mutex_unlock(&c->lock);
}

static void refresh_view(struct consensus *c)
{
	const struct state_machine *machine = c->config.machine;
	uint64_t applied = applier_applied(c->applier, GROUP_CLUSTER);
	bool changed = c->view_applied == 0 || applier_cluster_changed(c->applier) > c->view_applied;
	if (!machine->cluster || applied == c->view_applied || !changed)
		return;
	struct cluster_view *view = must_alloc(sizeof(*view));
	c->view_applied = applied;
	int err = machine->cluster(machine->context, applier_db(c->applier), view);
	struct why why = { 0 };
	if (err)
		node_stop("the nodes of the cluster cannot be read from the state (%s)", err_name(err));
	/* A new node's state knows less than it was told, at first. */
	changed = view->count != c->view.count || view->has_secret != c->view.has_secret ||
		memcmp(view->nodes, c->view.nodes, sizeof(view->nodes)) != 0 || memcmp(&view->settings, &c->view.settings, sizeof(view->settings)) != 0;
	view->applied = applied;
	if (view->has_secret && cluster_view_find(view, c->identity.node_id) && applied > c->view.applied && changed) {
		if (identity_view_put(view, log_store_db(c->store), &why) != 0)
			node_stop("%s", why.text);
		c->removed = cluster_view_find(view, c->identity.node_id)->role == NODE_REMOVED;
		take_view(c, view);
		if (view->count > 1)
			atomic_store(&c->alone, false);
	}
	sodium_memzero(view, sizeof(*view));
	free(view);
}

static void on_tick(uv_timer_t *timer)
{
	uv_async_send(&((struct consensus *)timer->data)->wake);
}

void cluster_turn(struct consensus *c)
{
	finish_installs(c);
	if (!c->peers || c->stopping)
		return;
	refresh_view(c);
	peers_set_level(c->peers, applier_feature_level(c->applier));
	uint64_t now = monotonic_ms(NULL);
	for (uint32_t i = 0; i < GROUPS_MAX; i++) {
		struct group *group = &c->groups[i];
		driver_pin(group->driver, atomic_load(&group->pin));
		if (now < group->membership_at_ms)
			continue;
		group->membership_at_ms = now + 4 * CLUSTER_TICK_MS;
		membership_step(group->driver, &c->view, c->identity.node_id);
		if (nodes_leaving(c) != c->leaving)
			tell_peers(c);
	}
}

/* ---- life ---- */

static bool listens_everywhere(const char *listen)
{
	return listen[0] == ':' || strncmp(listen, "0.0.0.0:", 8) == 0 || strncmp(listen, "[::]:", 5) == 0;
}

int cluster_loop_open(struct consensus *c, struct why *why)
{
	int err = identity_keys(&c->keys, log_store_db(c->store), why);
	if (err || !c->config.cluster.listen)
		return err;
	struct peers_config config = { .listen = c->config.cluster.listen, .node_id = c->identity.node_id, .keys = c->keys,
		.feature_level = FEATURE_LEVEL_KNOWN, .feature_level_min = applier_feature_level(c->applier),
		.calls = { .context = c, .frame = on_frame, .stream = on_stream, .token_secret = on_token, .removed = on_removed } };
	memcpy(config.cluster_id, c->identity.cluster_id, sizeof(config.cluster_id));
	err = peers_open(&c->peers, &c->loop, &config, why);
	sodium_memzero(&config, sizeof(config));
	if (err)
		return err;
	if (!c->config.cluster.advertise && listens_everywhere(c->config.cluster.listen))
		return why_set(why, ERR_INVALID, "%s is no address that other nodes can call: tell theirs with --cluster-address HOST:PORT", c->config.cluster.listen);
	const char *advertise = c->config.cluster.advertise ? c->config.cluster.advertise : c->config.cluster.listen;
	const char *colon = strrchr(advertise, ':');
	bool any_port = colon && strcmp(colon, ":0") == 0;
	int length = snprintf(c->address, sizeof(c->address), "%.*s%s", any_port ? (int)(colon - advertise) : (int)strlen(advertise), advertise, "");
	if (any_port)
		snprintf(c->address + length, sizeof(c->address) - (size_t)length, ":%u", peers_port(c->peers));
	c->stream_fds = must_alloc(CLUSTER_STREAMS_MAX * sizeof(int));
	for (size_t i = 0; i < CLUSTER_STREAMS_MAX; i++)
		c->stream_fds[i] = -1;
	peers_set_address(c->peers, c->address);
	uv_timer_init(&c->loop, &c->tick);
	c->tick.data = c;
	uv_timer_start(&c->tick, on_tick, CLUSTER_TICK_MS, CLUSTER_TICK_MS);
	return 0;
}

int cluster_loop_join(struct consensus *c, struct why *why)
{
	struct join_token token;
	struct cluster_node self = { 0 };
	if (join_token_decode(&token, c->config.cluster.join_token) != 0)
		return why_set(why, ERR_INVALID, "this is not a join token");
	if (c->identity.founded == IDENTITY_JOINING && memcmp(c->identity.cluster_id, token.cluster_id, CLUSTER_ID_BYTES) != 0)
		return why_set(why, ERR_CONFLICT, "this data directory began to join another cluster: wipe it");
	int err = identity_join(&c->identity, token.cluster_id, log_store_db(c->store), why);
	if (err)
		return err;
	err = cluster_loop_open(c, why); /* its address is told when joining */
	if (err == 0 && !c->peers)
		err = why_set(why, ERR_INVALID, "joining needs --cluster-listen HOST:PORT");
	if (err)
		return err;
	consensus_self(c, &self);
	self.role = NODE_LEARNER; /* the token says what it becomes */
	snprintf(self.name, sizeof(self.name), "%s", c->config.cluster.name ? c->config.cluster.name : "");
	snprintf(self.url, sizeof(self.url), "%s", c->config.cluster.url ? c->config.cluster.url : "");
	snprintf(self.domain, sizeof(self.domain), "%s", c->config.cluster.domain ? c->config.cluster.domain : "");
	self.weight = c->config.cluster.weight;
	err = join_ask(&c->view, &token, &c->keys, &self, FEATURE_LEVEL_KNOWN, &c->config.cluster, why);
	sodium_memzero(&token, sizeof(token));
	if (err == 0)
		err = identity_view_put(&c->view, log_store_db(c->store), why);
	return err;
}

int cluster_loop_begin(struct consensus *c, struct why *why)
{
	const struct state_machine *machine = c->config.machine;
	if (!c->peers || !machine->cluster)
		return 0;
	struct cluster_view *view = must_alloc(sizeof(*view));
	int err = identity_view_get(view, log_store_db(c->store), why);
	if (err == ERR_NOT_FOUND) /* the first node of a cluster that is none yet, or that has not written it down */
		err = machine->cluster(machine->context, applier_db(c->applier), view);
	const struct cluster_node *self = cluster_view_find(view, c->identity.node_id);
	if (err == 0 && self && self->role == NODE_REMOVED)
		err = why_set(why, ERR_DENIED, "this node was removed from the cluster; wipe its data directory and join it anew");
	if (err == 0) {
		take_view(c, view);
		atomic_store(&c->alone, view->count <= 1);
	}
	sodium_memzero(view, sizeof(*view));
	free(view);
	return err;
}

void cluster_loop_stop(struct consensus *c)
{
	atomic_store(&c->streams_stop, true);
	if (!c->peers)
		return;
	pthread_mutex_lock(&c->lock);
	shut_streams(c);
	pthread_mutex_unlock(&c->lock);
	uv_timer_stop(&c->tick);
	peers_close(c->peers);
}

void cluster_loop_end_streams(struct consensus *c)
{
	while (atomic_load(&c->streams) > 0) { /* each wait of theirs is bounded, and most are cut short */
		pthread_mutex_lock(&c->lock);
		shut_streams(c);
		pthread_mutex_unlock(&c->lock);
		nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000000L }, NULL);
	}
}

void cluster_loop_close(struct consensus *c)
{
	peers_free(c->peers);
	free(c->stream_fds);
	sodium_memzero(&c->keys, sizeof(c->keys));
	sodium_memzero(&c->view, sizeof(c->view));
	sodium_memzero(&c->public_view, sizeof(c->public_view));
}

/* ---- telling ---- */

static void fill_roles(struct consensus *c, struct cluster_status *out)
{
	for (uint32_t group = 0; group < GROUPS_MAX; group++) {
		struct server servers[SERVERS_MAX];
		struct driver_status status;
		size_t count = driver_servers(c->groups[group].driver, servers);
		driver_status(c->groups[group].driver, &status);
		out->groups[group] = (struct group_status){ .term = status.term, .leader = status.leader, .committed = status.committed,
			.applied = applier_applied(c->applier, group), .last_index = status.last_index, .snapshot_index = status.snapshot_index,
			.feature_level = applier_group_level(c->applier, group), .installing = status.installing };
		for (size_t i = 0; i < count; i++)
			for (size_t k = 0; k < out->count; k++) {
				struct node_status *node = &out->nodes[k];
				if (node->node.node_id != servers[i].id)
					continue;
				node->roles[group] = servers[i].role == SERVER_VOTER ? NODE_VOTER : NODE_LEARNER;
				node->match[group] = driver_match(c->groups[group].driver, servers[i].id);
			}
	}
}

void cluster_fill_status(struct consensus *c, struct cluster_status *out)
{
	*out = (struct cluster_status){ .node_id = c->identity.node_id, .listens = c->peers != NULL, .lag_ms = consensus_lag_ms(c) };
	for (size_t i = 0; i < c->view.count; i++) {
		struct node_status *node = &out->nodes[out->count++];
		node->node = c->view.nodes[i];
		node->self = node->node.node_id == c->identity.node_id;
		struct peer_state state = { 0 };
		if (c->peers && !node->self)
			peers_state(c->peers, node->node.node_id, &state);
		node->connected = node->self || state.connected;
		node->feature_level = node->self ? FEATURE_LEVEL_KNOWN : state.connected ? state.feature_level : 0;
		memcpy(node->trouble, state.trouble, sizeof(node->trouble));
	}
	if (out->count == 0) {
		consensus_self(c, &out->nodes[0].node);
		out->nodes[0].node.role = NODE_VOTER;
		out->nodes[0].self = out->nodes[0].connected = true;
		out->nodes[0].feature_level = FEATURE_LEVEL_KNOWN;
		out->count = 1;
	}
	fill_roles(c, out);
}
