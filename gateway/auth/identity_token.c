#include "gateway/auth/identity_token.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/bn.h>
#include <sodium.h>
#include <stdlib.h>

enum { PARTS = 3, SIGNATURE_BYTES_MAX = 1024, NUMBER_BYTES_MAX = 1024 };

/* ------------------------------------------------------------------ pieces */

/* base64url without padding into `out`. Its length, or -1. */
static int64_t decode(uint8_t *out, size_t size, const char *text, size_t text_length)
{
	size_t length = 0;
	if (sodium_base642bin(out, size, text, text_length, NULL, &length, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
		return -1;
	return (int64_t)length;
}

static json_t *decode_object(struct span part)
{
	uint8_t *bytes = malloc(part.length + 1);
	int64_t length = bytes ? decode(bytes, part.length + 1, (const char *)part.data, part.length) : -1;
	json_t *value = length > 0 ? json_loadb((const char *)bytes, (size_t)length, JSON_REJECT_DUPLICATES, NULL) : NULL;
	free(bytes);
	if (json_is_object(value))
		return value;
	json_decref(value);
	return NULL;
}

static bool split(struct span token, struct span parts[PARTS])
{
	if (token.length == 0 || token.length > IDENTITY_TOKEN_BYTES_MAX)
		return false;
	for (int i = 0; i < PARTS; i++) {
		const uint8_t *dot = memchr(token.data, '.', token.length);
		if (!dot != (i == PARTS - 1))
			return false;
		size_t length = dot ? (size_t)(dot - token.data) : token.length;
		parts[i] = span_of(token.data, length);
		token = dot ? span_of(dot + 1, token.length - length - 1) : span_of(NULL, 0);
	}
	return true;
}

static const char *text_in(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

/* ------------------------------------------------------------------ signatures */

static BIGNUM *number_in(const json_t *key, const char *name)
{
	uint8_t bytes[NUMBER_BYTES_MAX];
	const char *text = text_in(key, name);
	int64_t length = decode(bytes, sizeof(bytes), text, strlen(text));
	return length > 0 ? BN_bin2bn(bytes, (int)length, NULL) : NULL;
}

static EVP_PKEY *rsa_of(const json_t *key)
{
	EVP_PKEY *out = NULL;
	BIGNUM *n = number_in(key, "n"), *e = number_in(key, "e");
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	bool sized = n && e && BN_num_bits(n) >= IDENTITY_RSA_BITS_MIN && BN_num_bits(n) <= IDENTITY_RSA_BITS_MAX && BN_num_bits(e) <= 64;
	OSSL_PARAM *params = sized && builder && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
		OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1 ? OSSL_PARAM_BLD_to_param(builder) : NULL;
	if (!params || !context || EVP_PKEY_fromdata_init(context) != 1 || EVP_PKEY_fromdata(context, &out, EVP_PKEY_PUBLIC_KEY, params) != 1)
		out = NULL;
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	EVP_PKEY_CTX_free(context);
	BN_free(n);
	BN_free(e);
	return out;
}

static bool rsa_verifies(const json_t *key, struct span message, struct span signature)
{
	EVP_PKEY *rsa = rsa_of(key);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool valid = rsa && context && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, rsa) == 1 &&
		EVP_DigestVerify(context, signature.data, signature.length, message.data, message.length) == 1;
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(rsa);
	return valid;
}

static bool ed25519_verifies(const json_t *key, struct span message, struct span signature)
{
	uint8_t bytes[crypto_sign_PUBLICKEYBYTES + 1];
	const char *x = text_in(key, "x");
	return strcmp(text_in(key, "crv"), "Ed25519") == 0 && decode(bytes, sizeof(bytes), x, strlen(x)) == crypto_sign_PUBLICKEYBYTES &&
		signature.length == crypto_sign_BYTES && crypto_sign_verify_detached(signature.data, message.data, message.length, bytes) == 0;
}

/* One of the provider's keys that the head may mean. */
static bool verifies(const json_t *head, const json_t *jwks, struct span message, struct span signature)
{
	const char *algorithm = text_in(head, "alg"), *id = text_in(head, "kid");
	bool rsa = strcmp(algorithm, "RS256") == 0;
	const char *type = rsa ? "RSA" : "OKP";
	const json_t *keys = json_object_get(jwks, "keys"), *key;
	size_t i;
	if (!rsa && strcmp(algorithm, "EdDSA") != 0)
		return false;
	json_array_foreach(keys, i, key) {
		const char *use = text_in(key, "use"), *of = text_in(key, "alg");
		bool meant = strcmp(text_in(key, "kty"), type) == 0 && (!*id || strcmp(text_in(key, "kid"), id) == 0) && (!*use || strcmp(use, "sig") == 0) &&
			(!*of || strcmp(of, algorithm) == 0);
		if (i == IDENTITY_KEYS_MAX)
			return false;
		if (meant && (rsa ? rsa_verifies(key, message, signature) : ed25519_verifies(key, message, signature)))
			return true;
	}
	return false;
}

/* ------------------------------------------------------------------ claims */

static bool is_for(const json_t *claims, const char *audience)
{
	const json_t *aud = json_object_get(claims, "aud"), *item, *azp = json_object_get(claims, "azp");
	size_t i;
	bool found = json_is_string(aud) && strcmp(json_string_value(aud), audience) == 0;
	json_array_foreach(aud, i, item)
		found |= json_is_string(item) && strcmp(json_string_value(item), audience) == 0;
	bool alone = !json_is_array(aud) || json_array_size(aud) == 1;
	return found && (azp ? strcmp(text_in(claims, "azp"), audience) == 0 : alone);
}

static const char *wrong_claim(const json_t *claims, const struct identity_expected *expected)
{
	const json_t *exp = json_object_get(claims, "exp"), *nbf = json_object_get(claims, "nbf");
	const char *nonce = text_in(claims, "nonce"), *subject = text_in(claims, "sub");
	if (strcmp(text_in(claims, "iss"), expected->issuer) != 0)
		return "it is of another issuer";
	if (!is_for(claims, expected->audience))
		return "it is for another client";
	if (!json_is_number(exp) || json_number_value(exp) <= (double)(expected->now_s - IDENTITY_SKEW_S))
		return "it has run out";
	if (nbf && json_number_value(nbf) > (double)(expected->now_s + IDENTITY_SKEW_S))
		return "it is not valid yet";
	if (!*expected->nonce || strcmp(nonce, expected->nonce) != 0)
		return "it answers another question";
	if (!*subject || strlen(subject) > 255)
		return "it says of nobody who they are";
	return NULL;
}

int identity_token_check(json_t **out, struct span token, const json_t *jwks, const struct identity_expected *expected, struct why *why)
{
	struct span parts[PARTS];
	uint8_t signature[SIGNATURE_BYTES_MAX];
	*out = NULL;
	if (!split(token, parts))
		return why_set(why, ERR_DENIED, "The identity token is malformed");
	int64_t length = decode(signature, sizeof(signature), (const char *)parts[2].data, parts[2].length);
	json_t *head = decode_object(parts[0]), *claims = decode_object(parts[1]);
	const char *wrong = !head || !claims || length <= 0 ? "it is malformed" : json_object_get(head, "crit") ? "it has extensions that are not known here" : NULL;
	struct span message = span_of(token.data, parts[0].length + 1 + parts[1].length);
	if (!wrong && !verifies(head, jwks, message, span_of(signature, (size_t)length)))
		wrong = "no key of the provider has signed it by RS256 or Ed25519";
	if (!wrong)
		wrong = wrong_claim(claims, expected);
	json_decref(head);
	if (!wrong) {
		*out = claims;
		return 0;
	}
	json_decref(claims);
	return why_set(why, ERR_DENIED, "The identity token is not accepted: %s", wrong);
}
