/* commit.c
 *
 * DESIGN. The body streams through commit_parser on a bulk loop. The content of a regular file goes into the draft's upload as
 * soon as its line is complete; what is to be done with paths is only remembered, in order, since looking at trees or verifying an LFS
 * object may wait. When the body has ended, a worker applies the operations to the draft and finishes it. If somebody else moved the branch meanwhile and
 * the client did not insist on a parent, the operations are applied again to the new head: the bytes are stored by then. */
#include "gateway/hub/commit.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/hub/call.h"
#include "gateway/hub/commit_parser.h"
#include "gateway/hub/draft_content.h"
#include "gateway/repo/quota.h"
#include "gateway/store_caller.h"
#include "replication/discussion.h"
#include "schemas/json_writer.h"

#define COMMIT_BODY_BYTES_MAX ((uint64_t)8 << 30)

enum {
	COMMIT_OPERATIONS_MAX = 200000,
	COMMIT_PATHS_BYTES_MAX = 48 << 20,  /* all paths of a commit together */
	COMMITS_MEMORY_BYTES_MAX = 256 << 20, /* changes and paths of all commits on their way */
	COMMIT_TITLE_BYTES_MAX = 4096,
	COMMIT_MESSAGE_BYTES_MAX = 256 << 10,
	COMMIT_TRIES_MAX = 20,
	QUOTA_STEP_BYTES = 1 << 20,         /* of contents between two looks at the quota */
};

/* One remembered change. Paths lie in the commit's text, at offsets since it moves as it grows. */
struct change {
	enum operation_kind kind;
	size_t path_offset, path_length;
	size_t other_offset, other_length;     /* oldPath, or the source of a copy */
	size_t revision_offset, revision_length;
	struct upload_result content;          /* FILE */
	struct sha256 oid;
	uint64_t length;
};

struct commit {
	struct call *call;
	struct store_caller caller;  /* since the body has ended */
	const char *ref;             /* full name */
	const char *revision;        /* as asked for */
	bool create_pr;              /* the commit opens a pull request against `ref` */
	uint64_t number;             /* of that pull request */
	struct commit_parser parser;
	struct commit_draft *draft;
	bool is_naming;
	struct upload_entry naming;  /* since the body has ended, through all drafts: what came with the first is named by a later one */
	uint64_t content_bytes, allowed_bytes; /* of the regular files so far; until the quota is asked again */
	struct quota_reservation reservation;  /* of the former, as they were then */
	bool has_parent;
	struct oid parent;
	char *title, *message;
	struct change *changes;
	size_t changes_count, changes_capacity;
	struct buffer text;
	size_t charged_bytes;        /* of commits_bytes */
	struct why why;
	int status;                  /* of the answer when something failed; 0: by the error */
	const char *code;
	struct oid checked_at;       /* EntryNotFound: the commit that does not have it */
};

static _Atomic size_t commits_bytes; /* what all commits remember together */

static void commit_free(struct commit *commit)
{
	atomic_fetch_sub(&commits_bytes, commit->charged_bytes);
	commit_parser_fini(&commit->parser);
	if (commit->draft)
		commit_draft_close(commit->draft);
	if (commit->is_naming)
		store_naming_end(commit->call->gateway->store, &commit->naming);
	buffer_fini(&commit->text);
	free(commit->changes);
	free(commit->title);
	free(commit->message);
	*commit = (struct commit){ 0 };
}

static int refuse(struct commit *commit, int err, int status, const char *code)
{
	commit->status = status;
	commit->code = code;
	return err;
}

static int refuse_missing(struct commit *commit, const struct oid *at)
{
	commit->checked_at = *at;
	return refuse(commit, ERR_NOT_FOUND, 404, "EntryNotFound");
}

/* ------------------------------------------------------------------ while the body arrives */

/* The longest beginning within `bytes_max` that does not end inside a character. */
static size_t cut_at(struct span text, size_t bytes_max)
{
	if (text.length <= bytes_max)
		return text.length;
	size_t length = bytes_max;
	while (length && (text.data[length] & 0xc0) == 0x80)
		length--;
	return length;
}

