/* resolve.c
 *
 * DESIGN. A HEAD, and a miss just as much as a hit, is answered on the control loop from cached directories: clients ask for many
 * files that do not exist. A GET finds its entry there too and then opens the file on a worker, from where the body streams
 * on a bulk loop. Files kept in LFS name their SHA-256 and, for clients that speak Xet, their file hash and where to ask for it. */
#include "gateway/hub/resolve.h"

#include <stdio.h>

#include "gateway/auth/xet_token.h"
#include "gateway/downloads.h"
#include "gateway/hub/call.h"
#include "gateway/hub/content.h"
#include "gateway/hub/file_link.h"
#include "schemas/json_writer.h"

enum resolve_kind { RESOLVE_FILE, RESOLVE_RAW, RESOLVE_CACHED };

enum { RAW_BYTES_MAX = REGULAR_FILE_BYTES_MAX + 4096 };

static const char xet_info_type[] = "application/vnd.xet-fileinfo+json";

struct resolve {
	enum resolve_kind kind;
	struct tree_entry entry;
	struct content content;
	bool found; /* the entry is known and its headers are added: only the bytes are missing */
};

static void add_file_headers(struct http_request *request, struct call *call, const struct resolve *resolve)
{
	const struct tree_entry *entry = &resolve->entry;
	http_add_header(request, "X-Repo-Commit", call->revision.commit_text);
	add_content_headers(request, call->revision.path);
	bool is_public = !call->repo.private && call->repo.gated == REPO_GATE_NONE;
	if (resolve->kind == RESOLVE_CACHED)
		http_add_header(request, "Cache-Control", is_public ? "public, max-age=31536000, immutable" : "private, max-age=31536000, immutable");
	if (!entry->is_lfs || resolve->kind == RESOLVE_RAW)
		return;
	http_add_headerf(request, "X-Linked-Size", "%llu", (unsigned long long)entry->length);
	http_add_header(request, "X-Linked-ETag", resolve->content.etag);
	if (!entry->has_file)
		return;
	char hash[HASH_TEXT_BYTES];
	hash_to_text(hash, &entry->file);
	http_add_header(request, "X-Xet-Hash", hash);
	const char *base = http_base_url(request);
	http_add_headerf(request, "Link",
		"<%s/api/%s/%s/%s/xet-read-token/%s>; rel=\"xet-auth\", <%s/v1/reconstructions/%s>; rel=\"xet-reconstruction-info\"", base,
		type_plural(call->repo.type), call->repo.owner, call->repo.name, call->revision.commit_text, base, hash);
}

static const char *etag_of(struct http_request *request, const struct resolve *resolve)
{
	char text[HASH_TEXT_BYTES];
	if (resolve->entry.is_lfs && resolve->kind != RESOLVE_RAW)
		hex_encode(text, resolve->entry.sha256.bytes, HASH_BYTES);
	else
		hex_encode(text, resolve->entry.oid.bytes, OID_BYTES);
	return http_printf(request, "\"%s\"", text);
}

static bool accepts_xet_info(struct http_request *request)
{
	struct span accept = http_header(request, "Accept");
	return accept.data && memmem(accept.data, accept.length, xet_info_type, sizeof(xet_info_type) - 1);
}

