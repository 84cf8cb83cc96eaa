#include <stdlib.h>

#include "gateway/hub/content.h"
#include "gateway/hub/lfs.h"
#include "gateway/hub/lfs_body.h"
#include "gateway/hub/lfs_call.h"
#include "gateway/repo/damage.h"
#include "gateway/repo/quota.h"
#include "gateway/store_caller.h"
#include "store/long_work.h"

enum {
	COMPLETION_BODY_BYTES_MAX = 1 << 20,
	VERIFY_BODY_BYTES_MAX = 16 << 10,
	COPY_BYTES = 1 << 20, /* read and written at a time when parts are joined */
};

uint64_t lfs_parts_count(uint64_t length, uint64_t part_bytes)
{
	return (length + part_bytes - 1) / part_bytes;
}

static struct sha256 grant_sha256(const struct grant *grant)
{
	struct sha256 out;
	memcpy(out.bytes, grant->object.bytes, HASH_BYTES);
	return out;
}

/* ------------------------------------------------------------------ PUT of an object or a part */

struct receiving {
	struct gateway *gateway;
	const struct grant *grant;
	bool is_part;
	uint64_t length;        /* expected */
	uint64_t received;
	struct upload *upload;  /* opened with the first byte */
	struct quota_reservation reservation;
	struct why why;
};

static int receiving_open(struct receiving *receiving)
{
	int err = upload_open(&receiving->upload, receiving->gateway->store, &receiving->grant->repo, &receiving->why);
	return err ? err : upload_file_begin(receiving->upload, receiving->length);
}

static int receiving_write(struct http_request *request, const uint8_t *data, size_t length, void *context)
{
	(void)request;
	struct receiving *receiving = context;
	int err = receiving->upload ? 0 : receiving_open(receiving);
	receiving->received += length;
	if (err == 0 && receiving->received > receiving->length)
		err = why_set(&receiving->why, ERR_INVALID, "More bytes than announced");
	return err ? err : upload_file_write(receiving->upload, data, length, &receiving->why);
}

/* Checks what arrived against the grant, then makes it durable. */
static int receiving_finish(struct receiving *receiving, struct upload_result *result)
{
	int err = receiving->upload ? 0 : receiving_open(receiving); /* an empty object */
	if (err)
		return err;
	if (receiving->received != receiving->length)
		return why_set(&receiving->why, ERR_INVALID, "%llu bytes were announced, %llu arrived",
			(unsigned long long)receiving->length, (unsigned long long)receiving->received);
	err = upload_file_end(receiving->upload, result, &receiving->why);
	if (err)
		return err;
	if (!receiving->is_part && memcmp(result->sha256.bytes, receiving->grant->object.bytes, HASH_BYTES) != 0)
		return why_set(&receiving->why, ERR_INVALID, "The SHA-256 of the bytes is not the oid of the object");
	return upload_commit(receiving->upload, &receiving->why);
}

static void receiving_end(struct http_request *request, int err, void *context)
{
	struct receiving *receiving = context;
	struct upload_result result;
	if (err == 0)
		err = receiving_finish(receiving, &result);
	if (receiving->upload)
		upload_close(receiving->upload);
	quota_release(&receiving->reservation, err == 0);
	if (err) {
		lfs_reply_err(request, err, &receiving->why);
		return;
	}
	char etag[HASH_TEXT_BYTES];
	if (receiving->is_part)
		hash_to_text(etag, &result.file);
	else
		hex_encode(etag, result.sha256.bytes, HASH_BYTES);
	http_add_headerf(request, "ETag", "\"%s\"", etag);
	http_reply(request, 200, NULL, span_of(NULL, 0));
}

static void receive(struct http_request *request, const struct grant *grant, const struct actor *holder, const struct repo *repo, bool is_part)
{
	uint64_t announced = http_body_length(request);
	if (announced != UINT64_MAX && announced != grant->length) {
		lfs_reply_error(request, 422, NULL, http_printf(request, "This URL takes %llu bytes, not %llu",
			(unsigned long long)grant->length, (unsigned long long)announced));
		return;
	}
	struct receiving *receiving = http_alloc(request, sizeof(*receiving));
	receiving->gateway = gateway_of(request);
	receiving->grant = grant;
	receiving->is_part = is_part;
	receiving->length = grant->length;
	int err = quota_reserve(receiving->gateway, repo, holder, grant->length, &receiving->reservation, &receiving->why);
	if (err) {
		lfs_reply_err(request, err, &receiving->why);
		return;
	}
	static const struct http_sink sink = { .write = receiving_write, .end = receiving_end };
	http_sink(request, grant->length, &sink, receiving);
}

void lfs_upload(struct http_request *request, const struct route_match *match)
{
	struct actor holder;
	struct repo repo;
	const struct grant *grant = lfs_grant_open(request, match, GRANT_LFS_UPLOAD, &holder, &repo);
	if (grant)
		receive(request, grant, &holder, &repo, false);
}

