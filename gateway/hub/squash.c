/* squash.c - POST .../super-squash/{branch}: one commit in place of a history. */
#include "gateway/hub/rewrite.h"

#include <stdio.h>

#include "gateway/hub/body_call.h"
#include "schemas/json_writer.h"

enum { SQUASH_BODY_BYTES_MAX = 256 << 10, SQUASH_MESSAGE_BYTES_MAX = 64 << 10 };

/* The branch or pull request that the revision names, as a full ref name; NULL: none. */
static const char *ref_of(struct http_request *request, struct call *call, const char *revision)
{
	struct ref ref;
	const char *full = strcmp(revision, "HEAD") == 0 ? call->repo.head : strncmp(revision, "refs/", 5) == 0 ? revision :
		http_printf(request, "refs/heads/%s", revision);
	bool writable = strncmp(full, "refs/heads/", 11) == 0 || strncmp(full, "refs/pr/", 8) == 0;
	return writable && strlen(full) <= REF_BYTES_MAX && ref_get(call->gateway->ns, NULL, &call->repo.id, full, &ref) == 0 ? full : NULL;
}

static int may_squash(const struct call *call, const char *ref)
{
	struct resource resource = { .repo = &call->repo, .ns = call->gateway->ns };
	return may_move_ref(&call->actor, &resource, ref);
}

static void squash_with(struct http_request *request, struct call *call, const json_t *body)
{
	const char *revision = call->state, *ref = ref_of(request, call, revision);
	const char *message = json_body_text(body, "message", "");
	struct user user;
	struct oid commit;
	struct why why = { 0 };
	if (!ref) {
		answer_revision_missing(request, revision);
		return;
	}
	int err = may_squash(call, ref);
	if (err == 0 && strlen(message) > SQUASH_MESSAGE_BYTES_MAX)
		err = why_set(&why, ERR_INVALID, "The message is longer than %d bytes", SQUASH_MESSAGE_BYTES_MAX);
	bool has_user = user_find(call->gateway->ns, call->actor.name, &user) == 0;
	struct commit_author author = { .name = call->actor.name, .email = has_user ? user.email : "", .when_ms = unix_ms() };
	if (!*message)
		message = http_printf(request, "Super-squash branch '%s'", revision);
	if (err == 0)
		err = repo_squash(call->gateway, &call->repo, &call->actor, ref, &author, span_text(message), &commit, &why);
	if (err) {
		answer_err(request, err, &why);
		return;
	}
	char text[OID_TEXT_BYTES];
	hex_encode(text, commit.bytes, OID_BYTES);
	struct buffer out;
	buffer_init(&out, ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &out);
	json_object_begin(&json, NULL);
	json_text(&json, "commitId", text);
	json_object_end(&json);
	answer_json(request, 200, &out);
}

void super_squash(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 1, ACTION_PROPOSE); /* a pull request is its author's to squash */
	const char *revision = call ? call_text(request, call, 0) : NULL;
	if (!revision)
		return;
	call->state = (void *)revision;
	body_call(request, call, SQUASH_BODY_BYTES_MAX, squash_with);
}
