#include "gateway/auth/redirect_uri.h"

#include <string.h>
#include <strings.h>

enum { PORT_DIGITS_MAX = 5 };

/* "https://" and "http://" as they are written; 0 for another scheme. */
static size_t web_prefix(const char *uri)
{
	return strncmp(uri, "https://", 8) == 0 ? 8 : strncmp(uri, "http://", 7) == 0 ? 7 : 0;
}

static bool scheme_is_own(const char *uri)
{
	size_t length = strspn(uri, "abcdefghijklmnopqrstuvwxyz0123456789+-.");
	return length > 2 && uri[length] == ':' && uri[0] >= 'a' && uri[0] <= 'z' && memchr(uri, '.', length);
}

int redirect_uri_check(const char *uri, struct why *why)
{
	size_t prefix = web_prefix(uri), length = strlen(uri);
	if (length == 0 || length > APP_URI_BYTES_MAX)
		return why_set(why, ERR_INVALID, "A redirect URI has 1 to %d bytes", APP_URI_BYTES_MAX);
	for (const char *at = uri; *at; at++)
		if ((unsigned char)*at <= 0x20 || (unsigned char)*at >= 0x7f || strchr("\"'<>\\^`{|}#", *at))
			return why_set(why, ERR_INVALID, "A redirect URI has no blanks, quotes, backslashes, fragments, nor bytes beyond ASCII");
	if (!prefix)
		return scheme_is_own(uri) ? 0 : why_set(why, ERR_INVALID, "A redirect URI begins with https://, http:// or a scheme of the app's own with a dot in it");
	size_t authority = strcspn(uri + prefix, "/?");
	if (strcspn(uri + prefix, ":/?") == 0 || memchr(uri + prefix, '@', authority) || memchr(uri + prefix, ';', authority) || memchr(uri + prefix, ',', authority) ||
		memchr(uri + prefix, '*', authority))
		return why_set(why, ERR_INVALID, "A redirect URI has a host, and no user name before it");
	return 0;
}

/* The length of "http://127.0.0.1" and its like at the beginning, with what follows being a port, a path, a query or the end; else 0. */
static size_t loopback_length(const char *uri)
{
	static const char *const hosts[] = { "http://127.0.0.1", "http://[::1]", "http://localhost" };
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		size_t length = strlen(hosts[i]);
		if (strncmp(uri, hosts[i], length) == 0 && (!uri[length] || strchr(":/?", uri[length])))
			return length;
	}
	return 0;
}

/* Behind ":1234"; NULL: that is no port. */
static const char *after_port(const char *text)
{
	if (*text != ':')
		return text;
	size_t digits = strspn(text + 1, "0123456789");
	const char *end = text + 1 + digits;
	return digits > 0 && digits <= PORT_DIGITS_MAX && (!*end || *end == '/' || *end == '?') ? end : NULL;
}

/* The same bytes, or the same up to a query that may be any. */
static bool same(const char *registered, const char *asked)
{
	size_t length = strlen(registered);
	if (length < 2 || strcmp(registered + length - 2, "?*") != 0)
		return strcmp(registered, asked) == 0;
	return strncmp(registered, asked, length - 2) == 0 && (!asked[length - 2] || asked[length - 2] == '?');
}

bool redirect_uri_matches(const char *registered, const char *asked)
{
	if (same(registered, asked))
		return true;
	size_t length = loopback_length(registered);
	if (length == 0 || loopback_length(asked) != length || strncmp(registered, asked, length) != 0)
		return false;
	const char *registered_rest = after_port(registered + length), *asked_rest = after_port(asked + length);
	return registered_rest && asked_rest && same(registered_rest, asked_rest);
}

bool redirect_uri_allowed(const struct app *app, const char *asked)
{
	bool found = false;
	for (uint32_t i = 0; i < app->uris_count; i++)
		found |= redirect_uri_matches(app->uris[i], asked);
	return found && redirect_uri_check(asked, NULL) == 0;
}

struct span redirect_uri_origin(const char *uri)
{
	size_t prefix = web_prefix(uri);
	if (prefix && uri[prefix] == '[') /* policies know no such hosts */
		return span_of(uri, prefix - 2);
	return span_of(uri, prefix ? prefix + strcspn(uri + prefix, "/?") : strcspn(uri, ":") + 1);
}
