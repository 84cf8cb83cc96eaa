#include "gateway/auth/openid_provider.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/process.h"

struct openid_provider {
	struct openid_provider_config config;
	pthread_mutex_t mutex;
	struct openid_addresses addresses; /* under the mutex */
	int64_t addresses_ms;              /* when they were read; 0: never */
	_Atomic int calls;
};

static bool address_is_safe(const char *address)
{
	static const char *const own[] = { "http://127.0.0.1", "http://[::1]", "http://localhost" };
	for (const char *at = address; *at; at++)
		if ((unsigned char)*at <= 0x20 || (unsigned char)*at >= 0x7f || *at == '#')
			return false;
	if (strncmp(address, "https://", 8) == 0)
		return address[8] != 0;
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		size_t length = strlen(own[i]);
		if (strncmp(address, own[i], length) == 0 && (address[length] == ':' || address[length] == '/' || !address[length]))
			return !strchr(address, '@');
	}
	return false;
}

int openid_provider_open(struct openid_provider **out, const struct openid_provider_config *config, struct why *why)
{
	if (!address_is_safe(config->issuer) || strlen(config->issuer) > PROVIDER_ADDRESS_BYTES_MAX / 2)
		return why_set(why, ERR_INVALID, "an OpenID issuer begins with https:// (or is on this machine)");
	if (!config->client_id || !*config->client_id)
		return why_set(why, ERR_INVALID, "an OpenID issuer needs a client id, which it has given this hub");
	*out = calloc(1, sizeof(**out));
	if (!*out || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(*out);
		return why_set(why, ERR_NO_MEMORY, "no memory");
	}
	(*out)->config = *config;
	pthread_mutex_init(&(*out)->mutex, NULL);
	return 0;
}

void openid_provider_close(struct openid_provider *provider)
{
	if (!provider)
		return;
	pthread_mutex_destroy(&provider->mutex);
	curl_global_cleanup();
	free(provider);
}

const struct openid_provider_config *openid_provider_config(const struct openid_provider *provider)
{
	return &provider->config;
}

/* ------------------------------------------------------------------ one call */

static size_t take(char *data, size_t size, size_t count, void *context)
{
	return buffer_append(context, data, size * count) == 0 ? size * count : 0;
}

static void set_options(CURL *easy, const char *address, struct buffer *answer)
{
	curl_easy_setopt(easy, CURLOPT_URL, address);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "cairn/" CAIRN_VERSION);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)PROVIDER_CONNECT_MS_MAX);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)PROVIDER_CALL_MS_MAX);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
}

/* Performs, and reads a JSON object from a 200. */
static int perform(CURL *easy, struct buffer *answer, json_t **out, struct why *why)
{
	long status = 0;
	CURLcode code = curl_easy_perform(easy);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (code != CURLE_OK)
		return why_set(why, ERR_IO, "The provider cannot be asked: %s", curl_easy_strerror(code));
	*out = status == 200 ? json_loadb((const char *)answer->data, answer->length, JSON_REJECT_DUPLICATES, NULL) : NULL;
	if (json_is_object(*out))
		return 0;
	json_decref(*out);
	*out = NULL;
	return why_set(why, ERR_DENIED, "The provider answered %ld and nothing that can be used", status);
}

static int call(struct openid_provider *provider, const char *address, const char *form, json_t **out, struct why *why)
{
	*out = NULL;
	if (atomic_fetch_add(&provider->calls, 1) >= PROVIDER_CALLS_MAX) {
		atomic_fetch_sub(&provider->calls, 1);
		return why_set(why, ERR_BUSY, "Too many people are signing in, try again");
	}
	struct buffer answer;
	buffer_init(&answer, PROVIDER_ANSWER_BYTES_MAX);
	CURL *easy = curl_easy_init();
	const struct openid_provider_config *config = &provider->config;
	char *id = easy ? curl_easy_escape(easy, config->client_id, 0) : NULL;
	char *secret = easy && config->client_secret ? curl_easy_escape(easy, config->client_secret, 0) : NULL;
	int err = id && (secret || !config->client_secret) ? 0 : why_set(why, ERR_NO_MEMORY, "no memory");
	if (err == 0) {
		set_options(easy, address, &answer);
		if (form)
			curl_easy_setopt(easy, CURLOPT_POSTFIELDS, form);
		if (form && secret) { /* RFC 6749, 2.3.1: both are form-encoded first */
			curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
			curl_easy_setopt(easy, CURLOPT_USERNAME, id);
			curl_easy_setopt(easy, CURLOPT_PASSWORD, secret);
		}
		err = perform(easy, &answer, out, why);
	}
	curl_free(id);
	curl_free(secret);
	curl_easy_cleanup(easy);
	buffer_fini(&answer);
	atomic_fetch_sub(&provider->calls, 1);
	return err;
}

