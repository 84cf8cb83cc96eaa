/* tokens.h - the page on which users see their own tokens and take them back. */
#ifndef CAIRN_GATEWAY_WEB_TOKENS_H
#define CAIRN_GATEWAY_WEB_TOKENS_H

#include "gateway/gateway.h"

void tokens_page(struct http_request *request, const struct route_match *match);
void tokens_post(struct http_request *request, const struct route_match *match); /* form: id of the token to revoke */

#endif
