/* repo_care.h - settings of one repository that only an operator makes, and what is found in its storage. */
#ifndef CAIRN_GATEWAY_ADMIN_REPO_CARE_H
#define CAIRN_GATEWAY_ADMIN_REPO_CARE_H

#include "gateway/gateway.h"

void admin_repo_usage(struct http_request *request, const struct route_match *match);
void admin_repo_settings(struct http_request *request, const struct route_match *match);

#endif