void lfs_part(struct http_request *request, const struct route_match *match)
{
	struct actor holder;
	struct repo repo;
	const struct grant *grant = lfs_grant_open(request, match, GRANT_LFS_PART, &holder, &repo);
	if (grant)
		receive(request, grant, &holder, &repo, true);
}

/* ------------------------------------------------------------------ completion of a multipart upload */

struct part_list {
	struct hash files[LFS_PARTS_MAX];
	bool given[LFS_PARTS_MAX];
	uint64_t count;
};

/* {"oid", "parts": [{"partNumber", "etag"}]}: every part exactly once, in any order. */
static int read_parts(const json_t *body, struct part_list *list, struct why *why)
{
	const json_t *parts = json_object_get(body, "parts"), *part;
	if (!json_is_array(parts) || json_array_size(parts) != list->count)
		return why_set(why, ERR_INVALID, "%llu parts were expected", (unsigned long long)list->count);
	size_t i;
	json_array_foreach(parts, i, part) {
		json_int_t number = json_integer_value(json_object_get(part, "partNumber"));
		const char *etag = json_body_text(part, "etag", "");
		size_t length = strlen(etag);
		if (length >= 2 && etag[0] == '"' && etag[length - 1] == '"') {
			etag++;
			length -= 2;
		}
		if (number < 1 || (uint64_t)number > list->count || list->given[number - 1])
			return why_set(why, ERR_INVALID, "Part numbers must run from 1 to %llu, each once", (unsigned long long)list->count);
		if (hash_from_text(&list->files[number - 1], etag, length) != 0)
			return why_set(why, ERR_INVALID, "The etag of part %lld is not what the upload of the part answered", (long long)number);
		list->given[number - 1] = true;
	}
	return 0;
}

static int join_part(struct gateway *gateway, const struct grant *grant, struct upload *upload, struct long_work *work, const struct hash *file,
	uint64_t length, uint8_t *bytes, struct why *why)
{
	struct file_info info;
	int err = store_find_file(gateway->store, &grant->repo, file, &info);
	if (err)
		return err == ERR_NOT_FOUND ? why_set(why, ERR_INVALID, "A part was never uploaded") : why_set(why, err, "A part cannot be looked up now; try again");
	if (info.length != length)
		return why_set(why, ERR_INVALID, "A part has %llu bytes instead of %llu", (unsigned long long)info.length, (unsigned long long)length);
	struct file_reader *reader;
	err = file_reader_open(&reader, gateway->store, file, 0, length, why);
	if (err)
		return err;
	int64_t got = 0;
	while (err == 0 && (got = file_reader_read(reader, bytes, COPY_BYTES, true, why)) > 0) {
		err = upload_file_write(upload, bytes, (size_t)got, why);
		if (err == 0)
			err = long_work_done(gateway->store, work, (uint64_t)got, why);
	}
	file_reader_close(reader);
	return got < 0 ? (int)got : err;
}

static int join_parts(struct gateway *gateway, const struct grant *grant, const struct part_list *list, struct upload *upload, struct long_work *work,
	struct why *why)
{
	uint8_t *bytes = malloc(COPY_BYTES);
	int err = bytes ? upload_file_begin(upload, grant->length) : ERR_NO_MEMORY;
	for (uint64_t i = 0; err == 0 && i < list->count; i++) {
		uint64_t start = i * grant->number, left = grant->length - start;
		err = join_part(gateway, grant, upload, work, &list->files[i], left < grant->number ? left : grant->number, bytes, why);
	}
	free(bytes);
	struct upload_result result;
	if (err == 0)
		err = upload_file_end(upload, &result, why);
	if (err == 0 && memcmp(result.sha256.bytes, grant->object.bytes, HASH_BYTES) != 0)
		err = why_set(why, ERR_INVALID, "The SHA-256 of the joined parts is not the oid of the object");
	return err ? err : upload_commit(upload, why);
}

struct completing {
	const struct grant *grant;
	struct actor holder;
	struct repo repo;
	struct quota_reservation reservation;
};

/* The object counts beside its parts, which may be one and the same, so that little was sent. */
static int complete(struct gateway *gateway, struct completing *completing, const struct part_list *list, struct store_caller *caller, struct why *why)
{
	const struct grant *grant = completing->grant;
	struct upload *upload;
	struct long_work work;
	int err = quota_reserve(gateway, &completing->repo, &completing->holder, grant->length, &completing->reservation, why);
	if (err)
		return err;
	err = long_work_begin(gateway->store, &work, caller, NULL, grant->length, why);
	if (err == 0) {
		err = upload_open(&upload, gateway->store, &grant->repo, why);
		if (err == 0) {
			err = join_parts(gateway, grant, list, upload, &work, why);
			upload_close(upload);
		}
		long_work_end(gateway->store, &work);
	}
	quota_release(&completing->reservation, err == 0);
	return err;
}

