/* routes.c - OAuth 2 and OpenID Connect: which handler serves which address. */
#include "gateway/oauth/app_grant.h"
#include "gateway/oauth/claims.h"
#include "gateway/oauth/metadata.h"
#include "gateway/oauth/oauth.h"

const struct route oauth_routes[] = {
	{ HTTP_GET | HTTP_HEAD, "/.well-known/openid-configuration", oauth_metadata, "oauth-metadata" },
	{ HTTP_GET | HTTP_HEAD, "/.well-known/oauth-authorization-server", oauth_metadata, "oauth-metadata" },
	{ HTTP_GET | HTTP_HEAD, "/oauth/jwks", oauth_jwks, "oauth-jwks" },
	{ HTTP_GET | HTTP_HEAD | HTTP_POST, "/oauth/userinfo", oauth_userinfo, "oauth-userinfo" },
	{ HTTP_POST, "/oauth/device", oauth_device, "oauth-device" },
	{ HTTP_POST, "/oauth/token", oauth_token, "oauth-token" },
	{ HTTP_POST, "/oauth/revoke", oauth_revoke, "oauth-revoke" },
	{ 0, NULL, NULL, NULL },
};
