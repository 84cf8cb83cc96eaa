/* tree.c - GET tree/{rev}/{folder}: entries in path order, a page at a time.
 *
 * DESIGN. The cursor is the commit of page one and the last path given, so a listing stays one consistent snapshot while commits go on. Entries
 * are written as they are visited. Plain pages are made on the control loop while they are short; longer ones and pages with the
 * last commit of each entry go to a worker. */
#include "gateway/hub/tree.h"

#include <sodium.h>
#include <stdlib.h>

#include "gateway/hub/call.h"
#include "gateway/hub/entry.h"

enum {
	TREE_LIMIT_MAX = 1000,
	TREE_EXPANDED_LIMIT_MAX = 100,
	CURSOR_TEXT_BYTES_MAX = 2 * (OID_TEXT_BYTES + PATH_BYTES_MAX),
};

enum { STOP_PAGE_FULL = 1, STOP_TOO_MANY = 2 };

struct tree_page {
	bool recursive, expand;
	uint64_t limit;
	bool has_cursor;
	struct oid cursor_commit;
	const char *after; /* path; "" at the start */

	/* while walking */
	struct json_writer json;
	struct buffer body;
	uint64_t count;
	bool on_control_loop;
	char *last_path;       /* of the page, request memory */
	struct http_request *request;
	struct tree_entry *expanded; /* with expand: kept until their commits are known */
};

