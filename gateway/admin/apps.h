/* apps.h - apps that may ask users for access (docs/oauth.md), registered, listed and removed by an operator. */
#ifndef CAIRN_GATEWAY_ADMIN_APPS_H
#define CAIRN_GATEWAY_ADMIN_APPS_H

#include "gateway/gateway.h"

void admin_apps_list(struct http_request *request, const struct route_match *match);
/* {name, owner, redirect_uris: [...], scopes: "openid profile" (all), secret: false, eddsa: false} */
void admin_apps_create(struct http_request *request, const struct route_match *match);
void admin_apps_delete(struct http_request *request, const struct route_match *match);

#endif
