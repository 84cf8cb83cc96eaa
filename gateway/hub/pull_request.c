#include "gateway/hub/discussions.h"

#include "gateway/hub/discussion_call.h"
#include "gateway/hub/discussion_object.h"
#include "gateway/hub/pull_request.h"
#include "gateway/repo/branch_guard.h"
#include "gateway/repo/diff_text.h"
#include "gateway/repo/merge_base.h"
#include "gateway/repo/path_lock.h"

enum { MERGE_TRIES_MAX = 5 };

static bool is_same(const struct oid *a, const struct oid *b)
{
	return memcmp(a->bytes, b->bytes, OID_BYTES) == 0;
}

static int ref_oid(struct gateway *gateway, const struct repo *repo, const char *name, struct oid *out, struct why *why)
{
	struct ref ref;
	int err = ref_get(gateway->ns, NULL, &repo->id, name, &ref);
	if (err)
		return why_set(why, err, err == ERR_NOT_FOUND ? "%s was deleted" : "%s cannot be read", name);
	*out = ref.oid;
	return 0;
}

int pull_request_sides(struct gateway *gateway, const struct repo *repo, const struct discussion *discussion, struct merge_sides *out, struct why *why)
{
	int err = 0;
	if (discussion->status == DISCUSSION_MERGED) {
		out->ours = discussion->merge_base;
		out->theirs = discussion->merged_head;
	} else {
		char ref[REF_BYTES_MAX + 1];
		pull_request_ref(ref, discussion->number);
		err = ref_oid(gateway, repo, discussion->base, &out->ours, why);
		if (err == 0)
			err = ref_oid(gateway, repo, ref, &out->theirs, why);
	}
	return err ? err : repo_merge_base(gateway, repo, &out->ours, &out->theirs, &out->base, why);
}

/* ------------------------------------------------------------------ details */

static int write_conflict(void *context, struct span path)
{
	json_span(context, NULL, path);
	return 0;
}

static int write_conflicts(struct gateway *gateway, const struct repo *repo, const struct discussion *discussion, const struct merge_sides *sides,
	struct json_writer *json)
{
	bool open = discussion->status == DISCUSSION_OPEN || discussion->status == DISCUSSION_DRAFT;
	bool diverged = open && !is_same(&sides->base, &sides->ours) && !is_same(&sides->base, &sides->theirs);
	struct why why;
	json_array_begin(json, "filesWithConflicts");
	int err = diverged ? repo_merge_conflicts(gateway, repo, sides, write_conflict, json, &why) : 0;
	json_array_end(json);
	return err;
}

static int write_diff(struct gateway *gateway, const struct repo *repo, const struct merge_sides *sides, struct json_writer *json)
{
	struct buffer text;
	struct why why;
	buffer_init(&text, DIFF_TEXT_BYTES_MAX);
	int err = repo_diff_text(gateway, repo, &sides->base, &sides->theirs, &text, NULL, &why);
	if (err == 0)
		json_span(json, "diff", buffer_span(&text));
	buffer_fini(&text);
	return err;
}

int write_pull_request(struct gateway *gateway, const struct repo *repo, const struct discussion *discussion, bool diff, struct json_writer *json)
{
	char oid[OID_TEXT_BYTES];
	struct merge_sides sides;
	struct why why = { 0 };
	json_object_begin(json, "changes");
	json_text(json, "base", discussion->base);
	if (discussion->status == DISCUSSION_MERGED) {
		hex_encode(oid, discussion->merge_commit.bytes, OID_BYTES);
		json_text(json, "mergeCommitId", oid);
	}
	json_object_end(json);
	int err = pull_request_sides(gateway, repo, discussion, &sides, &why);
	if (err == ERR_NOT_FOUND || err == ERR_TOO_BIG) { /* nothing to compare any more */
		json_array_begin(json, "filesWithConflicts");
		json_array_end(json);
		if (diff)
			json_text(json, "diff", "");
		return 0;
	}
	if (err == 0)
		err = write_conflicts(gateway, repo, discussion, &sides, json);
	if (err == 0 && diff)
		err = write_diff(gateway, repo, &sides, json);
	return err;
}

