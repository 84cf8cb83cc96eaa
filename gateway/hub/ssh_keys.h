/* ssh_keys.h - the SSH keys of whoever asks, below /api/settings/ssh-keys: GET lists, POST {key, title?} adds, DELETE .../{fingerprint} removes.
 *
 * A key lets its holder push wherever its owner may, so adding and removing one takes a write token. */
#ifndef CAIRN_GATEWAY_HUB_SSH_KEYS_H
#define CAIRN_GATEWAY_HUB_SSH_KEYS_H

#include "gateway/gateway.h"

void ssh_keys_list(struct http_request *request, const struct route_match *match);
void ssh_keys_add(struct http_request *request, const struct route_match *match);
void ssh_keys_delete(struct http_request *request, const struct route_match *match);

#endif
