/* client.h - which app calls the token endpoint, and whether it proves that (RFC 6749 2.3, 3.2.1). */
#ifndef CAIRN_GATEWAY_OAUTH_CLIENT_H
#define CAIRN_GATEWAY_OAUTH_CLIENT_H

#include "gateway/gateway.h"
#include "replication/app.h"

/* The app of a code or a refresh token, after it has shown what it must: its secret in `Authorization: Basic` or in the form if it has one, else nothing; a client id
 * that is sent must be that app's. An app without a secret need not send its id: browsers' libraries do not. False: answered already. */
bool client_open(struct http_request *request, struct span form, const struct entity_id *id, struct app *out);

#endif
