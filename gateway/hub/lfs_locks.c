/* lfs_locks.c - file locks as git-lfs asks for them (replication/lock.h keeps them).
 *
 * They are off until a repository switches them on: every call answers 404, on which git-lfs stops asking. A lock holds its path on every branch, whatever
 * ref it was made from, so a `refspec` in a listing leaves nothing out. */
#include <stdlib.h>
#include <time.h>

#include "gateway/hub/lfs.h"
#include "gateway/hub/lfs_body.h"
#include "gateway/hub/lfs_call.h"
#include "replication/lock.h"
#include "schemas/json_writer.h"

enum { LOCK_BODY_BYTES_MAX = 64 << 10 };

static struct call *open_locks(struct http_request *request, const struct route_match *match, size_t after, enum action action)
{
	struct call *call = lfs_call_open(request, match, after, action);
	if (!call || call->repo.lfs_locks)
		return call;
	lfs_reply_error(request, 404, NULL, "File locks are not switched on in this repository");
	return NULL;
}

/* ------------------------------------------------------------------ writing */

/* Whole seconds: older clients parse no fraction. */
static void write_time(struct json_writer *json, const char *key, int64_t unix_ms)
{
	char text[32];
	time_t seconds = (time_t)(unix_ms / 1000);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	json_text(json, key, text);
}

static void write_lock(struct json_writer *json, const char *key, const struct lock *lock)
{
	char id[LOCK_ID_TEXT_BYTES];
	hex_encode(id, lock->id.bytes, LOCK_ID_BYTES);
	json_object_begin(json, key);
	json_text(json, "id", id);
	json_text(json, "path", lock->path);
	write_time(json, "locked_at", lock->locked_ms);
	json_object_begin(json, "owner");
	json_text(json, "name", lock->owner);
	json_object_end(json);
	json_object_end(json);
}

/* {"lock"}, with a sentence when it is one in the way. */
static void reply_lock(struct http_request *request, int status, const struct lock *lock, const char *message)
{
	struct buffer out;
	struct json_writer json;
	buffer_init(&out, ANSWER_BYTES_MAX);
	json_writer_init(&json, &out);
	json_object_begin(&json, NULL);
	write_lock(&json, "lock", lock);
	if (message) {
		json_text(&json, "message", message);
		json_text(&json, "request_id", http_request_id(request));
	}
	json_object_end(&json);
	lfs_reply_json(request, status, &out);
}

static int read_id(const char *text, struct lock_id *out)
{
	return hex_decode(out->bytes, LOCK_ID_BYTES, text, strlen(text));
}

typedef void (*locks_call)(struct http_request *request, struct call *call, const struct lfs_lock_body *body);

/* Reads the body and hands it to `run`, which answers; a body that cannot be read is answered here. */
static void with_body(struct http_request *request, struct span text, struct call *call, locks_call run)
{
	struct lfs_lock_body body;
	struct why why = { 0 };
	int status = lfs_lock_body_read(text, &body, &why);
	if (status)
		lfs_reply_error(request, status, NULL, why.text);
	else
		run(request, call, &body);
	lfs_lock_body_fini(&body);
}

/* ------------------------------------------------------------------ create */

static void create_from(struct http_request *request, struct call *call, const struct lfs_lock_body *body)
{
	struct lock lock;
	struct why why = { 0 };
	struct span path = span_text(body->path);
	int err = path_check(path, &why);
	if (err == 0)
		err = lock_create(call->gateway->ns, call->actor.name, &call->repo.id, path, body->ref, &lock, &why);
	if (err == 0)
		reply_lock(request, 201, &lock, NULL);
	else if (err == ERR_EXISTS)
		reply_lock(request, 409, &lock, http_printf(request, "already locked by %s", lock.owner));
	else
		lfs_reply_err(request, err, &why);
}

static void create_body(struct http_request *request, struct span text, void *context)
{
	with_body(request, text, context, create_from);
}

void lfs_locks_create(struct http_request *request, const struct route_match *match)
{
	struct call *call = open_locks(request, match, 0, ACTION_WRITE);
	if (call)
		http_collect(request, LOCK_BODY_BYTES_MAX, create_body, call);
}

/* ------------------------------------------------------------------ list and verify */

/* One page of locks in an answer, going on where the last one ended. */
struct page {
	struct json_writer *json;
	long left;
	bool has_next;
	struct lock_id next;
	/* verify: whose locks are "ours" and whose "theirs"; written one after the other, so the second is kept */
	const char *actor;
	struct json_writer theirs;
};

static int add_lock(void *context, const struct lock *lock)
{
	struct page *page = context;
	if (page->left-- == 0) {
		page->has_next = true;
		page->next = lock->id;
		return 1;
	}
	bool ours = !page->actor || strcmp(page->actor, lock->owner) == 0;
	write_lock(ours ? page->json : &page->theirs, NULL, lock);
	return 0;
}

static void write_cursor(const struct page *page)
{
	char id[LOCK_ID_TEXT_BYTES];
	if (!page->has_next)
		return;
	hex_encode(id, page->next.bytes, LOCK_ID_BYTES);
	json_text(page->json, "next_cursor", id);
}

/* A cursor is the id of the lock that the page begins with. 0, ERR_INVALID. */
static int list_from(struct call *call, const char *cursor, struct page *page)
{
	struct lock_id id;
	if (*cursor && read_id(cursor, &id) != 0)
		return ERR_INVALID;
	int err = lock_list(call->gateway->ns, &call->repo.id, *cursor ? &id : NULL, add_lock, page);
	return err < 0 ? err : 0;
}

struct list_call {
	struct call *call;
	const char *path, *id, *cursor;
	long limit;
};