/* ------------------------------------------------------------------ what it is asked */

static int copy_address(const json_t *document, const char *key, char out[PROVIDER_ADDRESS_BYTES_MAX], struct why *why)
{
	const char *text = json_string_value(json_object_get(document, key));
	if (!text || strlen(text) >= PROVIDER_ADDRESS_BYTES_MAX || !address_is_safe(text))
		return why_set(why, ERR_DENIED, "The provider says nothing usable of its %s", key);
	snprintf(out, PROVIDER_ADDRESS_BYTES_MAX, "%s", text);
	return 0;
}

static int read_document(struct openid_provider *provider, const json_t *document, struct openid_addresses *out, struct why *why)
{
	const char *issuer = json_string_value(json_object_get(document, "issuer"));
	if (!issuer || strcmp(issuer, provider->config.issuer) != 0)
		return why_set(why, ERR_DENIED, "The provider calls itself by another name than this hub does");
	int err = copy_address(document, "authorization_endpoint", out->authorization, why);
	if (err == 0)
		err = copy_address(document, "token_endpoint", out->token, why);
	return err ? err : copy_address(document, "jwks_uri", out->keys, why);
}

int openid_provider_addresses(struct openid_provider *provider, struct openid_addresses *out, struct why *why)
{
	pthread_mutex_lock(&provider->mutex);
	bool fresh = provider->addresses_ms && unix_ms() - provider->addresses_ms < PROVIDER_KEEPS_MS;
	if (fresh)
		*out = provider->addresses;
	pthread_mutex_unlock(&provider->mutex);
	if (fresh)
		return 0;
	char address[PROVIDER_ADDRESS_BYTES_MAX];
	size_t length = strlen(provider->config.issuer);
	json_t *document;
	snprintf(address, sizeof(address), "%s%s.well-known/openid-configuration", provider->config.issuer, provider->config.issuer[length - 1] == '/' ? "" : "/");
	int err = call(provider, address, NULL, &document, why);
	if (err == 0)
		err = read_document(provider, document, out, why);
	json_decref(document);
	if (err)
		return err;
	pthread_mutex_lock(&provider->mutex);
	provider->addresses = *out;
	provider->addresses_ms = unix_ms();
	pthread_mutex_unlock(&provider->mutex);
	return 0;
}

static void append_field(struct buffer *out, CURL *easy, const char *key, const char *value)
{
	char *escaped = curl_easy_escape(easy, value, 0);
	buffer_printf(out, "%s%s=%s", out->length ? "&" : "", key, escaped ? escaped : "");
	curl_free(escaped);
}

int openid_provider_exchange(struct openid_provider *provider, const struct openid_addresses *addresses, const char *code, const char *redirect_uri, const char *verifier,
	json_t **out, struct why *why)
{
	struct buffer form;
	CURL *easy = curl_easy_init(); /* only escapes */
	*out = NULL;
	if (!easy)
		return why_set(why, ERR_NO_MEMORY, "no memory");
	buffer_init(&form, PROVIDER_ANSWER_BYTES_MAX);
	append_field(&form, easy, "grant_type", "authorization_code");
	append_field(&form, easy, "code", code);
	append_field(&form, easy, "redirect_uri", redirect_uri);
	append_field(&form, easy, "code_verifier", verifier);
	if (!provider->config.client_secret)
		append_field(&form, easy, "client_id", provider->config.client_id);
	buffer_append_byte(&form, 0);
	curl_easy_cleanup(easy);
	int err = form.failed ? why_set(why, ERR_NO_MEMORY, "no memory") : call(provider, addresses->token, (const char *)form.data, out, why);
	buffer_fini(&form);
	return err;
}

int openid_provider_keys(struct openid_provider *provider, const struct openid_addresses *addresses, json_t **out, struct why *why)
{
	return call(provider, addresses->keys, NULL, out, why);
}
