/* Identity tokens of another provider: only what one of its keys has signed, for this client, this question and this moment, says who somebody is. */
#include "gateway/auth/identity_token.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { NOW_S = 1000000, TEXT_MAX = 8192 };

static EVP_PKEY *rsa;
static uint8_t ed_public[crypto_sign_PUBLICKEYBYTES], ed_secret[crypto_sign_SECRETKEYBYTES];
static json_t *jwks;

static size_t base64(char *out, const void *bytes, size_t length)
{
	size_t size = sodium_base64_encoded_len(length, sodium_base64_VARIANT_URLSAFE_NO_PADDING); /* no more: the rest of what it is given is zeroed */
	sodium_bin2base64(out, size, bytes, length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	return strlen(out);
}

static void number(EVP_PKEY *key, const char *name, char *out)
{
	BIGNUM *value = NULL;
	uint8_t bytes[1024];
	assert_int_equal(EVP_PKEY_get_bn_param(key, name, &value), 1);
	base64(out, bytes, (size_t)BN_bn2bin(value, bytes));
	BN_free(value);
}

static int set_up(void **state)
{
	(void)state;
	char n[TEXT_MAX], e[TEXT_MAX], x[TEXT_MAX];
	if (sodium_init() < 0)
		return 1;
	rsa = EVP_RSA_gen(2048);
	number(rsa, OSSL_PKEY_PARAM_RSA_N, n);
	number(rsa, OSSL_PKEY_PARAM_RSA_E, e);
	crypto_sign_keypair(ed_public, ed_secret);
	base64(x, ed_public, sizeof(ed_public));
	jwks = json_pack("{s:[{s:s,s:s,s:s,s:s,s:s},{s:s,s:s,s:s,s:s}]}", "keys", "kty", "RSA", "kid", "r", "use", "sig", "n", n, "e", e, "kty", "OKP", "crv", "Ed25519", "kid", "e",
		"x", x);
	return jwks ? 0 : 1;
}

static int tear_down(void **state)
{
	(void)state;
	EVP_PKEY_free(rsa);
	json_decref(jwks);
	return 0;
}

/* Signed by the key that the head's algorithm wants; "none": not at all; HS256: with the RSA modulus as the secret, as forgers do. */
static void make(char out[TEXT_MAX], const char *head, const char *claims)
{
	uint8_t signature[1024];
	size_t length = base64(out, head, strlen(head)), signature_length = sizeof(signature);
	out[length++] = '.';
	length += base64(out + length, claims, strlen(claims));
	if (strstr(head, "EdDSA")) {
		crypto_sign_detached(signature, NULL, (uint8_t *)out, length, ed_secret);
		signature_length = crypto_sign_BYTES;
	} else if (strstr(head, "HS256")) {
		const char *secret = json_string_value(json_object_get(json_array_get(json_object_get(jwks, "keys"), 0), "n"));
		crypto_auth_hmacsha256_state hmac;
		crypto_auth_hmacsha256_init(&hmac, (const uint8_t *)secret, strlen(secret));
		crypto_auth_hmacsha256_update(&hmac, (uint8_t *)out, length);
		crypto_auth_hmacsha256_final(&hmac, signature);
		signature_length = crypto_auth_hmacsha256_BYTES;
	} else if (strstr(head, "none")) {
		signature_length = 0;
	} else {
		EVP_MD_CTX *context = EVP_MD_CTX_new();
		assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, rsa), 1);
		assert_int_equal(EVP_DigestSign(context, signature, &signature_length, (uint8_t *)out, length), 1);
		EVP_MD_CTX_free(context);
	}
	out[length++] = '.';
	out[length] = 0;
	base64(out + length, signature, signature_length);
}

static int check_text(const char *text)
{
	struct identity_expected expected = { .issuer = "https://idp.example", .audience = "client", .nonce = "n", .now_s = NOW_S };
	struct why why = { 0 };
	json_t *claims;
	int err = identity_token_check(&claims, span_text(text), jwks, &expected, &why);
	assert_true((err != 0) == (why.text[0] != 0));
	assert_true((claims != NULL) == (err == 0));
	json_decref(claims);
	return err;
}

static int check(const char *head, const char *claims)
{
	char text[TEXT_MAX];
	make(text, head, claims);
	return check_text(text);
}

static const char good[] = "{\"iss\":\"https://idp.example\",\"aud\":\"client\",\"exp\":1000100,\"nonce\":\"n\",\"sub\":\"s\"}";

static void what_a_key_of_the_provider_signed_is_believed(void **state)
{
	(void)state;
	assert_int_equal(check("{\"alg\":\"RS256\",\"kid\":\"r\"}", good), 0);
	assert_int_equal(check("{\"alg\":\"RS256\"}", good), 0);
	assert_int_equal(check("{\"alg\":\"EdDSA\",\"kid\":\"e\"}", good), 0);
	assert_int_equal(check("{\"alg\":\"RS256\"}", "{\"iss\":\"https://idp.example\",\"aud\":[\"x\",\"client\"],\"azp\":\"client\",\"exp\":1000100,\"nonce\":\"n\",\"sub\":\"s\"}"), 0);
}

