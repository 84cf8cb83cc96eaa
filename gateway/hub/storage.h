/* storage.h - how much each repository of a namespace holds, for those whose namespace it is. */
#ifndef CAIRN_GATEWAY_HUB_STORAGE_H
#define CAIRN_GATEWAY_HUB_STORAGE_H

#include "gateway/gateway.h"

void storage_of_user(struct http_request *request, const struct route_match *match);
void storage_of_org(struct http_request *request, const struct route_match *match);

#endif
