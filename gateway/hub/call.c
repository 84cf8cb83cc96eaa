#include "gateway/hub/call.h"

#include "gateway/moved.h"
#include "replication/gate.h"

struct call *call_open(struct http_request *request)
{
	struct call *call = http_alloc(request, sizeof(*call));
	call->gateway = gateway_of(request);
	if (auth_identify(request, &call->actor) != 0) {
		answer_bad_token(request);
		return NULL;
	}
	return call;
}

/* Names hold no character that needs an escape, so the raw text is nearly always the name. */
static struct span decoded_segment(struct http_request *request, struct span raw)
{
	if (!memchr(raw.data, '%', raw.length))
		return raw;
	char *text = http_decode(request, raw, false);
	return text ? span_text(text) : span_of(NULL, 0);
}

void answer_gated(struct http_request *request, const struct call *call)
{
	const struct repo *repo = &call->repo;
	const char *what = http_printf(request, "%s %s/%s", type_singular(repo->type), repo->owner, repo->name);
	if (call->actor.anonymous) {
		http_add_header(request, "WWW-Authenticate", "Basic realm=\"cairn\"");
		http_reply_error(request, 401, "GatedRepo", http_printf(request, "Access to %s is restricted. You must have access to it and be "
			"authenticated to access it. Please log in.", what));
		return;
	}
	struct access_request asked;
	bool has_asked = access_get(call->gateway->ns, &repo->id, call->actor.name, &asked) == 0;
	if (has_asked && asked.status == ACCESS_PENDING)
		http_reply_error(request, 403, "GatedRepo", http_printf(request, "Your request to access %s is awaiting a review from the repo authors.", what));
	else if (has_asked && asked.status == ACCESS_REJECTED)
		http_reply_error(request, 403, "GatedRepo", http_printf(request, "Your request to access %s has been rejected by the repo's authors.", what));
	else
		http_reply_error(request, 403, "GatedRepo", http_printf(request, "Access to %s is restricted and you are not in the authorized list. "
			"Visit %s to ask for access.", what, repo_url(request, repo)));
}

struct call *call_open_repo(struct http_request *request, const struct route_match *match, size_t after, enum action action)
{
	struct call *call = call_open(request);
	if (!call)
		return NULL;
	struct repo_name name;
	int err = repo_name_from(match, after, &name);
	if (err == 0)
		err = repo_find(call->gateway->ns, NULL, name.type, decoded_segment(request, name.owner),
			decoded_segment(request, name.name), &call->repo);
	if (err == 0) {
		struct resource resource = { .repo = &call->repo, .ns = call->gateway->ns };
		err = may(&call->actor, action, &resource);
	}
	if (err == ERR_GATED) {
		answer_gated(request, call);
		return NULL;
	}
	if (err == ERR_NOT_FOUND && answer_if_moved(request, &call->actor, name.type, name.owner, name.name))
		return NULL;
	if (err == ERR_NOT_FOUND || err == ERR_UNAUTHENTICATED || err == ERR_INVALID) {
		answer_repo_missing(request, call->actor.anonymous);
		return NULL;
	}
	if (err) {
		answer_err(request, err, NULL);
		return NULL;
	}
	for (size_t i = 0; i < after; i++)
		call->captures[i] = match->captures[name.next + i];
	call->rest = match->rest;
	return call;
}

/* Answers what may() refused. True: it refused nothing. */
static bool allowed(struct http_request *request, struct call *call, int err)
{
	if (err == ERR_GATED)
		answer_gated(request, call);
	else if (err == ERR_NOT_FOUND || err == ERR_UNAUTHENTICATED)
		answer_repo_missing(request, call->actor.anonymous);
	else if (err)
		answer_err(request, err, NULL);
	return err == 0;
}

bool call_may(struct http_request *request, struct call *call, enum action action)
{
	struct resource resource = { .repo = &call->repo, .ns = call->gateway->ns };
	return allowed(request, call, may(&call->actor, action, &resource));
}

bool call_may_move(struct http_request *request, struct call *call, const char *ref)
{
	struct resource resource = { .repo = &call->repo, .ns = call->gateway->ns };
	int err = may_move_ref(&call->actor, &resource, ref);
	if (err != ERR_CONFLICT)
		return allowed(request, call, err);
	http_reply_error(request, 403, NULL, "This pull request is closed or merged: no commits can be added to it");
	return false;
}

bool call_is_proposal(struct http_request *request, const struct route_match *match)
{
	if (http_query_bool(request, "create_pr", false))
		return true;
	const char *revision = match->count ? http_decode(request, match->captures[match->count - 1], false) : NULL;
	return revision && strncmp(revision, "refs/pr/", 8) == 0;
}

static void run_waiting(struct http_request *request, void *context)
{
	struct call *call = context;
	call->run(request, call, REPO_MAY_WAIT);
}

void call_work(struct http_request *request, struct call *call, int (*run)(struct http_request *, struct call *, enum repo_wait))
{
	call->run = run;
	http_work(request, run_waiting, call);
}