/* The lock of a path or id: at most one, which must fit both when both are given. */
static int list_one(const struct list_call *list, struct page *page)
{
	struct namespace *ns = list->call->gateway->ns;
	struct lock lock;
	struct lock_id id;
	int err = list->path ? lock_of_path(ns, &list->call->repo.id, span_text(list->path), &lock)
		: read_id(list->id, &id) != 0 ? ERR_NOT_FOUND : lock_get(ns, &list->call->repo.id, &id, &lock);
	if (err == 0 && list->id && (read_id(list->id, &id) != 0 || memcmp(&id, &lock.id, sizeof(id)) != 0))
		err = ERR_NOT_FOUND;
	if (err == 0)
		add_lock(page, &lock);
	return err == ERR_NOT_FOUND ? 0 : err;
}

static void list_work(struct http_request *request, void *context)
{
	const struct list_call *list = context;
	struct buffer out;
	struct json_writer json;
	struct page page = { .json = &json, .left = list->limit };
	buffer_init(&out, ANSWER_BYTES_MAX);
	json_writer_init(&json, &out);
	json_object_begin(&json, NULL);
	json_array_begin(&json, "locks");
	int err = list->path || list->id ? list_one(list, &page) : list_from(list->call, list->cursor, &page);
	json_array_end(&json);
	write_cursor(&page);
	json_object_end(&json);
	if (err == 0) {
		lfs_reply_json(request, 200, &out);
		return;
	}
	buffer_fini(&out);
	lfs_reply_err(request, err, &(struct why){ "The locks cannot be listed: is the cursor one of this server's?" });
}

static const char *query_text(struct http_request *request, const char *key)
{
	const char *text = http_query_value(request, key, 0);
	return text && *text ? text : NULL;
}

void lfs_locks_list(struct http_request *request, const struct route_match *match)
{
	struct list_call *list = http_alloc(request, sizeof(*list));
	list->call = open_locks(request, match, 0, ACTION_READ);
	if (!list->call)
		return;
	const char *limit = query_text(request, "limit"), *cursor = query_text(request, "cursor");
	long number = limit ? strtol(limit, NULL, 10) : 0;
	if (limit && (strspn(limit, "0123456789") != strlen(limit) || strlen(limit) > 9)) {
		lfs_reply_error(request, 422, NULL, "\"limit\" must be a whole number");
		return;
	}
	list->limit = number <= 0 ? LFS_LOCKS_PAGE : number < LFS_LOCKS_PAGE_MAX ? number : LFS_LOCKS_PAGE_MAX;
	list->path = query_text(request, "path");
	list->id = query_text(request, "id");
	list->cursor = cursor ? cursor : "";
	http_work(request, list_work, list);
}

static void verify_from(struct http_request *request, struct call *call, const struct lfs_lock_body *body)
{
	struct buffer out, theirs;
	struct json_writer json;
	struct page page = { .json = &json, .left = body->limit, .actor = call->actor.name };
	buffer_init(&out, ANSWER_BYTES_MAX);
	buffer_init(&theirs, ANSWER_BYTES_MAX);
	json_writer_init(&json, &out);
	json_writer_init(&page.theirs, &theirs);
	json_object_begin(&json, NULL);
	json_array_begin(&json, "ours");
	json_array_begin(&page.theirs, NULL);
	int err = list_from(call, body->cursor, &page);
	json_array_end(&page.theirs);
	json_array_end(&json);
	json_raw(&json, "theirs", buffer_span(&theirs));
	write_cursor(&page);
	json_object_end(&json);
	out.failed = out.failed || theirs.failed;
	buffer_fini(&theirs);
	if (err == 0) {
		lfs_reply_json(request, 200, &out);
		return;
	}
	buffer_fini(&out);
	lfs_reply_err(request, err, &(struct why){ "The locks cannot be listed: is the cursor one of this server's?" });
}

static void verify_body(struct http_request *request, struct span text, void *context)
{
	with_body(request, text, context, verify_from);
}

void lfs_locks_verify(struct http_request *request, const struct route_match *match)
{
	struct call *call = open_locks(request, match, 0, ACTION_WRITE);
	if (call)
		http_collect(request, LOCK_BODY_BYTES_MAX, verify_body, call);
}

/* ------------------------------------------------------------------ unlock */

static void delete_from(struct http_request *request, struct call *call, const struct lfs_lock_body *body)
{
	const char *text = http_decode(request, call->captures[0], false);
	struct lock_id id;
	struct lock lock;
	struct why why = { 0 };
	if (!text || read_id(text, &id) != 0 || lock_get(call->gateway->ns, &call->repo.id, &id, &lock) != 0) {
		lfs_reply_error(request, 404, NULL, "There is no such lock");
		return;
	}
	bool ours = strcmp(lock.owner, call->actor.name) == 0;
	if (!ours && !body->force) {
		lfs_reply_error(request, 403, NULL, http_printf(request, "The lock is held by %s; who administers the repository may unlock it by force", lock.owner));
		return;
	}
	if (!ours && lfs_call_may(request, call, ACTION_ADMIN) != 0)
		return;
	int err = lock_delete(call->gateway->ns, call->actor.name, &call->repo.id, &id, !ours, &why);
	if (err)
		lfs_reply_err(request, err, &why);
	else
		reply_lock(request, 200, &lock, NULL);
}

static void delete_body(struct http_request *request, struct span text, void *context)
{
	with_body(request, text, context, delete_from);
}

void lfs_locks_delete(struct http_request *request, const struct route_match *match)
{
	struct call *call = open_locks(request, match, 1, ACTION_WRITE);
	if (call)
		http_collect(request, LOCK_BODY_BYTES_MAX, delete_body, call);
}
