#include "gateway/hub/token_call.h"

#include "gateway/auth/xet_token.h"
#include "gateway/downloads.h"
#include "gateway/hub/call.h"
#include "gateway/repo/quota.h"

/* Python clients that were given no revision send the word "None". */
static bool has_revision(const struct call *call)
{
	return !span_equal(call->captures[0], span_text("None"));
}

static int token_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	const bool *write = call->state;
	int err = has_revision(call) ? call_revision(request, call, 0, wait) : 0;
	if (err)
		return err == ERR_AGAIN ? err : 0;
	struct xet_token token;
	struct why why = { 0 };
	if (*write) /* a full owner, or a full disk, is told before the client has cut and hashed its files and repeats what is refused */
		err = quota_check(call->gateway, &call->repo, &call->actor, 1, &why);
	if (*write && err == 0)
		err = store_check_room(call->gateway->store, &why);
	if (err) {
		answer_err(request, err, &why);
		return 0;
	}
	err = xet_token_issue(request, &call->repo, &call->actor, *write, &token);
	if (err == 0 && !*write)
		downloads_count(call->gateway->downloads, request, &call->actor, &call->repo, span_of(NULL, 0));
	if (err)
		answer_err(request, err, NULL);
	else
		xet_token_reply(request, &token);
	return 0;
}

static void token_start(struct http_request *request, const struct route_match *match, bool write)
{
	enum action action = !write ? ACTION_READ_FILES : call_is_proposal(request, match) ? ACTION_PROPOSE : ACTION_WRITE;
	struct call *call = call_open_repo(request, match, 1, action);
	if (!call)
		return;
	bool *state = http_alloc(request, sizeof(*state));
	*state = write;
	call->state = state;
	call_run(request, call, token_run);
}

void xet_read_token(struct http_request *request, const struct route_match *match)
{
	token_start(request, match, false);
}

void xet_write_token(struct http_request *request, const struct route_match *match)
{
	token_start(request, match, true);
}
