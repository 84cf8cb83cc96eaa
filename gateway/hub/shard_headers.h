/* shard_headers.h - GET safetensors-metadata/{index file}: the headers of all shards of a model in one answer, so that nobody has to ask for each. */
#ifndef CAIRN_GATEWAY_HUB_SHARD_HEADERS_H
#define CAIRN_GATEWAY_HUB_SHARD_HEADERS_H

#include "gateway/gateway.h"

/* {index: {metadata}, headers: {shard: header}} of the default branch; what the index says of each tensor is left out, since the headers say it. */
void shard_headers(struct http_request *request, const struct route_match *match);

#endif
