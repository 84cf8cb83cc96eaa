/* search_index.h - the index that lists and search answer from, and what was counted, for an operator. */
#ifndef CAIRN_GATEWAY_ADMIN_SEARCH_INDEX_H
#define CAIRN_GATEWAY_ADMIN_SEARCH_INDEX_H

#include "gateway/gateway.h"

void admin_index_status(struct http_request *request, const struct route_match *match);
void admin_index_rebuild(struct http_request *request, const struct route_match *match);
void admin_repo_downloads(struct http_request *request, const struct route_match *match);

#endif
