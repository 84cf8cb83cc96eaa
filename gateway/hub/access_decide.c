/* access_decide.c - deciding requests for access, and letting users in who did not ask. Handlers declared in access.h. */
#include "gateway/hub/access.h"

#include <sodium.h>
#include <stdio.h>

#include "gateway/hub/access_call.h"
#include "schemas/json_writer.h"

enum { BATCH_MAX = 100 };

/* ------------------------------------------------------------------ whom */

struct wanted_id {
	struct namespace *ns;
	struct entity_id id;
	struct user *out;
};

static int match_user(void *context, const struct user *user)
{
	struct wanted_id *wanted = context;
	if (memcmp(user->id.bytes, wanted->id.bytes, ENTITY_ID_BYTES) != 0)
		return 0;
	*wanted->out = *user;
	return 1;
}

static int match_request(void *context, const struct access_request *asked)
{
	struct wanted_id *wanted = context;
	struct user user;
	int err = user_find(wanted->ns, asked->user, &user);
	return err ? (err == ERR_NOT_FOUND ? 0 : err) : match_user(context, &user);
}

/* Among those who asked for this repository; else among all, which only a grant is ever about. */
static int find_by_id(struct call *call, const char *text, struct user *out)
{
	struct wanted_id wanted = { .ns = call->gateway->ns, .out = out };
	int found = hex_decode(wanted.id.bytes, ENTITY_ID_BYTES, text, strlen(text)) == 0 ? 0 : ERR_NOT_FOUND;
	for (int status = ACCESS_PENDING; status <= ACCESS_REJECTED && found == 0; status++)
		found = access_list(wanted.ns, &call->repo.id, (enum access_status)status, 0, NULL, match_request, &wanted);
	if (found == 0)
		found = user_list(wanted.ns, NULL, match_user, &wanted);
	return found == 1 ? 0 : found == 0 ? ERR_NOT_FOUND : found;
}

/* The user that a body names: directly, by id, or by a request's id, which is nothing but the name again. *asked gets what it said. */
static int find_user(struct call *call, const json_t *body, struct user *out, const char **asked)
{
	const char *id = json_body_text(body, "userId", NULL), *request_id = json_body_text(body, "requestId", NULL);
	char decoded[NAME_BYTES_MAX + 1] = { 0 };
	*asked = id ? id : request_id ? request_id : json_body_text(body, "user", "");
	if (id)
		return find_by_id(call, id, out);
	if (!request_id)
		return user_find(call->gateway->ns, *asked, out);
	size_t length = 0;
	if (sodium_base642bin((uint8_t *)decoded, NAME_BYTES_MAX, request_id, strlen(request_id), NULL, &length, NULL,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
		return ERR_NOT_FOUND;
	decoded[length] = 0;
	return user_find(call->gateway->ns, decoded, out);
}

/* NULL: answered already. */
static const char *user_named(struct http_request *request, struct call *call, const json_t *body)
{
	struct user user;
	const char *asked;
	int err = find_user(call, body, &user, &asked);
	if (err == 0)
		return http_printf(request, "%s", user.name);
	if (err == ERR_NOT_FOUND)
		http_reply_error(request, 404, NULL, http_printf(request, "User %.100s does not exist", asked));
	else
		answer_err(request, err, NULL);
	return NULL;
}

/* ------------------------------------------------------------------ one */

static void handle(struct http_request *request, struct call *call, const json_t *body)
{
	enum access_status status;
	const char *reason = json_body_text(body, "rejectionReason", "");
	const char *user = user_named(request, call, body);
	if (!user)
		return;
	if (access_status_from(span_text(json_body_text(body, "status", "")), &status) != 0) {
		http_reply_error(request, 400, NULL, "\"status\" must be pending, accepted or rejected");
		return;
	}
	struct why why = { 0 };
	int err = access_decide(call->gateway->ns, call->actor.name, &call->repo.id, user, status, status == ACCESS_REJECTED ? reason : "", &why);
	if (err == ERR_EXISTS) /* what clients expect of a decision that is made already */
		http_reply_error(request, 404, NULL, why.text);
	else if (err)
		answer_err(request, err, &why);
	else
		reply_success(request);
}

void access_handled(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 0, ACTION_ADMIN);
	if (call && !access_refuse_ungated(request, call))
		body_call(request, call, ACCESS_BODY_BYTES_MAX, handle);
}

static void grant(struct http_request *request, struct call *call, const json_t *body)
{
	const char *user = user_named(request, call, body);
	if (!user)
		return;
	struct why why = { 0 };
	int err = access_grant(call->gateway->ns, call->actor.name, &call->repo.id, user, &why);
	if (err == ERR_EXISTS)
		http_reply_error(request, 400, NULL, http_printf(request, "The user %s already has access", user));
	else if (err)
		answer_err(request, err, &why);
	else
		reply_success(request);
}

void access_granted(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 0, ACTION_ADMIN);
	if (call && !access_refuse_ungated(request, call))
		body_call(request, call, ACCESS_BODY_BYTES_MAX, grant);
}

