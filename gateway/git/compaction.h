/* compaction.h - fewer and larger packs: every commit and every push brings one of its own.
 *
 * DESIGN. Packs of one kind are merged when there are many: commits made here natively (whole objects, one map), packs that git made by stock
 * `git pack-objects --stdin-packs` (deltas across all of them, one map). Nothing is left out, reachable or not: an object that no ref reaches now may be
 * what a push under way builds upon. The list of packs is swapped by one command on the condition that all merged ones are still in it.
 *
 * Sizes go in steps: as many of the smallest are merged as are not dwarfed by the next larger one, so that every byte is written again only as often
 * as its pack doubles. Store files of merged packs are claimed once more, so that whoever still reads them has the grace time to end.
 *
 * A thread follows the changes of all repositories and looks at the packs of those that changed often. */
#ifndef CAIRN_GATEWAY_GIT_COMPACTION_H
#define CAIRN_GATEWAY_GIT_COMPACTION_H

#include "gateway/gateway.h"

enum {
	COMPACTION_PACKS_MIN = 50,             /* of one kind: fewer are left alone */
	COMPACTION_BYTES_MAX = 64 << 20,       /* packs made here, all of a merge: it is done in memory */
	COMPACTION_MAP_ENTRIES_MAX = 1 << 20,  /* of a merge */
	COMPACTION_WALL_MS = 15 * 60 * 1000,
};
#define COMPACTION_GIT_BYTES_MAX ((uint64_t)1 << 30) /* packs that git made, all of a merge */

struct compaction_report { uint64_t before, after; /* packs */ };
/* [blocks] Merges what is worth it. `packs_min`: COMPACTION_PACKS_MIN, or fewer when somebody asked for it. Nothing to do is success. */
int repo_compact(struct gateway *gateway, const struct entity_id *repo, size_t packs_min, struct compaction_report *out, struct why *why);

struct compactor;
int compactor_open(struct compactor **out, struct gateway *gateway, struct why *why);
/* [blocks] Ends after the merge under way: a minute at most, for packs of COMPACTION_GIT_BYTES_MAX. */
void compactor_close(struct compactor *compactor);

#endif
