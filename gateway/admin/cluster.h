/* cluster.h - the nodes of the cluster: who they are, letting one in, giving one another role. */
#ifndef CAIRN_GATEWAY_ADMIN_CLUSTER_H
#define CAIRN_GATEWAY_ADMIN_CLUSTER_H

#include <jansson.h>

#include "gateway/gateway.h"
#include "replication/cluster_view.h"

void admin_cluster(struct http_request *request, const struct route_match *match);
void admin_cluster_digest(struct http_request *request, const struct route_match *match);
void admin_cluster_token(struct http_request *request, const struct route_match *match);
void admin_cluster_roles(struct http_request *request, const struct route_match *match);
void admin_cluster_drain(struct http_request *request, const struct route_match *match);
void admin_cluster_settings(struct http_request *request, const struct route_match *match);
void admin_cluster_upgrade(struct http_request *request, const struct route_match *match);

/* ---- what these share: cluster_bytes.c ---- */
/* Of 16 hexadecimal digits; 0: it is none. */
uint64_t admin_node_id(struct span text);
int admin_node_ids(const json_t *list, uint64_t ids[CLUSTER_NODES_MAX], size_t *count, struct why *why);
/* [blocks] Drains nodes that are to go, and asks what would be lost with them. ERR_CONFLICT with what it is, unless `force`; they are then as they were before. */
int admin_may_remove(struct gateway *gateway, const char *actor, const uint64_t *ids, size_t count, bool force, struct why *why);

#endif
