/* info.c - GET /api/{type}/{id} and .../revision/{rev}.
 *
 * DESIGN. Everything but the list of files comes from the repository's record, its counters, and the facts of the revision, which are cached. The list is
 * written while the cached directories are walked: on the control loop while it is short, else on a worker. */
#include "gateway/hub/info.h"

#include "gateway/hub/call.h"
#include "gateway/hub/entry.h"
#include "gateway/hub/related.h"
#include "gateway/hub/repo_object.h"
#include "gateway/search/revision_facts.h"
#include "gateway/search/scoring.h"
#include "replication/downloads.h"
#include "replication/likes.h"

enum { STOP_TOO_MANY = 1 };

struct info {
	bool has_revision; /* the route names one */
	bool blobs;
	repo_properties show;

	/* while walking */
	struct json_writer json;
	struct buffer body;
	uint64_t count;
	bool on_control_loop;
};

static int visit_sibling(void *context, const struct tree_entry *entry)
{
	struct info *info = context;
	if (info->on_control_loop && ++info->count > CONTROL_ENTRIES_MAX)
		return STOP_TOO_MANY;
	if (entry->is_directory)
		return 0;
	json_object_begin(&info->json, NULL);
	json_span(&info->json, "rfilename", entry->path);
	if (info->blobs) {
		char oid[OID_TEXT_BYTES];
		hex_encode(oid, entry->oid.bytes, OID_BYTES);
		json_u64(&info->json, "size", entry->length);
		json_text(&info->json, "blobId", oid);
		if (entry->is_lfs)
			write_entry_lfs(&info->json, entry, "sha256");
	}
	json_object_end(&info->json);
	return info->body.failed ? ERR_TOO_BIG : 0;
}

/* 0 with *has_commit; ERR_AGAIN; else answered. A repository without commits has no revision yet, but exists. */
static int find_commit(struct http_request *request, struct call *call, const struct info *info, enum repo_wait wait, bool *has_commit)
{
	*has_commit = true;
	if (info->has_revision)
		return call_revision(request, call, 0, wait);
	struct revision *revision = &call->revision;
	int err = repo_resolve(call->gateway, &call->repo, span_text(call->repo.head), wait, &revision->commit, revision->ref);
	if (err == ERR_NOT_FOUND) {
		*has_commit = false;
		return 0;
	}
	if (err && err != ERR_AGAIN)
		answer_err(request, err, NULL);
	return err;
}

/* Likes and downloads as they are now. */
static int read_counts(struct call *call, struct repo_view *view)
{
	struct day_counts likes, downloads;
	uint64_t today = day_of_ms(unix_ms());
	int err = likes_of_repo(call->gateway->ns, NULL, &call->repo.id, &likes);
	if (err == 0)
		err = downloads_of_repo(call->gateway->ns, NULL, &call->repo.id, &downloads);
	if (err)
		return err;
	view->likes = likes.total;
	view->downloads = day_counts_recent(&downloads, today);
	view->downloads_all = downloads.total;
	view->trending_score = trending_score(trend_of(&likes, &downloads, today), today);
	return 0;
}

/* What is asked of other repositories. */
static int read_related(struct call *call, struct info *info, struct repo_view *view, struct buffer *spaces)
{
	int err = 0;
	if (info->show & property_bit(PROPERTY_CHILDREN))
		err = related_children(call->gateway, &call->actor, &call->repo, &view->children);
	if (err == 0 && (info->show & property_bit(PROPERTY_SPACES)))
		err = related_spaces(call->gateway, &call->actor, &call->repo, spaces);
	view->spaces = buffer_span(spaces);
	return err;
}

static int write_siblings(struct call *call, struct info *info, bool has_commit, enum repo_wait wait)
{
	json_array_begin(&info->json, "siblings");
	int err = has_commit ? repo_walk(call->gateway, &call->repo, &call->revision.commit, span_text(""), true, span_text(""), wait, visit_sibling,
		info) : 0;
	if (err)
		return err == STOP_TOO_MANY ? ERR_AGAIN : err;
	json_array_end(&info->json);
	return 0;
}

