#include "gateway/facts/front_matter.h"

#include <stdlib.h>
#include <yaml.h>

enum { ANCHORS_MAX = 64 };

struct anchor {
	char *name;
	json_t *value;
	size_t weight; /* values below it */
};

struct loader {
	yaml_parser_t parser;
	struct why *why;
	size_t values;
	int depth;
	struct anchor anchors[ANCHORS_MAX];
	size_t anchors_count;
};

static int load_value(struct loader *loader, yaml_event_t *event, json_t **out);

/* ------------------------------------------------------------------ scalars */

static bool is_one_of(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(text, *list) == 0)
			return true;
	return false;
}

/* Core schema: [-+]?[0-9]+ */
static bool is_integer(const char *text)
{
	if (*text == '-' || *text == '+')
		text++;
	size_t digits = strspn(text, "0123456789");
	return digits > 0 && digits <= 18 && text[digits] == 0;
}

/* Core schema: [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_float(const char *text)
{
	if (*text == '-' || *text == '+')
		text++;
	size_t whole = strspn(text, "0123456789"), part = 0;
	text += whole;
	if (*text == '.') {
		part = strspn(++text, "0123456789");
		text += part;
	}
	if (whole + part == 0)
		return false;
	if (*text == 'e' || *text == 'E') {
		text++;
		if (*text == '-' || *text == '+')
			text++;
		size_t exponent = strspn(text, "0123456789");
		if (exponent == 0)
			return false;
		text += exponent;
	}
	return *text == 0;
}

static json_t *plain_scalar(const char *text, size_t length)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
	static const char *const trues[] = { "true", "True", "TRUE", NULL };
	static const char *const falses[] = { "false", "False", "FALSE", NULL };
	if (strlen(text) == length) {
		if (is_one_of(text, nulls))
			return json_null();
		if (is_one_of(text, trues))
			return json_true();
		if (is_one_of(text, falses))
			return json_false();
		if (is_integer(text))
			return json_integer(strtoll(text, NULL, 10));
		if (is_float(text)) {
			json_t *number = json_real(strtod(text, NULL));
			if (number)
				return number; /* jansson has none for an infinity: then it stays text */
		}
	}
	return json_stringn(text, length);
}

/* ------------------------------------------------------------------ events */

static int next_event(struct loader *loader, yaml_event_t *event)
{
	if (yaml_parser_parse(&loader->parser, event))
		return 0;
	return why_set(loader->why, ERR_INVALID, "Invalid YAML: %s (line %zu)",
		loader->parser.problem ? loader->parser.problem : "unreadable", loader->parser.problem_mark.line + 1);
}

static int count_values(struct loader *loader, size_t count)
{
	loader->values += count;
	if (loader->values > FRONT_MATTER_VALUES_MAX)
		return why_set(loader->why, ERR_TOO_BIG, "The YAML metadata holds more than %d values", FRONT_MATTER_VALUES_MAX);
	return 0;
}

static int remember_anchor(struct loader *loader, const char *name, json_t *value, size_t weight)
{
	if (loader->anchors_count == ANCHORS_MAX)
		return why_set(loader->why, ERR_TOO_BIG, "The YAML metadata has more than %d anchors", ANCHORS_MAX);
	char *copy = strdup(name);
	if (!copy)
		return ERR_NO_MEMORY;
	loader->anchors[loader->anchors_count++] = (struct anchor){ copy, json_incref(value), weight };
	return 0;
}

static int load_alias(struct loader *loader, const char *name, json_t **out)
{
	for (size_t i = loader->anchors_count; i-- > 0;) {
		if (strcmp(loader->anchors[i].name, name) != 0)
			continue;
		int err = count_values(loader, loader->anchors[i].weight);
		/* A copy: the same object twice in one tree would confuse whoever changes it. */
		*out = err ? NULL : json_deep_copy(loader->anchors[i].value);
		return err ? err : *out ? 0 : ERR_NO_MEMORY;
	}
	return why_set(loader->why, ERR_INVALID, "Invalid YAML: unknown alias");
}

static int load_sequence(struct loader *loader, json_t *list)
{
	for (;;) {
		yaml_event_t event;
		int err = next_event(loader, &event);
		if (err)
			return err;
		if (event.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&event);
			return 0;
		}
		json_t *value = NULL;
		err = load_value(loader, &event, &value);
		yaml_event_delete(&event);
		if (err)
			return err;
		if (json_array_append_new(list, value) != 0)
			return ERR_NO_MEMORY;
	}
}

static int load_mapping(struct loader *loader, json_t *object)
{
	for (;;) {
		yaml_event_t event;
		int err = next_event(loader, &event);
		if (err)
			return err;
		if (event.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&event);
			return 0;
		}
		char *key = event.type == YAML_SCALAR_EVENT ?
			strndup((const char *)event.data.scalar.value, event.data.scalar.length) : NULL;
		bool scalar = event.type == YAML_SCALAR_EVENT;
		yaml_event_delete(&event);
		if (!scalar)
			return why_set(loader->why, ERR_INVALID, "Invalid YAML: a key must be a word");
		if (!key)
			return ERR_NO_MEMORY;
		err = next_event(loader, &event);
		json_t *value = NULL;
		if (err == 0) {
			err = load_value(loader, &event, &value);
			yaml_event_delete(&event);
		}
		if (err == 0 && json_object_get(object, key))
			err = why_set(loader->why, ERR_INVALID, "Invalid YAML: duplicated key \"%.100s\"", key);
		if (err == 0 && json_object_set(object, key, value) != 0)
			err = why_set(loader->why, ERR_INVALID, "Invalid YAML: a key is not valid UTF-8");
		json_decref(value);
		free(key);
		if (err)
			return err;
	}
}

