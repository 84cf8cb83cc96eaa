/* access.h - gated repositories: asking for access, and what the owner does about it. */
#ifndef CAIRN_GATEWAY_HUB_ACCESS_H
#define CAIRN_GATEWAY_HUB_ACCESS_H

#include "gateway/gateway.h"

void access_asked(struct http_request *request, const struct route_match *match);     /* POST {id}/ask-access */
void access_listed(struct http_request *request, const struct route_match *match);    /* GET .../user-access-request/{status} */
void access_handled(struct http_request *request, const struct route_match *match);   /* POST .../handle */
void access_handled_many(struct http_request *request, const struct route_match *match); /* up to 100 at once */
void access_granted(struct http_request *request, const struct route_match *match);   /* POST .../grant */
void access_cancelled(struct http_request *request, const struct route_match *match); /* POST .../cancel: the caller's own request */
void access_reported(struct http_request *request, const struct route_match *match);  /* GET {id}/user-access-report */

#endif
