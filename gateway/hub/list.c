/* list.c - GET /api/{models|datasets|spaces|kernels}: a page of repositories, found by the index, shown as the state has them now.
 *
 * DESIGN. The index says which, in which order, and what their cards say; the record, whose rights decide, is read again for each one that is shown, unless what
 * was shown before is known to be true still (list_items.h). A page is cut short where its answer has become long (lists with all files of each repository): the cursor goes on from there. Who lists their own namespace
 * waits a moment for the index, and so sees what they have just done. */
#include <sodium.h>
#include <stdlib.h>
#include <strings.h>

#include "gateway/hub/call.h"
#include "gateway/hub/info.h"
#include "gateway/hub/list_items.h"
#include "gateway/hub/list_query.h"
#include "gateway/search/scoring.h"

enum {
	LIST_ANSWER_BYTES = 4 << 20,   /* then the page ends */
	LIST_SIBLINGS_MAX = 10000,     /* files of one repository that a list shows */
	LIST_OWN_WAIT_MS = 250,
	LIST_ROW_BYTES_MAX = 16 << 20, /* small facts of one repository */
};

enum { STOP_SIBLINGS = 1 };

struct list {
	struct list_query asked;
	struct json_writer json;
	struct buffer body;
	struct buffer row; /* of the item that is being made */
	uint64_t siblings;
};

static int write_sibling(void *context, const struct tree_entry *entry)
{
	struct list *list = context;
	if (entry->is_directory)
		return 0;
	if (list->siblings++ == LIST_SIBLINGS_MAX)
		return STOP_SIBLINGS;
	json_object_begin(&list->json, NULL);
	json_span(&list->json, "rfilename", entry->path);
	json_object_end(&list->json);
	return list->body.failed ? ERR_TOO_BIG : 0;
}

static int write_siblings(struct call *call, struct list *list, const struct repo *repo, const struct oid *commit)
{
	json_array_begin(&list->json, "siblings");
	list->siblings = 0;
	int err = commit ? repo_walk(call->gateway, repo, commit, span_text(""), true, span_text(""), REPO_MAY_WAIT, write_sibling, list) : 0;
	json_array_end(&list->json);
	return err == STOP_SIBLINGS || err == ERR_NOT_FOUND || err == ERR_CORRUPT ? 0 : err;
}

static int write_item(struct call *call, struct list *list, const struct repo *repo, const struct search_result *result, const struct search_hit *hit)
{
	repo_properties show = list->asked.show;
	struct facts facts = { 0 };
	struct buffer spaces;
	uint64_t files;
	const struct oid *commit = hit->doc.has_commit ? &hit->doc.commit : NULL;
	struct repo_view view = { .repo = repo, .sha = commit, .small = hit->small, .show = show, .likes = hit->values.by[SORT_LIKES],
		.downloads = hit->values.by[SORT_DOWNLOADS], .downloads_all = hit->values.downloads_all, .in_list = true, .main_bytes = hit->values.by[SORT_MAIN_SIZE],
		.trending_score = trending_score(hit->values.by[SORT_TREND], day_of_ms(unix_ms())) };
	int err = 0;
	buffer_init(&spaces, LIST_ANSWER_BYTES);
	if (properties_need_large_facts(show)) {
		err = facts_decode(&facts, hit->small);
		if (err == 0)
			err = search_hit_facts(result, hit, &facts);
		view.facts = &facts;
	}
	if (err == 0 && (show & property_bit(PROPERTY_USED_STORAGE)))
		err = store_owner_usage(call->gateway->store, &repo->id, &files, &view.used_bytes);
	if (err == 0 && (show & property_bit(PROPERTY_CHILDREN)))
		err = related_children(call->gateway, &call->actor, repo, &view.children);
	if (err == 0 && (show & property_bit(PROPERTY_SPACES)))
		err = related_spaces(call->gateway, &call->actor, repo, &spaces);
	view.spaces = buffer_span(&spaces);
	json_object_begin(&list->json, NULL);
	write_repo_members(&list->json, &view);
	if (err == 0 && (show & property_bit(PROPERTY_SIBLINGS)))
		err = write_siblings(call, list, repo, commit);
	json_object_end(&list->json);
	buffer_fini(&spaces);
	facts_fini(&facts);
	return err;
}

/* The record of a hit, if the caller may see it now. */
static int read_record(struct call *call, const struct list *list, const struct search_hit *hit, struct repo *out)
{
	int err = repo_get_record(call->gateway->ns, NULL, &hit->doc.repo, out);
	if (err)
		return err;
	out->modified_ms = (int64_t)hit->values.by[SORT_MODIFIED];
	struct resource resource = { .repo = out, .ns = call->gateway->ns };
	if (list->asked.query.author && strcasecmp(out->owner, list->asked.query.author) != 0)
		return ERR_NOT_FOUND; /* moved since it was indexed */
	return may(&call->actor, ACTION_READ, &resource) == 0 ? 0 : ERR_NOT_FOUND;
}

