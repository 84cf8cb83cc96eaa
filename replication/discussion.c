#include "replication/discussion.h"

#include <stdlib.h>

#include "replication/discussion_state.h"

static const struct field discussion_fields[] = {
	FIELD(struct discussion, id, FIELD_BYTES, true),
	FIELD(struct discussion, number, FIELD_U64, true),
	FIELD(struct discussion, title, FIELD_TEXT, true),
	FIELD(struct discussion, author, FIELD_TEXT, true),
	FIELD(struct discussion, created_ms, FIELD_I64, true),
	FIELD(struct discussion, updated_ms, FIELD_I64, true),
	FIELD(struct discussion, status, FIELD_ENUM, true),
	FIELD(struct discussion, is_pull_request, FIELD_BOOL, false),
	FIELD(struct discussion, pinned, FIELD_BOOL, false),
	FIELD(struct discussion, base, FIELD_TEXT, false),
	FIELD(struct discussion, merge_base, FIELD_BYTES, false),
	FIELD(struct discussion, merged_head, FIELD_BYTES, false),
	FIELD(struct discussion, merge_commit, FIELD_BYTES, false),
	FIELD(struct discussion, events_count, FIELD_U64, true),
	FIELD(struct discussion, comments_count, FIELD_U64, true),
};
const struct schema discussion_schema = SCHEMA(1, discussion_fields);

static const struct field event_fields[] = {
	FIELD(struct discussion_event, id, FIELD_BYTES, true),
	FIELD(struct discussion_event, number, FIELD_U64, true),
	FIELD(struct discussion_event, kind, FIELD_ENUM, true),
	FIELD(struct discussion_event, author, FIELD_TEXT, true),
	FIELD(struct discussion_event, created_ms, FIELD_I64, true),
	FIELD(struct discussion_event, updated_ms, FIELD_I64, false),
	FIELD(struct discussion_event, edited_by, FIELD_TEXT, false),
	FIELD(struct discussion_event, edits_count, FIELD_U64, false),
	FIELD(struct discussion_event, hidden, FIELD_BOOL, false),
	FIELD(struct discussion_event, pinned, FIELD_BOOL, false),
	FIELD(struct discussion_event, status, FIELD_ENUM, false),
	FIELD(struct discussion_event, old_oid, FIELD_BYTES, false),
	FIELD(struct discussion_event, new_oid, FIELD_BYTES, false),
	FIELD(struct discussion_event, from, FIELD_TEXT, false),
	FIELD(struct discussion_event, to, FIELD_TEXT, false),
};
const struct schema discussion_event_schema = SCHEMA(1, event_fields);

static const struct field opening_fields[] = {
	FIELD(struct opening_body, repo, FIELD_BYTES, true),
	FIELD(struct opening_body, id, FIELD_BYTES, true),
	FIELD(struct opening_body, comment_id, FIELD_BYTES, true),
	FIELD(struct opening_body, commit_id, FIELD_BYTES, true),
	FIELD(struct opening_body, title, FIELD_TEXT, true),
	FIELD(struct opening_body, is_pull_request, FIELD_BOOL, true),
	FIELD(struct opening_body, status, FIELD_ENUM, true),
	FIELD(struct opening_body, base, FIELD_TEXT, false),
	FIELD(struct opening_body, base_oid, FIELD_BYTES, false),
	FIELD(struct opening_body, head, FIELD_BYTES, false),
};
const struct schema opening_body_schema = SCHEMA(1, opening_fields);

static const struct field comment_fields[] = {
	FIELD(struct comment_body, repo, FIELD_BYTES, true),
	FIELD(struct comment_body, id, FIELD_BYTES, false),
	FIELD(struct comment_body, number, FIELD_U64, true),
	FIELD(struct comment_body, event, FIELD_U64, false),
	FIELD(struct comment_body, hide, FIELD_BOOL, false),
};
const struct schema comment_body_schema = SCHEMA(1, comment_fields);

