#include "replication/cluster_node.h"

#include "replication/cluster_settings.h"
#include "replication/membership.h"
#include "replication/namespace_state.h"
#include "replication/node.h"
#include "replication/placement.h"

#include <sodium.h>
#include <stdlib.h>

static const char secret_name[] = "cluster";

static const struct field node_fields[] = {
	FIELD(struct cluster_node, node_id, FIELD_U64, true),
	FIELD(struct cluster_node, public_key, FIELD_BYTES, true),
	FIELD(struct cluster_node, address, FIELD_TEXT, true),
	FIELD(struct cluster_node, name, FIELD_TEXT, false),
	FIELD(struct cluster_node, url, FIELD_TEXT, false),
	FIELD(struct cluster_node, role, FIELD_ENUM, true),
	FIELD(struct cluster_node, joined_ms, FIELD_I64, false),
	FIELD(struct cluster_node, domain, FIELD_TEXT, false),
	FIELD(struct cluster_node, weight, FIELD_ENUM, false),
	FIELD(struct cluster_node, drained, FIELD_BOOL, false),
	FIELD(struct cluster_node, away, FIELD_BOOL, false),
	FIELD(struct cluster_node, node_url, FIELD_TEXT, false),
};
static const struct schema node_schema = SCHEMA(1, node_fields);

struct stored_token {
	uint8_t id[JOIN_TOKEN_ID_BYTES], proof[JOIN_TOKEN_SECRET_BYTES];
	enum node_role role;
	int64_t expires_ms;
};
static const struct field token_fields[] = {
	FIELD(struct stored_token, id, FIELD_BYTES, true),
	FIELD(struct stored_token, proof, FIELD_BYTES, true),
	FIELD(struct stored_token, role, FIELD_ENUM, true),
	FIELD(struct stored_token, expires_ms, FIELD_I64, false),
};
static const struct schema token_schema = SCHEMA(1, token_fields);

/* "", or "http://host" with what may follow, without a slash at the end: paths are put behind it. */
static bool node_url_is_sound(const char *url)
{
	size_t length = strlen(url);
	for (const char *p = url; *p; p++)
		if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f || strchr("\"<>?#", *p))
			return false;
	return length == 0 || ((strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0) && url[length - 1] != '/');
}

static bool node_is_sound(const struct cluster_node *node)
{
	return node->node_id != 0 && node->address[0] != 0 && strchr(node->address, ':') != NULL;
}

/* ---- apply ---- */

struct count {
	size_t nodes, voters;
};

static bool count_key(void *context, struct span key)
{
	(void)key;
	((struct count *)context)->nodes++;
	return false;
}

static size_t count_prefix(const struct apply_context *apply, const struct key *prefix)
{
	struct count count = { 0 };
	state_any(apply, prefix, count_key, &count);
	return count.nodes;
}

static int node_announce_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct cluster_node node, known;
	bool moves = true;
	int err = body_decode(&node, sizeof(node), &node_schema, command, why);
	if (err)
		return err;
	if (!node_is_sound(&node))
		return why_set(why, ERR_INVALID, "\"%s\" is not the address of a node", node.address);
	struct key key, all;
	key_cluster_node(&key, node.node_id);
	key_cluster_node(&all, 0);
	err = state_get(apply, &key, &node_schema, &known, sizeof(known), why);
	if (err == ERR_NOT_FOUND) {
		if (count_prefix(apply, &all) > 0)
			return why_set(why, ERR_NOT_FOUND, "this node is not one of the cluster");
		node.role = NODE_VOTER;
		node.joined_ms = apply->leader_ms;
		node.drained = node.away = false;
		node.node_url[0] = 0;
	} else if (err) {
		return err;
	} else {
		if (known.role == NODE_REMOVED)
			return why_set(why, ERR_DENIED, "this node was removed from the cluster");
		if (memcmp(known.public_key, node.public_key, NODE_KEY_BYTES) != 0)
			return why_set(why, ERR_CONFLICT, "another node has this node's id");
		node.role = known.role;
		node.joined_ms = known.joined_ms;
		node.drained = known.drained;
		node.away = known.away;
		memcpy(node.node_url, known.node_url, sizeof(node.node_url));
		moves = node.weight != known.weight || strcmp(node.domain, known.domain) != 0;
	}
	err = moves ? cluster_epoch_next(apply, why) : 0;
	if (err == 0)
		state_put(apply, &key, &node_schema, &node);
	return err;
}

