#include "ops/cairn/settings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int usage_error(const char *noun, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("cairn: ", stderr);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, " (see cairn %s%s--help)\n", noun ? noun : "", noun ? " " : "");
	return EXIT_USAGE;
}

/* The value of "--name=value" or "--name value" at argv[*at], which then stands on the last word taken. NULL: another option. */
static const char *value_at(const char *name, int argc, char **argv, int *at, bool *missing)
{
	size_t length = strlen(name);
	const char *word = argv[*at];
	if (strncmp(word, name, length) != 0 || (word[length] != '=' && word[length] != 0))
		return NULL;
	if (word[length] == '=')
		return word + length + 1;
	*missing = *at + 1 >= argc;
	return *missing ? NULL : argv[++*at];
}

static void drop_last_slashes(struct settings *settings, char *url)
{
	size_t length = strlen(url);
	while (length && url[length - 1] == '/')
		url[--length] = 0;
	settings->url = url;
}

/* Full, since git reads it from elsewhere. What is not there is told when it is needed. */
static const char *full_path(const char *path)
{
	static char full[PATH_MAX];
	return path && *path && realpath(path, full) ? full : path && *path ? path : NULL;
}

/* An option is stronger than the environment; but a node that has joined has no token in its data directory. */
static const char *find_token_file(struct settings *settings, const char *given, bool has_data_dir)
{
	static char in_data_dir[sizeof(settings->token_file) + 1]; /* longer than what fits: that is told */
	const char *token_file = given ? given : getenv("CAIRN_TOKEN_FILE");
	snprintf(in_data_dir, sizeof(in_data_dir), "%s/admin-token", settings->data_dir);
	return token_file && (given || !has_data_dir || access(in_data_dir, F_OK) != 0) ? token_file : in_data_dir;
}

int settings_take(struct settings *out, int *argc, char **argv)
{
	static char url[4096];
	const char *given_url = getenv("CAIRN_URL"), *token_file = NULL, *ca_file = getenv("SSL_CERT_FILE");
	*out = (struct settings){ 0 };
	int kept = 1;
	for (int i = 1; i < *argc; i++) {
		const char *value;
		bool missing = false;
		if (strcmp(argv[i], "--json") == 0)
			out->json = true;
		else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			out->help = true;
		else if ((value = value_at("--url", *argc, argv, &i, &missing)))
			given_url = value;
		else if ((value = value_at("--token-file", *argc, argv, &i, &missing)))
			token_file = value;
		else if ((value = value_at("--ca-file", *argc, argv, &i, &missing)))
			ca_file = value;
		else if ((value = value_at("--data", *argc, argv, &i, &missing)))
			out->data_dir = value;
		else if (missing)
			return usage_error(NULL, "%s wants a value", argv[i]);
		else
			argv[kept++] = argv[i];
	}
	argv[kept] = NULL;
	*argc = kept;
	bool has_data_dir = out->data_dir != NULL;
	if (!has_data_dir)
		out->data_dir = "./data";
	snprintf(url, sizeof(url), "%s", given_url ? given_url : "http://127.0.0.1:8080");
	drop_last_slashes(out, url);
	out->ca_file = full_path(ca_file);
	int length = snprintf(out->token_file, sizeof(out->token_file), "%s", find_token_file(out, token_file, has_data_dir));
	return length < (int)sizeof(out->token_file) ? 0 : usage_error(NULL, "the path of the token file is too long");
}
