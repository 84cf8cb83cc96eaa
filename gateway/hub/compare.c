/* compare.c - GET compare/{a}..{b}: what a unified diff says, alone ("raw") or in an object. */
#include "gateway/hub/rewrite.h"

#include <string.h>

#include "gateway/hub/call.h"
#include "gateway/repo/diff_text.h"
#include "schemas/json_writer.h"

struct comparison {
	const char *from, *to;
	bool raw;
};

/* 0; else answered. */
static int resolve(struct http_request *request, struct call *call, const char *revision, struct oid *out)
{
	int err = repo_resolve(call->gateway, &call->repo, span_text(revision), REPO_MAY_WAIT, out, NULL);
	if (err == ERR_NOT_FOUND || err == ERR_INVALID)
		answer_revision_missing(request, revision);
	else if (err)
		answer_err(request, err, NULL);
	return err;
}

static void reply_object(struct http_request *request, const struct oid *from, const struct oid *to, const struct buffer *diff, bool cut)
{
	char from_text[OID_TEXT_BYTES], to_text[OID_TEXT_BYTES];
	hex_encode(from_text, from->bytes, OID_BYTES);
	hex_encode(to_text, to->bytes, OID_BYTES);
	struct buffer body;
	buffer_init(&body, ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_text(&json, "base", from_text);
	json_text(&json, "head", to_text);
	json_span(&json, "diff", buffer_span(diff));
	json_bool(&json, "truncated", cut);
	json_object_end(&json);
	answer_json(request, 200, &body);
}

static int compare_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	const struct comparison *comparison = call->state;
	struct oid from, to;
	if (resolve(request, call, comparison->from, &from) != 0 || resolve(request, call, comparison->to, &to) != 0)
		return 0;
	struct buffer diff;
	struct why why = { 0 };
	bool cut = false;
	buffer_init(&diff, DIFF_TEXT_BYTES_MAX + DIFF_FILE_BYTES_MAX);
	int err = repo_diff_text(call->gateway, &call->repo, &from, &to, &diff, &cut, &why);
	if (err == 0 && comparison->raw && cut)
		http_add_header(request, "X-HF-Warning", "compare; the diff was cut off, it is too long to be shown whole");
	if (err)
		answer_err(request, err, &why);
	else if (comparison->raw)
		http_reply_buffer(request, 200, "text/plain; charset=utf-8", &diff);
	else
		reply_object(request, &from, &to, &diff, cut);
	buffer_fini(&diff);
	return 0;
}

void compare(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 0, ACTION_READ_FILES);
	char *text = call ? http_decode(request, call->rest, false) : NULL;
	if (!call)
		return;
	char *dots = text ? strstr(text, "..") : NULL; /* no revision holds two dots */
	if (!dots || dots == text || !dots[2] || dots[2] == '.') {
		http_reply_error(request, 400, NULL, "Two revisions are compared as a..b");
		return;
	}
	*dots = 0;
	struct comparison *comparison = http_alloc(request, sizeof(*comparison));
	*comparison = (struct comparison){ .from = text, .to = dots + 2, .raw = http_query_bool(request, "raw", http_query_value(request, "raw", 0) != NULL) };
	call->state = comparison;
	call_work(request, call, compare_run);
}
