/* bucket_call.h - what calls about one bucket begin with. */
#ifndef CAIRN_GATEWAY_HUB_BUCKET_CALL_H
#define CAIRN_GATEWAY_HUB_BUCKET_CALL_H

#include "gateway/hub/body_call.h"
#include "replication/bucket.h"
#include "schemas/json_writer.h"

/* Identifies the caller, finds the bucket of the first two captures ("me" is the caller's namespace) and checks the right. The rest of the captures follow in
 * call->captures. NULL: answered already. */
struct call *bucket_call_open(struct http_request *request, const struct route_match *match, enum action action);
/* The namespace of a capture: "me" or a name; request memory. NULL: answered already. */
const char *bucket_namespace(struct http_request *request, const struct call *call, struct span capture);

#endif
