/* oauth.h - OAuth 2: device codes for `hf auth login`, codes for registered apps (replication/app.h), tokens that are renewed.
 *
 * DESIGN. Device logins are of anybody: whoever can reach the hub may ask, a user decides (gateway/auth/device_login.h, the page is in gateway/web). Apps are registered by
 * an operator; a user allows one on a page (gateway/web/authorize.c), which gives it a code that is good once, for OAUTH_CODE_MS. An access token is an ordinary
 * token that lives OAUTH_ACCESS_MS, an app's a fine-grained one; the refresh token beside it is one that no call takes but this one. Both are seen and revoked
 * like any token. A device's refresh token stays; an app's is exchanged for another one. Renewing leaves the old access token alone until it runs out: transfers that were begun
 * with it go on. Tokens of the user that ran out long ago are swept on the way. */
#ifndef CAIRN_GATEWAY_OAUTH_OAUTH_H
#define CAIRN_GATEWAY_OAUTH_OAUTH_H

#include "gateway/gateway.h"

enum {
	OAUTH_BODY_BYTES_MAX = 16 << 10,
	OAUTH_IDENTITY_S = 3600,  /* an identity token is looked at when it arrives */
};
#define OAUTH_ACCESS_MS ((int64_t)8 * 3600 * 1000)
#define OAUTH_REFRESH_MS ((int64_t)90 * 24 * 3600 * 1000)

void oauth_device(struct http_request *request, const struct route_match *match); /* POST, form: client_id */
void oauth_token(struct http_request *request, const struct route_match *match);  /* POST, form: grant_type ... */

/* RFC 6749, 5.2: {"error", "error_description"}. */
void oauth_refuse(struct http_request *request, int status, const char *error, const char *description);

#endif