/* The commit exists and is durable: the pull request is what names it. */
static int open_pull_request(void *context, const struct oid *base, const struct oid *oid, const struct pack *pack, struct why *why)
{
	struct commit *commit = context;
	struct call *call = commit->call;
	char title[DISCUSSION_TITLE_BYTES_MAX + 1]; /* and the message: the commit's own, as far as they fit */
	snprintf(title, sizeof(title), "%.*s", (int)cut_at(span_text(commit->title), DISCUSSION_TITLE_BYTES_MAX), commit->title);
	struct discussion_opening opening = { .title = title, .text = span_of(commit->message, cut_at(span_text(commit->message), COMMENT_BYTES_MAX)),
		.is_pull_request = true, .status = DISCUSSION_DRAFT, .base = commit->ref, .base_oid = *base, .head = *oid, .pack = pack };
	return discussion_open(call->gateway->ns, call->actor.name, &call->repo.id, &opening, &commit->number, why);
}

/* A draft at the parent that the client names, or at the branch's head. */
static int open_detached_draft(struct commit *commit, struct why *why)
{
	struct call *call = commit->call;
	struct ref ref;
	int err = ref_get(call->gateway->ns, NULL, &call->repo.id, commit->ref, &ref);
	bool has_branch = err == 0;
	if (err == 0)
		err = commit_draft_open_at(&commit->draft, call->gateway, &call->repo, commit->has_parent ? &commit->parent : &ref.oid, why);
	if (err == 0) {
		commit_draft_publish(commit->draft, open_pull_request, commit);
		commit_draft_by(commit->draft, &call->actor);
	}
	if (err == ERR_CONFLICT)
		return refuse(commit, err, 409, NULL);
	if (err != ERR_NOT_FOUND)
		return err;
	char parent[OID_TEXT_BYTES];
	hex_encode(parent, commit->parent.bytes, OID_BYTES);
	why_set(why, err, "Invalid rev id: %s", has_branch && commit->has_parent ? parent : commit->revision);
	return refuse(commit, err, 404, "RevisionNotFound");
}

static int open_draft(struct commit *commit, struct why *why)
{
	struct call *call = commit->call;
	if (commit->create_pr)
		return open_detached_draft(commit, why);
	int err = commit_draft_open(&commit->draft, call->gateway, &call->repo, commit->ref, commit->has_parent ? &commit->parent : NULL, why);
	if (err == ERR_CONFLICT) {
		why_set(why, err, "The branch was updated since you opened this page. Please refresh and try again.");
		return refuse(commit, err, 412, NULL);
	}
	if (err == ERR_NOT_FOUND) {
		why_set(why, err, "Invalid rev id: %s", commit->revision);
		return refuse(commit, err, 404, "RevisionNotFound");
	}
	if (err == 0)
		commit_draft_by(commit->draft, &call->actor);
	return err;
}

static char *copy_text(struct span text, size_t bytes_max)
{
	return strndup(text.data ? (const char *)text.data : "", cut_at(text, bytes_max));
}

static int on_header(struct commit *commit, const struct operation *operation, struct why *why)
{
	if (commit->title)
		return why_set(why, ERR_INVALID, "The commit has two headers");
	struct span parent = operation->parent_commit;
	if (parent.length) {
		commit->has_parent = true;
		if (hex_decode(commit->parent.bytes, OID_BYTES, (const char *)parent.data, parent.length) != 0)
			return why_set(why, ERR_INVALID, "parentCommit must be a full commit id");
	}
	struct span title = operation->summary;
	commit->title = copy_text(title.length ? title : span_text("Update files"), COMMIT_TITLE_BYTES_MAX);
	commit->message = copy_text(operation->description, COMMIT_MESSAGE_BYTES_MAX);
	if (!commit->title || !commit->message)
		return ERR_NO_MEMORY;
	int err = open_draft(commit, why);
	if (err == 0)
		commit_draft_pause(commit->draft);
	return err;
}

/* Before it remembers a change. */
static int charge(struct commit *commit, size_t bytes, struct why *why)
{
	if (atomic_fetch_add(&commits_bytes, bytes) + bytes > COMMITS_MEMORY_BYTES_MAX) {
		atomic_fetch_sub(&commits_bytes, bytes);
		return why_set(why, ERR_BUSY, "Too many large commits at once, try again");
	}
	commit->charged_bytes += bytes;
	return 0;
}

static int keep_text(struct commit *commit, struct span text, size_t *offset, size_t *length)
{
	*offset = commit->text.length;
	*length = text.length;
	return buffer_append(&commit->text, text.data, text.length);
}

