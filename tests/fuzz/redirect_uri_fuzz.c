/* Any text as the address that an app asks people to be sent back to: what matches stays on the host that is registered, and fits a header. */
#include "gateway/auth/oauth_scope.h"
#include "gateway/auth/redirect_uri.h"

#include <assert.h>
#include <stdlib.h>

static const char *const registered[] = { "http://127.0.0.1/cb", "http://[::1]:1/cb?a=1", "http://localhost", "https://app.example/back", "com.example.app:/back", "https://any.example/q?*" };

static void try_one(const struct app *app, const char *asked)
{
	struct why why = { 0 };
	if (!redirect_uri_allowed(app, asked))
		return;
	assert(redirect_uri_check(asked, &why) == 0);
	bool exact = false, loopback = strncmp(asked, "http://127.0.0.1", 16) == 0 || strncmp(asked, "http://[::1]", 12) == 0 || strncmp(asked, "http://localhost", 16) == 0;
	for (uint32_t i = 0; i < app->uris_count; i++)
		exact |= strcmp(app->uris[i], asked) == 0;
	assert(exact || loopback || strncmp(asked, "https://any.example/q", 21) == 0);
	assert(!strchr(asked, '@') && !strpbrk(asked, "\r\n #\\"));
	struct span origin = redirect_uri_origin(asked);
	assert(origin.length > 0 && origin.length <= strlen(asked) && !memchr(origin.data, ';', origin.length));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct app app;
	struct why why = { 0 };
	char scopes[OAUTH_SCOPE_TEXT_BYTES_MAX];
	if (size > 4096)
		return 0;
	app.uris_count = sizeof(registered) / sizeof(registered[0]);
	for (uint32_t i = 0; i < app.uris_count; i++)
		memcpy(app.uris[i], registered[i], strlen(registered[i]) + 1);
	char *text = malloc(size + 1);
	memcpy(text, data, size);
	text[size] = 0;
	assert((redirect_uri_check(text, &why) != 0) == (why.text[0] != 0));
	try_one(&app, text);
	uint64_t read = oauth_scopes_read(span_of(data, size));
	oauth_scopes_write(read, scopes);
	assert(read <= OAUTH_SCOPES_ALL && oauth_scopes_read(span_text(scopes)) == read);
	free(text);
	return 0;
}