struct join_body {
	uint8_t token_id[JOIN_TOKEN_ID_BYTES];
	uint64_t node_id;
	uint8_t public_key[NODE_KEY_BYTES];
	char address[NODE_ADDRESS_BYTES_MAX], name[NODE_NAME_BYTES_MAX], url[NODE_ADDRESS_BYTES_MAX], domain[NODE_DOMAIN_BYTES_MAX];
	uint32_t weight;
};
static const struct field join_fields[] = {
	FIELD(struct join_body, token_id, FIELD_BYTES, true),
	FIELD(struct join_body, node_id, FIELD_U64, true),
	FIELD(struct join_body, public_key, FIELD_BYTES, true),
	FIELD(struct join_body, address, FIELD_TEXT, true),
	FIELD(struct join_body, name, FIELD_TEXT, false),
	FIELD(struct join_body, url, FIELD_TEXT, false),
	FIELD(struct join_body, domain, FIELD_TEXT, false),
	FIELD(struct join_body, weight, FIELD_ENUM, false),
};
static const struct schema join_schema = SCHEMA(1, join_fields);

static int node_join_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct join_body body;
	struct cluster_node node = { 0 }, known;
	struct stored_token token;
	struct key key, token_key, all;
	int err = body_decode(&body, sizeof(body), &join_schema, command, why);
	if (err)
		return err;
	node.node_id = body.node_id;
	memcpy(node.public_key, body.public_key, NODE_KEY_BYTES);
	memcpy(node.address, body.address, sizeof(node.address));
	memcpy(node.name, body.name, sizeof(node.name));
	memcpy(node.url, body.url, sizeof(node.url));
	memcpy(node.domain, body.domain, sizeof(node.domain));
	node.weight = body.weight;
	if (!node_is_sound(&node))
		return why_set(why, ERR_INVALID, "\"%s\" is not the address of a node", node.address);
	key_cluster_node(&key, node.node_id);
	err = state_get(apply, &key, &node_schema, &known, sizeof(known), why);
	if (err == 0) /* it asks again, as it did not hear the answer */
		return known.role != NODE_REMOVED && memcmp(known.public_key, node.public_key, NODE_KEY_BYTES) == 0 ? 0 :
			why_set(why, ERR_CONFLICT, "another node has this node's id");
	if (err != ERR_NOT_FOUND)
		return err;
	key_join_token(&token_key, body.token_id);
	err = state_get(apply, &token_key, &token_schema, &token, sizeof(token), why);
	if (err == ERR_NOT_FOUND || (err == 0 && token.expires_ms < apply->leader_ms))
		return why_set(why, ERR_DENIED, "the join token is not known, was used already or is too old");
	if (err)
		return err;
	key_cluster_node(&all, 0);
	if (count_prefix(apply, &all) >= CLUSTER_NODES_MAX)
		return why_set(why, ERR_TOO_BIG, "a cluster has at most %d nodes, removed ones included", CLUSTER_NODES_MAX);
	node.role = token.role;
	node.joined_ms = apply->leader_ms;
	err = cluster_epoch_next(apply, why);
	if (err)
		return err;
	state_delete(apply, &token_key);
	state_put(apply, &key, &node_schema, &node);
	return 0;
}

