/* commits.c - GET commits/{rev}: first-parent history, newest first, by page number. */
#include <stdlib.h>

#include "gateway/hub/call.h"
#include "gateway/hub/refs.h"
#include "schemas/json_writer.h"

enum { COMMITS_LIMIT_MAX = 1000, COMMITS_LIMIT_DEFAULT = 50, COMMITS_PAGE_MAX = 1000000 };

struct history {
	struct json_writer json;
	struct buffer body;
	bool formatted;
};

static int write_commit(void *context, const struct commit_info *info)
{
	struct history *history = context;
	struct json_writer *json = &history->json;
	char oid[OID_TEXT_BYTES];
	hex_encode(oid, info->oid.bytes, OID_BYTES);
	json_object_begin(json, NULL);
	json_text(json, "id", oid);
	json_text(json, "title", info->title);
	json_text(json, "message", info->message ? info->message : "");
	json_array_begin(json, "authors");
	json_object_begin(json, NULL);
	json_text(json, "user", info->author);
	json_null(json, "avatar");
	json_object_end(json);
	json_array_end(json);
	json_date(json, "date", info->committer_ms);
	if (history->formatted) {
		json_object_begin(json, "formatted");
		json_text(json, "title", info->title);
		json_text(json, "message", info->message ? info->message : "");
		json_object_end(json);
	}
	json_object_end(json);
	return history->body.failed ? ERR_TOO_BIG : 0;
}

static uint64_t query_number(struct http_request *request, const char *key, uint64_t fallback, uint64_t max)
{
	const char *text = http_query_value(request, key, 0);
	unsigned long long number = text ? strtoull(text, NULL, 10) : fallback;
	return number > max ? max : number;
}

static int commits_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	if (call_revision(request, call, 0, wait) != 0)
		return 0;
	uint64_t page = query_number(request, "p", 0, COMMITS_PAGE_MAX);
	uint64_t limit = query_number(request, "limit", COMMITS_LIMIT_DEFAULT, COMMITS_LIMIT_MAX);
	if (limit == 0)
		limit = COMMITS_LIMIT_DEFAULT;
	const char *expand = http_query_value(request, "expand", 0);
	struct history history = { .formatted = expand && strcmp(expand, "formatted") == 0 };
	buffer_init(&history.body, ANSWER_BYTES_MAX);
	json_writer_init(&history.json, &history.body);
	json_array_begin(&history.json, NULL);
	uint64_t total = 0;
	struct why why = { 0 };
	int err = repo_log(call->gateway, &call->repo, &call->revision.commit, page * limit, limit, &total, write_commit, &history, &why);
	if (err) {
		buffer_fini(&history.body);
		answer_err(request, err, &why);
		return 0;
	}
	json_array_end(&history.json);
	http_add_headerf(request, "X-Total-Count", "%llu", (unsigned long long)total);
	if ((page + 1) * limit < total)
		add_next_link(request, "p", http_printf(request, "%llu", (unsigned long long)page + 1));
	answer_json(request, 200, &history.body);
	return 0;
}

void commits_list(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 1, ACTION_READ);
	if (call)
		call_work(request, call, commits_run);
}
