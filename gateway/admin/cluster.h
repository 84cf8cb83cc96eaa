/* cluster.h - the nodes of the cluster: who they are, letting one in, giving one another role. */
#ifndef CAIRN_GATEWAY_ADMIN_CLUSTER_H
#define CAIRN_GATEWAY_ADMIN_CLUSTER_H

#include "gateway/gateway.h"

void admin_cluster(struct http_request *request, const struct route_match *match);
void admin_cluster_digest(struct http_request *request, const struct route_match *match);
void admin_cluster_token(struct http_request *request, const struct route_match *match);
void admin_cluster_roles(struct http_request *request, const struct route_match *match);

#endif
