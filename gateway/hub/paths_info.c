/* paths_info.c - POST paths-info/{rev}: what is known of the given paths.
 *
 * The Python client posts a form (paths=a&paths=b&expand=false), the JavaScript client JSON. Unknown paths are left out of the answer. */
#include <jansson.h>
#include <stdlib.h>

#include "gateway/hub/call.h"
#include "gateway/hub/entry.h"
#include "gateway/hub/json_body.h"
#include "gateway/hub/tree.h"

enum { PATHS_MAX = 2000, PATHS_BODY_BYTES_MAX = 4 << 20 };

struct paths {
	const char *texts[PATHS_MAX];
	size_t count;
	bool expand;
	struct tree_entry found[PATHS_MAX];
	size_t found_count;
};

static int add_path(struct paths *paths, const char *text)
{
	if (paths->count == PATHS_MAX)
		return ERR_TOO_BIG;
	paths->texts[paths->count++] = text;
	return 0;
}

static bool is_paths_key(struct span key)
{
	return span_equal(key, span_text("paths")) || span_equal(key, span_text("paths[]")) ||
		span_equal(key, span_text("paths%5B%5D"));
}

/* One pass over the form: asking for the k-th value of a key 2000 times would be quadratic. */
static int read_form(struct http_request *request, struct span body, struct paths *paths)
{
	for (size_t at = 0; at < body.length;) {
		const uint8_t *end = memchr(body.data + at, '&', body.length - at);
		struct span pair = span_of(body.data + at, end ? (size_t)(end - body.data) - at : body.length - at);
		at += pair.length + 1;
		const uint8_t *equals = memchr(pair.data, '=', pair.length);
		if (!equals)
			continue;
		struct span key = span_of(pair.data, (size_t)(equals - pair.data));
		const char *value = http_decode(request, span_of(equals + 1, pair.length - key.length - 1), true);
		if (!value)
			return ERR_INVALID;
		if (span_equal(key, span_text("expand")))
			paths->expand = strcmp(value, "true") == 0 || strcmp(value, "True") == 0 || strcmp(value, "1") == 0;
		int err = is_paths_key(key) ? add_path(paths, value) : 0;
		if (err)
			return err;
	}
	return 0;
}

static int read_json(struct http_request *request, struct span body, struct paths *paths, struct why *why)
{
	json_t *root = json_body_parse(body, why);
	if (!root)
		return ERR_INVALID;
	paths->expand = json_body_bool(root, "expand", false);
	const json_t *list = json_object_get(root, "paths"), *item;
	size_t i;
	int err = 0;
	if (json_is_string(list)) /* one path may stand alone */
		err = add_path(paths, http_strndup(request, json_string_value(list), json_string_length(list)));
	else if (!json_is_array(list))
		err = why_set(why, ERR_INVALID, "\"paths\" must be a list");
	json_array_foreach(list, i, item) {
		if (err == 0 && !json_is_string(item))
			err = why_set(why, ERR_INVALID, "\"paths\" must hold strings");
		if (err == 0)
			err = add_path(paths, http_strndup(request, json_string_value(item), json_string_length(item)));
	}
	json_decref(root);
	return err;
}

static int find_entries(struct call *call, struct paths *paths)
{
	for (size_t i = 0; i < paths->count; i++) {
		struct span path = span_text(paths->texts[i]);
		while (path.length && path.data[path.length - 1] == '/')
			path.length--;
		if (path.length == 0 || path.length > PATH_BYTES_MAX)
			continue;
		struct tree_entry *entry = &paths->found[paths->found_count];
		int err = repo_entry(call->gateway, &call->repo, &call->revision.commit, path, REPO_MAY_WAIT, entry);
		if (err == ERR_NOT_FOUND || err == ERR_INVALID)
			continue;
		if (err)
			return err;
		entry->path = path;
		paths->found_count++;
	}
	return 0;
}

static int write_paths(struct call *call, struct paths *paths, struct buffer *body)
{
	struct commit_info *infos = NULL;
	size_t count = paths->found_count;
	int err = 0;
	if (paths->expand && count) {
		infos = calloc(count, sizeof(*infos));
		struct span *names = calloc(count, sizeof(*names));
		err = infos && names ? 0 : ERR_NO_MEMORY;
		for (size_t i = 0; err == 0 && i < count; i++)
			names[i] = paths->found[i].path;
		if (err == 0)
			err = repo_last_commits(call->gateway, &call->repo, &call->revision.commit, names, count, infos);
		free(names);
	}
	struct json_writer json;
	json_writer_init(&json, body);
	json_array_begin(&json, NULL);
	for (size_t i = 0; err == 0 && i < count; i++)
		write_entry(&json, &paths->found[i], infos ? &infos[i] : NULL);
	json_array_end(&json);
	for (size_t i = 0; infos && i < count; i++)
		commit_info_fini(&infos[i]);
	free(infos);
	return err;
}

static void reply_paths(struct http_request *request, struct call *call, struct span body, struct paths *paths)
{
	struct why why = { 0 };
	struct span type = http_header(request, "Content-Type");
	bool is_json = type.data && memmem(type.data, type.length, "json", 4);
	int err = is_json ? read_json(request, body, paths, &why) : read_form(request, body, paths);
	if (err) {
		if (err == ERR_TOO_BIG)
			err = why_set(&why, ERR_INVALID, "At most %d paths may be asked for at once", PATHS_MAX);
		answer_err(request, err, &why);
		return;
	}
	if (call_revision(request, call, 0, REPO_MAY_WAIT) != 0)
		return;
	struct buffer answer;
	buffer_init(&answer, ANSWER_BYTES_MAX);
	err = find_entries(call, paths);
	if (err == 0)
		err = write_paths(call, paths, &answer);
	if (err) {
		buffer_fini(&answer);
		answer_err(request, err, NULL);
		return;
	}
	http_add_header(request, "X-Repo-Commit", call->revision.commit_text);
	answer_json(request, 200, &answer);
}

static void with_body(struct http_request *request, struct span body, void *context)
{
	struct paths *paths = calloc(1, sizeof(*paths));
	if (paths)
		reply_paths(request, context, body, paths);
	else
		answer_err(request, ERR_NO_MEMORY, NULL);
	free(paths);
}

void paths_info(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 1, ACTION_READ);
	if (call)
		http_collect(request, PATHS_BODY_BYTES_MAX, with_body, call);
}
