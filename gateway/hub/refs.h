/* refs.h - branches and tags, and the history behind one. */
#ifndef CAIRN_GATEWAY_HUB_REFS_H
#define CAIRN_GATEWAY_HUB_REFS_H

#include "gateway/gateway.h"

void refs_list(struct http_request *request, const struct route_match *match);
void branch_create(struct http_request *request, const struct route_match *match);
void branch_delete(struct http_request *request, const struct route_match *match);
void tag_create(struct http_request *request, const struct route_match *match);
void tag_delete(struct http_request *request, const struct route_match *match);
void commits_list(struct http_request *request, const struct route_match *match);

#endif
