/* command.h - a change of the replicated state as it travels: in memory, in the log, and one day between nodes.
 *
 * DESIGN. A log entry holds [format, leader_ms, [command, ...]]. A command is [type u16, version u8, id bin16, actor text, body]; the body
 * is one msgpack value that only the state machine of that type understands. A type or version that a node does not know stops
 * that node when it is applied: state machines that skip a command have diverged. Types below COMMAND_TYPE_NAMESPACE belong to consensus.
 *
 * Decoding borrows the caller's bytes and allocates nothing. Pure. */
#ifndef CAIRN_SCHEMAS_COMMAND_H
#define CAIRN_SCHEMAS_COMMAND_H

#include "schemas/record.h"

enum command_type {
	COMMAND_DROP_IDS = 1,      /* forget command ids of hours before one */
	COMMAND_FEATURE_LEVEL = 2, /* raise what every node of the cluster knows */

	COMMAND_TYPE_NAMESPACE = 16,
	COMMAND_USER_CREATE = 16,
	COMMAND_TOKEN_CREATE = 17,
	COMMAND_TOKEN_DELETE = 18,
	COMMAND_REPO_CREATE = 19,
	COMMAND_REPO_UPDATE = 20,
	COMMAND_REPO_DELETE = 21, /* group 0: the name goes, an intent stays */
	COMMAND_REPO_PURGE = 22,  /* group 1: the content goes, a tombstone stays */
	COMMAND_REPO_FORGET = 23, /* group 0: the intent goes */
	COMMAND_REFS_UPDATE = 24,
	COMMAND_SECRET_CREATE = 25,

	/* Ranges, so that nouns can grow without meeting: */
	COMMAND_LOCK_CREATE = 32,
	COMMAND_LOCK_DELETE = 33,
	COMMAND_QUOTA_SET = 34,
	/* up to 39: LFS locks and quotas */
	/* 40: SSH keys */
	COMMAND_SSH_KEY_CREATE = 40,
	COMMAND_SSH_KEY_DELETE = 41,
	COMMAND_BRANCH_RULE_SET = 44,
	COMMAND_BRANCH_RULE_DELETE = 45,
	COMMAND_BUNDLES_SET = 46,
	/* up to 47: protected branches, bundles, replacement of packs */
	COMMAND_PACKS_REPLACE = 47,
	/* 48: organisations, settings, rights, names that moved */
	COMMAND_ORG_CREATE = 48,
	COMMAND_ORG_UPDATE = 49,
	COMMAND_ORG_DELETE = 50,
	COMMAND_MEMBER_SET = 51,
	COMMAND_MEMBER_DELETE = 52,
	COMMAND_REPO_MOVE = 53,
	COMMAND_TOKEN_CREATE_FINE = 54,
	COMMAND_APP_CREATE = 55,
	COMMAND_APP_DELETE = 56,
	COMMAND_APP_CODE_CREATE = 57,
	COMMAND_APP_CODE_TAKE = 58,    /* a code for two tokens, once */
	COMMAND_APP_TOKENS_RENEW = 59, /* a refresh token for two tokens, once */
	COMMAND_SIGNING_KEY_CREATE = 60,
	COMMAND_IDENTITY_LINK = 61,    /* somebody's identity at an outside provider */
	/* 64: derived facts, likes, downloads, search */
	COMMAND_REPO_LIKE = 64,
	COMMAND_REPO_UNLIKE = 65,
	COMMAND_LIKES_DROP = 66,   /* some of a deleted repository's */
	COMMAND_DOWNLOADS_ADD = 67,
	/* 80: discussions, collections, gates, notifications */
	COMMAND_DISCUSSION_OPEN = 80,    /* a discussion, or a pull request and its ref */
	COMMAND_DISCUSSION_COMMENT = 81,
	COMMAND_DISCUSSION_EDIT = 82,    /* or hide a comment */
	COMMAND_DISCUSSION_UPDATE = 83,  /* status, title or pin */
	COMMAND_DISCUSSION_DELETE = 84,
	COMMAND_PULL_REQUEST_MERGE = 85, /* moves the branch and ends the pull request */
	COMMAND_NOTIFY = 86,             /* users of one event */
	COMMAND_NOTIFICATIONS_CHANGE = 87, /* read, unread, deleted */
	COMMAND_NOTIFICATION_WISH = 89,  /* what a user watches, which discussions they follow, which messages they want */
	COMMAND_COLLECTION_PUT = 90,
	COMMAND_COLLECTION_DELETE = 91,
	COMMAND_COLLECTION_ADD = 92,
	COMMAND_COLLECTION_ITEM_CHANGE = 93,
	COMMAND_COLLECTION_ITEM_REMOVE = 94,
	COMMAND_FOLLOW = 95, /* or follow no longer */
	COMMAND_NOTIFICATIONS_FORGET = 96, /* what was said of a repository that is gone */
	COMMAND_BUCKET_CHANGE = 98,
	COMMAND_ACCESS = 88, /* to a gated repository: asked for, decided, cancelled */
	/* 104: webhooks */
	COMMAND_WEBHOOK_PUT = 104,
	COMMAND_WEBHOOK_DELETE = 105,
	COMMAND_WEBHOOK_LOG = 106,      /* a delivery was made or given up */
	COMMAND_CHANGES_POSITION = 111, /* how far a follower of the changes has come */
	/* 120: nodes of the cluster */
	COMMAND_NODE_ANNOUNCE = 120,   /* a node tells its address */
	COMMAND_NODE_JOIN = 121,       /* with a join token, which is used up */
	COMMAND_NODE_ROLES = 122,
	COMMAND_JOIN_TOKEN_CREATE = 123,
	COMMAND_NODE_PLACE = 124,      /* drained or not, away or not */
	COMMAND_CLUSTER_SET = 125,
	COMMAND_REPO_COPIES = 126,   /* how many a repository wants */
	COMMAND_NODES_FORSAKE = 127, /* written by recovery, never proposed: one node goes on without the others */
	COMMAND_CLUSTER_ERASURE = 128, /* whether and how cold xorbs are coded */
	COMMAND_NODE_URL = 129,      /* at which clients reach one node */
};

