/* namespace.h - everything that has a name: users, tokens, repositories, refs, packs.
 *
 * DESIGN. Changes are versioned msgpack commands (docs/formats.md lists them) proposed through consensus and applied by a
 * deterministic state machine onto RocksDB; preconditions (old oid, must-not-exist) are evaluated at apply. Group 0 holds users, tokens and
 * names -> repository id; group 1 holds what is inside repositories, each key under its repository's shard slot
 * (xxh3(id) mod 1024). Keys are big-endian and begin with the group; layout in namespace_keys.h.
 *
 * Reads go to the database directly, or to a snapshot when several reads must agree. Writers [block] until applied.
 *
 * Organisations are in org.h; gates, likes and webhooks get record types of their own beside these. */
#ifndef CAIRN_REPLICATION_NAMESPACE_H
#define CAIRN_REPLICATION_NAMESPACE_H

#include "replication/consensus.h"
#include "replication/token_rights.h"
#include "schemas/hash.h"
#include "schemas/ssh_public_key.h"

struct namespace; /* opaque */

enum {
	NAME_BYTES_MAX = 96,           /* user, organisation and repository names */
	REPO_ID_BYTES_MAX = 2 * NAME_BYTES_MAX + 2,
	EMAIL_BYTES_MAX = 254,
	REF_BYTES_MAX = 250,
	TOKEN_TEXT_BYTES_MAX = 64,     /* "hf_" and 34 characters and NUL fit */
	REFS_PER_COMMAND_MAX = 1000,
	PACKS_PER_COMMAND_MAX = 4096,
	SSH_KEYS_PER_USER_MAX = 100,
};

int namespace_open(struct namespace **out, const char *dir, struct why *why); /* opens its consensus in dir */
/* [blocks] The same as a node of a cluster, see struct cluster_config; NULL: alone. */
int namespace_open_cluster(struct namespace **out, const char *dir, const struct cluster_config *cluster, struct why *why);
void namespace_close(struct namespace *ns);
struct consensus *namespace_consensus(struct namespace *ns);
/* Changes whenever anything was applied: caches compare it. */
uint64_t namespace_version(const struct namespace *ns);

/* A consistent view; NULL wherever one is taken means "now". */
struct namespace_snapshot;
struct namespace_snapshot *namespace_snapshot_open(struct namespace *ns);
void namespace_snapshot_close(struct namespace_snapshot *snapshot);

/* Names: 1..96 of [A-Za-z0-9_.-], no "--", no "..", no leading or trailing '-' or '.', not ending in ".git". */
bool name_valid(struct span name);
/* git check-ref-format rules on a full ref name ("refs/heads/x"). */
bool ref_name_valid(struct span ref);
/* True for a branch or tag called "HEAD" or "refs/...": whoever reads such a name means another ref. None is made; those of older hubs can be
 * read and deleted. */
bool ref_name_shadows(struct span ref);

/* ---- users ---- */
struct user {
	struct entity_id id;
	char name[NAME_BYTES_MAX + 1];
	char fullname[NAME_BYTES_MAX + 1];
	char email[EMAIL_BYTES_MAX + 1];
	bool admin;
	int64_t created_ms;
};
int user_create(struct namespace *ns, const char *actor, const struct user *user, struct why *why); /* id and created_ms are made; ERR_EXISTS, ERR_INVALID */
int user_find(struct namespace *ns, const char *name, struct user *out); /* any case; 0, ERR_NOT_FOUND */
/* Calls `each` in name order from `after` (exclusive, NULL: start); non-zero stops. */
int user_list(struct namespace *ns, const char *after, int (*each)(void *context, const struct user *user), void *context);