/* [blocks] Of the default branch, whatever revision is asked for: as the index knows it, unless it knows another commit. */
static int read_main_size(struct call *call, uint64_t *out)
{
	struct ref head;
	struct doc_found found;
	int err = ref_get(call->gateway->ns, NULL, &call->repo.id, call->repo.head, &head);
	if (err)
		return err == ERR_NOT_FOUND ? 0 : err; /* no commit yet */
	if (call->gateway->search && search_find(call->gateway->search, &call->repo.id, &found, NULL) == 0 && found.doc.has_commit && found.values.by[SORT_MAIN_SIZE] &&
		memcmp(&found.doc.commit, &head.oid, sizeof(head.oid)) == 0) {
		*out = found.values.by[SORT_MAIN_SIZE];
		return 0;
	}
	return repo_size(call->gateway, &call->repo, NULL, 0, &head.oid, out);
}

static int write_info(struct call *call, struct info *info, bool has_commit, enum repo_wait wait)
{
	const repo_properties blocking = property_bit(PROPERTY_CHILDREN) | property_bit(PROPERTY_SPACES) | property_bit(PROPERTY_MAIN_SIZE);
	struct revision_facts *facts = NULL;
	struct buffer spaces;
	uint64_t files = 0;
	struct repo_view view = { .repo = &call->repo, .sha = has_commit ? &call->revision.commit : NULL, .show = info->show };
	buffer_init(&spaces, ANSWER_BYTES_MAX);
	int err = wait == REPO_NO_WAIT && (info->show & blocking) ? ERR_AGAIN : 0;
	if (err == 0 && properties_need_facts(info->show))
		err = revision_facts_get(call->gateway, &call->repo, view.sha, wait, &facts);
	if (err == 0 && (info->show & property_bit(PROPERTY_USED_STORAGE)))
		err = store_owner_usage(call->gateway->store, &call->repo.id, &files, &view.used_bytes);
	if (err == 0 && (info->show & property_bit(PROPERTY_MAIN_SIZE)))
		err = read_main_size(call, &view.main_bytes);
	if (err == 0)
		err = read_counts(call, &view);
	if (err == 0)
		err = read_related(call, info, &view, &spaces);
	if (err == 0) {
		view.facts = facts ? &facts->facts : NULL;
		json_object_begin(&info->json, NULL);
		write_repo_members(&info->json, &view);
		if (info->show & property_bit(PROPERTY_SIBLINGS))
			err = write_siblings(call, info, has_commit, wait);
	}
	if (err == 0)
		json_object_end(&info->json);
	revision_facts_release(facts);
	buffer_fini(&spaces);
	return err;
}

static int info_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	struct info *info = call->state;
	bool has_commit;
	int err = find_commit(request, call, info, wait, &has_commit);
	if (err)
		return err == ERR_AGAIN ? err : 0;
	buffer_init(&info->body, ANSWER_BYTES_MAX);
	json_writer_init(&info->json, &info->body);
	info->count = 0;
	info->on_control_loop = wait == REPO_NO_WAIT;
	err = write_info(call, info, has_commit, wait);
	if (err == 0) {
		answer_json(request, 200, &info->body);
		return 0;
	}
	buffer_fini(&info->body);
	if (err == ERR_AGAIN && wait == REPO_NO_WAIT)
		return ERR_AGAIN;
	answer_err(request, err, NULL);
	return 0;
}

static void info_start(struct http_request *request, const struct route_match *match, bool has_revision)
{
	struct call *call = call_open_repo(request, match, has_revision ? 1 : 0, ACTION_READ);
	if (!call)
		return;
	struct info *info = http_alloc(request, sizeof(*info));
	info->has_revision = has_revision;
	info->blobs = http_query_bool(request, "blobs", false);
	struct why why = { 0 };
	info->show = properties_of_info(call->repo.type);
	if (expand_from_query(request, call->repo.type, &info->show, &why) != 0) {
		answer_err(request, ERR_INVALID, &why);
		return;
	}
	call->state = info;
	call_run(request, call, info_run);
}

void info_head(struct http_request *request, const struct route_match *match)
{
	info_start(request, match, false);
}

void info_revision(struct http_request *request, const struct route_match *match)
{
	info_start(request, match, true);
}

void info_one_segment(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct call *call = call_open(request);
	if (call)
		answer_repo_missing(request, call->actor.anonymous);
}

static void reply_allowed(struct http_request *request, const struct route_match *match, enum action action)
{
	if (call_open_repo(request, match, 0, action))
		http_reply(request, 200, "application/json; charset=utf-8", span_text("{\"success\":true}"));
}

void auth_check_read(struct http_request *request, const struct route_match *match)
{
	reply_allowed(request, match, ACTION_READ_FILES);
}

void auth_check_write(struct http_request *request, const struct route_match *match)
{
	reply_allowed(request, match, ACTION_WRITE);
}
