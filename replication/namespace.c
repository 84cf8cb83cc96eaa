#include "replication/cluster_node.h"
#include "replication/namespace_state.h"
#include "replication/node.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BODY_BYTES_MAX = COMMAND_BYTES_MAX };

struct namespace {
	struct consensus *consensus;
	struct state_machine machine;
	rocksdb_readoptions_t *read_options;
	struct change_signal signal;
	atomic_uint_fast64_t records_version;
};

struct namespace_snapshot {
	rocksdb_t *db;
	const rocksdb_snapshot_t *snapshot;
	rocksdb_readoptions_t *read_options;
};

static const struct field entity_fields[] = { FIELD(struct entity_body, id, FIELD_BYTES, true) };
const struct schema entity_body_schema = SCHEMA(1, entity_fields);

/* ---- the state machine ---- */

static const struct {
	command_apply apply;
	uint32_t group;
} commands[] = {
	[COMMAND_USER_CREATE - COMMAND_TYPE_NAMESPACE] = { user_create_apply, GROUP_CLUSTER },
	[COMMAND_TOKEN_CREATE - COMMAND_TYPE_NAMESPACE] = { token_create_apply, GROUP_CLUSTER },
	[COMMAND_TOKEN_DELETE - COMMAND_TYPE_NAMESPACE] = { token_delete_apply, GROUP_CLUSTER },
	[COMMAND_APP_CREATE - COMMAND_TYPE_NAMESPACE] = { app_create_apply, GROUP_CLUSTER },
	[COMMAND_APP_DELETE - COMMAND_TYPE_NAMESPACE] = { app_delete_apply, GROUP_CLUSTER },
	[COMMAND_APP_CODE_CREATE - COMMAND_TYPE_NAMESPACE] = { app_code_create_apply, GROUP_CLUSTER },
	[COMMAND_APP_CODE_TAKE - COMMAND_TYPE_NAMESPACE] = { app_code_take_apply, GROUP_CLUSTER },
	[COMMAND_APP_TOKENS_RENEW - COMMAND_TYPE_NAMESPACE] = { app_tokens_renew_apply, GROUP_CLUSTER },
	[COMMAND_IDENTITY_LINK - COMMAND_TYPE_NAMESPACE] = { outside_identity_link_apply, GROUP_CLUSTER },
	[COMMAND_SIGNING_KEY_CREATE - COMMAND_TYPE_NAMESPACE] = { signing_key_create_apply, GROUP_CLUSTER },
	[COMMAND_SSH_KEY_CREATE - COMMAND_TYPE_NAMESPACE] = { ssh_key_create_apply, GROUP_CLUSTER },
	[COMMAND_SSH_KEY_DELETE - COMMAND_TYPE_NAMESPACE] = { ssh_key_delete_apply, GROUP_CLUSTER },
	[COMMAND_REPO_CREATE - COMMAND_TYPE_NAMESPACE] = { repo_create_apply, GROUP_CLUSTER },
	[COMMAND_REPO_UPDATE - COMMAND_TYPE_NAMESPACE] = { repo_update_apply, GROUP_CLUSTER },
	[COMMAND_REPO_DELETE - COMMAND_TYPE_NAMESPACE] = { repo_delete_apply, GROUP_CLUSTER },
	[COMMAND_REPO_PURGE - COMMAND_TYPE_NAMESPACE] = { repo_purge_apply, GROUP_REPOS },
	[COMMAND_REPO_FORGET - COMMAND_TYPE_NAMESPACE] = { repo_forget_apply, GROUP_CLUSTER },
	[COMMAND_REFS_UPDATE - COMMAND_TYPE_NAMESPACE] = { refs_update_apply, GROUP_REPOS },
	[COMMAND_BUNDLES_SET - COMMAND_TYPE_NAMESPACE] = { bundles_set_apply, GROUP_REPOS },
	[COMMAND_PACKS_REPLACE - COMMAND_TYPE_NAMESPACE] = { packs_replace_apply, GROUP_REPOS },
	[COMMAND_SECRET_CREATE - COMMAND_TYPE_NAMESPACE] = { secret_create_apply, GROUP_CLUSTER },
	[COMMAND_REPO_LIKE - COMMAND_TYPE_NAMESPACE] = { repo_like_apply, GROUP_CLUSTER },
	[COMMAND_REPO_UNLIKE - COMMAND_TYPE_NAMESPACE] = { repo_unlike_apply, GROUP_CLUSTER },
	[COMMAND_LIKES_DROP - COMMAND_TYPE_NAMESPACE] = { likes_drop_apply, GROUP_CLUSTER },
	[COMMAND_DOWNLOADS_ADD - COMMAND_TYPE_NAMESPACE] = { downloads_add_apply, GROUP_REPOS },
	[COMMAND_DISCUSSION_OPEN - COMMAND_TYPE_NAMESPACE] = { discussion_open_apply, GROUP_REPOS },
	[COMMAND_DISCUSSION_COMMENT - COMMAND_TYPE_NAMESPACE] = { discussion_comment_apply, GROUP_REPOS },
	[COMMAND_DISCUSSION_EDIT - COMMAND_TYPE_NAMESPACE] = { discussion_edit_apply, GROUP_REPOS },
	[COMMAND_DISCUSSION_UPDATE - COMMAND_TYPE_NAMESPACE] = { discussion_update_apply, GROUP_REPOS },
	[COMMAND_DISCUSSION_DELETE - COMMAND_TYPE_NAMESPACE] = { discussion_delete_apply, GROUP_REPOS },
	[COMMAND_PULL_REQUEST_MERGE - COMMAND_TYPE_NAMESPACE] = { pull_request_merge_apply, GROUP_REPOS },
	[COMMAND_COLLECTION_PUT - COMMAND_TYPE_NAMESPACE] = { collection_put_apply, GROUP_CLUSTER },
	[COMMAND_COLLECTION_DELETE - COMMAND_TYPE_NAMESPACE] = { collection_delete_apply, GROUP_CLUSTER },
	[COMMAND_COLLECTION_ADD - COMMAND_TYPE_NAMESPACE] = { collection_add_apply, GROUP_CLUSTER },
	[COMMAND_COLLECTION_ITEM_CHANGE - COMMAND_TYPE_NAMESPACE] = { collection_item_change_apply, GROUP_CLUSTER },
	[COMMAND_COLLECTION_ITEM_REMOVE - COMMAND_TYPE_NAMESPACE] = { collection_item_remove_apply, GROUP_CLUSTER },
	[COMMAND_FOLLOW - COMMAND_TYPE_NAMESPACE] = { follow_apply, GROUP_CLUSTER },
	[COMMAND_NOTIFY - COMMAND_TYPE_NAMESPACE] = { notify_apply, GROUP_CLUSTER },
	[COMMAND_NOTIFICATIONS_CHANGE - COMMAND_TYPE_NAMESPACE] = { notifications_change_apply, GROUP_CLUSTER },
	[COMMAND_NOTIFICATION_WISH - COMMAND_TYPE_NAMESPACE] = { notification_wish_apply, GROUP_CLUSTER },
	[COMMAND_NOTIFICATIONS_FORGET - COMMAND_TYPE_NAMESPACE] = { notifications_forget_apply, GROUP_CLUSTER },
	[COMMAND_BUCKET_CHANGE - COMMAND_TYPE_NAMESPACE] = { bucket_change_apply, GROUP_REPOS },
	[COMMAND_ACCESS - COMMAND_TYPE_NAMESPACE] = { access_apply, GROUP_REPOS },
	[COMMAND_WEBHOOK_PUT - COMMAND_TYPE_NAMESPACE] = { webhook_put_apply, GROUP_CLUSTER },
	[COMMAND_WEBHOOK_DELETE - COMMAND_TYPE_NAMESPACE] = { webhook_delete_apply, GROUP_CLUSTER },
	[COMMAND_WEBHOOK_LOG - COMMAND_TYPE_NAMESPACE] = { webhook_log_apply, GROUP_CLUSTER },
	[COMMAND_CHANGES_POSITION - COMMAND_TYPE_NAMESPACE] = { changes_position_apply, GROUP_CLUSTER },
	[COMMAND_BRANCH_RULE_SET - COMMAND_TYPE_NAMESPACE] = { branch_rule_set_apply, GROUP_REPOS },
	[COMMAND_BRANCH_RULE_DELETE - COMMAND_TYPE_NAMESPACE] = { branch_rule_delete_apply, GROUP_REPOS },
	[COMMAND_LOCK_CREATE - COMMAND_TYPE_NAMESPACE] = { lock_create_apply, GROUP_REPOS },
	[COMMAND_LOCK_DELETE - COMMAND_TYPE_NAMESPACE] = { lock_delete_apply, GROUP_REPOS },
	[COMMAND_QUOTA_SET - COMMAND_TYPE_NAMESPACE] = { quota_set_apply, GROUP_CLUSTER },
	[COMMAND_ORG_CREATE - COMMAND_TYPE_NAMESPACE] = { org_create_apply, GROUP_CLUSTER },
	[COMMAND_ORG_UPDATE - COMMAND_TYPE_NAMESPACE] = { org_update_apply, GROUP_CLUSTER },
	[COMMAND_ORG_DELETE - COMMAND_TYPE_NAMESPACE] = { org_delete_apply, GROUP_CLUSTER },
	[COMMAND_MEMBER_SET - COMMAND_TYPE_NAMESPACE] = { member_set_apply, GROUP_CLUSTER },
	[COMMAND_MEMBER_DELETE - COMMAND_TYPE_NAMESPACE] = { member_delete_apply, GROUP_CLUSTER },
	[COMMAND_REPO_MOVE - COMMAND_TYPE_NAMESPACE] = { repo_move_apply, GROUP_CLUSTER },
	[COMMAND_NODE_ANNOUNCE - COMMAND_TYPE_NAMESPACE] = { cluster_node_apply, GROUP_CLUSTER },
	[COMMAND_NODE_JOIN - COMMAND_TYPE_NAMESPACE] = { cluster_node_apply, GROUP_CLUSTER },
	[COMMAND_NODE_ROLES - COMMAND_TYPE_NAMESPACE] = { cluster_node_apply, GROUP_CLUSTER },
	[COMMAND_JOIN_TOKEN_CREATE - COMMAND_TYPE_NAMESPACE] = { cluster_node_apply, GROUP_CLUSTER },
	[COMMAND_NODE_PLACE - COMMAND_TYPE_NAMESPACE] = { cluster_node_apply, GROUP_CLUSTER },
	[COMMAND_CLUSTER_SET - COMMAND_TYPE_NAMESPACE] = { cluster_set_apply, GROUP_CLUSTER },
	[COMMAND_REPO_COPIES - COMMAND_TYPE_NAMESPACE] = { repo_copies_apply, GROUP_CLUSTER },
	[COMMAND_CLUSTER_ERASURE - COMMAND_TYPE_NAMESPACE] = { cluster_erasure_apply, GROUP_CLUSTER },
	[COMMAND_NODE_URL - COMMAND_TYPE_NAMESPACE] = { cluster_node_apply, GROUP_CLUSTER },
	[COMMAND_NODES_FORSAKE - COMMAND_TYPE_NAMESPACE] = { cluster_node_apply, GROUP_CLUSTER },
	[COMMAND_TOKEN_CREATE_FINE - COMMAND_TYPE_NAMESPACE] = { token_create_fine_apply, GROUP_CLUSTER },
};

