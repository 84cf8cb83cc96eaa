/* route_index.h - finds the route of a method and path among a few hundred patterns.
 *
 * DESIGN. Patterns are cut into segments once, at start. A route is filed under its first two segments when both are words (an
 * alternative "{a|b}" files it once per word), else under the first, else among the few that begin with a capture. A look-up cuts the
 * path, hashes its first segments, and walks three short lists, most specific first, each in the order of the tables. It allocates
 * nothing, and an index is read-only once made, so every loop shares it. */
#ifndef CAIRN_GATEWAY_ROUTE_INDEX_H
#define CAIRN_GATEWAY_ROUTE_INDEX_H

#include "gateway/gateway.h"

enum {
	ROUTE_SEGMENTS_MAX = 16,     /* of a pattern */
	ROUTE_ALTERNATIVES_MAX = 8,  /* of one "{a|b}" */
	ROUTES_MAX = 1024,
};

struct route_index;

/* Adds the routes of `tables` (each ends with .pattern NULL) in order. A pattern that cannot be filed is a programmer error (asserted). */
struct route_index *route_index_make(const struct route *const *tables, size_t count);
void route_index_free(struct route_index *index);

/* The first route that fits; NULL when there is none. Fills *match, whose spans borrow `path`. */
const struct route *route_find(const struct route_index *index, enum http_method method, struct span path, struct route_match *match);

#endif
