#include "gateway/admin/admin_body.h"

#include "gateway/admin/cluster.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "gateway/admin/admin.h"
#include "gateway/admin/operator.h"
#include "gateway/answer.h"
#include "replication/cluster_level.h"
#include "replication/cluster_node.h"
#include "replication/replica.h"
#include "replication/state_digest.h"

enum { BODY_BYTES_MAX = 64 << 10 };

static const char *role_name(enum node_role role)
{
	return role == NODE_VOTER ? "voter" : role == NODE_LEARNER ? "learner" : role == NODE_REMOVED ? "removed" : "none";
}

static void write_id(struct json_writer *json, const char *key, uint64_t id)
{
	char text[24];
	snprintf(text, sizeof(text), "%016" PRIx64, id);
	json_text(json, key, text);
}

/* ------------------------------------------------------------------ status */

static void write_group(struct json_writer *json, const struct group_status *group)
{
	json_object_begin(json, NULL);
	json_u64(json, "term", group->term);
	if (group->leader)
		write_id(json, "leader", group->leader);
	else
		json_null_value(json, "leader");
	json_u64(json, "committed", group->committed);
	json_u64(json, "applied", group->applied);
	json_u64(json, "last_index", group->last_index);
	json_u64(json, "snapshot_index", group->snapshot_index);
	json_u64(json, "feature_level", group->feature_level);
	json_bool(json, "installing", group->installing);
	json_object_end(json);
}

static void write_known(struct json_writer *json, const char *key, uint64_t value)
{
	if (value == UINT64_MAX)
		json_null_value(json, key);
	else
		json_u64(json, key, value);
}

/* What one node and this one have of each other's bytes. *all: nothing is missing on either side, as far as this node knows. */
static void write_bytes(struct json_writer *json, struct replica *replica, const struct node_status *node, bool *all)
{
	struct replica_peer_status status;
	if (node->self || node->node.role == NODE_REMOVED)
		return;
	if (!replica) {
		*all = false;
		return;
	}
	replica_peer_status(replica, node->node.node_id, &status);
	*all = *all && status.follows && status.lacks_bytes == 0 && status.followed && status.current;
	json_object_begin(json, "bytes");
	json_bool(json, "follows", status.follows);
	write_known(json, "lacks", status.lacks_bytes);
	json_bool(json, "followed", status.followed);
	json_bool(json, "current", status.current);
	json_u64(json, "behind", status.behind_bytes);
	write_known(json, "behind_ms", status.behind_ms);
	json_u64(json, "taken_bytes", status.taken_bytes);
	json_u64(json, "taken_xorbs", status.taken_xorbs);
	json_u64(json, "taken_records", status.taken_records);
	json_text(json, "trouble", status.trouble);
	json_object_end(json);
	json_object_begin(json, "compared");
	write_known(json, "since_ms", status.compared_ms);
	json_u64(json, "ranges", status.compared_ranges);
	json_u64(json, "taken_records", status.compared_taken);
	json_u64(json, "left_records", status.compared_left);
	json_object_end(json);
}

static void write_backlog(struct json_writer *json, const char *key, const struct backlog_status *backlog)
{
	json_object_begin(json, key);
	json_u64(json, "done_bytes", backlog->done_bytes);
	json_u64(json, "total_bytes", backlog->done_bytes + backlog->left_bytes);
	json_u64(json, "bytes_per_s", backlog->bytes_per_s);
	write_known(json, "left_ms", backlog_left_ms(backlog));
	json_object_end(json);
}

static void write_progress(struct json_writer *json, const struct replica_care *care)
{
	static const char *const passes[] = { "none", "count", "fetch", "offer", "give_up" };
	json_u64(json, "xorbs", care->held_xorbs);
	json_u64(json, "part_bytes", care->part_bytes);
	json_u64(json, "missing_bytes", care->fetching.left_bytes);
	write_known(json, "counted_ms", care->counted_ms);
	json_u64(json, "repair", care->repair);
	json_text(json, "pass", passes[care->pass]);
	json_u64(json, "pass_permille", care->pass_permille);
	write_backlog(json, "catching_up", &care->catching_up);
	write_backlog(json, "fetching", &care->fetching);
	write_backlog(json, "giving_up", &care->giving_up);
}

