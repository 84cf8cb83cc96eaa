/* data_url.h - signed addresses of xorb bytes, and the call that serves them.
 *
 * /xet/data/{xorb}?r=a-b,c-d&g=GRANT. The grant binds repository, holder, xorb and exactly these ranges: chunks between them may belong to
 * files that the holder may not read. Whoever shows the URL gets the bytes, as long as the grant lasts and its holder still may read the
 * repository; any failure of that is a 403, on which clients ask for the reconstruction again. Entries with other ranges
 * get other URLs, as clients that index by URL need.
 *
 * A download is many of these calls, and small ones take twice as long when each asks the leader for the newest state. So a node that hears of a leader sends
 * at once what is granted by what it knows; every other call, a refusal too, is decided at a read point as other reads are. */
#ifndef CAIRN_GATEWAY_XET_DATA_URL_H
#define CAIRN_GATEWAY_XET_DATA_URL_H

#include "gateway/xet/byte_ranges.h"
#include "gateway/xet/caller.h"

enum {
	DATA_URL_RANGES_MAX = 320, /* of one URL, which must stay below 8 KiB */
	DATA_URL_BYTES_MAX = 8000,
	DATA_URL_MS = 3600 * 1000,
};

/* Appends the URL (not NUL-terminated). `count` at most DATA_URL_RANGES_MAX. */
void data_url_append(struct buffer *out, const char *base_url, const struct xet_caller *caller, int64_t now_ms, const struct hash *xorb,
	const struct byte_range *ranges, size_t count);

/* GET and HEAD. Capture: xorb. */
void xet_data_get(struct http_request *request, const struct route_match *match);

#endif
