#include "gateway/auth/grant.h"
#include "gateway/auth/xet_token.h"
#include "gateway/hub/call.h"
#include "gateway/hub/json_body.h"
#include "gateway/hub/lfs.h"
#include "schemas/json_writer.h"

enum { BATCH_BODY_BYTES_MAX = 4 << 20 };

enum transfer { TRANSFER_BASIC, TRANSFER_MULTIPART, TRANSFER_XET };

struct batch {
	struct http_request *request;
	struct call *call;
	bool is_upload;
	enum transfer transfer;
	int64_t expires_ms;
	struct xet_token xet;     /* TRANSFER_XET */
	const char *xet_href;
	struct json_writer json;
};

static const char *grant_url(const struct batch *batch, const char *verb, const struct grant *grant)
{
	char text[GRANT_TEXT_BYTES_MAX];
	grant_sign(batch->call->gateway, grant, text);
	return http_printf(batch->request, "%s/api/lfs/%s/%s", http_base_url(batch->request), verb, text);
}

static struct grant object_grant(const struct batch *batch, enum grant_kind kind, const struct sha256 *oid, uint64_t length)
{
	struct grant grant = { .kind = kind, .repo = batch->call->repo.id, .expires_ms = batch->expires_ms, .length = length };
	memcpy(grant.actor, batch->call->actor.name, sizeof(grant.actor));
	memcpy(grant.object.bytes, oid->bytes, HASH_BYTES);
	return grant;
}

static void write_action_end(struct batch *batch)
{
	json_i64(&batch->json, "expires_in", LFS_GRANT_MS / 1000);
	json_object_end(&batch->json);
}

/* Parts of equal size, keyed "00001" upwards: clients pair them with their bytes by order. */
static void write_multipart_action(struct batch *batch, const struct sha256 *oid, uint64_t length)
{
	struct json_writer *json = &batch->json;
	uint64_t part_bytes = LFS_PART_BYTES_MIN;
	while (lfs_parts_count(length, part_bytes) > LFS_PARTS_MAX)
		part_bytes *= 2;
	struct grant grant = object_grant(batch, GRANT_LFS_UPLOAD, oid, length);
	grant.number = part_bytes;
	json_object_begin(json, "upload");
	json_text(json, "href", grant_url(batch, "complete", &grant));
	json_object_begin(json, "header");
	json_text(json, "chunk_size", http_printf(batch->request, "%llu", (unsigned long long)part_bytes));
	for (uint64_t i = 0; i < lfs_parts_count(length, part_bytes); i++) {
		uint64_t left = length - i * part_bytes;
		struct grant part = object_grant(batch, GRANT_LFS_PART, oid, left < part_bytes ? left : part_bytes);
		part.number = i + 1;
		json_text(json, http_printf(batch->request, "%05llu", (unsigned long long)i + 1), grant_url(batch, "part", &part));
	}
	json_object_end(json);
	write_action_end(batch);
}

static void write_basic_action(struct batch *batch, const struct sha256 *oid, uint64_t length)
{
	struct grant grant = object_grant(batch, GRANT_LFS_UPLOAD, oid, length);
	json_object_begin(&batch->json, "upload");
	json_text(&batch->json, "href", grant_url(batch, "upload", &grant));
	write_action_end(batch);
}

static void write_xet_action(struct batch *batch)
{
	struct json_writer *json = &batch->json;
	json_object_begin(json, "upload");
	json_text(json, "href", batch->xet_href);
	json_object_begin(json, "header");
	json_text(json, "X-Xet-Cas-Url", batch->xet.cas_url);
	json_text(json, "X-Xet-Access-Token", batch->xet.access_token);
	json_text(json, "X-Xet-Token-Expiration", http_printf(batch->request, "%lld", (long long)batch->xet.expires_s));
	json_text(json, "X-Xet-Session-Id", http_request_id(batch->request));
	json_object_end(json);
	write_action_end(batch);
}

