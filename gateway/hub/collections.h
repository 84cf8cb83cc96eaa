/* collections.h - lists of repositories and papers that people put together. */
#ifndef CAIRN_GATEWAY_HUB_COLLECTIONS_H
#define CAIRN_GATEWAY_HUB_COLLECTIONS_H

#include "gateway/gateway.h"

void collections_list(struct http_request *request, const struct route_match *match);     /* GET /api/collections */
void collections_create(struct http_request *request, const struct route_match *match);   /* POST /api/collections */
void collection_show(struct http_request *request, const struct route_match *match);      /* GET /api/collections/{ns}/{slug}, /api/collections/{id} */
void collection_patch(struct http_request *request, const struct route_match *match);
void collection_remove_one(struct http_request *request, const struct route_match *match);

/* in collection_items.c */
void collection_item_post(struct http_request *request, const struct route_match *match);   /* POST .../items */
void collection_items_batch(struct http_request *request, const struct route_match *match); /* POST .../items/batch */
void collection_item_patch(struct http_request *request, const struct route_match *match);
void collection_item_delete(struct http_request *request, const struct route_match *match);

#endif
