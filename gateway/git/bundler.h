/* bundler.h - the thread that makes bundles of what is cloned often. Private to gateway/git.
 *
 * Whoever serves a whole clone says so here. A repository that was cloned BUNDLE_CLONES_MIN times within BUNDLE_WINDOW_MS gets its bundle, one repository at a
 * time. Counts are this node's alone and lost with the process: they decide about work, not about answers. Threads: any. */
#ifndef CAIRN_GATEWAY_GIT_BUNDLER_H
#define CAIRN_GATEWAY_GIT_BUNDLER_H

#include "gateway/gateway.h"

enum {
	BUNDLE_CLONES_MIN = 4,             /* a bundle costs about two clones; the next ones are then nearly free */
	BUNDLE_WINDOW_MS = 24 * 3600 * 1000,
	BUNDLER_WATCHED_MAX = 128,         /* repositories whose clones are counted; the longest unasked makes room */
};

struct bundler;

int bundler_open(struct bundler **out, struct gateway *gateway, struct why *why);
/* [blocks] Ends git if it runs. */
void bundler_close(struct bundler *bundler);

/* A client was sent all of a repository, of about so many bytes. */
void bundler_cloned(struct bundler *bundler, const struct entity_id *repo, uint64_t bytes);

struct bundler_stats { uint64_t made, failed; }; /* since start */
void bundler_stats(struct bundler *bundler, struct bundler_stats *out);

#endif