static void write_upload_actions(struct batch *batch, const struct sha256 *oid, uint64_t length)
{
	struct json_writer *json = &batch->json;
	json_bool(json, "authenticated", true);
	json_object_begin(json, "actions");
	if (batch->transfer == TRANSFER_XET) {
		write_xet_action(batch);
	} else {
		if (batch->transfer == TRANSFER_MULTIPART && length > LFS_PART_BYTES_MIN)
			write_multipart_action(batch, oid, length);
		else
			write_basic_action(batch, oid, length);
		struct grant grant = object_grant(batch, GRANT_LFS_UPLOAD, oid, length);
		json_object_begin(json, "verify");
		json_text(json, "href", grant_url(batch, "verify", &grant));
		write_action_end(batch);
	}
	json_object_end(json);
}

static void write_object_error(struct json_writer *json, int code, const char *text)
{
	json_object_begin(json, "error");
	json_i64(json, "code", code);
	json_text(json, "message", text);
	json_object_end(json);
}

static void write_download_actions(struct batch *batch, const struct sha256 *oid, uint64_t length, const struct file_info *known)
{
	struct json_writer *json = &batch->json;
	if (!known) {
		write_object_error(json, 404, "The object does not exist");
		return;
	}
	if (known->length != length) {
		write_object_error(json, 422, "The object has another size");
		return;
	}
	struct grant grant = object_grant(batch, GRANT_LFS_DOWNLOAD, oid, length);
	json_bool(json, "authenticated", true);
	json_object_begin(json, "actions");
	json_object_begin(json, "download");
	json_text(json, "href", grant_url(batch, "download", &grant));
	write_action_end(batch);
	json_object_end(json);
}

/* Lower-case only: an oid has one spelling. */
static int read_oid(const char *text, struct sha256 *out)
{
	for (const char *p = text; *p; p++)
		if (*p >= 'A' && *p <= 'F')
			return ERR_INVALID;
	return hex_decode(out->bytes, HASH_BYTES, text, strlen(text));
}

static void write_object(struct batch *batch, const json_t *object)
{
	struct json_writer *json = &batch->json;
	const char *text = json_body_text(object, "oid", "");
	const json_t *size = json_object_get(object, "size");
	json_int_t length = json_integer_value(size);
	struct sha256 oid;
	json_object_begin(json, NULL);
	json_text(json, "oid", text);
	json_i64(json, "size", length);
	if (read_oid(text, &oid) != 0 || !json_is_integer(size) || length < 0 || (uint64_t)length > LFS_OBJECT_BYTES_MAX) {
		write_object_error(json, 422, "The oid must be 64 lower-case hex digits, and the size a whole number");
		json_object_end(json);
		return;
	}
	struct file_info info;
	int err = store_file_by_sha256(batch->call->gateway->store, &batch->call->repo.id, &oid, &info);
	if (err && err != ERR_NOT_FOUND)
		write_object_error(json, 500, "The object cannot be looked up");
	else if (!batch->is_upload)
		write_download_actions(batch, &oid, (uint64_t)length, err ? NULL : &info);
	else if (err == 0 && info.length != (uint64_t)length)
		write_object_error(json, 422, "The object exists with another size");
	else if (err || info.is_damaged) /* sent again, it is whole again */
		write_upload_actions(batch, &oid, (uint64_t)length);
	json_object_end(json);
}

static bool offers(const json_t *transfers, const char *name)
{
	size_t i;
	const json_t *item;
	json_array_foreach(transfers, i, item)
		if (json_is_string(item) && strcmp(json_string_value(item), name) == 0)
			return true;
	return false;
}

static bool has_large_object(const json_t *objects)
{
	size_t i;
	const json_t *object;
	json_array_foreach(objects, i, object)
		if (json_integer_value(json_object_get(object, "size")) > LFS_PART_BYTES_MIN)
			return true;
	return false;
}

