/* bundle_make.h - makes git bundles of a repository: what clients fetch as plain files before they ask git for the rest. Private to gateway/git.
 *
 * DESIGN. Stock `git bundle create` runs on a leased cache; what it writes becomes a store file claimed by the repository, and the list of bundles
 * (replication/bundle.h) names it. So every node serves it, garbage collection keeps it, and a bundle that left the list is garbage like any other.
 *
 * The first bundle is full. A further one holds what came since, told by the tips that the headers of the others name. When there are BUNDLES_MAX, all but the
 * full one are made anew as one; when together they outgrow half of the full one, everything is. A bundle that replaces others keeps the newest of their
 * creation tokens, so that a client that remembers that token fetches nothing twice. */
#ifndef CAIRN_GATEWAY_GIT_BUNDLE_MAKE_H
#define CAIRN_GATEWAY_GIT_BUNDLE_MAKE_H

#include "gateway/gateway.h"

enum {
	BUNDLE_BYTES_MIN = 8 << 20,            /* of a repository's cache: git packs less than that anew in about the time of one more request */
	BUNDLE_INCREMENT_BYTES_MIN = 1 << 20,  /* less comes with the fetch that follows anyway, in one answer */
	BUNDLE_PAUSE_MS = 3600 * 1000,         /* between two bundles of one repository: each one reads all of it */
	BUNDLE_HEADER_BYTES_MAX = 16 << 20,    /* refs and prerequisites, some 200,000 of them */
	BUNDLE_WALL_MS = 1800 * 1000,
};

struct bundle_report {
	size_t count;     /* bundles that the repository has now */
	uint64_t bytes;   /* all of them */
	uint64_t made;    /* bytes of the new one; 0: none was made */
};

/* [blocks] Makes the bundle that the repository lacks. `asked`: also when it is small or one was made just now. Nothing to do is success. `stopping` (may be
 * NULL) is looked at twice a second: ERR_CLOSED. ERR_CONFLICT: the list or the refs changed meanwhile; others as git_cache_lease. */
int repo_bundle(struct gateway *gateway, const struct entity_id *repo, bool asked, const _Atomic bool *stopping, struct bundle_report *out,
	struct why *why);

#endif
