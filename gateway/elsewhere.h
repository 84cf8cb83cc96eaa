/* elsewhere.h - sending clients straight to a node that has the bytes which this one lacks.
 *
 * DESIGN. Only where operators have said how clients reach the nodes (cairnd --node-url). Views make the link and sign it: every node of a cluster has the same key (grant.h), and
 * the node that is named checks the signature and the rights again. It answers by itself, by passing through if the bytes have moved away meanwhile: nobody is sent on from a signed
 * link, so there are no circles. Where no node can be named everything is as without it. */
#ifndef CAIRN_GATEWAY_ELSEWHERE_H
#define CAIRN_GATEWAY_ELSEWHERE_H

#include "gateway/gateway.h"

enum {
	ELSEWHERE_BYTES_MIN = 1 << 20, /* of a file: less is passed through for less than another connection costs */
	ELSEWHERE_XORBS_MAX = 64,      /* of a file: so many are hardly ever all on one node */
};

/* [blocks] The base URL of a node that has all of a file of which this one lacks some, in the request's memory; NULL: there is none. */
const char *elsewhere_file(struct http_request *request, const struct hash *file, uint64_t length);
/* [blocks] For each of these xorbs that is not here the base URL of a node that has it, in the request's memory, else NULL. An array that the caller frees, or NULL: none of all. */
const char **elsewhere_xorbs(struct http_request *request, const struct hash *xorbs, size_t count);

#endif
