/* replica_copies.c - how many copies a xorb gets: as many as the most demanding repository wants that claims a file of it, the cluster's factor where nothing is said.
 *
 * Claims and files are on every node and what repositories want is in the state, so each node finds it by itself. Nodes may come to different numbers for a
 * moment, while a claim is on its way: whoever has the higher one asks for copies, and none of the first in order gives its own up, whatever the number. Where no
 * repository says anything nothing is looked up; else only for a xorb whose place in the order leaves open whether the node holds it. */
#include <stdio.h>

#include "replication/replica_parts.h"

enum { CLAIMS_LOOKED_AT_MAX = 1024 }; /* of one xorb: with more it gets as many as any repository wants */

struct wanting {
	struct replica *replica;
	const struct placement *placement;
	unsigned most;
};

static int want(void *context, const struct entity_id *owner)
{
	struct wanting *wanting = context;
	unsigned said = repo_copies_find(&wanting->replica->repos, owner), copies = said ? said : wanting->placement->copies;
	if (copies > wanting->most)
		wanting->most = copies;
	return wanting->most >= placement_most(wanting->placement); /* no other can want more */
}

unsigned replica_wanted(struct replica *replica, const struct placement *placement, const struct hash *xorb)
{
	struct wanting wanting = { replica, placement, 0 };
	if (placement->repos_most == 0)
		return placement->copies;
	pthread_rwlock_rdlock(&replica->repos_lock);
	int err = store_claims_of_xorb(replica->config.store, xorb, CLAIMS_LOOKED_AT_MAX, want, &wanting);
	pthread_rwlock_unlock(&replica->repos_lock);
	if (err < 0)
		return placement_most(placement);
	return wanting.most ? wanting.most : placement->copies; /* nobody claims it yet */
}

bool replica_holds(struct replica *replica, const struct placement *placement, const struct hash *xorb, uint64_t node_id)
{
	bool holds;
	if (replica_coding_decides(replica, placement, xorb, node_id, &holds))
		return holds;
	unsigned rank = placement_rank(placement, xorb, node_id);
	if (rank <= placement_least(placement))
		return true;
	return rank <= placement_most(placement) && rank <= replica_wanted(replica, placement, xorb);
}

unsigned replica_repo_wants(struct replica *replica, const struct placement *placement, const struct entity_id *repo)
{
	unsigned said = 0;
	if (placement->repos_most == 0)
		return placement->copies;
	pthread_rwlock_rdlock(&replica->repos_lock);
	said = repo_copies_find(&replica->repos, repo);
	pthread_rwlock_unlock(&replica->repos_lock);
	return said ? said : placement->copies;
}

void replica_take_repos(struct replica *replica, const struct cluster_settings *settings, struct placement *placement)
{
	struct repo_copies_table table = { .epoch = settings->epoch };
	struct why why = { 0 };
	if (replica->repos.epoch != settings->epoch) { /* this thread alone changes it */
		int err = settings->repos && replica->config.ns ? repo_copies_load(replica->config.ns, &table, &why) : 0;
		if (err)
			fprintf(stderr, "cairn: replica: %s\n", why.text);
		else {
			pthread_rwlock_wrlock(&replica->repos_lock);
			repo_copies_fini(&replica->repos);
			replica->repos = table;
			pthread_rwlock_unlock(&replica->repos_lock);
		}
	}
	placement->repos_least = replica->repos.least;
	placement->repos_most = replica->repos.most;
	if (replica->repos.epoch != settings->epoch) /* the state is not that far, or further: nothing is given up or decided by this */
		placement->epoch = 0;
}