static const struct field update_fields[] = {
	FIELD(struct update_body, repo, FIELD_BYTES, true),
	FIELD(struct update_body, id, FIELD_BYTES, true),
	FIELD(struct update_body, number, FIELD_U64, true),
	FIELD(struct update_body, set_title, FIELD_BOOL, false),
	FIELD(struct update_body, set_pinned, FIELD_BOOL, false),
	FIELD(struct update_body, pinned, FIELD_BOOL, false),
	FIELD(struct update_body, status, FIELD_ENUM, false),
	FIELD(struct update_body, title, FIELD_TEXT, false),
};
const struct schema update_body_schema = SCHEMA(1, update_fields);

static const struct field deletion_fields[] = {
	FIELD(struct deletion_body, repo, FIELD_BYTES, true),
	FIELD(struct deletion_body, number, FIELD_U64, true),
};
const struct schema deletion_body_schema = SCHEMA(1, deletion_fields);

static const struct field merge_fields[] = {
	FIELD(struct merge_body, repo, FIELD_BYTES, true),
	FIELD(struct merge_body, id, FIELD_BYTES, true),
	FIELD(struct merge_body, number, FIELD_U64, true),
	FIELD(struct merge_body, head, FIELD_BYTES, true),
	FIELD(struct merge_body, base_old, FIELD_BYTES, true),
	FIELD(struct merge_body, base_new, FIELD_BYTES, true),
	FIELD(struct merge_body, privileged, FIELD_BOOL, false),
};
const struct schema merge_body_schema = SCHEMA(1, merge_fields);

static bool oid_equal(const struct oid *a, const struct oid *b)
{
	return memcmp(a->bytes, b->bytes, OID_BYTES) == 0;
}

/* ---- what all commands share ---- */

static void copy_actor(char out[NAME_BYTES_MAX + 1], const struct command *command)
{
	size_t length = command->actor.length < NAME_BYTES_MAX ? command->actor.length : NAME_BYTES_MAX;
	memset(out, 0, NAME_BYTES_MAX + 1);
	if (length)
		memcpy(out, command->actor.data, length);
}

/* ERR_NOT_FOUND when the repository's content was purged. */
static int check_repo(const struct apply_context *apply, const struct entity_id *repo, struct why *why)
{
	struct repo_state state = { 0 };
	struct key key;
	key_repo_state(&key, repo);
	int err = state_get(apply, &key, &repo_state_schema, &state, sizeof(state), why);
	if (err && err != ERR_NOT_FOUND)
		return err;
	return state.deleted ? why_set(why, ERR_NOT_FOUND, "the repository was deleted") : 0;
}

static int load(const struct apply_context *apply, const struct entity_id *repo, uint64_t number, struct discussion *out, struct why *why)
{
	struct key key;
	key_discussion(&key, repo, number);
	int err = state_get(apply, &key, &discussion_schema, out, sizeof(*out), why);
	return err == ERR_NOT_FOUND ? why_set(why, err, "there is no discussion %llu", (unsigned long long)number) : err;
}

static int load_open(const struct apply_context *apply, const struct entity_id *repo, uint64_t number, struct discussion *out, struct why *why)
{
	int err = load(apply, repo, number, out, why);
	if (err == 0 && out->events_count >= EVENTS_PER_DISCUSSION_MAX)
		err = why_set(why, ERR_TOO_BIG, "the discussion has %d events", EVENTS_PER_DISCUSSION_MAX);
	return err;
}

static void put_event(const struct apply_context *apply, const struct entity_id *repo, uint64_t number, const struct discussion_event *event, struct span text)
{
	struct buffer value;
	struct key key;
	buffer_init(&value, COMMAND_BYTES_MAX);
	pack_array(&value, 2);
	record_encode(&value, &discussion_event_schema, event);
	pack_text(&value, text);
	key_event(&key, repo, number, event->number);
	state_put_bytes(apply, &key, value.data, value.length);
	buffer_fini(&value);
}

/* Adds the event to the discussion, which the caller stores. */
static void add_event(const struct apply_context *apply, const struct command *command, const struct entity_id *repo, struct discussion *discussion,
	struct discussion_event *event, struct span text)
{
	event->number = ++discussion->events_count;
	event->created_ms = event->updated_ms = apply->leader_ms;
	copy_actor(event->author, command);
	discussion->comments_count += event->kind == EVENT_COMMENT;
	discussion->updated_ms = apply->leader_ms;
	put_event(apply, repo, discussion->number, event, text);
}

