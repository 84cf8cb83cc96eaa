/* claims.h - what an app learns of a person: the same words in /oauth/userinfo and in identity tokens (OpenID Connect Core 5.1, and the Hub's own). */
#ifndef CAIRN_GATEWAY_OAUTH_CLAIMS_H
#define CAIRN_GATEWAY_OAUTH_CLAIMS_H

#include "gateway/gateway.h"
#include "replication/app.h"
#include "schemas/json_writer.h"

enum { IDENTITY_ORGS_MAX = 32 }; /* in an identity token, which apps keep in cookies; /oauth/userinfo has all */

/* Members of the object that is open: "sub" and what the scopes show, with at most so many organisations. */
void claims_write(struct http_request *request, struct json_writer *json, const struct user *user, uint64_t scopes, unsigned orgs_max);

/* [blocks] Appends the identity token that goes with an access token. */
int identity_token(struct http_request *request, const struct app *app, const struct app_code *code, const char *access_token, struct buffer *out, struct why *why);

void oauth_userinfo(struct http_request *request, const struct route_match *match); /* GET, POST */

#endif
