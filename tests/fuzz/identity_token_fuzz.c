/* Any bytes as an identity token and, behind a newline, as the keys of its provider: nothing that is not signed by them is believed. */
#include "gateway/auth/identity_token.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char keys_text[] = "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"},{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}";
	const uint8_t *newline = memchr(data, '\n', size);
	struct span token = span_of(data, newline ? (size_t)(newline - data) : size);
	struct identity_expected expected = { .issuer = "i", .audience = "a", .nonce = "n", .now_s = 1 };
	struct why why = { 0 };
	json_t *claims, *jwks = newline ? json_loadb((const char *)newline + 1, size - token.length - 1, 0, NULL) : json_loads(keys_text, 0, NULL);
	int err = identity_token_check(&claims, token, jwks, &expected, &why);
	assert((err == 0) == (claims != NULL));
	json_decref(claims);
	json_decref(jwks);
	return 0;
}