static void reply_xet_info(struct http_request *request, struct call *call, const struct resolve *resolve)
{
	char hash[HASH_TEXT_BYTES];
	hash_to_text(hash, &resolve->entry.file);
	const char *base = http_base_url(request);
	struct buffer body;
	buffer_init(&body, ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_text(&json, "hash", hash);
	json_text(&json, "refreshUrl", http_printf(request, "%s/api/%s/%s/%s/xet-read-token/%s", base,
		type_plural(call->repo.type), call->repo.owner, call->repo.name, call->revision.commit_text));
	json_text(&json, "reconstructionUrl", http_printf(request, "%s/v1/reconstructions/%s", base, hash));
	json_text(&json, "etag", resolve->content.etag);
	json_u64(&json, "size", resolve->entry.length);
	json_object_end(&json);
	http_add_header(request, "ETag", resolve->content.etag);
	http_reply_buffer(request, 200, xet_info_type, &body);
	buffer_fini(&body);
}

/* Blobs that are no store file of their own: LFS pointers, shown raw. */
static void reply_blob(struct http_request *request, struct call *call, const struct resolve *resolve)
{
	struct buffer body;
	buffer_init(&body, RAW_BYTES_MAX);
	struct why why = { 0 };
	int err = repo_read_blob(call->gateway, &call->repo, &resolve->entry, &body, &why);
	if (err == 0 && buffer_span(&body).length != resolve->content.length)
		err = why_set(&why, ERR_CORRUPT, "The blob has another length than its entry says");
	if (err)
		answer_err(request, err, &why);
	else
		reply_content_bytes(request, &resolve->content, buffer_span(&body).data);
	buffer_fini(&body);
}

/* 0: the entry is there; ERR_AGAIN; else answered. */
static int find_entry(struct http_request *request, struct call *call, struct resolve *resolve, enum repo_wait wait)
{
	int err = call_revision(request, call, 0, wait);
	if (err)
		return err;
	if (resolve->kind == RESOLVE_CACHED && strcasecmp(call->revision.text, call->revision.commit_text) != 0) {
		http_reply_error(request, 400, NULL, "Only a full commit id is accepted here");
		return ERR_INVALID;
	}
	err = call->revision.path.length == 0 ? ERR_NOT_FOUND :
		repo_entry(call->gateway, &call->repo, &call->revision.commit, call->revision.path, wait, &resolve->entry);
	if (err == ERR_AGAIN)
		return err;
	if (err == ERR_NOT_FOUND || err == ERR_INVALID || (err == 0 && resolve->entry.is_directory)) {
		answer_entry_missing(request, call->revision.commit_text, "Entry not found");
		return ERR_NOT_FOUND;
	}
	bool lacks_content = err == 0 && resolve->entry.is_lfs && !resolve->entry.has_file && resolve->kind != RESOLVE_RAW;
	if (lacks_content && resolve->entry.is_unsettled) {
		answer_err(request, ERR_BUSY, NULL);
		return ERR_BUSY;
	}
	if (lacks_content) {
		answer_entry_missing(request, call->revision.commit_text, "The content of this file was never uploaded");
		return ERR_NOT_FOUND;
	}
	if (err)
		answer_err(request, err, NULL);
	return err;
}

static int resolve_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	struct resolve *resolve = call->state;
	const struct tree_entry *entry = &resolve->entry;
	bool pointer = resolve->kind == RESOLVE_RAW && entry->is_lfs;
	if (!resolve->found) {
		int err = find_entry(request, call, resolve, wait);
		if (err)
			return err == ERR_AGAIN ? err : 0;
		pointer = resolve->kind == RESOLVE_RAW && entry->is_lfs;
		resolve->content = (struct content){
			.file = entry->file,
			.length = pointer ? entry->pointer_length : entry->length,
			.etag = etag_of(request, resolve),
			.type = pointer ? "text/plain; charset=utf-8" : content_type_of(call->revision.path),
		};
		add_file_headers(request, call, resolve);
		if (resolve->kind != RESOLVE_RAW)
			downloads_count(call->gateway->downloads, request, &call->actor, &call->repo, call->revision.path);
		if (entry->is_lfs && !pointer && http_method(request) == HTTP_GET && accepts_xet_info(request)) {
			reply_xet_info(request, call, resolve);
			return 0;
		}
		if (reply_content_head(request, &resolve->content))
			return 0;
		resolve->found = true;
	}
	if (wait == REPO_NO_WAIT)
		return ERR_AGAIN;
	if (pointer || !entry->has_file)
		reply_blob(request, call, resolve);
	else if (resolve->kind == RESOLVE_CACHED || !file_link_reply(request, call, &resolve->content, call->revision.path)) /* caches keep it: a link expires */
		reply_content(request, call->gateway, &resolve->content);
	return 0;
}

static void resolve_start(struct http_request *request, const struct route_match *match, enum resolve_kind kind)
{
	struct call *call = call_open_repo(request, match, 1, ACTION_READ_FILES);
	if (!call)
		return;
	struct resolve *resolve = http_alloc(request, sizeof(*resolve));
	resolve->kind = kind;
	call->state = resolve;
	call_run(request, call, resolve_run);
}

void resolve_file(struct http_request *request, const struct route_match *match)
{
	resolve_start(request, match, RESOLVE_FILE);
}

void resolve_raw(struct http_request *request, const struct route_match *match)
{
	resolve_start(request, match, RESOLVE_RAW);
}

void resolve_cached(struct http_request *request, const struct route_match *match)
{
	resolve_start(request, match, RESOLVE_CACHED);
}
