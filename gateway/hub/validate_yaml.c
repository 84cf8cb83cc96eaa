#include "gateway/hub/validate_yaml.h"

#include <stdarg.h>
#include <stdio.h>

#include "gateway/hub/call.h"
#include "gateway/facts/front_matter.h"
#include "gateway/hub/json_body.h"
#include "schemas/json_writer.h"

enum { SHORT_DESCRIPTION_MAX = 60 }; /* characters */

static const char *const licenses[] = { "apache-2.0", "mit", "openrail", "bigscience-openrail-m", "creativeml-openrail-m",
	"bigscience-bloom-rail-1.0", "bigcode-openrail-m", "afl-3.0", "artistic-2.0", "bsl-1.0", "bsd", "bsd-2-clause", "bsd-3-clause",
	"bsd-3-clause-clear", "c-uda", "cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0",
	"cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0",
	"cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0",
	"wtfpl", "ecl-2.0", "epl-1.0", "epl-2.0", "etalab-2.0", "eupl-1.1", "eupl-1.2", "agpl-3.0", "gfdl", "gpl", "gpl-2.0", "gpl-3.0",
	"lgpl", "lgpl-2.1", "lgpl-3.0", "isc", "h-research", "intel-research", "lppl-1.3c", "ms-pl", "apple-ascl", "apple-amlr",
	"mpl-2.0", "odc-by", "odbl", "openmdw-1.0", "openrail++", "osl-3.0", "postgresql", "ofl-1.1", "ncsa", "unlicense", "zlib", "pddl",
	"lgpl-lr", "deepfloyd-if-license", "fair-noncommercial-research-license", "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3",
	"llama4", "grok2-community", "gemma", "unknown", "other", NULL };

static const char *const colors[] = { "red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray", NULL };
static const char *const sdks[] = { "gradio", "docker", "static", "streamlit", NULL };

static bool is_listed(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(text, *list) == 0)
			return true;
	return false;
}

bool license_known(const char *id)
{
	return is_listed(id, licenses);
}

__attribute__((format(printf, 2, 3))) static void add_error(struct findings *out, const char *format, ...)
{
	if (out->errors_count == FINDINGS_MAX)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(out->errors[out->errors_count++], FINDING_BYTES_MAX, format, args);
	va_end(args);
}

static void check_license(const json_t *data, struct findings *out)
{
	const json_t *license = json_object_get(data, "license"), *item;
	size_t i;
	if (!license || json_is_null(license))
		return;
	if (json_is_string(license) && !license_known(json_string_value(license)))
		add_error(out, "\"license\" must be one of [%s, %s, ..., %s]", licenses[0], licenses[1], "other");
	else if (!json_is_string(license) && !json_is_array(license))
		add_error(out, "\"license\" must be a string or a list of strings");
	json_array_foreach(license, i, item)
		if (!json_is_string(item) || !license_known(json_string_value(item)))
			add_error(out, "\"license[%zu]\" must be one of [%s, %s, ..., %s]", i, licenses[0], licenses[1], "other");
}

/* A string, or a list of strings. */
static void check_words(const json_t *data, const char *key, bool list_only, struct findings *out)
{
	const json_t *value = json_object_get(data, key), *item;
	size_t i;
	if (!value || json_is_null(value) || (json_is_string(value) && !list_only))
		return;
	if (!json_is_array(value))
		add_error(out, list_only ? "\"%s\" must be an array" : "\"%s\" must be a string or an array of strings", key);
	json_array_foreach(value, i, item)
		if (!json_is_string(item))
			add_error(out, "\"%s[%zu]\" must be a string", key, i);
}

static void check_choice(const json_t *data, const char *key, const char *const *choices, const char *named, struct findings *out)
{
	const json_t *value = json_object_get(data, key);
	if (value && (!json_is_string(value) || !is_listed(json_string_value(value), choices)))
		add_error(out, "\"%s\" must be one of [%s]", key, named);
}

