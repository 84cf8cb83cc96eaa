#include "gateway/hub/json_body.h"

/* Counts separators and brackets outside strings: an upper bound of values and depth. */
static int check_size(struct span body, struct why *why)
{
	size_t values = 0, depth = 0;
	bool in_string = false;
	for (size_t i = 0; i < body.length; i++) {
		uint8_t c = body.data[i];
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
			continue;
		}
		if (c == '"')
			in_string = true;
		else if (c == '{' || c == '[')
			depth++, values++;
		else if (c == ',')
			values++;
		else if ((c == '}' || c == ']') && depth > 0)
			depth--;
		if (depth > JSON_BODY_DEPTH_MAX)
			return why_set(why, ERR_INVALID, "The JSON body is nested too deeply");
		if (values > JSON_BODY_VALUES_MAX)
			return why_set(why, ERR_INVALID, "The JSON body holds too many values");
	}
	return 0;
}

json_t *json_body_parse(struct span body, struct why *why)
{
	if (body.length == 0) {
		why_set(why, ERR_INVALID, "The body is empty: it must be a JSON object");
		return NULL;
	}
	if (check_size(body, why) != 0)
		return NULL;
	json_error_t error;
	json_t *root = json_loadb((const char *)body.data, body.length, 0, &error);
	if (!root) {
		why_set(why, ERR_INVALID, "The body is not valid JSON (line %d, column %d)", error.line, error.column);
		return NULL;
	}
	if (!json_is_object(root)) {
		json_decref(root);
		why_set(why, ERR_INVALID, "The JSON body must be an object");
		return NULL;
	}
	return root;
}

const char *json_body_text(const json_t *object, const char *key, const char *fallback)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : fallback;
}

int json_body_needed_text(const json_t *object, const char *key, const char **out, struct why *why)
{
	const json_t *value = json_object_get(object, key);
	*out = json_is_string(value) ? json_string_value(value) : "";
	return json_is_string(value) ? 0 : why_set(why, ERR_INVALID, value ? "\"%s\" must be a text" : "\"%s\" is missing", key);
}

bool json_body_bool(const json_t *object, const char *key, bool fallback)
{
	const json_t *value = json_object_get(object, key);
	return json_is_boolean(value) ? json_is_true(value) : fallback;
}
