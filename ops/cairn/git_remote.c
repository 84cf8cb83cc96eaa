#include "ops/cairn/git_remote.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <sodium.h>

#include "ops/cairn/api.h"

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes %XX; false: too long, a bad escape, or a byte that git's credential format cannot carry. */
static bool decode(char *out, size_t size, const char *text, size_t length)
{
	size_t at = 0;
	for (size_t i = 0; i < length; i++) {
		int byte = (unsigned char)text[i];
		if (byte == '%') {
			if (i + 2 >= length || hex_value(text[i + 1]) < 0 || hex_value(text[i + 2]) < 0)
				return false;
			byte = hex_value(text[i + 1]) << 4 | hex_value(text[i + 2]);
			i += 2;
		}
		if (byte < 0x20 || byte == 0x7f || at + 1 >= size)
			return false;
		out[at++] = (char)byte;
	}
	out[at] = 0;
	return true;
}

/* "https://user:password@host/path" in three. */
static int split_http(struct git_remote *out, const char *noun, char *text)
{
	char *authority = strstr(text, "://") + 3;
	size_t length = strcspn(authority, "/?#");
	char *at = memrchr(authority, '@', length);
	if (!at) {
		snprintf(out->url, sizeof(out->url), "%s", text);
		return 0;
	}
	size_t info = (size_t)(at - authority), scheme = (size_t)(authority - text);
	char *colon = memchr(authority, ':', info);
	size_t user_length = colon ? (size_t)(colon - authority) : info;
	bool fine = decode(out->user, sizeof(out->user), authority, user_length) &&
		(!colon || decode(out->password, sizeof(out->password), colon + 1, info - user_length - 1));
	snprintf(out->url, sizeof(out->url), "%.*s%s", (int)scheme, text, at + 1);
	snprintf(out->host_url, sizeof(out->host_url), "%.*s%.*s", (int)scheme, text, (int)(length - info - 1), at + 1);
	memset(authority, 'x', info);
	return fine ? 0 : usage_error(noun, "the user or password in the address is malformed");
}

static int take_path(struct git_remote *out, const char *noun, const char *text)
{
	char path[PATH_MAX];
	struct stat status;
	if (!realpath(text, path) || stat(path, &status) != 0)
		return usage_error(noun, "%s: %m", text);
	snprintf(out->url, sizeof(out->url), "%s", path);
	return 0;
}

int git_remote_read(struct git_remote *out, const char *noun, char *text)
{
	*out = (struct git_remote){ 0 };
	size_t length = strlen(text), before_slash = strcspn(text, "/");
	if (length == 0 || length >= GIT_RUN_TEXT_BYTES_MAX - 8 || text[0] == '-')
		return usage_error(noun, "that is no address of a git repository");
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < 0x20)
			return usage_error(noun, "an address holds no control characters");
	if (strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0)
		return split_http(out, noun, text);
	if (strncmp(text, "ssh://", 6) == 0 || strncmp(text, "git://", 6) == 0 || strncmp(text, "file://", 7) == 0) {
		snprintf(out->url, sizeof(out->url), "%s", text);
		return 0;
	}
	if (strstr(text, "://") || strstr(text, "::"))
		return usage_error(noun, "addresses may begin with http://, https://, ssh://, git:// and file://");
	if (memchr(text, ':', before_slash)) { /* host:path, by SSH */
		snprintf(out->url, sizeof(out->url), "%s", text);
		return 0;
	}
	return take_path(out, noun, text);
}

int git_remote_hub(struct git_remote *out, const struct settings *settings, const char *type_plural, const char *id)
{
	*out = (struct git_remote){ 0 };
	bool is_model = strcmp(type_plural, "models") == 0;
	int length = snprintf(out->url, sizeof(out->url), "%s/%s%s%s.git", settings->url, is_model ? "" : type_plural, is_model ? "" : "/", id);
	if (length < (int)sizeof(out->url))
		return 0;
	fprintf(stderr, "cairn: the address is too long\n");
	return EXIT_FAILED;
}

void git_remote_wipe(struct git_remote *remote)
{
	sodium_memzero(remote, sizeof(*remote));
}

static void name_remote(struct git_settings *out, const char *name, const struct git_remote *remote)
{
	char key[128];
	snprintf(key, sizeof(key), "remote.%s.url", name);
	git_settings_config(out, key, remote->url);
}

void git_remote_settings(struct git_settings *out, const char *name, const struct git_remote *remote)
{
	static const char helper[] = "!f() { test \"$1\" = get || exit 0; echo \"username=$CAIRN_REMOTE_USER\"; "
		"test -z \"$CAIRN_REMOTE_PASSWORD\" || echo \"password=$CAIRN_REMOTE_PASSWORD\"; }; f";
	name_remote(out, name, remote);
	if (!remote->user[0])
		return;
	char key[GIT_RUN_TEXT_BYTES_MAX + 32];
	snprintf(key, sizeof(key), "credential.%s.helper", remote->host_url);
	git_settings_config(out, key, ""); /* other helpers would offer theirs, and keep ours */
	git_settings_config(out, key, helper);
	git_settings_variable(out, "CAIRN_REMOTE_USER", remote->user);
	git_settings_variable(out, "CAIRN_REMOTE_PASSWORD", remote->password);
}

int git_remote_hub_settings(struct git_settings *out, const char *name, const struct git_remote *remote, const struct settings *settings)
{
	char token[API_TOKEN_BYTES_MAX], header[API_TOKEN_BYTES_MAX + 32], key[GIT_RUN_TEXT_BYTES_MAX + 64], value[GIT_RUN_TEXT_BYTES_MAX + 16];
	if (api_token(settings, token) != 0)
		return EXIT_FAILED;
	name_remote(out, name, remote);
	snprintf(header, sizeof(header), "Authorization: Bearer %s", token);
	snprintf(key, sizeof(key), "http.%s/.extraHeader", settings->url);
	git_settings_config(out, key, header);
	snprintf(key, sizeof(key), "http.%s/.sslCAInfo", settings->url);
	if (settings->ca_file)
		git_settings_config(out, key, settings->ca_file);
	/* A repository may carry an address of its own for LFS objects in .lfsconfig; the hub's objects are in the hub. */
	snprintf(value, sizeof(value), "%s/info/lfs", remote->url);
	git_settings_config(out, "lfs.url", value);
	snprintf(key, sizeof(key), "lfs.%s.locksverify", value);
	git_settings_config(out, key, "false");
	sodium_memzero(token, sizeof(token));
	sodium_memzero(header, sizeof(header));
	return 0;
}
