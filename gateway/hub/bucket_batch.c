/* bucket_batch.c - many files put into a bucket, copied into it or removed from it.
 *
 * The body is a line of JSON per operation. Each line is checked by itself: one that cannot be done is reported and does not keep the others from being done.
 * What is to be stored must be in the store already and proven: claimed by the bucket (its Xet upload did that), or by a repository that the caller may read. */
#include "gateway/hub/buckets.h"

#include <stdio.h>
#include <stdlib.h>

#include "gateway/hub/bucket_call.h"
#include "gateway/repo/damage.h"
#include "gateway/repo/quota.h"

enum { BATCH_BODY_BYTES_MAX = HTTP_COLLECT_BYTES_MAX, BATCH_OPERATIONS_MAX = 10000, COMMAND_BYTES_WANTED = 600 << 10 };

struct batch {
	struct call *call;
	struct bucket_change *changes; /* of the next command */
	size_t count, bytes;
	uint64_t processed, succeeded;
	bool busy; /* what failed may be done when it is sent again */
	struct json_writer failed;
	struct buffer failed_text;
};

static void report(struct batch *batch, const char *path, const char *error)
{
	json_object_begin(&batch->failed, NULL);
	json_text(&batch->failed, "path", path);
	json_text(&batch->failed, "error", error);
	json_object_end(&batch->failed);
}

static void flush(struct batch *batch)
{
	struct call *call = batch->call;
	struct why why = { 0 };
	if (batch->count == 0)
		return;
	int err = bucket_change(call->gateway->ns, call->actor.name, &call->repo.id, batch->changes, batch->count, &why);
	for (size_t i = 0; err && i < batch->count; i++)
		report(batch, batch->changes[i].file.path, why.text[0] ? why.text : "The change could not be made");
	if (err == 0)
		batch->succeeded += batch->count;
	batch->count = batch->bytes = 0;
}

/* The repository that a copy is from: read by the caller, and it has the file. */
static int check_source(struct batch *batch, const json_t *line, const struct hash *file)
{
	struct call *call = batch->call;
	const char *type = json_body_text(line, "sourceRepoType", "model"), *id = json_body_text(line, "sourceRepoId", "");
	char owner[NAME_BYTES_MAX + 1], name[NAME_BYTES_MAX + 1];
	enum repo_type repo_type;
	struct repo source;
	if (type_from_singular(type, &repo_type) != 0 || repo_name_split(id, "", owner, name) != 0)
		return ERR_NOT_FOUND;
	int err = repo_find(call->gateway->ns, NULL, repo_type, span_text(owner), span_text(name), &source);
	struct resource resource = { .repo = &source, .ns = call->gateway->ns };
	if (err == 0)
		err = may(&call->actor, ACTION_READ_FILES, &resource) == 0 ? 0 : ERR_NOT_FOUND;
	return err ? err : store_find_file(call->gateway->store, &source.id, file, NULL);
}

static int claim(struct call *call, const struct hash *file, uint64_t more_bytes, struct why *why)
{
	struct quota_reservation reservation;
	int err = quota_reserve(call->gateway, &call->repo, &call->actor, more_bytes, &reservation, why);
	if (err == 0)
		err = store_claim(call->gateway->store, &call->repo.id, file, NULL);
	quota_release(&reservation, err == 0);
	return err;
}

/* Fills the file's hash and length, and claims it anew, so that no garbage collection drops it before the bucket names it. */
static int take_file(struct batch *batch, const json_t *line, bool copy, struct bucket_file *out, struct why *why)
{
	struct call *call = batch->call;
	const char *text = json_body_text(line, "xetHash", "");
	struct file_info info;
	if (hash_from_text(&out->file, text, strlen(text)) != 0)
		return ERR_INVALID;
	if (hash_is_zero(&out->file))
		return 0; /* the empty file */
	int err = store_find_file(call->gateway->store, &call->repo.id, &out->file, NULL);
	bool is_here = err == 0;
	if ((err == ERR_NOT_FOUND || err == ERR_BUSY) && copy)
		err = check_source(batch, line, &out->file);
	if (err == 0)
		err = store_find_file(call->gateway->store, NULL, &out->file, &info);
	info.is_damaged = err == 0 && store_file_is_damaged(call->gateway->store, &out->file);
	if (err == 0)
		err = damage_check(&info, NULL, span_of(NULL, 0), why);
	if (err == 0)
		err = claim(call, &out->file, is_here ? 0 : info.length, why);
	out->length = err ? 0 : info.length;
	return err;
}

