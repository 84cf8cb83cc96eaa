/* namespace_state.h - what the nouns of the namespace share: reading and changing records, proposing commands. Private to replication/.
 *
 * Inside an apply function everything goes through `state_*`, which sees the batch being made; outside through `namespace_*`, which sees what is
 * written, or a snapshot. Apply functions check everything before they write anything. */
#ifndef CAIRN_REPLICATION_NAMESPACE_STATE_H
#define CAIRN_REPLICATION_NAMESPACE_STATE_H

#include "replication/changes.h"
#include "replication/namespace_keys.h"
#include "schemas/record.h"

#include <pthread.h>

enum { PROPOSE_TIMEOUT_MS = 30 * 1000 };

/* ---- in apply ---- */
/* 0, ERR_NOT_FOUND; ERR_IO, ERR_CORRUPT, ERR_UNSUPPORTED: the node must stop. `schema` NULL: only whether it exists. */
int state_get(const struct apply_context *apply, const struct key *key, const struct schema *schema, void *record, size_t record_bytes, struct why *why);
int state_get_bytes(const struct apply_context *apply, const struct key *key, void *out, size_t length, struct why *why);
/* Appends the raw value; more than `out` may hold is ERR_CORRUPT. */
int state_read(const struct apply_context *apply, const struct key *key, struct buffer *out, struct why *why);
void state_put(const struct apply_context *apply, const struct key *key, const struct schema *schema, const void *record);
void state_put_bytes(const struct apply_context *apply, const struct key *key, const void *data, size_t length);
void state_delete(const struct apply_context *apply, const struct key *key);
int state_delete_prefix(const struct apply_context *apply, const struct key *prefix, struct why *why);
/* True when any key has this prefix and `accept` (may be NULL) takes it. */
bool state_any(const struct apply_context *apply, const struct key *prefix, bool (*accept)(void *context, struct span key), void *context);

/* A command's body as a record: ERR_INVALID when it does not parse, ERR_UNSUPPORTED for a version of tomorrow. */
int body_decode(void *record, size_t record_bytes, const struct schema *schema, const struct command *command, struct why *why);

/* 0, ERR_EXISTS: a user or an organisation has this name. */
int state_name_free(const struct apply_context *apply, const char *name, struct why *why);
/* 0, ERR_NOT_FOUND with a sentence. */
int state_user(const struct apply_context *apply, const char *name, struct user *out, struct why *why);

typedef int (*command_apply)(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int user_create_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int token_create_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int token_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int app_create_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int app_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int app_code_create_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int app_code_take_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int app_tokens_renew_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int outside_identity_link_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int signing_key_create_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int repo_create_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int repo_update_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int repo_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int repo_purge_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int repo_forget_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int refs_update_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int repo_like_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int repo_unlike_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int likes_drop_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int downloads_add_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
/* Of a repository whose content goes. */
int downloads_forget(const struct apply_context *apply, const struct entity_id *repo, struct why *why);
int discussion_open_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int discussion_comment_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int discussion_edit_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int discussion_update_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int discussion_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int pull_request_merge_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int discussions_purge(const struct apply_context *apply, const struct entity_id *repo, struct why *why); /* within repo purge */
/* "refs/pr/`number`" moved, by whatever command: leaves an event when there is such a pull request. */
int pull_request_moved(const struct apply_context *apply, const struct command *command, const struct entity_id *repo, uint64_t number,
	const struct oid *old_oid, const struct oid *new_oid, struct why *why);
/* The core of refs_update, for commands that move refs beside something else: checks everything, then writes. Appends the version to `result`. */
int refs_apply(const struct apply_context *apply, const struct command *command, const struct entity_id *repo, const struct ref_update *updates, size_t count,
	const struct pack *pack, struct buffer *result, struct why *why);
/* ERR_CONFLICT when the ref is not at old_oid. */
int refs_check(const struct apply_context *apply, const struct entity_id *repo, const struct ref_update *update, struct why *why);
int access_purge(const struct apply_context *apply, const struct entity_id *repo, struct why *why); /* within repo purge */
int collection_put_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int collection_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int collection_add_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int collection_item_change_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int collection_item_remove_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int follow_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int notify_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int notifications_change_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int notification_wish_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int notifications_forget_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int bucket_change_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int bucket_purge(const struct apply_context *apply, const struct entity_id *bucket, struct why *why); /* within repo purge */
int access_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int webhook_put_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int webhook_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int webhook_log_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int changes_position_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int packs_replace_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int bundles_set_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int cluster_set_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int cluster_erasure_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
/* Who should hold what is another from here on. */
int cluster_epoch_next(const struct apply_context *apply, struct why *why);
/* The same, and `change` more repositories have a number of copies of their own. ERR_TOO_BIG: there are `max` already. */
int cluster_repos_next(const struct apply_context *apply, int change, uint64_t max, struct why *why);
int repo_copies_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
/* Of a repository that goes. */
int repo_copies_drop(const struct apply_context *apply, const struct entity_id *repo, struct why *why);
/* Failure domains of the nodes that belong to the cluster. */
unsigned cluster_domains_apply(const struct apply_context *apply, int *err, struct why *why);
/* Nodes that belong to it; at least one. */
unsigned cluster_members_apply(const struct apply_context *apply, int *err, struct why *why);
int cluster_node_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int secret_create_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int lock_create_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int lock_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int quota_set_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int branch_rule_set_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int branch_rule_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
/* 0, or ERR_DENIED: a rule forbids what the update does. `exists`: the ref is there now; `goes`: it shall be deleted. */
int branch_rules_check(const struct apply_context *apply, const struct entity_id *repo, const struct ref_update *update, bool exists, bool goes,
	struct why *why);
/* The rules of a repository that is being purged. */
int branch_rules_purge(const struct apply_context *apply, const struct entity_id *repo, struct why *why);
void bundles_purge(const struct apply_context *apply, const struct entity_id *repo);
/* The locks of a repository that is being purged. */
int locks_purge(const struct apply_context *apply, const struct entity_id *repo, struct why *why);
int ssh_key_create_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int ssh_key_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);

