#include "gateway/hub/preupload.h"

#include <sodium.h>

#include "gateway/hub/call.h"
#include "gateway/hub/ignore.h"
#include "gateway/hub/json_body.h"
#include "gateway/repo/quota.h"
#include "schemas/json_writer.h"

enum {
	PREUPLOAD_FILES_MAX = 1000,
	PREUPLOAD_BODY_BYTES_MAX = 8 << 20,
	SAMPLE_BYTES_MAX = 1024,      /* clients send 512 */
	ATTRIBUTES_BYTES_MAX = 256 << 10,
};

struct preupload {
	bool has_commit;
	struct buffer attributes, ignore; /* texts in force */
};

/* The posted text if there is one, else the file of the revision. */
static int rules_in_force(struct call *call, const struct preupload *state, const json_t *posted, const char *path, struct buffer *out)
{
	if (json_is_string(posted))
		return buffer_append(out, json_string_value(posted), json_string_length(posted));
	if (!state->has_commit)
		return 0;
	struct tree_entry entry;
	int err = repo_entry(call->gateway, &call->repo, &call->revision.commit, span_text(path), REPO_MAY_WAIT, &entry);
	if (err == ERR_NOT_FOUND || (err == 0 && (entry.is_directory || entry.is_lfs || entry.length > out->limit)))
		return 0;
	struct why why = { 0 };
	return err ? err : repo_read_blob(call->gateway, &call->repo, &entry, out, &why);
}