/* "2026-01-31T12:34:56.789Z" is for people: clients send milliseconds. */
static int64_t mtime_of(const json_t *line)
{
	const json_t *mtime = json_object_get(line, "mtime");
	double value = json_is_number(mtime) ? json_number_value(mtime) : 0;
	return value > 0 && value < 1e15 ? (int64_t)value : 0;
}

static void run_line(struct batch *batch, const json_t *line)
{
	const char *type = json_body_text(line, "type", ""), *path = json_body_text(line, "path", "");
	bool copy = strcmp(type, "copyFile") == 0, add = strcmp(type, "addFile") == 0, remove = strcmp(type, "deleteFile") == 0;
	struct bucket_change *change = &batch->changes[batch->count];
	struct why why = { 0 };
	memset(change, 0, sizeof(*change));
	batch->processed++;
	if (strlen(path) > BUCKET_PATH_BYTES_MAX || path_check(span_text(path), &why) != 0) {
		report(batch, path, why.text[0] ? why.text : "The path is too long");
		return;
	}
	snprintf(change->file.path, sizeof(change->file.path), "%s", path);
	change->remove = remove;
	int err = copy || add ? take_file(batch, line, copy, &change->file, &why) : remove ? 0 : ERR_UNSUPPORTED;
	if (err) {
		batch->busy = batch->busy || err == ERR_BUSY;
		report(batch, path, err == ERR_NOT_FOUND ? "The file was not uploaded" : err == ERR_INVALID ? "\"xetHash\" must be 64 hex digits" :
			err == ERR_UNSUPPORTED ? "\"type\" must be addFile, copyFile or deleteFile" : why.text[0] ? why.text : "The file cannot be stored now");
		return;
	}
	change->file.mtime_ms = mtime_of(line);
	snprintf(change->file.content_type, sizeof(change->file.content_type), "%.*s", BUCKET_CONTENT_TYPE_BYTES_MAX, json_body_text(line, "contentType", ""));
	batch->count++;
	batch->bytes += strlen(path) + 300;
	if (batch->count == BUCKET_CHANGES_MAX || batch->bytes >= COMMAND_BYTES_WANTED)
		flush(batch);
}

/* False: a line is no JSON, or there are too many. */
static bool run_lines(struct batch *batch, struct span text, struct why *why)
{
	for (size_t at = 0; at < text.length;) {
		const uint8_t *end = memchr(text.data + at, '\n', text.length - at);
		struct span line = span_of(text.data + at, end ? (size_t)(end - text.data) - at : text.length - at);
		at += line.length + 1;
		if (line.length == 0 || (line.length == 1 && line.data[0] == '\r'))
			continue;
		if (batch->processed == BATCH_OPERATIONS_MAX) {
			why_set(why, ERR_TOO_BIG, "A batch has at most %d operations", BATCH_OPERATIONS_MAX);
			return false;
		}
		json_t *body = json_body_parse(line, why);
		if (!body)
			return false;
		run_line(batch, body);
		json_decref(body);
	}
	return true;
}

static void reply(struct http_request *request, struct batch *batch, bool whole, const struct why *why)
{
	struct buffer body;
	struct json_writer json;
	bool success = whole && batch->succeeded == batch->processed;
	buffer_init(&body, ANSWER_BYTES_MAX);
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	if (!whole)
		json_text(&json, "error", why->text);
	json_bool(&json, "success", success);
	json_u64(&json, "processed", batch->processed);
	json_u64(&json, "succeeded", batch->succeeded);
	json_raw(&json, "failed", buffer_span(&batch->failed_text));
	json_object_end(&json);
	answer_json(request, success ? 200 : batch->busy ? 503 : 422, &body);
}

static void run_body(struct http_request *request, struct span text, void *context)
{
	struct batch batch = { .call = context, .changes = calloc(BUCKET_CHANGES_MAX + 1, sizeof(*batch.changes)) };
	struct why why = { 0 };
	if (!batch.changes) {
		answer_err(request, ERR_NO_MEMORY, NULL);
		return;
	}
	buffer_init(&batch.failed_text, ANSWER_BYTES_MAX / 2);
	json_writer_init(&batch.failed, &batch.failed_text);
	json_array_begin(&batch.failed, NULL);
	struct upload_entry naming;
	store_naming_begin(batch.call->gateway->store, &naming);
	bool whole = run_lines(&batch, text, &why);
	flush(&batch);
	store_naming_end(batch.call->gateway->store, &naming);
	json_array_end(&batch.failed);
	reply(request, &batch, whole, &why);
	buffer_fini(&batch.failed_text);
	free(batch.changes);
}

void bucket_batch(struct http_request *request, const struct route_match *match)
{
	struct call *call = bucket_call_open(request, match, ACTION_WRITE);
	if (call)
		http_collect(request, BATCH_BODY_BYTES_MAX, run_body, call);
}