/* Adds to the group's stream of changes (changes.h) as the last thing an apply function does; number, time, actor and, when it is 0, the type are
 * filled in. */
/* struct state_machine: the feature level was raised. */
int cluster_level_raised(void *context, const struct apply_context *apply, const struct command *command, uint64_t level, struct why *why);
int change_append(const struct apply_context *apply, const struct command *command, struct change *change, struct why *why);
int org_create_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int org_update_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int org_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int member_set_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int member_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int repo_move_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);
int token_create_fine_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why);


/* ---- tokens, for those who make them within other commands ---- */
void token_encode(struct buffer *out, const struct token *token); /* without rights */
int token_decode_at(struct cursor *cursor, struct token *out);
/* Stores a token with its rights. ERR_NOT_FOUND: its user is gone; nothing is written then. */
int token_put(const struct apply_context *apply, struct token *token, struct span rights, struct why *why);
int token_state(const struct apply_context *apply, const struct entity_id *id, struct token *out, struct why *why); /* without rights; 0, ERR_NOT_FOUND */
void token_drop(const struct apply_context *apply, const struct token *token);
/* `type` 0: the command's. */
int token_tell(const struct apply_context *apply, const struct command *command, uint32_t type, const struct token *token, struct why *why);

/* ---- outside ---- */
/* A new text, and with it the token's id and digest. */
void token_mint(struct token *token, char text[TOKEN_TEXT_BYTES_MAX]);

/* Raised after each batch that was applied. */
struct change_signal {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t raised;
};
void change_signal_init(struct change_signal *signal);
void change_signal_fini(struct change_signal *signal);
void change_signal_raise(struct change_signal *signal);
struct change_signal *namespace_signal(struct namespace *ns);

/* `schema` NULL: only whether it exists. */
int namespace_get(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct key *key, const struct schema *schema, void *record,
	size_t record_bytes);
int namespace_get_bytes(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct key *key, void *out, size_t length);
/* A value of at most `size` bytes. */
int namespace_get_some(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct key *key, void *out, size_t size, size_t *length);
/* Calls `each` for keys with `prefix`, from `start` on (NULL: the first). What it returns, if not 0, ends the scan and is returned. ERR_IO. */
int namespace_scan(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct key *prefix, const struct key *start,
	int (*each)(void *context, struct span key, struct span value), void *context);
/* [blocks] `body` is consumed (finished) in every case; `id` NULL: made here. */
int namespace_propose(struct namespace *ns, uint32_t group, enum command_type type, const char *actor, struct buffer *body,
	const struct command_id *id, struct why *why);
/* The same, and what apply left as its result is appended to `result` (may be NULL). */
int namespace_propose_result(struct namespace *ns, uint32_t group, enum command_type type, const char *actor, struct buffer *body,
	const struct command_id *id, struct buffer *result, struct why *why);
/* In apply: a secret gets another value. */
void secret_replace(const struct apply_context *apply, const char *name, const uint8_t *value, size_t length);
/* A secret as it stands in the state of `db`. 0, ERR_NOT_FOUND, ERR_CORRUPT (also another length), ERR_IO. */
int secret_read(rocksdb_t *db, const char *name, uint8_t *out, size_t length);
void entity_id_make(struct entity_id *out);
/* What a read of the state comes to that RocksDB refused: ERR_IO; on damage a node of several stops. Frees `error`. */
int namespace_read_failed(struct namespace *ns, char *error);

/* ---- what a repository's content knows of itself: group 1 ---- */
struct repo_state {
	uint64_t version;
	int64_t modified_ms;
	bool deleted; /* a tombstone: no ref is ever set again */
	uint64_t branch_rules; /* how many */
	uint64_t rewritten_version; /* the version at which a branch or tag last lost commits; 0: never */
};
extern const struct schema repo_state_schema;
/* Body of the commands that name an entity and nothing else. */
struct entity_body {
	struct entity_id id;
};
extern const struct schema entity_body_schema;
/* [blocks] Purges what deletions cut short by a crash left behind. */
int repo_sweep(struct namespace *ns, struct why *why);

extern const struct schema pack_schema;

/* ---- names that moved ---- */
extern const struct schema repo_schema;
/* In apply: forgets that a name once led to another repository; forgets all former names of one. */
int alias_drop(const struct apply_context *apply, enum repo_type type, const char *owner, const char *name, struct why *why);
int aliases_drop(const struct apply_context *apply, const struct entity_id *repo, struct why *why);

#endif