/* Of repositories that are there already: repo_records_version. */
static bool changes_records(uint32_t type)
{
	return type == COMMAND_REPO_UPDATE || type == COMMAND_REPO_DELETE || type == COMMAND_REPO_MOVE;
}

static int apply_command(void *context, const struct apply_context *apply, struct span bytes, struct buffer *result, struct why *why)
{
	struct namespace *ns = context;
	struct command command;
	int err = command_decode(&command, bytes);
	if (err)
		return why_set(why, err, "a command does not parse");
	size_t slot = (size_t)command.type - COMMAND_TYPE_NAMESPACE;
	if (slot >= sizeof(commands) / sizeof(commands[0]) || !commands[slot].apply)
		return why_set(why, ERR_UNSUPPORTED, "command type %u is not known to this program", command.type);
	if (command.version != 1)
		return why_set(why, ERR_UNSUPPORTED, "version %u of command type %u is not known to this program", command.version, command.type);
	if (commands[slot].group != apply->group)
		return why_set(why, ERR_INVALID, "command type %u does not belong to group %u", command.type, apply->group);
	if (changes_records(command.type) && !(atomic_load(&ns->records_version) & 1))
		atomic_fetch_add(&ns->records_version, 1);
	return commands[slot].apply(apply, &command, result, why);
}

