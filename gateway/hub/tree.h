/* tree.h - listings: tree (pages of a folder), treesize, and paths-info (chosen paths). */
#ifndef CAIRN_GATEWAY_HUB_TREE_H
#define CAIRN_GATEWAY_HUB_TREE_H

#include "gateway/gateway.h"

void tree_list(struct http_request *request, const struct route_match *match);
void tree_size(struct http_request *request, const struct route_match *match);
void paths_info(struct http_request *request, const struct route_match *match);

#endif
