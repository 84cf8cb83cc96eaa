/* rebuild.h - bringing the git object table back from packs. Private to gateway/repo.
 *
 * DESIGN. The table is a view written without a log: a crash loses its newest writes, an index rebuild all of it. Writes are lost from the end, so a
 * repair reads packs from the newest backwards until it meets one whose objects are all there, and puts what it read oldest first, so that
 * a repair cut short leaves the same kind of gap. One repair at a time per repository; not again within REPAIR_PAUSE_MS.
 *
 * A pack whose commits are not in the table since the server stopped before they were (listing.h) is not all there either.
 *
 * On a node of a cluster the table lacks what other nodes have brought, anywhere in the list: there all packs are looked at that are newer than
 * what was looked at before, and the pause ends when the repository has changed. */
#ifndef CAIRN_GATEWAY_REPO_REBUILD_H
#define CAIRN_GATEWAY_REPO_REBUILD_H

#include "gateway/repo/repo.h"

/* [blocks] 0: repaired (or just was); ask the table again. */
int rebuild_missing(struct gateway *gateway, const struct entity_id *repo);
/* [blocks] For objects that need not exist: brings what other nodes have put since; a look into memory when nothing was. */
int rebuild_newer(struct gateway *gateway, const struct entity_id *repo);
/* [blocks] What an earlier run of this server lost from the end of the table must be back before something is put behind it, or the next repair would stop
 * there. Once per run and repository; afterwards a look into memory. */
int rebuild_before_put(struct gateway *gateway, const struct entity_id *repo);
/* [blocks] The packs of a repository, oldest first; *out is malloc'ed. */
int rebuild_packs(struct gateway *gateway, const struct entity_id *repo, struct pack **out, size_t *count);

#endif
