/* consensus.c - puts the parts together and is what others call: one meta loop, one log writer, one applier over two stores. */
#include "replication/consensus.h"

#include "replication/cluster_loop.h"
#include "replication/cluster_node.h"
#include "replication/install.h"
#include "replication/keys.h"
#include "replication/meta_loop.h"
#include "replication/node.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum {
	RESERVE_BYTES_DEFAULT = 256 << 20,
	SNAPSHOT_BYTES_DEFAULT = 64 << 20,
	SNAPSHOT_MS_DEFAULT = 5 * 60 * 1000,
	OPEN_WAIT_MS = 60 * 1000, /* for leading, after everything was replayed */
	LEADER_WAIT_MS = 250,     /* between two questions whether to give up */
	LEADER_SAY_MS = 10 * 1000,
};

static uint64_t statvfs_free_bytes(void *context, const char *dir)
{
	(void)context;
	struct statvfs volume;
	return statvfs(dir, &volume) == 0 ? (uint64_t)volume.f_bavail * volume.f_frsize : 0;
}

/* What a founded node has: a term, and entry 1, the configuration, in every group. */
static int bootstrap(struct consensus *c, struct why *why)
{
	struct buffer configuration;
	buffer_init(&configuration, 4096);
	int err = raft_engine_configuration(&configuration, &c->identity.node_id, 1);
	for (uint32_t group = 0; group < GROUPS_MAX && err == 0; group++) {
		struct log_entry *entry = log_entry_make(ENTRY_CONFIGURATION, 1, 1, buffer_span(&configuration));
		struct log_job job = { .group = group, .truncate = true, .first_index = 1, .entries = &entry, .entries_count = 1 };
		err = log_store_put_hard_state(c->store, group, 1, 0, why);
		if (err == 0)
			err = log_store_write(c->store, &job, why);
		log_entry_release(entry);
	}
	buffer_fini(&configuration);
	return err ? err : identity_found(&c->identity, log_store_db(c->store), applier_db(c->applier), why);
}

static int open_group(struct consensus *c, uint32_t number, struct why *why)
{
	struct group *group = &c->groups[number];
	const struct applied_record *record = applier_record(c->applier, number);
	struct log_loaded loaded;
	int err = log_store_load(c->store, number, record->index, &loaded, why);
	if (err)
		return err;
	err = applied_record_check(record, number, &loaded, why);
	if (err == 0)
		err = driver_open(&group->driver, number, c->identity.node_id, &c->rio, &loaded, record->index, why);
	if (err == 0 && c->config.cluster.trailing_bytes)
		driver_set_trailing(group->driver, c->config.cluster.trailing_bytes);
	log_loaded_fini(&loaded);
	return err;
}

/* A node that joins has a term and nothing else: the leaders send it what they have. */
static int join(struct consensus *c, struct why *why)
{
	int err = cluster_loop_join(c, why);
	for (uint32_t group = 0; group < GROUPS_MAX && err == 0; group++)
		err = log_store_put_hard_state(c->store, group, 1, 0, why);
	return err ? err : identity_found(&c->identity, log_store_db(c->store), applier_db(c->applier), why);
}

/* A node that is one already needs no token, and a token of another cluster is a mistake. */
static int check_token(const struct consensus *c, const char *text, struct why *why)
{
	struct join_token token;
	if (join_token_decode(&token, text) != 0)
		return why_set(why, ERR_INVALID, "this is not a join token");
	bool same = memcmp(token.cluster_id, c->identity.cluster_id, CLUSTER_ID_BYTES) == 0;
	sodium_memzero(&token, sizeof(token));
	return same ? 0 : why_set(why, ERR_CONFLICT, "this data directory is a node of another cluster: wipe it before it joins");
}

static int refuse_to_found(const struct consensus *c, struct why *why)
{
	return why_set(why, ERR_CORRUPT, "the names of this hub are gone: there are none in %.180s, and bytes of a hub beside it. No new hub is founded over "
		"them: put the names back, or restore a backup into another directory, also if a restore into this one did not end. A node of a cluster is removed "
		"and joins anew", c->dir);
}

