/* admin_body.h - a flat JSON object from a request. */
#ifndef CAIRN_GATEWAY_ADMIN_ADMIN_BODY_H
#define CAIRN_GATEWAY_ADMIN_ADMIN_BODY_H

#include <jansson.h>

#include "schemas/buffer.h"
#include "schemas/error.h"

struct admin_body;

/* NULL unless `text` is a JSON object, or empty (then an empty object). */
struct admin_body *admin_body_parse(struct span text);
void admin_body_free(struct admin_body *body);
/* Borrowed from the body; `fallback` when absent or null. A value of another kind sets *err to ERR_INVALID with a sentence. */
const char *admin_body_text(const struct admin_body *body, const char *key, const char *fallback, int *err, struct why *why);
int64_t admin_body_i64(const struct admin_body *body, const char *key, int64_t fallback, int *err, struct why *why);
/* NULL when absent or null. */
const json_t *admin_body_value(const struct admin_body *body, const char *key);
bool admin_body_bool(const struct admin_body *body, const char *key, bool fallback, int *err, struct why *why);

#endif