/* What a node holds, and what it should; of another one, if it answers. *all: it has what it should by the epoch that the state is at. */
static void write_care(struct json_writer *json, struct replica *replica, const struct node_status *node, uint64_t epoch, bool *all)
{
	struct replica_care care;
	if (!replica || node->node.role == NODE_REMOVED)
		return;
	if (node->self)
		replica_care(replica, &care);
	else if (replica_care_of(replica, node->node.node_id, &care, NULL) != 0) {
		*all = false;
		return;
	}
	*all = *all && care.complete && care.epoch >= epoch;
	json_object_begin(json, "held");
	json_u64(json, "epoch", care.epoch);
	json_u64(json, "bytes", care.held_bytes);
	json_u64(json, "surplus", care.surplus_bytes);
	json_u64(json, "missing_xorbs", care.missing_xorbs);
	json_u64(json, "lost_xorbs", care.lost_xorbs);
	json_bool(json, "complete", care.complete);
	json_u64(json, "bytes_per_s", care.bytes_per_s);
	json_bool(json, "walking", care.walking);
	if (care.tells_progress)
		write_progress(json, &care);
	json_object_end(json);
}

static void write_copies(struct json_writer *json, struct replica *replica)
{
	struct replica_status status;
	if (!replica)
		return;
	replica_status(replica, &status);
	json_object_begin(json, "copies");
	json_u64(json, "replication_factor", status.replication_factor);
	json_u64(json, "replication_factor_set", status.factor_set);
	json_u64(json, "wanted", status.copies);
	json_u64(json, "needed", status.copies_needed);
	json_u64(json, "awaiting", status.awaiting);
	json_u64(json, "awaited", status.awaited);
	json_u64(json, "refused", status.refused);
	json_u64(json, "fetched_files", status.fetched_files);
	json_u64(json, "fetched_xorbs", status.fetched_xorbs);
	json_u64(json, "read_xorbs", status.read_xorbs);
	json_u64(json, "read_runs", status.read_runs);
	json_u64(json, "linked_files", status.linked_files);
	json_u64(json, "linked_xorbs", status.linked_xorbs);
	json_u64(json, "repaired_xorbs", status.repaired_xorbs);
	json_u64(json, "received_xorbs", status.received_xorbs);
	json_u64(json, "received_bytes", status.received_bytes);
	json_u64(json, "limit_bytes_per_s", status.limit_bytes_per_s);
	json_u64(json, "coded_xorbs", status.coded_xorbs);
	char erasure[16] = "off";
	if (status.erasure_data) {
		snprintf(erasure, sizeof(erasure), "%u+%u", status.erasure_data % 100, status.erasure_parity % 100);
		json_u64(json, "erasure_after_s", status.erasure_after_ms / 1000);
	}
	json_text(json, "erasure", erasure);
	json_u64(json, "rounds", status.rounds);
	json_u64(json, "rounds_failed", status.rounds_failed);
	json_u64(json, "ranges_differed", status.ranges_differed);
	json_u64(json, "records_taken", status.records_taken);
	json_object_end(json);
}

static void write_node(struct json_writer *json, const struct cluster_status *status, const struct node_status *node, struct replica *replica, uint64_t epoch, bool *all)
{
	json_object_begin(json, NULL);
	write_id(json, "id", node->node.node_id);
	json_text(json, "name", node->node.name);
	json_text(json, "address", node->node.address);
	json_text(json, "url", node->node.url);
	json_text(json, "node_url", node->node.node_url);
	json_text(json, "role", role_name(node->node.role));
	json_bool(json, "self", node->self);
	json_bool(json, "connected", node->connected);
	json_text(json, "trouble", node->trouble);
	if (node->feature_level)
		json_u64(json, "feature_level", node->feature_level);
	else
		json_null_value(json, "feature_level");
	json_text(json, "failure_domain", node->node.domain);
	json_u64(json, "weight", node->node.weight ? node->node.weight : NODE_WEIGHT_DEFAULT);
	json_bool(json, "drained", node->node.drained);
	json_bool(json, "away", node->node.away);
	write_bytes(json, replica, node, all);
	write_care(json, replica, node, epoch, all);
	json_array_begin(json, "groups");
	for (size_t i = 0; i < 2; i++) {
		json_object_begin(json, NULL);
		json_text(json, "role", role_name(node->roles[i]));
		if (status->groups[i].leader == status->node_id) /* only a leader knows */
			json_u64(json, "behind", node->match[i] < status->groups[i].last_index ? status->groups[i].last_index - node->match[i] : 0);
		json_object_end(json);
	}
	json_array_end(json);
	json_object_end(json);
}