static void wake_followers(void *context, uint64_t applied)
{
	(void)applied;
	struct namespace *ns = context;
	if (atomic_load(&ns->records_version) & 1)
		atomic_fetch_add(&ns->records_version, 1);
	change_signal_raise(&ns->signal);
}

static void see_replaced(void *context)
{
	struct namespace *ns = context;
	atomic_fetch_add(&ns->records_version, 2);
}

int state_get(const struct apply_context *apply, const struct key *key, const struct schema *schema, void *record, size_t record_bytes, struct why *why)
{
	struct span value;
	int err = state_batch_get(apply->batch, key_span(key), &value, why);
	if (err || !schema)
		return err;
	err = record_decode(record, record_bytes, schema, value);
	return err ? why_set(why, err, "a record of the state does not parse (%s)", err_name(err)) : 0;
}

int state_get_bytes(const struct apply_context *apply, const struct key *key, void *out, size_t length, struct why *why)
{
	struct span value;
	int err = state_batch_get(apply->batch, key_span(key), &value, why);
	if (err)
		return err;
	if (value.length != length)
		return why_set(why, ERR_CORRUPT, "a record of the state has %zu bytes, not %zu", value.length, length);
	memcpy(out, value.data, length);
	return 0;
}

int state_read(const struct apply_context *apply, const struct key *key, struct buffer *out, struct why *why)
{
	struct span value;
	int err = state_batch_get(apply->batch, key_span(key), &value, why);
	if (err == 0 && buffer_append(out, value.data, value.length) != 0)
		err = why_set(why, ERR_CORRUPT, "a record of the state has %zu bytes", value.length);
	return err;
}

