/* app_grant.h - what a registered app exchanges for tokens: the code that it was given for a user, later a refresh token. */
#ifndef CAIRN_GATEWAY_OAUTH_APP_GRANT_H
#define CAIRN_GATEWAY_OAUTH_APP_GRANT_H

#include "gateway/gateway.h"

/* On a worker; each ends the request. */
void grant_code(struct http_request *request, struct span form);
/* `token` is a refresh token of an app. */
void grant_app_refresh(struct http_request *request, struct span form, const struct token *token);

void oauth_revoke(struct http_request *request, const struct route_match *match); /* POST, form: token (RFC 7009) */


#endif
