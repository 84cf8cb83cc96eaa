/* hub_unbuilt.h - calls of the public Hub API that this server knows and does not serve: answered 501 with a sentence, never 200.
 *
 * Routes without a handler; `name` begins the sentence. A call leaves this table on the day its view is built. */
#ifndef CAIRN_GATEWAY_HUB_UNBUILT_H
#define CAIRN_GATEWAY_HUB_UNBUILT_H

#include "gateway/gateway.h"

extern const struct route hub_unbuilt_routes[];

#endif