void state_put_bytes(const struct apply_context *apply, const struct key *key, const void *data, size_t length)
{
	state_batch_put(apply->batch, key_span(key), span_of(data, length));
}

void state_put(const struct apply_context *apply, const struct key *key, const struct schema *schema, const void *record)
{
	struct buffer value;
	buffer_init(&value, BODY_BYTES_MAX);
	record_encode(&value, schema, record);
	state_put_bytes(apply, key, value.data, value.length);
	buffer_fini(&value);
}

void state_delete(const struct apply_context *apply, const struct key *key)
{
	state_batch_delete(apply->batch, key_span(key));
}

static bool collect_key(void *context, struct span key)
{
	struct buffer *keys = context;
	uint32_t length = (uint32_t)key.length;
	buffer_append(keys, &length, sizeof(length));
	return buffer_append(keys, key.data, key.length) == 0;
}

int state_delete_prefix(const struct apply_context *apply, const struct key *prefix, struct why *why)
{
	struct buffer keys;
	buffer_init(&keys, SIZE_MAX);
	int err = state_batch_each(apply->batch, key_span(prefix), collect_key, &keys, why);
	if (err == 0 && keys.failed)
		err = why_set(why, ERR_NO_MEMORY, "no memory to delete a repository");
	for (size_t offset = 0; err == 0 && offset < keys.length;) {
		uint32_t length;
		memcpy(&length, keys.data + offset, sizeof(length));
		offset += sizeof(length);
		state_batch_delete(apply->batch, span_of(keys.data + offset, length));
		offset += length;
	}
	buffer_fini(&keys);
	return err;
}

struct search {
	bool (*accept)(void *context, struct span key);
	void *context;
	bool found;
};

static bool accept_key(void *context, struct span key)
{
	struct search *search = context;
	if (search->accept && !search->accept(search->context, key))
		return true;
	search->found = true;
	return false;
}

bool state_any(const struct apply_context *apply, const struct key *prefix, bool (*accept)(void *context, struct span key), void *context)
{
	struct search search = { .accept = accept, .context = context };
	struct why why = { 0 };
	if (state_batch_each(apply->batch, key_span(prefix), accept_key, &search, &why) != 0)
		node_stop("%s", why.text); /* what is decided here must be decided alike on every node */
	return search.found;
}

int body_decode(void *record, size_t record_bytes, const struct schema *schema, const struct command *command, struct why *why)
{
	int err = record_decode(record, record_bytes, schema, command->body);
	if (err == ERR_CORRUPT)
		return why_set(why, ERR_INVALID, "the body of a command of type %u does not parse", command->type);
	return err ? why_set(why, err, "a command of type %u has a body of an unknown version", command->type) : 0;
}

/* ---- opening ---- */

