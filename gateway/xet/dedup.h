/* dedup.h - "do you have this chunk?": an answer shard of xorbs that hold it, or the ordinary, quiet 404.
 *
 * Storage deduplicates everywhere; what an answer reveals is only content of repositories that the caller may read. */
#ifndef CAIRN_GATEWAY_XET_DEDUP_H
#define CAIRN_GATEWAY_XET_DEDUP_H

#include "gateway/gateway.h"

enum { DEDUP_ANSWER_BYTES_MAX = 5 << 20 };

void xet_chunk_get(struct http_request *request, const struct route_match *match); /* captures: prefix, chunk */

#endif
