#include "gateway/hub/discussion_call.h"

#include <stdlib.h>
#include <strings.h>

struct call *discussion_call_open(struct http_request *request, const struct route_match *match, size_t after, enum action action)
{
	struct call *call = call_open_repo(request, match, after, ACTION_READ);
	if (!call || (!call->repo.discussions_disabled && call_may(request, call, action)))
		return call;
	if (call->repo.discussions_disabled)
		http_reply_error(request, 403, NULL, "Discussions and pull requests are disabled for this repository");
	return NULL;
}

int discussion_call_find(struct http_request *request, struct call *call, struct discussion *out)
{
	const char *text = http_decode(request, call->captures[0], false);
	char *end = NULL;
	unsigned long long number = text && *text >= '1' && *text <= '9' ? strtoull(text, &end, 10) : 0;
	int err = number == 0 || *end ? ERR_NOT_FOUND : discussion_get(call->gateway->ns, &call->repo.id, number, out);
	if (err == ERR_NOT_FOUND)
		http_reply_error(request, 404, NULL, http_printf(request, "Discussion %.40s not found", text ? text : ""));
	else if (err)
		answer_err(request, err, NULL);
	return err;
}

struct wanted {
	struct entity_id id;
	struct discussion_event *out;
};

static int match_event(void *context, const struct discussion_event *event, struct span text)
{
	(void)text;
	struct wanted *wanted = context;
	if (event->kind != EVENT_COMMENT || memcmp(event->id.bytes, wanted->id.bytes, ENTITY_ID_BYTES) != 0)
		return 0;
	*wanted->out = *event;
	return 1;
}

int discussion_call_find_comment(struct http_request *request, struct call *call, uint64_t number, struct discussion_event *out)
{
	struct wanted wanted = { .out = out };
	struct span text = call->captures[1];
	int found = hex_decode(wanted.id.bytes, ENTITY_ID_BYTES, (const char *)text.data, text.length) != 0 ? 0 :
		discussion_events(call->gateway->ns, &call->repo.id, number, 0, match_event, &wanted);
	if (found == 1)
		return 0;
	if (found == 0)
		http_reply_error(request, 404, NULL, "Comment not found");
	else
		answer_err(request, found, NULL);
	return found ? found : ERR_NOT_FOUND;
}

bool discussion_call_writes(const struct call *call)
{
	struct resource resource = { .repo = &call->repo, .ns = call->gateway->ns };
	return may(&call->actor, ACTION_WRITE, &resource) == 0;
}

bool discussion_call_owns(struct http_request *request, const struct call *call, const char *author)
{
	if (strcasecmp(call->actor.name, author) == 0 || discussion_call_writes(call))
		return true;
	http_reply_error(request, 403, NULL, "Only its author and those who may write to the repository can do this");
	return false;
}
