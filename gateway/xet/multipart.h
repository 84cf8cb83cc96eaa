/* multipart.h - several ranges of one xorb as multipart/byteranges, in the order asked for.
 *
 * Clients search for the boundary inside the data, so it is long and random; they also count on one part per range, so nothing is merged. */
#ifndef CAIRN_GATEWAY_XET_MULTIPART_H
#define CAIRN_GATEWAY_XET_MULTIPART_H

#include "gateway/gateway.h"
#include "gateway/xet/byte_ranges.h"

/* Ends the request. `ranges` lie inside the xorb's `total` bytes and are copied. */
void multipart_reply(struct http_request *request, struct store *store, const struct hash *xorb, uint64_t total,
	const struct byte_range *ranges, size_t count);

#endif