static int add_change(struct commit *commit, const struct change *change, struct why *why)
{
	if (commit->changes_count == COMMIT_OPERATIONS_MAX)
		return why_set(why, ERR_TOO_BIG, "The commit has more than %d operations", COMMIT_OPERATIONS_MAX);
	if (commit->changes_count == commit->changes_capacity) {
		size_t capacity = commit->changes_capacity ? commit->changes_capacity * 2 : 64;
		struct change *changes = realloc(commit->changes, capacity * sizeof(*changes));
		if (!changes)
			return ERR_NO_MEMORY;
		commit->changes = changes;
		commit->changes_capacity = capacity;
	}
	commit->changes[commit->changes_count++] = *change;
	return 0;
}

/* What has come so far counts as used until the commit ends. */
static int reserve(struct commit *commit, struct why *why)
{
	struct call *call = commit->call;
	quota_release(&commit->reservation, false);
	commit->allowed_bytes = commit->content_bytes + QUOTA_STEP_BYTES;
	return quota_reserve(call->gateway, &call->repo, &call->actor, commit->content_bytes, &commit->reservation, why);
}

static int add_content(struct commit *commit, uint64_t more_bytes, struct why *why)
{
	commit->content_bytes += more_bytes;
	return commit->content_bytes > commit->allowed_bytes ? reserve(commit, why) : 0;
}

static int on_change(struct commit *commit, const struct operation *operation, struct why *why)
{
	struct change change = { .kind = operation->kind, .oid = operation->oid, .length = operation->length };
	struct span path = operation->path;
	while (operation->kind == OPERATION_DELETE && path.length > 1 && path.data[path.length - 1] == '/') /* how clients write folders */
		path.length--;
	int err = path_check(path, why);
	if (err)
		return err;
	bool is_copy = operation->kind == OPERATION_COPY;
	struct span other = is_copy ? operation->source : operation->old_path;
	err = charge(commit, sizeof(change) + path.length + other.length + operation->source_revision.length, why);
	if (err)
		return err;
	err = keep_text(commit, path, &change.path_offset, &change.path_length);
	if (err == 0)
		err = keep_text(commit, other, &change.other_offset, &change.other_length);
	if (err == 0)
		err = keep_text(commit, operation->source_revision, &change.revision_offset, &change.revision_length);
	if (err)
		return why_set(why, err, "The paths of the commit are too long together");
	if (operation->kind == OPERATION_FILE) {
		if (operation->content.length > REGULAR_FILE_BYTES_MAX)
			return why_set(why, ERR_TOO_BIG, "\"%.*s\" is larger than %d MiB: it must be uploaded through LFS or Xet",
				(int)(operation->path.length > 200 ? 200 : operation->path.length), (const char *)operation->path.data,
				REGULAR_FILE_BYTES_MAX >> 20);
		err = add_content(commit, operation->content.length, why);
		if (err)
			return err;
		err = draft_store_content(commit->draft, operation->content, &change.content, why);
	}
	return err ? err : add_change(commit, &change, why);
}

static int on_operation(void *context, const struct operation *operation, struct why *why)
{
	struct commit *commit = context;
	if (operation->kind == OPERATION_HEADER)
		return on_header(commit, operation, why);
	if (!commit->draft)
		return why_set(why, ERR_INVALID, "The first line of a commit must be its header");
	return on_change(commit, operation, why);
}

static int sink_write(struct http_request *request, const uint8_t *data, size_t length, void *context)
{
	(void)request;
	struct commit *commit = context;
	return commit_parser_feed(&commit->parser, data, length, &commit->why);
}

/* ------------------------------------------------------------------ when it has ended */

static struct span text_at(const struct commit *commit, size_t offset, size_t length)
{
	return span_of(commit->text.data + offset, length);
}

static int apply_copy(struct commit *commit, const struct change *change, struct span path, struct span source)
{
	struct call *call = commit->call;
	struct span revision = text_at(commit, change->revision_offset, change->revision_length);
	if (revision.length == 0)
		revision = span_text(commit->ref);
	struct oid from;
	int err = repo_resolve(call->gateway, &call->repo, revision, REPO_MAY_WAIT, &from, NULL);
	if (err == ERR_NOT_FOUND || err == ERR_INVALID) {
		why_set(&commit->why, err, "Invalid rev id: %.*s", (int)revision.length, (const char *)revision.data);
		return refuse(commit, ERR_NOT_FOUND, 404, "RevisionNotFound");
	}
	if (err == 0)
		err = commit_draft_copy(commit->draft, path, source, &from, &commit->why);
	return err == ERR_NOT_FOUND ? refuse_missing(commit, &from) : err;
}

static int apply_delete(struct commit *commit, struct span path)
{
	int err = commit_draft_delete(commit->draft, path, &commit->why);
	if (err != ERR_NOT_FOUND)
		return err;
	why_set(&commit->why, err, "A file with this name doesn't exist: %.*s", (int)(path.length > 300 ? 300 : path.length),
		(const char *)path.data);
	return refuse_missing(commit, commit_draft_base(commit->draft));
}