/* Of a cluster_node's key: false, so that all are met. */
static bool take_node_id(void *context, struct span key)
{
	struct cluster_view *view = context;
	if (key.length >= 8 && view->count < CLUSTER_NODES_MAX)
		view->nodes[view->count++].node_id = get_big_endian(key.data + key.length - 8, 8);
	return false;
}

/* Every node as the batch has it: what a node applies in one batch another may apply in two. */
static int read_nodes(const struct apply_context *apply, struct cluster_view *view, struct why *why)
{
	struct key all, key;
	int err = 0;
	key_cluster_node(&all, 0);
	state_any(apply, &all, take_node_id, view);
	for (size_t i = 0; err == 0 && i < view->count; i++) {
		key_cluster_node(&key, view->nodes[i].node_id);
		err = state_get(apply, &key, &node_schema, &view->nodes[i], sizeof(view->nodes[i]), why);
	}
	return err;
}

/* Changes the nodes that are named, all or none. */
static int change_nodes(const struct apply_context *apply, struct cluster_view *view, const uint64_t *ids, size_t count,
	int (*change)(struct cluster_node *node, uint64_t what, struct why *why), uint64_t what, struct why *why)
{
	size_t voters = 0, found = 0;
	int err = read_nodes(apply, view, why);
	for (size_t i = 0; err == 0 && i < view->count; i++) {
		for (size_t k = 0; err == 0 && k < count; k++)
			if (ids[k] == view->nodes[i].node_id) {
				found++;
				err = change(&view->nodes[i], what, why);
			}
		voters += view->nodes[i].role == NODE_VOTER;
	}
	if (err == 0 && found != count)
		err = why_set(why, ERR_NOT_FOUND, "there is no such node");
	if (err == 0 && voters == 0)
		err = why_set(why, ERR_CONFLICT, "no voter would be left");
	if (err == 0)
		err = cluster_epoch_next(apply, why);
	for (size_t i = 0; err == 0 && i < view->count; i++) {
		struct key key;
		key_cluster_node(&key, view->nodes[i].node_id);
		state_put(apply, &key, &node_schema, &view->nodes[i]);
	}
	return err;
}

static int change_role(struct cluster_node *node, uint64_t role, struct why *why)
{
	if (node->role == NODE_REMOVED && role != NODE_REMOVED)
		return why_set(why, ERR_CONFLICT, "node %016llx was removed: wipe it and join it anew", (unsigned long long)node->node_id);
	node->role = (enum node_role)role;
	return 0;
}

static int change_place(struct cluster_node *node, uint64_t place, struct why *why)
{
	if (node->role == NODE_REMOVED)
		return why_set(why, ERR_CONFLICT, "node %016llx was removed", (unsigned long long)node->node_id);
	if (place == NODE_DRAINED || place == NODE_NOT_DRAINED)
		node->drained = place == NODE_DRAINED;
	else
		node->away = place == NODE_AWAY;
	return 0;
}

/* The body of a change of roles or places is [what, [id, ...]]. */
static int nodes_change_apply(const struct apply_context *apply, const struct command *command, uint64_t what_max,
	int (*change)(struct cluster_node *node, uint64_t what, struct why *why), struct why *why)
{
	struct cursor body = cursor_of(command->body);
	cursor_array(&body, 2);
	uint64_t what = cursor_u64(&body);
	uint32_t count = cursor_array(&body, CLUSTER_NODES_MAX);
	uint64_t ids[CLUSTER_NODES_MAX];
	for (uint32_t i = 0; i < count && !body.failed; i++)
		ids[i] = cursor_u64(&body);
	if (!cursor_done(&body) || what < 1 || what > what_max || count == 0)
		return why_set(why, ERR_INVALID, "what becomes of nodes and their ids were expected");
	struct cluster_view *view = calloc(1, sizeof(*view));
	if (!view)
		return why_set(why, ERR_NO_MEMORY, "no memory");
	int err = change_nodes(apply, view, ids, count, change, what, why);
	free(view);
	return err;
}

