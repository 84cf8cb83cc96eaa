#include "gateway/oauth/keys.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "replication/app.h"

enum {
	RSA_BITS = 2048,
	RSA_NUMBER_BYTES_MAX = 512,    /* modulus */
	RSA_NUMBER_TEXT_BYTES = 700,   /* of that, base64url */
	RSA_SIGNATURE_BYTES_MAX = 512,
	THUMBPRINT_BYTES = 44,         /* base64url of SHA-256 */
	ED25519_TEXT_BYTES = 48,
};

struct openid_keys {
	pthread_mutex_t mutex;
	bool loaded;
	EVP_PKEY *rsa;
	char rsa_n[RSA_NUMBER_TEXT_BYTES], rsa_e[16], rsa_id[THUMBPRINT_BYTES];
	uint8_t ed_public[crypto_sign_PUBLICKEYBYTES], ed_secret[crypto_sign_SECRETKEYBYTES];
	char ed_x[ED25519_TEXT_BYTES], ed_id[THUMBPRINT_BYTES];
};

int openid_keys_open(struct openid_keys **out)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return ERR_NO_MEMORY;
	pthread_mutex_init(&(*out)->mutex, NULL);
	return 0;
}

void openid_keys_close(struct openid_keys *keys)
{
	if (!keys)
		return;
	EVP_PKEY_free(keys->rsa);
	pthread_mutex_destroy(&keys->mutex);
	sodium_memzero(keys, sizeof(*keys));
	free(keys);
}

