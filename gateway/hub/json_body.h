/* json_body.h - small JSON bodies from clients, read with limits.
 *
 * A parsed tree costs far more memory than its text, so the values are counted before anything is built. */
#ifndef CAIRN_GATEWAY_HUB_JSON_BODY_H
#define CAIRN_GATEWAY_HUB_JSON_BODY_H

#include <jansson.h>

#include "schemas/buffer.h"
#include "schemas/error.h"

enum {
	JSON_BODY_VALUES_MAX = 100000,
	JSON_BODY_DEPTH_MAX = 64,
};

/* Parses an object; json_decref it. NULL and a sentence in `why`: not JSON, not an object, too deep or too many values. */
json_t *json_body_parse(struct span body, struct why *why);
/* Member of an object as text; `fallback` when absent, null or not a string. Borrowed. */
const char *json_body_text(const json_t *object, const char *key, const char *fallback);
/* A text that must be there. ERR_INVALID with a sentence: it is not, or is another kind of value; *out is "" then. */
int json_body_needed_text(const json_t *object, const char *key, const char **out, struct why *why);
bool json_body_bool(const json_t *object, const char *key, bool fallback);

#endif
