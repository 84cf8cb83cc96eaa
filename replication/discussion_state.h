/* discussion_state.h - how discussions are kept and what their commands carry. Private to replication/.
 *
 *   discussion.c          applying
 *   discussion_change.c   proposing
 *   discussion_read.c     reading
 *
 * An event is stored as [record, text], an earlier version of a comment as [author, milliseconds, text]. */
#ifndef CAIRN_REPLICATION_DISCUSSION_STATE_H
#define CAIRN_REPLICATION_DISCUSSION_STATE_H

#include "replication/community_keys.h"
#include "replication/discussion.h"
#include "replication/namespace_state.h"

extern const struct schema discussion_schema, discussion_event_schema;

/* Of DISCUSSION_OPEN: [record, text, [] or [pack]]. */
struct opening_body {
	struct entity_id repo, id, comment_id, commit_id;
	char title[DISCUSSION_TITLE_BYTES_MAX + 1];
	bool is_pull_request;
	enum discussion_status status;
	char base[REF_BYTES_MAX + 1];
	struct oid base_oid, head;
};
extern const struct schema opening_body_schema;

/* Of DISCUSSION_COMMENT and DISCUSSION_EDIT: [record, text]. */
struct comment_body {
	struct entity_id repo, id;  /* id: of a new comment */
	uint64_t number, event;     /* event: the comment that is edited */
	bool hide;
};
extern const struct schema comment_body_schema;

/* Of DISCUSSION_UPDATE: a record; one of the three is set. */
struct update_body {
	struct entity_id repo, id;
	uint64_t number;
	bool set_title, set_pinned, pinned;
	enum discussion_status status; /* 0: stays */
	char title[DISCUSSION_TITLE_BYTES_MAX + 1];
};
extern const struct schema update_body_schema;

/* Of DISCUSSION_DELETE: a record. */
struct deletion_body {
	struct entity_id repo;
	uint64_t number;
};
extern const struct schema deletion_body_schema;

/* Of PULL_REQUEST_MERGE: [record, [] or [pack]]. */
struct merge_body {
	struct entity_id repo, id;
	uint64_t number;
	struct oid head, base_old, base_new;
	bool privileged;
};
extern const struct schema merge_body_schema;

int discussion_event_decode(struct span bytes, struct discussion_event *out, struct span *text); /* 0 or ERR_CORRUPT, ERR_UNSUPPORTED */

#endif