/* Stores the discussion and tells the followers. */
static int finish(const struct apply_context *apply, const struct command *command, const struct entity_id *repo, const struct discussion *discussion,
	uint64_t event, unsigned action, struct why *why)
{
	struct key key;
	key_discussion(&key, repo, discussion->number);
	state_put(apply, &key, &discussion_schema, discussion);
	struct change change = { .repo = *repo, .item = discussion->number, .event = event, .action = action };
	return change_append(apply, command, &change, why);
}

/* The optional pack at the end of a body. */
static int take_pack(struct cursor *cursor, bool *has_pack, struct pack *pack)
{
	*has_pack = cursor_array(cursor, 1) == 1;
	return *has_pack ? record_decode_at(cursor, pack, sizeof(*pack), &pack_schema) : 0;
}

static int malformed(const struct command *command, struct why *why)
{
	return why_set(why, ERR_INVALID, "the body of a command of type %u does not parse", command->type);
}

/* ---- opening ---- */

static int next_number(const struct apply_context *apply, const struct entity_id *repo, bool is_pull_request, uint64_t *out, struct why *why)
{
	uint8_t bytes[8] = { 0 };
	struct key key;
	key_discussion_last(&key, repo);
	int err = state_get_bytes(apply, &key, bytes, sizeof(bytes), why);
	if (err && err != ERR_NOT_FOUND)
		return err;
	*out = get_big_endian(bytes, sizeof(bytes)) + 1;
	/* A number whose ref somebody made by other means is passed over. */
	for (err = 0; is_pull_request && err == 0 && *out <= DISCUSSIONS_PER_REPO_MAX;) {
		char ref[REF_BYTES_MAX + 1];
		pull_request_ref(ref, *out);
		key_ref(&key, repo, span_text(ref));
		err = state_get(apply, &key, NULL, NULL, 0, why);
		*out += err == 0;
	}
	if (err && err != ERR_NOT_FOUND)
		return err;
	return *out > DISCUSSIONS_PER_REPO_MAX ? why_set(why, ERR_TOO_BIG, "the repository has had %d discussions", DISCUSSIONS_PER_REPO_MAX) : 0;
}

static int open_ref(const struct apply_context *apply, const struct command *command, const struct opening_body *body, uint64_t number,
	const struct pack *pack, struct why *why)
{
	struct ref_update update = { .new_oid = body->head };
	pull_request_ref(update.name, number);
	struct buffer unused;
	buffer_init(&unused, 64);
	int err = refs_apply(apply, command, &body->repo, &update, 1, pack, &unused, why);
	buffer_fini(&unused);
	return err;
}

static int write_opening(const struct apply_context *apply, const struct command *command, const struct opening_body *body, struct span text, uint64_t number,
	struct why *why)
{
	struct discussion discussion = { .id = body->id, .number = number, .status = body->status, .is_pull_request = body->is_pull_request };
	discussion.created_ms = apply->leader_ms;
	memcpy(discussion.title, body->title, sizeof(discussion.title));
	memcpy(discussion.base, body->base, sizeof(discussion.base));
	copy_actor(discussion.author, command);
	struct discussion_event event = { .id = body->comment_id, .kind = EVENT_COMMENT };
	add_event(apply, command, &body->repo, &discussion, &event, text);
	if (body->is_pull_request && !oid_equal(&body->head, &body->base_oid)) {
		event = (struct discussion_event){ .id = body->commit_id, .kind = EVENT_COMMIT, .old_oid = body->base_oid, .new_oid = body->head };
		add_event(apply, command, &body->repo, &discussion, &event, (struct span){ 0 });
	}
	uint8_t bytes[8];
	struct key key;
	put_big_endian(bytes, number, sizeof(bytes));
	key_discussion_last(&key, &body->repo);
	state_put_bytes(apply, &key, bytes, sizeof(bytes));
	return finish(apply, command, &body->repo, &discussion, 1, 0, why);
}

