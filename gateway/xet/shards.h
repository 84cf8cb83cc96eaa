/* shards.h - a shard registers files: the call after which their bytes can be named. */
#ifndef CAIRN_GATEWAY_XET_SHARDS_H
#define CAIRN_GATEWAY_XET_SHARDS_H

#include "gateway/gateway.h"

void xet_shard_post(struct http_request *request, const struct route_match *match);
/* POST /v2/shards, the streamed form, is not served: 404, on which clients use the call above. */
void xet_shard_post_v2(struct http_request *request, const struct route_match *match);

#endif
