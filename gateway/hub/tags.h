/* tags.h - the tags that public repositories have, by kind; and the kinds of tasks. */
#ifndef CAIRN_GATEWAY_HUB_TAGS_H
#define CAIRN_GATEWAY_HUB_TAGS_H

#include "gateway/gateway.h"

void model_tags(struct http_request *request, const struct route_match *match);
void dataset_tags(struct http_request *request, const struct route_match *match);
void tasks_list(struct http_request *request, const struct route_match *match);

#endif