/* What a node of a cluster tells the others. The cluster's secret is made by the first. */
static int announce(struct namespace *ns, const struct cluster_config *cluster, struct why *why)
{
	struct cluster_node self = { 0 };
	uint8_t secret[CLUSTER_SECRET_BYTES];
	int err = secret_get_or_create(ns, "cluster", secret, sizeof(secret), why);
	sodium_memzero(secret, sizeof(secret));
	if (err)
		return err;
	consensus_self(ns->consensus, &self);
	snprintf(self.name, sizeof(self.name), "%s", cluster->name ? cluster->name : "");
	snprintf(self.url, sizeof(self.url), "%s", cluster->url ? cluster->url : "");
	snprintf(self.domain, sizeof(self.domain), "%s", cluster->domain ? cluster->domain : "");
	self.weight = cluster->weight;
	err = cluster_node_announce(ns, &self, why);
	return err ? err : cluster_node_url(ns, self.node_id, cluster->node_url ? cluster->node_url : "", why);
}

int namespace_open_cluster(struct namespace **out, const char *dir, const struct cluster_config *cluster, struct why *why)
{
	*out = NULL;
	struct namespace *ns = calloc(1, sizeof(*ns));
	if (!ns)
		return why_set(why, ERR_NO_MEMORY, "no memory");
	ns->machine = (struct state_machine){ .apply = apply_command, .applied = wake_followers, .replaced = see_replaced, .raised = cluster_level_raised,
		.context = ns, .cluster = cluster_view_read, .join_token = join_token_find, .join_command = cluster_node_join_command };
	change_signal_init(&ns->signal);
	ns->read_options = rocksdb_readoptions_create();
	struct consensus_config config = { .dir = dir, .machine = &ns->machine };
	if (cluster)
		config.cluster = *cluster;
	int err = consensus_open(&ns->consensus, &config, why);
	if (err == 0 && cluster && cluster->listen)
		err = announce(ns, cluster, why);
	if (err == 0)
		err = repo_sweep(ns, why);
	if (err) {
		namespace_close(ns);
		return err;
	}
	*out = ns;
	return 0;
}

int namespace_open(struct namespace **out, const char *dir, struct why *why)
{
	return namespace_open_cluster(out, dir, NULL, why);
}

void namespace_close(struct namespace *ns)
{
	if (!ns)
		return;
	consensus_close(ns->consensus);
	rocksdb_readoptions_destroy(ns->read_options);
	change_signal_fini(&ns->signal);
	free(ns);
}

struct consensus *namespace_consensus(struct namespace *ns)
{
	return ns->consensus;
}

struct change_signal *namespace_signal(struct namespace *ns)
{
	return &ns->signal;
}

uint64_t namespace_version(const struct namespace *ns)
{
	return consensus_applied(ns->consensus);
}

uint64_t repo_records_version(const struct namespace *ns)
{
	return atomic_load(&ns->records_version);
}

struct namespace_snapshot *namespace_snapshot_open(struct namespace *ns)
{
	struct namespace_snapshot *snapshot = malloc(sizeof(*snapshot));
	if (!snapshot)
		return NULL;
	snapshot->db = consensus_db(ns->consensus);
	snapshot->snapshot = rocksdb_create_snapshot(snapshot->db);
	snapshot->read_options = rocksdb_readoptions_create();
	rocksdb_readoptions_set_snapshot(snapshot->read_options, snapshot->snapshot);
	return snapshot;
}

void namespace_snapshot_close(struct namespace_snapshot *snapshot)
{
	if (!snapshot)
		return;
	rocksdb_readoptions_destroy(snapshot->read_options);
	rocksdb_release_snapshot(snapshot->db, snapshot->snapshot);
	free(snapshot);
}

/* ---- reading and proposing ---- */

/* Where other nodes have the same state, one that meets damage in its own stops: its clients find another, and it says what is to be done. A node that is alone goes on with what can be
 * read. */
int namespace_read_failed(struct namespace *ns, char *error)
{
	if (strncmp(error, "Corruption", strlen("Corruption")) == 0 && !consensus_alone(ns->consensus))
		node_stop("the state is damaged (%s): remove this node from the cluster, wipe its data directory, and join it anew", error);
	rocksdb_free(error);
	return ERR_IO;
}

static rocksdb_pinnableslice_t *get_pinned(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct key *key, int *err)
{
	char *error = NULL;
	rocksdb_pinnableslice_t *slice = rocksdb_get_pinned(consensus_db(ns->consensus), snapshot ? snapshot->read_options : ns->read_options,
		(const char *)key->bytes, key->length, &error);
	*err = slice ? 0 : ERR_NOT_FOUND;
	if (error)
		*err = namespace_read_failed(ns, error);
	return slice;
}

