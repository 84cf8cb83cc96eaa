/* list_query.h - what a list call asks for, read from its address. */
#ifndef CAIRN_GATEWAY_HUB_LIST_QUERY_H
#define CAIRN_GATEWAY_HUB_LIST_QUERY_H

#include "gateway/hub/related.h"
#include "gateway/hub/repo_object.h"

enum {
	LIST_LIMIT_MAX = 500,
	LIST_FILTERS_MAX = QUERY_TERMS_MAX - 8,
};

struct list_query {
	struct search_query query; /* strings in request memory */
	struct query_owners owners;
	repo_properties show;
	bool nothing;              /* asks for what no repository here has */
};

/* 0; ERR_INVALID with a sentence; ERR_UNSUPPORTED: understood, not built. The caller's rights are not in it yet: query_owners_set. */
int list_query_read(struct http_request *request, enum repo_type type, struct list_query *out, struct why *why);

#endif
