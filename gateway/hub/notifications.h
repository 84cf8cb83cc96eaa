/* notifications.h - a user's inbox: what it holds is looked up, and asked for rights, at the moment it is read. */
#ifndef CAIRN_GATEWAY_HUB_NOTIFICATIONS_H
#define CAIRN_GATEWAY_HUB_NOTIFICATIONS_H

#include "gateway/gateway.h"

/* Query: p, readStatus (all, unread), repoType, repoName, mention (all, participating, mentions), lastUpdate (only what is not newer). Fifty to a page. */
void notifications_get(struct http_request *request, const struct route_match *match);
/* Body: {discussionIds, read}; with `applyToAll` in the query, all that its other words select. */
void notifications_mark(struct http_request *request, const struct route_match *match);
void notifications_delete(struct http_request *request, const struct route_match *match); /* the same, without `read` */

#endif