static void to_base64(char *out, size_t size, const uint8_t *bytes, size_t length)
{
	sodium_bin2base64(out, size, bytes, length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* ------------------------------------------------------------------ loading */

/* A new RSA key, encoded. Its length, or 0. */
static size_t make_rsa(uint8_t out[SIGNING_KEY_BYTES_MAX])
{
	EVP_PKEY *key = EVP_RSA_gen(RSA_BITS);
	uint8_t *at = out;
	int length = key ? i2d_PrivateKey(key, NULL) : 0;
	if (length > 0 && length <= SIGNING_KEY_BYTES_MAX)
		length = i2d_PrivateKey(key, &at);
	else
		length = 0;
	EVP_PKEY_free(key);
	return length > 0 ? (size_t)length : 0;
}

static int read_number(EVP_PKEY *key, const char *name, char *out, size_t size)
{
	BIGNUM *number = NULL;
	uint8_t bytes[RSA_NUMBER_BYTES_MAX];
	int length = EVP_PKEY_get_bn_param(key, name, &number) == 1 ? BN_num_bytes(number) : 0;
	bool fits = length > 0 && length <= RSA_NUMBER_BYTES_MAX && sodium_base64_encoded_len((size_t)length, sodium_base64_VARIANT_URLSAFE_NO_PADDING) <= size;
	if (fits) {
		BN_bn2bin(number, bytes);
		to_base64(out, size, bytes, (size_t)length);
	}
	BN_free(number);
	return fits ? 0 : ERR_CORRUPT;
}

static void thumbprint(const char *text, size_t length, char out[THUMBPRINT_BYTES])
{
	uint8_t digest[crypto_hash_sha256_BYTES];
	crypto_hash_sha256(digest, (const uint8_t *)text, length);
	to_base64(out, THUMBPRINT_BYTES, digest, sizeof(digest));
}

static int load_rsa(struct openid_keys *keys, struct namespace *ns, struct why *why)
{
	uint8_t bytes[SIGNING_KEY_BYTES_MAX];
	size_t length = 0;
	char text[RSA_NUMBER_TEXT_BYTES + 64];
	int err = signing_key_get(ns, "openid-rs256", bytes, &length);
	if (err == ERR_NOT_FOUND) {
		length = make_rsa(bytes);
		err = length ? signing_key_put(ns, "openid-rs256", span_of(bytes, length), why) : why_set(why, ERR_NO_MEMORY, "cannot make an RSA key");
		if (err == 0) /* another node may have been first */
			err = signing_key_get(ns, "openid-rs256", bytes, &length);
	}
	const uint8_t *at = bytes;
	if (err == 0) {
		keys->rsa = d2i_PrivateKey(EVP_PKEY_RSA, NULL, &at, (long)length);
		err = keys->rsa ? 0 : ERR_CORRUPT;
	}
	sodium_memzero(bytes, sizeof(bytes));
	if (err == 0)
		err = read_number(keys->rsa, OSSL_PKEY_PARAM_RSA_N, keys->rsa_n, sizeof(keys->rsa_n));
	if (err == 0)
		err = read_number(keys->rsa, OSSL_PKEY_PARAM_RSA_E, keys->rsa_e, sizeof(keys->rsa_e));
	if (err)
		return why_set(why, err, "the hub's RSA key cannot be read or made");
	int text_length = snprintf(text, sizeof(text), "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}", keys->rsa_e, keys->rsa_n);
	thumbprint(text, (size_t)text_length, keys->rsa_id);
	return 0;
}

static int load_ed25519(struct openid_keys *keys, struct namespace *ns, struct why *why)
{
	uint8_t seed[crypto_sign_SEEDBYTES];
	char text[128];
	int err = secret_get_or_create(ns, "openid-eddsa", seed, sizeof(seed), why);
	if (err)
		return err;
	crypto_sign_seed_keypair(keys->ed_public, keys->ed_secret, seed);
	sodium_memzero(seed, sizeof(seed));
	to_base64(keys->ed_x, sizeof(keys->ed_x), keys->ed_public, sizeof(keys->ed_public));
	int length = snprintf(text, sizeof(text), "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"%s\"}", keys->ed_x);
	thumbprint(text, (size_t)length, keys->ed_id);
	return 0;
}

/* Once; what is loaded never changes and is read without the mutex. */
static int load(struct gateway *gateway, struct why *why)
{
	struct openid_keys *keys = gateway->openid_keys;
	pthread_mutex_lock(&keys->mutex);
	int err = 0;
	if (!keys->loaded) {
		EVP_PKEY_free(keys->rsa);
		keys->rsa = NULL;
		err = load_rsa(keys, gateway->ns, why);
		if (err == 0)
			err = load_ed25519(keys, gateway->ns, why);
		keys->loaded = err == 0;
	}
	pthread_mutex_unlock(&keys->mutex);
	return err;
}

/* ------------------------------------------------------------------ using */

int openid_keys_write(struct gateway *gateway, struct json_writer *json, struct why *why)
{
	int err = load(gateway, why);
	if (err)
		return err;
	const struct openid_keys *keys = gateway->openid_keys;
	json_object_begin(json, NULL);
	json_array_begin(json, "keys");
	json_object_begin(json, NULL);
	json_text(json, "kty", "RSA");
	json_text(json, "use", "sig");
	json_text(json, "alg", "RS256");
	json_text(json, "kid", keys->rsa_id);
	json_text(json, "n", keys->rsa_n);
	json_text(json, "e", keys->rsa_e);
	json_object_end(json);
	json_object_begin(json, NULL);
	json_text(json, "kty", "OKP");
	json_text(json, "crv", "Ed25519");
	json_text(json, "use", "sig");
	json_text(json, "alg", "EdDSA");
	json_text(json, "kid", keys->ed_id);
	json_text(json, "x", keys->ed_x);
	json_object_end(json);
	json_array_end(json);
	json_object_end(json);
	return 0;
}

void openid_base64(struct buffer *out, struct span bytes)
{
	size_t size = sodium_base64_encoded_len(bytes.length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	uint8_t *at = buffer_reserve(out, size);
	if (!at)
		return;
	sodium_bin2base64((char *)at, size, bytes.data, bytes.length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	out->length += size - 1; /* without its NUL */
}

/* The signature's length, or 0. */
static size_t sign(const struct openid_keys *keys, bool eddsa, struct span message, uint8_t out[RSA_SIGNATURE_BYTES_MAX])
{
	if (eddsa) {
		crypto_sign_detached(out, NULL, message.data, message.length, keys->ed_secret);
		return crypto_sign_BYTES;
	}
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t length = RSA_SIGNATURE_BYTES_MAX;
	bool done = context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, keys->rsa) == 1 &&
		EVP_DigestSign(context, out, &length, message.data, message.length) == 1;
	EVP_MD_CTX_free(context);
	return done ? length : 0;
}

int openid_sign(struct gateway *gateway, bool eddsa, struct span claims, struct buffer *out, struct why *why)
{
	int err = load(gateway, why);
	if (err)
		return err;
	const struct openid_keys *keys = gateway->openid_keys;
	char head[160];
	uint8_t signature[RSA_SIGNATURE_BYTES_MAX];
	size_t start = out->length;
	int head_length = snprintf(head, sizeof(head), "{\"alg\":\"%s\",\"typ\":\"JWT\",\"kid\":\"%s\"}", eddsa ? "EdDSA" : "RS256", eddsa ? keys->ed_id : keys->rsa_id);
	openid_base64(out, span_of(head, (size_t)head_length));
	buffer_append_byte(out, '.');
	openid_base64(out, claims);
	if (out->failed)
		return ERR_TOO_BIG;
	size_t length = sign(keys, eddsa, span_of(out->data + start, out->length - start), signature);
	if (length == 0)
		return why_set(why, ERR_NO_MEMORY, "cannot sign");
	buffer_append_byte(out, '.');
	openid_base64(out, span_of(signature, length));
	return out->failed ? ERR_TOO_BIG : 0;
}

void openid_at_hash(bool eddsa, const char *access_token, char out[AT_HASH_BYTES_MAX])
{
	uint8_t digest[crypto_hash_sha512_BYTES];
	if (eddsa)
		crypto_hash_sha512(digest, (const uint8_t *)access_token, strlen(access_token));
	else
		crypto_hash_sha256(digest, (const uint8_t *)access_token, strlen(access_token));
	to_base64(out, AT_HASH_BYTES_MAX, digest, (eddsa ? crypto_hash_sha512_BYTES : crypto_hash_sha256_BYTES) / 2);
}
