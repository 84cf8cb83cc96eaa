#include "gateway/leading.h"

#include <stdlib.h>

#include "gateway/process.h"

enum { LOOK_MS = 500, BARRIER_MS = 2000, GROUPS = 2 };

int leading_init(struct leading *leading)
{
	*leading = (struct leading){ .status = calloc(1, sizeof(*leading->status)) };
	return leading->status ? 0 : ERR_NO_MEMORY;
}

void leading_fini(struct leading *leading)
{
	free(leading->status);
	leading->status = NULL;
}

bool leading_now(struct leading *leading, struct namespace *ns)
{
	int64_t now_ms = unix_ms();
	if (now_ms >= leading->looked_ms && now_ms < leading->looked_ms + LOOK_MS)
		return leading->leads;
	bool leads = consensus_cluster_status(namespace_consensus(ns), leading->status, NULL) == 0 &&
		leading->status->groups[GROUP_CLUSTER].leader == leading->status->node_id;
	/* A new leader may not have applied yet all that the one before acknowledged, its place in the changes among it. It leads once it has. */
	for (uint32_t group = 0; group < GROUPS && leads && !leading->leads; group++)
		leads = consensus_read_barrier(namespace_consensus(ns), group, BARRIER_MS, NULL) == 0;
	leading->leads = leads;
	leading->looked_ms = unix_ms();
	return leads;
}
