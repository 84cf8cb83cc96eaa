/* openapi.h - a description of every call, made from the very table that leads requests to their handlers. */
#ifndef CAIRN_GATEWAY_OPENAPI_H
#define CAIRN_GATEWAY_OPENAPI_H

#include "gateway/gateway.h"

/* GET: OpenAPI 3.1. */
void openapi_get(struct http_request *request, const struct route_match *match);
/* The document alone. */
void openapi_write(struct buffer *out, const char *base_url);

#endif