struct url_body {
	uint64_t node_id;
	char url[NODE_ADDRESS_BYTES_MAX];
};
static const struct field url_fields[] = {
	FIELD(struct url_body, node_id, FIELD_U64, true),
	FIELD(struct url_body, url, FIELD_TEXT, true),
};
static const struct schema url_schema = SCHEMA(1, url_fields);

static int node_url_apply(const struct apply_context *apply, const struct command *command, struct why *why)
{
	struct url_body body;
	struct cluster_node node;
	struct key key;
	int err = body_decode(&body, sizeof(body), &url_schema, command, why);
	if (err)
		return err;
	if (!node_url_is_sound(body.url))
		return why_set(why, ERR_INVALID, "\"%s\" is not the URL of a node", body.url);
	key_cluster_node(&key, body.node_id);
	err = state_get(apply, &key, &node_schema, &node, sizeof(node), why);
	if (err == 0 && node.role == NODE_REMOVED)
		err = ERR_NOT_FOUND;
	if (err)
		return err == ERR_NOT_FOUND ? why_set(why, err, "there is no such node") : err;
	memcpy(node.node_url, body.url, sizeof(node.node_url));
	state_put(apply, &key, &node_schema, &node);
	return 0;
}

/* The body is [node id, secret]. */
static int nodes_forsake_apply(const struct apply_context *apply, const struct command *command, struct why *why)
{
	struct cursor body = cursor_of(command->body);
	cursor_array(&body, 2);
	uint64_t left = cursor_u64(&body);
	struct span secret = cursor_bytes(&body, CLUSTER_SECRET_BYTES);
	if (!cursor_done(&body) || secret.length != CLUSTER_SECRET_BYTES)
		return why_set(why, ERR_INVALID, "a node and a secret were expected");
	struct key key, all;
	struct cluster_view *view = calloc(1, sizeof(*view));
	if (!view)
		return why_set(why, ERR_NO_MEMORY, "no memory");
	int err = read_nodes(apply, view, why);
	if (err == 0)
		err = cluster_epoch_next(apply, why);
	for (size_t i = 0; err == 0 && i < view->count; i++) {
		struct cluster_node *node = &view->nodes[i];
		key_cluster_node(&key, node->node_id);
		node->role = node->node_id == left ? NODE_VOTER : NODE_REMOVED;
		node->drained = node->away = false;
		if (left)
			state_put(apply, &key, &node_schema, node);
		else
			state_delete(apply, &key);
	}
	free(view);
	if (err)
		return err;
	key_join_token(&all, NULL);
	err = state_delete_prefix(apply, &all, why);
	secret_replace(apply, secret_name, secret.data, CLUSTER_SECRET_BYTES);
	return err;
}

static unsigned count_of_placement(const struct apply_context *apply, unsigned (*count)(const struct placement *placement), int *err, struct why *why)
{
	unsigned counted = 0;
	struct cluster_view *view = calloc(1, sizeof(*view));
	struct placement *placement = malloc(sizeof(*placement));
	*err = view && placement ? read_nodes(apply, view, why) : why_set(why, ERR_NO_MEMORY, "no memory");
	if (*err == 0) {
		placement_of_view(placement, view);
		counted = count(placement);
	}
	free(view);
	free(placement);
	return counted;
}

unsigned cluster_domains_apply(const struct apply_context *apply, int *err, struct why *why)
{
	return count_of_placement(apply, placement_domains, err, why);
}

static unsigned members_of(const struct placement *placement)
{
	return placement->count ? (unsigned)placement->count : 1;
}

unsigned cluster_members_apply(const struct apply_context *apply, int *err, struct why *why)
{
	return count_of_placement(apply, members_of, err, why);
}

