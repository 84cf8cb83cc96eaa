/* compact_call.c - an operator asks for the packs of one repository to be merged now. */
#include "gateway/answer.h"
#include "gateway/git/compaction.h"
#include "gateway/git/git.h"
#include "schemas/json_writer.h"

enum { PACKS_MIN = 2 };

static void compact_work(struct http_request *request, void *context)
{
	struct gateway *gateway = gateway_of(request);
	struct compaction_report report;
	struct why why = { 0 };
	int err = repo_compact(gateway, context, PACKS_MIN, &report, &why);
	if (err) {
		answer_err(request, err, &why);
		return;
	}
	struct buffer body;
	buffer_init(&body, 256);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_u64(&json, "packs_before", report.before);
	json_u64(&json, "packs_after", report.after);
	json_object_end(&json);
	answer_json(request, 200, &body);
}

void git_compact(struct http_request *request, const struct route_match *match)
{
	git_operate(request, match, compact_work);
}
