/* community_keys.h - where the nouns of the community live in the state machine's store: as namespace_keys.h, with upper-case kinds.
 *
 *   group 1, slot of the repository
 *   'A' repository id, user       -> access request
 *   'B' repository id, status, inverted time, user -> (empty) access requests of a status, newest first */
#ifndef CAIRN_REPLICATION_COMMUNITY_KEYS_H
#define CAIRN_REPLICATION_COMMUNITY_KEYS_H

#include "replication/namespace_keys.h"

void key_access(struct key *key, const struct entity_id *repo, struct span user); /* "": the prefix of all */
void key_access_by_status(struct key *key, const struct entity_id *repo, unsigned status, int64_t when_ms, struct span user);
void key_access_status_prefix(struct key *key, const struct entity_id *repo, unsigned status); /* 0: of all */

#endif
