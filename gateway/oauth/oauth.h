/* oauth.h - the part of OAuth 2 that `hf auth login` speaks: device codes, and tokens that are renewed.
 *
 * DESIGN. Clients are public: whoever can reach the hub may ask, a user decides (gateway/auth/device_login.h, the page is in gateway/web). An access token is
 * an ordinary token that lives OAUTH_ACCESS_MS; the refresh token beside it is one that no call takes but this one. Both are seen and revoked like any token.
 * Renewing leaves the old access token alone until it runs out: transfers that were begun with it go on. Tokens of the user that ran out long ago are
 * swept on the way. */
#ifndef CAIRN_GATEWAY_OAUTH_OAUTH_H
#define CAIRN_GATEWAY_OAUTH_OAUTH_H

#include "gateway/gateway.h"

enum {
	OAUTH_BODY_BYTES_MAX = 16 << 10,
	OAUTH_SWEPT_MAX = 64,
};
#define OAUTH_ACCESS_MS ((int64_t)8 * 3600 * 1000)
#define OAUTH_REFRESH_MS ((int64_t)90 * 24 * 3600 * 1000)
#define OAUTH_SWEEP_AFTER_MS ((int64_t)24 * 3600 * 1000)

void oauth_device(struct http_request *request, const struct route_match *match); /* POST, form: client_id */
void oauth_token(struct http_request *request, const struct route_match *match);  /* POST, form: grant_type ... */

#endif
