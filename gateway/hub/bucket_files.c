/* bucket_files.c - what is in a bucket: listing, adding, removing and reading its files. Handlers declared in buckets.h. */
#include "gateway/hub/buckets.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/auth/xet_token.h"
#include "gateway/hub/bucket_call.h"
#include "gateway/hub/content.h"
#include "gateway/hub/file_link.h"

enum { TREE_LIMIT_MAX = 1000, PATHS_MAX = 1000, PATHS_BODY_BYTES_MAX = 4 << 20, CURSOR_BYTES_MAX = 2 * (BUCKET_PATH_BYTES_MAX + 8) };

static void write_file(struct json_writer *json, const struct bucket_file *file)
{
	char hash[HASH_TEXT_BYTES];
	hash_to_text(hash, &file->file);
	json_object_begin(json, NULL);
	json_text(json, "type", "file");
	json_text(json, "path", file->path);
	json_u64(json, "size", file->length);
	json_text(json, "xetHash", hash);
	if (file->mtime_ms)
		json_date(json, "mtime", file->mtime_ms);
	json_date(json, "uploadedAt", file->uploaded_ms);
	if (file->content_type[0])
		json_text(json, "contentType", file->content_type);
	json_object_end(json);
}

/* ------------------------------------------------------------------ tree */

enum { STOP_PAGE_FULL = 1, STOP_FOLDER = 2 };

struct bucket_tree {
	struct json_writer json;
	char prefix[BUCKET_PATH_BYTES_MAX + 2]; /* "" or ends with a slash */
	bool recursive;
	uint64_t limit, count;
	char next[BUCKET_PATH_BYTES_MAX + 2];   /* where to go on */
};

static int visit(void *context, const struct bucket_file *file)
{
	struct bucket_tree *tree = context;
	const char *slash = strchr(file->path + strlen(tree->prefix), '/');
	if (tree->count == tree->limit) {
		snprintf(tree->next, sizeof(tree->next), "%s", file->path);
		return STOP_PAGE_FULL;
	}
	tree->count++;
	if (!slash || tree->recursive) {
		write_file(&tree->json, file);
		return 0;
	}
	int length = (int)(slash - file->path);
	json_object_begin(&tree->json, NULL);
	json_text(&tree->json, "type", "directory");
	json_span(&tree->json, "path", span_of(file->path, (size_t)length));
	json_u64(&tree->json, "size", 0);
	json_date(&tree->json, "uploadedAt", file->uploaded_ms);
	json_object_end(&tree->json);
	snprintf(tree->next, sizeof(tree->next), "%.*s%c", length, file->path, '/' + 1); /* the first name behind everything in the folder */
	return STOP_FOLDER;
}

/* Folders are jumped over: a page costs as much as it shows. */
static int walk(struct call *call, struct bucket_tree *tree)
{
	int stop = STOP_FOLDER;
	while (stop == STOP_FOLDER) {
		char start[BUCKET_PATH_BYTES_MAX + 2];
		memcpy(start, tree->next, sizeof(start));
		stop = bucket_file_list(call->gateway->ns, &call->repo.id, tree->prefix, start[0] ? start : NULL, visit, tree);
	}
	return stop;
}

static int tree_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct bucket_tree *tree = call->state;
	struct buffer body;
	buffer_init(&body, ANSWER_BYTES_MAX);
	json_writer_init(&tree->json, &body);
	json_array_begin(&tree->json, NULL);
	int stop = walk(call, tree);
	json_array_end(&tree->json);
	if (stop < 0) {
		buffer_fini(&body);
		answer_err(request, stop, NULL);
		return 0;
	}
	if (stop == STOP_PAGE_FULL) {
		char *cursor = http_alloc(request, CURSOR_BYTES_MAX);
		sodium_bin2base64(cursor, CURSOR_BYTES_MAX, (const uint8_t *)tree->next, strlen(tree->next), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
		add_next_link(request, "cursor", cursor);
	}
	answer_json(request, 200, &body);
	return 0;
}