int discussion_open_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	struct opening_body body;
	struct pack pack;
	bool has_pack = false;
	uint64_t number;
	struct cursor cursor = cursor_of(command->body);
	cursor_array(&cursor, 3);
	int err = record_decode_at(&cursor, &body, sizeof(body), &opening_body_schema);
	struct span text = cursor_text(&cursor, COMMENT_BYTES_MAX);
	if (err == 0)
		err = take_pack(&cursor, &has_pack, &pack);
	if (err || !cursor_done(&cursor))
		return err == ERR_UNSUPPORTED ? err : malformed(command, why);
	if (body.status != DISCUSSION_OPEN && body.status != DISCUSSION_DRAFT)
		return why_set(why, ERR_INVALID, "a discussion begins open or as a draft");
	err = check_repo(apply, &body.repo, why);
	if (err == 0)
		err = next_number(apply, &body.repo, body.is_pull_request, &number, why);
	if (err == 0 && body.is_pull_request)
		err = open_ref(apply, command, &body, number, has_pack ? &pack : NULL, why);
	if (err == 0)
		err = write_opening(apply, command, &body, text, number, why);
	if (err == 0)
		pack_u64(result, number);
	return err;
}

/* ---- comments ---- */

static int take_comment(const struct command *command, struct comment_body *body, struct span *text, struct why *why)
{
	struct cursor cursor = cursor_of(command->body);
	cursor_array(&cursor, 2);
	int err = record_decode_at(&cursor, body, sizeof(*body), &comment_body_schema);
	*text = cursor_text(&cursor, COMMENT_BYTES_MAX);
	return err == ERR_UNSUPPORTED ? err : err || !cursor_done(&cursor) ? malformed(command, why) : 0;
}

int discussion_comment_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	struct comment_body body;
	struct discussion discussion;
	struct span text;
	int err = take_comment(command, &body, &text, why);
	if (err == 0)
		err = load_open(apply, &body.repo, body.number, &discussion, why);
	if (err)
		return err;
	struct discussion_event event = { .id = body.id, .kind = EVENT_COMMENT };
	add_event(apply, command, &body.repo, &discussion, &event, text);
	pack_u64(result, event.number);
	return finish(apply, command, &body.repo, &discussion, event.number, 0, why);
}

/* The event and its text; `bytes` holds both. */
static int load_event(const struct apply_context *apply, const struct comment_body *body, struct buffer *bytes, struct discussion_event *event,
	struct span *text, struct why *why)
{
	struct key key;
	key_event(&key, &body->repo, body->number, body->event);
	int err = state_read(apply, &key, bytes, why);
	if (err)
		return err == ERR_NOT_FOUND ? why_set(why, err, "there is no such comment") : err;
	err = discussion_event_decode(buffer_span(bytes), event, text);
	return err ? why_set(why, err, "an event does not parse") : 0;
}

/* The version that an edit replaces. */
static void keep_version(const struct apply_context *apply, const struct comment_body *body, const struct discussion_event *event, struct span text)
{
	struct buffer value;
	struct key key;
	buffer_init(&value, COMMAND_BYTES_MAX);
	pack_array(&value, 3);
	pack_text(&value, span_text(event->edited_by[0] ? event->edited_by : event->author));
	pack_i64(&value, event->updated_ms);
	pack_text(&value, text);
	key_event_version(&key, &body->repo, body->number, body->event, event->edits_count);
	state_put_bytes(apply, &key, value.data, value.length);
	buffer_fini(&value);
}

static int edit(const struct apply_context *apply, const struct command *command, const struct comment_body *body, struct discussion_event *event,
	struct span old_text, struct span text, struct why *why)
{
	struct key key;
	if (event->kind != EVENT_COMMENT)
		return why_set(why, ERR_NOT_FOUND, "there is no such comment");
	if (event->hidden)
		return why_set(why, ERR_CONFLICT, "the comment is hidden");
	if (!body->hide && event->edits_count >= EDITS_PER_COMMENT_MAX)
		return why_set(why, ERR_TOO_BIG, "the comment was edited %d times", EDITS_PER_COMMENT_MAX);
	if (body->hide) {
		key_event_version_prefix(&key, &body->repo, body->number, body->event);
		int err = state_delete_prefix(apply, &key, why);
		if (err)
			return err;
		event->hidden = true;
		event->edits_count = 0;
		text = (struct span){ 0 };
	} else {
		keep_version(apply, body, event, old_text);
		event->edits_count++;
	}
	event->updated_ms = apply->leader_ms;
	copy_actor(event->edited_by, command);
	put_event(apply, &body->repo, body->number, event, text);
	return 0;
}