void call_run(struct http_request *request, struct call *call, int (*run)(struct http_request *, struct call *, enum repo_wait))
{
	if (run(request, call, REPO_NO_WAIT) == ERR_AGAIN)
		call_work(request, call, run);
}

void call_refuse_address(struct http_request *request)
{
	struct span path = http_path(request);
	bool has_nul = path.length && memmem(path.data, path.length, "%00", 3);
	http_reply_error(request, 400, NULL, has_nul ? "The address contains %00: NUL is allowed in no name" : "The address contains a malformed percent-escape");
}

const char *call_text(struct http_request *request, struct call *call, int k)
{
	const char *text = http_decode(request, call->captures[k], false);
	if (!text)
		call_refuse_address(request);
	return text;
}

static struct span trimmed_path(const char *text)
{
	struct span path = span_text(text);
	while (path.length && path.data[path.length - 1] == '/')
		path.length--;
	while (path.length && path.data[0] == '/')
		path = span_of(path.data + 1, path.length - 1);
	return path;
}

/* A revision whose slashes came raw: the longest ref name that begins "text/rest". */
static int resolve_longer(struct http_request *request, struct call *call, enum repo_wait wait)
{
	struct revision *revision = &call->revision;
	for (int k = REVISION_SEGMENTS_MAX - 1; k >= 1; k--) {
		struct span head, tail;
		if (!names_longer_revision(call->rest, k, &head, &tail))
			continue;
		const char *more = http_decode(request, head, false);
		const char *path = http_decode(request, tail, false);
		if (!more || !path)
			return ERR_NOT_FOUND;
		const char *text = http_printf(request, "%s/%s", revision->text, more);
		int err = repo_resolve(call->gateway, &call->repo, span_text(text), wait, &revision->commit, revision->ref);
		if (err == ERR_NOT_FOUND || err == ERR_INVALID)
			continue;
		revision->text = text;
		revision->path = trimmed_path(path);
		return err;
	}
	return ERR_NOT_FOUND;
}

int call_revision(struct http_request *request, struct call *call, int k, enum repo_wait wait)
{
	struct revision *revision = &call->revision;
	revision->text = call_text(request, call, k);
	if (!revision->text)
		return ERR_INVALID;
	const char *path = http_decode(request, call->rest, false);
	if (!path) {
		call_refuse_address(request);
		return ERR_INVALID;
	}
	revision->path = trimmed_path(path);
	int err = repo_resolve(call->gateway, &call->repo, span_text(revision->text), wait, &revision->commit, revision->ref);
	if (err == ERR_INVALID)
		err = ERR_NOT_FOUND;
	if (err == ERR_NOT_FOUND && call->rest.length)
		err = resolve_longer(request, call, wait);
	if (err == ERR_AGAIN)
		return err;
	if (err == ERR_NOT_FOUND)
		answer_revision_missing(request, revision->text);
	else if (err)
		answer_err(request, err, NULL);
	else
		hex_encode(revision->commit_text, revision->commit.bytes, OID_BYTES);
	return err;
}

/* ------------------------------------------------------------------ answers */

const char *repo_url(struct http_request *request, const struct repo *repo)
{
	return http_printf(request, "%s/%s%s/%s", http_base_url(request), type_prefix(repo->type), repo->owner, repo->name);
}

static bool is_pair_of(struct span pair, const char *key)
{
	size_t length = strlen(key);
	return pair.length >= length && memcmp(pair.data, key, length) == 0 &&
		(pair.length == length || pair.data[length] == '=');
}

/* Header values may hold neither blanks nor controls nor what ends the <> of a Link. */
static bool is_link_safe(struct span text)
{
	for (size_t i = 0; i < text.length; i++)
		if (text.data[i] <= 0x20 || text.data[i] >= 0x7f || text.data[i] == '<' || text.data[i] == '>')
			return false;
	return true;
}

void add_next_link(struct http_request *request, const char *key, const char *value)
{
	struct buffer link;
	buffer_init(&link, LINK_BYTES_MAX);
	struct span path = http_path(request), query = http_query(request);
	buffer_printf(&link, "<%s%.*s?", http_base_url(request), (int)path.length, (const char *)path.data);
	bool link_safe = is_link_safe(path);
	for (size_t at = 0; at < query.length;) {
		const uint8_t *end = memchr(query.data + at, '&', query.length - at);
		size_t length = end ? (size_t)(end - query.data) - at : query.length - at;
		struct span pair = span_of(query.data + at, length);
		at += length + 1;
		if (length == 0 || is_pair_of(pair, key))
			continue;
		link_safe = link_safe && is_link_safe(pair);
		buffer_append(&link, pair.data, pair.length);
		buffer_append_byte(&link, '&');
	}
	buffer_printf(&link, "%s=%s>; rel=\"next\"", key, value);
	buffer_append_byte(&link, 0);
	if (!link.failed && link_safe)
		http_add_header(request, "Link", (const char *)link.data);
	buffer_fini(&link);
}
