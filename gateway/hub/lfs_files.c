/* lfs_files.c
 *
 * The list is what the refs reach, newest first, and then what the repository holds as an object and nothing reaches: its `filename` and `ref` are null. Only the latter
 * can be deleted: what a commit names stays whole until a rewrite of history drops the commit, which is not built. Deleting is a collection of
 * this one repository (store_gc_owner), so it is as safe as one beside pushes, and decided by the same roots. */
#include "gateway/hub/lfs_files.h"

#include <stdlib.h>

#include "gateway/hub/body_call.h"
#include "gateway/repo/lfs_uses.h"
#include "schemas/json_writer.h"

enum {
	FILES_MAX = 200000,           /* objects of one listing */
	FILES_TEXT_BYTES_MAX = 64 << 20, /* their paths */
	NEEDED_MAX = 500000,          /* files that a listing may meet in a repository: 16 MiB */
	PAGE = 100, PAGE_MAX = 1000,
	DELETIONS_MAX = 1000,
	DELETIONS_BODY_BYTES_MAX = 256 << 10,
};

struct item {
	struct sha256 sha256;
	uint64_t length;
	int64_t pushed_ms;
	struct oid pointer;
	size_t path, ref;            /* offsets in the texts */
	bool is_used;
};

struct files {
	struct call *call;
	struct item *items;
	size_t count, capacity;
	struct buffer texts, needed; /* needed: struct hash each, sorted */
	long limit;
	uint64_t skip;
	struct why why;
};

/* ------------------------------------------------------------------ gathering */

static struct item *add_item(struct files *files)
{
	if (files->count == FILES_MAX)
		return NULL;
	if (files->count == files->capacity) {
		size_t capacity = files->capacity ? files->capacity * 2 : 256;
		struct item *items = realloc(files->items, capacity * sizeof(*items));
		if (!items)
			return NULL;
		files->items = items;
		files->capacity = capacity;
	}
	files->items[files->count] = (struct item){ 0 };
	return &files->items[files->count++];
}

static int keep_text(struct files *files, const char *text, size_t *offset)
{
	*offset = files->texts.length;
	return buffer_append(&files->texts, text, strlen(text) + 1);
}

static int add_use(void *context, const struct lfs_use *use)
{
	struct files *files = context;
	struct file_info info;
	struct item *item = add_item(files);
	if (!item)
		return ERR_TOO_BIG;
	*item = (struct item){ .sha256 = use->sha256, .length = use->length, .pointer = use->pointer, .is_used = true };
	if (store_file_by_sha256(files->call->gateway->store, &files->call->repo.id, &use->sha256, &info) == 0)
		item->pushed_ms = info.registered_ms;
	int err = keep_text(files, use->path, &item->path);
	return err ? err : keep_text(files, use->ref, &item->ref);
}

static int keep_needed(void *context, const struct entity_id *owner, const struct hash *file)
{
	(void)owner;
	struct files *files = context;
	return buffer_append(&files->needed, file, sizeof(*file));
}

static int by_hash(const void *a, const void *b)
{
	return memcmp(a, b, HASH_BYTES);
}

static int add_unused(void *context, const struct file_info *file, int64_t claimed_ms)
{
	struct files *files = context;
	if (!file->has_sha256 || bsearch(&file->file, files->needed.data, files->needed.length / HASH_BYTES, HASH_BYTES, by_hash))
		return 0;
	struct item *item = add_item(files);
	if (item)
		*item = (struct item){ .sha256 = file->sha256, .length = file->length, .pushed_ms = claimed_ms };
	return item ? 0 : ERR_TOO_BIG;
}

static int by_time(const void *a, const void *b)
{
	const struct item *left = a, *right = b;
	if (left->is_used != right->is_used)
		return left->is_used ? -1 : 1;
	if (left->pushed_ms != right->pushed_ms)
		return left->pushed_ms > right->pushed_ms ? -1 : 1;
	return memcmp(left->sha256.bytes, right->sha256.bytes, HASH_BYTES);
}