static size_t characters_of(const char *text)
{
	size_t count = 0;
	for (; *text; text++)
		count += ((unsigned char)*text & 0xc0) != 0x80;
	return count;
}

static void check_space(const json_t *data, struct findings *out)
{
	static const char color_names[] = "red, yellow, green, blue, indigo, purple, pink, gray";
	check_choice(data, "colorFrom", colors, color_names, out);
	check_choice(data, "colorTo", colors, color_names, out);
	check_choice(data, "sdk", sdks, "gradio, docker, static, streamlit", out);
	const json_t *pinned = json_object_get(data, "pinned");
	if (pinned && !json_is_boolean(pinned))
		add_error(out, "\"pinned\" must be a boolean");
	const char *description = json_string_value(json_object_get(data, "short_description"));
	if (description && characters_of(description) > SHORT_DESCRIPTION_MAX)
		add_error(out, "\"short_description\" length must be less than or equal to %d characters long", SHORT_DESCRIPTION_MAX);
}

void readme_check(struct span readme, enum repo_type type, struct findings *out)
{
	json_t *data = NULL;
	struct why why = { 0 };
	/* Blank lines before the opening fence are accepted: what follows is then ordinary text. */
	int err = front_matter_parse(readme, &data, &why);
	if (err) {
		add_error(out, "%s", why.text[0] ? why.text : "Invalid YAML");
		return;
	}
	if (!data) {
		snprintf(out->warnings[out->warnings_count++], FINDING_BYTES_MAX, "empty or missing yaml metadata in repo card");
		return;
	}
	check_license(data, out);
	check_words(data, "language", false, out);
	check_words(data, "tags", true, out);
	if (type == REPO_MODEL) {
		check_words(data, "datasets", false, out);
		check_words(data, "base_model", false, out);
		const json_t *pipeline = json_object_get(data, "pipeline_tag");
		if (pipeline && !json_is_null(pipeline) && !json_is_string(pipeline))
			add_error(out, "\"pipeline_tag\" must be a string");
	}
	if (type == REPO_SPACE)
		check_space(data, out);
	json_decref(data);
}

static void write_findings(struct json_writer *json, const char *key, char texts[][FINDING_BYTES_MAX], size_t count)
{
	json_array_begin(json, key);
	for (size_t i = 0; i < count; i++) {
		json_object_begin(json, NULL);
		json_text(json, "message", texts[i]);
		json_object_end(json);
	}
	json_array_end(json);
}

static void reply_findings(struct http_request *request, struct findings *findings)
{
	struct buffer body;
	buffer_init(&body, ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	if (findings->errors_count)
		json_text(&json, "error", findings->errors[0]);
	write_findings(&json, "errors", findings->errors, findings->errors_count);
	write_findings(&json, "warnings", findings->warnings, findings->warnings_count);
	json_object_end(&json);
	answer_json(request, findings->errors_count ? 400 : 200, &body);
}

static void validate_body(struct http_request *request, struct span text, void *context)
{
	(void)context;
	struct findings *findings = http_alloc(request, sizeof(*findings));
	struct why why = { 0 };
	json_t *body = json_body_parse(text, &why);
	const json_t *content = json_object_get(body, "content");
	enum repo_type type;
	if (!body)
		add_error(findings, "%.200s", why.text);
	else if (!json_is_string(content))
		add_error(findings, "\"content\" must be a string");
	else if (type_from_singular(json_body_text(body, "repoType", "model"), &type) != 0)
		add_error(findings, "\"repoType\" must be one of [model, dataset, space]");
	else
		readme_check(span_of(json_string_value(content), json_string_length(content)), type, findings);
	json_decref(body);
	reply_findings(request, findings);
}

void validate_yaml(struct http_request *request, const struct route_match *match)
{
	(void)match;
	http_collect(request, HTTP_COLLECT_BYTES_MAX, validate_body, NULL);
}