/* ---- tokens ---- */
enum token_role {
	TOKEN_READ = 1,
	TOKEN_WRITE = 2,
	TOKEN_FINE_GRAINED = 3, /* what `rights` say, and no more */
	TOKEN_REFRESH = 4,      /* no call takes it: it is only ever exchanged for another token */
};
struct token {
	struct entity_id id;
	struct hash digest;            /* keyless BLAKE2b-256 of the token text: all that is stored of it */
	char user[NAME_BYTES_MAX + 1];
	char name[NAME_BYTES_MAX + 1]; /* display name */
	enum token_role role;
	int64_t created_ms;
	int64_t expires_ms;            /* 0: never; of an app that is gone: long ago */
	struct entity_id app;          /* that it was given to (app.h); zero: to none */
	uint64_t scopes;               /* with an app: what was allowed, gateway/auth/oauth_scope.h */
	struct token_rights rights;    /* TOKEN_FINE_GRAINED, or with an app; else zero */
};
bool token_is_of_app(const struct token *token);
/* Mints a token; its text ("hf_...") goes to `text` and nowhere else. */
int token_create(struct namespace *ns, const char *actor, const struct token *token, char text[TOKEN_TEXT_BYTES_MAX], struct why *why);
int token_find(struct namespace *ns, struct span text, struct token *out); /* 0, ERR_NOT_FOUND; expiry is the caller's to check */
int token_get(struct namespace *ns, const struct entity_id *id, struct token *out); /* the same, by id */
int token_delete(struct namespace *ns, const char *actor, const struct entity_id *id, struct why *why);
int token_list(struct namespace *ns, const char *user, int (*each)(void *context, const struct token *token), void *context);

/* ---- SSH keys ---- */
struct ssh_key {
	struct entity_id id;
	struct hash fingerprint;        /* SHA-256 of the key's blob: its name, so that a key has one owner */
	char user[NAME_BYTES_MAX + 1];
	char title[NAME_BYTES_MAX + 1]; /* what the owner calls it */
	char type[SSH_KEY_TYPE_BYTES_MAX];
	char base64[SSH_KEY_BASE64_BYTES_MAX];
	int64_t created_ms;
};
int ssh_key_create(struct namespace *ns, const char *actor, const struct ssh_key *ssh_key, struct why *why); /* id and created_ms are made; ERR_EXISTS: somebody's already */
int ssh_key_find(struct namespace *ns, const struct hash *fingerprint, struct ssh_key *out); /* 0, ERR_NOT_FOUND */
/* `user` not NULL: only if it is theirs. ERR_NOT_FOUND. */
int ssh_key_delete(struct namespace *ns, const char *actor, const struct hash *fingerprint, const char *user, struct why *why);
int ssh_key_list(struct namespace *ns, const char *user, int (*each)(void *context, const struct ssh_key *ssh_key), void *context); /* NULL: everybody's */

/* ---- repositories ---- */
enum repo_type { REPO_MODEL = 1, REPO_DATASET = 2, REPO_SPACE = 3, REPO_KERNEL = 4,
	REPO_BUCKET = 5 /* no history: bucket.h. Not among the types whose files have revisions */ };
enum repo_gate { REPO_GATE_NONE = 0, REPO_GATE_AUTO = 1, REPO_GATE_MANUAL = 2 }; /* whether reading files needs an accepted request: gate.h */
struct repo {
	struct entity_id id;
	enum repo_type type;
	char owner[NAME_BYTES_MAX + 1]; /* namespace part, stored case */
	char name[NAME_BYTES_MAX + 1];
	bool private;
	enum repo_gate gated;
	bool discussions_disabled;      /* and pull requests */
	bool org_members_gated;         /* members of its organisation need a grant too */
	bool gate_mails_daily;          /* requests for access are told once a day, not one by one */
	char gate_email[EMAIL_BYTES_MAX + 1]; /* who is told; "": nobody */
	char discussions_sorting[32];   /* "": by what was opened last */
	char sdk[32];                   /* spaces */
	char creator[NAME_BYTES_MAX + 1]; /* "": the actor that creates it */
	char head[REF_BYTES_MAX + 1];   /* "refs/heads/main"; "" when creating means that */
	int64_t created_ms;
	int64_t modified_ms;            /* last ref change */
	uint64_t version;               /* +1 per accepted ref batch */
	bool lfs_locks;                 /* Git LFS file locks are switched on (replication/lock.h) */
};
int repo_create(struct namespace *ns, const char *actor, const struct repo *repo, struct entity_id *id, struct why *why); /* ERR_EXISTS: one of two racing creates */
int repo_delete(struct namespace *ns, const char *actor, const struct entity_id *id, struct why *why); /* refs and packs go with it */
/* Each is changed where its set_ is true. */
struct repo_settings {
	bool set_private, private, set_lfs_locks, lfs_locks;
	bool set_head;                  /* only if it is old_head still */
	char head[REF_BYTES_MAX + 1], old_head[REF_BYTES_MAX + 1];
	bool set_gated;
	enum repo_gate gated;
	bool set_discussions_disabled, discussions_disabled;
	bool set_org_members_gated, org_members_gated;
	bool set_gate_mails_daily, gate_mails_daily;
	bool set_gate_email;
	char gate_email[EMAIL_BYTES_MAX + 1];
	bool set_discussions_sorting;
	char discussions_sorting[32];
};
int repo_update(struct namespace *ns, const char *actor, const struct entity_id *id, const struct repo_settings *settings, struct why *why);
int repo_find(struct namespace *ns, const struct namespace_snapshot *snapshot, enum repo_type type, struct span owner, struct span name, struct repo *out); /* any case */
int repo_get(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct entity_id *id, struct repo *out);
/* The same in one look-up, without `version` and `modified_ms`. */
int repo_get_record(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct entity_id *id, struct repo *out);
/* What was read of records since the version was read stays true while it is the same; odd: some record is about to change, nothing may be kept. */
uint64_t repo_records_version(const struct namespace *ns);
/* The repository that had this name before it moved, unless another one has it now. */
int repo_find_moved(struct namespace *ns, enum repo_type type, struct span owner, struct span name, struct repo *out);
/* Gives it another name, another owner or both. Its old name leads to it until somebody creates a repository of that name. ERR_EXISTS: the new name is taken;
 * ERR_NOT_FOUND: no such repository, user or organisation. */
