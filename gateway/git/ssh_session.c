#include <jansson.h>

#include "gateway/git/ssh_session.h"

#include "gateway/answer.h"
#include "gateway/auth/auth.h"
#include "gateway/auth/grant.h"
#include "gateway/git/lease_watch.h"
#include "gateway/git/service.h"
#include "gateway/process.h"
#include "schemas/json_writer.h"
#include "schemas/ssh_command.h"

enum { SESSION_BODY_BYTES_MAX = 16 << 10, SESSION_ANSWER_BYTES_MAX = 64 << 10 };

struct session {
	struct gateway *gateway;
	enum ssh_service service;
	struct ssh_key key;
	struct actor actor;
	struct repo repo;
	struct git_lease lease; /* upload-pack */
};

static const char *text_of(const json_t *body, const char *key)
{
	const char *text = json_string_value(json_object_get(body, key));
	return text ? text : "";
}

/* ------------------------------------------------------------------ who, and which repository */

static int read_service(const json_t *body, enum ssh_service *out, struct why *why)
{
	static const char *const names[] = { "greeting", "upload-pack", "receive-pack", "lfs-download", "lfs-upload" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text_of(body, "service"), names[i]) != 0)
			continue;
		*out = (enum ssh_service)i;
		return 0;
	}
	return why_set(why, ERR_INVALID, "\"service\" names no service");
}

static int find_user(struct session *session, const json_t *body, struct why *why)
{
	struct hash fingerprint;
	if (ssh_fingerprint_from_text(&fingerprint, span_text(text_of(body, "key"))) != 0)
		return why_set(why, ERR_INVALID, "\"key\" is no fingerprint");
	int err = ssh_key_find(session->gateway->ns, &fingerprint, &session->key);
	if (err)
		return err == ERR_NOT_FOUND ? why_set(why, ERR_DENIED, "This SSH key is not known to the hub any more") : err;
	err = auth_by_name(session->gateway->ns, session->key.user, TOKEN_WRITE, &session->actor);
	return err == ERR_UNAUTHENTICATED ? why_set(why, ERR_DENIED, "The owner of this SSH key is gone") : err;
}

static bool writes(enum ssh_service service)
{
	return service == SSH_RECEIVE_PACK || service == SSH_LFS_UPLOAD;
}

static int find_repo(struct session *session, const json_t *body, struct why *why)
{
	static const char *const types[] = { "model", "dataset", "space", "kernel" };
	const char *owner = text_of(body, "owner"), *name = text_of(body, "name");
	enum repo_type type = (enum repo_type)0;
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(text_of(body, "type"), types[i]) == 0)
			type = (enum repo_type)(REPO_MODEL + i);
	if (type == 0)
		return why_set(why, ERR_INVALID, "\"type\" names no type of repositories");
	int err = repo_find(session->gateway->ns, NULL, type, span_text(owner), span_text(name), &session->repo);
	if (err == ERR_NOT_FOUND) /* SSH knows no redirects: what moved is served under its old name */
		err = repo_find_moved(session->gateway->ns, type, span_text(owner), span_text(name), &session->repo);
	struct resource resource = { .repo = &session->repo, .ns = session->gateway->ns };
	if (err == 0)
		err = may(&session->actor, ACTION_READ_FILES, &resource);
	if (err == ERR_NOT_FOUND || err == ERR_INVALID)
		return why_set(why, ERR_NOT_FOUND, "There is no repository %.96s/%.96s, or %s may not see it", owner, name, session->actor.name);
	if (err == ERR_GATED)
		return why_set(why, ERR_DENIED, "Access to %s/%s is restricted; ask for it on its page", session->repo.owner, session->repo.name);
	if (err || !writes(session->service))
		return err;
	err = may(&session->actor, ACTION_WRITE, &resource);
	if (err == ERR_DENIED) /* whoever may propose may push to the pull request that they opened: which ref it is shows later */
		err = may(&session->actor, ACTION_PROPOSE, &resource);
	return err ? why_set(why, ERR_DENIED, "%s may read %s/%s, not write to it", session->actor.name, session->repo.owner, session->repo.name) : 0;
}

