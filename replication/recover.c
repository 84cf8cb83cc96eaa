#include "replication/recover.h"

#include "replication/applier.h"
#include "replication/cluster_node.h"
#include "replication/identity.h"
#include "replication/install.h"
#include "replication/raft_engine.h"

#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct recovery {
	struct log_store *store;
	struct applier *applier;
	struct identity identity;
	struct log_loaded loaded[GROUPS_MAX];
	struct cluster_view view;
};

static bool has_room(void *context)
{
	(void)context;
	return true; /* a few hundred bytes; what does not fit is an error of the write */
}

static int open_stores(struct recovery *recovery, const char *dir, struct why *why)
{
	static const struct state_machine none = { 0 }; /* nothing is applied here */
	char path[PATH_MAX];
	bool founding;
	if (snprintf(path, sizeof(path), "%s/raftlog", dir) >= (int)sizeof(path) - 16)
		return why_set(why, ERR_INVALID, "the path %s is too long", dir);
	int err = log_store_open(&recovery->store, path, why);
	snprintf(path, sizeof(path), "%s/meta", dir);
	if (err == 0)
		err = applier_open(&recovery->applier, path, 0, &none, &(struct applier_calls){ .has_room = has_room }, why);
	if (err == 0)
		err = identity_open(&recovery->identity, &founding, log_store_db(recovery->store), applier_db(recovery->applier), why);
	if (err == 0 && founding)
		err = why_set(why, ERR_CONFLICT, "%s holds no node that was ever part of a cluster", dir);
	for (uint32_t group = 0; group < GROUPS_MAX && err == 0; group++) {
		int installing = log_store_installing(recovery->store, group, why);
		if (installing)
			err = installing < 0 ? installing : why_set(why, ERR_BUSY, "a copied state is not in place yet: start the node once, let it say that it waits, stop it");
	}
	return err;
}

static struct span newest_configuration(const struct log_loaded *loaded)
{
	if (loaded->configurations_count == 0)
		return buffer_span(&loaded->snapshot.configuration);
	const struct log_entry *entry = loaded->configurations[loaded->configurations_count - 1];
	return span_of(entry->payload, entry->length);
}

static int load_group(struct recovery *recovery, uint32_t group, struct recover_group *out, struct why *why)
{
	const struct applied_record *record = applier_record(recovery->applier, group);
	struct log_loaded *loaded = &recovery->loaded[group];
	int err = log_store_load(recovery->store, group, record->index, loaded, why);
	if (err == 0)
		err = applied_record_check(record, group, loaded, why);
	if (err)
		return err;
	if (newest_configuration(loaded).length == 0)
		return why_set(why, ERR_CONFLICT, "nothing of group %u has come to this node yet: it cannot go on alone", group);
	*out = (struct recover_group){ .term = loaded->term, .last_index = loaded->last_index, .applied = record->index, .newest_ms = record->leader_ms };
	for (size_t i = 0; i < loaded->pending_count; i++) {
		const struct log_entry *entry = loaded->pending[i];
		struct command_entry commands;
		if (entry->type == ENTRY_COMMANDS && command_entry_open(&commands, span_of(entry->payload, entry->length)) == 0 &&
			commands.leader_ms > out->newest_ms)
			out->newest_ms = commands.leader_ms;
	}
	return 0;
}

/* Who belongs to the cluster, as this node heard last. */
static int load_view(struct recovery *recovery, struct recover_report *out, struct why *why)
{
	struct cluster_view *view = &recovery->view;
	int err = identity_view_get(view, log_store_db(recovery->store), why);
	if (err == ERR_NOT_FOUND)
		err = cluster_view_read(NULL, applier_db(recovery->applier), view);
	if (err)
		return err;
	for (size_t i = 0; i < view->count; i++)
		if (view->nodes[i].node_id != recovery->identity.node_id && view->nodes[i].role != NODE_REMOVED)
			out->others[out->others_count++] = view->nodes[i];
	const struct cluster_node *self = cluster_view_find(view, recovery->identity.node_id);
	return self && self->role == NODE_REMOVED ? why_set(why, ERR_CONFLICT, "this node was removed from its cluster before") : 0;
}

/* ---- going on alone ---- */

static int put_view(struct recovery *recovery, enum recover_mode mode, const uint8_t secret[CLUSTER_SECRET_BYTES], struct why *why)
{
	struct cluster_view *view = &recovery->view;
	for (size_t i = 0; i < view->count; i++)
		view->nodes[i].role = view->nodes[i].node_id == recovery->identity.node_id ? NODE_VOTER : NODE_REMOVED;
	view->has_secret = mode == RECOVER_ALONE;
	memcpy(view->secret, secret, sizeof(view->secret));
	if (mode == RECOVER_COPY)
		*view = (struct cluster_view){ 0 };
	return identity_view_put(view, log_store_db(recovery->store), why);
}

