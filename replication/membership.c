#include "replication/membership.h"

#include "replication/cluster_loop.h"

static size_t place_of(const struct server *servers, size_t count, uint64_t id)
{
	size_t at = 0;
	while (at < count && servers[at].id != id)
		at++;
	return at;
}

static bool has_caught_up(const struct driver *driver, uint64_t id, uint64_t last_index)
{
	uint64_t match = driver_match(driver, id);
	return match > 0 && match + MEMBERSHIP_LAG_MAX >= last_index;
}

static size_t voters_of(const struct server *servers, size_t count)
{
	size_t voters = 0;
	for (size_t i = 0; i < count; i++)
		voters += servers[i].role == SERVER_VOTER;
	return voters;
}

/* True when `servers` is the next configuration to propose. */
static bool next_step(struct driver *driver, const struct cluster_view *view, uint64_t self, uint64_t last_index, struct server *servers, size_t *count)
{
	for (size_t i = 0; i < view->count; i++) {
		const struct cluster_node *node = &view->nodes[i];
		if (node->role == NODE_REMOVED || place_of(servers, *count, node->node_id) < *count || *count == SERVERS_MAX)
			continue;
		servers[(*count)++] = (struct server){ node->node_id, SERVER_STANDBY };
		return true;
	}
	for (size_t i = 0; i < view->count; i++) {
		const struct cluster_node *node = &view->nodes[i];
		size_t at = place_of(servers, *count, node->node_id);
		if (node->role != NODE_VOTER || at == *count || servers[at].role == SERVER_VOTER || !has_caught_up(driver, node->node_id, last_index))
			continue;
		servers[at].role = SERVER_VOTER;
		return true;
	}
	for (size_t i = 0; i < view->count; i++) {
		const struct cluster_node *node = &view->nodes[i];
		size_t at = place_of(servers, *count, node->node_id);
		bool goes = at < *count && (node->role == NODE_REMOVED || (node->role == NODE_LEARNER && servers[at].role == SERVER_VOTER));
		if (!goes || (servers[at].role == SERVER_VOTER && voters_of(servers, *count) == 1))
			continue;
		if (node->node_id == self && voters_of(servers, *count) > 1) {
			driver_transfer(driver, 0); /* whoever leads next takes this step */
			return false;
		}
		if (node->role == NODE_LEARNER)
			servers[at].role = SERVER_STANDBY;
		else
			memmove(servers + at, servers + at + 1, (--*count - at) * sizeof(servers[0]));
		return true;
	}
	return false;
}

void membership_step(struct driver *driver, const struct cluster_view *view, uint64_t self)
{
	struct server servers[SERVERS_MAX];
	struct driver_status status;
	driver_status(driver, &status);
	if (!status.ready || status.changing)
		return;
	size_t count = driver_servers(driver, servers);
	if (next_step(driver, view, self, status.last_index, servers, &count))
		driver_change(driver, servers, count); /* busy: another time */
}

int membership_may_leave(const struct cluster_status *status, const uint64_t *ids, size_t count, struct why *why)
{
	for (size_t group = 0; group < GROUPS_MAX; group++) {
		size_t named = 0, leaving = 0, left = 0, connected = 0;
		for (size_t i = 0; i < status->count; i++) {
			const struct node_status *node = &status->nodes[i];
			if (node->roles[group] != NODE_VOTER)
				continue;
			if (node_is_named(&node->node, ids, count)) {
				named++;
			} else if (node->node.role != NODE_VOTER) {
				leaving++;
			} else {
				left++;
				connected += node->self || node->connected;
			}
		}
		if (named == 0)
			continue;
		if (left == 0)
			return why_set(why, ERR_CONFLICT, "no voter would be left");
		if (named + leaving > 1)
			return why_set(why, ERR_CONFLICT, "voters leave one at a time, and %zu would: try again when `cairn cluster status` shows that the one before is gone",
				named + leaving);
		if (connected <= left / 2)
			return why_set(why, ERR_CONFLICT, "of the %zu voters that would be left %zu are connected, which is no majority: the cluster would stand still. Start them and try again, "
				"or remove those first that are gone for good", left, connected);
	}
	return 0;
}
