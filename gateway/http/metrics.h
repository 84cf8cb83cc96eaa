/* metrics.h - the server's counters, and their Prometheus text.
 *
 * DESIGN. Relaxed atomics in a table keyed by the route's name, which is a string constant and so is told apart by its address. Routes beyond the
 * table share the last row. */
#ifndef CAIRN_GATEWAY_HTTP_METRICS_H
#define CAIRN_GATEWAY_HTTP_METRICS_H

#include "schemas/buffer.h"

#include <stdatomic.h>

enum { METRICS_ROUTES_MAX = 256, METRICS_CLASSES = 6 /* 1xx .. 5xx, cut */, METRICS_BUCKETS = 9 };

struct route_metrics {
	_Atomic(const char *) name;
	_Atomic uint64_t requests[METRICS_CLASSES];
	_Atomic uint64_t buckets[METRICS_BUCKETS + 1];
	_Atomic uint64_t microseconds;
};

struct metrics {
	struct route_metrics routes[METRICS_ROUTES_MAX + 1];
	_Atomic uint64_t accepted, refused, timed_out, moved, bytes_in, bytes_out, tls_failed;
};

struct http_server;

/* `status` 0: the connection was cut before the answer was sent whole. */
void metrics_count_request(struct metrics *metrics, const char *route, int status, uint64_t microseconds);
static inline void metrics_add(_Atomic uint64_t *counter, uint64_t count)
{
	atomic_fetch_add_explicit(counter, count, memory_order_relaxed);
}
void metrics_write(struct http_server *server, struct buffer *out);

#endif