int discussion_edit_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct comment_body body;
	struct discussion discussion;
	struct discussion_event event;
	struct span text, old_text;
	struct buffer bytes;
	int err = take_comment(command, &body, &text, why);
	if (err == 0)
		err = load(apply, &body.repo, body.number, &discussion, why);
	if (err)
		return err;
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	err = load_event(apply, &body, &bytes, &event, &old_text, why);
	if (err == 0)
		err = edit(apply, command, &body, &event, old_text, text, why);
	buffer_fini(&bytes);
	return err ? err : finish(apply, command, &body.repo, &discussion, body.event, body.hide, why);
}

/* ---- status, title, pin ---- */

static int check_status(const struct discussion *discussion, const struct update_body *body, struct why *why)
{
	bool to_draft = body->status == DISCUSSION_DRAFT && discussion->is_pull_request;
	if (body->status != DISCUSSION_OPEN && body->status != DISCUSSION_CLOSED && !to_draft)
		return why_set(why, ERR_INVALID, "%u is no status to set", (unsigned)body->status);
	if (discussion->status == DISCUSSION_MERGED)
		return why_set(why, ERR_CONFLICT, "the pull request is merged");
	if (discussion->status == body->status)
		return why_set(why, ERR_CONFLICT, "the discussion has this status already");
	return 0;
}

int discussion_update_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	struct update_body body;
	struct discussion discussion;
	int err = body_decode(&body, sizeof(body), &update_body_schema, command, why);
	if (err == 0)
		err = load_open(apply, &body.repo, body.number, &discussion, why);
	if (err == 0 && body.status)
		err = check_status(&discussion, &body, why);
	if (err)
		return err;
	struct discussion_event event = { .id = body.id };
	if (body.status) {
		event.kind = EVENT_STATUS;
		event.status = discussion.status = body.status;
	} else if (body.set_title) {
		event.kind = EVENT_TITLE;
		memcpy(event.from, discussion.title, sizeof(event.from));
		memcpy(event.to, body.title, sizeof(event.to));
		memcpy(discussion.title, body.title, sizeof(discussion.title));
	} else {
		event.kind = EVENT_PIN;
		event.pinned = discussion.pinned = body.pinned;
	}
	add_event(apply, command, &body.repo, &discussion, &event, (struct span){ 0 });
	pack_u64(result, event.number);
	return finish(apply, command, &body.repo, &discussion, event.number, event.kind, why);
}

int discussion_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	struct deletion_body body;
	struct discussion discussion;
	struct key key;
	int err = body_decode(&body, sizeof(body), &deletion_body_schema, command, why);
	if (err == 0)
		err = load(apply, &body.repo, body.number, &discussion, why);
	if (err)
		return err;
	struct ref_update update = { .any_old = true };
	pull_request_ref(update.name, body.number);
	key_ref(&key, &body.repo, span_text(update.name));
	err = discussion.is_pull_request ? state_get(apply, &key, NULL, NULL, 0, why) : ERR_NOT_FOUND;
	if (err && err != ERR_NOT_FOUND)
		return err;
	bool has_ref = err == 0;
	key_discussion(&key, &body.repo, body.number);
	state_delete(apply, &key); /* first: the ref's end is then no event of it */
	key_event_prefix(&key, &body.repo, body.number);
	err = state_delete_prefix(apply, &key, why);
	key_event_version_prefix(&key, &body.repo, body.number, 0);
	if (err == 0)
		err = state_delete_prefix(apply, &key, why);
	if (err == 0 && has_ref)
		err = refs_apply(apply, command, &body.repo, &update, 1, NULL, result, why);
	struct change change = { .repo = body.repo, .item = body.number };
	memcpy(change.name, discussion.title, NAME_BYTES_MAX);
	return err ? err : change_append(apply, command, &change, why);
}

