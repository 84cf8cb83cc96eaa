/* received_walk.h - what a push rests on without bringing it.
 *
 * DESIGN. A pack is closed when what it refers to is in it or in packs that are listed; but what is listed may hold commits that no ref has reached for long, whose
 * LFS objects were let go of. So whatever becomes reachable with a push is gone through, also where it is known:
 *
 *   - each commit of the pack beside its parents: what a parent has under the same path was looked at when the parent came; everything else is walked
 *   - known commits that no ref reaches yet (found by the caller): all of their trees
 *
 * A pack that names no folder or file beside its own needs only its depth looked at, for which the scan has noted which tree names which.
 *
 * On the way every pointer must have its object, claimed by the repository, and no folder may be deeper than paths may be, on any way to it. Folders that contain each
 * other many times are walked once for each depth; comparing with parents has a budget, after which commits are walked without.
 *
 * [blocks] everything. One thread. */
#ifndef CAIRN_GATEWAY_REPO_RECEIVED_WALK_H
#define CAIRN_GATEWAY_REPO_RECEIVED_WALK_H

#include "gateway/repo/received_pack.h"

struct received_walk;

/* After received_pack_check, or for a push without a pack. Until received_walk_close `received` is the walk's. ERR_NO_MEMORY. */
int received_walk_open(struct received_walk **out, struct received_pack *received);
void received_walk_close(struct received_walk *walk);

/* Known objects (commits, or what a tag points to) that a commit or tag of the pack names; each once or more. Stops at what `each` returns. */
int received_edges(struct received_pack *received, int (*each)(void *context, const struct oid *oid), void *context, struct why *why);

/* Commits of the pack, beside their parents. 0 (findings are kept), ERR_TOO_BIG (more folders than can be looked at), ERR_CLOSED, ERR_CORRUPT, ... */
int received_walk_pack(struct received_walk *walk, struct why *why);
/* A known commit, tree or blob, and all below it. */
int received_walk_known(struct received_walk *walk, const struct oid *oid, struct why *why);
/* 0, or ERR_INVALID: there were findings, said in `messages`. */
int received_walk_verdict(struct received_walk *walk, struct why *why);

#endif