static void other_algorithms_and_keys_are_refused(void **state)
{
	(void)state;
	assert_int_equal(check("{\"alg\":\"none\"}", good), ERR_DENIED);
	assert_int_equal(check("{\"alg\":\"HS256\",\"kid\":\"r\"}", good), ERR_DENIED);
	assert_int_equal(check("{\"alg\":\"RS256\",\"kid\":\"e\"}", good), ERR_DENIED);
	assert_int_equal(check("{\"alg\":\"RS256\",\"kid\":\"unheard of\"}", good), ERR_DENIED);
	assert_int_equal(check("{\"alg\":\"RS512\",\"kid\":\"r\"}", good), ERR_DENIED);
	assert_int_equal(check("{\"alg\":\"RS256\",\"crit\":[\"x\"]}", good), ERR_DENIED);
	assert_int_equal(check("{\"kid\":\"r\"}", good), ERR_DENIED);
}

static void claims_for_somebody_else_are_refused(void **state)
{
	(void)state;
	static const char *const claims[] = {
		"{\"iss\":\"https://idp.example/\",\"aud\":\"client\",\"exp\":1000100,\"nonce\":\"n\",\"sub\":\"s\"}",
		"{\"iss\":\"https://idp.example\",\"aud\":\"other\",\"exp\":1000100,\"nonce\":\"n\",\"sub\":\"s\"}",
		"{\"iss\":\"https://idp.example\",\"aud\":[\"x\",\"client\"],\"exp\":1000100,\"nonce\":\"n\",\"sub\":\"s\"}",
		"{\"iss\":\"https://idp.example\",\"aud\":[\"client\"],\"azp\":\"x\",\"exp\":1000100,\"nonce\":\"n\",\"sub\":\"s\"}",
		"{\"iss\":\"https://idp.example\",\"aud\":\"client\",\"exp\":999900,\"nonce\":\"n\",\"sub\":\"s\"}",
		"{\"iss\":\"https://idp.example\",\"aud\":\"client\",\"nonce\":\"n\",\"sub\":\"s\"}",
		"{\"iss\":\"https://idp.example\",\"aud\":\"client\",\"exp\":\"1000100\",\"nonce\":\"n\",\"sub\":\"s\"}",
		"{\"iss\":\"https://idp.example\",\"aud\":\"client\",\"exp\":1000100,\"nbf\":1000090,\"nonce\":\"n\",\"sub\":\"s\"}",
		"{\"iss\":\"https://idp.example\",\"aud\":\"client\",\"exp\":1000100,\"nonce\":\"m\",\"sub\":\"s\"}",
		"{\"iss\":\"https://idp.example\",\"aud\":\"client\",\"exp\":1000100,\"sub\":\"s\"}",
		"{\"iss\":\"https://idp.example\",\"aud\":\"client\",\"exp\":1000100,\"nonce\":\"n\",\"sub\":\"\"}",
		"{\"iss\":\"https://idp.example\",\"aud\":\"client\",\"exp\":1000100,\"nonce\":\"n\",\"sub\":7}",
		"{\"iss\":\"https://idp.example\",\"iss\":\"https://idp.example\",\"aud\":\"client\",\"exp\":1000100,\"nonce\":\"n\",\"sub\":\"s\"}",
		"[]", "", "7",
	};
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++)
		assert_int_equal(check("{\"alg\":\"RS256\"}", claims[i]), ERR_DENIED);
}

static void a_token_that_was_touched_is_refused(void **state)
{
	(void)state;
	char text[TEXT_MAX];
	make(text, "{\"alg\":\"RS256\"}", good);
	for (size_t i = 0; i < strlen(text); i += 7) {
		char was = text[i];
		text[i] = was == 'A' ? 'B' : 'A';
		assert_int_equal(check_text(text), ERR_DENIED);
		text[i] = was;
	}
	assert_int_equal(check_text(text), 0);
	strcat(text, ".x");
	assert_int_equal(check_text(text), ERR_DENIED);
	assert_int_equal(check_text(""), ERR_DENIED);
	assert_int_equal(check_text(".."), ERR_DENIED);
	assert_int_equal(check_text("a.b"), ERR_DENIED);
}

static void a_short_rsa_key_signs_nothing(void **state)
{
	(void)state;
	EVP_PKEY *kept = rsa;
	json_t *keys = jwks;
	char n[TEXT_MAX], e[TEXT_MAX];
	rsa = EVP_RSA_gen(1024);
	number(rsa, OSSL_PKEY_PARAM_RSA_N, n);
	number(rsa, OSSL_PKEY_PARAM_RSA_E, e);
	jwks = json_pack("{s:[{s:s,s:s,s:s}]}", "keys", "kty", "RSA", "n", n, "e", e);
	assert_int_equal(check("{\"alg\":\"RS256\"}", good), ERR_DENIED);
	json_decref(jwks);
	EVP_PKEY_free(rsa);
	rsa = kept;
	jwks = keys;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_key_of_the_provider_signed_is_believed),
		cmocka_unit_test(other_algorithms_and_keys_are_refused),
		cmocka_unit_test(claims_for_somebody_else_are_refused),
		cmocka_unit_test(a_token_that_was_touched_is_refused),
		cmocka_unit_test(a_short_rsa_key_signs_nothing),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
