/* org.h - organisations and their members. */
#ifndef CAIRN_GATEWAY_ADMIN_ORG_H
#define CAIRN_GATEWAY_ADMIN_ORG_H

#include "gateway/gateway.h"

void admin_orgs_list(struct http_request *request, const struct route_match *match);
void admin_orgs_create(struct http_request *request, const struct route_match *match);
void admin_orgs_update(struct http_request *request, const struct route_match *match);
void admin_orgs_delete(struct http_request *request, const struct route_match *match);
void admin_members_list(struct http_request *request, const struct route_match *match);
void admin_members_set(struct http_request *request, const struct route_match *match);
void admin_members_delete(struct http_request *request, const struct route_match *match);

#endif
