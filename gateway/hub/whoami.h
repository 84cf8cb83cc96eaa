/* whoami.h - GET /api/whoami-v2. */
#ifndef CAIRN_GATEWAY_HUB_WHOAMI_H
#define CAIRN_GATEWAY_HUB_WHOAMI_H

#include "gateway/gateway.h"

void whoami(struct http_request *request, const struct route_match *match);

#endif
