/* target.h - where a webhook may go: never to this machine or its private networks, unless the operator says so.
 *
 * A name is judged by what it resolves to at the moment of connecting, so that no answer of a name server can lead a delivery inside. */
#ifndef CAIRN_GATEWAY_WEBHOOKS_TARGET_H
#define CAIRN_GATEWAY_WEBHOOKS_TARGET_H

#include <stdbool.h>
#include <sys/socket.h>

#include "schemas/error.h"

/* True for addresses of the public internet: not loopback, private, link-local, multicast, reserved, nor IPv4 of such kind inside IPv6. */
bool target_is_public(const struct sockaddr *address);
/* 0, or ERR_INVALID with a sentence: not http or https, no host, user and password, control characters, or (unless `private_allowed`) a numeric address that is
 * not public. */
int target_url_check(const char *url, bool private_allowed, struct why *why);
/* CAIRN_WEBHOOKS_PRIVATE=1 in the environment. */
bool target_private_allowed(void);

#endif
