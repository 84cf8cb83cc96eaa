#include "gateway/openapi.h"

#include <stdio.h>
#include <stdlib.h>

#include "gateway/answer.h"
#include "schemas/json_writer.h"

enum { OPENAPI_BYTES_MAX = 4 << 20, OPENAPI_ROUTES_MAX = 1024, PARAMETERS_MAX = ROUTE_CAPTURES_MAX + 1, PATH_TEXT_BYTES_MAX = 512 };

static const struct {
	unsigned bit;
	const char *name;
} methods[] = {
	{ HTTP_GET, "get" }, { HTTP_HEAD, "head" }, { HTTP_POST, "post" }, { HTTP_PUT, "put" }, { HTTP_DELETE, "delete" }, { HTTP_PATCH, "patch" },
};

enum { METHODS_COUNT = sizeof(methods) / sizeof(methods[0]) };

/* One path of the document: all routes whose patterns are the same once their captures have names. */
struct parameter {
	char name[16];
	const char *words; /* "models|datasets", or NULL: anything */
	size_t words_length;
};
struct path {
	char text[PATH_TEXT_BYTES_MAX];
	struct parameter parameters[PARAMETERS_MAX];
	size_t parameters_count;
	const struct route *by_method[METHODS_COUNT]; /* the first one wins, as it does when it is asked for */
};

struct paths {
	struct path *list;
	size_t count;
};

/* Its place in the path is written to `text`; how long that is. */
static size_t add_parameter(struct path *path, const char *words, size_t words_length, bool is_rest, char *text, size_t size)
{
	if (path->parameters_count == PARAMETERS_MAX)
		return 0;
	struct parameter *parameter = &path->parameters[path->parameters_count++];
	char name[16];
	snprintf(name, sizeof(name), is_rest ? "rest" : words_length ? "kind%zu" : "part%zu", path->parameters_count);
	memcpy(parameter->name, name, sizeof(name));
	parameter->words = words_length ? words : NULL;
	parameter->words_length = words_length;
	return (size_t)snprintf(text, size, "{%s}", name);
}

/* "/api/{a|b}/{}/x/ **" (without the blank) as "/api/{kind1}/{part2}/x/{rest}". */
static void read_pattern(struct path *path, const char *pattern)
{
	size_t length = 0;
	for (const char *at = pattern; *at && length + 24 < sizeof(path->text);) {
		bool is_rest = strncmp(at, "**", 2) == 0;
		if (*at != '{' && !is_rest) {
			path->text[length++] = *at++;
			continue;
		}
		const char *end = is_rest ? at + 1 : strchr(at, '}');
		length += add_parameter(path, at + 1, is_rest ? 0 : (size_t)(end - at - 1), is_rest, path->text + length, sizeof(path->text) - length);
		at = end + 1;
	}
	path->text[length] = 0;
}

static void add_route(void *context, const struct route *route)
{
	struct paths *paths = context;
	struct path path = { .parameters_count = 0 };
	read_pattern(&path, route->pattern);
	struct path *found = NULL;
	for (size_t i = 0; i < paths->count && !found; i++)
		if (strcmp(paths->list[i].text, path.text) == 0)
			found = &paths->list[i];
	if (!found && paths->count == OPENAPI_ROUTES_MAX)
		return;
	if (!found) {
		found = &paths->list[paths->count++];
		*found = path;
	}
	for (size_t i = 0; i < METHODS_COUNT; i++)
		if ((route->methods & methods[i].bit) && !found->by_method[i])
			found->by_method[i] = route;
}

/* ------------------------------------------------------------------ the document */

static void write_words(struct json_writer *json, const struct parameter *parameter)
{
	json_array_begin(json, "enum");
	for (const char *at = parameter->words, *end = at + parameter->words_length; at < end;) {
		const char *bar = memchr(at, '|', (size_t)(end - at));
		bar = bar ? bar : end;
		json_span(json, NULL, span_of(at, (size_t)(bar - at)));
		at = bar + 1;
	}
	json_array_end(json);
}

static void write_parameters(struct json_writer *json, const struct path *path)
{
	json_array_begin(json, "parameters");
	for (size_t i = 0; i < path->parameters_count; i++) {
		json_object_begin(json, NULL);
		json_text(json, "name", path->parameters[i].name);
		json_text(json, "in", "path");
		json_bool(json, "required", true);
		json_object_begin(json, "schema");
		json_text(json, "type", "string");
		if (path->parameters[i].words)
			write_words(json, &path->parameters[i]);
		json_object_end(json);
		json_object_end(json);
	}
	json_array_end(json);
}

static void write_response(struct json_writer *json, const char *status, const char *description)
{
	json_object_begin(json, status);
	json_text(json, "description", description);
	json_object_end(json);
}

static void write_operation(struct json_writer *json, const char *method, const struct route *route, size_t number)
{
	char id[64];
	snprintf(id, sizeof(id), "%s-%zu", method, number);
	json_object_begin(json, method);
	json_text(json, "operationId", id);
	json_text(json, "summary", route->name);
	json_object_begin(json, "responses");
	if (route->handler)
		write_response(json, "default", "The answer; errors are {\"error\": text} with X-Error-Message");
	else
		write_response(json, "501", "Known, and not implemented by this server");
	json_object_end(json);
	json_object_end(json);
}

void openapi_write(struct buffer *out, const char *base_url)
{
	struct paths paths = { .list = calloc(OPENAPI_ROUTES_MAX, sizeof(*paths.list)) };
	struct json_writer json;
	if (paths.list)
		gateway_each_route(add_route, &paths);
	json_writer_init(&json, out);
	json_object_begin(&json, NULL);
	json_text(&json, "openapi", "3.1.0");
	json_object_begin(&json, "info");
	json_text(&json, "title", "cairn");
	json_text(&json, "version", CAIRN_VERSION);
	json_object_end(&json);
	json_array_begin(&json, "servers");
	json_object_begin(&json, NULL);
	json_text(&json, "url", base_url);
	json_object_end(&json);
	json_array_end(&json);
	json_object_begin(&json, "paths");
	for (size_t i = 0; i < paths.count; i++) {
		json_object_begin(&json, paths.list[i].text);
		if (paths.list[i].parameters_count)
			write_parameters(&json, &paths.list[i]);
		for (size_t m = 0; m < METHODS_COUNT; m++)
			if (paths.list[i].by_method[m])
				write_operation(&json, methods[m].name, paths.list[i].by_method[m], i);
		json_object_end(&json);
	}
	json_object_end(&json);
	json_object_end(&json);
	free(paths.list);
}

void openapi_get(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct buffer body;
	buffer_init(&body, OPENAPI_BYTES_MAX);
	openapi_write(&body, http_base_url(request));
	answer_json(request, 200, &body);
}
