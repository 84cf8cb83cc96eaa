/* cluster_bytes.c - where the bytes of the cluster lie, as an operator wants it: draining nodes, the replication factor, what goes with a node. */
#include "gateway/admin/admin_body.h"

#include "gateway/admin/cluster.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "gateway/admin/operator.h"
#include "gateway/answer.h"
#include "replication/cluster_node.h"
#include "replication/cluster_settings.h"
#include "replication/replica.h"

enum { BODY_BYTES_MAX = 64 << 10, NODE_DIGITS = 16, VIEW_WAIT_MS = 5000, VIEW_POLL_MS = 50 };

uint64_t admin_node_id(struct span text)
{
	char digits[NODE_DIGITS + 1] = { 0 };
	if (text.length != NODE_DIGITS)
		return 0;
	memcpy(digits, text.data, NODE_DIGITS);
	return strspn(digits, "0123456789abcdefABCDEF") == NODE_DIGITS ? strtoull(digits, NULL, 16) : 0;
}

int admin_node_ids(const json_t *list, uint64_t ids[CLUSTER_NODES_MAX], size_t *count, struct why *why)
{
	*count = json_array_size(list);
	if (!json_is_array(list) || *count == 0 || *count > CLUSTER_NODES_MAX)
		return why_set(why, ERR_INVALID, "\"nodes\" is a list of node ids");
	for (size_t i = 0; i < *count; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		ids[i] = text ? admin_node_id(span_text(text)) : 0;
		if (ids[i] == 0)
			return why_set(why, ERR_INVALID, "a node id is 16 hexadecimal digits");
	}
	return 0;
}

static void answer_done(struct http_request *request, int err, const struct why *why)
{
	if (err)
		answer_err(request, err, why);
	else
		http_reply(request, 200, "application/json", span_text("{}"));
}

/* ------------------------------------------------------------------ may it go? */

/* The epoch of a view in which all of them are drained; 0: not yet. */
static uint64_t drained_epoch(const struct cluster_view *view, const uint64_t *ids, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct cluster_node *node = cluster_view_find(view, ids[i]);
		if (node && node->role != NODE_REMOVED && !node->drained)
			return 0;
	}
	return view->settings.epoch;
}

static int await_drained(struct gateway *gateway, struct cluster_view *view, const uint64_t *ids, size_t count, uint64_t *epoch, struct why *why)
{
	for (unsigned waited_ms = 0; waited_ms < VIEW_WAIT_MS; waited_ms += VIEW_POLL_MS) {
		consensus_view(namespace_consensus(gateway->ns), view);
		*epoch = drained_epoch(view, ids, count);
		if (*epoch)
			return 0;
		nanosleep(&(struct timespec){ .tv_nsec = VIEW_POLL_MS * 1000000L }, NULL);
	}
	return why_set(why, ERR_BUSY, "this node does not know yet that the node is drained; try again");
}

static int refuse_loss(const struct replica_loss *loss, struct why *why)
{
	if (loss->is_told)
		return why_set(why, ERR_CONFLICT, "the last copy of %" PRIu64 " xorbs, %" PRIu64 " bytes, which %" PRIu64
			" files need, would be lost: drain it and wait until others hold them, or force it", loss->xorbs, loss->bytes, loss->files);
	return why_set(why, ERR_CONFLICT, "%" PRIu64 " xorbs, which %" PRIu64 " files need, are on none of the other nodes that answer, and this one does not: "
		"start it, or those that are down, or force it and lose them", loss->xorbs, loss->files);
}

int admin_may_remove(struct gateway *gateway, const char *actor, const uint64_t *ids, size_t count, bool force, struct why *why)
{
	struct cluster_view *view = calloc(1, sizeof(*view));
	struct replica_loss loss = { 0 };
	uint64_t undrained[CLUSTER_NODES_MAX], epoch = 0;
	size_t undrained_count = 0;
	int err = view ? 0 : ERR_NO_MEMORY;
	if (force || !gateway->replica || err) {
		free(view);
		return err;
	}
	consensus_view(namespace_consensus(gateway->ns), view);
	for (size_t i = 0; i < count; i++) {
		const struct cluster_node *node = cluster_view_find(view, ids[i]);
		if (node && node->role != NODE_REMOVED && !node->drained)
			undrained[undrained_count++] = ids[i];
	}
	if (undrained_count)
		err = cluster_node_place(gateway->ns, actor, undrained, undrained_count, NODE_DRAINED, why);
	if (err == 0)
		err = await_drained(gateway, view, ids, count, &epoch, why);
	if (err == 0)
		err = replica_last_copies(gateway->replica, ids, count, epoch, &loss, why);
	if (err == 0 && loss.xorbs)
		err = refuse_loss(&loss, why);
	if (err && undrained_count)
		cluster_node_place(gateway->ns, actor, undrained, undrained_count, NODE_NOT_DRAINED, NULL);
	free(view);
	return err;
}

/* ------------------------------------------------------------------ drain */

/* By what this node knows. */
static int may_drain(struct gateway *gateway, const uint64_t *ids, size_t count, struct why *why)
{
	struct cluster_view *view = calloc(1, sizeof(*view));
	size_t left = 0;
	if (!view)
		return ERR_NO_MEMORY;
	consensus_view(namespace_consensus(gateway->ns), view);
	for (size_t i = 0; i < view->count; i++)
		left += !node_is_named(&view->nodes[i], ids, count) && view->nodes[i].role != NODE_REMOVED && !view->nodes[i].drained;
	free(view);
	return left ? 0 : why_set(why, ERR_CONFLICT, "no node would be left to hold what these hold");
}

