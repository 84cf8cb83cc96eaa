/* branch_rules.h - the rules that protect branches of a repository. Beside operators, its own administrators may use these calls. */
#ifndef CAIRN_GATEWAY_ADMIN_BRANCH_RULES_H
#define CAIRN_GATEWAY_ADMIN_BRANCH_RULES_H

#include "gateway/gateway.h"

/* /api/admin/repos/{type}/{owner}/{name}/branch-rules */
void admin_branch_rules_list(struct http_request *request, const struct route_match *match);
void admin_branch_rules_set(struct http_request *request, const struct route_match *match);
void admin_branch_rules_delete(struct http_request *request, const struct route_match *match);

#endif
