#include "gateway/read_point.h"

#include "gateway/answer.h"

struct wait {
	struct http_request *request;
	const struct route *route;
	const struct route_match *match;
	int err;
};

static bool is_read(const struct http_request *request)
{
	return http_method(request) == HTTP_GET || http_method(request) == HTTP_HEAD;
}

static void go_on(struct http_request *request, void *context)
{
	const struct wait *wait = context;
	uint64_t lag_ms = wait->err ? consensus_lag_ms(namespace_consensus(gateway_of(request)->ns)) : 0;
	if (wait->err && ((wait->route->methods & ROUTE_ANY_AGE) || (wait->err == ERR_BUSY && is_read(request) && lag_ms < STALE_MS_MAX)))
		http_set_stale(request, lag_ms);
	else if (wait->err) {
		bool removed = wait->err == ERR_DENIED;
		answer_err(request, removed ? ERR_CLOSED : wait->err, removed ? &(struct why){ "This node was removed from the cluster, ask another" } :
			&(struct why){ "This node of the cluster gets no answer from a leader, try again or ask another" });
		return;
	}
	wait->route->handler(request, wait->match);
}

/* On the thread of consensus. */
static void known(void *context, int err)
{
	struct wait *wait = context;
	wait->err = err;
	http_resume(wait->request, go_on, wait);
}

static void ask(struct http_request *request, void *context)
{
	struct consensus *consensus = namespace_consensus(gateway_of(request)->ns);
	if (is_read(request))
		consensus_read(consensus, READ_POINT_READ_MS, READ_POINT_READ_MS, known, context);
	else
		consensus_read(consensus, READ_POINT_CHANGE_MS, STALE_MS_MAX, known, context);
}

bool read_point_is_near(const struct gateway *gateway)
{
	return consensus_lag_ms(namespace_consensus(gateway->ns)) < READ_POINT_READ_MS;
}

void read_point_then(struct http_request *request, const struct route *route, const struct route_match *match)
{
	if (consensus_alone(namespace_consensus(gateway_of(request)->ns))) {
		route->handler(request, match);
		return;
	}
	struct wait *wait = http_alloc(request, sizeof(*wait));
	*wait = (struct wait){ .request = request, .route = route, .match = match };
	http_pause(request, ask, wait);
}
