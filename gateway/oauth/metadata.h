/* metadata.h - the addresses, abilities and public keys that OpenID clients look up. */
#ifndef CAIRN_GATEWAY_OAUTH_METADATA_H
#define CAIRN_GATEWAY_OAUTH_METADATA_H

#include "gateway/gateway.h"

void oauth_metadata(struct http_request *request, const struct route_match *match);
void oauth_jwks(struct http_request *request, const struct route_match *match);

#endif
