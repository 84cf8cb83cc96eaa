/* telemetry.h - what clients report of themselves, and the list that they fetch to know what to report. Nothing is kept.
 *
 * Both are on every client's way: the list is the first request of each Python process, with a limit of three seconds. */
#ifndef CAIRN_GATEWAY_HUB_TELEMETRY_H
#define CAIRN_GATEWAY_HUB_TELEMETRY_H

#include "gateway/gateway.h"

void telemetry_head(struct http_request *request, const struct route_match *match);
void agent_harnesses(struct http_request *request, const struct route_match *match);

#endif
