/* metadata.c - how a client finds its way: /.well-known/openid-configuration (OpenID Connect Discovery, RFC 8414) and the public keys. */
#include "gateway/oauth/metadata.h"

#include "gateway/answer.h"
#include "gateway/auth/oauth_scope.h"
#include "gateway/oauth/keys.h"

enum { METADATA_BYTES_MAX = 16 << 10 };

static void write_list(struct json_writer *json, const char *key, const char *const *values)
{
	json_array_begin(json, key);
	for (; *values; values++)
		json_text(json, NULL, *values);
	json_array_end(json);
}

static void write_scopes(struct json_writer *json)
{
	json_array_begin(json, "scopes_supported");
	for (unsigned k = 0; oauth_scope_name(k); k++)
		json_text(json, NULL, oauth_scope_name(k));
	json_array_end(json);
}

static void write_addresses(struct http_request *request, struct json_writer *json)
{
	static const char *const addresses[][2] = {
		{ "authorization_endpoint", "/oauth/authorize" }, { "token_endpoint", "/oauth/token" }, { "userinfo_endpoint", "/oauth/userinfo" },
		{ "jwks_uri", "/oauth/jwks" }, { "revocation_endpoint", "/oauth/revoke" }, { "device_authorization_endpoint", "/oauth/device" },
	};
	const char *base = http_base_url(request);
	json_text(json, "issuer", base);
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		json_text(json, addresses[i][0], http_printf(request, "%s%s", base, addresses[i][1]));
}

void oauth_metadata(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct buffer body;
	struct json_writer json;
	buffer_init(&body, METADATA_BYTES_MAX);
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	write_addresses(request, &json);
	write_scopes(&json);
	write_list(&json, "response_types_supported", (const char *const[]){ "code", NULL });
	write_list(&json, "response_modes_supported", (const char *const[]){ "query", NULL });
	write_list(&json, "grant_types_supported",
		(const char *const[]){ "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code", NULL });
	write_list(&json, "subject_types_supported", (const char *const[]){ "public", NULL });
	write_list(&json, "id_token_signing_alg_values_supported", (const char *const[]){ "RS256", "EdDSA", NULL });
	write_list(&json, "token_endpoint_auth_methods_supported", (const char *const[]){ "client_secret_basic", "client_secret_post", "none", NULL });
	write_list(&json, "code_challenge_methods_supported", (const char *const[]){ "S256", NULL });
	write_list(&json, "prompt_values_supported", (const char *const[]){ "none", "login", "consent", NULL });
	write_list(&json, "claims_supported", (const char *const[]){ "sub", "iss", "aud", "exp", "iat", "nonce", "at_hash", "name", "preferred_username", "profile",
		"picture", "email", "email_verified", "isPro", "orgs", "canPay", NULL });
	json_bool(&json, "authorization_response_iss_parameter_supported", true);
	json_bool(&json, "request_parameter_supported", false);
	json_bool(&json, "request_uri_parameter_supported", false);
	json_object_end(&json);
	answer_json(request, 200, &body);
}

static void jwks_work(struct http_request *request, void *context)
{
	(void)context;
	struct buffer body;
	struct json_writer json;
	struct why why = { 0 };
	buffer_init(&body, METADATA_BYTES_MAX);
	json_writer_init(&json, &body);
	int err = openid_keys_write(gateway_of(request), &json, &why);
	if (err) {
		buffer_fini(&body);
		answer_err(request, err, &why);
		return;
	}
	http_add_header(request, "Cache-Control", "public, max-age=3600");
	answer_json(request, 200, &body);
}

void oauth_jwks(struct http_request *request, const struct route_match *match)
{
	(void)match;
	http_work(request, jwks_work, NULL);
}
