/* openid_provider.h - another OpenID provider that people may sign in through, as its client (OpenID Connect Discovery, RFC 6749).
 *
 * The operator names it, so its answers are believed as far as TLS goes; all the same they are bounded in size and time, no redirect is followed, and every address in
 * them must be https, or http on this machine. What it publishes of itself is kept for PROVIDER_KEEPS_MS. Calls block: for workers. */
#ifndef CAIRN_GATEWAY_AUTH_OPENID_PROVIDER_H
#define CAIRN_GATEWAY_AUTH_OPENID_PROVIDER_H

#include <jansson.h>

#include "schemas/buffer.h"
#include "schemas/error.h"

enum {
	PROVIDER_ANSWER_BYTES_MAX = 256 << 10,
	PROVIDER_ADDRESS_BYTES_MAX = 1024,
	PROVIDER_CONNECT_MS_MAX = 5000,
	PROVIDER_CALL_MS_MAX = 10000,
	PROVIDER_KEEPS_MS = 10 * 60 * 1000,
	PROVIDER_CALLS_MAX = 8, /* sign-ins that wait for it at once; more are told to try again */
};

struct openid_provider_config {
	const char *issuer;        /* NULL: none */
	const char *client_id;
	const char *client_secret; /* NULL: a public client */
	const char *name_claim;    /* what a new user is called; "preferred_username" */
};

struct openid_addresses {
	char authorization[PROVIDER_ADDRESS_BYTES_MAX], token[PROVIDER_ADDRESS_BYTES_MAX], keys[PROVIDER_ADDRESS_BYTES_MAX];
};

struct openid_provider;
/* Texts are borrowed for as long as it is open. ERR_INVALID: an issuer that is not https, or no client id. */
int openid_provider_open(struct openid_provider **out, const struct openid_provider_config *config, struct why *why);
void openid_provider_close(struct openid_provider *provider);
const struct openid_provider_config *openid_provider_config(const struct openid_provider *provider);

/* [blocks] Each: 0, ERR_BUSY (too many wait), ERR_DENIED or ERR_IO with a sentence. JSON objects are the caller's to json_decref. */
int openid_provider_addresses(struct openid_provider *provider, struct openid_addresses *out, struct why *why);
int openid_provider_exchange(struct openid_provider *provider, const struct openid_addresses *addresses, const char *code, const char *redirect_uri, const char *verifier,
	json_t **out, struct why *why);
int openid_provider_keys(struct openid_provider *provider, const struct openid_addresses *addresses, json_t **out, struct why *why);

#endif