/* ------------------------------------------------------------------ merging */

struct merging {
	struct call *call;
	struct discussion discussion;
	struct merge_sides sides;
	bool privileged;
	struct why why;
};

static int end_with(struct merging *merging, const struct oid *commit, const struct pack *pack, struct why *why)
{
	struct call *call = merging->call;
	struct pull_request_merge merge = { .head = merging->sides.theirs, .base_old = merging->sides.ours, .base_new = *commit, .pack = pack,
		.privileged = merging->privileged };
	return pull_request_merge(call->gateway->ns, call->actor.name, &call->repo.id, merging->discussion.number, &merge, why);
}

static int publish_merge(void *context, const struct oid *base, const struct oid *commit, const struct pack *pack, struct why *why)
{
	(void)base; /* the draft expects it to be our side */
	return end_with(context, commit, pack, why);
}

static int make_merge_commit(struct http_request *request, struct merging *merging, const char *comment)
{
	struct call *call = merging->call;
	struct commit_draft *draft;
	int err = commit_draft_open(&draft, call->gateway, &call->repo, merging->discussion.base, &merging->sides.ours, &merging->why);
	if (err)
		return err;
	commit_draft_publish(draft, publish_merge, merging);
	err = repo_merge(draft, &merging->sides, &merging->why);
	if (err == 0) {
		struct user user;
		bool has_user = user_find(call->gateway->ns, call->actor.name, &user) == 0;
		struct commit_author author = { .name = call->actor.name, .email = has_user ? user.email : "", .when_ms = unix_ms() };
		const char *title = http_printf(request, "%s (#%llu)", merging->discussion.title, (unsigned long long)merging->discussion.number);
		struct oid commit;
		err = commit_draft_finish(draft, call->actor.name, &author, span_text(title), span_text(comment), &commit, &merging->why);
	}
	commit_draft_close(draft);
	return err;
}

static int list_conflict(void *context, struct span path)
{
	json_span(context, NULL, path);
	return 0;
}

/* 409 with the paths that stand in the way. True: there were some, answered. */
static bool reply_conflicts(struct http_request *request, struct merging *merging)
{
	struct call *call = merging->call;
	struct buffer paths, body;
	struct json_writer list, json;
	buffer_init(&paths, ANSWER_BYTES_MAX);
	buffer_init(&body, ANSWER_BYTES_MAX);
	json_writer_init(&list, &paths);
	json_array_begin(&list, NULL);
	int err = repo_merge_conflicts(call->gateway, &call->repo, &merging->sides, list_conflict, &list, &merging->why);
	json_array_end(&list);
	bool any = err == 0 && paths.length > 2;
	if (any) {
		const char *error = "The pull request cannot be merged: files were changed on both sides. Merge the branch into it first";
		http_add_header(request, "X-Error-Message", error);
		json_writer_init(&json, &body);
		json_object_begin(&json, NULL);
		json_text(&json, "error", error);
		json_raw(&json, "filesWithConflicts", buffer_span(&paths));
		json_object_end(&json);
		answer_json(request, 409, &body);
	}
	buffer_fini(&body);
	buffer_fini(&paths);
	return any;
}

/* One attempt on the refs as they are now. ERR_CONFLICT: they moved, or files clash. */
static int merge_once(struct http_request *request, struct merging *merging, const char *comment)
{
	merging->why = (struct why){ 0 };
	int err = pull_request_sides(merging->call->gateway, &merging->call->repo, &merging->discussion, &merging->sides, &merging->why);
	if (err)
		return err == ERR_TOO_BIG ? ERR_CONFLICT : err;
	if (is_same(&merging->sides.base, &merging->sides.theirs)) /* nothing that the branch does not have */
		return end_with(merging, &merging->sides.ours, NULL, &merging->why);
	if (is_same(&merging->sides.base, &merging->sides.ours)) { /* no draft is made that would ask for locks */
		struct call *call = merging->call;
		err = path_locks_between(call->gateway, &call->repo, call->actor.name, &merging->sides.ours, &merging->sides.theirs, &merging->why);
		return err ? err : end_with(merging, &merging->sides.theirs, NULL, &merging->why);
	}
	return make_merge_commit(request, merging, comment);
}

