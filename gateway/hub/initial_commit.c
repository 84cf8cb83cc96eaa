#include "gateway/hub/initial_commit.h"

#include <stdlib.h>

#include "gateway/hub/base64.h"
#include "gateway/hub/call.h"
#include "gateway/hub/draft_content.h"
#include "gateway/hub/json_body.h"
#include "gateway/repo/quota.h"

enum { INITIAL_FILES_MAX = 1000, DEFAULT_FILE_BYTES_MAX = 64 << 10 };

static int add_file(struct commit_draft *draft, struct span path, struct span content, struct why *why)
{
	struct upload_result result;
	int err = draft_store_content(draft, content, &result, why);
	return err ? err : commit_draft_file(draft, path, &result, why);
}

static bool is_given(const json_t *files, const char *path)
{
	size_t i;
	const json_t *file;
	json_array_foreach(files, i, file)
		if (strcmp(json_body_text(file, "path", ""), path) == 0)
			return true;
	return false;
}

/* A value of a YAML mapping, double-quoted: JSON's escapes are YAML's. */
static void add_yaml(struct buffer *out, const char *key, const char *value)
{
	json_t *text = value ? json_string(value) : NULL;
	char *quoted = text ? json_dumps(text, JSON_ENCODE_ANY) : NULL;
	if (quoted)
		buffer_printf(out, "%s: %s\n", key, quoted);
	free(quoted);
	json_decref(text);
}

static void make_readme(const struct repo *repo, const json_t *body, struct buffer *out)
{
	const char *license = json_body_text(body, "license", NULL);
	bool space = repo->type == REPO_SPACE;
	buffer_append_text(out, "---\n");
	if (space) {
		add_yaml(out, "title", repo->name);
		buffer_append_text(out, "emoji: \xf0\x9f\x8f\x94\ncolorFrom: blue\ncolorTo: gray\n");
		buffer_printf(out, "sdk: %s\n", repo->sdk);
		if (strcmp(repo->sdk, "gradio") == 0 || strcmp(repo->sdk, "streamlit") == 0)
			buffer_append_text(out, "app_file: app.py\n");
		buffer_append_text(out, "pinned: false\n");
	}
	if (license)
		buffer_printf(out, "license: %s\n", license);
	add_yaml(out, "license_name", json_body_text(body, "license_name", NULL));
	add_yaml(out, "license_link", json_body_text(body, "license_link", NULL));
	add_yaml(out, "short_description", json_body_text(body, "short_description", NULL));
	buffer_append_text(out, "---\n");
	if (space)
		buffer_printf(out, "\n# %s\n", repo->name);
}

static const char index_html[] =
	"<!doctype html>\n<html>\n\t<head>\n\t\t<meta charset=\"utf-8\" />\n"
	"\t\t<meta name=\"viewport\" content=\"width=device-width\" />\n\t\t<title>My static Space</title>\n"
	"\t\t<link rel=\"stylesheet\" href=\"style.css\" />\n\t</head>\n\t<body>\n\t\t<div class=\"card\">\n"
	"\t\t\t<h1>Welcome to your static Space!</h1>\n\t\t\t<p>You can modify this app directly by editing <i>index.html</i>.</p>\n"
	"\t\t</div>\n\t</body>\n</html>\n";

static const char style_css[] =
	"body {\n\tpadding: 2rem;\n\tfont-family: system-ui, sans-serif;\n}\n\nh1 {\n\tfont-size: 16px;\n\tmargin-top: 0;\n}\n\n"
	"p {\n\tcolor: rgb(107, 114, 128);\n\tfont-size: 15px;\n}\n";

static int add_defaults(struct commit_draft *draft, const struct repo *repo, const json_t *body, struct why *why)
{
	const json_t *files = json_object_get(body, "files");
	int err = 0;
	if (!is_given(files, ".gitattributes"))
		err = add_file(draft, span_text(".gitattributes"), attributes_default(repo->type), why);
	bool wants_readme = repo->type == REPO_SPACE || json_body_text(body, "license", NULL);
	if (err == 0 && wants_readme && !is_given(files, "README.md")) {
		struct buffer readme;
		buffer_init(&readme, DEFAULT_FILE_BYTES_MAX);
		make_readme(repo, body, &readme);
		err = readme.failed ? why_set(why, ERR_INVALID, "The description is too long") :
			add_file(draft, span_text("README.md"), buffer_span(&readme), why);
		buffer_fini(&readme);
	}
	bool is_static = repo->type == REPO_SPACE && strcmp(repo->sdk, "static") == 0;
	if (err == 0 && is_static && !is_given(files, "index.html"))
		err = add_file(draft, span_text("index.html"), span_text(index_html), why);
	if (err == 0 && is_static && !is_given(files, "style.css"))
		err = add_file(draft, span_text("style.css"), span_text(style_css), why);
	return err;
}

static int add_given(struct commit_draft *draft, const json_t *file, struct why *why)
{
	const json_t *content = json_object_get(file, "content"), *path = json_object_get(file, "path");
	if (!json_is_string(content) || !json_is_string(path))
		return why_set(why, ERR_INVALID, "Each of \"files\" needs a path and a content");
	struct span name = span_of(json_string_value(path), json_string_length(path));
	struct span text = span_of(json_string_value(content), json_string_length(content));
	if (strcmp(json_body_text(file, "encoding", "utf-8"), "base64") != 0)
		return add_file(draft, name, text, why);
	uint8_t *bytes = malloc(text.length + 1);
	if (!bytes)
		return ERR_NO_MEMORY;
	memcpy(bytes, text.data, text.length);
	size_t length = base64_decode_in_place(bytes, text.length);
	int err = length == SIZE_MAX ? why_set(why, ERR_INVALID, "The content of \"%.200s\" is not valid base64", json_string_value(path)) :
		add_file(draft, name, span_of(bytes, length), why);
	free(bytes);
	return err;
}

/* As they are written in the body: no less than they are. */
static uint64_t given_bytes(const json_t *files)
{
	uint64_t bytes = 0;
	size_t i;
	const json_t *file;
	json_array_foreach(files, i, file)
		bytes += json_string_length(json_object_get(file, "content"));
	return bytes;
}

int initial_commit(struct gateway *gateway, const struct repo *repo, const struct actor *actor, const char *email, const json_t *body, struct why *why)
{
	const json_t *files = json_object_get(body, "files"), *file;
	size_t i;
	if (json_array_size(files) > INITIAL_FILES_MAX)
		return why_set(why, ERR_INVALID, "At most %d files may be given", INITIAL_FILES_MAX);
	struct commit_draft *draft;
	int err = quota_check(gateway, repo, actor, given_bytes(files), why);
	if (err == 0)
		err = commit_draft_open(&draft, gateway, repo, repo->head, NULL, why);
	if (err)
		return err;
	err = add_defaults(draft, repo, body, why);
	json_array_foreach(files, i, file)
		if (err == 0)
			err = add_given(draft, file, why);
	struct commit_author author = { .name = repo->creator, .email = email, .when_ms = unix_ms() };
	struct oid oid;
	if (err == 0)
		err = commit_draft_finish(draft, repo->creator, &author, span_text("initial commit"), span_text(""), &oid, why);
	commit_draft_close(draft);
	return err;
}