/* Asked before anything is made, so that what is put back finds its place free. */
static bool has_no_names(const struct consensus *c)
{
	static const char *const stores[] = { "raftlog", "meta" };
	char path[4096];
	for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s/CURRENT", c->dir, stores[i]);
		if (access(path, F_OK) == 0)
			return false;
	}
	return true;
}

static int open_stores(struct consensus *c, struct why *why)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/raftlog", c->dir);
	int err = log_store_open(&c->store, path, why);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/meta", c->dir);
	err = applier_open(&c->applier, path, c->config.index_cache_bytes, c->config.machine,
		&(struct applier_calls){ .context = c, .advanced = meta_loop_applied, .has_room = meta_loop_has_room, .installed = cluster_installed }, why);
	if (err)
		return err;
	bool founding;
	err = identity_open(&c->identity, &founding, log_store_db(c->store), applier_db(c->applier), why);
	const char *token = c->config.cluster.join_token;
	if (err == 0 && founding && c->identity.founded == IDENTITY_JOINING && !token)
		err = why_set(why, ERR_INVALID, "this data directory began to join a cluster: give the join token again, or wipe it");
	if (err == 0 && founding && token)
		return join(c, why);
	if (err == 0 && founding && c->config.cluster.is_not_new)
		err = refuse_to_found(c, why);
	if (err == 0 && token)
		err = check_token(c, token, why);
	if (err == 0)
		err = cluster_loop_open(c, why);
	if (err == 0 && founding)
		err = bootstrap(c, why);
	return err;
}

/* A state that was staged when this node stopped takes its place now. */
static int finish_install(struct consensus *c, uint32_t group, struct why *why)
{
	char dir[PATH_MAX];
	int installing = log_store_installing(c->store, group, why);
	if (installing < 0)
		return installing;
	install_dir(dir, c->dir, group);
	int err = installing ? applier_install_now(c->applier, group, dir, why) : 0;
	if (err == 0 && installing)
		err = log_store_installed(c->store, group, why);
	if (err == 0)
		install_discard(c->dir, group);
	return err;
}

/* A node of a cluster waits for the others as long as it is let: it takes part meanwhile, and without a majority there is nothing else to do. */
static int wait_for_leader(struct consensus *c, uint32_t group, struct why *why)
{
	const struct cluster_config *cluster = &c->config.cluster;
	if (consensus_alone(c))
		return consensus_read_barrier(c, group, OPEN_WAIT_MS, why);
	uint64_t said_ms = monotonic_ms(NULL);
	for (;;) {
		int err = consensus_read_barrier(c, group, LEADER_WAIT_MS, why);
		if (err != ERR_BUSY)
			return err;
		if (atomic_load(&c->groups[group].confirmed_ms)) /* by the loop's own question: an answer may take longer than this waits */
			return 0;
		if (cluster->give_up && cluster->give_up(cluster->give_up_context))
			return why_set(why, ERR_CLOSED, "told to stop before a leader answered");
		if (monotonic_ms(NULL) - said_ms >= LEADER_SAY_MS) {
			fprintf(stderr, "cairn: cluster: group %u has no leader yet: waiting for a majority of its voters\n", group);
			said_ms = monotonic_ms(NULL);
		}
	}
}

static int start(struct consensus *c, struct why *why)
{
	const struct cluster_config *cluster = &c->config.cluster;
	if (cluster->is_not_new && !cluster->join_token && has_no_names(c))
		return refuse_to_found(c, why);
	if (mkdir(c->dir, 0700) != 0 && errno != EEXIST)
		return why_set(why, ERR_IO, "cannot create %s: %s", c->dir, strerror(errno));
	if (!meta_loop_has_room(c))
		return why_set(why, ERR_NO_SPACE, "the disk of %s is full: starting needs %llu bytes", c->dir,
			(unsigned long long)c->config.reserve_bytes / 2);
	int err = open_stores(c, why);
	if (err == 0)
		err = log_writer_open(&c->writer, c->store, &(struct log_writer_calls){ .context = c, .done = meta_loop_stored, .has_room = meta_loop_has_room }, why);
	for (uint32_t i = 0; i < GROUPS_MAX && err == 0; i++)
		err = finish_install(c, i, why);
	if (err == 0)
		err = cluster_loop_begin(c, why);
	for (uint32_t i = 0; i < GROUPS_MAX && err == 0; i++)
		err = open_group(c, i, why);
	if (err == 0)
		err = applier_start(c->applier, why);
	if (err)
		return err;
	err = meta_loop_start(c, why);
	for (uint32_t i = 0; i < GROUPS_MAX && err == 0; i++)
		err = wait_for_leader(c, i, why);
	return err;
}