/* What the cluster is at, and what `upgrade` would raise it to: null when it would not. */
static void write_level(struct json_writer *json, const struct cluster_status *status)
{
	uint32_t next;
	bool may = cluster_level_next(status, &next, NULL) == 0 && !cluster_level_everywhere(status, next);
	json_u64(json, "feature_level", cluster_level(status));
	if (may)
		json_u64(json, "feature_level_next", next);
	else
		json_null_value(json, "feature_level_next");
}

/* That nodes should go by: they hear of it a moment after the state has it. Zeros: not known. */
static struct cluster_settings settings_of_all(struct gateway *gateway)
{
	struct cluster_settings settings = { 0 };
	struct cluster_view *view = malloc(sizeof(*view));
	if (view) {
		consensus_view(namespace_consensus(gateway->ns), view);
		settings = view->settings;
	}
	free(view);
	return settings;
}

static void status_work(struct http_request *request, void *context)
{
	(void)context;
	struct why why = { 0 };
	bool all = true;
	struct replica *replica = gateway_of(request)->replica;
	struct store_stats stats;
	store_stats(gateway_of(request)->store, &stats);
	struct cluster_status *status = malloc(sizeof(*status));
	int err = status ? consensus_cluster_status(namespace_consensus(gateway_of(request)->ns), status, &why) : ERR_NO_MEMORY;
	if (err) {
		free(status);
		answer_err(request, err, &why);
		return;
	}
	struct cluster_settings settings = settings_of_all(gateway_of(request)); /* not older than the nodes of the status */
	struct buffer body;
	struct json_writer json;
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	write_id(&json, "node", status->node_id);
	json_bool(&json, "listens", status->listens);
	json_u64(&json, "lag_ms", status->lag_ms);
	write_level(&json, status);
	json_array_begin(&json, "groups");
	for (size_t i = 0; i < 2; i++)
		write_group(&json, &status->groups[i]);
	json_array_end(&json);
	json_array_begin(&json, "nodes");
	for (size_t i = 0; i < status->count; i++)
		write_node(&json, status, &status->nodes[i], replica, settings.epoch, &all);
	json_array_end(&json);
	json_bool(&json, "bytes_replicated", all);
	json_u64(&json, "stored_bytes", stats.stored_bytes);
	json_u64(&json, "repair", settings.walks);
	write_copies(&json, replica);
	json_object_end(&json);
	free(status);
	answer_json(request, 200, &body);
}

void admin_cluster(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (operator_open(request))
		http_work(request, status_work, NULL);
}

/* ------------------------------------------------------------------ the same everywhere? */

static void digest_work(struct http_request *request, void *context)
{
	(void)context;
	struct buffer body;
	struct json_writer json;
	int err = 0;
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_array_begin(&json, "groups");
	for (uint32_t group = GROUP_CLUSTER; group <= GROUP_REPOS && err == 0; group++) {
		struct state_digest digest;
		char text[2 * sizeof(digest.digest) + 1];
		err = state_digest(gateway_of(request)->ns, group, &digest);
		hex_encode(text, digest.digest, sizeof(digest.digest));
		json_object_begin(&json, NULL);
		json_u64(&json, "applied", digest.applied);
		json_u64(&json, "pairs", digest.pairs);
		json_text(&json, "digest", text);
		json_object_end(&json);
	}
	json_array_end(&json);
	json_object_end(&json);
	if (err == 0) {
		answer_json(request, 200, &body);
		return;
	}
	buffer_fini(&body);
	answer_err(request, err, NULL);
}

