/* lfs_batch.c - which objects a client has to move, and where.
 *
 * An object that this repository has is "already there": no actions. So is one that another repository has which the caller may read: it is claimed for
 * this one on the spot, which is as good as sending it again. Anything else has to be sent, whoever may have stored it: the answer for an object that
 * only a hidden repository has is the answer for one that nobody has. Only digests that this server computed count; what a Xet client merely named does not. */
#include "gateway/auth/xet_token.h"
#include "gateway/downloads.h"
#include "gateway/elsewhere.h"
#include "gateway/hub/lfs.h"
#include "gateway/hub/lfs_body.h"
#include "gateway/hub/lfs_call.h"
#include "gateway/repo/quota.h"
#include "schemas/json_writer.h"

enum {
	BATCH_BODY_BYTES_MAX = 4 << 20,
	ASK_OTHERS_MS = 2000, /* in one answer; the objects behind that are read through this node */
};

enum transfer { TRANSFER_BASIC, TRANSFER_MULTIPART, TRANSFER_XET };

/* What is known of an object before anything is answered. */
struct known {
	int err;               /* 0: the caller may have `info`; ERR_NOT_FOUND; ERR_IO */
	bool elsewhere;        /* in another repository, not in this one */
	struct file_info info;
};

struct batch {
	struct http_request *request;
	struct call *call;
	struct lfs_batch_body body;
	struct known *known;   /* one per object; request memory */
	enum transfer transfer;
	int64_t expires_ms;
	int64_t asks_until_ms;    /* other nodes, whether they have what this one lacks */
	struct xet_token xet;     /* TRANSFER_XET */
	const char *xet_href;
	struct json_writer json;
	struct why why;
};

static const char *grant_url_at(const struct batch *batch, const char *base_url, const char *verb, const struct grant *grant)
{
	char text[GRANT_TEXT_BYTES_MAX];
	grant_sign(batch->call->gateway, grant, text);
	return http_printf(batch->request, "%s/api/lfs/%s/%s", base_url, verb, text);
}

static const char *grant_url(const struct batch *batch, const char *verb, const struct grant *grant)
{
	return grant_url_at(batch, http_base_url(batch->request), verb, grant);
}

