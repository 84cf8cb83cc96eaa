/* token_call.h - GET xet-read-token and xet-write-token: what a client needs to talk to the CAS about one repository. */
#ifndef CAIRN_GATEWAY_HUB_TOKEN_CALL_H
#define CAIRN_GATEWAY_HUB_TOKEN_CALL_H

#include "gateway/gateway.h"

void xet_read_token(struct http_request *request, const struct route_match *match);
void xet_write_token(struct http_request *request, const struct route_match *match);

#endif
