/* operation.h - work that outlives its request: garbage collection, scrubbing. */
#ifndef CAIRN_GATEWAY_ADMIN_OPERATION_H
#define CAIRN_GATEWAY_ADMIN_OPERATION_H

#include "gateway/gateway.h"

void admin_gc(struct http_request *request, const struct route_match *match);
void admin_lfs_gc(struct http_request *request, const struct route_match *match);
void admin_scrub(struct http_request *request, const struct route_match *match);
void admin_operations(struct http_request *request, const struct route_match *match);
void admin_operation_get(struct http_request *request, const struct route_match *match);
void admin_operation_cancel(struct http_request *request, const struct route_match *match);

#endif
