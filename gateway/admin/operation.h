/* operation.h - work that outlives its request: garbage collection, scrubbing, counting. */
#ifndef CAIRN_GATEWAY_ADMIN_OPERATION_H
#define CAIRN_GATEWAY_ADMIN_OPERATION_H

#include "gateway/gateway.h"

void admin_gc(struct http_request *request, const struct route_match *match);
void admin_lfs_gc(struct http_request *request, const struct route_match *match);
void admin_repo_stats(struct http_request *request, const struct route_match *match);
void admin_scrub(struct http_request *request, const struct route_match *match);
void admin_operations(struct http_request *request, const struct route_match *match);
void admin_operation_get(struct http_request *request, const struct route_match *match);
void admin_operation_cancel(struct http_request *request, const struct route_match *match);

/* [blocks] What the names need (repo_needs), by state that is not older than the call. `gateway`: a struct gateway. */
int operation_needs(void *gateway, int (*emit)(void *asker, const struct entity_id *owner, const struct hash *file), void *asker, struct why *why);

#endif