void admin_cluster_digest(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (operator_open(request))
		http_work(request, digest_work, NULL);
}

/* ------------------------------------------------------------------ letting in */

static bool read_role(enum node_role *out, const char *text)
{
	*out = strcmp(text, "voter") == 0 ? NODE_VOTER : strcmp(text, "learner") == 0 ? NODE_LEARNER : strcmp(text, "removed") == 0 ? NODE_REMOVED : 0;
	return *out != 0;
}

static void token_work(struct http_request *request, struct span text, void *context)
{
	const struct actor *actor = context;
	struct why why = { 0 };
	int err = 0;
	enum node_role role = 0;
	char token[JOIN_TOKEN_TEXT_BYTES_MAX];
	struct admin_body *body = admin_body_parse(text);
	const char *name = body ? admin_body_text(body, "role", "learner", &err, &why) : NULL;
	if (!body || (err == 0 && (!read_role(&role, name) || role == NODE_REMOVED)))
		err = why_set(&why, ERR_INVALID, "\"role\" is \"learner\" or \"voter\"");
	admin_body_free(body);
	if (err == 0)
		err = join_token_create(gateway_of(request)->ns, actor->name, role, token, &why);
	if (err) {
		answer_err(request, err, &why);
		return;
	}
	struct buffer answer;
	struct json_writer json;
	buffer_init(&answer, ADMIN_ANSWER_BYTES_MAX);
	json_writer_init(&json, &answer);
	json_object_begin(&json, NULL);
	json_text(&json, "token", token);
	json_u64(&json, "expires_in_s", JOIN_TOKEN_MS / 1000);
	json_object_end(&json);
	sodium_memzero(token, sizeof(token));
	answer_json(request, 200, &answer);
}

void admin_cluster_token(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct actor *actor = operator_open(request);
	if (actor)
		http_collect(request, BODY_BYTES_MAX, token_work, actor);
}

/* ------------------------------------------------------------------ roles */

static void roles_work(struct http_request *request, struct span text, void *context)
{
	const struct actor *actor = context;
	struct why why = { 0 };
	int err = 0;
	enum node_role role = 0;
	uint64_t ids[CLUSTER_NODES_MAX];
	size_t count = 0;
	bool force = false;
	struct admin_body *body = admin_body_parse(text);
	if (!body) {
		err = why_set(&why, ERR_INVALID, "a JSON object was expected");
	} else {
		const char *name = admin_body_text(body, "role", "", &err, &why);
		if (err == 0 && !read_role(&role, name))
			err = why_set(&why, ERR_INVALID, "\"role\" is \"learner\", \"voter\" or \"removed\"");
		if (err == 0)
			err = admin_node_ids(admin_body_value(body, "nodes"), ids, &count, &why);
		force = admin_body_bool(body, "force", false, &err, &why);
	}
	admin_body_free(body);
	if (err == 0 && role == NODE_REMOVED)
		err = admin_may_remove(gateway_of(request), actor->name, ids, count, force, &why);
	if (err == 0)
		err = cluster_node_roles(gateway_of(request)->ns, actor->name, ids, count, role, &why);
	if (err)
		answer_err(request, err, &why);
	else
		http_reply(request, 200, "application/json", span_text("{}"));
}

void admin_cluster_roles(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct actor *actor = operator_open(request);
	if (actor)
		http_collect(request, BODY_BYTES_MAX, roles_work, actor);
}

/* ------------------------------------------------------------------ the feature level */

static void upgrade_work(struct http_request *request, void *context)
{
	const struct actor *actor = context;
	struct why why = { 0 };
	uint32_t level = 0;
	bool raised = false;
	int err = cluster_level_raise(gateway_of(request)->ns, actor->name, &level, &raised, &why);
	if (err) {
		answer_err(request, err, &why);
		return;
	}
	struct buffer body;
	struct json_writer json;
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_u64(&json, "feature_level", level);
	json_bool(&json, "raised", raised);
	json_object_end(&json);
	answer_json(request, 200, &body);
}

void admin_cluster_upgrade(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct actor *actor = operator_open(request);
	if (actor)
		http_work(request, upgrade_work, actor);
}
