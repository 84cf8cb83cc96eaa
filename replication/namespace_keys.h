/* namespace_keys.h - where each noun lives in the state machine's store.
 *
 * What people say to each other is in community_keys.h. After the prefix of keys.h (group, slot, kind); names in keys are lower case, ids are 12 bytes:
 *
 *   group 0, slot 0
 *   'u' name                      -> user
 *   'k' digest                    -> token
 *   'i' token id                  -> digest
 *   't' user 00 token id          -> digest
 *   'y' fingerprint               -> SSH key
 *   'z' user 00 fingerprint       -> (empty) whose it is
 *   'c' app id                    -> app
 *   'e' end in ms, digest         -> code of an app
 *   'h' name                      -> signing key
 *   'j' digest                    -> identity at an outside provider
 *   'n' type owner 00 name        -> repository id
 *   'r' repository id             -> repository
 *   'd' repository id             -> (empty) its content is still to be purged
 *   's' name                      -> secret
 *   'w' follower                  -> its position in the streams of changes
 *   'q' owner                     -> quota
 *   '1' repository id, user       -> like
 *   '2' user 00 ~time, repository id -> like: a user's, newest first
 *   '3' repository id             -> how many likes
 *   'o' name                      -> organisation
 *   'm' organisation 00 user      -> member
 *   'b' user 00 organisation      -> (empty) the same, seen from the user
 *   'g' token id                  -> rights of a fine-grained token
 *   'a' type owner 00 name        -> id of the repository that had this name
 *   'x' repository id, type owner 00 name -> (empty) the same, seen from the repository
 *   'C' node id                   -> node of the cluster
 *   'J' token id                  -> join token that is not used yet
 *   'F'                           -> settings of the cluster
 *   'D' repository id             -> how many copies it wants, when it says so
 *
 *   group 1, slot of the repository
 *   'v' repository id             -> its state {version, last change, deleted}
 *   'f' repository id, ref name   -> ref
 *   'l' repository id, ref name 00 version -> reflog entry
 *   'p' repository id, version    -> pack, in age order
 *   'L' repository id, lock id    -> LFS lock, newest first
 *   'P' repository id, BLAKE2b-256 of a path -> lock id
 *   'N' repository id             -> number of its locks
 *   'R' repository id, pattern    -> rule for branches
 *   'c' repository id             -> list of bundles
 *   '1' repository id             -> how many downloads
 *   '2' repository id, XXH3-128 of a path -> u64 downloads of the file
 *
 *   each group, SLOT_CHANGES
 *   'g' number                    -> change
 *   'h'                           -> number of the newest change
 *   '1' log index, repository id  -> (empty) in group 1: downloads counted there last */
#ifndef CAIRN_REPLICATION_NAMESPACE_KEYS_H
#define CAIRN_REPLICATION_NAMESPACE_KEYS_H

#include "replication/keys.h"
#include "replication/likes.h"
#include "replication/namespace.h"

/* Begins a key of group 1 under a repository's slot. */
void key_begin_repo(struct key *key, const struct entity_id *repo, char kind);
void key_add_lower(struct key *key, struct span name);

void key_user(struct key *key, struct span name); /* "": the prefix of all */
void key_token(struct key *key, const struct hash *digest);
void key_token_id(struct key *key, const struct entity_id *id);
void key_user_token(struct key *key, struct span user, const struct entity_id *id); /* NULL: the prefix of a user's */
void key_ssh_key(struct key *key, const struct hash *fingerprint); /* NULL: the prefix of all */
void key_user_ssh_key(struct key *key, struct span user, const struct hash *fingerprint); /* NULL: the prefix of a user's */
void key_app(struct key *key, const struct entity_id *id); /* NULL: the prefix of all */
void key_app_code(struct key *key, uint64_t expires_ms, const struct hash *digest); /* NULL: the prefix of all */
void key_outside_identity(struct key *key, const struct hash *digest);
void key_signing_key(struct key *key, struct span name);
/* type 0: all; owner "" : all of the type; name "": all of the owner. */
void key_repo_name(struct key *key, enum repo_type type, struct span owner, struct span name);
void key_repo(struct key *key, const struct entity_id *id);
void key_repo_purge(struct key *key, const struct entity_id *id); /* NULL: the prefix of all */
void key_secret(struct key *key, struct span name);
void key_cluster_node(struct key *key, uint64_t node_id); /* 0: the prefix of all */
void key_cluster_settings(struct key *key);
void key_repo_copies(struct key *key, const struct entity_id *id); /* NULL: the prefix of all */
void key_join_token(struct key *key, const uint8_t *token_id); /* NULL: the prefix of all */
void key_like(struct key *key, const struct entity_id *repo, struct span user); /* "": the prefix of all of the repository */
void key_user_like(struct key *key, struct span user, const struct like *like); /* NULL: the prefix of all of the user */
void key_repo_likes(struct key *key, const struct entity_id *repo);
void key_changes_position(struct key *key, const char *follower);
void key_quota(struct key *key, struct span owner);
void key_org(struct key *key, struct span name); /* "": the prefix of all */
void key_member(struct key *key, struct span org, struct span user); /* user "": the prefix of all members */
void key_user_org(struct key *key, struct span user, struct span org);
void key_user_orgs(struct key *key, struct span user); /* the prefix */
void key_token_rights(struct key *key, const struct entity_id *id);
void key_repo_alias(struct key *key, enum repo_type type, struct span owner, struct span name);
void key_alias_of(struct key *key, const struct entity_id *repo, enum repo_type type, struct span owner, struct span name);
void key_aliases_of(struct key *key, const struct entity_id *repo); /* the prefix */

void key_repo_state(struct key *key, const struct entity_id *repo);
void key_ref(struct key *key, const struct entity_id *repo, struct span name); /* a prefix of names gives a prefix of keys */
void key_reflog(struct key *key, const struct entity_id *repo, struct span name, uint64_t version);
void key_reflog_prefix(struct key *key, const struct entity_id *repo, struct span name); /* "": of all refs */
void key_pack(struct key *key, const struct entity_id *repo, uint64_t version);
void key_pack_prefix(struct key *key, const struct entity_id *repo);
void key_lock(struct key *key, const struct entity_id *repo, struct span id); /* "": the prefix of all */
void key_lock_path(struct key *key, const struct entity_id *repo, struct span digest); /* "": the prefix of all */
void key_lock_count(struct key *key, const struct entity_id *repo);

void key_repo_downloads(struct key *key, const struct entity_id *repo);
void key_file_downloads(struct key *key, const struct entity_id *repo, struct span path); /* "": the prefix of all files */
void key_downloads_changed(struct key *key, uint64_t index, const struct entity_id *repo); /* NULL: the prefix of all */

void key_change(struct key *key, uint32_t group, uint64_t number);
void key_change_prefix(struct key *key, uint32_t group);
void key_changes_last(struct key *key, uint32_t group);

#endif
