/* body_call.h - calls with a small JSON body: gathered, parsed, and run on a worker. */
#ifndef CAIRN_GATEWAY_HUB_BODY_CALL_H
#define CAIRN_GATEWAY_HUB_BODY_CALL_H

#include "gateway/hub/json_body.h" /* jansson before json_writer.h */

#include "gateway/hub/call.h"

/* Owns the request and ends it. `body` is an object (an absent body is an empty one) and lives as long as the call. */
typedef void (*body_call_fn)(struct http_request *request, struct call *call, const json_t *body);
/* Bodies above `bytes_max` are answered 413, what is no JSON object 400. */
void body_call(struct http_request *request, struct call *call, size_t bytes_max, body_call_fn run);

/* The caller must be somebody: else answered 401 and NULL. */
struct call *call_open_user(struct http_request *request);

/* {"success": true} */
void reply_success(struct http_request *request);
/* A text member, without blanks at its ends, of `length_min` to `length_max` bytes: request memory. NULL: answered 400 already. */
const char *body_text(struct http_request *request, const json_t *body, const char *key, size_t length_min, size_t length_max);

#endif
