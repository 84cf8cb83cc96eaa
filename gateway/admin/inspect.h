/* inspect.h - the state of the node, its store and its repositories, for an operator to read. */
#ifndef CAIRN_GATEWAY_ADMIN_INSPECT_H
#define CAIRN_GATEWAY_ADMIN_INSPECT_H

#include "gateway/gateway.h"

void admin_status(struct http_request *request, const struct route_match *match);
void admin_stats(struct http_request *request, const struct route_match *match);
void admin_volumes(struct http_request *request, const struct route_match *match);
void admin_repos(struct http_request *request, const struct route_match *match);
/* Those that are on this node: GET ?after=HASH, at most 10000. */
void admin_xorbs(struct http_request *request, const struct route_match *match);
void admin_xorb(struct http_request *request, const struct route_match *match);

#endif
