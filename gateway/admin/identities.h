/* identities.h - an operator says which user somebody is whom another OpenID provider knows. */
#ifndef CAIRN_GATEWAY_ADMIN_IDENTITIES_H
#define CAIRN_GATEWAY_ADMIN_IDENTITIES_H

#include "gateway/gateway.h"

void admin_identities_link(struct http_request *request, const struct route_match *match); /* {issuer, subject, user} */

#endif