static void drain_work(struct http_request *request, struct span text, void *context)
{
	const struct actor *actor = context;
	struct why why = { 0 };
	uint64_t ids[CLUSTER_NODES_MAX];
	size_t count = 0;
	int err = 0;
	struct admin_body *body = admin_body_parse(text);
	bool drained = body && admin_body_bool(body, "drained", true, &err, &why);
	if (!body)
		err = why_set(&why, ERR_INVALID, "a JSON object was expected");
	if (err == 0)
		err = admin_node_ids(admin_body_value(body, "nodes"), ids, &count, &why);
	admin_body_free(body);
	if (err == 0 && drained)
		err = may_drain(gateway_of(request), ids, count, &why);
	if (err == 0)
		err = cluster_node_place(gateway_of(request)->ns, actor->name, ids, count, drained ? NODE_DRAINED : NODE_NOT_DRAINED, &why);
	answer_done(request, err, &why);
}

void admin_cluster_drain(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct actor *actor = operator_open(request);
	if (actor)
		http_collect(request, BODY_BYTES_MAX, drain_work, actor);
}

/* ------------------------------------------------------------------ settings */

static uint32_t read_setting(const struct admin_body *body, const char *key, uint32_t min, int *err, struct why *why)
{
	int64_t value = admin_body_i64(body, key, -1, err, why);
	if (value == -1 && !admin_body_value(body, key))
		return CLUSTER_LEAVE;
	if (*err == 0 && (value < min || value > REPLICATION_FACTOR_MAX))
		*err = why_set(why, ERR_INVALID, "\"%s\" is %u to %d", key, min, REPLICATION_FACTOR_MAX);
	return (uint32_t)value;
}

/* "K+M" or "off". */
static void read_erasure(const struct admin_body *body, struct erasure_change *out, int *err, struct why *why)
{
	int end = 0;
	*out = (struct erasure_change){ .data = CLUSTER_LEAVE, .parity = CLUSTER_LEAVE, .after_ms = UINT64_MAX };
	int64_t after_s = admin_body_i64(body, "erasure_after_s", -1, err, why);
	if (*err == 0 && admin_body_value(body, "erasure_after_s") && (after_s < 0 || after_s > INT32_MAX))
		*err = why_set(why, ERR_INVALID, "\"erasure_after_s\" is a number of seconds");
	else if (*err == 0 && after_s >= 0)
		out->after_ms = (uint64_t)after_s * 1000;
	if (*err || !admin_body_value(body, "erasure"))
		return;
	const char *text = admin_body_text(body, "erasure", "", err, why);
	if (*err == 0 && strcmp(text, "off") == 0)
		out->data = out->parity = 0;
	else if (*err == 0 && (sscanf(text, "%2u+%2u%n", &out->data, &out->parity, &end) != 2 || text[end] || out->data == 0))
		*err = why_set(why, ERR_INVALID, "\"erasure\" is \"K+M\", parts of data and of parity, or \"off\"");
}

static bool says_any(const struct admin_body *body, const char *const keys[], size_t count)
{
	bool any = false;
	for (size_t i = 0; i < count; i++)
		any = any || admin_body_value(body, keys[i]);
	return any;
}

static void settings_work(struct http_request *request, struct span text, void *context)
{
	const struct actor *actor = context;
	struct why why = { 0 };
	int err = 0;
	static const char *const of_copies[] = { "replication_factor", "copies", "grace_s", "walk" }, *const of_erasure[] = { "erasure", "erasure_after_s" };
	struct cluster_change change = { .grace_ms = UINT64_MAX };
	struct erasure_change erasure = { .data = CLUSTER_LEAVE };
	bool copies_said = false, erasure_said = false;
	struct admin_body *body = admin_body_parse(text);
	if (!body) {
		err = why_set(&why, ERR_INVALID, "a JSON object was expected");
	} else {
		change.replication_factor = read_setting(body, "replication_factor", 1, &err, &why);
		change.copies = read_setting(body, "copies", 0, &err, &why);
		int64_t grace_s = admin_body_i64(body, "grace_s", -1, &err, &why);
		change.walk = admin_body_bool(body, "walk", false, &err, &why);
		if (err == 0 && admin_body_value(body, "grace_s") && (grace_s < NODE_GRACE_MS_MIN / 1000 || grace_s > INT32_MAX))
			err = why_set(&why, ERR_INVALID, "the grace time is a number of seconds, at least %d", NODE_GRACE_MS_MIN / 1000);
		if (err == 0 && grace_s >= 0)
			change.grace_ms = (uint64_t)grace_s * 1000;
		read_erasure(body, &erasure, &err, &why);
		erasure_said = says_any(body, of_erasure, 2);
		copies_said = says_any(body, of_copies, 4) || !erasure_said;
	}
	admin_body_free(body);
	if (err == 0 && erasure_said)
		err = cluster_set_erasure(gateway_of(request)->ns, actor->name, &erasure, &why);
	if (err == 0 && copies_said)
		err = cluster_set(gateway_of(request)->ns, actor->name, &change, &why);
	answer_done(request, err, &why);
}

void admin_cluster_settings(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct actor *actor = operator_open(request);
	if (actor)
		http_collect(request, BODY_BYTES_MAX, settings_work, actor);
}