static int gather(struct files *files)
{
	struct gateway *gateway = files->call->gateway;
	const struct entity_id *repo = &files->call->repo.id;
	struct repo_roots roots = { .gateway = gateway, .repo = *repo };
	int err = lfs_uses(gateway, repo, add_use, files, &files->why);
	if (err == 0)
		err = repo_files_of(&roots, keep_needed, files, &files->why);
	if (err)
		return err;
	if (files->needed.length)
		qsort(files->needed.data, files->needed.length / HASH_BYTES, HASH_BYTES, by_hash);
	err = store_owner_files(gateway->store, repo, add_unused, files);
	if (files->count)
		qsort(files->items, files->count, sizeof(*files->items), by_time);
	return err;
}

/* ------------------------------------------------------------------ list */

static void write_item(struct json_writer *json, const struct files *files, const struct item *item)
{
	char sha256[HASH_TEXT_BYTES], pointer[OID_TEXT_BYTES];
	hex_encode(sha256, item->sha256.bytes, HASH_BYTES);
	hex_encode(pointer, item->pointer.bytes, OID_BYTES);
	json_object_begin(json, NULL);
	json_text(json, "fileOid", sha256);
	json_text(json, "oid", item->is_used ? pointer : sha256);
	json_text(json, "filename", item->is_used ? (const char *)files->texts.data + item->path : NULL);
	json_text(json, "ref", item->is_used ? (const char *)files->texts.data + item->ref : NULL);
	json_u64(json, "size", item->length);
	json_date(json, "pushedAt", item->pushed_ms);
	json_object_end(json);
}

static void reply_list(struct http_request *request, const struct files *files)
{
	struct buffer out;
	struct json_writer json;
	buffer_init(&out, ANSWER_BYTES_MAX);
	json_writer_init(&json, &out);
	json_array_begin(&json, NULL);
	uint64_t end = files->skip + (uint64_t)files->limit;
	for (uint64_t i = files->skip; i < files->count && i < end; i++)
		write_item(&json, files, &files->items[i]);
	json_array_end(&json);
	if (end < files->count)
		add_next_link(request, "cursor", http_printf(request, "%llu", (unsigned long long)end));
	answer_json(request, 200, &out);
}

static int list_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct files files = *(struct files *)call->state;
	files.call = call;
	buffer_init(&files.texts, FILES_TEXT_BYTES_MAX);
	buffer_init(&files.needed, NEEDED_MAX * (size_t)HASH_BYTES);
	int err = gather(&files);
	if (err)
		answer_err(request, err, &files.why);
	else
		reply_list(request, &files);
	buffer_fini(&files.texts);
	buffer_fini(&files.needed);
	free(files.items);
	return 0;
}

static bool read_number(const char *text, uint64_t fallback, uint64_t *out)
{
	*out = text ? strtoull(text, NULL, 10) : fallback;
	return !text || (*text && strlen(text) < 10 && strspn(text, "0123456789") == strlen(text));
}

void lfs_files_list(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 0, ACTION_WRITE);
	struct files *files = http_alloc(request, sizeof(*files));
	uint64_t limit;
	if (!call)
		return;
	if (!read_number(http_query_value(request, "limit", 0), PAGE, &limit) || !read_number(http_query_value(request, "cursor", 0), 0, &files->skip)) {
		http_reply_error(request, 400, NULL, "\"limit\" and \"cursor\" must be whole numbers");
		return;
	}
	files->limit = limit < 1 ? 1 : limit < PAGE_MAX ? (long)limit : PAGE_MAX;
	call->state = files;
	call_work(request, call, list_run);
}

/* ------------------------------------------------------------------ delete */

struct deletions {
	struct sha256 *oids;         /* sorted, each once */
	bool *met;
	size_t count;
	bool rewrite_history;
};

static int by_digest(const void *a, const void *b)
{
	return memcmp(a, b, HASH_BYTES);
}

/* An object that no ref reaches: dropped when it is one of those asked for. */
static int choose(void *context, const struct file_info *file, int64_t claimed_ms)
{
	(void)claimed_ms;
	struct deletions *deletions = context;
	const struct sha256 *found = !file->has_sha256 ? NULL :
		bsearch(&file->sha256, deletions->oids, deletions->count, sizeof(*deletions->oids), by_digest);
	if (found)
		deletions->met[found - deletions->oids] = true;
	return found ? 0 : 1;
}

