/* discussion_change.c - commands that change a discussion, as the state machine applies them. Declared in discussion.h. */
#include "replication/discussion.h"

#include <stdlib.h>

#include "replication/discussion_state.h"

/* Proposes, and reads the one number that the result holds. */
static int propose(struct namespace *ns, enum command_type type, const char *actor, struct buffer *body, uint64_t *number, struct why *why)
{
	struct buffer result;
	buffer_init(&result, 4096);
	int err = namespace_propose_result(ns, GROUP_REPOS, type, actor, body, NULL, &result, why);
	if (err == 0 && number) {
		struct cursor cursor = cursor_of(buffer_span(&result));
		*number = cursor_u64(&cursor);
		if (cursor.failed)
			err = why_set(why, ERR_CORRUPT, "the result of a change does not parse");
	}
	buffer_fini(&result);
	return err;
}

static void put_pack(struct buffer *body, const struct pack *pack)
{
	pack_array(body, pack ? 1 : 0);
	if (pack)
		record_encode(body, &pack_schema, pack);
}

static int check_text(struct span text, struct why *why)
{
	return text.length > COMMENT_BYTES_MAX ? why_set(why, ERR_TOO_BIG, "The text is longer than %d bytes", COMMENT_BYTES_MAX) : 0;
}

static int check_title(const char *title, struct why *why)
{
	return strlen(title) > DISCUSSION_TITLE_BYTES_MAX ? why_set(why, ERR_INVALID, "The title is longer than %d bytes", DISCUSSION_TITLE_BYTES_MAX) : 0;
}

int discussion_open(struct namespace *ns, const char *actor, const struct entity_id *repo, const struct discussion_opening *opening, uint64_t *number,
	struct why *why)
{
	struct opening_body body = { .repo = *repo, .is_pull_request = opening->is_pull_request, .status = opening->status, .base_oid = opening->base_oid,
		.head = opening->head };
	int err = check_title(opening->title, why);
	if (err == 0)
		err = check_text(opening->text, why);
	if (err == 0 && opening->is_pull_request && !ref_name_valid(span_text(opening->base)))
		err = why_set(why, ERR_INVALID, "\"%s\" is not a ref name", opening->base);
	if (err)
		return err;
	strcpy(body.title, opening->title);
	if (opening->is_pull_request)
		strcpy(body.base, opening->base);
	entity_id_make(&body.id);
	entity_id_make(&body.comment_id);
	entity_id_make(&body.commit_id);
	struct buffer bytes;
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	pack_array(&bytes, 3);
	record_encode(&bytes, &opening_body_schema, &body);
	pack_text(&bytes, opening->text);
	put_pack(&bytes, opening->pack);
	return propose(ns, COMMAND_DISCUSSION_OPEN, actor, &bytes, number, why);
}

static int propose_comment(struct namespace *ns, enum command_type type, const char *actor, const struct comment_body *body, struct span text,
	uint64_t *event, struct why *why)
{
	int err = check_text(text, why);
	if (err)
		return err;
	struct buffer bytes;
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	pack_array(&bytes, 2);
	record_encode(&bytes, &comment_body_schema, body);
	pack_text(&bytes, text);
	return propose(ns, type, actor, &bytes, event, why);
}

int discussion_comment(struct namespace *ns, const char *actor, const struct entity_id *repo, uint64_t number, struct span text, uint64_t *event,
	struct why *why)
{
	struct comment_body body = { .repo = *repo, .number = number };
	entity_id_make(&body.id);
	return propose_comment(ns, COMMAND_DISCUSSION_COMMENT, actor, &body, text, event, why);
}

int discussion_edit(struct namespace *ns, const char *actor, const struct entity_id *repo, uint64_t number, uint64_t event, bool hide, struct span text,
	struct why *why)
{
	struct comment_body body = { .repo = *repo, .number = number, .event = event, .hide = hide };
	return propose_comment(ns, COMMAND_DISCUSSION_EDIT, actor, &body, text, NULL, why);
}

static int propose_update(struct namespace *ns, const char *actor, struct update_body *body, uint64_t *event, struct why *why)
{
	entity_id_make(&body->id);
	struct buffer bytes;
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	record_encode(&bytes, &update_body_schema, body);
	return propose(ns, COMMAND_DISCUSSION_UPDATE, actor, &bytes, event, why);
}

int discussion_set_status(struct namespace *ns, const char *actor, const struct entity_id *repo, uint64_t number, enum discussion_status status,
	uint64_t *event, struct why *why)
{
	struct update_body body = { .repo = *repo, .number = number, .status = status };
	return propose_update(ns, actor, &body, event, why);
}

int discussion_set_title(struct namespace *ns, const char *actor, const struct entity_id *repo, uint64_t number, const char *title, uint64_t *event,
	struct why *why)
{
	struct update_body body = { .repo = *repo, .number = number, .set_title = true };
	int err = check_title(title, why);
	if (err)
		return err;
	strcpy(body.title, title);
	return propose_update(ns, actor, &body, event, why);
}

int discussion_set_pinned(struct namespace *ns, const char *actor, const struct entity_id *repo, uint64_t number, bool pinned, uint64_t *event,
	struct why *why)
{
	struct update_body body = { .repo = *repo, .number = number, .set_pinned = true, .pinned = pinned };
	return propose_update(ns, actor, &body, event, why);
}

int discussion_delete(struct namespace *ns, const char *actor, const struct entity_id *repo, uint64_t number, struct why *why)
{
	struct deletion_body body = { .repo = *repo, .number = number };
	struct buffer bytes;
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	record_encode(&bytes, &deletion_body_schema, &body);
	return propose(ns, COMMAND_DISCUSSION_DELETE, actor, &bytes, NULL, why);
}

int pull_request_merge(struct namespace *ns, const char *actor, const struct entity_id *repo, uint64_t number, const struct pull_request_merge *merge,
	struct why *why)
{
	struct merge_body body = { .repo = *repo, .number = number, .head = merge->head, .base_old = merge->base_old, .base_new = merge->base_new,
		.privileged = merge->privileged };
	entity_id_make(&body.id);
	struct buffer bytes;
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	pack_array(&bytes, 2);
	record_encode(&bytes, &merge_body_schema, &body);
	put_pack(&bytes, merge->pack);
	return propose(ns, COMMAND_PULL_REQUEST_MERGE, actor, &bytes, NULL, why);
}