static int join_token_create_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct stored_token token;
	struct key key, all;
	int err = body_decode(&token, sizeof(token), &token_schema, command, why);
	if (err)
		return err;
	if (token.role != NODE_LEARNER && token.role != NODE_VOTER)
		return why_set(why, ERR_INVALID, "a node joins as a learner or as a voter");
	key_join_token(&all, NULL);
	if (count_prefix(apply, &all) >= JOIN_TOKENS_MAX)
		return why_set(why, ERR_TOO_BIG, "there are %d join tokens that nobody has used", JOIN_TOKENS_MAX);
	token.expires_ms = apply->leader_ms + JOIN_TOKEN_MS;
	key_join_token(&key, token.id);
	state_put(apply, &key, &token_schema, &token);
	return 0;
}

int cluster_node_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	atomic_store(apply->cluster_changed, apply->index);
	switch (command->type) {
	case COMMAND_NODE_ANNOUNCE:
		return node_announce_apply(apply, command, result, why);
	case COMMAND_NODE_JOIN:
		return node_join_apply(apply, command, result, why);
	case COMMAND_NODE_ROLES:
		return nodes_change_apply(apply, command, NODE_REMOVED, change_role, why);
	case COMMAND_NODE_PLACE:
		return nodes_change_apply(apply, command, NODE_BACK, change_place, why);
	case COMMAND_NODE_URL:
		return node_url_apply(apply, command, why);
	case COMMAND_JOIN_TOKEN_CREATE:
		return join_token_create_apply(apply, command, result, why);
	case COMMAND_NODES_FORSAKE:
		return nodes_forsake_apply(apply, command, why);
	}
	return why_set(why, ERR_UNSUPPORTED, "command type %u is not known to this program", command->type);
}

/* ---- proposing ---- */

int cluster_node_announce(struct namespace *ns, const struct cluster_node *node, struct why *why)
{
	struct key key;
	struct cluster_node known;
	key_cluster_node(&key, node->node_id);
	if (namespace_get(ns, NULL, &key, &node_schema, &known, sizeof(known)) == 0 && known.role != NODE_REMOVED &&
		strcmp(known.address, node->address) == 0 && strcmp(known.name, node->name) == 0 && strcmp(known.url, node->url) == 0 &&
		strcmp(known.domain, node->domain) == 0 && known.weight == node->weight)
		return 0;
	struct cluster_node told = *node;
	told.role = NODE_LEARNER; /* not looked at */
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &node_schema, &told);
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_NODE_ANNOUNCE, NULL, &body, NULL, why);
}

int cluster_node_url(struct namespace *ns, uint64_t node_id, const char *url, struct why *why)
{
	struct url_body told = { .node_id = node_id };
	struct cluster_node known;
	struct key key;
	key_cluster_node(&key, node_id);
	if (namespace_get(ns, NULL, &key, &node_schema, &known, sizeof(known)) == 0 && strcmp(known.node_url, url) == 0)
		return 0;
	if ((size_t)snprintf(told.url, sizeof(told.url), "%s", url) >= sizeof(told.url))
		return why_set(why, ERR_INVALID, "the URL of a node has at most %zu bytes", sizeof(told.url) - 1);
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &url_schema, &told);
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_NODE_URL, NULL, &body, NULL, why);
}

