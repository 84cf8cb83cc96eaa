/* repo_copies.h - how many copies of its content a repository wants, where that is not the cluster's replication factor (cluster_settings.h).
 *
 * A record of group 0 for each repository that says a number. Whoever sets one begins a new epoch of placement, as with everything that changes who should hold
 * what. What a xorb gets out of it: replica_copies.c. */
#ifndef CAIRN_REPLICATION_REPO_COPIES_H
#define CAIRN_REPLICATION_REPO_COPIES_H

#include "replication/cluster_view.h"
#include "replication/namespace.h"

enum { REPO_COPIES_SET_MAX = 65536 }; /* repositories that say a number: each node keeps them in memory, 13 bytes each */

/* [blocks] 1 to REPLICATION_FACTOR_MAX, 0: as many as the cluster makes. ERR_INVALID with a sentence: more than there are failure domains; ERR_TOO_BIG;
 * ERR_NOT_FOUND: no such repository. */
int repo_copies_set(struct namespace *ns, const char *actor, const struct entity_id *repo, unsigned copies, struct why *why);
/* 0 and *out, 0: as many as the cluster makes. */
int repo_copies_get(struct namespace *ns, const struct entity_id *repo, unsigned *out);

/* All that say a number, by id, as they were at one moment. */
struct repo_copies {
	struct entity_id repo;
	uint8_t copies;
};
struct repo_copies_table {
	uint64_t epoch;        /* of placement at that moment */
	unsigned least, most;  /* of what they say; 0: none says anything */
	size_t count;
	struct repo_copies *items;
};
/* [blocks] Overwrites *out; free with repo_copies_fini. On error it is empty. */
int repo_copies_load(struct namespace *ns, struct repo_copies_table *out, struct why *why);
void repo_copies_fini(struct repo_copies_table *table);
/* What the repository says, 0: nothing. Any thread, while nobody changes the table. */
unsigned repo_copies_find(const struct repo_copies_table *table, const struct entity_id *repo);

#endif
