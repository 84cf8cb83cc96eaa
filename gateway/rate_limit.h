/* rate_limit.h - how many requests one token, or one address without a token, may make within a window.
 *
 * DESIGN. Fixed windows that begin at the same time for everybody, and one counter per caller and class, in a table of fixed size: a counter is found by a keyed
 * hash in one bucket of a few, and where all are taken by callers of this window the one that has counted least gives way. So memory is bounded, a flood
 * of addresses can forget small counts and no large ones, and nothing has to be cleaned up. Every counted answer says how much is left, in the
 * headers that clients read.
 *
 * What is asked by every process at its start (telemetry, whoami, validation), health, the operator's calls, and bytes that signed addresses lead to are not
 * counted. Loopback is not, unless told so. Behind a trusted proxy on this machine the address is what the proxy says.
 *
 * Any thread. */
#ifndef CAIRN_GATEWAY_RATE_LIMIT_H
#define CAIRN_GATEWAY_RATE_LIMIT_H

#include "gateway/gateway.h"

enum rate_class { RATE_FREE, RATE_API, RATE_RESOLVE, RATE_PAGES, RATE_CLASSES };

enum {
	RATE_WINDOW_S = 300,
	RATE_BUCKETS = 1 << 13,
	RATE_WAYS = 8,                /* counters per bucket: 65536 in all, 1 MiB */
	RATE_API_DEFAULT = 10000,     /* per window, of one token; half of it of one address */
	RATE_RESOLVE_DEFAULT = 50000,
	RATE_PAGES_DEFAULT = 2000,
};

struct rate_config {
	bool off, loopback_too, trust_forwarded;
	unsigned quota[RATE_CLASSES]; /* of one token; 0: the default */
};

struct rate_limit;
/* *out is NULL when the limits are off. */
int rate_limit_open(struct rate_limit **out, const struct rate_config *config);
void rate_limit_close(struct rate_limit *limit);

struct rate_verdict {
	bool admitted;
	unsigned quota, left, reset_s;
};
/* Counts one request. `key` tells callers apart. */
struct rate_verdict rate_limit_count(struct rate_limit *limit, enum rate_class class, bool known, struct span key, int64_t now_s);

enum rate_class rate_class_of(const char *route);
/* Counts the request and adds the headers. False: 429 was answered. `limit` may be NULL. */
bool rate_limit_admit(struct rate_limit *limit, struct http_request *request, const char *route);

#endif