/* Where to go on: as told before for the same folder, so a path in it. False: it is none. */
static bool take_cursor(struct bucket_tree *tree, const char *cursor)
{
	size_t length;
	if (sodium_base642bin((uint8_t *)tree->next, sizeof(tree->next) - 1, cursor, strlen(cursor), NULL, &length, NULL,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
		return false;
	return length == 0 || (strlen(tree->next) == length && strncmp(tree->next, tree->prefix, strlen(tree->prefix)) == 0);
}

void bucket_tree(struct http_request *request, const struct route_match *match)
{
	struct call *call = bucket_call_open(request, match, ACTION_READ);
	if (!call)
		return;
	struct bucket_tree *tree = http_alloc(request, sizeof(*tree));
	const char *prefix = http_decode(request, call->rest, false), *cursor = http_query_value(request, "cursor", 0);
	const char *limit = http_query_value(request, "limit", 0);
	size_t length = prefix ? strlen(prefix) : 0;
	while (length && prefix[length - 1] == '/')
		length--;
	bool bad = !prefix || length > BUCKET_PATH_BYTES_MAX;
	if (!bad && length)
		snprintf(tree->prefix, sizeof(tree->prefix), "%.*s/", (int)length, prefix);
	if (bad || (cursor && !take_cursor(tree, cursor))) {
		http_reply_error(request, 400, NULL, "The path is malformed, or the cursor is not of this folder");
		return;
	}
	tree->recursive = http_query_bool(request, "recursive", false);
	tree->limit = limit ? strtoull(limit, NULL, 10) : TREE_LIMIT_MAX;
	if (tree->limit == 0 || tree->limit > TREE_LIMIT_MAX)
		tree->limit = TREE_LIMIT_MAX;
	call->state = tree;
	call_work(request, call, tree_run);
}

/* ------------------------------------------------------------------ paths-info */

static void paths_info(struct http_request *request, struct call *call, const json_t *body)
{
	const json_t *paths = json_object_get(body, "paths"), *path;
	struct buffer answer;
	struct json_writer json;
	if (!json_is_array(paths) || json_array_size(paths) > PATHS_MAX) {
		http_reply_error(request, 400, NULL, http_printf(request, "\"paths\" is a list of at most %d", PATHS_MAX));
		return;
	}
	buffer_init(&answer, ANSWER_BYTES_MAX);
	json_writer_init(&json, &answer);
	json_array_begin(&json, NULL);
	size_t i;
	int err = 0;
	json_array_foreach(paths, i, path) {
		struct bucket_file file;
		err = err ? err : bucket_file_get(call->gateway->ns, &call->repo.id, json_is_string(path) ? json_string_value(path) : "", &file);
		if (err == 0)
			write_file(&json, &file);
		err = err == ERR_NOT_FOUND ? 0 : err;
	}
	json_array_end(&json);
	if (err == 0) {
		answer_json(request, 200, &answer);
		return;
	}
	buffer_fini(&answer);
	answer_err(request, err, NULL);
}

void bucket_paths_info(struct http_request *request, const struct route_match *match)
{
	struct call *call = bucket_call_open(request, match, ACTION_READ);
	if (call)
		body_call(request, call, PATHS_BODY_BYTES_MAX, paths_info);
}

/* ------------------------------------------------------------------ resolve */

static int resolve_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct bucket_file file;
	const char *path = http_decode(request, call->rest, false);
	int err = path ? bucket_file_get(call->gateway->ns, &call->repo.id, path, &file) : ERR_NOT_FOUND;
	if (err == ERR_NOT_FOUND) {
		http_reply_error(request, 404, "EntryNotFound", "Entry not found");
		return 0;
	}
	if (err) {
		answer_err(request, err, NULL);
		return 0;
	}
	char hash[HASH_TEXT_BYTES];
	hash_to_text(hash, &file.file);
	const char *base = http_base_url(request);
	struct content content = { .file = file.file, .length = file.length, .etag = http_printf(request, "\"%s\"", hash),
		.type = content_type_of(span_text(file.path)) };
	add_content_headers(request, span_text(file.path));
	http_add_headerf(request, "X-Linked-Size", "%llu", (unsigned long long)file.length);
	http_add_header(request, "X-Linked-ETag", content.etag);
	http_add_header(request, "X-Xet-Hash", hash);
	http_add_headerf(request, "Link", "<%s/api/buckets/%s/%s/xet-read-token>; rel=\"xet-auth\", <%s/v1/reconstructions/%s>; rel=\"xet-reconstruction-info\"", base,
		call->repo.owner, call->repo.name, base, hash);
	if (!reply_content_head(request, &content) && !file_link_reply(request, call, &content, span_text(file.path)))
		reply_content(request, call->gateway, &content);
	return 0;
}

void bucket_resolve(struct http_request *request, const struct route_match *match)
{
	struct call *call = bucket_call_open(request, match, ACTION_READ_FILES);
	if (call)
		call_work(request, call, resolve_run);
}
