#include "gateway/answer.h"

static const struct answer {
	int err, status;
	const char *text;
} answers[] = {
	{ ERR_INVALID, 400, "The request is malformed" },
	{ ERR_NOT_FOUND, 404, "Not found" },
	{ ERR_EXISTS, 409, "It exists already" },
	{ ERR_CONFLICT, 412, "The state changed meanwhile. Refresh and try again" },
	{ ERR_CORRUPT, 500, "Stored bytes are damaged" },
	{ ERR_TOO_BIG, 413, "The request is too large" },
	{ ERR_RANGE, 416, "The range is outside the object" },
	{ ERR_NO_SPACE, 507, "The server is out of disk space" },
	{ ERR_DENIED, 403, "You don't have the required permissions to perform this operation" },
	{ ERR_UNAUTHENTICATED, 401, "Invalid credentials in Authorization header" },
	{ ERR_BUSY, 503, "The server is busy, try again" },
	{ ERR_UNKNOWN_OUTCOME, 503, "The outcome is not known yet, try again" },
	{ ERR_IO, 500, "The server's storage failed" },
	{ ERR_NO_MEMORY, 503, "The server is out of memory, try again" },
	{ ERR_UNSUPPORTED, 501, "This is not implemented by this server" },
	{ ERR_CLOSED, 503, "The server is shutting down" },
	{ ERR_GATED, 403, "Access to this repository is restricted and you are not in the authorized list" },
};

static const struct answer *answer_of(int err)
{
	static const struct answer unknown = { 0, 500, "Internal error" };
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (answers[i].err == err)
			return &answers[i];
	return &unknown;
}

int answer_status(int err)
{
	return answer_of(err)->status;
}

void answer_err(struct http_request *request, int err, const struct why *why)
{
	const struct answer *answer = answer_of(err);
	if (answer->status == 503)
		http_add_headerf(request, "Retry-After", "%d", ANSWER_RETRY_AFTER_S);
	http_reply_error(request, answer->status, err == ERR_UNSUPPORTED ? "NotImplemented" : err == ERR_GATED ? "GatedRepo" : NULL,
		why && why->text[0] ? why->text : answer->text);
}

void answer_bad_token(struct http_request *request)
{
	answer_err(request, ERR_UNAUTHENTICATED, NULL);
}

void answer_login(struct http_request *request)
{
	http_add_header(request, "WWW-Authenticate", "Basic realm=\"cairn\"");
	http_reply_error(request, 401, NULL, "Invalid username or password.");
}

void answer_repo_missing(struct http_request *request, bool anonymous)
{
	if (!anonymous) {
		http_reply_error(request, 404, "RepoNotFound", "Repository not found");
		return;
	}
	http_add_header(request, "WWW-Authenticate", "Basic realm=\"cairn\"");
	http_reply_error(request, 401, "RepoNotFound", "Invalid username or password.");
}

void answer_revision_missing(struct http_request *request, const char *revision)
{
	http_reply_error(request, 404, "RevisionNotFound", http_printf(request, "Invalid rev id: %s", revision));
}

void answer_entry_missing(struct http_request *request, const char *commit, const char *text)
{
	http_add_header(request, "X-Repo-Commit", commit);
	http_reply_error(request, 404, "EntryNotFound", text);
}

void answer_unbuilt(struct http_request *request, const char *what)
{
	http_reply_error(request, 501, "NotImplemented", http_printf(request, "%s: not implemented by this server", what));
}

void answer_json(struct http_request *request, int status, struct buffer *body)
{
	if (!body->failed) {
		http_reply_buffer(request, status, "application/json; charset=utf-8", body); /* takes it; `body` may be the request's memory, gone by now */
		return;
	}
	buffer_fini(body);
	http_reply_error(request, 500, NULL, "The answer is too large to be made");
}