/* Reads, judges and writes one; keeps the text if others may see it too. */
static int make_item(struct call *call, struct list *list, const struct search_result *result, const struct list_item *item, bool may_keep)
{
	struct search_hit hit;
	struct repo repo;
	int err = search_read(result, item->number, &list->row, &hit);
	if (err == 0)
		err = read_record(call, list, &hit, &repo);
	if (err)
		return err;
	size_t start = list->body.length;
	err = write_item(call, list, &repo, result, &hit);
	if (err || !may_keep || repo.private || list->body.failed)
		return err;
	start += list->body.data[start] == ',';
	list_items_keep(call->gateway->list_items, item, repo.owner, span_of(list->body.data + start, list->body.length - start));
	return 0;
}

/* The next element of the answer, from memory or made now. ERR_NOT_FOUND: not to be shown to this caller. */
static int add_item(struct call *call, struct list *list, const struct search_result *result, uint32_t number)
{
	const repo_properties not_of_row = property_bit(PROPERTY_USED_STORAGE) | property_bit(PROPERTY_CHILDREN) | property_bit(PROPERTY_SPACES) |
		property_bit(PROPERTY_SIBLINGS);
	struct list_items *items = call->gateway->list_items;
	bool may_keep = items && !(list->asked.show & not_of_row) && !call->actor.one_repo_only;
	struct list_item item = { .generation = search_generation(result), .number = number, .show = list->asked.show, .day = day_of_ms(unix_ms()),
		.records_version = repo_records_version(call->gateway->ns), .doc_version = search_doc_version(result, number) };
	if (may_keep && list_items_write(items, &item, list->asked.query.author, &list->json))
		return 0;
	return make_item(call, list, result, &item, may_keep);
}

/* Where the page ends early: behind this document. "": it has just gone, the next one will do. */
static int cut_after(const struct list *list, const struct search_result *result, uint32_t number, char out[SEARCH_CURSOR_BYTES_MAX])
{
	struct search_hit hit;
	struct buffer row;
	buffer_init(&row, LIST_ROW_BYTES_MAX);
	int err = search_read(result, number, &row, &hit);
	if (err == 0)
		search_hit_cursor(&list->asked.query, &hit, out);
	buffer_fini(&row);
	return err == ERR_NOT_FOUND ? 0 : err;
}

static void add_cursor(struct http_request *request, const char *place)
{
	char cursor[2 * SEARCH_CURSOR_BYTES_MAX];
	sodium_bin2base64(cursor, sizeof(cursor), (const uint8_t *)place, strlen(place), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	add_next_link(request, "cursor", cursor);
}

static int write_page(struct http_request *request, struct call *call, struct list *list, struct why *why)
{
	struct search_result result = { 0 };
	char cut[SEARCH_CURSOR_BYTES_MAX] = "";
	int err = search_page(call->gateway->search, &list->asked.query, &result, why);
	buffer_init(&list->row, LIST_ROW_BYTES_MAX);
	for (size_t i = 0; i < result.count && err == 0 && !cut[0]; i++) {
		err = add_item(call, list, &result, result.numbers[i]);
		err = err == ERR_NOT_FOUND ? 0 : err;
		if (err == 0 && list->body.length > LIST_ANSWER_BYTES && i + 1 < result.count)
			err = cut_after(list, &result, result.numbers[i], cut);
	}
	if (err == 0 && (cut[0] || result.more))
		add_cursor(request, cut[0] ? cut : result.cursor);
	search_result_fini(&result);
	buffer_fini(&list->row);
	return err;
}

static int list_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct list *list = call->state;
	struct search_query *query = &list->asked.query;
	struct why why = { 0 };
	int err = query_owners_set(call->gateway->ns, &call->actor, &list->asked.owners, query);
	if (query->author && !call->actor.anonymous) /* their own repositories, or of an organisation of theirs */
		search_catch_up(call->gateway->search, LIST_OWN_WAIT_MS);
	buffer_init(&list->body, ANSWER_BYTES_MAX);
	json_writer_init(&list->json, &list->body);
	json_array_begin(&list->json, NULL);
	if (err == 0 && !list->asked.nothing)
		err = write_page(request, call, list, &why);
	if (err) {
		buffer_fini(&list->body);
		answer_err(request, err, &why);
		return 0;
	}
	json_array_end(&list->json);
	answer_json(request, 200, &list->body);
	return 0;
}

void info_list(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open(request);
	if (!call)
		return;
	struct list *list = http_alloc(request, sizeof(*list));
	struct why why = { 0 };
	enum repo_type type;
	int err = type_from_plural(match->captures[0], &type);
	if (err == 0)
		err = list_query_read(request, type, &list->asked, &why);
	if (err == 0 && !call->gateway->search)
		err = ERR_UNSUPPORTED;
	if (err) {
		answer_err(request, err, &why);
		return;
	}
	call->state = list;
	call_work(request, call, list_run);
}
