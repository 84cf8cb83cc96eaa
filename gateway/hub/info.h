/* info.h - what there is to know about one repository, lists of them, and whether the caller may use it. */
#ifndef CAIRN_GATEWAY_HUB_INFO_H
#define CAIRN_GATEWAY_HUB_INFO_H

#include "gateway/gateway.h"

void info_head(struct http_request *request, const struct route_match *match);     /* at the default branch */
void info_revision(struct http_request *request, const struct route_match *match);
void info_list(struct http_request *request, const struct route_match *match);
void info_one_segment(struct http_request *request, const struct route_match *match); /* "gpt2": no such ids here */
void auth_check_read(struct http_request *request, const struct route_match *match);
void auth_check_write(struct http_request *request, const struct route_match *match);

#endif
