/* read_point.h - in a cluster, a request is handled once this node knows everything that was acknowledged before it came, wherever that was.
 *
 * DESIGN. The request is paused while consensus asks the leader; no thread waits, and one question serves all requests that came before it was sent. Without a
 * leader a change is refused after READ_POINT_CHANGE_MS with 503 and Retry-After; a read is answered from what this node knows, marked "X-Cairn-Stale: MS",
 * unless that is older than STALE_MS_MAX: then it is refused, too, since rights may have been taken away meanwhile.
 * That something is not there, or not allowed, is not said by such a read: it is answered 503 (http_set_stale), as it may be there since. ROUTE_ANY_AGE is
 * answered at any age, for operators who look at what is wrong.
 *
 * Reads wait READ_POINT_READ_MS for one silence, not each: it is counted from the first question that was not answered. Those that come later are answered at
 * once, until a question is answered; consensus goes on asking. Changes wait each, as a new leader takes them, but no longer once a silence has lasted
 * STALE_MS_MAX. */
#ifndef CAIRN_GATEWAY_READ_POINT_H
#define CAIRN_GATEWAY_READ_POINT_H

#include "gateway/gateway.h"

enum {
	READ_POINT_READ_MS = 4 * 1000,   /* longer than an election takes */
	READ_POINT_CHANGE_MS = 15 * 1000,
	STALE_MS_MAX = 60 * 1000,
};

/* Cheap: this node hears of a leader, so that it knows all but what was acknowledged a moment ago. */
bool read_point_is_near(const struct gateway *gateway);
/* `route` lives as long as the request. Alone, at once. */
void read_point_then(struct http_request *request, const struct route *route, const struct route_match *match);

#endif
