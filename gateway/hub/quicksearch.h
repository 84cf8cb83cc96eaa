/* quicksearch.h - what the search box of a front end asks for, and what is wanted most these days. */
#ifndef CAIRN_GATEWAY_HUB_QUICKSEARCH_H
#define CAIRN_GATEWAY_HUB_QUICKSEARCH_H

#include "gateway/gateway.h"

void quicksearch(struct http_request *request, const struct route_match *match);
void trending_list(struct http_request *request, const struct route_match *match);

#endif
