#include "gateway/leading.h"

#include <stdlib.h>

#include "gateway/process.h"

enum { LOOK_MS = 500 };

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
	leading->looked_ms = now_ms;
	leading->leads = consensus_cluster_status(namespace_consensus(ns), leading->status, NULL) == 0 &&
		leading->status->groups[GROUP_CLUSTER].leader == leading->status->node_id;
	return leading->leads;
}
