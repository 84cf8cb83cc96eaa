/* resolve.h - files by their path: resolve, raw and the immutable resolve-cache. The hottest calls of the hub. */
#ifndef CAIRN_GATEWAY_HUB_RESOLVE_H
#define CAIRN_GATEWAY_HUB_RESOLVE_H

#include "gateway/gateway.h"

void resolve_file(struct http_request *request, const struct route_match *match);
void resolve_raw(struct http_request *request, const struct route_match *match);
void resolve_cached(struct http_request *request, const struct route_match *match);

#endif