static int apply_change(struct commit *commit, const struct change *change)
{
	struct span path = text_at(commit, change->path_offset, change->path_length);
	struct span other = text_at(commit, change->other_offset, change->other_length);
	if (change->kind == OPERATION_DELETE)
		return apply_delete(commit, path);
	if (change->kind == OPERATION_COPY)
		return apply_copy(commit, change, path, other);
	int err = 0;
	if (other.length && !span_equal(other, path))
		err = apply_delete(commit, other);
	if (err == 0 && change->kind == OPERATION_FILE)
		err = commit_draft_file(commit->draft, path, &change->content, &commit->why);
	else if (err == 0)
		err = commit_draft_lfs(commit->draft, path, &change->oid, change->length, &commit->caller, &commit->why);
	if (change->kind == OPERATION_LFS_FILE && (err == ERR_NOT_FOUND || err == ERR_CORRUPT))
		refuse(commit, err, err == ERR_CORRUPT ? 422 : 400, NULL);
	return err;
}

/* A body may take hours to come: whoever sent it must still be allowed to when it becomes visible. */
static int may_still(struct commit *commit)
{
	struct call *call = commit->call;
	struct repo now;
	struct resource resource = { .repo = &now, .ns = call->gateway->ns };
	int err = auth_renew(call->gateway->ns, &call->actor);
	if (err)
		return why_set(&commit->why, err, "The token of this commit was revoked, or has expired");
	err = repo_get(call->gateway->ns, NULL, &call->repo.id, &now);
	if (err == 0)
		err = commit->create_pr ? may(&call->actor, ACTION_PROPOSE, &resource) : may_move_ref(&call->actor, &resource, commit->ref);
	if (err == ERR_CONFLICT) {
		why_set(&commit->why, err, "This pull request is closed or merged: no commits can be added to it");
		return refuse(commit, err, 403, NULL);
	}
	return err ? why_set(&commit->why, err, "You may no longer commit to this repository, or it was deleted") : 0;
}

static int finish_once(struct commit *commit, struct oid *oid)
{
	int err = 0;
	for (size_t i = 0; err == 0 && i < commit->changes_count; i++)
		err = apply_change(commit, &commit->changes[i]);
	err = err ? err : may_still(commit);
	if (err)
		return err;
	struct call *call = commit->call;
	struct user user;
	bool has_user = user_find(call->gateway->ns, call->actor.name, &user) == 0;
	struct commit_author author = {
		.name = call->actor.name,
		.email = has_user ? user.email : "",
		.when_ms = unix_ms(),
	};
	return commit_draft_finish(commit->draft, call->actor.name, &author, span_text(commit->title), span_text(commit->message), oid, &commit->why);
}

/* The branch moved under us: the same changes on its new head. What was uploaded is durable before the draft lets go of it. */
static int reopen(struct commit *commit)
{
	int err = upload_commit(commit_draft_upload(commit->draft), &commit->why);
	commit_draft_close(commit->draft);
	commit->draft = NULL;
	commit->why = (struct why){ 0 };
	return err ? err : open_draft(commit, &commit->why);
}

static int finish(struct commit *commit, struct oid *oid)
{
	int err = commit_parser_finish(&commit->parser, &commit->why);
	if (err == 0 && !commit->draft)
		err = why_set(&commit->why, ERR_INVALID, "The commit is empty");
	if (err == 0)
		err = reserve(commit, &commit->why);
	store_naming_begin(commit->call->gateway->store, &commit->naming);
	commit->is_naming = true;
	if (err == 0 && !commit_draft_resume(commit->draft))
		err = reopen(commit);
	for (int i = 0; err == 0; i++) {
		err = finish_once(commit, oid);
		if (err != ERR_CONFLICT || commit->status)
			return err;
		if (commit->has_parent || i == COMMIT_TRIES_MAX) {
			why_set(&commit->why, err, "The branch was updated since you opened this page. Please refresh and try again.");
			return refuse(commit, err, 412, NULL);
		}
		err = reopen(commit);
	}
	return err;
}