enum {
	COMMAND_BYTES_MAX = 1 << 20, /* one command; larger listings are objects in the store */
	COMMAND_ID_BYTES = 16,       /* UUIDv7: a retry with the same id is applied once */
	COMMAND_ACTOR_BYTES_MAX = 96,
	COMMANDS_PER_ENTRY_MAX = 4096,
	COMMAND_ENTRY_FORMAT = 1,
};

struct command_id {
	uint8_t bytes[COMMAND_ID_BYTES];
};

struct command {
	uint16_t type;
	uint8_t version;
	struct command_id id;
	struct span actor; /* user name, "" for the system */
	struct span body;  /* one msgpack value */
};
/* Appends; buffer errors, or ERR_INVALID for an actor that is too long. */
int command_encode(struct buffer *out, const struct command *command);
/* 0 or ERR_CORRUPT. Spans borrow `bytes`. */
int command_decode(struct command *out, struct span bytes);
/* True for commands that only release space: they pass when the disk is short. */
bool command_releases(uint16_t type);

/* Milliseconds since the epoch of a UUIDv7. */
int64_t command_id_ms(const struct command_id *id);

struct command_entry {
	int64_t leader_ms;
	uint32_t count;         /* commands left */
	struct cursor commands;
};
void command_entry_begin(struct buffer *out, int64_t leader_ms, uint32_t count); /* then the commands' bytes */
/* 0, ERR_CORRUPT, ERR_UNSUPPORTED (format). */
int command_entry_open(struct command_entry *out, struct span payload);
/* 1 and the bytes of the next command, 0 at the end, ERR_CORRUPT. */
int command_entry_next(struct command_entry *entry, struct span *command);

#endif
