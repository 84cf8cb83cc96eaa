/* commit.h - POST commit/{rev}: many changes of files as one commit. */
#ifndef CAIRN_GATEWAY_HUB_COMMIT_H
#define CAIRN_GATEWAY_HUB_COMMIT_H

#include "gateway/gateway.h"

void commit_post(struct http_request *request, const struct route_match *match);

#endif
