/* webhook_calls.h - a user's webhooks, as /api/settings/webhooks shows and changes them. */
#ifndef CAIRN_GATEWAY_HUB_WEBHOOK_CALLS_H
#define CAIRN_GATEWAY_HUB_WEBHOOK_CALLS_H

#include "gateway/gateway.h"

void webhooks_list_get(struct http_request *request, const struct route_match *match);
void webhooks_create_post(struct http_request *request, const struct route_match *match);
void webhook_get_one(struct http_request *request, const struct route_match *match);
void webhook_update_post(struct http_request *request, const struct route_match *match);
void webhook_delete_one(struct http_request *request, const struct route_match *match);
void webhook_switch_post(struct http_request *request, const struct route_match *match); /* .../enable, .../disable */
void webhook_replay_post(struct http_request *request, const struct route_match *match); /* .../replay/{log} */

#endif
