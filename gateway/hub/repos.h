/* repos.h - repositories made, changed and deleted. */
#ifndef CAIRN_GATEWAY_HUB_REPOS_H
#define CAIRN_GATEWAY_HUB_REPOS_H

#include "gateway/gateway.h"

void repos_create(struct http_request *request, const struct route_match *match);
void repos_delete(struct http_request *request, const struct route_match *match);
void repos_move(struct http_request *request, const struct route_match *match);
void repos_settings(struct http_request *request, const struct route_match *match);

#endif