/* ------------------------------------------------------------------ what the session gets */

static int lease_repo(struct session *session, const json_t *body, struct why *why)
{
	json_int_t pid = json_integer_value(json_object_get(body, "pid"));
	if (pid < 1 || pid > INT32_MAX)
		return why_set(why, ERR_INVALID, "\"pid\" is no process");
	struct gate_pass pass = { 0 };
	int err = gate_enter(session->gateway->git->gate, &session->repo.id, session->actor.name, &pass, why);
	if (err)
		return err;
	err = git_cache_lease(session->gateway, &session->repo, &session->lease, why);
	if (err) {
		gate_leave(&pass);
		return err;
	}
	err = lease_watch_add(session->gateway->lease_watch, &session->lease, &pass, (pid_t)pid, why);
	if (err) {
		git_cache_release(session->gateway, &session->lease);
		gate_leave(&pass);
	}
	return err;
}

static const char *repo_path(struct http_request *request, const struct repo *repo)
{
	static const char *const prefixes[] = { "", "", "datasets/", "spaces/", "kernels/" };
	return http_printf(request, "/%s%s/%s.git", prefixes[repo->type], repo->owner, repo->name);
}

static void write_repo(struct json_writer *json, struct http_request *request, const struct session *session)
{
	struct grant grant = { .kind = writes(session->service) ? GRANT_GIT_WRITE : GRANT_GIT_READ, .repo = session->repo.id,
		.expires_ms = unix_ms() + SSH_GRANT_MS, .object = session->key.fingerprint };
	memcpy(grant.actor, session->key.user, sizeof(grant.actor));
	char text[GRANT_TEXT_BYTES_MAX];
	grant_sign(session->gateway, &grant, text);
	const char *path = repo_path(request, &session->repo);
	json_text(json, "path", path);
	json_text(json, "url", http_printf(request, "%s%s", http_base_url(request), path));
	json_text(json, "authorization", http_printf(request, "Bearer %s", text));
	json_i64(json, "expires_in", SSH_GRANT_MS / 1000);
	if (session->service == SSH_UPLOAD_PACK)
		json_text(json, "directory", session->lease.dir);
}

static void reply(struct http_request *request, const struct session *session)
{
	struct buffer body;
	buffer_init(&body, SESSION_ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_text(&json, "user", session->actor.name);
	if (session->service != SSH_GREETING)
		write_repo(&json, request, session);
	json_object_end(&json);
	http_add_header(request, "Cache-Control", "no-store");
	answer_json(request, 200, &body);
}

static void session_body(struct http_request *request, struct span text, void *context)
{
	struct session *session = context;
	struct why why = { 0 };
	json_t *body = json_loadb((const char *)text.data, text.length, JSON_REJECT_DUPLICATES, NULL);
	int err = json_is_object(body) ? read_service(body, &session->service, &why) : why_set(&why, ERR_INVALID, "The body must be a JSON object");
	if (err == 0)
		err = find_user(session, body, &why);
	if (err == 0 && session->service != SSH_GREETING)
		err = find_repo(session, body, &why);
	if (err == 0 && session->service == SSH_UPLOAD_PACK)
		err = lease_repo(session, body, &why);
	json_decref(body);
	if (err)
		answer_err(request, err, &why);
	else
		reply(request, session);
}

void ssh_session(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct actor actor;
	struct resource hub = { 0 };
	struct session *session = http_alloc(request, sizeof(*session));
	session->gateway = gateway_of(request);
	if (auth_identify(request, &actor) != 0) {
		answer_bad_token(request);
		return;
	}
	int err = may(&actor, ACTION_OPERATE, &hub);
	if (err == ERR_UNAUTHENTICATED)
		answer_login(request);
	else if (err)
		answer_err(request, err, &(struct why){ "This needs the write token of an administrator" });
	else
		http_collect(request, SESSION_BODY_BYTES_MAX, session_body, session);
}
