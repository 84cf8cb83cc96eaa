/* discussion.h - discussions and pull requests of a repository, and what happened in them.
 *
 * DESIGN. Numbers are given at apply, from 1, shared by both. Everything said or done is an event of its discussion, numbered from 1; the first is the
 * description. A pull request is a discussion with a ref, "refs/pr/N", and a branch it wants to go into: the command that opens it makes the ref, the
 * one that merges it moves the branch, so that neither exists without the other. Commits onto "refs/pr/N" leave an event whatever view they came
 * by, since the command that moves refs writes it. All of it lies with the repository's content (group 1) and goes with it.
 *
 * Texts are bounded; what was edited keeps its earlier versions until it is hidden. */
#ifndef CAIRN_REPLICATION_DISCUSSION_H
#define CAIRN_REPLICATION_DISCUSSION_H

#include "replication/namespace.h"

enum {
	DISCUSSION_TITLE_BYTES_MAX = 800,       /* 200 characters */
	COMMENT_BYTES_MAX = 65536,
	DISCUSSIONS_PER_REPO_MAX = 1000 * 1000, /* numbers ever given */
	EVENTS_PER_DISCUSSION_MAX = 10000,
	EDITS_PER_COMMENT_MAX = 100,
};

enum discussion_status { DISCUSSION_OPEN = 1, DISCUSSION_CLOSED = 2, DISCUSSION_MERGED = 3, DISCUSSION_DRAFT = 4 };

struct discussion {
	struct entity_id id;
	uint64_t number;
	char title[DISCUSSION_TITLE_BYTES_MAX + 1];
	char author[NAME_BYTES_MAX + 1];
	int64_t created_ms, updated_ms;
	enum discussion_status status;
	bool is_pull_request, pinned;
	char base[REF_BYTES_MAX + 1];           /* pull requests: the branch, full name */
	struct oid merge_base, merged_head, merge_commit; /* merged: what the branch was, "refs/pr/N" was, the branch became */
	uint64_t events_count, comments_count;
};

enum event_kind { EVENT_COMMENT = 1, EVENT_STATUS = 2, EVENT_TITLE = 3, EVENT_COMMIT = 4, EVENT_PIN = 5 };

struct discussion_event {
	struct entity_id id;
	uint64_t number;
	enum event_kind kind;
	char author[NAME_BYTES_MAX + 1];
	int64_t created_ms;
	int64_t updated_ms;                     /* comments: last edit */
	char edited_by[NAME_BYTES_MAX + 1];
	uint64_t edits_count;
	bool hidden, pinned;
	enum discussion_status status;          /* EVENT_STATUS */
	struct oid old_oid, new_oid;            /* EVENT_COMMIT; EVENT_STATUS: new_oid is the merge commit */
	char from[DISCUSSION_TITLE_BYTES_MAX + 1], to[DISCUSSION_TITLE_BYTES_MAX + 1]; /* EVENT_TITLE */
};

struct discussion_opening {
	const char *title;
	struct span text;
	bool is_pull_request;
	enum discussion_status status;          /* open or draft */
	const char *base;                       /* pull requests: full name of a branch */
	struct oid base_oid, head;              /* where the branch is, where "refs/pr/N" begins */
	const struct pack *pack;                /* what `head` needs, durable; may be NULL */
};
/* [blocks] *number gets the new one. */
int discussion_open(struct namespace *ns, const char *actor, const struct entity_id *repo, const struct discussion_opening *opening, uint64_t *number,
	struct why *why);
/* [blocks] *event (may be NULL) gets the number of the event that each of these leaves. ERR_NOT_FOUND: no such discussion; ERR_TOO_BIG: too many events. */
int discussion_comment(struct namespace *ns, const char *actor, const struct entity_id *repo, uint64_t number, struct span text, uint64_t *event,
	struct why *why);
/* ERR_CONFLICT: that is its status, or it was merged. */
int discussion_set_status(struct namespace *ns, const char *actor, const struct entity_id *repo, uint64_t number, enum discussion_status status,
	uint64_t *event, struct why *why);
int discussion_set_title(struct namespace *ns, const char *actor, const struct entity_id *repo, uint64_t number, const char *title, uint64_t *event,
	struct why *why);
int discussion_set_pinned(struct namespace *ns, const char *actor, const struct entity_id *repo, uint64_t number, bool pinned, uint64_t *event,
	struct why *why);
/* [blocks] Replaces a comment's text, or hides it for good, earlier versions too. ERR_CONFLICT: it is hidden. */
int discussion_edit(struct namespace *ns, const char *actor, const struct entity_id *repo, uint64_t number, uint64_t event, bool hide, struct span text,
	struct why *why);
int discussion_delete(struct namespace *ns, const char *actor, const struct entity_id *repo, uint64_t number, struct why *why);

struct pull_request_merge {
	struct oid head;                        /* "refs/pr/N" must be here ... */
	struct oid base_old;                    /* ... and the branch here */
	struct oid base_new;                    /* where the branch goes */
	bool privileged;                        /* the actor is an administrator of the repository: branch_rule.h */
	const struct pack *pack;                /* may be NULL */
};
/* [blocks] Moves the branch and ends the pull request: both or neither. ERR_CONFLICT: one of the refs moved, or it is closed or merged already. */
int pull_request_merge(struct namespace *ns, const char *actor, const struct entity_id *repo, uint64_t number, const struct pull_request_merge *merge,
	struct why *why);

/* ---- reading ---- */
int discussion_get(struct namespace *ns, const struct entity_id *repo, uint64_t number, struct discussion *out);
/* Newest first, from below number `before` (0: the newest). Non-zero from `each` stops and is returned. */
int discussion_list(struct namespace *ns, const struct entity_id *repo, uint64_t before, int (*each)(void *context, const struct discussion *discussion),
	void *context);
/* Events in order, behind number `after`; `text` (comments) lives as long as the call. */
int discussion_events(struct namespace *ns, const struct entity_id *repo, uint64_t number, uint64_t after,
	int (*each)(void *context, const struct discussion_event *event, struct span text), void *context);
/* Earlier versions of a comment, oldest first. */
int discussion_history(struct namespace *ns, const struct entity_id *repo, uint64_t number, uint64_t event,
	int (*each)(void *context, const char *author, int64_t when_ms, struct span text), void *context);
/* The number in "refs/pr/N", or 0. */
uint64_t pull_request_of_ref(const char *ref);
void pull_request_ref(char out[REF_BYTES_MAX + 1], uint64_t number);

#endif
