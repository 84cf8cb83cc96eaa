#include "gateway/hub/ssh_keys.h"

#include "gateway/auth/ssh_key_json.h"
#include "gateway/hub/call.h"
#include "gateway/hub/json_body.h"

/* NULL: answered already. */
static struct call *open_signed_in(struct http_request *request, bool wants_write)
{
	struct call *call = call_open(request);
	if (call && call->actor.anonymous) {
		answer_login(request);
		return NULL;
	}
	if (call && wants_write && call->actor.role != TOKEN_WRITE) {
		answer_err(request, ERR_DENIED, &(struct why){ "Changing SSH keys needs a token with the role \"write\"" });
		return NULL;
	}
	return call;
}

static void list_work(struct http_request *request, void *context)
{
	const struct call *call = context;
	ssh_key_list_reply(request, call->actor.name);
}

void ssh_keys_list(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct call *call = open_signed_in(request, false);
	if (call)
		http_work(request, list_work, call);
}

static void add_body(struct http_request *request, struct span text, void *context)
{
	const struct call *call = context;
	struct ssh_key key;
	struct why why = { 0 };
	json_t *body = json_body_parse(text, &why);
	int err = body ? ssh_key_read(&key, call->actor.name, json_body_text(body, "key", ""), json_body_text(body, "title", ""), &why) : ERR_INVALID;
	json_decref(body);
	if (err)
		answer_err(request, err, &why);
	else
		ssh_key_add_reply(request, call->actor.name, &key);
}

void ssh_keys_add(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct call *call = open_signed_in(request, true);
	if (call)
		http_collect(request, SSH_KEY_BODY_BYTES_MAX, add_body, call);
}

static void delete_work(struct http_request *request, void *context)
{
	const struct call *call = context;
	ssh_key_delete_reply(request, call->actor.name, call->state, call->actor.name);
}

void ssh_keys_delete(struct http_request *request, const struct route_match *match)
{
	struct call *call = open_signed_in(request, true);
	if (!call)
		return;
	call->state = http_alloc(request, sizeof(struct hash));
	if (ssh_key_fingerprint(request, match->captures[0], call->state))
		http_work(request, delete_work, call);
}
