#include "replication/cluster_level.h"

#include "replication/namespace_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { GROUPS = sizeof(((struct cluster_status *)0)->groups) / sizeof(struct group_status) };

uint32_t cluster_level(const struct cluster_status *status)
{
	uint32_t level = 0;
	for (size_t i = 0; i < GROUPS; i++)
		level = status->groups[i].feature_level > level ? status->groups[i].feature_level : level;
	return level;
}

bool cluster_level_everywhere(const struct cluster_status *status, uint32_t level)
{
	for (size_t i = 0; i < GROUPS; i++)
		if (status->groups[i].feature_level < level)
			return false;
	return true;
}

__attribute__((format(printf, 2, 3))) static void say(struct why *why, const char *format, ...)
{
	size_t length = strlen(why->text);
	va_list arguments;
	if (length)
		length += (size_t)snprintf(why->text + length, sizeof(why->text) - length, "; ");
	if (length >= sizeof(why->text))
		return;
	va_start(arguments, format);
	vsnprintf(why->text + length, sizeof(why->text) - length, format, arguments);
	va_end(arguments);
}

/* Adds to `why` what keeps this member from a level above the cluster's; nothing: it knows one. */
static void say_what_is_in_the_way(const struct node_status *node, uint32_t level, struct why *why)
{
	char id[24];
	const char *name = node->node.name[0] ? node->node.name : id;
	snprintf(id, sizeof(id), "%016llx", (unsigned long long)node->node.node_id);
	if (!node->connected)
		say(why, "%s is away: nobody knows which level it knows", name);
	else if (node->feature_level == 0)
		say(why, "%s has not told yet which level it knows: try again", name);
	else if (node->feature_level <= level)
		say(why, "%s knows level %u only: install a newer program there first", name, node->feature_level);
}

int cluster_level_next(const struct cluster_status *status, uint32_t *level, struct why *why)
{
	uint32_t lowest = UINT32_MAX, highest = 0;
	struct why in_the_way = { 0 };
	*level = cluster_level(status);
	for (size_t i = 0; i < status->count; i++) {
		const struct node_status *node = &status->nodes[i];
		if (node->node.role == NODE_REMOVED)
			continue;
		say_what_is_in_the_way(node, *level, &in_the_way);
		lowest = node->feature_level < lowest ? node->feature_level : lowest;
		highest = node->feature_level > highest ? node->feature_level : highest;
	}
	bool is_to_complete = !cluster_level_everywhere(status, *level);
	if (in_the_way.text[0])
		return is_to_complete || highest <= *level ? 0 : why_set(why, ERR_CONFLICT, "%s", in_the_way.text);
	*level = lowest;
	return 0;
}

static int propose(struct namespace *ns, uint32_t group, const char *actor, uint32_t level, struct why *why)
{
	struct buffer body;
	buffer_init(&body, 16);
	pack_u64(&body, level);
	return namespace_propose(ns, group, COMMAND_FEATURE_LEVEL, actor, &body, NULL, why);
}

/* Not older than what is applied at this moment anywhere: no member is missing that has joined. */
static int look(struct namespace *ns, struct cluster_status *out, struct why *why)
{
	int err = 0;
	for (uint32_t group = 0; group < GROUPS && err == 0; group++)
		err = consensus_read_barrier(namespace_consensus(ns), group, PROPOSE_TIMEOUT_MS, why);
	return err ? err : consensus_cluster_status(namespace_consensus(ns), out, why);
}

int cluster_level_raise(struct namespace *ns, const char *actor, uint32_t *level, bool *raised, struct why *why)
{
	struct cluster_status *status = malloc(sizeof(*status));
	*raised = false;
	int err = status ? look(ns, status, why) : ERR_NO_MEMORY;
	if (err == 0)
		err = cluster_level_next(status, level, why);
	for (uint32_t group = 0; group < GROUPS && err == 0; group++) {
		if (status->groups[group].feature_level >= *level)
			continue;
		err = propose(ns, group, actor, *level, why);
		*raised = true;
	}
	free(status);
	return err;
}

/* Told once, by the group in which names lie. */
int cluster_level_raised(void *context, const struct apply_context *apply, const struct command *command, uint64_t level, struct why *why)
{
	(void)context;
	struct change change = { .action = (uint32_t)level };
	return apply->group == GROUP_CLUSTER ? change_append(apply, command, &change, why) : 0;
}
