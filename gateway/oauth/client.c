#include "gateway/oauth/client.h"

#include <sodium.h>
#include <strings.h>

#include "gateway/answer.h"
#include "gateway/oauth/oauth.h"

enum { BASIC_BYTES_MAX = 512 };

struct credentials {
	const char *id, *secret; /* NULL: not sent */
	bool basic, malformed;
};

/* Both halves are form-encoded before they are joined. */
static void read_basic(struct http_request *request, struct span base64, struct credentials *out)
{
	uint8_t *text = http_alloc(request, BASIC_BYTES_MAX);
	size_t length = 0;
	while (base64.length && base64.data[0] == ' ')
		base64 = span_of(base64.data + 1, base64.length - 1);
	while (base64.length && base64.data[base64.length - 1] == '=')
		base64.length--;
	out->basic = true;
	const uint8_t *colon = sodium_base642bin(text, BASIC_BYTES_MAX, (const char *)base64.data, base64.length, NULL, &length, NULL,
		sodium_base64_VARIANT_ORIGINAL_NO_PADDING) == 0 ? memchr(text, ':', length) : NULL;
	if (!colon) {
		out->malformed = true;
		return;
	}
	out->id = http_decode(request, span_of(text, (size_t)(colon - text)), true);
	out->secret = http_decode(request, span_of(colon + 1, length - (size_t)(colon + 1 - text)), true);
	out->malformed = !out->id || !out->secret;
}

static struct credentials credentials_of(struct http_request *request, struct span form)
{
	struct credentials out = { .id = http_form_value(request, form, "client_id", 0), .secret = http_form_value(request, form, "client_secret", 0) };
	struct span header = http_header(request, "Authorization");
	if (header.length > 6 && strncasecmp((const char *)header.data, "Basic ", 6) == 0)
		read_basic(request, span_of(header.data + 6, header.length - 6), &out);
	return out;
}

static bool secret_is(const struct app *app, const char *secret)
{
	struct hash digest;
	crypto_generichash(digest.bytes, HASH_BYTES, (const uint8_t *)secret, strlen(secret), NULL, 0);
	return sodium_memcmp(digest.bytes, app->secret_digest.bytes, HASH_BYTES) == 0;
}

bool client_open(struct http_request *request, struct span form, const struct entity_id *id, struct app *out)
{
	struct credentials credentials = credentials_of(request, form);
	char client[ENTITY_ID_TEXT_BYTES];
	hex_encode(client, id->bytes, ENTITY_ID_BYTES);
	int err = app_get(gateway_of(request)->ns, id, out);
	if (err && err != ERR_NOT_FOUND) {
		answer_err(request, err, NULL);
		return false;
	}
	bool named = !credentials.id || strcmp(credentials.id, client) == 0;
	bool empty = !credentials.secret || !credentials.secret[0];
	bool proved = err == 0 && (out->has_secret ? !empty && secret_is(out, credentials.secret) : empty);
	if (named && proved && !credentials.malformed)
		return true;
	if (credentials.basic)
		http_add_header(request, "WWW-Authenticate", "Basic realm=\"oauth\"");
	oauth_refuse(request, 401, "invalid_client", "This is not an app of this hub, or not its secret, or not the app that this was given to");
	return false;
}