/* ------------------------------------------------------------------ many */

/* What became of one: NULL, or the word that the answer has for it. Another error: *err. */
static const char *decide_one(struct call *call, const json_t *item, enum access_status status, const char *reason, int *err)
{
	struct user user;
	struct why why = { 0 };
	const char *asked;
	*err = find_user(call, item, &user, &asked);
	if (*err == ERR_NOT_FOUND) {
		*err = 0;
		return "user_not_found";
	}
	if (*err == 0)
		*err = access_decide(call->gateway->ns, call->actor.name, &call->repo.id, user.name, status, reason, &why);
	if (*err == ERR_EXISTS) /* decided so already */
		*err = 0;
	if (*err != ERR_NOT_FOUND)
		return NULL;
	*err = 0;
	return "request_not_found";
}

static void copy_text(struct json_writer *json, const json_t *item, const char *key)
{
	const char *text = json_body_text(item, key, NULL);
	if (text)
		json_text(json, key, text);
}

static void write_outcomes(struct http_request *request, struct call *call, const json_t *requests, enum access_status status, const char *reason)
{
	struct buffer body;
	struct json_writer json;
	int err = 0;
	buffer_init(&body, ANSWER_BYTES_MAX);
	json_writer_init(&json, &body);
	json_array_begin(&json, NULL);
	for (size_t i = 0; i < json_array_size(requests) && err == 0; i++) {
		const json_t *item = json_array_get(requests, i);
		const char *wrong = decide_one(call, item, status, reason, &err);
		json_object_begin(&json, NULL);
		copy_text(&json, item, "userId");
		copy_text(&json, item, "user");
		json_bool(&json, "ok", wrong == NULL);
		if (wrong)
			json_text(&json, "error", wrong);
		json_object_end(&json);
	}
	json_array_end(&json);
	if (err == 0) {
		answer_json(request, 200, &body);
		return;
	}
	buffer_fini(&body);
	answer_err(request, err, NULL); /* those before it are decided, and are so when the call is repeated */
}

static void handle_many(struct http_request *request, struct call *call, const json_t *body)
{
	enum access_status status = ACCESS_PENDING;
	const json_t *requests = json_object_get(body, "requests");
	const char *reason = json_body_text(body, "rejectionReason", "");
	bool decided = access_status_from(span_text(json_body_text(body, "status", "")), &status) == 0 && status != ACCESS_PENDING;
	if (!decided || !json_is_array(requests) || json_array_size(requests) == 0 || json_array_size(requests) > BATCH_MAX || strlen(reason) > ACCESS_REASON_BYTES_MAX)
		http_reply_error(request, 400, NULL, http_printf(request, "\"status\" must be accepted or rejected, \"requests\" a list of 1 to %d users, and a reason has at most "
			"%d bytes", BATCH_MAX, ACCESS_REASON_BYTES_MAX));
	else
		write_outcomes(request, call, requests, status, status == ACCESS_REJECTED ? reason : "");
}

void access_handled_many(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 0, ACTION_ADMIN);
	if (call && !access_refuse_ungated(request, call))
		body_call(request, call, ACCESS_BODY_BYTES_MAX, handle_many);
}