static int propose_change(struct namespace *ns, uint16_t type, const char *actor, const uint64_t *ids, size_t count, uint64_t what, struct why *why)
{
	if (count == 0 || count > CLUSTER_NODES_MAX)
		return why_set(why, ERR_INVALID, "ids of nodes were expected");
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	pack_array(&body, 2);
	pack_u64(&body, what);
	pack_array(&body, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		pack_u64(&body, ids[i]);
	return namespace_propose(ns, GROUP_CLUSTER, type, actor, &body, NULL, why);
}

static int may_leave(struct namespace *ns, const uint64_t *ids, size_t count, struct why *why)
{
	struct cluster_status *status = must_alloc(sizeof(*status));
	int err = consensus_cluster_status(namespace_consensus(ns), status, why);
	if (err == 0)
		err = membership_may_leave(status, ids, count, why);
	free(status);
	return err;
}

int cluster_node_roles(struct namespace *ns, const char *actor, const uint64_t *ids, size_t count, enum node_role role, struct why *why)
{
	int err = role == NODE_VOTER ? 0 : may_leave(ns, ids, count, why);
	return err ? err : propose_change(ns, COMMAND_NODE_ROLES, actor, ids, count, role, why);
}

int cluster_node_place(struct namespace *ns, const char *actor, const uint64_t *ids, size_t count, enum node_place place, struct why *why)
{
	return propose_change(ns, COMMAND_NODE_PLACE, actor, ids, count, place, why);
}

int join_token_create(struct namespace *ns, const char *actor, enum node_role role, char text[JOIN_TOKEN_TEXT_BYTES_MAX], struct why *why)
{
	struct join_token token = { 0 };
	struct stored_token stored = { .role = role };
	struct cluster_view *view = calloc(1, sizeof(*view));
	int err = view ? cluster_view_read(NULL, consensus_db(namespace_consensus(ns)), view) : ERR_NO_MEMORY;
	for (size_t i = 0; err == 0 && i < view->count && token.nodes_count < JOIN_TOKEN_NODES_MAX; i++)
		if (view->nodes[i].role != NODE_REMOVED)
			token.nodes[token.nodes_count++] = view->nodes[i];
	free(view);
	if (err)
		return why_set(why, err, "cannot read the nodes of the cluster");
	if (token.nodes_count == 0)
		return why_set(why, ERR_CONFLICT, "this hub does not listen for other nodes: start it with --cluster-listen HOST:PORT");
	consensus_cluster_id(namespace_consensus(ns), token.cluster_id);
	randombytes_buf(token.id, sizeof(token.id));
	randombytes_buf(token.secret, sizeof(token.secret));
	memcpy(stored.id, token.id, sizeof(stored.id));
	join_token_proof(stored.proof, token.secret);
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &token_schema, &stored);
	err = namespace_propose(ns, GROUP_CLUSTER, COMMAND_JOIN_TOKEN_CREATE, actor, &body, NULL, why);
	if (err == 0)
		err = join_token_encode(text, &token);
	sodium_memzero(&token, sizeof(token));
	return err;
}

int cluster_node_join_command(void *context, const struct cluster_node *node, const uint8_t *token_id, const struct command_id *id, struct buffer *out)
{
	(void)context;
	struct join_body join = { .node_id = node->node_id };
	memcpy(join.token_id, token_id, JOIN_TOKEN_ID_BYTES);
	memcpy(join.public_key, node->public_key, NODE_KEY_BYTES);
	memcpy(join.address, node->address, sizeof(join.address));
	memcpy(join.name, node->name, sizeof(join.name));
	memcpy(join.url, node->url, sizeof(join.url));
	memcpy(join.domain, node->domain, sizeof(join.domain));
	join.weight = node->weight;
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &join_schema, &join);
	struct command command = { .type = COMMAND_NODE_JOIN, .version = 1, .id = *id, .body = buffer_span(&body) };
	int err = body.failed ? ERR_NO_MEMORY : command_encode(out, &command);
	buffer_fini(&body);
	return err;
}

int cluster_node_forsake_command(uint64_t node_id, const uint8_t secret[CLUSTER_SECRET_BYTES], const struct command_id *id, struct buffer *out)
{
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	pack_array(&body, 2);
	pack_u64(&body, node_id);
	pack_bytes(&body, span_of(secret, CLUSTER_SECRET_BYTES));
	struct command command = { .type = COMMAND_NODES_FORSAKE, .version = 1, .id = *id, .body = buffer_span(&body) };
	int err = body.failed ? ERR_NO_MEMORY : command_encode(out, &command);
	buffer_fini(&body);
	return err;
}

/* ---- reading the state ---- */

static char *get(rocksdb_t *db, const rocksdb_readoptions_t *options, const struct key *key, size_t *length)
{
	char *error = NULL;
	char *value = rocksdb_get(db, options, (const char *)key->bytes, key->length, length, &error);
	rocksdb_free(error);
	return value;
}