int namespace_get(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct key *key, const struct schema *schema, void *record,
	size_t record_bytes)
{
	int err;
	rocksdb_pinnableslice_t *slice = get_pinned(ns, snapshot, key, &err);
	if (!slice)
		return err;
	size_t length;
	const char *value = rocksdb_pinnableslice_value(slice, &length);
	err = !schema ? 0 : record_decode(record, record_bytes, schema, span_of(value, length));
	rocksdb_pinnableslice_destroy(slice);
	return err;
}

int namespace_get_bytes(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct key *key, void *out, size_t length)
{
	int err;
	rocksdb_pinnableslice_t *slice = get_pinned(ns, snapshot, key, &err);
	if (!slice)
		return err;
	size_t found_length;
	const char *value = rocksdb_pinnableslice_value(slice, &found_length);
	if (found_length == length)
		memcpy(out, value, length);
	else
		err = ERR_CORRUPT;
	rocksdb_pinnableslice_destroy(slice);
	return err;
}

int namespace_get_some(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct key *key, void *out, size_t size, size_t *length)
{
	int err;
	rocksdb_pinnableslice_t *slice = get_pinned(ns, snapshot, key, &err);
	if (!slice)
		return err;
	const char *value = rocksdb_pinnableslice_value(slice, length);
	if (*length <= size)
		memcpy(out, value, *length);
	else
		err = ERR_CORRUPT;
	rocksdb_pinnableslice_destroy(slice);
	return err;
}

int namespace_scan(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct key *prefix, const struct key *start,
	int (*each)(void *context, struct span key, struct span value), void *context)
{
	struct key end = *prefix;
	key_after_prefix(&end);
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	if (snapshot)
		rocksdb_readoptions_set_snapshot(options, snapshot->snapshot);
	rocksdb_readoptions_set_iterate_upper_bound(options, (const char *)end.bytes, end.length);
	rocksdb_iterator_t *iterator = rocksdb_create_iterator(consensus_db(ns->consensus), options);
	const struct key *from = start ? start : prefix;
	int err = 0;
	for (rocksdb_iter_seek(iterator, (const char *)from->bytes, from->length); err == 0 && rocksdb_iter_valid(iterator); rocksdb_iter_next(iterator)) {
		size_t key_length, value_length;
		const char *key = rocksdb_iter_key(iterator, &key_length);
		const char *value = rocksdb_iter_value(iterator, &value_length);
		err = each(context, span_of(key, key_length), span_of(value, value_length));
	}
	char *error = NULL;
	rocksdb_iter_get_error(iterator, &error);
	int failed = error ? namespace_read_failed(ns, error) : 0;
	err = err ? err : failed;
	rocksdb_iter_destroy(iterator);
	rocksdb_readoptions_destroy(options);
	return err;
}

int namespace_propose(struct namespace *ns, uint32_t group, enum command_type type, const char *actor, struct buffer *body,
	const struct command_id *id, struct why *why)
{
	return namespace_propose_result(ns, group, type, actor, body, id, NULL, why);
}

int namespace_propose_result(struct namespace *ns, uint32_t group, enum command_type type, const char *actor, struct buffer *body,
	const struct command_id *id, struct buffer *result_out, struct why *why)
{
	struct command command = { .type = (uint16_t)type, .version = 1, .actor = span_text(actor ? actor : ""), .body = buffer_span(body) };
	if (id)
		command.id = *id;
	else
		command_id_make(&command.id);
	struct buffer bytes;
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	int err = body->failed ? ERR_TOO_BIG : command_encode(&bytes, &command);
	struct proposal_result result = { 0 };
	if (err == 0)
		err = consensus_propose(ns->consensus, group, &command.id, buffer_span(&bytes), PROPOSE_TIMEOUT_MS, &result, why);
	else
		why_set(why, err, "the change is larger than one command may be");
	if (err == 0 && result_out)
		err = buffer_append(result_out, result.result.data, result.result.length);
	buffer_fini(&result.result);
	buffer_fini(&bytes);
	buffer_fini(body);
	return err;
}

/* Like the Hub's it begins with the time, so that what is made together lies together in the state: u32 seconds, u16 their fraction, 48 random bits. */
void entity_id_make(struct entity_id *out)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	put_big_endian(out->bytes, (uint64_t)now.tv_sec, 4);
	put_big_endian(out->bytes + 4, ((uint64_t)now.tv_nsec << 16) / 1000000000, 2);
	randombytes_buf(out->bytes + 6, ENTITY_ID_BYTES - 6);
}