static void merge(struct http_request *request, struct call *call, const json_t *body)
{
	struct merging *merging = http_alloc(request, sizeof(*merging));
	const char *comment = json_body_text(body, "comment", "");
	merging->call = call;
	if (discussion_call_find(request, call, &merging->discussion) != 0)
		return;
	if (!merging->discussion.is_pull_request) {
		http_reply_error(request, 400, NULL, "A discussion cannot be merged");
		return;
	}
	if (merging->discussion.status != DISCUSSION_OPEN && merging->discussion.status != DISCUSSION_DRAFT) {
		http_reply_error(request, 400, NULL, http_printf(request, "The pull request is %s", discussion_status_name(merging->discussion.status)));
		return;
	}
	if (strlen(comment) > MERGE_COMMENT_BYTES_MAX) {
		http_reply_error(request, 400, NULL, "The comment is too long");
		return;
	}
	struct resource resource = { .repo = &call->repo, .ns = call->gateway->ns };
	merging->privileged = may(&call->actor, ACTION_ADMIN, &resource) == 0;
	int err = branch_guard_check(call->gateway, &call->repo, &call->actor, merging->discussion.base, BRANCH_ADVANCE, &merging->why);
	if (err) {
		answer_err(request, err, &merging->why);
		return;
	}
	err = ERR_CONFLICT;
	for (int i = 0; i < MERGE_TRIES_MAX && (err == ERR_CONFLICT || err == ERR_INVALID); i++) {
		err = merge_once(request, merging, comment);
		if ((err == ERR_CONFLICT || err == ERR_INVALID) && reply_conflicts(request, merging))
			return;
	}
	if (err == ERR_CONFLICT || err == ERR_INVALID) {
		http_reply_error(request, 409, NULL, merging->why.text[0] ? merging->why.text : "The pull request cannot be merged");
		return;
	}
	if (err == 0 && *comment)
		err = discussion_comment(call->gateway->ns, call->actor.name, &call->repo.id, merging->discussion.number, span_text(comment), NULL, &merging->why);
	if (err)
		answer_err(request, err, &merging->why);
	else
		reply_success(request);
}

void discussion_merge_post(struct http_request *request, const struct route_match *match)
{
	struct call *call = discussion_call_open(request, match, 1, ACTION_WRITE);
	if (call)
		body_call(request, call, DISCUSSION_BODY_BYTES_MAX, merge);
}

/* ------------------------------------------------------------------ the ref */

static int ref_delete_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct discussion discussion;
	struct ref_update update = { .any_old = true };
	struct ref ref;
	struct why why = { 0 };
	if (discussion_call_find(request, call, &discussion) != 0 || !discussion_call_owns(request, call, discussion.author))
		return 0;
	if (discussion.status == DISCUSSION_OPEN || discussion.status == DISCUSSION_DRAFT) {
		http_reply_error(request, 400, NULL, "The ref of an open pull request cannot be deleted");
		return 0;
	}
	pull_request_ref(update.name, discussion.number);
	int err = ref_get(call->gateway->ns, NULL, &call->repo.id, update.name, &ref);
	if (err == 0)
		err = refs_update(call->gateway->ns, call->actor.name, &call->repo.id, &update, 1, NULL, NULL, &why);
	if (err == ERR_NOT_FOUND)
		answer_revision_missing(request, update.name);
	else if (err)
		answer_err(request, err, &why);
	else
		reply_success(request);
	return 0;
}

void discussion_ref_delete(struct http_request *request, const struct route_match *match)
{
	struct call *call = discussion_call_open(request, match, 1, ACTION_DISCUSS);
	if (call)
		call_work(request, call, ref_delete_run);
}