static void reply_committed(struct http_request *request, struct call *call, const struct oid *oid, uint64_t number)
{
	char text[OID_TEXT_BYTES];
	hex_encode(text, oid->bytes, OID_BYTES);
	struct buffer body;
	buffer_init(&body, ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_bool(&json, "success", true);
	json_text(&json, "commitOid", text);
	json_text(&json, "commitUrl", http_printf(request, "%s/commit/%s", repo_url(request, &call->repo), text));
	json_text(&json, "hookOutput", "");
	if (number)
		json_text(&json, "pullRequestUrl", http_printf(request, "%s/discussions/%llu", repo_url(request, &call->repo), (unsigned long long)number));
	json_object_end(&json);
	answer_json(request, 200, &body);
}

static void sink_end(struct http_request *request, int err, void *context)
{
	struct commit *commit = context;
	struct call *call = commit->call;
	struct oid oid;
	commit->caller = store_caller_of(request);
	if (err == 0)
		err = finish(commit, &oid);
	struct why why = commit->why;
	int status = commit->status;
	const char *code = commit->code;
	char checked_at[OID_TEXT_BYTES];
	hex_encode(checked_at, commit->checked_at.bytes, OID_BYTES);
	uint64_t number = commit->number;
	quota_release(&commit->reservation, err == 0);
	commit_free(commit);
	if (err == 0)
		reply_committed(request, call, &oid, number);
	else if (code && strcmp(code, "EntryNotFound") == 0)
		answer_entry_missing(request, checked_at, why.text);
	else if (status)
		http_reply_error(request, status, code, why.text);
	else
		answer_err(request, err, &why);
}

/* The branch that a revision of a commit call names, as a full ref name; NULL: none. */
static const char *target_ref(struct http_request *request, struct call *call, const char *revision)
{
	if (strcmp(revision, "HEAD") == 0)
		return call->repo.head;
	const char *full = strncmp(revision, "refs/", 5) == 0 ? revision : http_printf(request, "refs/heads/%s", revision);
	struct ref ref;
	bool writable = strncmp(full, "refs/heads/", 11) == 0 || strncmp(full, "refs/pr/", 8) == 0;
	if (!writable || strlen(full) > REF_BYTES_MAX)
		return NULL;
	bool exists = ref_get(call->gateway->ns, NULL, &call->repo.id, full, &ref) == 0;
	return exists || strcmp(full, call->repo.head) == 0 ? full : NULL;
}

/* How much a commit adds its body tells, and those who may write delete whatever is used: they are refused before only if their client asks whether to
 * send it. False: answered already. */
static bool has_room(struct http_request *request, struct call *call)
{
	struct why why = { 0 };
	bool is_proposal = quota_is_proposal(call->gateway, &call->repo, &call->actor);
	if (!is_proposal && !http_expects_continue(request))
		return true;
	int err = quota_check(call->gateway, &call->repo, &call->actor, 1, &why);
	if (err == 0)
		return true;
	struct why more = why;
	if (err == ERR_NO_SPACE && !is_proposal)
		why_set(&more, err, "%s. A commit that only deletes is taken without \"Expect: 100-continue\"", why.text);
	answer_err(request, err, &more);
	return false;
}

void commit_post(struct http_request *request, const struct route_match *match)
{
	bool create_pr = http_query_bool(request, "create_pr", false);
	struct call *call = call_open_repo(request, match, 1, ACTION_READ);
	const char *revision = call ? call_text(request, call, 0) : NULL;
	if (!revision)
		return;
	const char *ref = target_ref(request, call, revision);
	bool is_branch = ref && strncmp(ref, "refs/heads/", 11) == 0;
	if (create_pr && call->repo.discussions_disabled) {
		http_reply_error(request, 403, NULL, "Discussions and pull requests are disabled for this repository");
		return;
	}
	if (create_pr ? !call_may(request, call, ACTION_PROPOSE) : !call_may_move(request, call, ref ? ref : call->repo.head))
		return;
	if (!ref || (create_pr && !is_branch)) {
		answer_revision_missing(request, revision);
		return;
	}
	if (!has_room(request, call))
		return;
	struct commit *commit = http_alloc(request, sizeof(*commit));
	commit->call = call;
	commit->ref = ref;
	commit->create_pr = create_pr;
	commit->revision = revision;
	buffer_init(&commit->text, COMMIT_PATHS_BYTES_MAX);
	struct span type = http_header(request, "Content-Type");
	bool is_document = type.length >= 16 && memcmp(type.data, "application/json", 16) == 0;
	commit_parser_init(&commit->parser, call->gateway->data_dir, is_document, on_operation, commit);
	static const struct http_sink sink = { .write = sink_write, .end = sink_end };
	http_sink(request, COMMIT_BODY_BYTES_MAX, &sink, commit);
}