int repo_move(struct namespace *ns, const char *actor, const struct entity_id *id, const char *owner, const char *name, struct why *why);
/* All repositories in (type, owner, name) order, from `after` ("model/owner/name", exclusive, NULL: start); type 0: all. What `each` returns, if not 0,
 * stops every listing of this header and is returned. */
int repo_list(struct namespace *ns, enum repo_type type, const char *owner, const char *after, int (*each)(void *context, const struct repo *repo), void *context);

/* ---- refs and packs ---- */
struct ref {
	char name[REF_BYTES_MAX + 1]; /* full: "refs/heads/main" */
	struct oid oid;
	int64_t updated_ms;
};
int ref_get(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct entity_id *repo, const char *name, struct ref *out);
int ref_list(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct entity_id *repo, const char *prefix, int (*each)(void *context, const struct ref *ref), void *context);

/* What happened to a ref, oldest first; also of refs that are deleted now. */
struct reflog_entry {
	char name[REF_BYTES_MAX + 1];
	struct oid old_oid, new_oid; /* all-zero: absent */
	char actor[NAME_BYTES_MAX + 1];
	int64_t when_ms;
	uint64_t version;            /* of the repository, after the change */
};
int reflog_list(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct entity_id *repo, const char *ref, int (*each)(void *context, const struct reflog_entry *entry), void *context);

struct ref_update {
	char name[REF_BYTES_MAX + 1];
	struct oid old_oid; /* all-zero: must not exist */
	struct oid new_oid; /* all-zero: delete */
	bool any_old;       /* no condition */
	/* What the proposer knows, for branch_rule.h: */
	bool fast_forward;  /* the new commit descends from the old one */
	bool privileged;    /* the actor is an administrator of the repository */
};
enum pack_class { PACK_INSERT = 1, PACK_RECEIVE = 2, PACK_COMPACT = 3 };
struct pack {
	struct hash file;    /* the pack's bytes in the store */
	struct oid sha1;     /* the pack's trailer */
	uint64_t length;     /* bytes */
	uint64_t objects;
	enum pack_class class;
	uint64_t version;    /* of the repository that brought it: its place in the list; set by pack_list alone */
};
/* The one command that moves refs: if every condition holds, sets all refs, adds the pack (may be NULL), bumps the version;
 * else ERR_CONFLICT and nothing changes (`why` names the ref); ERR_DENIED when a rule for branches forbids it. The pack's bytes must be durable before. */
int refs_update(struct namespace *ns, const char *actor, const struct entity_id *repo, const struct ref_update *updates, size_t count, const struct pack *pack, const struct command_id *id, struct why *why);
/* [blocks] Puts one pack in place of others that hold no object beside it: at the place of the newest. At most PACKS_PER_COMMAND_MAX, as pack_list
 * told of them. ERR_CONFLICT: one of them is not in the list any more. No ref changes, nor the version. */
int packs_replace(struct namespace *ns, const struct entity_id *repo, const struct pack *replaced, size_t count, const struct pack *pack, struct why *why);
/* Oldest first. */
int pack_list(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct entity_id *repo, int (*each)(void *context, const struct pack *pack), void *context);

/* ---- node-wide secrets kept in the state machine (signing keys): made once by whoever comes first ---- */
int secret_get_or_create(struct namespace *ns, const char *name, uint8_t *out, size_t length, struct why *why);

#endif
