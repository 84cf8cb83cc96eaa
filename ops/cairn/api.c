#include "ops/cairn/api.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <sodium.h>

#include "schemas/buffer.h"

struct api {
	CURL *curl;
	struct curl_slist *headers;
	const struct settings *settings;
	struct buffer answer;
	bool missing_is_fine; /* 404 is not worth a sentence */
};

int api_token(const struct settings *settings, char out[API_TOKEN_BYTES_MAX])
{
	errno = 0;
	FILE *file = fopen(settings->token_file, "re");
	bool is_read = file && fgets(out, API_TOKEN_BYTES_MAX, file);
	if (!is_read)
		fprintf(stderr, "cairn: cannot read a token from %s: %s; --token-file FILE names another file\n", settings->token_file, errno ? strerror(errno) : "it is empty");
	if (file)
		fclose(file);
	if (is_read)
		out[strcspn(out, "\r\n")] = 0;
	return is_read ? 0 : EXIT_FAILED;
}

/* The token is wiped from every place but the header list. */
static int add_token(struct api *api)
{
	char token[API_TOKEN_BYTES_MAX], header[API_TOKEN_BYTES_MAX + 32];
	if (api_token(api->settings, token) != 0)
		return EXIT_FAILED;
	snprintf(header, sizeof(header), "Authorization: Bearer %s", token);
	api->headers = curl_slist_append(api->headers, header);
	sodium_memzero(token, sizeof(token));
	sodium_memzero(header, sizeof(header));
	return api->headers ? 0 : EXIT_FAILED;
}

static size_t take_bytes(char *data, size_t size, size_t count, void *context)
{
	struct buffer *answer = context;
	return buffer_append(answer, data, size * count) == 0 ? size * count : 0;
}

struct api *api_open(const struct settings *settings)
{
	struct api *api = calloc(1, sizeof(*api));
	if (!api || curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || !(api->curl = curl_easy_init())) {
		fprintf(stderr, "cairn: cannot start libcurl\n");
		free(api);
		return NULL;
	}
	api->settings = settings;
	buffer_init(&api->answer, API_ANSWER_BYTES_MAX);
	if (add_token(api) != 0) {
		api_close(api);
		return NULL;
	}
	api->headers = curl_slist_append(api->headers, "Content-Type: application/json");
	curl_easy_setopt(api->curl, CURLOPT_HTTPHEADER, api->headers);
	curl_easy_setopt(api->curl, CURLOPT_USERAGENT, "cairn/" CAIRN_VERSION);
	curl_easy_setopt(api->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	if (settings->ca_file)
		curl_easy_setopt(api->curl, CURLOPT_CAINFO, settings->ca_file);
	curl_easy_setopt(api->curl, CURLOPT_CONNECTTIMEOUT, (long)API_CONNECT_S_MAX);
	curl_easy_setopt(api->curl, CURLOPT_TIMEOUT, (long)API_CALL_S_MAX);
	curl_easy_setopt(api->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(api->curl, CURLOPT_WRITEFUNCTION, take_bytes);
	curl_easy_setopt(api->curl, CURLOPT_WRITEDATA, &api->answer);
	return api;
}

void api_close(struct api *api)
{
	if (!api)
		return;
	for (struct curl_slist *header = api->headers; header; header = header->next)
		sodium_memzero(header->data, strlen(header->data));
	curl_slist_free_all(api->headers);
	curl_easy_cleanup(api->curl);
	buffer_fini(&api->answer);
	free(api);
}

char *api_escape(struct api *api, const char *text)
{
	return curl_easy_escape(api->curl, text, 0);
}

void api_free(char *text)
{
	curl_free(text);
}

/* What the hub says went wrong, in its words. */
static void tell_refusal(long status, json_t *answer, const char *url)
{
	const char *error = json_string_value(json_object_get(answer, "error"));
	if (error)
		fprintf(stderr, "cairn: %s (HTTP %ld)\n", error, status);
	else
		fprintf(stderr, "cairn: %s answered HTTP %ld; is it a cairn hub?\n", url, status);
}

static json_t *read_answer(struct api *api, const char *url)
{
	long status = 0;
	curl_easy_getinfo(api->curl, CURLINFO_RESPONSE_CODE, &status);
	json_error_t error;
	json_t *answer = api->answer.length
		? json_loadb((const char *)api->answer.data, api->answer.length, JSON_DECODE_ANY, &error) : json_object();
	if (status >= 200 && status < 300 && answer)
		return answer;
	if (status != 404 || !api->missing_is_fine)
		tell_refusal(status, answer, url);
	json_decref(answer);
	return NULL;
}

json_t *api_find(struct api *api, const char *path, bool *is_missing)
{
	api->missing_is_fine = true;
	json_t *answer = api_call(api, "GET", path, NULL);
	api->missing_is_fine = false;
	long status = 0;
	curl_easy_getinfo(api->curl, CURLINFO_RESPONSE_CODE, &status);
	*is_missing = !answer && status == 404;
	return answer;
}

json_t *api_call(struct api *api, const char *method, const char *path, json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	json_decref(body);
	char url[8192];
	if (snprintf(url, sizeof(url), "%s%s", api->settings->url, path) >= (int)sizeof(url)) {
		fprintf(stderr, "cairn: the address is too long\n");
		free(text);
		return NULL;
	}
	buffer_clear(&api->answer);
	curl_easy_setopt(api->curl, CURLOPT_URL, url);
	curl_easy_setopt(api->curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(api->curl, CURLOPT_POSTFIELDS, text);
	if (!text)
		curl_easy_setopt(api->curl, CURLOPT_HTTPGET, 1L); /* also takes the body of an earlier call back */
	curl_easy_setopt(api->curl, CURLOPT_CUSTOMREQUEST, method);
	CURLcode code = curl_easy_perform(api->curl);
	free(text);
	if (code == CURLE_OK)
		return read_answer(api, url);
	if (code == CURLE_SSL_CACERT_BADFILE)
		fprintf(stderr, "cairn: cannot read certificates from %s\n", api->settings->ca_file ? api->settings->ca_file : "where this system keeps them");
	else
		fprintf(stderr, "cairn: %s: %s%s\n", api->settings->url, curl_easy_strerror(code),
			code == CURLE_PEER_FAILED_VERIFICATION ? " (--ca-file names the certificate of a private authority)" : "");
	return NULL;
}

/* `format` with every %s replaced by the next argument, escaped. False: too long. */
static bool format_path(struct api *api, char *out, size_t size, const char *format, va_list arguments)
{
	size_t used = 0;
	for (; *format && used < size; format++) {
		if (*format != '%') {
			out[used++] = *format;
			continue;
		}
		format++; /* 's' */
		char *escaped = api_escape(api, va_arg(arguments, const char *));
		size_t length = escaped ? strlen(escaped) : size;
		if (length < size - used)
			memcpy(out + used, escaped, length);
		used += length;
		api_free(escaped);
	}
	if (used >= size)
		return false;
	out[used] = 0;
	return true;
}

json_t *api_once(const struct settings *settings, const char *method, json_t *body, const char *path, ...)
{
	char formatted[API_PATH_BYTES_MAX];
	va_list arguments;
	struct api *api = api_open(settings);
	if (!api) {
		json_decref(body);
		return NULL;
	}
	va_start(arguments, path);
	bool fits = format_path(api, formatted, sizeof(formatted), path, arguments);
	va_end(arguments);
	json_t *answer = NULL;
	if (fits) {
		answer = api_call(api, method, formatted, body);
	} else {
		fprintf(stderr, "cairn: a name is too long\n");
		json_decref(body);
	}
	api_close(api);
	return answer;
}
