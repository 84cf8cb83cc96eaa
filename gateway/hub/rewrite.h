/* rewrite.h - calls on whole histories: squashing one, comparing two revisions, copying a repository. */
#ifndef CAIRN_GATEWAY_HUB_REWRITE_H
#define CAIRN_GATEWAY_HUB_REWRITE_H

#include "gateway/gateway.h"

void super_squash(struct http_request *request, const struct route_match *match);
void compare(struct http_request *request, const struct route_match *match);
void repos_duplicate(struct http_request *request, const struct route_match *match);

#endif
