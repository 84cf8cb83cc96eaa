/* quota.h - what an owner's repositories may hold, and do. */
#ifndef CAIRN_GATEWAY_ADMIN_QUOTA_H
#define CAIRN_GATEWAY_ADMIN_QUOTA_H

#include "gateway/gateway.h"

void admin_quota_get(struct http_request *request, const struct route_match *match);
void admin_quota_set(struct http_request *request, const struct route_match *match);

#endif