/* Never before what the log says, so that the id is taken for a fresh one. */
static int64_t time_of_command(const struct recover_group *group)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	return now_ms > group->newest_ms ? now_ms : group->newest_ms;
}

static int forsake_payload(struct buffer *out, uint64_t node_id, const uint8_t secret[CLUSTER_SECRET_BYTES], int64_t now_ms)
{
	struct command_id id;
	command_id_make(&id);
	put_big_endian(id.bytes, (uint64_t)now_ms, 6);
	command_entry_begin(out, now_ms, 1);
	return cluster_node_forsake_command(node_id, secret, &id, out);
}

/* One write for both groups: the point of no return. */
static int put_entries(struct recovery *recovery, struct span configuration, struct span forsake, struct why *why)
{
	struct log_entry *entries[GROUPS_MAX][2];
	struct log_job jobs[GROUPS_MAX];
	int err = 0;
	for (uint32_t group = 0; group < GROUPS_MAX; group++) {
		const struct log_loaded *loaded = &recovery->loaded[group];
		uint64_t next = loaded->last_index + 1, term = loaded->term + 1;
		size_t count = 0;
		entries[group][count++] = log_entry_make(ENTRY_CONFIGURATION, next, term, configuration);
		if (group == GROUP_CLUSTER)
			entries[group][count++] = log_entry_make(ENTRY_COMMANDS, next + 1, term, forsake);
		jobs[group] = (struct log_job){ .next = group + 1 < GROUPS_MAX ? &jobs[group + 1] : NULL, .group = group, .first_index = next,
			.entries = entries[group], .entries_count = count };
		if (err == 0)
			err = log_store_put_hard_state(recovery->store, group, term, 0, why);
	}
	if (err == 0)
		err = log_store_write(recovery->store, jobs, why);
	for (uint32_t group = 0; group < GROUPS_MAX; group++)
		for (size_t i = 0; i < jobs[group].entries_count; i++)
			log_entry_release(entries[group][i]);
	return err;
}

static int go_on_alone(struct recovery *recovery, enum recover_mode mode, struct recover_report *out, struct why *why)
{
	uint8_t secret[CLUSTER_SECRET_BYTES];
	struct buffer configuration, forsake;
	buffer_init(&configuration, 4096);
	buffer_init(&forsake, 4096);
	randombytes_buf(secret, sizeof(secret));
	int err = mode == RECOVER_COPY ? identity_renew(&recovery->identity, log_store_db(recovery->store), applier_db(recovery->applier), why) : 0;
	out->node_id = recovery->identity.node_id;
	if (err == 0)
		err = put_view(recovery, mode, secret, why);
	if (err == 0)
		err = raft_engine_configuration(&configuration, &recovery->identity.node_id, 1);
	if (err == 0)
		err = forsake_payload(&forsake, mode == RECOVER_ALONE ? recovery->identity.node_id : 0, secret, time_of_command(&out->groups[GROUP_CLUSTER]));
	if (err == 0)
		err = put_entries(recovery, buffer_span(&configuration), buffer_span(&forsake), why);
	sodium_memzero(secret, sizeof(secret));
	buffer_fini(&configuration);
	buffer_fini(&forsake);
	return err;
}

int consensus_recover(const char *dir, enum recover_mode mode, struct recover_report *out, struct why *why)
{
	*out = (struct recover_report){ 0 };
	struct recovery *recovery = calloc(1, sizeof(*recovery));
	if (!recovery)
		return why_set(why, ERR_NO_MEMORY, "no memory");
	int err = open_stores(recovery, dir, why);
	out->node_id = recovery->identity.node_id;
	for (uint32_t group = 0; group < GROUPS_MAX && err == 0; group++)
		err = load_group(recovery, group, &out->groups[group], why);
	if (err == 0)
		err = load_view(recovery, out, why);
	out->alone = err == 0;
	for (uint32_t group = 0; group < GROUPS_MAX && err == 0; group++)
		out->alone = out->alone && raft_engine_sole_voter(newest_configuration(&recovery->loaded[group]), out->node_id);
	if (err == 0 && mode == RECOVER_ALONE && out->alone)
		err = why_set(why, ERR_CONFLICT, "this node is the only voter of its cluster already: there is nothing to recover");
	if (err == 0 && mode != RECOVER_LOOK)
		err = go_on_alone(recovery, mode, out, why);
	for (uint32_t group = 0; group < GROUPS_MAX; group++)
		log_loaded_fini(&recovery->loaded[group]);
	applier_close(recovery->applier);
	log_store_close(recovery->store);
	sodium_memzero(recovery, sizeof(*recovery));
	free(recovery);
	return err;
}
