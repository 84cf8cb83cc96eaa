#include "gateway/admin/admin_body.h"

#include <stdlib.h>

struct admin_body {
	json_t *json;
};

struct admin_body *admin_body_parse(struct span text)
{
	json_t *json = text.length ? json_loadb((const char *)text.data, text.length, JSON_REJECT_DUPLICATES, NULL) : json_object();
	struct admin_body *body = json_is_object(json) ? malloc(sizeof(*body)) : NULL;
	if (body)
		body->json = json;
	else
		json_decref(json);
	return body;
}

void admin_body_free(struct admin_body *body)
{
	if (body)
		json_decref(body->json);
	free(body);
}

const json_t *admin_body_value(const struct admin_body *body, const char *key)
{
	const json_t *value = json_object_get(body->json, key);
	return json_is_null(value) ? NULL : value;
}

const char *admin_body_text(const struct admin_body *body, const char *key, const char *fallback, int *err, struct why *why)
{
	const json_t *value = admin_body_value(body, key);
	if (!value)
		return fallback;
	if (!json_is_string(value))
		*err = why_set(why, ERR_INVALID, "\"%s\" must be a text", key);
	return json_is_string(value) ? json_string_value(value) : fallback;
}

int64_t admin_body_i64(const struct admin_body *body, const char *key, int64_t fallback, int *err, struct why *why)
{
	const json_t *value = admin_body_value(body, key);
	if (!value)
		return fallback;
	if (!json_is_integer(value))
		*err = why_set(why, ERR_INVALID, "\"%s\" must be a whole number", key);
	return json_is_integer(value) ? json_integer_value(value) : fallback;
}

bool admin_body_bool(const struct admin_body *body, const char *key, bool fallback, int *err, struct why *why)
{
	const json_t *value = admin_body_value(body, key);
	if (!value)
		return fallback;
	if (!json_is_boolean(value))
		*err = why_set(why, ERR_INVALID, "\"%s\" must be true or false", key);
	return json_is_boolean(value) ? json_is_true(value) : fallback;
}
