/* buckets.h - storage without history: buckets, and the files in them. */
#ifndef CAIRN_GATEWAY_HUB_BUCKETS_H
#define CAIRN_GATEWAY_HUB_BUCKETS_H

#include "gateway/gateway.h"

void buckets_list(struct http_request *request, const struct route_match *match);  /* GET /api/buckets/{ns} */
void bucket_create(struct http_request *request, const struct route_match *match); /* POST /api/buckets/{ns}/{name} */
void bucket_info(struct http_request *request, const struct route_match *match);
void bucket_remove(struct http_request *request, const struct route_match *match);
void bucket_settings(struct http_request *request, const struct route_match *match);
void bucket_xet_token(struct http_request *request, const struct route_match *match); /* GET .../xet-{read|write}-token */

/* in bucket_files.c */
void bucket_tree(struct http_request *request, const struct route_match *match);
void bucket_paths_info(struct http_request *request, const struct route_match *match);
void bucket_resolve(struct http_request *request, const struct route_match *match);   /* GET, HEAD /buckets/{ns}/{name}/resolve/{path} */

/* in bucket_batch.c */
void bucket_batch(struct http_request *request, const struct route_match *match);

#endif
