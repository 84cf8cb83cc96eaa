/* bundle.h - the bundles of a repository: git bundle files in the store that clients may fetch before they ask git for the rest.
 *
 * The list is one small record. Its first bundle has everything that branches and tags reached at its version; each further one has what came since
 * the one before. A bundle names commits that were reachable once, so when a branch or tag is deleted or rewritten the whole list is void from that
 * version on: refs that move tell the state of the repository (repo_state.rewritten_version), and no list from before it is ever given out. */
#ifndef CAIRN_REPLICATION_BUNDLE_H
#define CAIRN_REPLICATION_BUNDLE_H

#include "replication/namespace.h"

enum { BUNDLES_MAX = 8 };

struct bundle {
	struct hash file;     /* in the store */
	uint64_t length;      /* bytes */
	uint64_t token;       /* git's creationToken: ascending in the list */
	uint64_t version;     /* of the repository: it has at least those refs */
	int64_t created_ms;
};

struct bundles {
	struct bundle items[BUNDLES_MAX];
	size_t count;
	struct hash last;     /* what bundles_set expects: the file of the newest in the list, void or not; zero: there was none */
};

/* count 0: none, or void. 0, ERR_CORRUPT, ERR_IO. */
int bundles_get(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct entity_id *repo, struct bundles *out);
/* [blocks] Replaces the list. Their files must be durable and claimed by the repository. ERR_CONFLICT: the list is not the one that `bundles->last` came
 * from any more, or refs were rewritten after a bundle was made; ERR_NOT_FOUND. */
int bundles_set(struct namespace *ns, const struct entity_id *repo, const struct bundles *bundles, struct why *why);

#endif
