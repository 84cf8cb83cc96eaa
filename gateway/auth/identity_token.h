/* identity_token.h - what another OpenID provider says of a person, checked (OpenID Connect Core 3.1.3.7; RFC 7515, 7517, 7519).
 *
 * Everything that is read comes from outside: lengths are bounded, a head that names an algorithm other than RS256 and EdDSA (Ed25519), or extensions that must be understood, is
 * refused, and the key alone decides how a signature is checked. Pure. */
#ifndef CAIRN_GATEWAY_AUTH_IDENTITY_TOKEN_H
#define CAIRN_GATEWAY_AUTH_IDENTITY_TOKEN_H

#include <jansson.h>

#include "schemas/buffer.h"
#include "schemas/error.h"

enum {
	IDENTITY_TOKEN_BYTES_MAX = 64 << 10,
	IDENTITY_SKEW_S = 60,
	IDENTITY_RSA_BITS_MIN = 2048,
	IDENTITY_RSA_BITS_MAX = 8192,
	IDENTITY_KEYS_MAX = 64,
};

struct identity_expected {
	const char *issuer, *audience, *nonce;
	int64_t now_s;
};
/* `jwks` is the provider's {"keys": [...]}. 0 and the claims, to be json_decref'ed; ERR_DENIED with a sentence for whoever runs this hub. */
int identity_token_check(json_t **claims, struct span token, const json_t *jwks, const struct identity_expected *expected, struct why *why);

#endif
