#include "gateway/admin/ssh_keys.h"

#include "gateway/admin/admin.h"
#include "gateway/admin/admin_body.h"
#include "gateway/admin/operator.h"
#include "gateway/answer.h"
#include "gateway/auth/ssh_key_json.h"

struct key_call {
	struct actor *actor;
	struct hash fingerprint;
};

static void list_work(struct http_request *request, void *context)
{
	ssh_key_list_reply(request, context);
}

void admin_ssh_keys_list(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (operator_open(request))
		http_work(request, list_work, http_query_value(request, "user", 0));
}

static int read_key(struct namespace *ns, const struct admin_body *body, struct ssh_key *out, struct why *why)
{
	if (!body)
		return why_set(why, ERR_INVALID, "The body must be a JSON object");
	int err = 0;
	struct user user;
	const char *name = admin_body_text(body, "user", "", &err, why);
	const char *title = admin_body_text(body, "title", "", &err, why);
	const char *text = admin_body_text(body, "key", "", &err, why);
	if (err == 0 && user_find(ns, name, &user) != 0)
		err = why_set(why, ERR_NOT_FOUND, "There is no user \"%.96s\"", name);
	return err ? err : ssh_key_read(out, user.name, text, title, why);
}

static void add_body(struct http_request *request, struct span text, void *context)
{
	const struct actor *actor = context;
	struct ssh_key key;
	struct why why = { 0 };
	struct admin_body *body = admin_body_parse(text);
	int err = read_key(gateway_of(request)->ns, body, &key, &why);
	admin_body_free(body);
	if (err)
		answer_err(request, err, &why);
	else
		ssh_key_add_reply(request, actor->name, &key);
}

void admin_ssh_keys_add(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct actor *actor = operator_open(request);
	if (actor)
		http_collect(request, SSH_KEY_BODY_BYTES_MAX, add_body, actor);
}

/* Asked by sshd for every key that a client offers, so it is answered from memory nearly always. */
void admin_ssh_keys_get(struct http_request *request, const struct route_match *match)
{
	struct hash fingerprint;
	struct ssh_key key;
	if (!operator_open(request) || !ssh_key_fingerprint(request, match->captures[0], &fingerprint))
		return;
	int err = ssh_key_find(gateway_of(request)->ns, &fingerprint, &key);
	if (err) {
		answer_err(request, err, err == ERR_NOT_FOUND ? &(struct why){ "There is no such key" } : NULL);
		return;
	}
	struct buffer body;
	buffer_init(&body, ADMIN_BODY_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	ssh_key_write(&json, &key);
	answer_json(request, 200, &body);
}

static void delete_work(struct http_request *request, void *context)
{
	const struct key_call *call = context;
	ssh_key_delete_reply(request, call->actor->name, &call->fingerprint, NULL);
}

void admin_ssh_keys_delete(struct http_request *request, const struct route_match *match)
{
	struct key_call *call = http_alloc(request, sizeof(*call));
	call->actor = operator_open(request);
	if (call->actor && ssh_key_fingerprint(request, match->captures[0], &call->fingerprint))
		http_work(request, delete_work, call);
}
