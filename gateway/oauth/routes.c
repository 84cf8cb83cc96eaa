#include "gateway/oauth/oauth.h"

const struct route oauth_routes[] = {
	{ HTTP_POST, "/oauth/device", oauth_device, "oauth-device" },
	{ HTTP_POST, "/oauth/token", oauth_token, "oauth-token" },
	{ 0, NULL, NULL, NULL },
};
