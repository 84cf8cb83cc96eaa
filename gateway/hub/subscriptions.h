/* subscriptions.h - what users want to be told of: namespaces and repositories they watch, discussions, kinds of messages. */
#ifndef CAIRN_GATEWAY_HUB_SUBSCRIPTIONS_H
#define CAIRN_GATEWAY_HUB_SUBSCRIPTIONS_H

#include "gateway/gateway.h"

/* GET: what is watched, or not; PATCH: {add, delete}, each of {id, type}, where an id is that of a user, organisation or repository, or a user's or organisation's name. */
void watch_settings(struct http_request *request, const struct route_match *match);
/* GET, PATCH: {notifications: {kind: wanted}}. */
void notification_settings(struct http_request *request, const struct route_match *match);
/* Of one discussion: GET; POST: hear of it; DELETE: hear of it only when addressed. */
void discussion_subscription(struct http_request *request, const struct route_match *match);

#endif
