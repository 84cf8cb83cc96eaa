#include "gateway/hub/shard_headers.h"

#include <stdlib.h>

#include "gateway/hub/json_body.h" /* jansson before json_writer.h */

#include "gateway/facts/files.h"
#include "gateway/hub/call.h"
#include "schemas/json_writer.h"
#include "schemas/safetensors.h"

enum {
	INDEX_BYTES_MAX = 16 << 20,
	SHARDS_MAX = 1000,
};

struct headers {
	struct http_request *request;
	struct call *call;
	struct span folder;    /* of the index, with its slash */
	struct json_writer json;
	struct buffer body;
	struct why why;
};

/* ERR_NOT_FOUND: there is no such file; ERR_INVALID: it is no safetensors file. */
static int write_header(struct headers *headers, const char *shard)
{
	struct call *call = headers->call;
	struct safetensors_summary summary;
	struct tree_entry entry;
	uint8_t prefix[SAFETENSORS_PREFIX_BYTES];
	uint64_t length;
	const char *path = http_printf(headers->request, "%.*s%s", (int)headers->folder.length, (const char *)headers->folder.data, shard);
	if (path_check(span_text(path), &headers->why) != 0)
		return ERR_INVALID;
	int err = repo_entry(call->gateway, &call->repo, &call->revision.commit, span_text(path), REPO_MAY_WAIT, &entry);
	if (err || entry.is_directory)
		return why_set(&headers->why, err ? err : ERR_NOT_FOUND, "%.200s, which the index names, does not exist", path);
	err = entry.length < sizeof(prefix) ? why_set(&headers->why, ERR_INVALID, "%.200s has no header", path) :
		facts_read_at(call->gateway, &entry, 0, prefix, sizeof(prefix));
	if (err == 0)
		err = safetensors_header_length(&length, span_of(prefix, sizeof(prefix)), entry.length, &headers->why);
	if (err)
		return err;
	uint8_t *header = malloc((size_t)length + 1);
	err = header ? length ? facts_read_at(call->gateway, &entry, sizeof(prefix), header, (size_t)length) : 0 : ERR_NO_MEMORY;
	if (err == 0)
		err = safetensors_summarize(&summary, span_of(header, (size_t)length), entry.length - sizeof(prefix) - length, &headers->why);
	if (err == 0)
		json_raw(&headers->json, shard, span_of(header, (size_t)length));
	free(header);
	return err ? err : headers->body.failed ? why_set(&headers->why, ERR_TOO_BIG, "The headers are too large for one answer") : 0;
}

/* The index, parsed; NULL: *err. */
static json_t *read_index(struct headers *headers, const struct tree_entry *entry, int *err)
{
	struct call *call = headers->call;
	struct buffer text;
	bool unread = false;
	buffer_init(&text, INDEX_BYTES_MAX);
	*err = facts_read(call->gateway, &call->repo, entry, &text, &unread);
	json_t *index = *err ? NULL : json_body_parse(buffer_span(&text), &headers->why);
	buffer_fini(&text);
	if (*err == 0 && !json_is_object(json_object_get(index, "weight_map"))) {
		*err = why_set(&headers->why, ERR_INVALID, "The file is no index of safetensors files");
		json_decref(index);
		index = NULL;
	}
	return index;
}

static int write_answer(struct headers *headers, json_t *index)
{
	json_t *map = json_object_get(index, "weight_map"), *metadata = json_object_get(index, "metadata"), *shard, *seen = json_object();
	const char *tensor;
	char *text = metadata ? json_dumps(metadata, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	int err = 0;
	json_object_begin(&headers->json, NULL);
	json_object_begin(&headers->json, "index");
	if (text)
		json_raw(&headers->json, "metadata", span_text(text));
	json_object_end(&headers->json);
	json_object_begin(&headers->json, "headers");
	json_object_foreach(map, tensor, shard) {
		const char *name = json_string_value(shard);
		if (err == 0 && !name)
			err = why_set(&headers->why, ERR_INVALID, "The index does not name files");
		if (err || json_object_get(seen, name))
			continue;
		json_object_set_new(seen, name, json_true());
		err = json_object_size(seen) > SHARDS_MAX ? why_set(&headers->why, ERR_TOO_BIG, "At most %d files are looked into", SHARDS_MAX) :
			write_header(headers, name);
	}
	json_object_end(&headers->json);
	json_object_end(&headers->json);
	free(text);
	json_decref(seen);
	return err;
}

static int headers_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	struct headers headers = { .request = request, .call = call };
	struct tree_entry entry;
	(void)wait;
	const char *path = http_decode(request, call->rest, false);
	call->captures[0] = span_text(call->repo.head + strlen("refs/heads/"));
	call->rest = span_of(NULL, 0);
	if (call_revision(request, call, 0, REPO_MAY_WAIT) != 0)
		return 0;
	int err = path && *path ? repo_entry(call->gateway, &call->repo, &call->revision.commit, span_text(path), REPO_MAY_WAIT, &entry) : ERR_NOT_FOUND;
	if (err == ERR_NOT_FOUND || (err == 0 && entry.is_directory)) {
		answer_entry_missing(request, call->revision.commit_text, "Entry not found");
		return 0;
	}
	const char *slash = path ? strrchr(path, '/') : NULL;
	headers.folder = slash ? span_of(path, (size_t)(slash - path) + 1) : span_of(NULL, 0);
	buffer_init(&headers.body, ANSWER_BYTES_MAX);
	json_writer_init(&headers.json, &headers.body);
	json_t *index = err ? NULL : read_index(&headers, &entry, &err);
	if (index)
		err = write_answer(&headers, index);
	json_decref(index);
	if (err == 0) {
		http_add_header(request, "X-Repo-Commit", call->revision.commit_text);
		answer_json(request, 200, &headers.body);
		return 0;
	}
	buffer_fini(&headers.body);
	if (err == ERR_NOT_FOUND)
		answer_entry_missing(request, call->revision.commit_text, headers.why.text);
	else
		answer_err(request, err == ERR_TOO_BIG ? ERR_INVALID : err, &headers.why);
	return 0;
}

void shard_headers(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 0, ACTION_READ_FILES);
	if (call)
		call_work(request, call, headers_run);
}