int consensus_open(struct consensus **out, const struct consensus_config *config, struct why *why)
{
	*out = NULL;
	if (sodium_init() < 0)
		return why_set(why, ERR_IO, "the system gives no random bytes");
	struct consensus *c = must_alloc(sizeof(*c));
	c->config = *config;
	c->dir = strdup(config->dir);
	if (c->config.reserve_bytes == 0)
		c->config.reserve_bytes = RESERVE_BYTES_DEFAULT;
	if (!c->config.free_bytes)
		c->config.free_bytes = statvfs_free_bytes;
	if (c->config.snapshot_bytes == 0)
		c->config.snapshot_bytes = SNAPSHOT_BYTES_DEFAULT;
	if (c->config.snapshot_ms == 0)
		c->config.snapshot_ms = SNAPSHOT_MS_DEFAULT;
	meta_loop_open(c);
	int err = start(c, why);
	if (err) {
		consensus_close(c);
		return err;
	}
	*out = c;
	return 0;
}

void consensus_close(struct consensus *c)
{
	if (!c)
		return;
	meta_loop_stop(c);
	cluster_loop_end_streams(c); /* they read the state */
	/* The writer and the applier finish what they have, and still find the inbox and the async handle. */
	if (c->writer)
		log_writer_close(c->writer);
	applier_close(c->applier);
	meta_loop_close(c);
	for (uint32_t i = 0; i < GROUPS_MAX; i++) {
		if (c->groups[i].driver)
			driver_close(c->groups[i].driver);
		proposals_fini(&c->groups[i].proposals);
	}
	log_store_close(c->store);
	free(c->dir);
	free(c);
}

/* ---- what others call ---- */

void command_id_make(struct command_id *out)
{
	randombytes_buf(out->bytes, sizeof(out->bytes));
	put_big_endian(out->bytes, (uint64_t)wall_ms(NULL), 6);
	out->bytes[6] = (uint8_t)((out->bytes[6] & 0x0f) | 0x70);
	out->bytes[8] = (uint8_t)((out->bytes[8] & 0x3f) | 0x80);
}

int consensus_propose(struct consensus *c, uint32_t group, const struct command_id *id, struct span bytes, uint64_t timeout_ms,
	struct proposal_result *out, struct why *why)
{
	*out = (struct proposal_result){ 0 };
	struct command command;
	if (bytes.length > COMMAND_BYTES_MAX)
		return why_set(why, ERR_TOO_BIG, "a command of %zu bytes is over the limit of %d", bytes.length, COMMAND_BYTES_MAX);
	if (group >= GROUPS_MAX || command_decode(&command, bytes) != 0 || memcmp(command.id.bytes, id->bytes, COMMAND_ID_BYTES) != 0)
		return why_set(why, ERR_INVALID, "this is not a command");
	struct proposal *proposal;
	int err = proposals_add(&c->groups[group].proposals, bytes, command_releases(command.type), &proposal, why);
	if (err)
		return err;
	uv_async_send(&c->wake);
	err = proposal_wait(proposal, (int64_t)(monotonic_ms(NULL) + timeout_ms));
	if (err) {
		why_set(why, err, "no outcome in time, retry with the same id");
	} else {
		err = proposal->err;
		out->index = proposal->index;
		out->result = proposal->result;
		proposal->result = (struct buffer){ 0 };
		if (err && why)
			*why = proposal->why;
	}
	proposal_release(proposal);
	return err;
}

uint64_t consensus_applied(const struct consensus *c)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < GROUPS_MAX; i++)
		sum += applier_applied(c->applier, i);
	return sum;
}

