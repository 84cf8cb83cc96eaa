#include "gateway/hub/lfs_call.h"

#include <strings.h>

#include "gateway/moved.h"
#include "schemas/json_writer.h"

/* ------------------------------------------------------------------ answers */

void lfs_reply_error(struct http_request *request, int status, const char *code, const char *text)
{
	struct buffer body;
	buffer_init(&body, ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_text(&json, "error", text);
	json_text(&json, "message", text);
	json_text(&json, "request_id", http_request_id(request));
	json_object_end(&json);
	char *line = http_strndup(request, text, strlen(text));
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	http_add_header(request, "X-Error-Message", line);
	if (code)
		http_add_header(request, "X-Error-Code", code);
	if (status == 401) {
		http_add_header(request, "LFS-Authenticate", "Basic realm=\"cairn\"");
		http_add_header(request, "WWW-Authenticate", "Basic realm=\"cairn\"");
	}
	if (status == 503 || status == 429)
		http_add_headerf(request, "Retry-After", "%d", ANSWER_RETRY_AFTER_S);
	http_reply_buffer(request, status, LFS_MEDIA_TYPE, &body);
	buffer_fini(&body);
}

void lfs_reply_err(struct http_request *request, int err, const struct why *why)
{
	/* 422 is what git-lfs does not repeat; the other statuses are those of every other call. */
	int status = err == ERR_INVALID ? 422 : err == ERR_EXISTS || err == ERR_CONFLICT ? 409 : answer_status(err);
	lfs_reply_error(request, status, NULL, why && why->text[0] ? why->text : "The request cannot be carried out now");
}

void lfs_reply_json(struct http_request *request, int status, struct buffer *body)
{
	if (!body->failed) {
		http_reply_buffer(request, status, LFS_MEDIA_TYPE, body); /* takes it; `body` may be the request's memory, gone by now */
		return;
	}
	buffer_fini(body);
	lfs_reply_error(request, 413, NULL, "The answer is too large to be made");
}

/* ------------------------------------------------------------------ opening */

/* One range of an Accept field, without blanks and parameters. */
static bool range_takes_lfs(const uint8_t *data, size_t length)
{
	static const char *const takers[] = { LFS_MEDIA_TYPE, "*/*", "application/*" };
	while (length && (*data == ' ' || *data == '\t'))
		data++, length--;
	const uint8_t *end = memchr(data, ';', length);
	length = end ? (size_t)(end - data) : length;
	while (length && (data[length - 1] == ' ' || data[length - 1] == '\t'))
		length--;
	for (size_t i = 0; i < sizeof(takers) / sizeof(takers[0]); i++)
		if (strlen(takers[i]) == length && strncasecmp(takers[i], (const char *)data, length) == 0)
			return true;
	return false;
}

static bool accepts_lfs(const struct http_request *request)
{
	struct span accept = http_header(request, "Accept");
	if (!accept.data || accept.length == 0)
		return true;
	for (size_t at = 0; at <= accept.length;) {
		const uint8_t *comma = at < accept.length ? memchr(accept.data + at, ',', accept.length - at) : NULL;
		size_t end = comma ? (size_t)(comma - accept.data) : accept.length;
		if (range_takes_lfs(accept.data + at, end - at))
			return true;
		at = end + 1;
	}
	return false;
}

static struct span decoded(struct http_request *request, struct span raw)
{
	if (!memchr(raw.data, '%', raw.length))
		return raw;
	char *text = http_decode(request, raw, false);
	return text ? span_text(text) : span_of(NULL, 0);
}

/* A hidden repository and one that is not there look the same: 401 to the anonymous, who may log in and see it, 404 to others. */
static int find_repo(struct http_request *request, struct call *call, const struct route_match *match, size_t after, struct repo_name *name)
{
	int err = repo_name_from(match, after, name);
	if (err == 0)
		err = repo_find(call->gateway->ns, NULL, name->type, decoded(request, name->owner), decoded(request, name->name), &call->repo);
	struct resource resource = { .repo = &call->repo, .ns = call->gateway->ns };
	return err ? err : may(&call->actor, ACTION_READ, &resource);
}

struct call *lfs_call_open(struct http_request *request, const struct route_match *match, size_t after, enum action action)
{
	struct call *call = http_alloc(request, sizeof(*call));
	struct repo_name name;
	call->gateway = gateway_of(request);
	if (!accepts_lfs(request)) {
		lfs_reply_error(request, 406, NULL, "The answer is of the type " LFS_MEDIA_TYPE ", which the Accept header leaves out");
		return NULL;
	}
	if (auth_identify_for_repo(request, &call->actor) != 0) {
		lfs_reply_error(request, 401, NULL, "Invalid credentials in Authorization header");
		return NULL;
	}
	int err = find_repo(request, call, match, after, &name);
	if (err == ERR_NOT_FOUND && answer_if_moved(request, &call->actor, name.type, name.owner, name.name))
		return NULL;
	if (err == ERR_NOT_FOUND || err == ERR_UNAUTHENTICATED || err == ERR_INVALID) {
		if (call->actor.anonymous)
			lfs_reply_error(request, 401, "RepoNotFound", "Invalid username or password.");
		else
			lfs_reply_error(request, 404, "RepoNotFound", "Repository not found");
		return NULL;
	}
	if (err) {
		lfs_reply_err(request, err, NULL);
		return NULL;
	}
	if (lfs_call_may(request, call, action) != 0)
		return NULL;
	for (size_t i = 0; i < after; i++)
		call->captures[i] = match->captures[name.next + i];
	return call;
}

int lfs_call_may(struct http_request *request, const struct call *call, enum action action)
{
	struct resource resource = { .repo = &call->repo, .ns = call->gateway->ns };
	int err = may(&call->actor, action, &resource);
	if (err == ERR_GATED)
		lfs_reply_error(request, call->actor.anonymous ? 401 : 403, "GatedRepo",
			"Access to this repository is restricted and you are not in the authorized list");
	else if (err && call->actor.anonymous)
		lfs_reply_error(request, 401, NULL, "Credentials are needed for this");
	else if (err)
		lfs_reply_error(request, 403, NULL, action == ACTION_ADMIN ? "Only who administers the repository may do this" :
			"You may not write to this repository, or your token may only read");
	return err;
}

static enum action action_of(enum grant_kind kind)
{
	return kind == GRANT_LFS_DOWNLOAD ? ACTION_READ_FILES : ACTION_PROPOSE;
}

struct grant *lfs_grant_open(struct http_request *request, const struct route_match *match, enum grant_kind kind, struct actor *holder, struct repo *repo)
{
	struct gateway *gateway = gateway_of(request);
	struct grant *grant = http_alloc(request, sizeof(*grant));
	struct repo *found = repo ? repo : http_alloc(request, sizeof(*found));
	struct actor *by = holder ? holder : http_alloc(request, sizeof(*by));
	if (grant_verify(gateway, match->captures[0], grant) != 0 || grant->kind != kind) {
		lfs_reply_error(request, 403, NULL, "This URL is not valid, or no longer");
		return NULL;
	}
	http_set_actor_name(request, grant->actor);
	int err = grant_holder(gateway, grant, action_of(kind), by, found);
	if (err == 0)
		return grant;
	if (repo_get(gateway->ns, NULL, &grant->repo, found) == ERR_NOT_FOUND)
		lfs_reply_error(request, 404, "RepoNotFound", "Repository not found");
	else
		lfs_reply_err(request, err, &(struct why){ "Whom this URL was made for may no longer do this" });
	return NULL;
}