static void complete_body(struct http_request *request, struct span text, void *context)
{
	struct completing *completing = context;
	const struct grant *grant = completing->grant;
	struct gateway *gateway = gateway_of(request);
	struct why why = { 0 };
	struct part_list list = { .count = lfs_parts_count(grant->length, grant->number) };
	struct file_info known;
	struct sha256 sha256 = grant_sha256(grant);
	json_t *body = json_body_parse(text, &why);
	int err = body ? read_parts(body, &list, &why) : ERR_INVALID;
	json_decref(body);
	/* A repeated completion (its answer was lost) finds the object. */
	bool done = store_find_by_sha256(gateway->store, &grant->repo, &sha256, &known) == 0 && known.sha256_verified && !known.is_damaged;
	struct store_caller caller = store_caller_of(request);
	if (err == 0)
		err = done ? store_claim(gateway->store, &grant->repo, &known.file, &why) : complete(gateway, completing, &list, &caller, &why);
	if (err)
		lfs_reply_err(request, err, &why);
	else
		http_reply(request, 200, "application/json; charset=utf-8", span_text("{\"success\":true}"));
}

void lfs_complete(struct http_request *request, const struct route_match *match)
{
	struct completing *completing = http_alloc(request, sizeof(*completing));
	const struct grant *grant = lfs_grant_open(request, match, GRANT_LFS_UPLOAD, &completing->holder, &completing->repo);
	if (!grant)
		return;
	completing->grant = grant;
	if (grant->number == 0 || lfs_parts_count(grant->length, grant->number) > LFS_PARTS_MAX)
		lfs_reply_error(request, 422, NULL, "This upload has no parts");
	else
		http_collect(request, COMPLETION_BODY_BYTES_MAX, complete_body, completing);
}

/* ------------------------------------------------------------------ verify and download */

static void verify_body(struct http_request *request, struct span text, void *context)
{
	const struct grant *grant = context;
	struct why why = { 0 };
	json_t *body = json_body_parse(text, &why);
	struct sha256 sha256 = { 0 };
	const char *oid = json_body_text(body, "oid", "");
	const json_t *size = json_object_get(body, "size");
	bool well_formed = lfs_oid_read(oid, &sha256) == 0 && json_is_integer(size) && json_integer_value(size) >= 0;
	uint64_t length = well_formed ? (uint64_t)json_integer_value(size) : 0;
	json_decref(body);
	struct file_info info;
	int err = 0;
	if (!well_formed || memcmp(sha256.bytes, grant->object.bytes, HASH_BYTES) != 0)
		lfs_reply_error(request, 422, NULL, "The oid is not the one that was uploaded here");
	else if ((err = store_find_by_sha256(gateway_of(request)->store, &grant->repo, &sha256, &info)) == ERR_NOT_FOUND)
		lfs_reply_error(request, 404, NULL, "The object is not stored");
	else if (err)
		lfs_reply_err(request, err, NULL);
	else if (info.length != length)
		lfs_reply_error(request, 422, NULL, "The object has another size");
	else if (damage_check(&info, &sha256, span_of(NULL, 0), &why) != 0)
		lfs_reply_error(request, 422, NULL, why.text);
	else if ((err = store_claim(gateway_of(request)->store, &grant->repo, &info.file, &why)) != 0)
		lfs_reply_err(request, err, &why);
	else
		http_reply(request, 200, LFS_MEDIA_TYPE, span_text("{}"));
}

void lfs_verify(struct http_request *request, const struct route_match *match)
{
	struct grant *grant = lfs_grant_open(request, match, GRANT_LFS_UPLOAD, NULL, NULL);
	if (grant)
		http_collect(request, VERIFY_BODY_BYTES_MAX, verify_body, grant);
}

static void download_work(struct http_request *request, void *context)
{
	const struct grant *grant = context;
	struct gateway *gateway = gateway_of(request);
	struct sha256 sha256 = grant_sha256(grant);
	struct file_info info;
	struct why why = { 0 };
	struct store_caller caller = store_caller_of(request);
	int err = store_find_verified(gateway->store, &grant->repo, &sha256, &caller, &info, &why);
	if (err == ERR_NOT_FOUND || err == ERR_CORRUPT) {
		lfs_reply_error(request, 404, NULL, "The object is not stored");
		return;
	}
	if (err) {
		lfs_reply_err(request, err, &why);
		return;
	}
	char text[HASH_TEXT_BYTES];
	hex_encode(text, sha256.bytes, HASH_BYTES);
	struct content content = {
		.file = info.file, .length = info.length, .etag = http_printf(request, "\"%s\"", text), .type = "application/octet-stream"
	};
	if (!reply_content_head(request, &content))
		reply_content(request, gateway, &content);
}

void lfs_download(struct http_request *request, const struct route_match *match)
{
	struct grant *grant = lfs_grant_open(request, match, GRANT_LFS_DOWNLOAD, NULL, NULL);
	if (grant)
		http_work(request, download_work, grant);
}