static int load_container(struct loader *loader, yaml_event_t *event, json_t **out)
{
	if (loader->depth == FRONT_MATTER_DEPTH_MAX)
		return why_set(loader->why, ERR_TOO_BIG, "The YAML metadata is nested too deeply");
	bool list = event->type == YAML_SEQUENCE_START_EVENT;
	const char *anchor = (const char *)(list ? event->data.sequence_start.anchor : event->data.mapping_start.anchor);
	size_t before = loader->values;
	json_t *container = list ? json_array() : json_object();
	if (!container)
		return ERR_NO_MEMORY;
	loader->depth++;
	int err = list ? load_sequence(loader, container) : load_mapping(loader, container);
	loader->depth--;
	if (err == 0 && anchor)
		err = remember_anchor(loader, anchor, container, loader->values - before + 1);
	if (err) {
		json_decref(container);
		return err;
	}
	*out = container;
	return 0;
}

static int load_scalar(struct loader *loader, yaml_event_t *event, json_t **out)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length;
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	*out = plain ? plain_scalar(text, length) : json_stringn(text, length);
	if (!*out)
		return why_set(loader->why, ERR_INVALID, "Invalid YAML: a value is not valid UTF-8");
	int err = event->data.scalar.anchor ? remember_anchor(loader, (const char *)event->data.scalar.anchor, *out, 1) : 0;
	if (err) {
		json_decref(*out);
		*out = NULL;
	}
	return err;
}

static int load_value(struct loader *loader, yaml_event_t *event, json_t **out)
{
	int err = count_values(loader, 1);
	if (err)
		return err;
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return load_scalar(loader, event, out);
	case YAML_ALIAS_EVENT:
		return load_alias(loader, (const char *)event->data.alias.anchor, out);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return load_container(loader, event, out);
	default:
		return why_set(loader->why, ERR_INVALID, "Invalid YAML: unexpected end");
	}
}

/* The first document's root value; NULL for an empty stream. */
static int load_document(struct loader *loader, json_t **out)
{
	*out = NULL;
	for (;;) {
		yaml_event_t event;
		int err = next_event(loader, &event);
		if (err)
			return err;
		yaml_event_type_t type = event.type;
		if (type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_START_EVENT) {
			yaml_event_delete(&event);
			continue;
		}
		if (type != YAML_STREAM_END_EVENT)
			err = load_value(loader, &event, out);
		yaml_event_delete(&event);
		return err;
	}
}

int yaml_to_json(struct span text, json_t **out, struct why *why)
{
	*out = NULL;
	if (text.length > FRONT_MATTER_BYTES_MAX)
		return why_set(why, ERR_TOO_BIG, "The YAML metadata is larger than %d KiB", FRONT_MATTER_BYTES_MAX >> 10);
	struct loader *loader = calloc(1, sizeof(*loader));
	if (!loader || !yaml_parser_initialize(&loader->parser)) {
		free(loader);
		return ERR_NO_MEMORY;
	}
	loader->why = why;
	yaml_parser_set_input_string(&loader->parser, text.data ? text.data : (const uint8_t *)"", text.length);
	int err = load_document(loader, out);
	for (size_t i = 0; i < loader->anchors_count; i++) {
		free(loader->anchors[i].name);
		json_decref(loader->anchors[i].value);
	}
	yaml_parser_delete(&loader->parser);
	free(loader);
	return err;
}

/* ------------------------------------------------------------------ where it is */

/* Length of the line at `at` without its end; *next is where the following one begins. */
static size_t line_at(struct span text, size_t at, size_t *next)
{
	const uint8_t *end = memchr(text.data + at, '\n', text.length - at);
	size_t length = end ? (size_t)(end - text.data) - at : text.length - at;
	*next = at + length + (end ? 1 : 0);
	if (length && text.data[at + length - 1] == '\r')
		length--;
	return length;
}

static bool is_fence(struct span text, size_t at, size_t length)
{
	while (length > 3 && (text.data[at + length - 1] == ' ' || text.data[at + length - 1] == '\t'))
		length--;
	return length == 3 && memcmp(text.data + at, "---", 3) == 0;
}

struct span front_matter_find(struct span readme)
{
	if (readme.length >= 3 && memcmp(readme.data, "\xef\xbb\xbf", 3) == 0)
		readme = span_of(readme.data + 3, readme.length - 3);
	if (readme.length == 0)
		return readme;
	size_t next, length = line_at(readme, 0, &next);
	if (!is_fence(readme, 0, length))
		return span_of(NULL, 0);
	size_t start = next;
	while (next < readme.length) {
		size_t at = next;
		length = line_at(readme, at, &next);
		if (is_fence(readme, at, length))
			return span_of(readme.data + start, at - start);
	}
	return span_of(NULL, 0);
}

int front_matter_parse(struct span readme, json_t **out, struct why *why)
{
	*out = NULL;
	struct span text = front_matter_find(readme);
	if (text.length == 0)
		return 0;
	int err = yaml_to_json(text, out, why);
	if (err)
		return err;
	if (*out && !json_is_object(*out)) {
		bool empty = json_is_null(*out);
		json_decref(*out);
		*out = NULL;
		return empty ? 0 : why_set(why, ERR_INVALID, "The YAML metadata must be a mapping of keys to values");
	}
	return 0;
}