rocksdb_t *consensus_db(struct consensus *c)
{
	return applier_db(c->applier);
}

int consensus_read_barrier(struct consensus *c, uint32_t group, uint64_t timeout_ms, struct why *why)
{
	if (group >= GROUPS_MAX)
		return why_set(why, ERR_INVALID, "there is no group %u", group);
	struct request request = { .kind = REQUEST_READ, .group = group, .deadline_ms = monotonic_ms(NULL) + timeout_ms };
	return meta_loop_ask(c, &request, why);
}

int consensus_snapshot(struct consensus *c, struct why *why)
{
	struct request request = { .kind = REQUEST_SNAPSHOT };
	return meta_loop_ask(c, &request, why);
}

/* ---- several nodes ---- */

struct read {
	struct request requests[GROUPS_MAX];
	unsigned left;
	int err;
	void (*done)(void *context, int err);
	void *context;
};

/* On the loop's thread, or before there is one to take it: one at a time in either case. */
static void read_part_done(struct request *request)
{
	struct read *read = (struct read *)(void *)((char *)(request - request->group) - offsetof(struct read, requests));
	if (request->err)
		read->err = request->err;
	if (--read->left > 0)
		return;
	read->done(read->context, read->err);
	free(read);
}

void consensus_read(struct consensus *c, uint64_t timeout_ms, uint64_t silence_ms, void (*done)(void *context, int err), void *context)
{
	struct read *read = must_alloc(sizeof(*read));
	read->left = GROUPS_MAX;
	read->done = done;
	read->context = context;
	uint64_t deadline_ms = monotonic_ms(NULL) + timeout_ms;
	for (uint32_t i = 0; i < GROUPS_MAX; i++) {
		read->requests[i] = (struct request){ .kind = REQUEST_READ, .group = i, .deadline_ms = deadline_ms, .silence_ms = silence_ms, .done = read_part_done };
		if (i > 0)
			read->requests[i].next = &read->requests[i - 1];
	}
	meta_loop_hand_in(c, &read->requests[GROUPS_MAX - 1], &read->requests[0]);
}

bool consensus_alone(const struct consensus *c)
{
	return atomic_load_explicit(&c->alone, memory_order_relaxed);
}

uint64_t consensus_lag_ms(struct consensus *c)
{
	uint64_t lag_ms = 0, now = monotonic_ms(NULL);
	for (uint32_t i = 0; i < GROUPS_MAX && !consensus_alone(c); i++) {
		uint64_t confirmed_ms = atomic_load_explicit(&c->groups[i].confirmed_ms, memory_order_relaxed);
		if (now > confirmed_ms && now - confirmed_ms > lag_ms)
			lag_ms = now - confirmed_ms;
	}
	return lag_ms;
}

void consensus_step_down(struct consensus *c, uint64_t timeout_ms)
{
	struct request request = { .kind = REQUEST_STEP_DOWN, .deadline_ms = monotonic_ms(NULL) + timeout_ms };
	if (!consensus_alone(c))
		meta_loop_ask(c, &request, NULL);
}

void consensus_cluster_id(const struct consensus *c, uint8_t out[CLUSTER_ID_BYTES])
{
	memcpy(out, c->identity.cluster_id, CLUSTER_ID_BYTES);
}

void consensus_self(const struct consensus *c, struct cluster_node *out)
{
	*out = (struct cluster_node){ .node_id = c->identity.node_id };
	memcpy(out->public_key, c->keys.public_key, sizeof(out->public_key));
	memcpy(out->address, c->address, sizeof(out->address));
}

int consensus_cluster_status(struct consensus *c, struct cluster_status *out, struct why *why)
{
	struct request request = { .kind = REQUEST_STATUS, .status = out };
	return meta_loop_ask(c, &request, why);
}

void consensus_status(struct consensus *c, struct consensus_status *out)
{
	pthread_mutex_lock(&c->lock);
	*out = c->status;
	pthread_mutex_unlock(&c->lock);
	out->applied = consensus_applied(c);
	out->commands = applier_commands(c->applier);
	out->log_syncs = log_store_syncs(c->store);
}