int cluster_view_read(void *context, rocksdb_t *db, struct cluster_view *out)
{
	(void)context;
	*out = (struct cluster_view){ 0 };
	struct key prefix, end;
	key_cluster_node(&prefix, 0);
	end = prefix;
	key_after_prefix(&end);
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	rocksdb_readoptions_set_iterate_upper_bound(options, (const char *)end.bytes, end.length);
	rocksdb_iterator_t *iterator = rocksdb_create_iterator(db, options);
	int err = 0;
	for (rocksdb_iter_seek(iterator, (const char *)prefix.bytes, prefix.length); err == 0 && rocksdb_iter_valid(iterator) && out->count < CLUSTER_NODES_MAX;
		rocksdb_iter_next(iterator)) {
		size_t length;
		const char *value = rocksdb_iter_value(iterator, &length);
		err = record_decode(&out->nodes[out->count++], sizeof(out->nodes[0]), &node_schema, span_of(value, length));
	}
	char *error = NULL;
	rocksdb_iter_get_error(iterator, &error);
	err = error ? ERR_IO : err;
	rocksdb_free(error);
	rocksdb_iter_destroy(iterator);
	rocksdb_readoptions_destroy(options);
	if (err == 0)
		err = cluster_settings_read(db, &out->settings);
	if (err == 0)
		err = secret_read(db, secret_name, out->secret, sizeof(out->secret));
	out->has_secret = err == 0;
	return err == ERR_NOT_FOUND ? 0 : err;
}

bool join_token_find(void *context, rocksdb_t *db, const uint8_t *token_id, uint8_t proof[JOIN_TOKEN_SECRET_BYTES])
{
	(void)context;
	struct key key;
	struct stored_token token;
	size_t length;
	key_join_token(&key, token_id);
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	char *value = get(db, options, &key, &length);
	rocksdb_readoptions_destroy(options);
	bool found = value && record_decode(&token, sizeof(token), &token_schema, span_of(value, length)) == 0;
	rocksdb_free(value);
	if (found)
		memcpy(proof, token.proof, JOIN_TOKEN_SECRET_BYTES);
	return found;
}

/* ---- on the wire ---- */

void cluster_node_pack(struct buffer *out, const struct cluster_node *node)
{
	record_encode(out, &node_schema, node);
}

bool cluster_node_take(struct cursor *cursor, struct cluster_node *out)
{
	return record_decode_at(cursor, out, sizeof(*out), &node_schema) == 0 && !cursor->failed;
}

void cluster_view_pack(struct buffer *out, const struct cluster_view *view)
{
	pack_array(out, 4);
	pack_u64(out, view->applied);
	pack_bytes(out, span_of(view->secret, view->has_secret ? sizeof(view->secret) : 0));
	pack_array(out, (uint32_t)view->count);
	for (size_t i = 0; i < view->count; i++)
		cluster_node_pack(out, &view->nodes[i]);
	cluster_settings_pack(out, &view->settings);
}

bool cluster_view_take(struct cursor *cursor, struct cluster_view *out)
{
	*out = (struct cluster_view){ 0 };
	uint32_t parts = cursor_array(cursor, 4); /* 3 before there were settings */
	if (parts < 3)
		return false;
	out->applied = cursor_u64(cursor);
	struct span secret = cursor_bytes(cursor, sizeof(out->secret));
	uint32_t count = cursor_array(cursor, CLUSTER_NODES_MAX);
	out->has_secret = secret.length == sizeof(out->secret);
	if (out->has_secret)
		memcpy(out->secret, secret.data, sizeof(out->secret));
	for (uint32_t i = 0; i < count; i++)
		if (!cluster_node_take(cursor, &out->nodes[out->count++]))
			return false;
	return (parts == 3 || cluster_settings_take(cursor, &out->settings)) && !cursor->failed;
}
