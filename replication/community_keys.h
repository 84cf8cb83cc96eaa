/* community_keys.h - where the nouns of the community live in the state machine's store: as namespace_keys.h, with upper-case kinds.
 *
 *   group 0, slot 0
 *   'Q' collection id             -> collection
 *   'O' owner 00 collection id    -> (empty)
 *   'T' owner 00 title            -> collection id
 *   'I' collection id, item id    -> item
 *   'V' kind, 1 and target or 0 and name 00, collection id -> (empty) what holds an item
 *   'F' followed 00 follower      -> (empty)
 *   'G' follower 00 followed      -> (empty)
 *   'M' name                      -> follow counts
 *   'W' webhook id                -> webhook
 *   'X' owner 00 webhook id       -> (empty)
 *   'Y' kind name 00 webhook id   -> (empty) what it watches
 *   'Z' webhook id, inverted number -> delivery, newest first
 *   'N' user 00 place             -> notification, oldest first
 *   'B' user 00 repository id, number -> place of the notification about this discussion
 *   'P' user                      -> inbox
 *   'R' user 00 kind, id          -> watch state, one byte
 *   'L' id, user                  -> (the same) seen from what is watched
 *   'S' repository id, number, user -> subscription to a discussion, one byte
 *
 *   group 1, slot of the repository
 *   'A' repository id, user       -> access request
 *   'B' repository id, status, inverted time, user -> (empty) access requests of a status, newest first
 *   'D' repository id, inverted number -> discussion, newest first
 *   'E' repository id, number, event   -> event of a discussion
 *   'H' repository id, number, event, edit -> earlier version of a comment
 *   'K' repository id             -> number of the newest discussion
 *   'S' bucket id                 -> its totals
 *   'U' bucket id, path           -> file of a bucket */
#ifndef CAIRN_REPLICATION_COMMUNITY_KEYS_H
#define CAIRN_REPLICATION_COMMUNITY_KEYS_H

#include "replication/namespace_keys.h"

void key_access(struct key *key, const struct entity_id *repo, struct span user); /* "": the prefix of all */
void key_access_by_status(struct key *key, const struct entity_id *repo, unsigned status, int64_t when_ms, struct span user);
void key_access_status_prefix(struct key *key, const struct entity_id *repo, unsigned status); /* 0: of all */

void key_discussion(struct key *key, const struct entity_id *repo, uint64_t number);
void key_discussion_prefix(struct key *key, const struct entity_id *repo);
void key_discussion_last(struct key *key, const struct entity_id *repo);
void key_event(struct key *key, const struct entity_id *repo, uint64_t number, uint64_t event);
void key_event_prefix(struct key *key, const struct entity_id *repo, uint64_t number); /* 0: of all discussions */
void key_event_version(struct key *key, const struct entity_id *repo, uint64_t number, uint64_t event, uint64_t edit);
void key_event_version_prefix(struct key *key, const struct entity_id *repo, uint64_t number, uint64_t event); /* 0: of all */

void key_webhook(struct key *key, const struct entity_id *id); /* NULL: the prefix of all */
void key_webhook_owner(struct key *key, const char *owner, const struct entity_id *id); /* NULL: the prefix of a user's */
void key_webhook_watching(struct key *key, unsigned kind, const char *name, const struct entity_id *id); /* NULL: the prefix of a name's */
void key_webhook_log(struct key *key, const struct entity_id *id, uint64_t number);
void key_webhook_log_prefix(struct key *key, const struct entity_id *id);

void key_collection(struct key *key, const struct entity_id *id); /* NULL: the prefix of all */
void key_collection_owner(struct key *key, const char *owner, const struct entity_id *id); /* NULL: the prefix of an owner's */
void key_collection_title(struct key *key, const char *owner, const char *title);
void key_collection_item(struct key *key, const struct entity_id *id, const struct entity_id *item); /* NULL: the prefix of a collection's */
/* By target, or by name when that is zero; id NULL: the prefix of an item's. */
void key_collection_holding(struct key *key, unsigned kind, const struct entity_id *target, const char *name, const struct entity_id *id);

void key_follower(struct key *key, const char *followed, const char *follower); /* NULL: the prefix of all */
void key_following(struct key *key, const char *follower, const char *followed);
void key_follow_counts(struct key *key, const char *name);

void key_notification(struct key *key, const char *user, uint64_t place); /* 0: the prefix of a user's */
void key_notification_about(struct key *key, const char *user, const struct entity_id *repo, uint64_t number);
void key_inbox(struct key *key, const char *user);
void key_watch(struct key *key, const char *user, unsigned kind, const struct entity_id *id); /* NULL: the prefix of a user's */
void key_watcher(struct key *key, const struct entity_id *id, const char *user); /* "": the prefix of all */
/* "": the prefix of all of a discussion; NULL: the same, and with number 0 the prefix of all of a repository. */
void key_subscription(struct key *key, const struct entity_id *repo, uint64_t number, const char *user);

void key_bucket_totals(struct key *key, const struct entity_id *bucket);
void key_bucket_file(struct key *key, const struct entity_id *bucket, const char *path); /* a beginning of paths gives a prefix of keys */

#endif
