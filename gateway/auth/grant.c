/* grant.c - text = base64url(signature, record); the signature covers a fixed context and the record, so that no other thing signed with
 * the key can pass for a grant. */
#include "gateway/auth/grant.h"
#include "gateway/process.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#include "schemas/record.h"

enum {
	RECORD_BYTES_MAX = 336,
	SIGNED_BYTES_MAX = crypto_sign_BYTES + RECORD_BYTES_MAX,
};
_Static_assert((crypto_sign_BYTES + RECORD_BYTES_MAX) * 4 / 3 + 4 <= GRANT_TEXT_BYTES_MAX, "the longest grant fits its text");

static const char context[] = "cairn grant 1";

static const struct field grant_fields[] = {
	FIELD(struct grant, kind, FIELD_ENUM, true),
	FIELD(struct grant, repo, FIELD_BYTES, true),
	FIELD(struct grant, actor, FIELD_TEXT, true),
	FIELD(struct grant, token, FIELD_BYTES, false),
	FIELD(struct grant, expires_ms, FIELD_I64, true),
	FIELD(struct grant, object, FIELD_BYTES, true),
	FIELD(struct grant, length, FIELD_U64, true),
	FIELD(struct grant, number, FIELD_U64, true),
};
static const struct schema grant_schema = SCHEMA(1, grant_fields);

int grant_keys_load(struct gateway *gateway, struct why *why)
{
	uint8_t seed[crypto_sign_SEEDBYTES];
	int err = secret_get_or_create(gateway->ns, "grant", seed, sizeof(seed), why);
	if (err == 0)
		crypto_sign_seed_keypair(gateway->grant_public_key, gateway->grant_secret_key, seed);
	sodium_memzero(seed, sizeof(seed));
	return err;
}

/* What is signed: the context and the record. */
struct message {
	uint8_t bytes[sizeof(context) + RECORD_BYTES_MAX];
	size_t length;
};

static void message_of(struct message *out, const uint8_t *record, size_t length)
{
	assert(length <= RECORD_BYTES_MAX);
	memcpy(out->bytes, context, sizeof(context));
	memcpy(out->bytes + sizeof(context), record, length);
	out->length = sizeof(context) + length;
}

void grant_sign(const struct gateway *gateway, const struct grant *grant, char out[GRANT_TEXT_BYTES_MAX])
{
	struct buffer record;
	buffer_init(&record, RECORD_BYTES_MAX);
	record_encode(&record, &grant_schema, grant);
	if (record.failed) { /* only memory can be short: the text then grants nothing */
		out[0] = 0;
		buffer_fini(&record);
		return;
	}
	struct message message;
	message_of(&message, record.data, record.length);
	uint8_t bytes[SIGNED_BYTES_MAX];
	crypto_sign_detached(bytes, NULL, message.bytes, message.length, gateway->grant_secret_key);
	memcpy(bytes + crypto_sign_BYTES, record.data, record.length);
	sodium_bin2base64(out, GRANT_TEXT_BYTES_MAX, bytes, crypto_sign_BYTES + record.length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	buffer_fini(&record);
}

int grant_verify(const struct gateway *gateway, struct span text, struct grant *out)
{
	uint8_t bytes[SIGNED_BYTES_MAX];
	size_t length = 0;
	if (text.length == 0 || text.length >= GRANT_TEXT_BYTES_MAX ||
		sodium_base642bin(bytes, sizeof(bytes), (const char *)text.data, text.length, NULL, &length, NULL,
			sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
		length <= crypto_sign_BYTES)
		return ERR_UNAUTHENTICATED;
	struct message message;
	message_of(&message, bytes + crypto_sign_BYTES, length - crypto_sign_BYTES);
	if (crypto_sign_verify_detached(bytes, message.bytes, message.length, gateway->grant_public_key) != 0)
		return ERR_UNAUTHENTICATED;
	if (record_decode(out, sizeof(*out), &grant_schema, span_of(bytes + crypto_sign_BYTES, length - crypto_sign_BYTES)) != 0)
		return ERR_UNAUTHENTICATED;
	return out->expires_ms + GRANT_SKEW_MS < unix_ms() ? ERR_UNAUTHENTICATED : 0;
}
