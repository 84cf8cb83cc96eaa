/* receive_pack.h - pushes over HTTP. Private to gateway/git. */
#ifndef CAIRN_GATEWAY_GIT_RECEIVE_PACK_H
#define CAIRN_GATEWAY_GIT_RECEIVE_PACK_H

#include "gateway/gateway.h"

/* GET .../info/refs?service=git-receive-pack: the refs, from their names alone. Always protocol 0: pushes have no other. */
void git_receive_advertise(struct http_request *request, const struct route_match *match);
/* POST .../git-receive-pack */
void git_receive_pack(struct http_request *request, const struct route_match *match);

#endif
