/* discussions.h - discussions and pull requests of a repository. */
#ifndef CAIRN_GATEWAY_HUB_DISCUSSIONS_H
#define CAIRN_GATEWAY_HUB_DISCUSSIONS_H

#include "gateway/gateway.h"

void discussions_list(struct http_request *request, const struct route_match *match);    /* GET .../discussions */
void discussions_create(struct http_request *request, const struct route_match *match);  /* POST .../discussions */
void discussion_show(struct http_request *request, const struct route_match *match);     /* GET .../discussions/{n} */
void discussion_remove(struct http_request *request, const struct route_match *match);   /* DELETE .../discussions/{n} */

/* POST .../discussions/{n}/..., in discussion_change.c */
void discussion_comment_post(struct http_request *request, const struct route_match *match);
void discussion_comment_edit(struct http_request *request, const struct route_match *match);
void discussion_comment_hide(struct http_request *request, const struct route_match *match);
void discussion_title_post(struct http_request *request, const struct route_match *match);
void discussion_status_post(struct http_request *request, const struct route_match *match);
void discussion_pin_post(struct http_request *request, const struct route_match *match);

/* in pull_request.c */
void discussion_merge_post(struct http_request *request, const struct route_match *match);
void discussion_ref_delete(struct http_request *request, const struct route_match *match); /* DELETE .../discussions/{n}/ref */

#endif
