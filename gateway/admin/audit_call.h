/* audit_call.h - who changed what. */
#ifndef CAIRN_GATEWAY_ADMIN_AUDIT_CALL_H
#define CAIRN_GATEWAY_ADMIN_AUDIT_CALL_H

#include "gateway/gateway.h"

void admin_audit(struct http_request *request, const struct route_match *match);

#endif