/* Text holds no NUL, and few bytes that no text has. The sample may end within a character, so UTF-8 is not insisted on. */
static bool is_binary_sample(const char *base64)
{
	uint8_t bytes[SAMPLE_BYTES_MAX];
	size_t length = 0, controls = 0;
	if (!base64 || sodium_base642bin(bytes, sizeof(bytes), base64, strlen(base64), "\r\n", &length, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (bytes[i] == 0)
			return true;
		controls += bytes[i] < 0x20 && bytes[i] != '\n' && bytes[i] != '\r' && bytes[i] != '\t' && bytes[i] != '\f' && bytes[i] != 0x1b;
	}
	return controls * 10 > length;
}

static bool is_lfs(const struct preupload *state, struct span path, uint64_t length, const char *sample)
{
	if (length == 0)
		return false;
	return attributes_lfs(buffer_span(&state->attributes), path) || length > REGULAR_FILE_BYTES_MAX || is_binary_sample(sample);
}

static int write_known_oid(struct call *call, struct json_writer *json, struct span path, bool lfs)
{
	struct tree_entry entry;
	int err = repo_entry(call->gateway, &call->repo, &call->revision.commit, path, REPO_MAY_WAIT, &entry);
	if (err)
		return err == ERR_NOT_FOUND || err == ERR_INVALID ? 0 : err;
	if (entry.is_directory || entry.is_lfs != lfs)
		return 0;
	char oid[HASH_TEXT_BYTES];
	if (lfs)
		hex_encode(oid, entry.sha256.bytes, HASH_BYTES);
	else
		hex_encode(oid, entry.oid.bytes, OID_BYTES);
	json_text(json, "oid", oid);
	return 0;
}

static int write_file(struct call *call, const struct preupload *state, struct json_writer *json, const json_t *file, struct why *why)
{
	const json_t *path_value = json_object_get(file, "path"), *size = json_object_get(file, "size");
	if (!json_is_string(path_value) || !json_is_integer(size) || json_integer_value(size) < 0)
		return why_set(why, ERR_INVALID, "Each file needs a \"path\" and a \"size\"");
	struct span path = span_of(json_string_value(path_value), json_string_length(path_value));
	int err = path_check(path, why);
	if (err)
		return err;
	bool lfs = is_lfs(state, path, (uint64_t)json_integer_value(size), json_body_text(file, "sample", NULL));
	json_object_begin(json, NULL);
	json_span(json, "path", path);
	json_text(json, "uploadMode", lfs ? "lfs" : "regular");
	json_bool(json, "shouldIgnore", ignore_matches(buffer_span(&state->ignore), path));
	if (state->has_commit)
		err = write_known_oid(call, json, path, lfs);
	json_object_end(json);
	return err;
}

static int write_files(struct call *call, struct preupload *state, const json_t *body, struct buffer *out, struct why *why)
{
	const json_t *files = json_object_get(body, "files"), *file;
	if (!json_is_array(files))
		return why_set(why, ERR_INVALID, "\"files\" must be a list");
	if (json_array_size(files) > PREUPLOAD_FILES_MAX)
		return why_set(why, ERR_INVALID, "At most %d files may be asked for at once", PREUPLOAD_FILES_MAX);
	const json_t *ignore = json_object_get(body, "gitIgnore");
	int err = rules_in_force(call, state, json_object_get(body, "gitAttributes"), ".gitattributes", &state->attributes);
	if (err == 0)
		err = rules_in_force(call, state, ignore, ".gitignore", &state->ignore);
	if (err == ERR_TOO_BIG)
		err = why_set(why, ERR_INVALID, "The .gitattributes or .gitignore file is too large");
	if (err == 0 && !state->has_commit && state->attributes.length == 0) {
		struct span defaults = attributes_default(call->repo.type);
		err = buffer_append(&state->attributes, defaults.data, defaults.length);
	}
	struct json_writer json;
	json_writer_init(&json, out);
	json_object_begin(&json, NULL);
	json_array_begin(&json, "files");
	size_t i;
	json_array_foreach(files, i, file)
		if (err == 0)
			err = write_file(call, state, &json, file, why);
	json_array_end(&json);
	if (state->has_commit)
		json_text(&json, "commitOid", call->revision.commit_text);
	json_object_end(&json);
	return err;
}

static void reply_files(struct http_request *request, struct call *call, struct preupload *state, const json_t *body)
{
	struct buffer out;
	buffer_init(&out, ANSWER_BYTES_MAX);
	buffer_init(&state->attributes, ATTRIBUTES_BYTES_MAX);
	buffer_init(&state->ignore, IGNORE_BYTES_MAX);
	struct why why = { 0 };
	int err = write_files(call, state, body, &out, &why);
	buffer_fini(&state->attributes);
	buffer_fini(&state->ignore);
	if (err == 0) {
		answer_json(request, 200, &out);
		return;
	}
	buffer_fini(&out);
	if (err == ERR_INVALID)
		http_reply_error(request, 422, NULL, why.text);
	else
		answer_err(request, err, &why);
}

/* A new repository has no commit on its default branch: then there is nothing to compare with. */
static bool is_unborn(struct http_request *request, struct call *call)
{
	const char *text = http_decode(request, call->captures[0], false);
	struct ref ref;
	if (!text || ref_get(call->gateway->ns, NULL, &call->repo.id, call->repo.head, &ref) != ERR_NOT_FOUND)
		return false;
	return strcmp(text, call->repo.head) == 0 || strcmp(text, call->repo.head + strlen("refs/heads/")) == 0;
}

static void with_body(struct http_request *request, struct span text, void *context)
{
	struct call *call = context;
	struct preupload state = { 0 };
	struct why why = { 0 };
	json_t *body = json_body_parse(text, &why);
	if (!body) {
		answer_err(request, ERR_INVALID, &why);
		return;
	}
	/* How much of the files is new nobody knows yet, only that the owner has room for anything at all. */
	int err = quota_check(call->gateway, &call->repo, &call->actor, 1, &why);
	if (err) {
		answer_err(request, err, &why);
	} else if (is_unborn(request, call)) {
		reply_files(request, call, &state, body);
	} else if (call_revision(request, call, 0, REPO_MAY_WAIT) == 0) {
		state.has_commit = true;
		reply_files(request, call, &state, body);
	}
	json_decref(body);
}

void preupload(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 1, call_is_proposal(request, match) ? ACTION_PROPOSE : ACTION_WRITE);
	if (call)
		http_collect(request, PREUPLOAD_BODY_BYTES_MAX, with_body, call);
}
