/* ssh_keys.h - everybody's SSH keys. */
#ifndef CAIRN_GATEWAY_ADMIN_SSH_KEYS_H
#define CAIRN_GATEWAY_ADMIN_SSH_KEYS_H

#include "gateway/gateway.h"

void admin_ssh_keys_list(struct http_request *request, const struct route_match *match);
void admin_ssh_keys_add(struct http_request *request, const struct route_match *match);
void admin_ssh_keys_get(struct http_request *request, const struct route_match *match);
void admin_ssh_keys_delete(struct http_request *request, const struct route_match *match);

#endif
