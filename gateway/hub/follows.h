/* follows.h - following users and organisations, and who does. */
#ifndef CAIRN_GATEWAY_HUB_FOLLOWS_H
#define CAIRN_GATEWAY_HUB_FOLLOWS_H

#include "gateway/gateway.h"

void followers_list(struct http_request *request, const struct route_match *match);   /* GET /api/users/{u}/followers, /api/organizations/{o}/followers */
void following_list_get(struct http_request *request, const struct route_match *match);
void follow_change(struct http_request *request, const struct route_match *match);    /* POST, DELETE /api/users/{u}/follow, /api/organizations/{o}/follow */

#endif
