/* login.h - signing in to the pages with a token, and deciding there about devices that want to sign in and apps that want to act. */
#ifndef CAIRN_GATEWAY_WEB_LOGIN_H
#define CAIRN_GATEWAY_WEB_LOGIN_H

#include "gateway/gateway.h"

/* A path of this site to go on to; "/" for anything else. */
const char *login_next(const char *next);
/* The session: a token in a cookie, for so many seconds. */
void login_set_cookie(struct http_request *request, const char *token, int64_t seconds);

void openid_login_start(struct http_request *request, const struct route_match *match); /* ?next= */
void openid_login_back(struct http_request *request, const struct route_match *match);  /* ?code=&state= */
void login_page(struct http_request *request, const struct route_match *match);
void login_post(struct http_request *request, const struct route_match *match);  /* form: token, next */
void logout_post(struct http_request *request, const struct route_match *match);
void device_page(struct http_request *request, const struct route_match *match); /* ?user_code= */
void device_post(struct http_request *request, const struct route_match *match); /* form: user_code, decision */
void authorize_page(struct http_request *request, const struct route_match *match); /* ?client_id=&redirect_uri=&... */
void authorize_post(struct http_request *request, const struct route_match *match); /* the same; form: decision, org */
void connected_page(struct http_request *request, const struct route_match *match); /* the apps that were let in */
void connected_post(struct http_request *request, const struct route_match *match); /* form: client_id, which loses its tokens */

#endif
