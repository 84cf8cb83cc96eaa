/* compactor.c - the thread that compacts what changed often. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "gateway/git/compaction.h"
#include "replication/changes.h"

enum {
	WATCHED_MAX = 256,      /* repositories whose changes are counted; the quietest makes room */
	LOOK_AFTER_CHANGES = 25,
	WAIT_MS = 10 * 1000,
	PAUSE_MS = 500,         /* changes are taken many at a time */
};

struct watched {
	struct entity_id repo;
	unsigned changes; /* since its packs were looked at */
};

struct compactor {
	struct gateway *gateway;
	pthread_t thread;
	_Atomic bool stopping;
	uint64_t position; /* in the stream of changes */
	struct watched watched[WATCHED_MAX];
	size_t count;
};

static struct watched *find(struct compactor *compactor, const struct entity_id *repo)
{
	struct watched *quietest = NULL;
	for (size_t i = 0; i < compactor->count; i++) {
		struct watched *watched = &compactor->watched[i];
		if (memcmp(&watched->repo, repo, sizeof(*repo)) == 0)
			return watched;
		if (!quietest || watched->changes < quietest->changes)
			quietest = watched;
	}
	if (compactor->count < WATCHED_MAX)
		quietest = &compactor->watched[compactor->count++];
	*quietest = (struct watched){ .repo = *repo };
	return quietest;
}

static int on_change(void *context, const struct change *change)
{
	struct compactor *compactor = context;
	compactor->position = change->number;
	if (change->type == COMMAND_REFS_UPDATE)
		find(compactor, &change->repo)->changes++;
	return compactor->stopping ? ERR_CLOSED : 0;
}

static void compact(struct compactor *compactor, struct watched *watched)
{
	struct compaction_report report;
	struct why why = { 0 };
	watched->changes = 0;
	int err = repo_compact(compactor->gateway, &watched->repo, COMPACTION_PACKS_MIN, &report, &why);
	if (err && err != ERR_CONFLICT && err != ERR_NOT_FOUND && err != ERR_CLOSED)
		fprintf(stderr, "cairn: the packs of a repository could not be merged: %s\n", why.text[0] ? why.text : err_name(err));
}

static void *run(void *context)
{
	struct compactor *compactor = context;
	struct namespace *ns = compactor->gateway->ns;
	while (!compactor->stopping) {
		uint64_t version = namespace_version(ns);
		if (changes_read(ns, GROUP_REPOS, compactor->position, on_change, compactor) == ERR_RANGE)
			changes_last(ns, GROUP_REPOS, &compactor->position);
		for (size_t i = 0; i < compactor->count && !compactor->stopping; i++)
			if (compactor->watched[i].changes >= LOOK_AFTER_CHANGES)
				compact(compactor, &compactor->watched[i]);
		changes_wait(ns, version, WAIT_MS);
		for (int waited = 0; waited < PAUSE_MS && !compactor->stopping; waited += 50)
			nanosleep(&(struct timespec){ .tv_nsec = 50 * 1000000L }, NULL);
	}
	return NULL;
}

int compactor_open(struct compactor **out, struct gateway *gateway, struct why *why)
{
	struct compactor *compactor = calloc(1, sizeof(*compactor));
	if (!compactor)
		return why_set(why, ERR_NO_MEMORY, "no memory to watch for packs");
	compactor->gateway = gateway;
	if (changes_last(gateway->ns, GROUP_REPOS, &compactor->position) != 0 || pthread_create(&compactor->thread, NULL, run, compactor) != 0) {
		free(compactor);
		return why_set(why, ERR_IO, "cannot start the thread that merges packs");
	}
	*out = compactor;
	return 0;
}

void compactor_close(struct compactor *compactor)
{
	if (!compactor)
		return;
	compactor->stopping = true;
	changes_wake(compactor->gateway->ns);
	pthread_join(compactor->thread, NULL);
	free(compactor);
}