/* The first that is here and that some ref reaches; NULL: none. */
static const struct sha256 *first_used(struct call *call, const struct deletions *deletions)
{
	struct file_info info;
	for (size_t i = 0; i < deletions->count; i++)
		if (!deletions->met[i] && store_file_by_sha256(call->gateway->store, &call->repo.id, &deletions->oids[i], &info) == 0)
			return &deletions->oids[i];
	return NULL;
}

static int sweep(struct call *call, struct deletions *deletions, bool dry_run, struct why *why)
{
	struct repo_roots roots = { .gateway = call->gateway, .repo = call->repo.id };
	struct store_owner_gc_report report;
	return store_gc_owner(call->gateway->store, &call->repo.id, repo_gc_roots_of, &roots, 0, dry_run, choose, deletions, NULL, &report, why);
}

static void sort_once(struct deletions *deletions)
{
	size_t kept = 0;
	qsort(deletions->oids, deletions->count, sizeof(*deletions->oids), by_digest);
	for (size_t i = 0; i < deletions->count; i++)
		if (i == 0 || by_digest(&deletions->oids[i], &deletions->oids[kept - 1]) != 0)
			deletions->oids[kept++] = deletions->oids[i];
	deletions->count = kept;
}

/* All or none: looked at first. */
static void delete_all(struct http_request *request, struct call *call, struct deletions *deletions)
{
	struct why why = { 0 };
	sort_once(deletions);
	int err = sweep(call, deletions, true, &why);
	const struct sha256 *used = err ? NULL : first_used(call, deletions);
	if (used) {
		char text[HASH_TEXT_BYTES];
		hex_encode(text, used->bytes, HASH_BYTES);
		if (deletions->rewrite_history)
			answer_unbuilt(request, http_printf(request, "Rewriting history to drop %s, which a ref reaches", text));
		else
			http_reply_error(request, 409, NULL, http_printf(request, "The object %s is reached by a ref of this repository; nothing was deleted", text));
		return;
	}
	if (err == 0)
		err = sweep(call, deletions, false, &why);
	if (err)
		answer_err(request, err, &why);
	else
		reply_success(request);
}

static struct deletions *deletions_open(struct http_request *request, size_t count, bool rewrite_history)
{
	struct deletions *deletions = http_alloc(request, sizeof(*deletions));
	deletions->oids = http_alloc(request, (count + 1) * sizeof(*deletions->oids));
	deletions->met = http_alloc(request, count + 1);
	deletions->rewrite_history = rewrite_history;
	return deletions;
}

static void batch_run(struct http_request *request, struct call *call, const json_t *body)
{
	const json_t *asked = json_object_get(body, "deletions"), *list = json_object_get(asked, "sha"), *item;
	if (!json_is_array(list) || json_array_size(list) > DELETIONS_MAX) {
		http_reply_error(request, 400, NULL, http_printf(request, "\"deletions\" must have \"sha\", a list of at most %d digests", DELETIONS_MAX));
		return;
	}
	struct deletions *deletions = deletions_open(request, json_array_size(list), json_body_bool(asked, "rewriteHistory", false));
	size_t i;
	json_array_foreach(list, i, item) {
		const char *text = json_is_string(item) ? json_string_value(item) : "";
		if (hex_decode(deletions->oids[deletions->count].bytes, HASH_BYTES, text, strlen(text)) != 0) {
			http_reply_error(request, 400, NULL, "Each \"sha\" must be 64 hexadecimal digits");
			return;
		}
		deletions->count++;
	}
	delete_all(request, call, deletions);
}

void lfs_files_batch(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 0, ACTION_ADMIN);
	if (call)
		body_call(request, call, DELETIONS_BODY_BYTES_MAX, batch_run);
}

static int delete_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	delete_all(request, call, call->state);
	return 0;
}

void lfs_files_delete(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 1, ACTION_ADMIN);
	const char *text = call ? call_text(request, call, 0) : NULL;
	if (!text)
		return;
	struct deletions *deletions = deletions_open(request, 1, http_query_bool(request, "rewriteHistory", false));
	deletions->count = 1;
	if (hex_decode(deletions->oids[0].bytes, HASH_BYTES, text, strlen(text)) != 0) {
		http_reply_error(request, 400, NULL, "An object is named by the 64 hexadecimal digits of its SHA-256");
		return;
	}
	call->state = deletions;
	call_work(request, call, delete_run);
}