static int choose_transfer(struct batch *batch, const json_t *body)
{
	const json_t *transfers = json_object_get(body, "transfers");
	batch->transfer = TRANSFER_BASIC;
	if (!batch->is_upload)
		return 0;
	if (offers(transfers, "multipart") && has_large_object(json_object_get(body, "objects")))
		batch->transfer = TRANSFER_MULTIPART;
	if (!offers(transfers, "xet"))
		return 0;
	const struct call *call = batch->call;
	batch->transfer = TRANSFER_XET;
	batch->xet_href = http_printf(batch->request, "%s/api/%s/%s/%s/xet-write-token/%s", http_base_url(batch->request),
		type_plural(call->repo.type), call->repo.owner, call->repo.name, call->repo.head + strlen("refs/heads/"));
	return xet_token_issue(batch->request, &call->repo, call->actor.name, true, &batch->xet);
}

static void reply_batch(struct batch *batch, const json_t *body)
{
	static const char *const names[] = { "basic", "multipart", "xet" };
	struct buffer out;
	buffer_init(&out, ANSWER_BYTES_MAX);
	struct json_writer *json = &batch->json;
	json_writer_init(json, &out);
	json_object_begin(json, NULL);
	json_text(json, "transfer", names[batch->transfer]);
	json_text(json, "hash_algo", "sha256");
	json_array_begin(json, "objects");
	size_t i;
	const json_t *object;
	json_array_foreach(json_object_get(body, "objects"), i, object)
		if (!out.failed)
			write_object(batch, object);
	json_array_end(json);
	json_object_end(json);
	if (out.failed)
		reply_lfs_error(batch->request, 413, NULL, "The batch is too large");
	else
		http_reply_buffer(batch->request, 200, "application/vnd.git-lfs+json", &out);
	buffer_fini(&out);
}

static void handle_batch(struct http_request *request, struct call *call, const json_t *body)
{
	const char *operation = json_body_text(body, "operation", "");
	const char *algorithm = json_body_text(body, "hash_algo", "sha256");
	const json_t *objects = json_object_get(body, "objects");
	struct batch batch = { .request = request, .call = call, .is_upload = strcmp(operation, "upload") == 0 };
	struct resource resource = { .repo = &call->repo, .ns = call->gateway->ns };
	int allowed = may(&call->actor, batch.is_upload ? ACTION_PROPOSE : ACTION_READ_FILES, &resource); /* uploads may be for a pull request */
	if (!batch.is_upload && strcmp(operation, "download") != 0) {
		reply_lfs_error(request, 422, NULL, "The operation must be \"upload\" or \"download\"");
	} else if (strcmp(algorithm, "sha256") != 0 && strcmp(algorithm, "sha_256") != 0) {
		reply_lfs_error(request, 409, NULL, "The only hash algorithm here is sha256");
	} else if (!json_is_array(objects)) {
		reply_lfs_error(request, 422, NULL, "\"objects\" must be a list");
	} else if (json_array_size(objects) > LFS_BATCH_OBJECTS_MAX) {
		reply_lfs_error(request, 413, NULL, "Too many objects in one batch");
	} else if (allowed == ERR_GATED) {
		reply_lfs_error(request, call->actor.anonymous ? 401 : 403, "GatedRepo",
			"Access to this repository is restricted and you are not in the authorized list");
	} else if (batch.is_upload && allowed != 0) {
		if (call->actor.anonymous) {
			http_add_header(request, "WWW-Authenticate", "Basic realm=\"cairn\"");
			reply_lfs_error(request, 401, NULL, "Credentials are needed to upload");
		} else {
			reply_lfs_error(request, 403, NULL, "You may not write to this repository");
		}
	} else {
		batch.expires_ms = unix_ms() + LFS_GRANT_MS;
		if (choose_transfer(&batch, body) != 0)
			reply_lfs_error(request, 500, NULL, "A token could not be made");
		else
			reply_batch(&batch, body);
	}
}

static void batch_body(struct http_request *request, struct span text, void *context)
{
	struct why why = { 0 };
	json_t *body = json_body_parse(text, &why);
	if (body)
		handle_batch(request, context, body);
	else
		reply_lfs_error(request, 422, NULL, why.text);
	json_decref(body);
}

void lfs_batch(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 0, ACTION_READ);
	if (call)
		http_collect(request, BATCH_BODY_BYTES_MAX, batch_body, call);
}
