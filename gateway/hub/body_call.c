#include "gateway/hub/body_call.h"

struct waiting {
	struct call *call;
	body_call_fn run;
};

static void with_body(struct http_request *request, struct span text, void *context)
{
	struct waiting *waiting = context;
	struct why why = { 0 };
	json_t *body = json_body_parse(text.length ? text : span_text("{}"), &why);
	if (body)
		waiting->run(request, waiting->call, body);
	else
		answer_err(request, ERR_INVALID, &why);
	json_decref(body);
}

void body_call(struct http_request *request, struct call *call, size_t bytes_max, body_call_fn run)
{
	struct waiting *waiting = http_alloc(request, sizeof(*waiting));
	waiting->call = call;
	waiting->run = run;
	http_collect(request, bytes_max, with_body, waiting);
}

struct call *call_open_user(struct http_request *request)
{
	struct call *call = call_open(request);
	if (call && call->actor.anonymous) {
		answer_login(request);
		return NULL;
	}
	return call;
}

void reply_success(struct http_request *request)
{
	http_reply(request, 200, "application/json; charset=utf-8", span_text("{\"success\":true}"));
}

const char *body_text(struct http_request *request, const json_t *body, const char *key, size_t length_min, size_t length_max)
{
	const char *text = json_body_text(body, key, "");
	while (*text == ' ' || *text == '\n' || *text == '\t' || *text == '\r')
		text++;
	size_t length = strlen(text);
	while (length && (text[length - 1] == ' ' || text[length - 1] == '\n' || text[length - 1] == '\t' || text[length - 1] == '\r'))
		length--;
	if (length < length_min || length > length_max) {
		http_reply_error(request, 400, NULL, length ? http_printf(request, "\"%s\" must have %zu to %zu bytes", key, length_min, length_max) :
			http_printf(request, "\"%s\" is missing", key));
		return NULL;
	}
	return http_strndup(request, text, length);
}
