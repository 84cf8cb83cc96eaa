#include "gateway/admin/search_index.h"

#include "gateway/admin/admin.h"
#include "gateway/admin/operator.h"
#include "gateway/answer.h"
#include "gateway/process.h"
#include "gateway/search/search.h"
#include "replication/downloads.h"

/* False: answered already. */
static bool has_index(struct http_request *request)
{
	if (gateway_of(request)->search)
		return true;
	answer_err(request, ERR_UNSUPPORTED, NULL);
	return false;
}

static void status_work(struct http_request *request, void *context)
{
	(void)context;
	struct search_status status;
	struct buffer body;
	struct json_writer json;
	search_status(gateway_of(request)->search, &status);
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_u64(&json, "documents", status.documents);
	json_u64(&json, "behind", status.behind);
	json_bool(&json, "rebuilding", status.rebuilding);
	json_u64(&json, "generation", status.generation);
	json_u64(&json, "indexed", status.indexed);
	json_u64(&json, "facts_made", status.facts_made);
	json_object_end(&json);
	answer_json(request, 200, &body);
}

void admin_index_status(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (operator_open(request) && has_index(request))
		http_work(request, status_work, NULL);
}

void admin_index_rebuild(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct why why = { 0 };
	if (!operator_open(request) || !has_index(request))
		return;
	int err = search_rebuild(gateway_of(request)->search, &why);
	if (err)
		answer_err(request, err, &why);
	else
		http_reply(request, 200, "application/json; charset=utf-8", span_text("{}"));
}

struct asked {
	struct repo repo;
	const char *path;
};

static void downloads_work(struct http_request *request, void *context)
{
	const struct asked *asked = context;
	struct namespace *ns = gateway_of(request)->ns;
	struct day_counts counts;
	uint64_t today = day_of_ms(unix_ms()), of_file = 0;
	int err = downloads_of_repo(ns, NULL, &asked->repo.id, &counts);
	if (err == 0 && asked->path)
		err = downloads_of_file(ns, &asked->repo.id, span_text(asked->path), &of_file);
	if (err) {
		answer_err(request, err, NULL);
		return;
	}
	struct buffer body;
	struct json_writer json;
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_u64(&json, "all_time", counts.total);
	json_u64(&json, "last_30_days", day_counts_recent(&counts, today));
	json_array_begin(&json, "days");
	for (unsigned age = 0; age < COUNTED_DAYS; age++)
		json_u64(&json, NULL, day_counts_at(&counts, today, age));
	json_array_end(&json);
	if (asked->path)
		json_u64(&json, "file", of_file);
	json_object_end(&json);
	answer_json(request, 200, &body);
}

void admin_repo_downloads(struct http_request *request, const struct route_match *match)
{
	if (!operator_open(request))
		return;
	struct asked *asked = http_alloc(request, sizeof(*asked));
	if (!operator_repo(request, match, &asked->repo))
		return;
	asked->path = http_query_value(request, "path", 0);
	http_work(request, downloads_work, asked);
}
