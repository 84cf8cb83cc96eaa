/* fake_request.h - a request made of headers, for code that asks nothing else of the server: defines the few http_* functions such
 * code links, so that a test needs no sockets. */
#ifndef CAIRN_TESTS_FAKE_REQUEST_H
#define CAIRN_TESTS_FAKE_REQUEST_H

#include <assert.h>
#include <stdlib.h>
#include <strings.h>

#include "gateway/http/http.h"

enum { FAKE_HEADERS_MAX = 8, FAKE_ALLOCATIONS_MAX = 64 };

struct http_request {
	void *user_data;
	const char *names[FAKE_HEADERS_MAX], *values[FAKE_HEADERS_MAX];
	size_t headers_count;
	void *allocations[FAKE_ALLOCATIONS_MAX];
	size_t allocations_count;
	char actor_name[256];
	enum http_method method; /* 0: GET */
};

static inline void fake_header(struct http_request *request, const char *name, const char *value)
{
	assert(request->headers_count < FAKE_HEADERS_MAX);
	request->names[request->headers_count] = name;
	request->values[request->headers_count++] = value;
}

static inline void fake_fini(struct http_request *request)
{
	for (size_t i = 0; i < request->allocations_count; i++)
		free(request->allocations[i]);
}

struct span http_header(const struct http_request *request, const char *name)
{
	for (size_t i = 0; i < request->headers_count; i++)
		if (strcasecmp(request->names[i], name) == 0)
			return span_text(request->values[i]);
	return span_of(NULL, 0);
}

enum http_method http_method(const struct http_request *request)
{
	return request->method ? request->method : HTTP_GET;
}

const char *http_base_url(const struct http_request *request)
{
	(void)request;
	return "https://hub.example.org";
}

void *http_user_data(const struct http_request *request)
{
	return request->user_data;
}

void *http_alloc(struct http_request *request, size_t bytes)
{
	assert(request->allocations_count < FAKE_ALLOCATIONS_MAX);
	void *memory = calloc(1, bytes ? bytes : 1);
	assert(memory);
	request->allocations[request->allocations_count++] = memory;
	return memory;
}

void http_set_actor_name(struct http_request *request, const char *name)
{
	strncpy(request->actor_name, name, sizeof(request->actor_name) - 1);
}

#endif
