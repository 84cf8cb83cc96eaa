/* backup.h - lends the hub's files to a program on this machine that copies them.
 *
 * DESIGN. A path that a client names is never written to, so the hub does not copy: POST makes a copy of the names (hard links, below DIR/tmp) and
 * tells which bytes of which volumes belong to it; `cairn backup` copies both and says when it is done. Names are taken first, at a linearizable read point, and
 * volumes are listed after: whatever a name needs is in them. In a cluster it may be on other nodes only: it was on `copies` of them before the name was, so
 * when all but fewer than that have said, since the names were taken, that everything of theirs is here, it is. Of what files need, whatever is not here is
 * fetched, or the backup refused; so it is when something is known to be damaged or lost, unless the call says `accept_damage`. While it lasts nothing is
 * collected or compacted. One at a time; a copier that is silent for BACKUP_SILENCE_MS_MAX is taken for dead. */
#ifndef CAIRN_GATEWAY_ADMIN_BACKUP_H
#define CAIRN_GATEWAY_ADMIN_BACKUP_H

#include "gateway/gateway.h"

enum { BACKUP_SILENCE_MS_MAX = 10 * 60 * 1000, BACKUP_BYTES_MS_MAX = 20 * 1000, BACKUP_READ_MS_MAX = 5000 };

void admin_backup_begin(struct http_request *request, const struct route_match *match);
void admin_backup_renew(struct http_request *request, const struct route_match *match);
void admin_backup_end(struct http_request *request, const struct route_match *match);

#endif
