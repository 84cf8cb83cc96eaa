/* preupload.h - which files of a commit to be go through LFS, which are ignored, which are there already. */
#ifndef CAIRN_GATEWAY_HUB_PREUPLOAD_H
#define CAIRN_GATEWAY_HUB_PREUPLOAD_H

#include "gateway/gateway.h"

void preupload(struct http_request *request, const struct route_match *match);

#endif