/* ---- pull requests ---- */

static int merge(const struct apply_context *apply, const struct command *command, const struct merge_body *body, const struct pack *pack,
	struct buffer *result, struct why *why)
{
	struct discussion discussion;
	int err = load_open(apply, &body->repo, body->number, &discussion, why);
	if (err)
		return err;
	if (!discussion.is_pull_request)
		return why_set(why, ERR_INVALID, "discussion %llu is no pull request", (unsigned long long)body->number);
	if (discussion.status != DISCUSSION_OPEN && discussion.status != DISCUSSION_DRAFT)
		return why_set(why, ERR_CONFLICT, "the pull request is closed or merged");
	struct ref_update updates[2] = { { .old_oid = body->base_old, .new_oid = body->base_new, .fast_forward = true, .privileged = body->privileged },
		{ .old_oid = body->head, .new_oid = body->head } };
	memcpy(updates[0].name, discussion.base, sizeof(updates[0].name));
	pull_request_ref(updates[1].name, body->number);
	err = refs_check(apply, &body->repo, &updates[1], why);
	if (err == 0)
		err = refs_apply(apply, command, &body->repo, updates, 1, pack, result, why);
	if (err)
		return err;
	discussion.status = DISCUSSION_MERGED;
	discussion.merge_base = body->base_old;
	discussion.merged_head = body->head;
	discussion.merge_commit = body->base_new;
	struct discussion_event event = { .id = body->id, .kind = EVENT_STATUS, .status = DISCUSSION_MERGED, .new_oid = body->base_new };
	add_event(apply, command, &body->repo, &discussion, &event, (struct span){ 0 });
	return finish(apply, command, &body->repo, &discussion, event.number, EVENT_STATUS, why);
}

int pull_request_merge_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	struct merge_body body;
	struct pack pack;
	bool has_pack = false;
	struct cursor cursor = cursor_of(command->body);
	cursor_array(&cursor, 2);
	int err = record_decode_at(&cursor, &body, sizeof(body), &merge_body_schema);
	if (err == 0)
		err = take_pack(&cursor, &has_pack, &pack);
	if (err || !cursor_done(&cursor))
		return err == ERR_UNSUPPORTED ? err : malformed(command, why);
	return merge(apply, command, &body, has_pack ? &pack : NULL, result, why);
}

int pull_request_moved(const struct apply_context *apply, const struct command *command, const struct entity_id *repo, uint64_t number,
	const struct oid *old_oid, const struct oid *new_oid, struct why *why)
{
	static const struct oid zero;
	struct discussion discussion;
	struct key key;
	key_discussion(&key, repo, number);
	int err = state_get(apply, &key, &discussion_schema, &discussion, sizeof(discussion), why);
	if (err)
		return err == ERR_NOT_FOUND ? 0 : err;
	if (!discussion.is_pull_request || oid_equal(new_oid, &zero) || discussion.events_count >= EVENTS_PER_DISCUSSION_MAX)
		return 0;
	struct discussion_event event = { .kind = EVENT_COMMIT, .old_oid = *old_oid, .new_oid = *new_oid };
	memcpy(event.id.bytes, command->id.bytes + COMMAND_ID_BYTES - ENTITY_ID_BYTES, ENTITY_ID_BYTES); /* the random part */
	add_event(apply, command, repo, &discussion, &event, (struct span){ 0 });
	state_put(apply, &key, &discussion_schema, &discussion);
	return 0; /* the ref's own change tells the followers */
}

int discussions_purge(const struct apply_context *apply, const struct entity_id *repo, struct why *why)
{
	struct key key;
	key_discussion_prefix(&key, repo);
	int err = state_delete_prefix(apply, &key, why);
	key_event_prefix(&key, repo, 0);
	if (err == 0)
		err = state_delete_prefix(apply, &key, why);
	key_event_version_prefix(&key, repo, 0, 0);
	if (err == 0)
		err = state_delete_prefix(apply, &key, why);
	key_discussion_last(&key, repo);
	state_delete(apply, &key);
	return err;
}
