/* xet_token.h - the token that a Xet client shows to the CAS calls, and where it finds them.
 *
 * A token is a grant on one repository. It is issued by the Hub's token calls and the LFS batch call, and read by the xet view, which
 * re-checks on every call that its holder still may do what it says. */
#ifndef CAIRN_GATEWAY_AUTH_XET_TOKEN_H
#define CAIRN_GATEWAY_AUTH_XET_TOKEN_H

#include "gateway/auth/auth.h"
#include "gateway/auth/grant.h"

enum { XET_TOKEN_MS = 3600 * 1000 }; /* clients treat a 401 as fatal and refresh by the clock: many minutes, not few */

struct xet_token {
	const char *cas_url;      /* no trailing slash; request memory */
	const char *access_token; /* request memory */
	int64_t expires_s;
};
/* The caller has checked that `actor` may read or write. Returns 0. */
int xet_token_issue(struct http_request *request, const struct repo *repo, const struct actor *actor, bool write, struct xet_token *out);
/* Answers the token call both ways: headers for older clients, JSON for newer ones. */
void xet_token_reply(struct http_request *request, const struct xet_token *token);

/* Absolute, in request memory: where a client renews a token for `repo`, and where it asks for the terms of a file. `type_plural` is the path
 * segment of the repository's type ("models"), `revision` an URL-encoded segment. */
const char *xet_token_url(struct http_request *request, const struct repo *repo, const char *type_plural, bool write, const char *revision);
const char *xet_reconstruction_url(struct http_request *request, const struct hash *file);

#endif
