#include "gateway/hub/duplicate.h"

#include "gateway/hub/call.h"
#include "gateway/hub/json_body.h"
#include "gateway/repo/damage.h"
#include "gateway/repo/quota.h"
#include "gateway/store_caller.h"
#include "schemas/json_writer.h"

enum { DUPLICATE_FILES_MAX = 1000, DUPLICATE_BODY_BYTES_MAX = 2 << 20 };

/* The repository that the body names and the caller may write to. 0; else answered. */
static int find_target(struct http_request *request, struct call *call, const json_t *body, struct repo *target)
{
	const json_t *named = json_object_get(body, "target");
	const char *name = json_body_text(named, "name", "");
	enum repo_type type;
	char owner[NAME_BYTES_MAX + 1], last[NAME_BYTES_MAX + 1];
	struct resource resource = { .repo = target };
	if (type_from_singular(json_body_text(named, "type", NULL), &type) != 0 || repo_name_split(name, "", owner, last) != 0) {
		http_reply_error(request, 400, NULL, "\"target\" must name a repository by its type and name");
		return ERR_INVALID;
	}
	int err = repo_find(call->gateway->ns, NULL, type, span_text(owner), span_text(last), target);
	if (err == 0)
		err = may(&call->actor, ACTION_WRITE, &resource);
	if (err == ERR_NOT_FOUND || err == ERR_UNAUTHENTICATED)
		answer_repo_missing(request, call->actor.anonymous);
	else if (err)
		answer_err(request, err, NULL);
	return err;
}

/* The stored file that an item names by its digest, its Xet hash or both. 0 or ERR_*. */
static int find_file(struct call *call, const json_t *item, struct store_caller *caller, struct hash *out, struct why *why)
{
	const char *digest = json_body_text(item, "sha256", ""), *text = json_body_text(item, "xetHash", NULL);
	struct sha256 sha256;
	struct file_info info;
	if (hex_decode(sha256.bytes, HASH_BYTES, digest, strlen(digest)) != 0)
		return why_set(why, ERR_INVALID, "The sha256 must be 64 hex digits");
	int err = store_find_verified(call->gateway->store, &call->repo.id, &sha256, caller, &info, NULL);
	if (err)
		return why_set(why, err, err == ERR_NOT_FOUND ? "The file is not in this repository" : "The file cannot be looked up");
	*out = info.file;
	if (!text)
		return damage_check(&info, &sha256, span_of(NULL, 0), why);
	struct hash file;
	if (hash_from_text(&file, text, strlen(text)) != 0)
		return why_set(why, ERR_INVALID, "The xetHash must be 64 hex digits");
	/* Several files may have one digest: the one asked for, if it is here under that digest. */
	err = store_find_file(call->gateway->store, &call->repo.id, &file, &info);
	if (err && err != ERR_NOT_FOUND)
		return why_set(why, err, "The file cannot be looked up");
	if (err || !info.has_sha256 || memcmp(info.sha256.bytes, sha256.bytes, HASH_BYTES) != 0)
		return why_set(why, ERR_NOT_FOUND, "The file is not in this repository");
	*out = file;
	info.is_damaged = store_file_is_damaged(call->gateway->store, &file);
	return damage_check(&info, &sha256, span_of(NULL, 0), why);
}

static void write_failure(struct json_writer *json, const json_t *item, const struct why *why)
{
	json_object_begin(json, NULL);
	json_text(json, "sha256", json_body_text(item, "sha256", ""));
	json_text(json, "error", why->text[0] ? why->text : "The file cannot be claimed");
	json_object_end(json);
}

static int claim(struct call *call, const struct repo *target, const struct hash *file, struct why *why)
{
	struct store *store = call->gateway->store;
	struct quota_reservation reservation;
	struct file_info info;
	bool adds = quota_applies(call->gateway, target) && store_file_info(store, file, &info) == 0 && store_claim_check(store, &target->id, file) != 0;
	int err = quota_reserve(call->gateway, target, &call->actor, adds ? info.length : 0, &reservation, why);
	if (err == 0)
		err = store_claim(store, &target->id, file, why);
	quota_release(&reservation, err == 0);
	return err;
}

static void duplicate(struct http_request *request, struct call *call, const json_t *files, const struct repo *target)
{
	struct buffer out;
	buffer_init(&out, ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &out);
	json_object_begin(&json, NULL);
	json_array_begin(&json, "failed");
	size_t i, succeeded = 0;
	const json_t *item;
	struct store_caller caller = store_caller_of(request);
	json_array_foreach(files, i, item) {
		struct hash file;
		struct why why = { 0 };
		int err = find_file(call, item, &caller, &file, &why);
		if (err == 0 && !hash_is_zero(&file))
			err = claim(call, target, &file, &why);
		if (err)
			write_failure(&json, item, &why);
		else
			succeeded++;
	}
	json_array_end(&json);
	size_t processed = json_array_size(files);
	json_bool(&json, "success", succeeded == processed);
	json_u64(&json, "processed", processed);
	json_u64(&json, "succeeded", succeeded);
	json_object_end(&json);
	answer_json(request, succeeded == processed ? 200 : 207, &out);
}

static void duplicate_body(struct http_request *request, struct span text, void *context)
{
	struct call *call = context;
	struct repo target;
	struct why why = { 0 };
	json_t *body = json_body_parse(text, &why);
	const json_t *files = json_object_get(body, "files");
	if (!body)
		answer_err(request, ERR_INVALID, &why);
	else if (!json_is_array(files) || json_array_size(files) > DUPLICATE_FILES_MAX)
		http_reply_error(request, 400, NULL, http_printf(request, "\"files\" must be a list of at most %d files", DUPLICATE_FILES_MAX));
	else if (find_target(request, call, body, &target) == 0)
		duplicate(request, call, files, &target);
	json_decref(body);
}

void lfs_files_duplicate(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 0, ACTION_READ_FILES);
	if (call)
		http_collect(request, DUPLICATE_BODY_BYTES_MAX, duplicate_body, call);
}
