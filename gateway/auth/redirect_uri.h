/* redirect_uri.h - where an app may have people sent back to (RFC 6749 3.1.2, RFC 8252, RFC 9700 2.1).
 *
 * A registered URI and the one that is asked for must be the same bytes, with two exceptions. On the machine's own addresses (127.0.0.1, [::1], localhost, by plain
 * http) the port may differ, since a program there takes the one that is free. And a registered URI that ends in "?*" is good with any query or none: some libraries
 * (huggingface_hub's for FastAPI and Gradio) keep their state there. Pure. */
#ifndef CAIRN_GATEWAY_AUTH_REDIRECT_URI_H
#define CAIRN_GATEWAY_AUTH_REDIRECT_URI_H

#include "replication/app.h"

/* What may be registered: http, https or a scheme of the app's own with a dot in it ("com.example.app:/back"); printable ASCII without blanks,
 * quotes, backslashes, user names and fragments. 0, ERR_INVALID with a sentence. */
int redirect_uri_check(const char *uri, struct why *why);
bool redirect_uri_matches(const char *registered, const char *asked);
/* True when one of the app's is that. */
bool redirect_uri_allowed(const struct app *app, const char *asked);
/* What a content security policy names it by: "https://host:port", or "scheme:" where the host cannot be named. Bytes of `uri`, which redirect_uri_check must have passed. */
struct span redirect_uri_origin(const char *uri);

#endif