static const char *make_cursor(struct http_request *request, const struct call *call, const char *path)
{
	const char *plain = http_printf(request, "%s:%s", call->revision.commit_text, path);
	size_t length = strlen(plain), capacity = sodium_base64_encoded_len(length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	char *text = http_alloc(request, capacity);
	sodium_bin2base64(text, capacity, (const uint8_t *)plain, length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	return text;
}

static int read_cursor(struct http_request *request, struct tree_page *page, const char *text)
{
	size_t capacity = strlen(text) + 1, length;
	if (capacity > CURSOR_TEXT_BYTES_MAX)
		return ERR_INVALID;
	char *plain = http_alloc(request, capacity);
	if (sodium_base642bin((uint8_t *)plain, capacity - 1, text, capacity - 1, NULL, &length, NULL,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
		return ERR_INVALID;
	plain[length] = 0;
	if (length < OID_TEXT_BYTES || plain[OID_TEXT_BYTES - 1] != ':' || strlen(plain) != length)
		return ERR_INVALID;
	page->has_cursor = true;
	page->after = plain + OID_TEXT_BYTES;
	return hex_decode(page->cursor_commit.bytes, OID_BYTES, plain, OID_TEXT_BYTES - 1);
}

static void keep_expanded(struct tree_page *page, const struct tree_entry *entry)
{
	struct tree_entry *kept = &page->expanded[page->count];
	*kept = *entry;
	kept->path.data = (const uint8_t *)http_strndup(page->request, entry->path.data, entry->path.length);
}

static int visit(void *context, const struct tree_entry *entry)
{
	struct tree_page *page = context;
	if (page->count == page->limit)
		return STOP_PAGE_FULL;
	if (page->on_control_loop && page->count == CONTROL_ENTRIES_MAX)
		return STOP_TOO_MANY;
	if (page->expand)
		keep_expanded(page, entry);
	else
		write_entry(&page->json, entry, NULL);
	page->count++;
	if (page->count == page->limit)
		page->last_path = http_strndup(page->request, entry->path.data, entry->path.length);
	return 0;
}

/* [blocks] */
static int write_expanded(struct call *call, struct tree_page *page)
{
	struct commit_info *infos = calloc(page->count ? page->count : 1, sizeof(*infos));
	struct span *paths = calloc(page->count ? page->count : 1, sizeof(*paths));
	int err = infos && paths ? 0 : ERR_NO_MEMORY;
	for (uint64_t i = 0; err == 0 && i < page->count; i++)
		paths[i] = page->expanded[i].path;
	if (err == 0 && page->count)
		err = repo_last_commits(call->gateway, &call->repo, &call->revision.commit, paths, page->count, infos);
	for (uint64_t i = 0; err == 0 && i < page->count; i++)
		write_entry(&page->json, &page->expanded[i], &infos[i]);
	for (uint64_t i = 0; infos && i < page->count; i++)
		commit_info_fini(&infos[i]);
	free(infos);
	free(paths);
	return err;
}

static void reply_walk_error(struct http_request *request, struct call *call, int err)
{
	if (err == ERR_NOT_FOUND || err == ERR_INVALID)
		answer_entry_missing(request, call->revision.commit_text, http_printf(request, "%.*s does not exist on \"%s\"",
			(int)call->revision.path.length, (const char *)call->revision.path.data, call->revision.text));
	else
		answer_err(request, err, NULL);
}

static int tree_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	struct tree_page *page = call->state;
	if (page->expand && wait == REPO_NO_WAIT)
		return ERR_AGAIN;
	int err = call_revision(request, call, 0, wait);
	if (err)
		return err == ERR_AGAIN ? err : 0;
	if (page->has_cursor) {
		call->revision.commit = page->cursor_commit;
		hex_encode(call->revision.commit_text, page->cursor_commit.bytes, OID_BYTES);
	}
	buffer_init(&page->body, ANSWER_BYTES_MAX);
	json_writer_init(&page->json, &page->body);
	json_array_begin(&page->json, NULL);
	page->count = 0;
	page->on_control_loop = wait == REPO_NO_WAIT;
	err = repo_walk(call->gateway, &call->repo, &call->revision.commit, call->revision.path, page->recursive, span_text(page->after),
		wait, visit, page);
	bool more = err == STOP_PAGE_FULL;
	if (err == STOP_TOO_MANY)
		err = ERR_AGAIN;
	if (err > 0)
		err = 0;
	if (err == 0 && page->expand)
		err = write_expanded(call, page);
	if (err) {
		buffer_fini(&page->body);
		if (err != ERR_AGAIN)
			reply_walk_error(request, call, err);
		return err == ERR_AGAIN ? err : 0;
	}
	json_array_end(&page->json);
	http_add_header(request, "X-Repo-Commit", call->revision.commit_text);
	if (more)
		add_next_link(request, "cursor", make_cursor(request, call, page->last_path));
	answer_json(request, 200, &page->body);
	return 0;
}

static uint64_t query_limit(struct http_request *request, uint64_t limit_max)
{
	const char *text = http_query_value(request, "limit", 0);
	unsigned long long limit = text ? strtoull(text, NULL, 10) : limit_max;
	return limit == 0 || limit > limit_max ? limit_max : limit;
}

void tree_list(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 1, ACTION_READ);
	if (!call)
		return;
	struct tree_page *page = http_alloc(request, sizeof(*page));
	page->request = request;
	page->recursive = http_query_bool(request, "recursive", false);
	page->expand = http_query_bool(request, "expand", false);
	page->limit = query_limit(request, page->expand ? TREE_EXPANDED_LIMIT_MAX : TREE_LIMIT_MAX);
	page->after = "";
	if (page->expand)
		page->expanded = http_alloc(request, page->limit * sizeof(*page->expanded));
	const char *cursor = http_query_value(request, "cursor", 0);
	if (cursor && read_cursor(request, page, cursor) != 0) {
		http_reply_error(request, 400, NULL, "Invalid cursor");
		return;
	}
	call->state = page;
	call_run(request, call, tree_run);
}

/* ------------------------------------------------------------------ treesize */

static int add_length(void *context, const struct tree_entry *entry)
{
	uint64_t *total = context;
	*total += entry->is_directory ? 0 : entry->length;
	return 0;
}

static int size_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	int err = call_revision(request, call, 0, wait);
	if (err)
		return err == ERR_AGAIN ? err : 0;
	uint64_t total = 0;
	struct span path = call->revision.path;
	struct tree_entry entry;
	err = repo_entry(call->gateway, &call->repo, &call->revision.commit, path, wait, &entry);
	if (err == 0 && !entry.is_directory)
		total = entry.length;
	else if (err == 0)
		err = repo_walk(call->gateway, &call->repo, &call->revision.commit, path, true, span_text(""), wait, add_length, &total);
	if (err) {
		reply_walk_error(request, call, err);
		return 0;
	}
	struct buffer body;
	buffer_init(&body, ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_text(&json, "path", http_printf(request, "/%.*s", (int)path.length, (const char *)path.data));
	json_u64(&json, "size", total);
	json_object_end(&json);
	http_add_header(request, "X-Repo-Commit", call->revision.commit_text);
	answer_json(request, 200, &body);
	return 0;
}

void tree_size(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 1, ACTION_READ);
	if (call)
		call_work(request, call, size_run);
}
