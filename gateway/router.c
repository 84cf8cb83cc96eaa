/* router.c - the server's handler: leads a request to its view.
 *
 * A path that exists under another method is answered 404 like any other unknown one: Xet clients fall back to older calls on 404 and 501, and
 * on nothing else. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/answer.h"
#include "gateway/hub_unbuilt.h"
#include "gateway/read_point.h"
#include "gateway/rate_limit.h"
#include "gateway/route_index.h"

static struct route_index *routes;
static pthread_once_t routes_once = PTHREAD_ONCE_INIT;

static const struct route *const tables[] = { xet_routes, oauth_routes, web_routes, admin_routes, hub_routes, git_routes, hub_unbuilt_routes };
enum { TABLES_COUNT = sizeof(tables) / sizeof(tables[0]) };

void gateway_each_route(void (*each)(void *context, const struct route *route), void *context)
{
	for (size_t i = 0; i < TABLES_COUNT; i++)
		for (const struct route *route = tables[i]; route->pattern; route++)
			each(context, route);
}

void gateway_write_metrics(struct gateway *gateway, struct buffer *out)
{
	static const view_metrics views[] = { git_metrics };
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		views[i](gateway, out);
}

static void make_routes(void)
{
	routes = route_index_make(tables, TABLES_COUNT);
	if (!routes) {
		fprintf(stderr, "cairn: no memory for the route table\n");
		abort();
	}
}

void gateway_handle(struct http_request *request)
{
	pthread_once(&routes_once, make_routes);
	struct route_match *match = http_alloc(request, sizeof(*match));
	const struct route *route = route_find(routes, http_method(request), http_path(request), match);
	const char *name = !route ? "none" : !route->handler ? "unbuilt" : route->name;
	http_set_route_name(request, name);
	if (!rate_limit_admit(gateway_of(request)->rate_limit, request, name))
		return;
	if (!route) {
		http_reply_error(request, 404, NULL, "not found");
		return;
	}
	if (!route->handler) {
		answer_unbuilt(request, route->name);
		return;
	}
	if (route->methods & ROUTE_ANY_STATE)
		route->handler(request, match);
	else
		read_point_then(request, route, match);
}
