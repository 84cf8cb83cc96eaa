/* revision_facts.h - the facts of any revision, for who shows one: from memory, from the index when it is the head, else made on the spot.
 *
 * DESIGN. What is shown of a revision never waits for the index: a client that has just pushed sees what it pushed. Facts of a commit never change, so they are
 * kept in a small process-wide table, bounded in bytes and shared by reference count. */
#ifndef CAIRN_GATEWAY_SEARCH_REVISION_FACTS_H
#define CAIRN_GATEWAY_SEARCH_REVISION_FACTS_H

#include "gateway/facts/facts.h"

enum { REVISION_FACTS_BYTES_MAX = 8 << 20, REVISION_FACTS_SLOTS = 2048 };

struct revision_facts {
	struct facts facts;

	/* the table's */
	struct entity_id repo;
	struct oid commit;
	size_t bytes;
	int references;
};

/* Never NULL on success; give it back. `commit` NULL: a repository without commits. 0, ERR_AGAIN (REPO_NO_WAIT), ERR_IO, ERR_CORRUPT, ERR_NO_MEMORY. */
int revision_facts_get(struct gateway *gateway, const struct repo *repo, const struct oid *commit, enum repo_wait wait, struct revision_facts **out);
void revision_facts_release(struct revision_facts *facts);

#endif