static struct grant object_grant(const struct batch *batch, enum grant_kind kind, const struct sha256 *oid, uint64_t length)
{
	struct grant grant = { .kind = kind, .repo = batch->call->repo.id, .expires_ms = batch->expires_ms, .length = length };
	grant.token = batch->call->actor.token_id;
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

static bool is_multipart(const struct batch *batch, uint64_t length)
{
	return batch->transfer == TRANSFER_MULTIPART && length > LFS_PART_BYTES_MIN;
}

static void write_upload_actions(struct batch *batch, const struct sha256 *oid, uint64_t length)
{
	struct json_writer *json = &batch->json;
	json_bool(json, "authenticated", true);
	json_object_begin(json, "actions");
	if (batch->transfer == TRANSFER_XET) {
		write_xet_action(batch);
	} else {
		if (is_multipart(batch, length))
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
	const char *base = unix_ms() < batch->asks_until_ms ? elsewhere_file(batch->request, &known->file, length) : NULL;
	json_bool(json, "authenticated", true);
	json_object_begin(json, "actions");
	json_object_begin(json, "download");
	json_text(json, "href", grant_url_at(batch, base ? base : http_base_url(batch->request), "download", &grant));
	write_action_end(batch);
	json_object_end(json);
}

static void write_object(struct batch *batch, const struct lfs_object *object, const struct known *known)
{
	struct json_writer *json = &batch->json;
	json_object_begin(json, NULL);
	json_text(json, "oid", object->text);
	json_i64(json, "size", object->size);
	uint64_t length = (uint64_t)object->size;
	if (!object->valid)
		write_object_error(json, 422, "The oid must be 64 lower-case hex digits, and the size a whole number");
	else if (known->err && known->err != ERR_NOT_FOUND)
		write_object_error(json, 500, "The object cannot be looked up");
	else if (!batch->body.is_upload)
		write_download_actions(batch, &object->oid, length, known->err ? NULL : &known->info);
	else if (known->err == 0 && known->info.length != length)
		write_object_error(json, 422, "The object exists with another size");
	else if (known->err || known->info.is_damaged) /* sent again, it is whole again */
		write_upload_actions(batch, &object->oid, length);
	json_object_end(json);
}

/* ------------------------------------------------------------------ what is there */

static bool may_see(void *context, const struct entity_id *owner)
{
	const struct call *call = context;
	struct repo repo;
	struct resource resource = { .repo = &repo, .ns = call->gateway->ns };
	return repo_get(call->gateway->ns, NULL, owner, &repo) == 0 && may(&call->actor, ACTION_READ_FILES, &resource) == 0;
}

/* In what else the caller may read. Of another size than announced it is not taken: let the upload tell. */
static void look_elsewhere(struct batch *batch, const struct lfs_object *object, struct known *known)
{
	struct file_info seen;
	int err = store_file_by_sha256_seen(batch->call->gateway->store, &object->oid, may_see, batch->call, &seen);
	if (err && err != ERR_NOT_FOUND)
		known->err = err;
	if (err || seen.length != (uint64_t)object->size)
		return;
	known->err = 0;
	known->info = seen;
	known->elsewhere = true;
}

static void look_up(struct batch *batch, const struct lfs_object *object, struct known *known)
{
	struct call *call = batch->call;
	struct store *store = call->gateway->store;
	known->err = ERR_NOT_FOUND;
	if (!object->valid)
		return;
	if (!batch->body.is_upload) {
		known->err = store_find_by_sha256(store, &call->repo.id, &object->oid, &known->info);
		return;
	}
	/* Only here: an object that another node has and this one has not yet may be sent once more. */
	known->err = store_file_by_sha256(store, &call->repo.id, &object->oid, &known->info);
	bool is_damaged = known->err == 0 && known->info.is_damaged;
	if (known->err == 0 && !known->info.sha256_verified && !is_damaged)
		known->err = ERR_NOT_FOUND; /* somebody only said so */
	if (known->err == ERR_NOT_FOUND || is_damaged)
		look_elsewhere(batch, object, known);
}

static bool is_there(const struct lfs_object *object, const struct known *known)
{
	return known->err == 0 && known->info.length == (uint64_t)object->size;
}

static int claim_at_once(struct batch *batch)
{
	struct call *call = batch->call;
	struct hash *files = http_alloc(batch->request, (batch->body.objects_count + 1) * sizeof(*files));
	size_t count = 0;
	for (size_t i = 0; i < batch->body.objects_count; i++)
		if (is_there(&batch->body.objects[i], &batch->known[i]))
			files[count++] = batch->known[i].info.file;
	return store_claim_many(call->gateway->store, &call->repo.id, files, count, &batch->why);
}

/* Other nodes do not answer for the bytes of all these files: what is not here has to be sent. False: all of it is here. */
static bool want_what_is_elsewhere(struct batch *batch)
{
	bool any = false;
	for (size_t i = 0; i < batch->body.objects_count; i++) {
		struct known *known = &batch->known[i];
		if (!is_there(&batch->body.objects[i], known) || store_has_file_whole(batch->call->gateway->store, &known->info.file))
			continue;
		known->err = ERR_NOT_FOUND;
		any = true;
	}
	return any;
}

/* Claims what is there already, anew where it is this repository's: no garbage collection may drop it before a commit names it. What a collection has
 * dropped meanwhile has to be sent. */
static int claim_all(struct batch *batch)
{
	struct call *call = batch->call;
	struct store *store = call->gateway->store;
	int err = claim_at_once(batch);
	if (err == ERR_BUSY && want_what_is_elsewhere(batch))
		err = claim_at_once(batch);
	if (err != ERR_NOT_FOUND)
		return err;
	for (size_t i = 0; i < batch->body.objects_count; i++) {
		struct known *known = &batch->known[i];
		err = is_there(&batch->body.objects[i], known) ? store_claim(store, &call->repo.id, &known->info.file, &batch->why) : 0;
		if (err && err != ERR_NOT_FOUND)
			return err;
		if (err)
			known->err = err;
	}
	return 0;
}

/* Objects of other repositories: they count here from now on, the next call sees them. */
static int claim_counted(struct batch *batch, uint64_t elsewhere_bytes)
{
	struct call *call = batch->call;
	struct quota_reservation reservation;
	int err = quota_reserve(call->gateway, &call->repo, &call->actor, elsewhere_bytes, &reservation, &batch->why);
	if (err)
		return err;
	err = claim_all(batch);
	quota_release(&reservation, err == 0);
	return err;
}

/* ERR_NO_SPACE: what the batch would add is more than the owner may have. */
static int look_up_all(struct batch *batch)
{
	uint64_t more_bytes = 0, elsewhere_bytes = 0;
	batch->known = http_alloc(batch->request, (batch->body.objects_count + 1) * sizeof(*batch->known));
	for (size_t i = 0; i < batch->body.objects_count; i++) {
		const struct lfs_object *object = &batch->body.objects[i];
		look_up(batch, object, &batch->known[i]);
		if (batch->known[i].err == ERR_BUSY)
			return why_set(&batch->why, ERR_BUSY, "The object %s is not known here, and nodes that may have it cannot be asked now; try again",
				object->text);
		uint64_t length = object->valid ? (uint64_t)object->size : 0; /* 1000 times 8 TiB fit, and twice that */
		if (batch->known[i].err)
			more_bytes += is_multipart(batch, length) ? 2 * length : length; /* the parts count beside the object */
		else if (batch->known[i].elsewhere)
			elsewhere_bytes += length;
	}
	if (!batch->body.is_upload)
		return 0;
	int err = quota_check(batch->call->gateway, &batch->call->repo, &batch->call->actor, more_bytes + elsewhere_bytes, &batch->why);
	return err ? err : claim_counted(batch, elsewhere_bytes);
}

/* ------------------------------------------------------------------ the call */

static bool has_large_object(const struct lfs_batch_body *body)
{
	for (size_t i = 0; i < body->objects_count; i++)
		if (body->objects[i].size > LFS_PART_BYTES_MIN)
			return true;
	return false;
}

static int choose_transfer(struct batch *batch)
{
	const struct lfs_batch_body *body = &batch->body;
	batch->transfer = TRANSFER_BASIC;
	if (!body->is_upload)
		return 0;
	if (body->offers_multipart && has_large_object(body))
		batch->transfer = TRANSFER_MULTIPART;
	if (!body->offers_xet)
		return 0;
	const struct call *call = batch->call;
	batch->transfer = TRANSFER_XET;
	batch->xet_href = http_printf(batch->request, "%s/api/%s/%s/%s/xet-write-token/%s", http_base_url(batch->request),
		type_plural(call->repo.type), call->repo.owner, call->repo.name, call->repo.head + strlen("refs/heads/"));
	return xet_token_issue(batch->request, &call->repo, &call->actor, true, &batch->xet);
}

static void reply_batch(struct batch *batch)
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
	for (size_t i = 0; i < batch->body.objects_count && !out.failed; i++)
		write_object(batch, &batch->body.objects[i], &batch->known[i]);
	json_array_end(json);
	json_object_end(json);
	lfs_reply_json(batch->request, 200, &out);
}

/* What it is called is not known here: a download of the repository. */
static void count_download(const struct batch *batch)
{
	const struct call *call = batch->call;
	bool any = false;
	for (size_t i = 0; i < batch->body.objects_count; i++)
		any = any || is_there(&batch->body.objects[i], &batch->known[i]);
	if (any && !batch->body.is_upload)
		downloads_count(call->gateway->downloads, batch->request, &call->actor, &call->repo, span_of(NULL, 0));
}

static void handle_batch(struct batch *batch)
{
	/* Uploads may be for a pull request. */
	if (lfs_call_may(batch->request, batch->call, batch->body.is_upload ? ACTION_PROPOSE : ACTION_READ_FILES) != 0)
		return;
	batch->expires_ms = unix_ms() + LFS_GRANT_MS;
	batch->asks_until_ms = unix_ms() + ASK_OTHERS_MS;
	int err = choose_transfer(batch);
	if (err == 0)
		err = look_up_all(batch);
	if (err) {
		lfs_reply_err(batch->request, err, &batch->why);
		return;
	}
	count_download(batch);
	reply_batch(batch);
}

static void batch_body(struct http_request *request, struct span text, void *context)
{
	struct batch *batch = http_alloc(request, sizeof(*batch));
	batch->request = request;
	batch->call = context;
	int status = lfs_batch_body_read(text, &batch->body, &batch->why);
	struct lfs_batch_body body = batch->body; /* the request's memory may be gone after the answer */
	if (status)
		lfs_reply_error(request, status, NULL, batch->why.text);
	else
		handle_batch(batch);
	lfs_batch_body_fini(&body);
}

void lfs_batch(struct http_request *request, const struct route_match *match)
{
	struct call *call = lfs_call_open(request, match, 0, ACTION_READ);
	if (call)
		http_collect(request, BATCH_BODY_BYTES_MAX, batch_body, call);
}
